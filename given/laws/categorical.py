"""Categorical: every entry one of V symbols, independent of the others given y."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.laws.law import How, Law
from given.laws.noise import Noise
from given.variables import Entries, Finite

__all__ = ["Categorical"]


class Categorical(Law):
    """Independent categorical entries.

    Args:
        logits: (B, *grid, V), normalised or not; -inf for a symbol that cannot be.
        space: the finite space; read off the logits (one entry, unordered) when left out.
        evidence: entries already known, returned by draws and not scored; see `condition`.
    """

    def __init__(self, logits: Tensor, space: Finite | None = None, evidence: Entries | None = None) -> None:
        super().__init__(space or Finite(logits.shape[-1]), logits.shape[0])
        self.logits = logits
        self.evidence = evidence

    @property
    def log_probs(self) -> Tensor:
        """log p of every symbol at every entry: (B, *grid, V) float64."""
        return self.logits.double().log_softmax(-1)

    def sample(self, shape: Sequence[int] = (), *, seed: int | Noise = 0, how: How | None = None) -> Entries:
        if how is not None:
            return how(self).sample(shape, seed=seed)
        grid = self.logits.shape[1:-1]
        u = Noise.of(seed, self.n).uniform(shape, grid).to(self.logits.device)
        cumulative = self.log_probs.exp().cumsum(-1)
        # The last symbol that can be takes what rounding left over.
        cumulative = torch.where(cumulative >= cumulative[..., -1:], 1.0, cumulative)
        values = (cumulative < u[..., None]).sum(-1)
        if self.evidence is not None:
            values = torch.where(self.evidence.known, self.evidence.tensor, values)
        return Entries(values)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        each = self.entrywise(x)
        return each.flatten(each.dim() - len(self.space.axes)).sum(-1) if self.space.axes else each

    def entrywise(self, x: Entries) -> Tensor:
        """log p of each entry, 0 where it is not scored: (*shape, B, *grid) float64."""
        log_probs = self.log_probs
        log_probs = log_probs.expand(*x.tensor.shape, log_probs.shape[-1])
        each = log_probs.gather(-1, x.tensor[..., None]).squeeze(-1)
        scored = x.known if self.evidence is None else x.known & ~self.evidence.known
        return torch.where(scored, each, 0.0)

    def condition(self, evidence: Entries) -> Categorical:
        assert isinstance(self.space, Finite)
        return Categorical(self.logits, self.space, evidence)

    def mode(self) -> Entries:
        """The most probable value of every entry: (B, *grid)."""
        values = self.logits.argmax(-1)
        return Entries(values if self.evidence is None else torch.where(self.evidence.known, self.evidence.tensor, values))

    def entropy(self) -> Tensor:
        """Entropy of the unknown entries in nats: (B,) float64."""
        log_probs = self.log_probs
        each = -(log_probs.exp() * log_probs.clamp(min=torch.finfo(torch.float64).min)).sum(-1)
        if self.evidence is not None:
            each = torch.where(self.evidence.known, 0.0, each)
        return each.flatten(1).sum(-1) if self.space.axes else each
