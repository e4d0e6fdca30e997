"""Cumulative: the distribution function of one real column, a mixture over what is unknown above it.

    F(x) = sum_h p(h | e) F(x | h, e),    P(x in R) = sum_{atoms a in R} P(x = a) + F_0(high) - F_0(low)

with F_0 the part of F that has a density. Its inverse, by halving, gives quantiles and draws, within a region too: a number
u from 0 to 1 picks the entry below which a share u of the region's probability lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from given.distributions import Distribution, Kind, weakest
from given.infer.entry import single_entries
from given.infer.events import Region
from given.variables import Entries, Product, Real

__all__ = ["Cumulative"]

_HALVINGS = 100  # of an interval of entries, past the rounding of float64


class Cumulative:
    """Of n rows.

    Args:
        parts: weights (n,) and the distributions they are of, each of a factor's x with what is given of it.
        name: the column.
        region: the distribution is the one within it, normalised; by default that of all values.

    Attributes:
        kind: of its probabilities.

    Raises:
        Intractable: a distribution function has no closed form.
    """

    def __init__(self, parts: Iterable[tuple[Tensor, Distribution]], name: str, region: Region | None = None) -> None:
        self.name = name
        self.parts = [each for weight, distribution in parts for each in single_entries(weight, distribution, name)]
        self.kind: Kind = weakest(distribution.kind_of_part for _, distribution in self.parts)
        self.n, first = len(self.parts[0][0]), self.parts[0][1].space
        space = dict(first.parts).get(name, first)
        assert isinstance(space, Real)
        self.atoms = torch.tensor(space.atoms, dtype=torch.float64)  # (K,)
        at = self.atoms[:, None].expand(-1, self.n)
        self.masses = self._mixed(at, lambda d, x: d.log_prob(x).exp()) if len(at) else at  # (K, n)
        self._mixed(torch.zeros(1, self.n, dtype=torch.float64), lambda d, x: d.cdf(x))  # raises where there is none
        self.region = region or Region(None, -math.inf, math.inf, self.atoms)
        inside = torch.isin(self.atoms, self.region.atoms)
        self.inside, self.counted = self.atoms[inside], self.masses[inside]
        self.low = self._smooth(torch.full((1, self.n), self.region.low, dtype=torch.float64))[0]
        self.high = self._smooth(torch.full((1, self.n), self.region.high, dtype=torch.float64))[0]

    @property
    def mass(self) -> Tensor:
        """P(x in the region): (n,) float64."""
        line = (self.high - self.low).clamp(min=0) if self.region.low < self.region.high else torch.zeros(())
        return self.counted.sum(0) + line

    def inverse(self, u: Tensor) -> Tensor:
        """The entries (Q, n) of the region below which shares u (Q, n) of its probability lie: atoms first, then the rest, so
        that these are quantiles where there are no atoms."""
        goal = u * self.mass
        if len(self.inside):
            upto = self.counted.cumsum(0)
            k = (upto[:, None] < goal).sum(0)
            rest = self._line(goal - upto[-1])
            return torch.where(k < len(upto), self.inside[k.clamp(max=len(upto) - 1)], rest)
        return self._line(goal)

    def _line(self, goal: Tensor) -> Tensor:
        """The entries (Q, n) up to which probabilities `goal` of the part with a density lie, within the region."""
        region, goal = self.region, goal.clamp(min=0) + self.low
        if not region.low < region.high:
            return torch.zeros_like(goal)
        low, high = (torch.full_like(goal, end if math.isfinite(end) else start)
                     for end, start in ((region.low, min(-8.0, region.high - 8)), (region.high, max(8.0, region.low + 8))))
        reach = 8.0
        while region.low == -math.inf and bool((self._smooth(low) > goal).any()) and reach < 1e300:
            reach *= 2
            low = low - reach
        reach = 8.0
        while region.high == math.inf and bool((self._smooth(high) < goal).any()) and reach < 1e6:
            reach *= 2
            high = high + reach
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if bool(((middle == low) | (middle == high)).all()):
                break
            below = self._smooth(middle) < goal
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return torch.where(high == region.high, low, high)

    def _smooth(self, x: Tensor) -> Tensor:
        """The distribution function at x (Q, n) without its steps."""
        steps = torch.where(self.atoms[:, None, None] <= x, self.masses[:, None], 0.0).sum(0) if len(self.atoms) else 0.0
        return self._mixed(x, lambda d, at: d.cdf(at)) - steps

    def _mixed(self, x: Tensor, of: Callable[[Distribution, Entries], Tensor]) -> Tensor:
        """The mean over the parts of a number at entries x (Q, n): (Q, n) float64."""
        total = torch.zeros_like(x)
        for weight, distribution in self.parts:
            space, columns = distribution.space, {"": Entries(x)}
            if isinstance(space, Product):
                columns = {k: Entries.unseen(part, self.n).map(lambda t: t.expand(len(x), *t.shape))
                           for k, part in space.parts} | {self.name: Entries(x)}
            at = Entries.block(columns) if isinstance(space, Product) else columns[""]
            total += weight * of(distribution, at.to(distribution.device)).cpu()
        return total
