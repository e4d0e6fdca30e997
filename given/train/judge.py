"""Judge: held-out rows scored on a sample of them, at a set share of what learning costs.

Rows come in an order by a hash of their number, so that a larger sample holds every smaller one. The first evaluation chooses
how many rows: it doubles them until the standard error of their mean is a hundredth of a nat an entry, or the next ones would
cost more than an evaluation may. Later ones score the same rows, so that scores compare.

Under a budget of time, cost is time. Under one of steps or epochs a scored row costs half a learned one, so that which rows are
scored, and when, does not depend on the machine and a run taken up from a checkpoint is the run that was not interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import Noise
from given.joint import Joint
from given.lessons import Loss
from given.sources import Columns, Source, joined
from given.train.batches import EncodedBatch, encoded
from given.train.loop import Trainer
from given.variables import UserError
from given.ways import way

__all__ = ["Judge", "Turns", "nested"]

_EVALUATIONS = 25
_SHARE = 0.12  # of what learning costs; what is left of a fifth is for the score at the end
_MOST = 5_000  # rows that are kept to be scored
_ENTRIES_AT_ONCE = 1 << 16
_PIECES = 64  # of a batch of long items
_PRECISE = 0.01  # nats an entry


def nested(source: Source, most: int = _MOST) -> Columns:
    """At most so many rows of a source, and 128 MB, in an order by a hash of their number: the first are a sample of all."""
    return numbered(source, most)[1]


def numbered(source: Source, most: int = _MOST) -> tuple[np.ndarray, Columns]:
    """The rows of `nested`, and their numbers in the source (n,)."""
    most = min(most, source.affordable)
    kept: list[tuple[Tensor, Tensor, Columns]] = []
    first = 0
    for batch in source.runs():
        order = Noise.of(0, batch.n, first_row=first).fold("judged").uniform()
        kept.append((order, torch.arange(first, first + batch.n), batch))
        first += batch.n
        if sum(len(u) for u, _, _ in kept) > most:
            kept = [_least(kept, most)]
    if not kept:
        raise UserError(f"fit: no row was held out; pass {way('held_out=0', '--held-out 0')}, or more rows")
    _, numbers, rows = _least(kept, most)
    return numbers.numpy(), rows


def _least(parts: list[tuple[Tensor, Tensor, Columns]], most: int) -> tuple[Tensor, Tensor, Columns]:
    u, numbers = (torch.cat([part[i] for part in parts]) for i in (0, 1))  # type: ignore[misc]
    order = u.argsort()[:most]
    return u[order], numbers[order], joined([rows for _, _, rows in parts]).rows(order.numpy())


class Judge:
    """Scores a joint on a sample of held-out rows.

    Args:
        joint: what is judged.
        valid: held-out rows.
        weight: the column of the rows' weights.
        losses: factors, each with the loss that is minus its score; their own when left out.
        first: rows that are scored in any case.
        size: rows, or windows of items, of the sample; chosen by the first score when left out.

    Attributes:
        rows: the held-out rows that may be scored, in the sample's order.
    """

    def __init__(self, joint: Joint, valid: Source, weight: str | None = None,
                 losses: Sequence[tuple[Conditional, Loss]] | None = None, *, first: int = 32, size: int | None = None) -> None:
        self.joint, self.weight, self.first, self.size = joint, weight, first, size
        self.losses = [(f, f.loss) for f in joint] if losses is None else losses
        self.rows, self.long = nested(valid), bool(joint.windowed)

    def score(self, affordable: Callable[[int], bool] = lambda rows: True) -> float:
        """Weighted mean of minus the loss of the sample's items, in nats and the entries' units.

        Args:
            affordable: whether so many rows may be scored, asked while the size is chosen.
        """
        self.joint.eval()
        n, parts = 0, list[tuple[Tensor, Tensor, Tensor]]()
        for batches in self._doubled():
            if n and (n >= self.size if self.size is not None else _precise(parts, self.joint) or not affordable(2 * n)):
                break
            for batch in batches:
                batch = batch.to(self.joint.device)
                with torch.no_grad():
                    losses = self.joint(self.losses, batch.entries, batch.n, Noise.of(0, batch.n, first_row=n))
                parts.append((batch.total(self.joint, losses), batch.weight, batch.share))
                n += batch.n
        self.size = n
        if not sum(float((weight * share).sum()) for _, weight, share in parts):
            raise UserError(f"fit: no row was held out; pass {way('held_out=0', '--held-out 0')}, or more rows")
        return _mean(parts)[0]

    def _doubled(self) -> Iterator[Iterator[EncodedBatch]]:
        """Batches of the first rows, then of as many again, and so on."""
        if self.long:
            yield from self._pieces()
            return
        at_once, start = max(1, _ENTRIES_AT_ONCE // self.joint.dimensions), 0
        while start < self.rows.n:
            end = max(2 * start, self.first)
            yield encoded(self.joint, self.rows.rows(slice(start, end)), at_once, self.weight)
            start = end

    def _pieces(self) -> Iterator[Iterator[EncodedBatch]]:
        """The same of the windows of long items, some of every batch of items."""
        at_once, n = max(1, _ENTRIES_AT_ONCE // self.joint.dimensions), 0
        for batch in encoded(self.joint, self.rows, at_once, self.weight, most=_PIECES):
            order = Noise.of(1, batch.n, first_row=n).uniform().argsort()
            while len(order):
                some, order = order.split([cut := min(len(order), max(n, 8)), len(order) - cut])
                yield iter([batch.rows(some, n)])
                n += cut


def _mean(parts: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[float, float]:
    """The weighted mean of minus losses, of (losses, weights, shares of an item), and its standard error."""
    losses, weight, share = (torch.cat(each) for each in zip(*parts, strict=True))
    total = (weight * share).sum()
    mean = -(weight * losses).sum() / total
    apart = weight * (-losses - mean * share)
    n = len(losses)
    return float(mean), float((apart**2).sum().sqrt() / total) * math.sqrt(n / (n - 1)) if n > 1 else math.inf


def _precise(parts: list[tuple[Tensor, Tensor, Tensor]], joint: Joint) -> bool:
    """Whether the standard error of the mean is small an entry."""
    pieces = sum(len(losses) for losses, _, _ in parts) / max(1e-9, sum(float(share.sum()) for _, _, share in parts))
    return _mean(parts)[1] <= _PRECISE * joint.dimensions * pieces


class Turns:
    """When a trainer is judged, and at what cost.

    Args:
        trainer: that learns.
        judge: of its stage.
        cost: of what was judged before, for a run that is taken up.
    """

    def __init__(self, trainer: Trainer, judge: Judge, cost: float = 0.0, each: float | None = None) -> None:
        self.trainer, self.judge, self.cost, self.each = trainer, judge, cost, each

    @property
    def elapsed(self) -> float:
        """What learning and judging have cost: seconds, or learned rows."""
        learned = self.trainer.step * self.trainer.batches.size
        return self.trainer.seconds if self.trainer.budget.timed else learned + self.cost

    @property
    def due(self) -> bool:
        """Whether an evaluation leaves the cost of all of them below its share."""
        each = self.elapsed / max(1, self.trainer.step) if self.each is None else self.each
        return self.cost + each <= _SHARE * self.elapsed

    def score(self) -> float:
        """The held-out score with the averaged weights in place."""
        timed, began = self.trainer.budget.timed, self.elapsed
        most = _SHARE * began / max(self.trainer.spent, 1e-6) / _EVALUATIONS  # of what all will have cost
        with self.trainer.averaged_weights():
            value = self.judge.score(lambda rows: (2 * (self.elapsed - began) if timed else self._rows_cost(rows)) <= most)
        assert self.judge.size is not None
        self.each = self.elapsed - began if timed else self._rows_cost(self.judge.size)
        self.cost += self.each
        return value

    def _rows_cost(self, rows: int) -> float:
        return max(rows, self.trainer.batches.size) / 2
