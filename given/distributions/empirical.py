"""Empirical: stored items, each the centre of a kernel.

    p(x | y) = sum_i w_i(y) prod_d k(x_d | c_id)

over the stored items c_i. With the kernel a point mass this is the empirical distribution itself: the minimal generative model.
Conditioning on seen entries reweights the items, w_i <- w_i prod_{d seen} k(x_d | c_id), and is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        centres: (N, *grid) whole numbers.
        log_kernel: (V, V) float64, row v the log distribution of a symbol whose centre is v.
        space: the finite space.
        why: row -> why it has no items, for messages.
    """

    draws_together = True

    def __init__(self, log_weights: Tensor, centres: Tensor, log_kernel: Tensor, space: Finite,
                 why: Mapping[int, str] | None = None) -> None:
        super().__init__(space, log_weights.shape[0], log_weights.device)
        total = log_weights.double().logsumexp(-1, keepdim=True)
        self.log_weights = torch.where(total == -torch.inf, -torch.inf, log_weights.double() - total)
        self.centres, self.log_kernel, self.why = centres, log_kernel, why or {}

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        self.check_items()
        own = tuple(shape) if len(noise.keys) == self.n else ()  # else a stream for every draw
        which, each = (noise.fold(of).uniform(own, event) for of, event in (("item", ()), ("entry", self.space.shape)))
        item = inverse_cdf_sample(self.log_weights.exp(), which.reshape(*shape, self.n))
        centre = self.centres[item].long()  # (*shape, B, *grid)
        values = inverse_cdf_sample(self.log_kernel.exp()[centre], each.reshape(*shape, self.n, *self.space.shape))
        assert isinstance(self.space, Finite)
        if self.space.may_end and self.space.end is not None:
            values[..., -1] = self.space.end  # what has not ended before ends there
        return self._kept(values)

    def check_items(self, least: int = 1) -> None:
        """Raise `UserError` where a row has fewer items than that."""
        there = (self.log_weights > -torch.inf).sum(-1)
        if bool((there < least).any()):
            row = int((there < least).nonzero()[0])
            none = self.why.get(row, "no stored item agrees with what is given; give Empirical a smoothing")
            raise UserError(none if not int(there[row]) else f"{least} draws of {int(there[row])} items; ask for fewer", row)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return torch.logsumexp(self.log_weights + self._items(x.tensor, self._scored(x)), -1)

    def condition(self, evidence: Entries) -> Empirical:
        assert isinstance(self.space, Finite)
        weights = self.log_weights + self._items(evidence.tensor, self._scored(evidence))
        return Empirical(weights, self.centres, self.log_kernel, self.space, self.why)._but(evidence=self._and(evidence))

    def _items(self, x: Tensor, scored: Tensor) -> Tensor:
        """log kernel of x at every stored item, over the scored entries: (*shape, B, N)."""
        assert isinstance(self.space, Finite)
        lead = x.shape[: x.dim() - len(self.space.axes)]
        x, scored = x.reshape(*lead, -1), scored.reshape(*lead, -1)
        centres = (self.centres.flatten(1) if self.space.axes else self.centres[:, None]).long()
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
