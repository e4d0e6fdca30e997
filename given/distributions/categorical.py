"""Categorical: every entry one of V symbols, independent of the others given y."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.factorized import Factorized
from given.distributions.noise import inverse_cdf_sample
from given.variables import Entries, Finite

__all__ = ["Categorical"]


class Categorical(Factorized):
    """Independent categorical entries.

    Args:
        logits: (B, *grid, V), normalised or not; -inf for a symbol that cannot be.
        space: the finite space; read off the logits (one entry, unordered) when left out.
    """

    def __init__(self, logits: Tensor, space: Finite | None = None) -> None:
        space = space or Finite(logits.shape[-1])
        super().__init__(space, logits.shape[0], logits.device)
        self.logits = logits
        if space.may_end:  # the last entry there is room for is the end and nothing else
            self.end_at(torch.arange(space.shape[-1], device=logits.device) == space.shape[-1] - 1, space.end)
            if space.pattern:
                self.keep(space.possible(logits.device))

    def end_at(self, last: Tensor, end: float | None, before: Tensor | None = None) -> None:
        """Make the end certain where `last` (*grid), or (B, *grid), and impossible `before`."""
        other = torch.arange(self.logits.shape[-1], device=self.logits.device) != end
        gone = last[..., None] & other
        gone = gone if before is None else gone | (before[..., None] & ~other)
        self.logits = self.logits.masked_fill(gone, -torch.inf)

    def keep(self, possible: Tensor) -> None:
        """Make all other symbols impossible: (*grid, V) bool."""
        self.logits = self.logits.masked_fill(~possible, -torch.inf)

    @property
    def log_probs(self) -> Tensor:
        """log p of every symbol at every entry: (B, *grid, V) float64."""
        return self.logits.double().log_softmax(-1)

    def pick(self, u: Tensor) -> Tensor:
        return inverse_cdf_sample(self.logits.softmax(-1, torch.float64), u)

    def each(self, values: Tensor) -> Tensor:
        if self.logits.requires_grad and values.shape == self.logits.shape[:-1]:
            # What is learned from is noisy anyhow: in the logits' own precision, in one pass over the symbols.
            loss = F.cross_entropy(self.logits.flatten(0, -2), values.flatten(), reduction="none")
            return -loss.double().view(values.shape)
        log_probs = self.log_probs
        return log_probs.expand(*values.shape, log_probs.shape[-1]).gather(-1, values[..., None]).squeeze(-1)

    def mode(self) -> Entries:
        """The most probable value of every entry: (B, *grid)."""
        return self._kept(self.logits.argmax(-1))
