"""Diagonal: independent normal entries. Its draws carry gradients to mean and scale (the reparametrisation trick)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from given.laws.law import How, Law
from given.laws.noise import Noise
from given.variables import Entries, Real

__all__ = ["Diagonal"]


class Diagonal(Law):
    """Independent normal entries.

    Args:
        mean, scale: (B, *grid).
        space: the real space.
        evidence: entries already known, returned by draws and not scored.
    """

    def __init__(self, mean: Tensor, scale: Tensor, space: Real, evidence: Entries | None = None) -> None:
        super().__init__(space, len(mean))
        self.location, self.scale, self.evidence = mean, scale, evidence

    def sample(self, shape: Sequence[int] = (), *, seed: int | Noise = 0, how: How | None = None) -> Entries:
        if how is not None:
            return how(self).sample(shape, seed=seed)
        noise = Noise.of(seed, self.n).normal(shape, self.space.shape).to(self.location)
        values = self.location + self.scale * noise
        return self._kept(values)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        z = (x.tensor - self.location).double() / self.scale.double()
        each = -0.5 * z**2 - self.scale.double().log() - 0.5 * math.log(2 * math.pi)
        each = torch.where(x.known if self.evidence is None else x.known & ~self.evidence.known, each, 0.0)
        return each.flatten(each.dim() - len(self.space.axes)).sum(-1) if self.space.axes else each

    def condition(self, evidence: Entries) -> Diagonal:
        assert isinstance(self.space, Real)
        if self.evidence is not None:
            evidence = evidence.or_else(self.evidence)
        return Diagonal(self.location, self.scale, self.space, evidence)

    def mean(self) -> Entries:
        """The mean: (B, *grid)."""
        return self._kept(self.location)

    def mode(self) -> Entries:
        """The mode, which is the mean: (B, *grid)."""
        return self.mean()

    def _kept(self, values: Tensor) -> Entries:
        """The values, with the evidence in its place."""
        e = self.evidence
        return Entries(values if e is None else torch.where(e.known, e.tensor.to(values), values))
