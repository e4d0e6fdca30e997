"""Without: draws in which some symbols and atoms do not occur, such as those that stand for a missing value.

    q(x) = prod_t p(x_t | x_<t, x_t is none of them)

Of one entry it is p given that it is none of them. Of several, drawn one after another, it is not p given that no one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from given.distributions import Atomic, Categorical, Factorized, LogitsProcessor, Sequential, StepContext, StepwiseTransform
from given.variables import Finite, Real

__all__ = ["Without"]


class Without(LogitsProcessor):
    """No column is drawn as one of some entries. What draws all columns at once is left as it is.

    Args:
        entries: column -> the entries it may not have, (K,): not all that there are.
    """

    one_by_one = False
    idle = True

    def __init__(self, entries: Mapping[str, Tensor]) -> None:
        self.entries = entries
        self.parts: list[Tensor | None] = []

    def of(self, variable: Any, y: Any = None) -> Without:
        twin = Without(self.entries)
        parts = zip(variable.columns, variable.space.parts, strict=True)
        twin.parts = [self.entries.get(name) for name, (_, space) in parts for _ in range(space.dimensions)]
        return twin

    def __call__(self, distribution: Any) -> Any:
        if all(entries is None for entries in self.parts):
            return distribution
        if isinstance(distribution, Sequential):
            return StepwiseTransform(distribution, self)
        return self._cut(distribution, self.parts[0]) if len(self.parts) == 1 else distribution

    def steer(self, log_p: Tensor, place: StepContext) -> Tensor:
        return log_p

    def change(self, distribution: Factorized, place: StepContext) -> Factorized:
        first, last = place.t, place.distribution.ends[place.t]
        return self._cut(distribution, self.parts[place.distribution.entries[first]]) if last == first + 1 else distribution

    def _cut(self, distribution: Any, entries: Tensor | None) -> Any:
        if entries is None or not isinstance(distribution, Factorized):
            return distribution
        entries = entries.to(distribution.device)
        if isinstance(distribution, Atomic) and isinstance(distribution.space, Real):
            out = torch.cat([torch.isin(distribution.atoms, entries), torch.zeros_like(entries[:1], dtype=torch.bool)])
            return Atomic(distribution.log_weights.masked_fill(out, -torch.inf), distribution.rest, distribution.space)
        if isinstance(distribution.space, Finite):
            out = torch.isin(torch.arange(distribution.space.size, device=entries.device), entries)
            cut = Categorical(distribution.log_probs.masked_fill(out, -torch.inf), distribution.space)
            return cut._but(evidence=distribution.evidence)
        return distribution
