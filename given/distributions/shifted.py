"""Shifted: reals x = b + s d on a grid, of a distribution of d."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from given.distributions.distribution import Distribution, How, Kind
from given.distributions.noise import Noise
from given.variables import Entries

__all__ = ["Shifted"]


class Shifted(Distribution):
    """Reals moved and scaled.

    Args:
        distribution: of d.
        base: (B, *grid) b.
        scale: s, above 0.
    """

    def __init__(self, distribution: Distribution, base: Tensor, scale: float) -> None:
        super().__init__(distribution.space, distribution.n, distribution.device)
        self.distribution, self.base, self.scale = distribution, base, scale
        self.kind, self.adaptive = distribution.kind, distribution.adaptive

    @property
    def kind_of_part(self) -> Kind:
        return self.distribution.kind_of_part

    def _by(self, how: How) -> Shifted:
        inner = self.distribution._by(how)
        return self if inner is self.distribution else self._but(distribution=inner, kind=inner.kind)

    def _back(self, x: Entries) -> Entries:
        return x.of((x.tensor - self.base) / self.scale)

    def _out(self, d: Entries) -> Entries:
        return d.of(self.base + self.scale * d.tensor)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return self._kept(self._out(self.distribution.sample(shape, seed=noise)).tensor)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        scored = self._scored(x)[..., None].flatten(x.tensor.dim() - len(self.space.axes)).sum(-1)
        return self.distribution.log_prob(self._back(x), seed=seed) - scored * math.log(self.scale)

    def condition(self, evidence: Entries) -> Shifted:
        return self._but(distribution=self.distribution.condition(self._back(evidence)), evidence=self._and(evidence))

    def mean(self) -> Entries:
        return self._out(self.distribution.mean())

    def mode(self) -> Entries:
        return self._out(self.distribution.mode())

    def deviation(self) -> Entries:
        found = self.distribution.deviation()
        return found.of(self.scale * found.tensor)
