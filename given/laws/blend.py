"""Blend: sequential laws of the same symbols in one order, mixed step by step.

    p(x_t | x_<t) = sum_k w_k p_k(x_t | x_<t)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.laws.categorical import Categorical
from given.laws.entrywise import Entrywise
from given.laws.law import Law, weakest
from given.laws.sequential import Sequential, State
from given.variables import Entries

__all__ = ["Blend"]


@dataclass(frozen=True)
class _States:
    """One of every part."""

    states: list[State]

    def rows(self, index: Tensor) -> _States:
        return _States([s.rows(index) for s in self.states])


class Blend(Sequential):
    """A mixture at every step.

    Args:
        log_weights: (K,), normalised or not.
        parts: K sequential laws of B rows, of one finite space and order.
    """

    def __init__(self, log_weights: Tensor, parts: Sequence[Sequential]) -> None:
        super().__init__(parts[0].space, parts[0].n, parts[0].order)
        self.log_weights = log_weights.double().log_softmax(-1)
        self.parts = list(parts)
        self.kind = weakest(part.kind for part in parts)

    def each(self, x: Entries) -> Tensor:
        return torch.logsumexp(self.log_weights + torch.stack([part.each(x) for part in self.parts], -1), -1)

    def condition(self, evidence: Entries) -> Law:
        law = copy.copy(self)
        law.evidence, law.parts = self._known(evidence), [part.condition(evidence) for part in self.parts]  # type: ignore[misc]
        return law

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.order), dtype=torch.float64)
        return State(0, nothing, None, _States([part.start() for part in self.parts]))

    def next(self, state: State) -> Categorical:
        return self._mixed([part.next(s) for part, s in zip(self.parts, state.cache.states, strict=True)])

    def ahead(self, state: State, entries: Tensor) -> list[Entrywise]:
        each = [part.ahead(s, entries) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return [self._mixed(laws) for laws in zip(*each, strict=True)]

    def back(self, state: State) -> State:
        return replace(state, cache=_States([part.back(s) for part, s in zip(self.parts, state.cache.states, strict=True)]))

    def _mixed(self, laws: Sequence[Entrywise]) -> Categorical:
        each = torch.stack([law.log_probs for law in laws if isinstance(law, Categorical)], -1)
        return Categorical(torch.logsumexp(self.log_weights + each, -1))

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, self.order[state.t]] = entries.double()
        states = [part.advance(s, entries) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return replace(state, t=state.t + 1, cache=_States(states))
