"""Sequential laws: entries drawn one after another, each given those before.

    log p(x | y) = sum_t log p(x_{o(t)} | x_{o(0)}, ..., x_{o(t-1)}, y)

Three methods carry every algorithm that draws, ranks or codes step by step: `start` gives the state before the first
entry, `next` the law of the entry to come, `advance` the state once it is known. A law that reads several entries at once
says so by `ahead`. `Chain` is the sequential law of an order, a causal net and heads.
"""

from __future__ import annotations

import abc
import copy
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from given.laws.categorical import Categorical
from given.laws.entrywise import Entrywise
from given.laws.grouped import Grouped
from given.laws.law import Intractable, Kind, Law
from given.laws.noise import Noise
from given.nn import Condition
from given.variables import Entries, Finite, Product, Space

__all__ = ["Chain", "Drawn", "Sequential", "State"]


@dataclass
class State:
    """Where a draw stands.

    Attributes:
        t: steps taken.
        values: (B, D) float64, the entries so far, zero where still to come.
        condition: y as a net reads it, or None.
        cache: what the law remembers. `next` writes into it: keep a copy with `rows`.
        read: how many steps the net has read into its cache.
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


@dataclass
class Drawn:
    """Where the draws of a law stand: N = draws B rows, the rows of one draw together.

    Attributes:
        t: steps taken.
        state: of N rows.
        over: (N,) whether nothing more is to come.
        valid: (N, D) whether an entry is one, and no padding.
    """

    t: int
    state: State
    over: Tensor
    valid: Tensor


class Sequential(Law):
    """A law that draws its entries in an order.

    Attributes:
        order: (D,) int64, the entry of each step: numbered row by row, the columns of a block one after another.
        evidence: (B, D) entries already known, returned by draws and not scored.
        any_order: whether what is known may stand anywhere, not only first in the order.
        one_at_a_time: whether a step is one entry, and not a group of several.
        more: how many entries are to come when all D are drawn, as in a text that goes on past its window.
        goes_on: whether it is of a later window, and what is known was drawn in those before.
    """

    any_order = False
    one_at_a_time = True
    draws_together = True
    more = 0
    goes_on = False

    def __init__(self, space: Space, n: int, order: Tensor) -> None:
        super().__init__(space, n)
        self.order = order
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
        """The law of the next entry, of each row."""

    @abc.abstractmethod
    def advance(self, state: State, entries: Tensor) -> State:
        """The state once the next entry (B,) is known. Consumes the state it is given."""

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        scored = x.flat(self.space).known
        if self.evidence is not None:
            scored = scored & ~self.evidence.known
        return torch.where(scored, self.each(x), 0.0).sum(-1)

    def ahead(self, state: State, entries: Tensor) -> list[Entrywise]:
        """The laws of the next k + 1 entries, were the next k to be `entries` (B, k). The state stays where it is; once it has
        moved on by what came instead, `back` says so.
        """
        state, found = state.rows(torch.arange(len(entries))), list[Entrywise]()
        for each in entries.unbind(1):
            found.append(self.next(state))
            state = self.advance(state, each)
        return [*found, self.next(state)]

    def back(self, state: State) -> State:
        """A state that stands at step t, whose law may have read further `ahead` than that. What a cache holds of later steps
        is written over when they are read again, so to go back is to say how far was read.
        """
        return state

    def over(self, state: State) -> Tensor:
        """(B,) whether the entry just written is a row's last, where that is not told by the grid."""
        last = state.values[:, int(self.order[state.t - 1])]
        return last == self.end if self.end is not None else torch.zeros(len(last), dtype=torch.bool)

    @property
    def may_end(self) -> bool:
        """Whether a row may be over before all D entries are drawn."""
        return self.end is not None

    def after(self, state: State) -> Sequential:
        """The same law, for what is drawn after this state in a window of its own."""
        return self

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws, D = torch.Size(shape).numel(), len(self.order)
        own = not shape or len(noise.keys) != self.n  # a stream of noise for every draw
        u = noise.uniform((), (D,)) if own else noise.uniform(shape, (D,)).reshape(draws * self.n, D)
        with torch.no_grad():
            drawn = deque(self.run(u), maxlen=1).pop()
        lead = (*shape, self.n, D)
        return Entries(drawn.state.values.reshape(lead), valid=drawn.valid.reshape(lead)).shaped(self.space)

    def run(self, u: Tensor, over: Tensor | None = None) -> Iterator[Drawn]:
        """Draws step by step, from uniform numbers (N, D): where they stand once what all rows know is written, and after
        every step from there until all are over, as those in `over` (B,) are before. What is known is read once for all draws
        of a row.
        """
        draws, D, order, ends = len(u) // self.n, len(self.order), self.order.tolist(), self.may_end
        state, first, last = self.start(), 0, 0
        over = torch.zeros(self.n, dtype=torch.bool) if over is None else over
        valid = torch.full((self.n, D), not ends)
        if self.evidence is not None:
            known, values = self.evidence.known[:, self.order], self.evidence.tensor[:, self.order].double()
            every = [*known.all(0).tolist(), False]
            first, last = every.index(False), int(known.any(0).sum())
            for t in range(first):
                if ends:
                    valid[:, order[t]] = ~over
                state = self.advance(state, values[:, t])
                over = over | self.over(state) if ends else over
        law = self.next(state) if first < D else None
        if draws > 1:
            row = torch.arange(self.n).repeat(draws)
            state, over, valid = state.rows(row), over[row], valid[row]
            if last > first:
                known, values = known[row], values[row]
        yield Drawn(first, state, over, valid)
        for t, each in enumerate(u[:, first:].T.contiguous(), first):
            if ends and bool(over.all()):
                break
            if law is None:
                value = self.next(state).pick(each).double()
            else:  # of B rows still
                value, law = law.pick(each.view(draws, self.n)).view(-1).double(), None
            if t < last:
                value = torch.where(known[:, t], values[:, t], value)
            if ends:
                valid[:, order[t]] = ~over
                value = value.masked_fill(over, 0.0)
            state = self.advance(state, value)
            if ends:
                over = over | self.over(state)
            yield Drawn(t + 1, state, over, valid)

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

    def _ending(self, law: Entrywise, place: int | slice) -> Entrywise:
        """On an axis whose length is modelled, the last entry is the end and nothing else."""
        if isinstance(self.space, Finite) and self.end is not None and isinstance(law, Categorical):
            last = torch.arange(self.space.dimensions)[place] == self.space.dimensions - 1
            other = torch.arange(self.space.size) != self.end
            law.logits = law.logits.masked_fill(last[..., None] & other, -torch.inf)
        return law


class Chain(Sequential):
    """An order, a causal net and heads, with y bound.

    Args:
        space: of D entries.
        order: (D,) int64.
        embed: values (B, D), order (1 or B, D), steps -> tokens (B, T, C).
        net: tokens, condition, order -> features (B, T, C) in the order of drawing; with `start` and `step`.
        heads: one for each part of the space: features -> entrywise law.
        condition: y, B rows.
        any_order: whether the net learned every order, so that what is known may come first.
    """

    def __init__(self, space: Space, order: Tensor, embed: nn.Module, net: nn.Module, heads: nn.ModuleList,
                 condition: Condition, any_order: bool = False) -> None:
        super().__init__(space, len(condition.pooled), order)
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
        y = self.y if self.n == len(row) else self.y.rows(row)
        features = self.net(self._tokens(values, y, orders, slice(None)), y, orders)
        back = orders.argsort(1)
        features = features[:, back[0]] if len(back) == 1 else features.gather(1, back[..., None].expand_as(features))
        entries, found = Entries(values).shaped(self.space), []
        columns = entries.columns if isinstance(self.space, Product) else {"": entries}
        for i, (name, part) in enumerate(self.space.parts):
            mine = features[:, self.first[i]:self.first[i + 1]].reshape(-1, *part.shape, features.shape[-1])
            law = self._ending(self.heads[i](mine), slice(None))
            found.append(law.each(columns[name].tensor).flatten(1) if part.axes else law.each(columns[name].tensor)[:, None])
        return torch.cat(found, 1)

    def _tokens(self, values: Tensor, y: Condition, orders: Tensor, steps: slice) -> Tensor:
        tokens = self.embed(values, orders, steps)
        if y.aligned is not None:
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
        law.evidence, law.order = evidence, order
        law.kind = self.kind_of_part
        return law

    def _rows(self, rows: Tensor) -> Chain:
        law = copy.copy(self)
        law.n, law.y = len(rows), self.y.rows(rows)
        return law

    def start(self) -> State:
        return State(0, torch.zeros(self.n, len(self.order), dtype=torch.float64), self.y, self.net.start(self.n))  # type: ignore[operator]

    def next(self, state: State) -> Entrywise:
        # What was known and never asked for is read here, all at once.
        order = self.order[None]
        assert state.condition is not None
        tokens = self._tokens(state.values, state.condition, order, slice(state.read, state.t + 1))
        features = self.net.step(tokens, state.condition, order, state.read, state.cache)  # type: ignore[operator]
        state.read = state.t + 1
        entry = int(self.order[state.t])
        return self._ending(self.heads[self.part_of[entry]](features[:, -1]), entry)

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, self.order[state.t]] = entries.double()
        return replace(state, t=state.t + 1)

    def ahead(self, state: State, entries: Tensor) -> list[Entrywise]:
        order, t, k, read = self.order[None], state.t, entries.shape[1], min(state.read, state.t)
        assert state.condition is not None
        state.values[:, self.order[t:t + k]] = entries.double()
        tokens = self._tokens(state.values, state.condition, order, slice(read, t + k + 1))
        features = self.net.step(tokens, state.condition, order, read, state.cache)[:, t - read:]  # type: ignore[operator]
        state.read = t + k + 1
        return [self._ending(self.heads[self.part_of[entry]](each), entry)
                for entry, each in zip(self.order[t:t + k + 1].tolist(), features.unbind(1), strict=True)]

    def back(self, state: State) -> State:
        return replace(state, read=min(state.read, state.t))
