"""Factorized: distributions whose entries are independent of one another given y.

Such a distribution marginalises by leaving out and conditions by fixing. It is drawn by inverse transform, one uniform number
an entry, so what draws step by step can hand the numbers in.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable
from given.distributions.noise import Noise
from given.variables import Entries, Finite

__all__ = ["Factorized"]


class Factorized(Distribution):
    """Independent entries."""

    draws_together = True

    @abc.abstractmethod
    def pick(self, u: Tensor) -> Tensor:
        """The values that uniform numbers u (*shape, B, *grid) in (0, 1) pick."""

    @abc.abstractmethod
    def each(self, values: Tensor) -> Tensor:
        """log p of every value: (*shape, B, *grid) float64."""

    @property
    def log_probs(self) -> Tensor:
        """log p of every symbol at every entry, (B, *grid, V) float64, in a finite space; `Intractable` elsewhere."""
        if not isinstance(self.space, Finite):
            raise Intractable(f"expected entries among finitely many symbols, got {self.space}")
        symbols = torch.arange(self.space.size, device=self.device).reshape(-1, *[1] * (1 + len(self.space.axes)))
        return self.each(symbols.expand(-1, self.n, *self.space.shape)).movedim(0, -1)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        if len(noise.keys) == self.n:
            return self._kept(self.pick(noise.uniform(shape, self.space.shape)))
        u = noise.uniform((), self.space.shape)  # a stream for every draw
        return self._kept(self.pick(u.reshape(*shape, self.n, *self.space.shape)))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        each = torch.where(self._scored(x), self.each(x.tensor), 0.0)
        return each.flatten(each.dim() - len(self.space.axes)).sum(-1) if self.space.axes else each

    def condition(self, evidence: Entries) -> Self:
        return self._but(evidence=self._and(evidence))
