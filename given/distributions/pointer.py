"""Pointer: one of the items of a set, each with a probability of its own.

    p(x) = sum_k softmax(scores)_k [x = item k]

Items that are alike share what they have. Of a set of none, nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution
from given.distributions.noise import Noise, inverse_cdf_sample
from given.variables import Entries, Finite

__all__ = ["Pointer"]


class Pointer(Distribution):
    """A set of one item, which is among others.

    Args:
        scores: (B, K), of the items.
        items: (B, K, k) their symbols.
        there: (B, K) bool, which places have an item.
        space: of the set of one, of k entries and the end.
    """

    def __init__(self, scores: Tensor, items: Tensor, there: Tensor, space: Finite) -> None:
        super().__init__(space, len(scores), scores.device)
        self.items, self.there, self.end = items, there, space.end
        self.log_probs = scores.double().masked_fill(~there, -torch.inf)
        self.log_probs = torch.where(there.any(1, keepdim=True), self.log_probs, 0.0).log_softmax(1)  # of none any would do

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        u = noise.uniform(tuple(shape))
        return self._at(inverse_cdf_sample(self.log_probs.exp(), u))

    def mode(self) -> Entries:
        """The item of the highest score: (B, D)."""
        return self._at(self.log_probs.argmax(1))

    def _at(self, index: Tensor) -> Entries:
        """The sets of the items at (*shape, B)."""
        k = self.items.shape[-1]
        chosen = self.items.expand(*index.shape, *self.items.shape[1:]).gather(-2, index[..., None, None].expand(
            *index.shape, 1, k)).squeeze(-2)
        none = ~self.there.any(1).expand(index.shape)[..., None]
        values = torch.cat([chosen, torch.full_like(chosen[..., :1], self.end)], -1)  # type: ignore[arg-type]
        first = torch.arange(k + 1, device=values.device) == 0
        values = torch.where(none, torch.where(first, self.end, 0), values)  # type: ignore[arg-type]
        return Entries(values, valid=first | ~none)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        k, values = self.items.shape[-1], x.tensor
        free = ~x.scored[..., None, :k]
        same = ((values[..., None, :k] == self.items) | free).all(-1) & self.there
        found = torch.where(same, self.log_probs, -torch.inf).logsumexp(-1)
        none, nothing = ~self.there.any(1), values[..., 0] == self.end
        return torch.where(x.scored.any(-1) & ~(none & nothing), found, 0.0)
