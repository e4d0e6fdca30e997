"""Sequential laws: entries drawn one after another, each given those before.

    log p(x | y) = sum_t log p(x_{o(t)} | x_{o(0)}, ..., x_{o(t-1)}, y)

Three methods carry every algorithm that draws, ranks or codes step by step: `start` gives the state before the first
entry, `next` the law of the entry to come, `advance` the state once it is known. `Chain` is the sequential law of an
order, a causal net and heads.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from given.laws.categorical import Categorical
from given.laws.entrywise import Entrywise
from given.laws.grouped import Grouped
from given.laws.law import How, Intractable, Kind, Law
from given.laws.noise import Noise
from given.nn import Condition
from given.variables import Entries, Finite, Product, Space

__all__ = ["Chain", "Sequential", "State"]

_AT_ONCE = 1 << 21  # numbers of laws of symbols, 16 MB


@dataclass
class State:
    """Where a draw stands.

    Attributes:
        t: entries drawn.
        values: (B, D) float64, the entries so far, zero where still to come.
        condition: y as a net reads it, or None.
        cache: what the law remembers. `next` writes into it: keep a copy with `rows`.
        read: how many entries' tokens the net has read into its cache.
    """

    t: int
    values: Tensor
    condition: Condition | None
    cache: Any
    read: int = 0

    def rows(self, index: Tensor) -> State:
        """The rows `index`, copied: repeated for several draws, reordered for a beam."""
        condition = None if self.condition is None else self.condition.rows(index)
        return State(self.t, self.values[index], condition, self.cache.rows(index), self.read)


class Sequential(Law):
    """A law that draws its entries in an order.

    Attributes:
        order: (D,) int64, the entries as they are drawn: numbered row by row, the columns of a block one after another.
        ends: for every place in the order, where the group of entries drawn with it ends: one further, unless several entries
            are drawn at once.
        entries: the order as a list.
        evidence: (B, D) entries already known, returned by draws and not scored.
        any_order: whether what is known may stand anywhere, not only first in the order.
    """

    any_order = False

    def __init__(self, space: Space, n: int, order: Tensor) -> None:
        super().__init__(space, n)
        self.order = order
        self.ends, self.entries = list(range(1, len(order) + 1)), order.tolist()
        self.evidence: Entries | None = None
        self.end = space.end if isinstance(space, Finite) else None

    @abc.abstractmethod
    def each(self, x: Entries) -> Tensor:
        """log p of every entry given those before it: (*shape, B, D) float64, anything where an entry is not told.

        Raises:
            Intractable: what is told is not what the order draws first.
        """

    @abc.abstractmethod
    def start(self) -> State:
        """The state of B rows before the first step."""

    @abc.abstractmethod
    def next(self, state: State) -> Entrywise:
        """The law of the next entry of each row, or of the next group of entries, on a grid of one axis."""

    @abc.abstractmethod
    def advance(self, state: State, entries: Tensor) -> State:
        """The state once the next entry (B,), or group (B, G), is known. Consumes the state it is given."""

    def laws(self, x: Entries) -> Iterator[Tensor]:
        """log p of every symbol (finite spaces) at every entry given those before it: blocks (M, D, V) float64 of x's rows.

        Raises:
            Intractable: as `each`.
        """
        flat, row = self._whole(x)
        self._check_first(flat.told)
        values = torch.where(flat.told, flat.tensor, 0.0)
        for rows in self.blocks(len(row)):
            state, found = self.start().rows(row[rows]), []
            for entry in self.order.tolist():
                found.append(self.next(state).log_probs)  # type: ignore[attr-defined]
                state = self.advance(state, values[rows, entry])
            yield torch.stack(found, 1)[:, self.order.argsort()]

    def blocks(self, n: int) -> Iterator[slice]:
        """n rows, so many at a time that their laws fit: alike for all laws of a space."""
        assert isinstance(self.space, Finite)
        size = max(1, _AT_ONCE // (self.space.dimensions * self.space.size))
        return (slice(first, first + size) for first in range(0, n, size))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        scored = x.flat(self.space).known
        if self.evidence is not None:
            scored = scored & ~self.evidence.known
        return torch.where(scored, self.each(x), 0.0).sum(-1)

    def sample(self, shape: Sequence[int] = (), *, seed: int | Noise = 0, how: How | None = None) -> Entries:
        draws, D = torch.Size(shape).numel(), len(self.order)
        u = Noise.of(seed, self.n).uniform(shape, (D,)).reshape(draws * self.n, D)
        evidence = self.evidence.rows(torch.arange(self.n).repeat(draws)) if self.evidence is not None else None
        over = torch.zeros(draws * self.n, dtype=torch.bool)  # past the end symbol
        valid = torch.ones(draws * self.n, D, dtype=torch.bool)
        with torch.no_grad():
            state = self.start().rows(torch.arange(self.n).repeat(draws))
            while state.t < D:
                t, end = state.t, self.ends[state.t]
                places = slice(t, end) if end > t + 1 else t
                entry = self.order[places]
                known = evidence.known[:, entry] if evidence is not None else torch.zeros_like(u[:, places], dtype=torch.bool)
                value = evidence.tensor[:, entry].double() if evidence is not None else torch.zeros_like(u[:, places])
                if not bool((known | over.reshape(-1, *[1] * (known.dim() - 1))).all()):
                    law = self.next(state)
                    drawn = (how(law) if how else law).pick(u[:, places]).double()
                    value = torch.where(known, value, drawn)
                valid[:, entry] = ~over.reshape(-1, *[1] * (known.dim() - 1))
                if self.end is not None:
                    state = self.advance(state, torch.where(over, 0.0, value))
                    over = over | (value == self.end)
                else:
                    state = self.advance(state, value)
        lead = (*shape, self.n, D)
        return Entries(state.values.reshape(lead), valid=valid.reshape(lead)).shaped(self.space)

    def _whole(self, x: Entries) -> tuple[Entries, Tensor]:
        """x with the evidence in its place, (N, D) each, and which of the B rows each belongs to."""
        flat = x.flat(self.space).map(lambda t: t.reshape(-1, t.shape[-1]))
        row = torch.arange(self.n).repeat(len(flat) // self.n)
        if self.evidence is not None:
            e = self.evidence.rows(row)
            values = torch.where(e.known, e.tensor, flat.tensor)
            flat = Entries(values, flat.seen | e.known, flat.valid | e.known, flat.context)  # type: ignore[operator]
        return flat, row

    def _known(self, evidence: Entries) -> Entries:
        """All that is known once this is, (B, D)."""
        flat = evidence.flat(self.space)
        flat = Entries(flat.tensor, flat.told)
        return flat if self.evidence is None else self.evidence.or_else(flat)

    def _comes_first(self, known: Tensor, order: Tensor) -> bool:
        in_order = known[:, order]
        return not bool((in_order[:, 1:] & ~in_order[:, :-1]).any())

    def _check_first(self, known: Tensor) -> None:
        if not self._comes_first(known, self.order):
            raise Intractable("what is seen is not what this order draws first; choose an order that begins with it "
                              "(order=Reverse(), Fixed(...)) or learns all (AnyOrder()), or a family that marginalises: "
                              "Gaussian, Independent, Memory")

    def _ending(self, law: Entrywise, place: int | slice | Tensor) -> Entrywise:
        """On an axis whose length is modelled, the last entry is the end and nothing else."""
        if self.end is not None and isinstance(self.space, Finite) and isinstance(law, Categorical):
            last = torch.arange(self.space.dimensions)[place] == self.space.dimensions - 1
            other = torch.arange(self.space.size) != self.end
            law.logits = law.logits.masked_fill(last[..., None] & other, -torch.inf)
        return law


class Chain(Sequential):
    """An order, a causal net and heads, with y bound.

    Args:
        space: of D entries.
        steps: (D,) int64, the step at which each entry is drawn.
        embed: values (B, D), order (1 or B, D), steps -> tokens (B, T, C).
        net: tokens, condition, order -> features (B, T, C) in the order of drawing; with `start` and `step`.
        heads: one for each part of the space: features -> entrywise law.
        condition: y, B rows.
        any_order: whether the net learned every order, so that what is known may come first.
    """

    def __init__(self, space: Space, steps: Tensor, embed: nn.Module, net: nn.Module, heads: nn.ModuleList,
                 condition: Condition, any_order: bool = False) -> None:
        super().__init__(space, len(condition.pooled), steps.argsort(stable=True))
        drawn = steps[self.order]
        self.ends = torch.searchsorted(drawn, drawn, right=True).tolist()
        self.embed, self.net, self.heads, self.y = embed, net, heads, condition
        self.any_order = any_order
        sizes = [part.dimensions for _, part in space.parts]
        self.part_of = [i for i, size in enumerate(sizes) for _ in range(size)]
        self.first = [sum(sizes[:i]) for i in range(len(sizes) + 1)]

    @property
    def kind_of_part(self) -> Kind:
        """An estimate where every order was learned: orders agree only as far as learning made them."""
        return "estimate" if self.any_order else self.kind

    def each(self, x: Entries) -> Tensor:
        flat, row = self._whole(x)
        orders = self.order[None]
        if not self._comes_first(flat.told, self.order):
            if not self.any_order:
                self._check_first(flat.told)
            # A row's own order: what is known, then the rest, each as the order has it.
            orders = self.order[(~flat.told[:, self.order]).long().argsort(dim=1, stable=True)]
        # Whatever stands where nothing is known, or padding, is nothing.
        values = torch.where(flat.told, flat.tensor, 0.0)
        return self.scores(values, row, orders).reshape(*x.flat(self.space).tensor.shape)

    def scores(self, values: Tensor, row: Tensor, orders: Tensor) -> Tensor:
        """log p of every entry given those before it: (N, D) float64.

        Args:
            values: (N, D).
            row: (N,) which of the B rows of y each belongs to.
            orders: (1 or N, D).
        """
        features = self._features(values, row, orders)
        entries, found = Entries(values).shaped(self.space), []
        columns = entries.columns if isinstance(self.space, Product) else {"": entries}
        for i, (name, part) in enumerate(self.space.parts):
            mine = features[:, self.first[i]:self.first[i + 1]].reshape(-1, *part.shape, features.shape[-1])
            with torch.autocast(mine.device.type, enabled=False):  # a law is made of all the bits there are
                law = self._ending(self.heads[i](mine.float()), slice(None))
                each = law.each(columns[name].tensor)
            found.append(each.flatten(1) if part.axes else each[:, None])
        return torch.cat(found, 1)

    def laws(self, x: Entries) -> Iterator[Tensor]:
        flat, row = self._whole(x)
        self._check_first(flat.told)
        values = torch.where(flat.told, flat.tensor, 0.0)
        for rows in self.blocks(len(row)):
            features = self._features(values[rows], row[rows], self.order[None])
            law = self.heads[0](features.reshape(len(features), *self.space.shape, -1))
            yield self._ending(law, slice(None)).log_probs.reshape(*features.shape[:2], -1)  # type: ignore[attr-defined]

    def _features(self, values: Tensor, row: Tensor, orders: Tensor) -> Tensor:
        """What the net makes of every entry's past: (N, D, C), in the entries' order."""
        y = self.y if self.n == len(row) else self.y.rows(row)
        features = self.net(self._tokens(values, y, orders, slice(None)), y, orders)
        back = orders.argsort(1)
        return features[:, back[0]] if len(back) == 1 else features.gather(1, back[..., None].expand_as(features))

    def _tokens(self, values: Tensor, y: Condition | None, orders: Tensor, steps: slice) -> Tensor:
        tokens = self.embed(values, orders, steps)
        if y is not None and y.aligned is not None:
            at = orders[:, steps, None].expand(len(values), -1, y.aligned.shape[-1])
            tokens = tokens + y.aligned.gather(1, at)
        return tokens

    def condition(self, evidence: Entries) -> Law:
        flat = self._known(evidence)
        if not self.any_order:
            self._check_first(flat.known)
        if self._comes_first(flat.known, self.order):
            return self._given(flat, self.order)
        patterns, which = flat.known.unique(dim=0, return_inverse=True)
        groups = []
        for i, pattern in enumerate(patterns):
            rows = (which == i).nonzero()[:, 0]
            order = torch.cat([self.order[pattern[self.order]], self.order[~pattern[self.order]]])
            groups.append((rows, self._rows(rows)._given(flat.rows(rows), order)))
        return Grouped(groups, self.space)

    def _given(self, evidence: Entries, order: Tensor) -> Chain:
        law = copy.copy(self)
        law.evidence, law.order, law.entries = evidence, order, order.tolist()
        law.kind = self.kind_of_part
        return law

    def _rows(self, rows: Tensor) -> Chain:
        law = copy.copy(self)
        law.n, law.y = len(rows), self.y.rows(rows)
        return law

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.order), dtype=torch.float64)
        return State(0, nothing, self.y, self.net.start(self.y))  # type: ignore[operator]

    def next(self, state: State) -> Entrywise:
        # What was known and never asked for is read here, all at once.
        order, t, end = self.order[None], state.t, self.ends[state.t]
        tokens = self._tokens(state.values, state.condition, order, slice(state.read, end))
        features = self.net.step(tokens, order, state.read, state.cache)  # type: ignore[operator]
        state.read = end
        entry = self.entries[t]
        head = self.heads[self.part_of[entry]]
        if end == t + 1:
            return self._ending(head(features[:, -1]), entry)
        return self._ending(head(features[:, t - end:]), self.order[t:end])

    def advance(self, state: State, entries: Tensor) -> State:
        if entries.dim() == 1:
            state.values[:, self.entries[state.t]] = entries
        else:
            state.values[:, self.order[state.t:self.ends[state.t]]] = entries.double()
        return replace(state, t=self.ends[state.t])
