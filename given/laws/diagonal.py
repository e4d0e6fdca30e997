"""Diagonal: independent normal entries. Its draws carry gradients to mean and scale (the reparametrisation trick)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from given.laws.entrywise import Entrywise
from given.variables import Entries, Real

__all__ = ["Diagonal"]


class Diagonal(Entrywise):
    """Independent normal entries.

    Args:
        mean, scale: (B, *grid).
        space: the real space.
    """

    def __init__(self, mean: Tensor, scale: Tensor, space: Real) -> None:
        super().__init__(space, len(mean))
        self.location, self.scale = mean, scale

    def pick(self, u: Tensor) -> Tensor:
        return self.location + self.scale * torch.special.ndtri(u).to(self.location)

    def each(self, values: Tensor) -> Tensor:
        scale = self.scale.double()
        return -0.5 * ((values - self.location).double() / scale) ** 2 - scale.log() - 0.5 * math.log(2 * math.pi)

    def mean(self) -> Entries:
        """The mean: (B, *grid)."""
        return self._kept(self.location)

    def mode(self) -> Entries:
        """The mode, which is the mean: (B, *grid)."""
        return self.mean()
