"""Categorical: every entry one of V symbols, independent of the others given y."""

from __future__ import annotations

from torch import Tensor

from given.laws.entrywise import Entrywise
from given.laws.noise import choose
from given.variables import Entries, Finite

__all__ = ["Categorical"]


class Categorical(Entrywise):
    """Independent categorical entries.

    Args:
        logits: (B, *grid, V), normalised or not; -inf for a symbol that cannot be.
        space: the finite space; read off the logits (one entry, unordered) when left out.
    """

    def __init__(self, logits: Tensor, space: Finite | None = None) -> None:
        super().__init__(space or Finite(logits.shape[-1]), logits.shape[0])
        self.logits = logits

    @property
    def log_probs(self) -> Tensor:
        """log p of every symbol at every entry: (B, *grid, V) float64."""
        return self.logits.double().log_softmax(-1)

    def pick(self, u: Tensor) -> Tensor:
        return choose(self.logits.double().softmax(-1), u)

    def each(self, values: Tensor) -> Tensor:
        log_probs = self.log_probs
        return log_probs.expand(*values.shape, log_probs.shape[-1]).gather(-1, values[..., None]).squeeze(-1)

    def mode(self) -> Entries:
        """The most probable value of every entry: (B, *grid)."""
        return self._kept(self.logits.argmax(-1))
