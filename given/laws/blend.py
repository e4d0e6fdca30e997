"""Blend: sequential laws of the same symbols in one order, mixed step by step.

    p(x_t | x_<t) = sum_k w_k(h_t) p_k(x_t | x_<t)

h_t are the parts' own entropies of what comes next, known before it does: see `Gate`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.laws.categorical import Categorical
from given.laws.entrywise import Entrywise
from given.laws.gate import Gate
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
        gate: the weights of K parts.
        parts: K sequential laws of B rows, of one finite space and order.
    """

    def __init__(self, gate: Gate, parts: Sequence[Sequential]) -> None:
        super().__init__(parts[0].space, parts[0].n, parts[0].order)
        self.gate, self.parts = gate, list(parts)
        self.kind = weakest(part.kind for part in parts)

    def each(self, x: Entries) -> Tensor:
        each, entropies = self.told(x)
        return torch.logsumexp(self.gate.log_weights(entropies) + each, -1)

    def told(self, x: Entries, entropies: bool | None = None) -> tuple[Tensor, Tensor]:
        """log p of every entry under each part, and the parts' entropies there: (*shape, B, D, K) float64 both.

        Args:
            x: (*shape, B, *grid).
            entropies: False leaves them zero, which takes less; so does a gate that does not ask for them.
        """
        if not (not self.gate.fixed if entropies is None else entropies):
            each = torch.stack([part.each(x) for part in self.parts], -1)
            return each, torch.zeros_like(each)
        flat, _ = self._whole(x)
        values = torch.where(flat.told, flat.tensor, 0.0).long()
        found = []
        for rows, laws in zip(self.blocks(len(values)), self._laws(x), strict=True):
            index = values[rows, :, None, None].expand(-1, -1, 1, laws.shape[-1])
            found.append(torch.stack([laws.gather(2, index)[:, :, 0], _entropies(laws)]))
        each, h = torch.cat(found, 1).reshape(2, *x.flat(self.space).tensor.shape, len(self.parts))
        return each, h

    def laws(self, x: Entries) -> Iterator[Tensor]:
        return (self._mixed(laws) for laws in self._laws(x))

    def _laws(self, x: Entries) -> Iterator[Tensor]:
        """Of every part: blocks (M, D, V, K)."""
        return (torch.stack(laws, -1) for laws in zip(*(part.laws(x) for part in self.parts), strict=True))

    def _mixed(self, laws: Tensor) -> Tensor:
        """(..., V, K) -> (..., V)."""
        return torch.logsumexp(self.gate.log_weights(_entropies(laws))[..., None, :] + laws, -1)

    def condition(self, evidence: Entries) -> Law:
        law = copy.copy(self)
        law.evidence, law.parts = self._known(evidence), [part.condition(evidence) for part in self.parts]  # type: ignore[misc]
        return law

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.order), dtype=torch.float64)
        return State(0, nothing, None, _States([part.start() for part in self.parts]))

    def next(self, state: State) -> Categorical:
        laws = [part.next(s) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return self._blended(laws)

    def ahead(self, state: State, entries: Tensor) -> list[Entrywise]:
        each = [part.ahead(s, entries) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return [self._blended(laws) for laws in zip(*each, strict=True)]

    def back(self, state: State) -> State:
        return replace(state, cache=_States([part.back(s) for part, s in zip(self.parts, state.cache.states, strict=True)]))

    def after(self, state: State) -> Blend:
        law = copy.copy(self)
        law.parts = [part.after(s) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return law

    def _blended(self, laws: Sequence[Entrywise]) -> Categorical:
        return Categorical(self._mixed(torch.stack([law.log_probs for law in laws if isinstance(law, Categorical)], -1)))

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, self.order[state.t]] = entries.double()
        states = [part.advance(s, entries) for part, s in zip(self.parts, state.cache.states, strict=True)]
        return replace(state, t=state.t + 1, cache=_States(states))


def _entropies(laws: Tensor) -> Tensor:
    """Of laws (..., V, K): (..., K) nats."""
    return torch.special.entr(laws.exp()).sum(-2)
