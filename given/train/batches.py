"""Batches: columns in, encoded batches out; which row is held out; in which order an epoch goes.

Everything is a function of a seed and of a row's number, so that a data set in memory and the same one streamed from disk
are split alike, and an epoch can be taken up in its middle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from given.conditional import Batch, Conditional
from given.joint import Joint
from given.laws import Noise
from given.sources import Columns, Source
from given.variables import Entries, UserError

__all__ = ["Batches", "Encoded", "Split", "encoded"]

_SHUFFLED_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Encoded:
    """A batch as the joint takes it: column -> entries of n rows, and weights (n,) float64."""

    entries: dict[str, Entries]
    n: int
    weight: Tensor


@dataclass(frozen=True)
class Split(Source):
    """The rows of a source that a seed puts in the held-out part, or those that it does not.

    Args:
        source: all rows.
        share: the held-out part.
        seed: of the split.
        held_out: which side this is.
    """

    source: Source
    share: float
    seed: int
    held_out: bool

    @property
    def names(self) -> tuple[str, ...]:
        return self.source.names

    def batches(self, size: int) -> Iterator[Columns]:
        first = 0
        for batch in self.source.batches(size):
            u = Noise.of(self.seed, batch.n, first_row=first).fold("held out").uniform().numpy()
            first += batch.n
            chosen = (u < self.share) == self.held_out
            if chosen.any():
                yield batch.rows(chosen)


def encoded(joint: Joint, data: Source, size: int, weight: str | None = None) -> Iterator[Encoded]:
    """One pass in order. `weight` names the column of the rows' weights, if any."""
    first = 0
    for batch in data.batches(size):
        yield _encode(joint, batch, first, weight)
        first += batch.n


def _encode(joint: Joint, batch: Columns, first_row: int, weight: str | None) -> Encoded:
    observed = [name for name in joint.columns if name not in joint.latents]
    absent = [name for name in observed if name not in batch]
    if absent:
        raise UserError(f"{absent[0]}: no such column in the data; there are {', '.join(batch.names)}")
    entries = {name: joint.columns[name].encode(batch, first_row) for name in observed}
    return Encoded(entries, batch.n, _weights(batch, weight, first_row))


def _weights(batch: Columns, weight: str | None, first_row: int) -> Tensor:
    if weight is None:
        return torch.ones(batch.n, dtype=torch.float64)
    values = batch[weight]
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise UserError(f"{weight}: expected one weight a row, got {values.dtype} of shape {values.shape}")
    values = values.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise UserError(f"{weight}, row {first_row + bad[0]}: got {values[bad[0]]}; expected a weight of 0 or more")
    return torch.from_numpy(values)


class Batches:
    """Shuffled batches of encoded rows, epoch by epoch.

    Args:
        joint: whose variables encode.
        data: the training rows.
        size: rows a batch; the last of an epoch may be smaller.
        seed: of the order.
        weight: the column of the rows' weights, if any.

    Attributes:
        length: batches an epoch, counted in one pass.
        mean_weight: of a row.
    """

    def __init__(self, joint: Joint, data: Source, size: int, seed: int, weight: str | None = None) -> None:
        if not isinstance(size, int) or size < 1:
            raise UserError(f"batch={size!r}; expected a whole number of rows from 1")
        self.joint, self.data, self.size, self.seed, self.weight = joint, data, size, seed, weight
        self.length, rows, total = 0, 0, 0.0
        for run in self._runs():
            total += float(_weights(run, weight, rows).sum())
            rows += run.n
            self.length += -(-run.n // size)
        if not total:
            what = "a row" if weight is None else f"a row with {weight} above 0"
            raise UserError(f"fit: expected at least {what} to learn from, got none")
        self.mean_weight = total / rows

    def _runs(self) -> Iterator[Columns]:
        """Rows that are shuffled together: all that are in memory, 65,536 of a stream."""
        return self.data.batches(max(self.data.n if isinstance(self.data, Columns) else _SHUFFLED_AT_ONCE, self.size))

    def epoch(self, number: int, skip: int = 0) -> Iterator[Encoded]:
        """The batches of one epoch, the first `skip` of them left out."""
        rng = np.random.default_rng([self.seed, number])
        made, first = 0, 0
        for run in self._runs():
            order = rng.permutation(run.n)
            for start in range(0, run.n, self.size):
                if made >= skip:
                    rows = order[start:start + self.size]
                    yield self._encode(run, rows, first)
                made += 1
            first += run.n

    def _encode(self, run: Columns, rows: np.ndarray, first: int) -> Encoded:
        try:
            return _encode(self.joint, run.rows(rows), 0, self.weight)
        except UserError:
            _encode(self.joint, run, first, self.weight)  # again in order, so that the message names the file's row
            raise

    def pass_for(self, factor: Conditional, shares: Sequence[Tensor] | None = None) -> Iterable[Batch]:
        """Re-iterable batches (x, y, weight) of one factor, in the data's order.

        Args:
            factor: of the joint.
            shares: (n, K) a batch, where a latent is summed out: every row comes once for each of its K joint values, weighted
                by its share.
        """
        return _Pass(self, factor, shares)

    def in_order(self) -> Iterator[Encoded]:
        """One pass in the data's order."""
        return encoded(self.joint, self.data, max(self.size, 1024), self.weight)


@dataclass(frozen=True)
class _Pass:
    batches: Batches
    factor: Conditional
    shares: Sequence[Tensor] | None

    def __iter__(self) -> Iterator[Batch]:
        joint = self.batches.joint
        for i, batch in enumerate(self.batches.in_order()):
            entries, n, weight = joint.encoded(batch.entries, batch.n), batch.n, batch.weight
            if self.shares is not None:
                every, entries, row = joint.enumerated(entries, n)
                n, weight = n * every, weight[row] * self.shares[i].flatten()
            yield joint.x(self.factor, entries), joint.y(self.factor, entries, n), weight
