"""Histogram: reals whose density is constant within bins, with an exponential tail beyond either end.

    p(x) = (1 - 2 e) w_k / (b_k+1 - b_k)   in bin k,      e / s exp(-d / s)   at a distance d beyond an end

s is a fourth of the width of the outer bin at that end, about what a normal goes on by beyond its outer twentieth, and e a
ten-thousandth: nothing is impossible.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.factorized import Factorized
from given.variables import Entries, Real

__all__ = ["Histogram"]

_BEYOND, _REACH = 1e-4, 0.25  # mass of a tail, its s in widths of the outer bin
_TINY = 2.0**-53


class Histogram(Factorized):
    """Independent reals.

    Args:
        logits: (B, *grid, K), of the bins.
        edges: (K + 1,) float64, rising: where bins meet, and both ends.
        space: real, without atoms.
    """

    def __init__(self, logits: Tensor, edges: Tensor, space: Real) -> None:
        super().__init__(space, len(logits), logits.device)
        self.edges, self.widths = edges, edges.diff()
        self.below, self.above = _REACH * self.widths[0], _REACH * self.widths[-1]
        inner = logits.double().log_softmax(-1) + math.log1p(-2 * _BEYOND)
        self.log_weights = F.pad(inner, (1, 1), value=math.log(_BEYOND))  # of a tail, the bins, a tail

    def pick(self, u: Tensor) -> Tensor:
        weights = self.log_weights.exp()
        upto = weights.cumsum(-1)
        k = (upto[..., :-1] < u[..., None]).sum(-1)
        upto, weights = (t.expand(*u.shape, t.shape[-1]).gather(-1, k[..., None]).squeeze(-1) for t in (upto, weights))
        within = ((u - upto + weights) / weights).clamp(_TINY, 1 - _TINY)
        bin = (k - 1).clamp(0, len(self.widths) - 1)
        below = self.edges[0] + self.below * within.log()
        above = self.edges[-1] - self.above * torch.log1p(-within)
        inside = self.edges[bin] + self.widths[bin] * within
        return torch.where(k == 0, below, torch.where(k > len(self.widths), above, inside))

    def each(self, values: Tensor) -> Tensor:
        values = values.double().contiguous()
        k = torch.bucketize(values, self.edges, right=True)
        weights = self.log_weights.expand(*values.shape, self.log_weights.shape[-1]).gather(-1, k[..., None]).squeeze(-1)
        width = torch.cat([self.below[None], self.widths, self.above[None]])[k]
        beyond = (self.edges[0] - values).clamp(min=0) + (values - self.edges[-1]).clamp(min=0)
        return weights - width.log() - beyond / width

    def cdf(self, x: Entries) -> Tensor:
        values, weights = x.tensor.double()[..., None], self.log_weights.exp()
        share = ((values - self.edges[:-1]) / self.widths).clamp(0, 1)
        below = torch.exp((values - self.edges[0]).clamp(max=0) / self.below)
        above = -torch.expm1((self.edges[-1] - values).clamp(max=0) / self.above)
        each = (weights * torch.cat([below, share, above], -1)).sum(-1)
        each = torch.where(self._scored(x), each, 0.0)
        return each.flatten(each.dim() - len(self.space.axes)).sum(-1) if self.space.axes else each

    def mean(self) -> Entries:
        """The mean: (B, *grid)."""
        middles = (self.edges[:-1] + self.edges[1:]) / 2
        ends = self.edges[0] - self.below, self.edges[-1] + self.above
        return self._kept(self.log_weights.exp() @ torch.cat([ends[0][None], middles, ends[1][None]]))
