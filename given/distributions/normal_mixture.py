"""NormalMixture: every entry a mixture of normal distributions, independent of the others given y."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from given.distributions.factorized import Factorized
from given.variables import Entries, Real

__all__ = ["NormalMixture"]


class NormalMixture(Factorized):
    """Independent mixtures.

    Args:
        logits, means, scales: (B, *grid, K).
        space: the real space.
    """

    def __init__(self, logits: Tensor, means: Tensor, scales: Tensor, space: Real) -> None:
        super().__init__(space, len(logits), logits.device)
        self.log_weights = logits.double().log_softmax(-1)
        self.means, self.scales = means.double(), scales.double()

    def moved(self, by: Tensor, scale: Tensor | None = None) -> NormalMixture:
        """The same but for all means, which lie further up by (B, *grid), of values in units of a scale (B, *grid)."""
        if scale is None:
            return self._but(means=self.means + by[..., None])
        scale = scale.double()[..., None]
        return self._but(means=self.means * scale + by[..., None], scales=self.scales * scale)

    def pick(self, u: Tensor) -> Tensor:
        # The number picks a component; where it fell within that component's share picks the value.
        cumulative = self.log_weights.exp().cumsum(-1)
        k = (cumulative < u[..., None]).sum(-1, keepdim=True).clamp(max=cumulative.shape[-1] - 1)
        shape = (*k.shape[:-1], cumulative.shape[-1])
        top, weight, mean, scale = (t.expand(shape).gather(-1, k).squeeze(-1) for t in (
            cumulative, self.log_weights.exp(), self.means, self.scales))
        within = ((u - (top - weight)) / weight).clamp(2.0**-53, 1 - 2.0**-53)  # rounding alone can leave (0, 1)
        return mean + scale * torch.special.ndtri(within)

    def each(self, values: Tensor) -> Tensor:
        z = (values[..., None].double() - self.means) / self.scales
        return (self.log_weights - 0.5 * z**2 - self.scales.log() - 0.5 * math.log(2 * math.pi)).logsumexp(-1)

    def cdf(self, x: Entries) -> Tensor:
        z = (x.tensor[..., None].double() - self.means) / self.scales
        each = torch.where(self._scored(x), (self.log_weights.exp() * torch.special.ndtr(z)).sum(-1), 0.0)
        return each.flatten(each.dim() - len(self.space.axes)).sum(-1) if self.space.axes else each

    def mean(self) -> Entries:
        """The mean: (B, *grid)."""
        return self._kept((self.log_weights.exp() * self.means).sum(-1))
