"""CacheNGram: a distribution of counts that also counts the symbols of the item at hand, as it is read.

    p_n(w | c) = (a (share_n(c w) + left_n(c) p_{n-1}(w | c')) + n(c w)) / (a + n(c .))

n counts what the item has shown before this entry, its context too, in grams of every length. Every step's distribution sums to
one, so their product does; the item is read in order, and what comes later moves nothing.

Source: Kuhn, De Mori, A cache-based natural language model for speech recognition, 1990 /
https://doi.org/10.1109/34.56193
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.categorical import Categorical
from given.distributions.distribution import Distribution
from given.distributions.interpolated_ngram import InterpolatedNGram, _or, suffix_nodes
from given.distributions.sequential import Sequential, State
from given.nn.readers.tokens import last_of
from given.variables import Entries

__all__ = ["CacheNGram"]


@dataclass(frozen=True)
class _Read:
    """Where rows stand.

    Attributes:
        nodes: (B, levels) of the counts in advance.
        last: of each row, its last symbols.
        counts: of each row, past -> symbol -> count.
    """

    nodes: np.ndarray
    last: list[tuple[int, ...]]
    counts: list[dict[tuple[int, ...], dict[int, int]]]

    def rows(self, index: Tensor) -> _Read:
        at = index.tolist()
        counts = [{past: dict(found) for past, found in self.counts[i].items()} for i in at]
        return _Read(self.nodes[at], [self.last[i] for i in at], counts)


class CacheNGram(Sequential):
    """The distribution of B rows.

    Args:
        fixed: the counts in advance.
        weight: a, how many of an item's own symbols they weigh.

    Attributes:
        met: of each row, what was counted in windows before this one; None where there were none.
    """

    adaptive = True

    def __init__(self, fixed: InterpolatedNGram, weight: float) -> None:
        super().__init__(fixed.space, fixed.n, fixed.entries, fixed.device)
        self.fixed, self.weight = fixed, weight
        self.met: list[dict[tuple[int, ...], dict[int, int]]] | None = None

    def each(self, x: Entries) -> Tensor:
        symbols, row = self.fixed.stream(x)
        p = torch.full(symbols.shape, 1 / self.fixed.V, dtype=torch.float64).reshape(-1)
        flat, both = symbols.reshape(-1), zip(self.fixed.suffix_nodes(symbols, row), self._own(symbols), strict=True)
        for level, ((past, node), (own, gram)) in zip(self.fixed.levels, both, strict=True):
            real = (gram >= 0) & (flat < self.fixed.V)
            p = _or(level.share, node, 0.0) + _or(level.left, past, 1.0) * p
            p = (self.weight * p + _earlier(gram, real)) / (self.weight + _earlier(own, real))
        log_p = p.view(symbols.shape)[:, 1:].log()
        if self.end is not None:
            log_p[:, -1] = torch.where(symbols[:, -1] == self.end, 0.0, -torch.inf)
        return log_p.reshape(*x.flat(self.space).tensor.shape)

    def all_log_probs(self, x: Entries) -> Iterator[Tensor]:
        symbols, row = self.fixed.stream(x)
        for rows in self.blocks(len(row)):
            some = symbols[rows]
            D = some.shape[1] - 1
            some = some[:, :1 + last_of(some[:, 1:] >= 0)]  # what lies beyond is padding in all of them
            shown = some[:, 1:].reshape(-1)
            p = np.full((len(shown), self.fixed.V), 1 / self.fixed.V)
            both = zip(self.fixed.suffix_nodes(some, row[rows]), self._own(some), strict=True)
            for n, ((past, _), (own, _)) in enumerate(both):
                self.fixed.add(p, n, past.view(some.shape)[:, 1:].reshape(-1).numpy())
                counts = _before(own.view(some.shape)[:, 1:].reshape(-1), shown, self.fixed.V).numpy()
                p = (self.weight * p + counts) / (self.weight + counts.sum(1, keepdims=True))
            log_p = torch.from_numpy(p).log().view(len(some), -1, self.fixed.V)
            distribution = Categorical(F.pad(log_p, (0, 0, 0, D - log_p.shape[1])))
            yield self._ending(distribution, slice(None)).log_probs

    def _own(self, symbols: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Pasts and grams of every place, numbered among the row's own."""
        def number(keys: Tensor) -> Tensor:
            there = keys >= 0
            index = keys[there].unique(return_inverse=True)[1]
            return torch.full_like(keys, -1).masked_scatter(there, index)

        row = torch.arange(len(symbols)).repeat_interleave(symbols.shape[1])
        return suffix_nodes(symbols.reshape(-1), row, self.fixed.V, [number] * len(self.fixed.levels))

    def condition(self, evidence: Entries) -> Distribution:
        distribution = copy.copy(self)
        distribution.evidence, distribution.fixed = self._known(evidence), self.fixed.condition(evidence)  # type: ignore[assignment]
        return distribution

    def start(self) -> State:
        state = self.fixed.start()
        last: list[tuple[int, ...]] = [(self.fixed.V,) if begins else () for begins in self.fixed.begins.tolist()]
        return replace(state, cache=_Read(state.cache.nodes, last, [{} for _ in last] if self.met is None else self.met))

    def after(self, state: State) -> CacheNGram:
        """The distribution of the next window, which goes on counting; consumes the state, and starts once."""
        distribution = copy.copy(self)
        distribution.met = state.cache.counts
        return distribution

    def next(self, state: State) -> Categorical:
        read = state.cache
        p = np.full((len(read.last), self.fixed.V), 1 / self.fixed.V)
        for n in range(len(self.fixed.levels)):
            self.fixed.add(p, n, read.nodes[:, n])
            for row, last, counts in zip(p, read.last, read.counts, strict=True):
                found = counts.get(last[len(last) - n:]) if n <= len(last) else None
                if found:
                    row *= self.weight
                    row[list(found)] += list(found.values())
                    row /= self.weight + sum(found.values())
        distribution = Categorical(torch.from_numpy(p).log())
        self._ending(distribution, state.t)
        return distribution

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, state.t] = entries
        read, longest = state.cache, len(self.fixed.levels) - 1
        last = list[tuple[int, ...]]()
        again = self.met is not None and self.evidence is not None and bool(self.evidence.scored[0, state.t])
        for past, counts, entry in zip(read.last, read.counts, entries.long().tolist(), strict=True):
            for n in range(0 if again else min(longest, len(past)) + 1):  # a window before has counted its context
                found = counts.setdefault(past[len(past) - n:], {})
                found[entry] = found.get(entry, 0) + 1
            last.append((past + (entry,))[max(0, len(past) + 1 - longest):])
        return replace(state, t=state.t + 1, cache=_Read(self.fixed.moved(read.nodes, entries), last, read.counts))


def _earlier(group: Tensor, counts: Tensor) -> Tensor:
    """How many places before each of (M,), of those that count, are of its group: (M,) float64; 0 where it does not count."""
    there = ((group >= 0) & counts).nonzero()[:, 0]
    found = torch.zeros(len(group), dtype=torch.float64)
    if len(there):
        ordered, index = group[there].sort(stable=True)
        place = torch.arange(len(there))
        new = F.pad(ordered[1:] != ordered[:-1], (1, 0), value=True)
        found[there[index]] = (place - torch.where(new, place, 0).cummax(0).values).double()
    return found


def _before(own: Tensor, symbols: Tensor, V: int) -> Tensor:
    """What followed the past of each of (M,) places so far: (M, V) float64. Symbols of V and above, or below 0, are none.

    Places of one past stand together once sorted, in the order they are read, so a place has those before it in its group."""
    there = (own >= 0).nonzero()[:, 0]
    ordered, index = own[there].sort(stable=True)
    at, place = there[index], torch.arange(len(there))
    new = F.pad(ordered[1:] != ordered[:-1], (1, 0), value=True)[:len(place)]
    first = torch.where(new, place, 0).cummax(0).values if len(place) else place
    earlier = place - first
    which = place.repeat_interleave(earlier)
    mate = first[which] + torch.arange(len(which)) - (earlier.cumsum(0) - earlier)[which]
    shown = symbols[at[mate]]
    real = (shown >= 0) & (shown < V)
    cells = (at[which] * V + shown)[real]
    counts = torch.zeros(len(own) * V, dtype=torch.float64)
    return counts.index_add_(0, cells, torch.ones(len(cells), dtype=torch.float64)).view(-1, V)
