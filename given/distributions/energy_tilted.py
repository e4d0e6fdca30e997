"""EnergyTilted: a distribution that knows nothing of y, weighed anew by how well x goes with y.

    p(x | y) = p0(x) exp s(x, y) / Z(y),    Z(y) = E_{x ~ p0} exp s(x, y)

Z is estimated from K draws of p0, the same for all rows; draws are chosen among those K, with probabilities in proportion to
exp s (sampling, importance resampling). Only whole items are scored.

Source: Deng et al., Residual energy-based models for text generation, 2020 / https://arxiv.org/abs/2004.11714
Rubin, The calculation of posterior distributions by data augmentation (comment), 1987
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.noise import Noise, inverse_cdf_sample
from given.variables import Entries

__all__ = ["EnergyTilted"]


class EnergyTilted(Distribution):
    """p0 tilted.

    Args:
        base: p0, B rows of which each is the same.
        score: entries (N, *grid) and their rows (N,) -> s (N,).
        drawn: (K, *grid) draws of p0.
        scores: (B, K) s of every draw with every row.
    """

    kind: Kind = "estimate"

    def __init__(self, base: Distribution, score: Callable[[Entries, Tensor], Tensor], drawn: Entries, scores: Tensor) -> None:
        super().__init__(base.space, base.n, base.device)
        self.adaptive = base.adaptive
        self.base, self.score, self.drawn, self.scores = base, score, drawn, scores.double()
        self.log_z = self.scores.logsumexp(1) - math.log(self.scores.shape[1])

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        chosen = inverse_cdf_sample(self.scores.softmax(1), noise.fold("chosen").uniform(shape))
        return self.drawn.map(lambda t: t[chosen])

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        flat = x.flat(self.space)
        known, unseen = flat.scored.any(-1), (flat.valid & ~flat.seen).any(-1)  # type: ignore[operator]
        if bool((known & unseen).any()):
            raise Intractable("a tilted distribution scores whole items; Autoregressive scores what comes first in its order")
        base = self.base.log_prob(x, seed=seed)
        row = torch.arange(self.n, device=self.device).repeat(base.numel() // max(1, self.n))
        each = self.score(flat.map(lambda t: t.reshape(-1, t.shape[-1])).shaped(self.space), row).double().view(base.shape)
        return torch.where(known, base + each - self.log_z, 0.0)
