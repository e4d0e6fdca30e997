"""Dequantised: a continuous distribution on [-1, 1]^D read as a distribution of V ordered levels.

A level v becomes the cell [2 v / V - 1, 2 (v + 1) / V - 1], the outermost cells reaching to infinity, so the levels'
probabilities are the cells' masses and sum to one. With u uniform in the cell, by Jensen's inequality,

    log P(v) = log E_u[p(u)] + D log(2 / V)  >=  E_u[log p(u)] + D log(2 / V),

where the first is an inequality too at the outermost cells. `log_prob` is the mean over `samples` draws of u: an
unbiased estimate of that bound, reported as a bound; where p itself is estimated or unknown, so is the bound.

Given some levels, a field is given the middles of their cells.

Source: Theis, van den Oord, Bethge, A note on the evaluation of generative models, 2016 /
https://arxiv.org/abs/1511.01844
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, How, Kind
from given.distributions.noise import Noise
from given.variables import Entries, Finite

__all__ = ["Dequantised", "dequantise"]


class Dequantised(Distribution):
    """Levels, by way of a distribution of reals.

    Args:
        distribution: over a real space of the same grid.
        space: finite and ordered.
        samples: how many draws of u a score averages.
    """

    kind: Kind = "bound"

    def __init__(self, distribution: Distribution, space: Finite, samples: int = 1) -> None:
        super().__init__(space, distribution.n, distribution.device)
        self.distribution, self.samples = distribution, samples
        self.levels = space.size
        self.adaptive = distribution.adaptive
        if distribution.kind in ("none", "estimate"):
            self.kind = distribution.kind

    @property
    def kind_of_part(self) -> Kind:
        return "none" if self.distribution.kind_of_part == "none" else self.kind

    def _by(self, how: How) -> Dequantised:
        return self._but(distribution=self.distribution._by(how))

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        z = self.distribution.sample(shape, seed=noise).tensor
        # By definition of the outermost cells, which reach to infinity.
        return self._kept(((z + 1) * (self.levels / 2)).floor().long().clamp(0, self.levels - 1))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        noise = Noise.of(seed, self.n, device=self.device)
        assert isinstance(self.space, Finite)
        folds = [noise.fold(k) for k in range(self.samples)]
        each = [self.distribution.log_prob(dequantise(x, self.space, fold), seed=fold.fold("inner")) for fold in folds]
        grid = len(self.space.axes)
        open_ = self._scored(x)
        scored = open_.flatten(x.tensor.dim() - grid).sum(-1) if grid else open_.long()
        return torch.stack(each).mean(0) + scored * math.log(2 / self.levels)

    def condition(self, evidence: Entries) -> Dequantised:
        if self.kind_of_part != "none":
            return super().condition(evidence)  # type: ignore[return-value]
        middles = evidence.of((evidence.tensor.double() + 0.5) * (2 / self.levels) - 1)
        inner = self.distribution.condition(middles)
        return self._but(distribution=inner, evidence=self._and(evidence),
                         kind=inner.kind if inner.kind in ("none", "estimate") else "bound")


def dequantise(x: Entries, space: Finite, noise: Noise) -> Entries:
    """Levels (*shape, B, *grid) -> a uniform draw from each one's cell in [-1, 1], float64, masks kept."""
    shape = x.tensor.shape
    lead = len(shape) - len(space.axes) - 1
    u = noise.uniform(shape[:lead], shape[lead + 1:])
    return x.of((x.tensor + u) * (2 / space.size) - 1)
