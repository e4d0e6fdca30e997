"""Affine: a distribution of reals, each entry scaled and moved.

    x = m + s z,    log p(x) = log p(z) - sum_d log s_d,    d over the entries that are scored
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, How, Kind
from given.distributions.noise import Noise
from given.variables import Entries

__all__ = ["Affine"]


class Affine(Distribution):
    """m + s z.

    Args:
        distribution: of z, over B rows of a real space.
        mean: (B, *grid) float64, m.
        scale: (B, *grid) float64, s, above 0.
    """

    def __init__(self, distribution: Distribution, mean: Tensor, scale: Tensor) -> None:
        super().__init__(distribution.space, distribution.n, distribution.device)
        self.distribution, self.at, self.scale = distribution, mean, scale
        self.kind, self.adaptive = distribution.kind, distribution.adaptive
        self.draws_together, self.closed = distribution.draws_together, distribution.closed

    @property
    def kind_of_part(self) -> Kind:
        return self.distribution.kind_of_part

    def _by(self, how: How) -> Affine:
        return Affine(self.distribution._by(how), self.at, self.scale)

    def _back(self, x: Entries) -> Entries:
        return x.of((x.tensor - self.at) / self.scale)

    def _to(self, z: Entries) -> Entries:
        return z.of(self.at + self.scale * z.tensor)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        found = self._to(self.distribution.sample(shape, seed=noise))
        return found if self.evidence is None else found.of(torch.where(
            self.evidence.scored, self.evidence.tensor.to(found.tensor), found.tensor))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        scored = self._scored(x)
        volume = torch.where(scored, self.scale.log(), 0.0)
        grid = len(self.space.axes)
        volume = volume.flatten(volume.dim() - grid).sum(-1) if grid else volume
        return self.distribution.log_prob(self._back(x), seed=seed) - volume

    def condition(self, evidence: Entries) -> Affine:
        found = Affine(self.distribution.condition(self._back(evidence)), self.at, self.scale)
        found.evidence = self._and(evidence)
        return found

    def mean(self) -> Entries:
        """The mean: (B, *grid)."""
        return self._to(self.distribution.mean())

    def mode(self) -> Entries:
        """The mode: (B, *grid)."""
        return self._to(self.distribution.mode())

    def deviation(self) -> Entries:
        """The standard deviation: (B, *grid)."""
        found = self.distribution.deviation()
        return found.of(self.scale * found.tensor)
