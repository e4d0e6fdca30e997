"""NGram: every symbol given the few before it, counted.

    p_n(w | c) = max(N(c w) - D(N(c w)), 0) / N(c .) + left(c) p_{n-1}(w | c'),    p_0(w) = 1 / V

Interpolated modified Kneser-Ney: N counts occurrences in grams of the greatest length and in those a row begins with, and in
shorter grams the different symbols that stand before them; c' is the past c without its oldest symbol; every length has three
discounts D, for counts of 1, 2 and more, from how many grams were counted one to four times. Finite parents are counted apart.
Learned in one pass. `log_prob` is exact, and so are marginals and conditionals of what comes first.

Source: Kneser, Ney, Improved backing-off for m-gram language modeling, 1995
Chen, Goodman, An empirical study of smoothing techniques for language modeling, 1998 /
https://dash.harvard.edu/handle/1/25104739
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from given import laws
from given.conditional import Batch, Conditional, state_of, states
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["NGram"]


class NGram(Conditional):
    """Interpolated modified Kneser-Ney.

    Args:
        x: symbols, in the order of their grid.
        parents: finite, few enough to count apart.
        order: the length of the longest gram; a symbol is given order - 1 before it.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, order: int = 6) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite):
            raise UserError(f"NGram: expected a finite space, got {x.name}: {x.space}; use Autoregressive")
        if not isinstance(order, int) or order < 1:
            raise UserError(f"NGram: order={order!r}; expected a whole number from 1")
        self.order, self.V = order, x.space.size
        self.states = states(self.parents, f"NGram {x.name}")
        self._levels: tuple[Tensor, list[laws.Grams]] | None = None
        for name, dtype in (("keys", torch.int64), ("share", torch.float32), ("left", torch.float32), ("sizes", torch.int64)):
            self.register_buffer(name, torch.zeros(0, dtype=dtype))

    def forward(self, y: Observed) -> laws.Backoff:
        if not len(self.sizes):
            raise UserError(f"NGram {self.x.name}: nothing is counted yet; fit it first")
        sizes = self.sizes.tolist()
        pasts = [self.states, *sizes[:-1]]
        if self._levels is None or self._levels[0] is not self.keys:  # counted or loaded since
            each = zip(self.keys.split(sizes), self.share.split(sizes), self.left.split(pasts), strict=True)
            self._levels = self.keys, [laws.Grams(*tables, self.V) for tables in each]
        assert isinstance(self.x.space, Finite)
        return laws.Backoff(self.x.space, self._levels[1], state_of(self.parents, y))

    def estimate(self, batches: Iterable[Batch]) -> None:
        symbols, state, weight = (torch.cat(part) for part in zip(*self._streams(batches), strict=True))
        keys, counts, begin, follows = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
        nodes = torch.zeros(0)

        def number(wanted: Tensor) -> Tensor:
            nonlocal nodes
            there = wanted >= 0
            found, index = wanted[there].unique(return_inverse=True)
            nodes = torch.full_like(wanted, -1).masked_scatter(there, index)
            keys.append(found)
            counts.append(torch.bincount(index, weight[there], len(found)))
            return nodes

        before = torch.zeros(0)
        for n, (_, node) in enumerate(laws.paths(symbols, state, self.V, [number] * self.order)):
            there = node >= 0
            if n:  # the gram without its oldest symbol
                follows.append(torch.zeros(len(keys[n]), dtype=torch.int64).scatter_(0, node[there], before[there]))
            begin.append(begin[-1][keys[n] // (self.V + 1)] if n else keys[0] % (self.V + 1) == self.V)
            before = node
        share, left = [], []
        for n, (key, count) in enumerate(zip(keys, counts, strict=True)):
            if n + 1 < self.order:
                different = torch.bincount(follows[n][counts[n + 1] > 0], minlength=len(key)).double()
                count = torch.where(begin[n], count, different)
            kept = (count - _discounts(count)).clamp(min=0)
            past, pasts = key // (self.V + 1), len(keys[n - 1]) if n else self.states
            total = torch.bincount(past, count, pasts)
            share.append((kept / total[past].clamp(min=1e-300)).float())
            left.append((1 - torch.bincount(past, share[-1].double(), pasts)).float())
        self.keys, self.share, self.left = torch.cat(keys), torch.cat(share), torch.cat(left)
        self.sizes = torch.tensor([len(key) for key in keys])

    def _streams(self, batches: Iterable[Batch]) -> Iterable[tuple[Tensor, Tensor, Tensor]]:
        """Rows end to end: symbols as `laws.paths` reads them, the parents' state, the weight, 0 where nothing is counted."""
        for x, y, weight in batches:
            if not x.complete:
                raise UserError(f"{self.x.name}: NGram counts whole items, got unseen entries; use Independent")
            flat = x.flat(self.x.space)
            # Of the context only what a counted symbol is given.
            near = flat.known
            for _ in range(self.order - 1):
                near = near | F.pad(near[:, 1:], (0, 1))
            symbols = F.pad(torch.where(near & flat.told, flat.tensor, -1).long(), (1, 0))
            symbols[:, 0] = torch.where(flat.begins, self.V, -1)
            counted = F.pad(torch.where(flat.known, weight[:, None].double(), 0.0), (1, 0))
            keep = symbols >= 0
            keep[:, 0] = True
            yield symbols[keep], state_of(self.parents, y)[:, None].expand(keep.shape)[keep], counted[keep]

    # Grams have no fixed number: a loaded state brings its own.
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("keys", "share", "left", "sizes"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _discounts(counts: Tensor) -> Tensor:
    """What every count gives up; without grams counted one to four times to tell it from, half of it, of 3 at most."""
    times = counts.ceil().long()
    n = torch.bincount(times.clamp(max=5), minlength=6).double()
    kinds = torch.tensor([0, 0.5, 1, 1.5], dtype=torch.float64)
    if bool((n[1:5] > 0).all()):
        k = torch.arange(1, 4)
        found = k - (k + 1) * n[1] / (n[1] + 2 * n[2]) * n[2:5] / n[1:4]
        kinds[1:] = torch.where((found > 0) & (found < k), found, kinds[1:])
    return kinds[times.clamp(max=3)]
