"""EntropyGate: weights of a mixture's parts that depend on how sure each part is.

    w_k(h) = sum_c phi_c(h) W_ck,    h_j the entropy, in nats, of part j's distribution of the next symbol

The cells c are the corners of a grid of knots, some on every part's entropy; phi_c is one at its own corner, falls linearly to
zero at the next and sums to one. So weights know only what came before, sum to one, and move as little as the entropies do: a
cached step, equal to rounding, gets equal weights, which it would not at the edge of a bin.

The rows of W are those of greatest likelihood, by expectation maximisation, each with `_IMAGINED` places of the common weights
beside its own: a cell seldom met stays near those.

Source: Jelinek, Mercer, Interpolated estimation of Markov source parameters from sparse data, 1980 (weights by buckets of
counts)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["EntropyGate"]

_CELLS = 36
_IMAGINED = 5
_APART = 0.02  # nats between knots: the weights' steepest rise
_PASSES, _TOLERANCE = 200, 1e-6
_PLACES = 1 << 17


@dataclass(frozen=True)
class EntropyGate:
    """Weights of K parts.

    Attributes:
        knots: (K, J) float64, rising.
        cells: (J^K, K) float64, weights at every corner of the grid, the last part's knots running fastest.
    """

    knots: Tensor
    cells: Tensor

    @staticmethod
    def even(K: int) -> EntropyGate:
        """The same weight for every part everywhere."""
        J = max(1, int(_CELLS ** (1 / K) + 1e-9))
        knots = torch.arange(J, dtype=torch.float64).expand(K, J).clone()
        return EntropyGate(knots, torch.full((J**K, K), 1 / K, dtype=torch.float64))

    @property
    def fixed(self) -> bool:
        """Whether the weights are the same everywhere."""
        return bool((self.cells == self.cells[0]).all())

    def log_weights(self, entropies: Tensor) -> Tensor:
        """(..., K) -> (..., K) float64."""
        if self.fixed:
            return self.cells[0].log()
        corner, share = self._corners(entropies)
        return (share[..., None] * self.cells[corner]).sum(-2).log()

    def _corners(self, entropies: Tensor) -> tuple[Tensor, Tensor]:
        """The cells (..., 2^K) about each place and its share of each."""
        K, J = self.knots.shape
        corner = torch.zeros(*entropies.shape[:-1], 1, dtype=torch.int64, device=entropies.device)
        share = torch.ones(corner.shape, dtype=torch.float64, device=entropies.device)
        if J == 1:
            return corner, share
        for k, (knots, h) in enumerate(zip(self.knots, entropies.double().unbind(-1), strict=True)):
            j = (torch.searchsorted(knots, h.contiguous(), right=True) - 1).clamp(0, J - 2)
            above = ((h - knots[j]) / (knots[j + 1] - knots[j])).clamp(0, 1)[..., None]
            at = corner + j[..., None] * J ** (K - 1 - k)
            corner = torch.cat([at, at + J ** (K - 1 - k)], -1)
            share = torch.cat([share * (1 - above), share * above], -1)
        return corner, share

    def fitted(self, log_p: Tensor, entropies: Tensor, amount: Tensor, weights: Tensor) -> EntropyGate:
        """The gate of as many knots under which places are likeliest.

        Args:
            log_p: (N, K) of what stands at every place under every part.
            entropies: (N, K).
            amount: (N,) how much each place counts.
            weights: (K,) the common weights, none of them 0.
        """
        told = ((log_p.amax(1) > -torch.inf) & (amount > 0)).nonzero()[:, 0]
        told = told[:: -(-len(told) // _PLACES)]
        log_p, entropies, amount = log_p[told], entropies[told], amount[told].double()
        J = self.knots.shape[1]
        between = (torch.arange(J, dtype=torch.float64) + 0.5) / J
        knots = torch.stack([h.sort().values[(between * len(h)).long()] for h in entropies.T]).double()
        for j in range(1, J):
            knots[:, j] = torch.maximum(knots[:, j], knots[:, j - 1] + _APART)
        corner, share = EntropyGate(knots, self.cells)._corners(entropies)
        p = (log_p - log_p.amax(1, keepdim=True)).exp().double()
        cells = weights.expand(self.cells.shape).clone()
        for _ in range(_PASSES):
            each = share[..., None] * cells[corner] * p[:, None]  # (N, 2^K, K)
            each *= (amount / each.sum((1, 2)))[:, None, None]
            found = (_IMAGINED * weights).expand(cells.shape).clone()
            found.index_add_(0, corner.flatten(), each.flatten(0, 1))
            before, cells = cells, found / found.sum(1, keepdim=True)
            if bool((cells - before).abs().max() < _TOLERANCE):
                break
        return EntropyGate(knots, cells)

