"""Dequantised: a continuous distribution on [-1, 1]^D read as a distribution of V ordered levels.

A level v becomes the cell [2 v / V - 1, 2 (v + 1) / V - 1], the outermost cells reaching to infinity, so the levels'
probabilities are the cells' masses and sum to one. With u uniform in the cell, by Jensen's inequality,

    log P(v) = log E_u[p(u)] + D log(2 / V)  >=  E_u[log p(u)] + D log(2 / V),

where the first is an inequality too at the outermost cells. `log_prob` is the mean over draws of u: an unbiased estimate of
that bound, reported as a bound; where p itself is estimated or unknown, so is the bound.

Given some levels, a field is given the middles of their cells. Where the last noise of a path blurs the levels in place of u,
the distribution is of the middles alone, and its bound is that of the levels' masses.

Source: Theis, van den Oord, Bethge, A note on the evaluation of generative models, 2016 /
https://arxiv.org/abs/1511.01844
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, How, Kind, weakest
from given.distributions.guidance import AtLastNoise
from given.distributions.noise import Noise
from given.variables import Entries, Finite

__all__ = ["Dequantised", "dequantise", "levels", "middles"]


class Dequantised(Distribution):
    """Levels, by way of a distribution of reals.

    Args:
        distribution: over a real space of the same grid.
        space: finite and ordered.
        samples: how many draws of u, or of the path's noise, a score averages; of None 4, and 1 where each solves an equation.
        last_noise: whether the distribution is of middles, which the last noise of its path blurs.
    """

    kind: Kind = "bound"

    def __init__(self, distribution: Distribution, space: Finite, samples: int | None = 1, *,
                 last_noise: bool = False) -> None:
        super().__init__(space, distribution.n, distribution.device)
        self.last_noise = last_noise
        distribution = distribution.by(AtLastNoise(space.size)) if last_noise else distribution
        self.distribution, self.samples = distribution, samples
        self.levels = space.size
        self.adaptive = distribution.adaptive
        self.kind = _bound_of(distribution)

    @property
    def kind_of_part(self) -> Kind:
        return weakest([self.kind, self.distribution.kind_of_part])

    def _by(self, how: How) -> Dequantised:
        inner = self.distribution._by(how)
        return self if inner is self.distribution else self._but(distribution=inner, kind=_bound_of(inner))

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        assert isinstance(self.space, Finite)
        return self._kept(levels(self.distribution.sample(shape, seed=noise), self.space).tensor)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        noise = Noise.of(seed, self.n, device=self.device)
        assert isinstance(self.space, Finite)
        folds = [noise.fold(k) for k in range(self.samples or (1 if self.kind == "estimate" else 4))]
        if self.last_noise:
            at = middles(x, self.space)
            return torch.stack([self.distribution.log_prob(at, seed=fold.fold("inner")) for fold in folds]).mean(0)
        each = [self.distribution.log_prob(dequantise(x, self.space, fold), seed=fold.fold("inner")) for fold in folds]
        grid = len(self.space.axes)
        open_ = self._scored(x)
        scored = open_.flatten(x.tensor.dim() - grid).sum(-1) if grid else open_.long()
        return torch.stack(each).mean(0) + scored * math.log(2 / self.levels)

    def mean(self) -> Entries:
        """The mean level, float64, where what lies beyond the outermost cells weighs nothing."""
        inner = self.distribution.mean()
        return self._kept((inner.tensor.double() + 1) * (self.levels / 2) - 0.5)

    def condition(self, evidence: Entries) -> Dequantised:
        if self.distribution.kind_of_part not in ("estimate", "none"):
            return super().condition(evidence)  # type: ignore[return-value]
        assert isinstance(self.space, Finite)
        inner = self.distribution.condition(middles(evidence, self.space))
        return self._but(distribution=inner, evidence=self._and(evidence), kind=_bound_of(inner))


def _bound_of(distribution: Distribution) -> Kind:
    """The kind of a score of levels by way of a distribution."""
    return distribution.kind if distribution.kind in ("none", "estimate") else "bound"


def middles(x: Entries, space: Finite) -> Entries:
    """Levels (*shape, B, *grid) -> the middles of their cells in [-1, 1], float64, masks kept."""
    return x.of((x.tensor.double() + 0.5) * (2 / space.size) - 1)


def levels(x: Entries, space: Finite) -> Entries:
    """Points (*shape, B, *grid) -> the levels in whose cells they lie, masks kept; the outermost cells reach to infinity."""
    return x.of(((x.tensor + 1) * (space.size / 2)).floor().long().clamp(0, space.size - 1))


def dequantise(x: Entries, space: Finite, noise: Noise) -> Entries:
    """Levels (*shape, B, *grid) -> a uniform draw from each one's cell in [-1, 1], float64, masks kept."""
    shape = x.tensor.shape
    lead = len(shape) - len(space.axes) - 1
    u = noise.uniform(shape[:lead], shape[lead + 1:])
    return x.of((x.tensor + u) * (2 / space.size) - 1)
