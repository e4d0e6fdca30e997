"""Backoff: entries drawn one after another from tables of what followed the last few, interpolated with ever shorter pasts.

    p_n(w | c) = share_n(c w) + left_n(c) p_{n-1}(w | c'),    p_0(w) = 1 / V

c' is the past c without its oldest symbol. A gram is a node of level n, numbered by its place among the sorted keys
(number of its past's node on level n - 1) (V + 1) + w, so that no order is too long for 64 bits; a node of level 0 is a state
of the parents. The row's beginning stands in pasts as the symbol V, unless the row is a piece of something longer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from given.laws.categorical import Categorical
from given.laws.law import Law
from given.laws.sequential import Sequential, State
from given.variables import Entries, Finite

__all__ = ["Backoff", "Grams", "paths"]


@dataclass(frozen=True)
class Grams:
    """The grams of one length.

    Attributes:
        keys: (N,) int64, sorted.
        share: (N,) of its past's probability, what the last symbol has of its own.
        left: (N',) for every node of the level above, what shorter pasts get.
    """

    keys: Tensor
    share: Tensor
    left: Tensor

    def find(self, keys: Tensor) -> Tensor:
        """The nodes of keys, -1 where there is none; a key below 0 has none."""
        if not len(self.keys):
            return torch.full_like(keys, -1)
        place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        return torch.where(self.keys[place] == keys, place, -1)


@dataclass(frozen=True)
class _Nodes:
    """Where rows stand: the node (B,) of the last n symbols, for every n."""

    nodes: list[Tensor]

    def rows(self, index: Tensor) -> _Nodes:
        return _Nodes([n[index] for n in self.nodes])


class Backoff(Sequential):
    """The law of B rows.

    Args:
        space: finite, of D entries, drawn row by row.
        levels: grams of 1, 2, ... symbols.
        state: (B,) int64, of the parents.
    """

    def __init__(self, space: Finite, levels: list[Grams], state: Tensor) -> None:
        super().__init__(space, len(state), torch.arange(space.dimensions))
        self.V, self.levels, self.state = space.size, levels, state
        self.begins = torch.ones(self.n, dtype=torch.bool)  # whether a row's first entry is the first there is

    def each(self, x: Entries) -> Tensor:
        flat, row = self._whole(x)
        self._check_first(flat.told)
        begins = self.begins[row] & flat.begins
        values = torch.where(flat.told, flat.tensor, -1).long()
        symbols = F.pad(values, (1, 0))
        symbols[:, 0] = torch.where(begins, self.V, -1)
        p = torch.full(symbols.shape, 1 / self.V, dtype=torch.float64).reshape(-1)
        state = self.state[row].repeat_interleave(symbols.shape[1])
        find = (level.find for level in self.levels)
        for level, (past, node) in zip(self.levels, paths(symbols.reshape(-1), state, self.V, find), strict=True):
            p = _or(level.share, node, 0.0) + _or(level.left, past, 1.0) * p
        log_p = p.view(symbols.shape)[:, 1:].log()
        if self.end is not None:
            log_p[:, -1] = torch.where(values[:, -1] == self.end, 0.0, -torch.inf)
        return log_p.reshape(*x.flat(self.space).tensor.shape)

    def condition(self, evidence: Entries) -> Law:
        flat = self._known(evidence)
        self._check_first(flat.known)
        law = copy.copy(self)
        law.evidence, law.begins = flat, self.begins & evidence.flat(self.space).begins
        return law

    def start(self) -> State:
        nowhere = torch.full((self.n,), -1)
        nodes = [self.state, torch.where(self.begins, self.levels[0].find(self.state * (self.V + 1) + self.V), -1)]
        nodes += [nowhere] * (len(self.levels) - 2)
        return State(0, torch.zeros(self.n, len(self.order), dtype=torch.float64), None, _Nodes(nodes[: len(self.levels)]))

    def next(self, state: State) -> Categorical:
        p = torch.full((len(state.values), self.V), 1 / self.V, dtype=torch.float64)
        for level, past in zip(self.levels, state.cache.nodes, strict=True):
            keys = torch.where(past[:, None] < 0, -1, past[:, None] * (self.V + 1) + torch.arange(self.V))
            p = _or(level.share, level.find(keys), 0.0) + _or(level.left, past, 1.0)[:, None] * p
        law = Categorical(p.log())
        self._ending(law, state.t)
        return law

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, state.t] = entries.double()
        past = state.cache.nodes
        found = [level.find(torch.where(p < 0, -1, p * (self.V + 1) + entries.long()))
                 for level, p in zip(self.levels[:-1], past[:-1], strict=True)]
        return replace(state, t=state.t + 1, cache=_Nodes([past[0], *found]))


def paths(symbols: Tensor, state: Tensor, V: int,
          levels: Iterable[Callable[[Tensor], Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Along a stream of symbols, level by level, the nodes of every place's past and of its gram, -1 where there is none.

    Args:
        symbols: (M,), V where a row begins and -1 where nothing is known.
        state: (M,) of the parents.
        V: how many symbols there are.
        levels: keys (M,), -1 where there is none, -> nodes (M,).
    """
    past, may = state, symbols >= 0
    for find in levels:
        node = find(torch.where((past >= 0) & may, past * (V + 1) + symbols, -1))
        yield past, node
        past, may = F.pad(node[:-1], (1, 0), value=-1), may & (symbols < V)


def _or(values: Tensor, node: Tensor, otherwise: float) -> Tensor:
    """The nodes' values in float64, and something else where there is no node."""
    if not len(values):
        return torch.full(node.shape, otherwise, dtype=torch.float64)
    return torch.where(node < 0, otherwise, values[node.clamp(min=0)].double())
