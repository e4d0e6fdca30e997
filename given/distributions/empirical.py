"""Empirical: stored items, each the centre of a kernel.

    p(x | y) = sum_i w_i(y) prod_d k(x_d | c_id)

over the stored items c_i. With the kernel a point mass this is the empirical distribution itself: the minimal generative model.
Conditioning on seen entries reweights the items, w_i <- w_i prod_{d seen} k(x_d | c_id), and is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution
from given.distributions.noise import Noise, inverse_cdf_sample
from given.variables import Entries, Finite, UserError

__all__ = ["Empirical"]


class Empirical(Distribution):
    """A weighted mixture of kernels at stored items of a finite space.

    Args:
        log_weights: (B, N), normalised or not; a row where all are -inf has no items, and nothing is possible there.
        centres: (N, *grid) int64.
        log_kernel: (V, V) float64, row v the log distribution of a symbol whose centre is v.
        space: the finite space.
    """

    def __init__(self, log_weights: Tensor, centres: Tensor, log_kernel: Tensor, space: Finite) -> None:
        super().__init__(space, log_weights.shape[0], log_weights.device)
        total = log_weights.double().logsumexp(-1, keepdim=True)
        self.log_weights = torch.where(total == -torch.inf, -torch.inf, log_weights.double() - total)
        self.centres, self.log_kernel = centres, log_kernel

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        empty = (self.log_weights == -torch.inf).all(-1)
        if bool(empty.any()):
            raise UserError("no stored item agrees with what is given; give Empirical a smoothing", int(empty.nonzero()[0]))
        item = inverse_cdf_sample(self.log_weights.exp(), noise.fold("item").uniform(shape))
        centre = self.centres[item]  # (*shape, B, *grid)
        values = inverse_cdf_sample(self.log_kernel.exp()[centre], noise.fold("entry").uniform(shape, self.space.shape))
        assert isinstance(self.space, Finite)
        if self.space.may_end and self.space.end is not None:
            values[..., -1] = self.space.end  # what has not ended before ends there
        return self._kept(values)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return torch.logsumexp(self.log_weights + self._items(x.tensor, self._scored(x)), -1)

    def condition(self, evidence: Entries) -> Empirical:
        assert isinstance(self.space, Finite)
        weights = self.log_weights + self._items(evidence.tensor, self._scored(evidence))
        return Empirical(weights, self.centres, self.log_kernel, self.space)._but(evidence=self._and(evidence))

    def _items(self, x: Tensor, scored: Tensor) -> Tensor:
        """log kernel of x at every stored item, over the scored entries: (*shape, B, N)."""
        assert isinstance(self.space, Finite)
        lead = x.shape[: x.dim() - len(self.space.axes)]
        x, scored = x.reshape(*lead, -1), scored.reshape(*lead, -1)
        centres = self.centres.flatten(1) if self.space.axes else self.centres[:, None]
        total = torch.zeros(*lead, len(centres), dtype=torch.float64, device=x.device)
        impossible = torch.zeros_like(total)  # -inf times 0 is not a number: count what cannot be apart
        for symbol in range(self.space.size):
            here = ((x == symbol) & scored).double()
            column = self.log_kernel[:, symbol][centres]  # (N, D)
            if self.space.may_end:
                column[:, -1] = 0.0 if symbol == self.space.end else -torch.inf
            total += here @ torch.where(column.isinf(), 0.0, column).mT
            impossible += here @ column.isinf().double().mT
        return torch.where(impossible > 0, -torch.inf, total)
