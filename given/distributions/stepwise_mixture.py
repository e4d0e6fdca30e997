"""StepwiseMixture: sequential distributions of the same symbols in one order, mixed step by step.

    p(x_t | x_<t) = sum_k w_k(h_t) p_k(x_t | x_<t)

h_t are the parts' own entropies of what comes next, known before it does: see `EntropyGate`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.categorical import Categorical
from given.distributions.distribution import Distribution, weakest
from given.distributions.entropy_gate import EntropyGate
from given.distributions.factorized import Factorized
from given.distributions.sequential import Sequential, State
from given.variables import Entries

__all__ = ["StepwiseMixture"]


@dataclass(frozen=True)
class _States:
    """One of every part."""

    states: list[State]

    def rows(self, index: Tensor) -> _States:
        return _States([s.rows(index) for s in self.states])


class StepwiseMixture(Sequential):
    """A mixture at every step.

    Args:
        gate: the weights of K parts.
        parts: K sequential distributions of B rows, of one finite space and order.
    """

    def __init__(self, gate: EntropyGate, parts: Sequence[Sequential]) -> None:
        super().__init__(parts[0].space, parts[0].n, parts[0].entries, parts[0].device)
        self.gate, self.parts = gate, list(parts)
        self.kind, self.adaptive = weakest(part.kind for part in parts), any(part.adaptive for part in parts)

    def each(self, x: Entries) -> Tensor:
        each, entropies = self.part_log_probs(x)
        return torch.logsumexp(self.gate.log_weights(entropies) + each, -1)

    def part_log_probs(self, x: Entries, entropies: bool | None = None) -> tuple[Tensor, Tensor]:
        """log p of every entry under each part, and the parts' entropies there: (*shape, B, D, K) float64 both.

        Args:
            x: (*shape, B, *grid).
            entropies: False leaves them zero, which takes less; so does a gate that does not ask for them.
        """
        if not (not self.gate.fixed if entropies is None else entropies):
            each = torch.stack([part.each(x) for part in self.parts], -1)
            return each, torch.zeros_like(each)
        flat, _ = self._whole(x)
        values = torch.where(flat.readable, flat.tensor, 0.0).long()
        found = []
        for rows, distributions in zip(self.blocks(len(values)), self._distributions(x), strict=True):
            index = values[rows, :, None, None].expand(-1, -1, 1, distributions.shape[-1])
            found.append(torch.stack([distributions.gather(2, index)[:, :, 0], _entropies(distributions)]))
        each, h = torch.cat(found, 1).reshape(2, *x.flat(self.space).tensor.shape, len(self.parts))
        return each, h

    def all_log_probs(self, x: Entries) -> Iterator[Tensor]:
        return (self._mixed(distributions) for distributions in self._distributions(x))

    def _distributions(self, x: Entries) -> Iterator[Tensor]:
        """Of every part: blocks (M, D, V, K)."""
        return (torch.stack(distributions, -1)
                for distributions in zip(*(part.all_log_probs(x) for part in self.parts), strict=True))

    def _mixed(self, distributions: Tensor) -> Tensor:
        """(..., V, K) -> (..., V)."""
        return torch.logsumexp(self.gate.log_weights(_entropies(distributions))[..., None, :] + distributions, -1)

    def condition(self, evidence: Entries) -> Distribution:
        distribution = copy.copy(self)
        distribution.evidence = self._known(evidence)
        distribution.parts = [part.condition(evidence) for part in self.parts]  # type: ignore[misc]
        return distribution

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)
        return State(0, nothing, None, _States([part.start() for part in self.parts]))

    def next(self, state: State) -> Categorical:
        distributions = [part.next(s) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return self._blended(distributions)

    def after(self, state: State) -> StepwiseMixture:
        distribution = copy.copy(self)
        distribution.parts = [part.after(s) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return distribution

    def _blended(self, distributions: Sequence[Factorized]) -> Categorical:
        return Categorical(self._mixed(torch.stack([distribution.log_probs for distribution in distributions], -1)))

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, self.order[state.t]] = entries.double()
        states = [part.advance(s, entries) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return replace(state, t=state.t + 1, cache=_States(states))


def _entropies(distributions: Tensor) -> Tensor:
    """Of distributions (..., V, K): (..., K) nats."""
    return torch.special.entr(distributions.exp()).sum(-2)
