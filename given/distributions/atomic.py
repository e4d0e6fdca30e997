"""Atomic: every entry one of K values with a mass of their own, or a real with a density. Neither passes for the other.

    p(a_k) = w_k,    p(x) = w_rest f(x)  elsewhere

relative to counting on the atoms and length elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.factorized import Factorized
from given.variables import Entries, Real

__all__ = ["Atomic"]


class Atomic(Factorized):
    """Independent entries with atoms. Such a distribution has no mean or mode: an atom may mean something that is no number.

    Args:
        logits: (B, *grid, K + 1), of the atoms in order and of the rest.
        rest: the distribution of an entry that is no atom.
        space: the real space, with K atoms.
    """

    def __init__(self, logits: Tensor, rest: Factorized, space: Real) -> None:
        super().__init__(space, rest.n, rest.device)
        self.log_weights, self.rest = logits.double().log_softmax(-1), rest
        self.atoms = torch.tensor(space.atoms, dtype=torch.float64, device=logits.device)
        if space.may_end:  # the last entry there is room for is the end and nothing else
            self.end_at(torch.arange(space.shape[-1], device=logits.device) == space.shape[-1] - 1, space.end)

    def end_at(self, last: Tensor, end: float | None, before: Tensor | None = None) -> None:
        """Make the end certain where `last` (*grid), or (B, *grid), and impossible `before`."""
        other = F.pad(torch.ne(self.atoms, end), (0, 1), value=True)  # type: ignore[arg-type]
        gone = last[..., None] & other
        gone = gone if before is None else gone | (before[..., None] & ~other)
        self.log_weights = self.log_weights.masked_fill(gone, -torch.inf).log_softmax(-1)

    def pick(self, u: Tensor) -> Tensor:
        # The number picks an atom; what lies above them all picks among the rest.
        upto = self.log_weights.exp().cumsum(-1)[..., :-1]
        k = (upto < u[..., None]).sum(-1)
        below = upto[..., -1]
        within = ((u - below) / (1 - below)).clamp(2.0**-53, 1 - 2.0**-53)  # rounding alone can leave (0, 1)
        return torch.where(k < len(self.atoms), self.atoms[k.clamp(max=len(self.atoms) - 1)], self.rest.pick(within).double())

    def each(self, values: Tensor) -> Tensor:
        values = values.double()
        at = values[..., None] == self.atoms
        mass = torch.where(at, self.log_weights[..., :-1], 0.0).sum(-1)
        there = at.any(-1)
        return torch.where(there, mass, self.log_weights[..., -1] + self.rest.each(values))

    def cdf(self, x: Entries) -> Tensor:
        """P(entry <= x), atoms at or below x counted in."""
        at = (self.atoms <= x.tensor[..., None].double()).double()
        each = (self.log_weights[..., :-1].exp() * at).sum(-1) + self.log_weights[..., -1].exp() * self.rest.cdf(x)
        return torch.where(self._scored(x), each, 0.0)
