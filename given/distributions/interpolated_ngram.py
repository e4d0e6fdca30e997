"""InterpolatedNGram: entries drawn one after another from tables of what followed the last few, interpolated with ever shorter
pasts.

    p_n(w | c) = share_n(c w) + left_n(c) p_{n-1}(w | c'),    p_0(w) = 1 / V

c' is the past c without its oldest symbol. A gram is a node of level n, numbered by its place among the sorted keys
(number of its past's node on level n - 1) (V + 1) + w, so that no order is too long for 64 bits; a node of level 0 is a state
of the parents. What may follow a past stands together. The row's beginning stands in pasts as the symbol V, unless the row is a
piece of something longer.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.categorical import Categorical
from given.distributions.distribution import Distribution
from given.distributions.sequential import Sequential, State
from given.variables import Entries, Finite

__all__ = ["InterpolatedNGram", "NGramTable", "suffix_nodes"]

_FEW = 4  # rows up to which one after another is faster than all together
_SHORT = 2  # symbols of a past whose distribution is kept once asked for
_MET = 1 << 20  # numbers of such distributions kept a length


@dataclass(frozen=True)
class NGramTable:
    """The grams of one length.

    Attributes:
        keys: (N,) int64, sorted.
        share: (N,) of its past's probability, what the last symbol has of its own.
        left: (N',) for every node of the level above, what shorter pasts get.
        V: how many symbols there are.
    """

    keys: Tensor
    share: Tensor
    left: Tensor
    V: int

    def find(self, keys: Tensor) -> Tensor:
        """The nodes of keys, -1 where there is none; a key below 0 has none."""
        if not len(self.keys):
            return torch.full_like(keys, -1)
        place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        return torch.where(self.keys[place] == keys, place, -1)

    @cached_property
    def followers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What follows each past: (N' + 1,) where its nodes begin, (N,) their last symbols; (N,) share; (N',) left.

        The row's beginning follows nothing, but has a node; its symbol is V and its share 0.
        """
        keys = self.keys.numpy()
        past = keys // (self.V + 1)
        first = np.searchsorted(past, np.arange(len(self.left) + 1)).astype(np.int64)
        return first, (keys - past * (self.V + 1)).astype(np.int32), self.share.numpy(), self.left.numpy()

    @cached_property
    def views(self) -> tuple[memoryview, memoryview, memoryview]:
        """Where nodes begin, their last symbols, and left: faster than arrays where one number is read at a time."""
        first, symbol, _, left = self.followers
        return first.data, symbol.data, left.data

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # views cannot be copied, and are soon made

    @cached_property
    def met(self) -> dict[int, np.ndarray]:
        """p (V,) after short pasts that were asked for."""
        return {}

    def add(self, p: np.ndarray, past: int) -> None:
        """Interpolate p (V,), of shorter pasts, with what follows this one."""
        _, symbol, share, _ = self.followers
        first, symbols, left = self.views
        a, b = first[past], first[past + 1]
        if b > a and symbols[b - 1] == self.V:  # the beginning
            b -= 1
        p *= left[past]
        p[symbol[a:b]] += share[a:b]

    def after(self, past: int, entry: int) -> int:
        """The node of a past and what followed it, -1 where there is none."""
        first, symbols, _ = self.views
        end = first[past + 1]
        at = bisect_left(symbols, entry, first[past], end)
        return at if at < end and symbols[at] == entry else -1


@dataclass(frozen=True)
class _Nodes:
    """Where rows stand: the nodes (B, levels) int64 of their last n symbols, for every n; -1 where there is none."""

    nodes: np.ndarray

    def rows(self, index: Tensor) -> _Nodes:
        return _Nodes(self.nodes[index.numpy()])


class InterpolatedNGram(Sequential):
    """The distribution of B rows.

    Args:
        space: finite, of D entries, drawn row by row.
        levels: grams of 1, 2, ... symbols.
        state: (B,) int64, of the parents.
    """

    def __init__(self, space: Finite, levels: list[NGramTable], state: Tensor) -> None:
        super().__init__(space, len(state), list(range(space.dimensions)), state.device)
        self.V, self.levels, self.state = space.size, levels, state
        self.begins = torch.ones(self.n, dtype=torch.bool)  # whether a row's first entry is the first there is

    def each(self, x: Entries) -> Tensor:
        symbols, row = self.stream(x)
        p = torch.full(symbols.shape, 1 / self.V, dtype=torch.float64).reshape(-1)
        for level, (past, node) in zip(self.levels, self.suffix_nodes(symbols, row), strict=True):
            p = _or(level.share, node, 0.0) + _or(level.left, past, 1.0) * p
        log_p = p.view(symbols.shape)[:, 1:].log()
        if self.end is not None:
            log_p[:, -1] = torch.where(symbols[:, -1] == self.end, 0.0, -torch.inf)
        return log_p.reshape(*x.flat(self.space).tensor.shape)

    def all_log_probs(self, x: Entries) -> Iterator[Tensor]:
        symbols, row = self.stream(x)
        for rows in self.blocks(len(row)):
            some = symbols[rows]
            pasts = [past.view(some.shape)[:, 1:].reshape(-1) for past, _ in self.suffix_nodes(some, row[rows])]
            log_p = torch.from_numpy(self.interpolated(torch.stack(pasts, 1).numpy())).log()
            yield self._ending(Categorical(log_p.view(len(some), -1, self.V)), slice(None)).log_probs

    def stream(self, x: Entries) -> tuple[Tensor, Tensor]:
        """Rows as `suffix_nodes` reads them (N, 1 + D), and which of the B rows each belongs to."""
        flat, row = self._whole(x)
        self._check_first(flat.readable)
        symbols = F.pad(torch.where(flat.readable, flat.tensor, -1).long(), (1, 0))
        symbols[:, 0] = torch.where(self.begins[row] & flat.begins, self.V, -1)
        return symbols, row

    def suffix_nodes(self, symbols: Tensor, row: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Of what `stream` gave, end to end: `suffix_nodes` among the nodes of every level."""
        find = (level.find for level in self.levels)
        return suffix_nodes(symbols.reshape(-1), self.state[row].repeat_interleave(symbols.shape[1]), self.V, find)

    def interpolated(self, nodes: np.ndarray) -> np.ndarray:
        """p of every symbol after pasts (M, levels): (M, V) float64."""
        if len(nodes) <= _FEW:
            return np.array([self._row(past) for past in nodes.tolist()])
        p = np.full((len(nodes), self.V), 1 / self.V)
        for n in range(len(self.levels)):
            self.add(p, n, nodes[:, n])
        return p

    def _row(self, past: list[int]) -> np.ndarray:
        """`interpolated` of one past: (V,), from what was found for short pasts before."""
        short = min(_SHORT, len(past) - 1)
        while past[short] < 0:
            short -= 1
        met = self.levels[short].met
        p = met.get(past[short])
        if p is None:
            p = np.full(self.V, 1 / self.V)
            for level, node in zip(self.levels[:short + 1], past, strict=False):
                level.add(p, node)
            if len(met) * self.V < _MET:
                met[past[short]] = p
        p = p.copy()
        for level, node in zip(self.levels[short + 1:], past[short + 1:], strict=True):
            if node < 0:
                break
            level.add(p, node)
        return p

    def add(self, p: np.ndarray, n: int, past: np.ndarray) -> None:
        """Interpolate p (M, V), of shorter pasts, with the counts of level n after its nodes (M,)."""
        first, symbol, share, left = self.levels[n].followers
        there = np.flatnonzero(past >= 0)
        node = past[there]
        p[there] *= left[node][:, None]
        size = first[node + 1] - first[node]
        index = np.arange(size.sum()) + np.repeat(first[node] - (size.cumsum() - size), size)
        at, last = np.repeat(there, size), symbol[index]
        if n == 0:
            at, last, index = at[last < self.V], last[last < self.V], index[last < self.V]
        p.reshape(-1)[at * self.V + last] += share[index]

    def condition(self, evidence: Entries) -> Distribution:
        flat = self._known(evidence)
        self._check_first(flat.scored)
        distribution = copy.copy(self)
        distribution.evidence, distribution.begins = flat, self.begins & evidence.flat(self.space).begins
        return distribution

    def start(self) -> State:
        nodes = np.full((self.n, len(self.levels)), -1)
        nodes[:, 0] = self.state.numpy()
        if len(self.levels) > 1:
            begun = self.levels[0].find(self.state * (self.V + 1) + self.V)
            nodes[:, 1] = torch.where(self.begins, begun, -1).numpy()
        return State(0, torch.zeros(self.n, len(self.order), dtype=torch.float64), None, _Nodes(nodes))

    def next(self, state: State) -> Categorical:
        distribution = Categorical(torch.from_numpy(self.interpolated(state.cache.nodes)).log())
        self._ending(distribution, state.t)
        return distribution

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, state.t] = entries
        return replace(state, t=state.t + 1, cache=_Nodes(self.moved(state.cache.nodes, entries)))

    def moved(self, nodes: np.ndarray, entries: Tensor) -> np.ndarray:
        """Where rows stand (B, levels) once their next symbols (B,) are known."""
        found = np.full_like(nodes, -1)
        found[:, 0] = nodes[:, 0]
        if len(nodes) > _FEW:
            for n, level in enumerate(self.levels[:-1]):
                past = torch.from_numpy(nodes[:, n])
                found[:, n + 1] = level.find(torch.where(past < 0, -1, past * (self.V + 1) + entries.long())).numpy()
            return found
        for row, past, entry in zip(found, nodes.tolist(), entries.tolist(), strict=True):
            for n, level in enumerate(self.levels[:-1]):
                if past[n] < 0:
                    break
                row[n + 1] = level.after(past[n], entry)
        return found


def suffix_nodes(symbols: Tensor, state: Tensor, V: int,
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
