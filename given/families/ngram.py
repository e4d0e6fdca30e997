"""NGram: every symbol given the few before it, counted.

    p_n(w | c) = share_n(c w) + left_n(c) p_{n-1}(w | c'),    p_0(w) = 1 / V

c' is the past c without its oldest symbol; `smoothing` sets what share of a past's probability goes to what followed it, by
default interpolated modified Kneser-Ney. Finite parents are counted apart. Learned in one pass, which keeps a byte or few a
symbol, then one sweep over these for every length. `log_prob` is exact, and so are marginals and conditionals of what comes
first.

With `adaptive=a` an item's own symbols are counted as it is read, a counted in advance weighing as much as one of its own:

    p_n(w | c) = (a (share_n(c w) + left_n(c) p_{n-1}(w | c')) + n(c w)) / (a + n(c .)),    n the item's counts so far

which is exact too, a distribution of whole items (a text in windows: of a window), and another model than the one without.

Source: Kuhn, De Mori, A cache-based natural language model for speech recognition, 1990 (adaptive); see
`distributions.KneserNey`
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional, state_of, states
from given.lessons import Batch, Lesson, Solve, deadline_of
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["NGram"]

_AT_ONCE = 1 << 22  # places sorted together
_KNESER_NEY = distributions.KneserNey()


class NGram(Conditional):
    """Counts of grams, smoothed.

    Args:
        x: symbols, in the order of their grid.
        parents: finite, few enough to count apart.
        order: the length of the longest gram; a symbol is given order - 1 before it. A fit whose time is over before counts
            shorter ones.
        smoothing: `distributions.KneserNey()` or `distributions.WittenBell()`.
        min_count: grams of two symbols or more that occur less often are left to shorter pasts: less memory.
        adaptive: the weight of learned counts, in counts of the item itself, see above; None counts nothing of the item.
    """

    plans = ("keys", "share", "left", "sizes")
    waits = "its counts are looked up by the host"

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, order: int = 6,
                 smoothing: distributions.Smoothing = _KNESER_NEY, min_count: int = 1, adaptive: float | None = None) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite):
            raise UserError(f"NGram: expected a finite space, got {x.name}: {x.space}; use Autoregressive")
        for name, value in (("order", order), ("min_count", min_count)):
            if not isinstance(value, int) or value < 1:
                raise UserError(f"NGram: {name}={value!r}; expected a whole number from 1")
        if not isinstance(smoothing, distributions.Smoothing):
            raise UserError(f"NGram: smoothing={smoothing!r}; expected KneserNey() or WittenBell() of given.distributions")
        if adaptive is not None and not (isinstance(adaptive, int | float) and 0 < adaptive < math.inf):
            raise UserError(f"NGram: adaptive={adaptive!r}; expected a number above 0, or None")
        self.order, self.V, self.smoothing, self.min_count, self.adaptive = order, x.space.size, smoothing, min_count, adaptive
        self.states = states(self.parents, f"NGram {x.name}")
        self._levels: tuple[Tensor, list[distributions.NGramTable]] | None = None
        for name, dtype in (("keys", torch.int64), ("share", torch.float32), ("left", torch.float32), ("sizes", torch.int64)):
            self.register_buffer(name, torch.zeros(0, dtype=dtype))

    def forward(self, y: Observed) -> distributions.Sequential:
        if not len(self.sizes):
            raise UserError(f"NGram {self.x.name}: nothing is counted yet; fit it first")
        sizes = self.sizes.tolist()
        pasts = [self.states, *sizes[:-1]]
        if self._levels is None or self._levels[0] is not self.keys:  # counted or loaded since
            each = zip(self.keys.split(sizes), self.share.split(sizes), self.left.split(pasts), strict=True)
            self._levels = self.keys, [distributions.NGramTable(*tables, self.V) for tables in each]
        assert isinstance(self.x.space, Finite)
        fixed = distributions.InterpolatedNGram(self.x.space, self._levels[1], state_of(self.parents, y.to("cpu")))
        distribution = fixed if self.adaptive is None else distributions.CacheNGram(fixed, self.adaptive)
        return distribution if y.device.type == "cpu" else distributions.OnHost(distribution, y.device)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._count)]

    def _count(self, batches: Iterable[Batch]) -> None:
        self._levels = None
        stream = _Stream.of(self._blocks(batches), self.V, self.states)
        level, nodes = _first(stream)
        keys, shares, left = list[Tensor](), list[Tensor](), list[Tensor]()
        deadline, took = deadline_of(batches), 0.0
        for n in range(self.order):
            longer, began = None, deadline.left
            if n + 1 < self.order and deadline.allows(took):
                longer, nodes = _longer(level, stream, nodes)
            else:
                del stream, nodes
            counted = distributions.NGramCounts(torch.from_numpy(level.keys // (self.V + 1)), level.pasts,
                                                torch.from_numpy(level.count),
                                   None if longer is None else longer.before(len(level.keys)), torch.from_numpy(level.begin))
            share = self.smoothing.share(counted).float()
            kept = counted.count >= self.min_count
            if n and not bool(kept.all()):
                share = share[kept]
                counted.past = counted.past[kept]
                if longer is not None:
                    longer, nodes = longer.without(~kept.numpy(), self.V, nodes)
                level.keys = level.keys[kept.numpy()]
            keys.append(torch.from_numpy(level.keys))
            shares.append(share)
            left.append((1 - counted.of_past(share.double())).float())
            if longer is None:
                break
            level, took = longer, began - deadline.left
        self.keys, self.share, self.left = torch.cat(keys), torch.cat(shares), torch.cat(left)
        self.sizes = torch.tensor([len(key) for key in keys])

    def _blocks(self, batches: Iterable[Batch]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Rows end to end: symbols as `distributions.suffix_nodes` reads them, the parents' state, the weight, 0 where nothing
        is counted."""
        for x, y, weight in batches:
            if not x.complete:
                raise UserError(f"{self.x.name}: NGram counts whole items, got unseen entries; use Independent")
            flat = x.flat(self.x.space)
            # Of the context only what a counted symbol is given.
            near = flat.scored
            for _ in range(self.order - 1):
                near = near | F.pad(near[:, 1:], (0, 1))
            symbols = F.pad(torch.where(near & flat.readable, flat.tensor, -1).long(), (1, 0))
            symbols[:, 0] = torch.where(flat.begins, self.V, -1)
            counted = F.pad(torch.where(flat.scored, weight[:, None].double(), 0.0), (1, 0))
            keep = symbols >= 0
            keep[:, 0] = True
            yield symbols[keep], state_of(self.parents, y)[:, None].expand(keep.shape)[keep], counted[keep]

    # NGramTable have no fixed number: a loaded state brings its own.
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("keys", "share", "left", "sizes"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


@dataclass
class _Stream:
    """What is counted, as small as it goes.

    Attributes:
        symbols: (M,) unsigned, V where a row begins, V + 1 where nothing is known.
        state: (M,) int32 of the parents, or None where there is one state.
        weight: (M,) bool, or float64 where rows weigh other than 0 or 1.
        V, states: how many symbols and states there are.
    """

    symbols: np.ndarray
    state: np.ndarray | None
    weight: np.ndarray
    V: int
    states: int

    @staticmethod
    def of(blocks: Iterable[tuple[Tensor, Tensor, Tensor]], V: int, states: int) -> _Stream:
        parts = list[tuple[np.ndarray, ...]]()
        for symbols, state, weight in blocks:
            whole = bool(((weight == 0) | (weight == 1)).all())
            small = torch.where(symbols < 0, V + 1, symbols).numpy().astype(np.min_scalar_type(V + 1))
            parts.append((small, state.numpy().astype(np.int32) if states > 1 else np.zeros(0, np.int32),
                          weight.numpy() > 0 if whole else weight.numpy()))
        all_symbols, all_states, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        return _Stream(all_symbols, all_states if states > 1 else None, weights, V, states)

    def chunks(self) -> Iterator[slice]:
        return (slice(a, min(a + _AT_ONCE, len(self.symbols))) for a in range(0, len(self.symbols), _AT_ONCE))


@dataclass
class _Level:
    """NGramTable of one length.

    Attributes:
        keys: (N,) int64, sorted.
        pasts: how many pasts there are.
        count: (N,) float64, how often each occurs.
        begin: (N,) bool, whether a row begins with it.
        rest: (N,) int32, the gram without its oldest symbol, -1 where that was dropped.
    """

    keys: np.ndarray
    pasts: int
    count: np.ndarray
    begin: np.ndarray
    rest: np.ndarray

    def before(self, N: int) -> Tensor:
        """How many symbols stand before each of the N grams one shorter: (N,) float64."""
        rest = self.rest[(self.count > 0) & (self.rest >= 0)]
        return torch.from_numpy(np.bincount(rest, minlength=N).astype(np.float64))

    def without(self, dropped: np.ndarray, V: int, nodes: np.ndarray) -> tuple[_Level, np.ndarray]:
        """The level once some pasts are not there, and the places' nodes (M,)."""
        past = self.keys // (V + 1)
        kept, number = ~dropped[past], np.cumsum(~dropped) - 1
        keys = self.keys[kept] + (number[past[kept]] - past[kept]) * (V + 1)
        renumbered = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        for a in range(0, len(nodes), _AT_ONCE):
            some = nodes[a:a + _AT_ONCE]
            some[:] = np.where(some < 0, -1, renumbered[some])
        return _Level(keys, int((~dropped).sum()), self.count[kept], self.begin[kept], self.rest[kept]), nodes


def _first(stream: _Stream) -> tuple[_Level, np.ndarray]:
    """Single symbols given the state, and the node (M,) int32 of every place's, -1 where there is none."""
    def keys(chunk: slice) -> np.ndarray:
        symbols = stream.symbols[chunk].astype(np.int64)
        state = 0 if stream.state is None else stream.state[chunk].astype(np.int64)
        return np.where(symbols <= stream.V, state * (stream.V + 1) + symbols, -1)

    found, count, nodes = _numbered(stream, keys)
    level = _Level(found, stream.states, count, found % (stream.V + 1) == stream.V, np.zeros(0, np.int32))
    return level, nodes


def _longer(level: _Level, stream: _Stream, nodes: np.ndarray) -> tuple[_Level, np.ndarray]:
    """NGramTable one symbol longer than a level whose nodes (M,) places have, and the places' nodes of these."""
    def keys(chunk: slice) -> np.ndarray:
        symbols = stream.symbols[chunk].astype(np.int64)
        past = nodes[chunk.start - 1:chunk.stop - 1] if chunk.start else np.concatenate([[-1], nodes[:chunk.stop - 1]])
        return np.where((symbols < stream.V) & (past >= 0), past * np.int64(stream.V + 1) + symbols, -1)

    found, count, longer = _numbered(stream, keys)
    rest = np.zeros(len(found), np.int32)
    for chunk in stream.chunks():
        there = longer[chunk] >= 0
        rest[longer[chunk][there]] = nodes[chunk][there]
    return _Level(found, len(level.keys), count, level.begin[found // (stream.V + 1)], rest), longer


def _numbered(stream: _Stream, keys: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different keys of all places (N,), sorted; how much each weighs, (N,) float64; every place's number (M,) int32.

    Args:
        stream: M places.
        keys: chunk of places -> their keys, -1 where there is none.
    """
    numbers = np.full(len(stream.symbols), -1, np.int32)
    runs = list[tuple[np.ndarray, np.ndarray]]()
    small = np.float32 if stream.weight.dtype == bool else np.float64
    for chunk in stream.chunks():
        key = keys(chunk)
        there = np.flatnonzero(key >= 0)
        different, which = _different(key[there])
        weight = stream.weight[chunk][there]
        runs.append((different, np.bincount(which, weight, len(different)).astype(small)))
        numbers[chunk][there] = which
    found = runs[0][0]
    if len(runs) > 1:
        found = np.concatenate([different for different, _ in runs])
        found.sort()
        found = found[np.append(True, found[1:] != found[:-1])] if len(found) else found
    count = np.zeros(len(found))
    for chunk, (different, amount) in zip(stream.chunks(), runs, strict=True):
        at = np.searchsorted(found, different).astype(np.int32)
        count[at] += amount
        if len(runs) > 1:
            some = numbers[chunk]
            numbered = some >= 0
            some[numbered] = at[some[numbered]]
    return found, count, numbers


def _different(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different keys, sorted, and the number (M,) of each place's among them."""
    bits = len(keys).bit_length()
    if not len(keys) or int(keys.max()) >> (63 - bits):
        return np.unique(keys, return_inverse=True)
    # One sort of numbers is five times as fast as one that moves an index along.
    both: np.ndarray = (keys << bits) | np.arange(len(keys))
    both.sort()
    ordered, place = both >> bits, both & ((1 << bits) - 1)
    new = np.append(True, ordered[1:] != ordered[:-1])
    which = np.empty(len(keys), np.int64)
    which[place] = np.cumsum(new) - 1
    return ordered[new], which
