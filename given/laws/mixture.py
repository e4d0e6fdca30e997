"""Mixture: one of K laws of the same entries, chosen at random.

    p(x) = sum_k w_k p_k(x),    p(x_u | x_s) = sum_k w_k p_k(x_s) / p(x_s)  p_k(x_u | x_s)

so a mixture marginalises and conditions wherever its parts do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.laws.law import Law, weakest
from given.laws.noise import Noise, choose
from given.variables import Entries

__all__ = ["Mixture"]


class Mixture(Law):
    """A mixture.

    Args:
        log_weights: (B, K), normalised or not.
        parts: K laws of B rows and of one space.
    """

    def __init__(self, log_weights: Tensor, parts: Sequence[Law]) -> None:
        super().__init__(parts[0].space, parts[0].n)
        self.log_weights = log_weights.double().log_softmax(-1)
        self.parts = list(parts)
        self.kind = weakest(part.kind for part in parts)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        chosen = choose(self.log_weights.exp(), noise.fold("part").uniform(shape))
        each = torch.stack([part.sample(shape, seed=noise.fold(k)).tensor for k, part in enumerate(self.parts)])
        index = chosen.reshape(1, *chosen.shape, *[1] * len(self.space.axes)).expand(1, *each.shape[1:])
        return Entries(each.gather(0, index)[0])

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return torch.logsumexp(self.joint_log_prob(x, seed=seed), -1)

    def joint_log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        """log w_k p_k(x) for every part: (*shape, B, K) float64."""
        noise = Noise.of(seed, self.n)
        each = [part.log_prob(x, seed=noise.fold(k)) for k, part in enumerate(self.parts)]
        return self.log_weights + torch.stack(each, -1)

    def condition(self, evidence: Entries) -> Mixture:
        return Mixture(self.joint_log_prob(evidence), [part.condition(evidence) for part in self.parts])

    def mean(self) -> Entries:
        """The mean: (B, *grid)."""
        weights, axes = self.log_weights.exp().unbind(-1), [1] * len(self.space.axes)
        each = [w.reshape(-1, *axes) * part.mean().tensor for w, part in zip(weights, self.parts, strict=True)]
        return Entries(torch.stack(each).sum(0))
