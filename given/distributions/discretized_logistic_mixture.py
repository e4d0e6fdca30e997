"""DiscretizedLogisticMixture: ordered levels, cells under a mixture of logistic densities on [-1, 1], and a point mass at
each of the two outer ones.

    p(v) = w_low [v = 0] + w_high [v = V - 1] + sum_k w_k (sigma((b_v+1 - m_k) / s_k) - sigma((b_v - m_k) / s_k))

The outer cells reach to infinity, so the levels' probabilities sum to one. One level costs two edges a component, however many
levels there are: 256 of them are learned as fast as two.

Source: Salimans, Karpathy, Chen, Kingma, PixelCNN++, 2017 / https://arxiv.org/abs/1701.05517
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.factorized import Factorized
from given.distributions.noise import inverse_cdf_sample
from given.variables import Entries, Finite

__all__ = ["DiscretizedLogisticMixture"]


class DiscretizedLogisticMixture(Factorized):
    """Independent entries.

    Args:
        logits: (B, *grid, 2 + K), of the lowest level's point mass, the highest's, and K components.
        means: (B, *grid, K).
        scales: (B, *grid, K), above 0.
        space: finite and ordered, at least 2 levels.
    """

    def __init__(self, logits: Tensor, means: Tensor, scales: Tensor, space: Finite) -> None:
        super().__init__(space, logits.shape[0], logits.device)
        self.logits, self.means, self.scales, self.V = logits, means, scales, space.size

    def each(self, values: Tensor) -> Tensor:
        return self._each(values[..., None], self.logits, self.means, self.scales).double()

    @property
    def log_probs(self) -> Tensor:
        """log p of every level at every entry: (B, *grid, V) float64."""
        log_w, slope = self.logits.double().log_softmax(-1)[..., None], 1 / self.scales.double()
        z = self._edges(slope)
        below = F.logsigmoid(z)
        above = below - z  # log sigma(-z), of the same edges
        share = log_w[..., 2:, :]
        inner = share + torch.log(-torch.expm1(-2 / self.V * slope))[..., None] + below[..., 1:] + above[..., :-1]
        each = torch.cat([share + below[..., :1], inner, share + above[..., -1:]], -1).logsumexp(-2)
        ends = torch.logaddexp(each[..., [0, -1]], log_w[..., :2, 0])
        return torch.cat([ends[..., :1], each[..., 1:-1], ends[..., 1:]], -1)

    @property
    def cells(self) -> Tensor:
        """p of every level at every entry, (B, *grid, V) float64: to 1e-12 of each p above 1e-300, in an eighth of the time."""
        w, slope = self.logits.double().softmax(-1), 1 / self.scales.double()
        z = self._edges(slope)
        below, above = z.sigmoid(), z.neg_().sigmoid_()
        inner = (w[..., 2:] * -torch.expm1(-2 / self.V * slope))[..., None, :] @ (below[..., 1:] * above[..., :-1])
        low, high = ((w[..., 2:] * end).sum(-1, keepdim=True) for end in (below[..., 0], above[..., -1]))
        return torch.cat([w[..., :1] + low, inner[..., 0, :], w[..., 1:2] + high], -1)

    def _edges(self, slope: Tensor) -> Tensor:
        """Edges between levels in units of every component: (B, *grid, K, V - 1)."""
        edges = torch.linspace(-1, 1, self.V + 1, dtype=torch.float64, device=slope.device)[1:-1]
        return (slope[..., None] * edges).sub_((slope * self.means)[..., None])

    @property
    def probs(self) -> Tensor:
        """p of every level at every entry, (B, *grid, V) float64: to 1e-15 of one, not of p, and in a tenth of the time."""
        w = self.logits.double().softmax(-1)
        below = (w[..., None, 2:] @ self._edges(1 / self.scales.double()).sigmoid_())[..., 0, :]
        p = torch.diff(F.pad(below, (1, 0)), dim=-1, append=w[..., 2:].sum(-1, keepdim=True)).clamp_(min=0)
        p[..., 0] += w[..., 0]
        p[..., -1] += w[..., 1]
        return p

    @property
    def lowest(self) -> Tensor:
        """p of the lowest level: (B, *grid) float64, as `probs` has it."""
        w = self.logits.double().softmax(-1)
        slope = 1 / self.scales.double()
        edge = (slope * (2 / self.V - 1)).sub_(slope * self.means).sigmoid_()
        return (w[..., 0] + (w[..., 2:] * edge).sum(-1)).clamp_(max=1)  # rounding alone can pass it

    def of(self, entries: Tensor) -> DiscretizedLogisticMixture:
        """The distributions of some entries (B, *grid) bool, one a row."""
        return DiscretizedLogisticMixture(self.logits[entries], self.means[entries], self.scales[entries],
                                          Finite(self.V, ordered=True))

    def moved(self, by: Tensor, scale: Tensor | None = None) -> DiscretizedLogisticMixture:
        """The same but for all means, which lie further up by (B, *grid), where levels run from -1 to 1, and all in units of a
        scale (B, *grid)."""
        if scale is None:
            return self._but(means=self.means + by[..., None])
        return self._but(means=self.means * scale[..., None] + by[..., None], scales=self.scales * scale[..., None])

    def pick(self, u: Tensor) -> Tensor:
        return inverse_cdf_sample(self.probs, u)

    def mode(self) -> Entries:
        """The most probable level of every entry: (B, *grid)."""
        return self._kept(self.probs.argmax(-1))

    def _each(self, v: Tensor, logits: Tensor, means: Tensor, scales: Tensor) -> Tensor:
        """log p of levels (..., 1), in the precision of the parameters (..., K)."""
        lowest, highest = v == 0, v == self.V - 1
        width = 2 / self.V / scales
        a = (v.to(means.dtype) * (2 / self.V) - 1 - means) / scales
        # sigma(b) - sigma(a) = sigma(b) sigma(-a) (1 - exp(a - b)), b = a + width
        below = torch.where(highest, 0.0, F.logsigmoid(a + width))
        above = torch.where(lowest, 0.0, F.logsigmoid(-a))
        both = torch.where(lowest | highest, 0.0, torch.log(-torch.expm1(-width)))
        log_w = logits.log_softmax(-1)
        cells = log_w[..., 2:] + below + above + both
        masses = log_w[..., :2].masked_fill(~torch.cat([lowest, highest], -1), -torch.inf)
        return torch.cat([masses, cells], -1).logsumexp(-1)
