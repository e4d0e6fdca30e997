"""Entrywise: laws whose entries are independent of one another given y.

Such a law marginalises by leaving out and conditions by fixing. It is drawn by inverse transform, one uniform number an entry,
so what draws step by step can hand the numbers in.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from given.laws.law import How, Law
from given.laws.noise import Noise
from given.variables import Entries, Space

__all__ = ["Entrywise"]


class Entrywise(Law):
    """Independent entries.

    Attributes:
        evidence: entries already known, returned by draws and not scored.
    """

    def __init__(self, space: Space, n: int) -> None:
        super().__init__(space, n)
        self.evidence: Entries | None = None

    @abc.abstractmethod
    def pick(self, u: Tensor) -> Tensor:
        """The values that uniform numbers u (*shape, B, *grid) in (0, 1) pick."""

    @abc.abstractmethod
    def each(self, values: Tensor) -> Tensor:
        """log p of every value: (*shape, B, *grid) float64."""

    def sample(self, shape: Sequence[int] = (), *, seed: int | Noise = 0, how: How | None = None) -> Entries:
        if how is not None:
            return how(self).sample(shape, seed=seed)
        return self._kept(self.pick(Noise.of(seed, self.n).uniform(shape, self.space.shape)))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        scored = x.known if self.evidence is None else x.known & ~self.evidence.known
        each = torch.where(scored, self.each(x.tensor), 0.0)
        return each.flatten(each.dim() - len(self.space.axes)).sum(-1) if self.space.axes else each

    def condition(self, evidence: Entries) -> Self:
        fixed = copy.copy(self)
        fixed.evidence = evidence if self.evidence is None else self.evidence.or_else(evidence)
        return fixed

    def _kept(self, values: Tensor) -> Entries:
        """The values, with the evidence in its place."""
        e = self.evidence
        return Entries(values if e is None else torch.where(e.known, e.tensor.to(values.device), values))
