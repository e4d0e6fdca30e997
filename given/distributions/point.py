"""Point: all mass at one value, as an encoder without noise gives it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.noise import Noise
from given.variables import Entries, Finite, Space

__all__ = ["Point"]


class Point(Distribution):
    """One value a row. Of symbols its log p is 0 there and minus infinity elsewhere; of reals it has no density.

    Args:
        value: (B, *grid), a tensor.
        space: of a grid.
    """

    def __init__(self, value: Tensor, space: Space) -> None:
        super().__init__(space, len(value), value.device)
        self.value = value

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """Exact of symbols, none of reals."""
        return "exact" if isinstance(self.space, Finite) else "none"

    def rows(self, index: Tensor) -> Point:
        """The points of the rows `index`."""
        return Point(self.value[index], self.space)

    def joined(self, others: Sequence[Point]) -> Point:
        """Those of these rows and of others."""
        return Point(torch.cat([self.value, *(q.value for q in others)]), self.space)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return Entries(self.value.expand(*shape, *self.value.shape))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        if self.kind == "none":
            raise Intractable("a point of reals has no density: an encoder without noise makes no score; use one with noise, "
                              "such as Regression")
        there = (x.tensor == self.value) | ~x.scored
        there = there.flatten(there.dim() - len(self.space.axes)).all(-1) if self.space.axes else there
        return torch.where(there, 0.0, -torch.inf).double()

    def cdf(self, x: Entries) -> Tensor:
        each = torch.where(x.scored, (self.value <= x.tensor).double(), 0.0)
        return each.flatten(each.dim() - len(self.space.axes)).sum(-1) if self.space.axes else each

    def mode(self) -> Entries:
        return Entries(self.value)

    def mean(self) -> Entries:
        """The value, symbols too: what a point stands for."""
        return Entries(self.value)
