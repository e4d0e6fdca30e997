"""Chain: the sequential distribution of an order, a causal net and heads, with y bound."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from given.distributions.discretized_logistic_mixture import DiscretizedLogisticMixture
from given.distributions.distribution import Distribution, Kind
from given.distributions.factorized import Factorized
from given.distributions.linear_chain import LinearChain, moments
from given.distributions.normal_mixture import NormalMixture
from given.distributions.row_groups import RowGroups
from given.distributions.sequential import Sequential, State
from given.nn import Condition
from given.nn.precision import in_sixteen_bits
from given.nn.readers.tokens import last_of, rounded
from given.variables import Entries, Finite, Product, Space

__all__ = ["Chain"]

_AT_ONCE = 1 << 26  # logits of large vocabularies, half a gigabyte in float64


@dataclass
class _Both:
    """What the net remembers, and the skip path."""

    net: Any
    skip: Any

    def rows(self, index: Tensor) -> _Both:
        return _Both(self.net.rows(index), self.skip.rows(index))


def _beside(distribution: Factorized, mean: Tensor, deviation: Tensor) -> Factorized:
    """A distribution of entries in units of a skip path's innovations, where that expects them."""
    assert isinstance(distribution, NormalMixture)
    return distribution.moved(mean, deviation)


class Chain(Sequential):
    """An order, a causal net and heads, with y bound.

    Args:
        space: of D entries.
        steps: (D,) int64, the step at which each entry is drawn, a plan of the host.
        embed: values (B, D), order (1 or B, D), steps -> tokens (B, T, C).
        net: tokens, condition, order -> features (B, T, C) in the order of drawing; with `start` and `step`.
        heads: one for each part of the space: features -> entrywise distribution.
        condition: y, B rows.
        any_order: whether the net learned every order, so that what is known may come first.
        prediction: features (B, n, C), values (B, D), n entries -> (B, n), where these are expected: what the head gives is
            moved there; or that and its usual error, (B, n) each: what the head gives is in units of it.
        skip: a linear chain of the same entries in the same order: what the head gives is in units of its innovations, and
            moved to where it expects an entry.
    """

    def __init__(self, space: Space, steps: Tensor, embed: nn.Module, net: nn.Module, heads: nn.ModuleList,
                 condition: Condition, any_order: bool = False, prediction: nn.Module | None = None,
                 skip: LinearChain | None = None) -> None:
        order = steps.argsort(stable=True)
        super().__init__(space, len(condition.pooled), order.tolist(), condition.pooled.device)
        drawn = steps[order]
        self.ends = torch.searchsorted(drawn, drawn, right=True).tolist()
        self.one_at_a_time, self.own_order = int(drawn[-1]) == len(drawn) - 1, self.order
        self.embed, self.net, self.heads, self.y = embed, net, heads, condition
        self.prediction, self.skip = prediction, skip
        self.any_order, self.each_head, self.one_order = any_order, list(heads), self.order[None]
        self.trims = isinstance(space, Finite) and len(space.axes) == 1 and space.axes[0].length != "fixed"
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
        rasters = self.entries == list(range(len(self.entries)))
        reach = len(self.entries) if flat.told.plain else flat.reach if rasters else -1
        if reach < 0 and not self._comes_first(flat.readable, self.order):
            if not self.any_order:
                self._check_first(flat.readable)
            # A row's own order: what is known, then the rest, each as the order has it.
            orders = self.order[(~flat.readable[:, self.order]).long().argsort(dim=1, stable=True)]
        # Whatever stands where nothing is known, or padding, is nothing.
        values = torch.where(flat.readable, flat.tensor, 0.0)
        T = len(self.order)
        if self.trims and len(orders) == 1:
            T = rounded(reach, T) if reach >= 0 else last_of(flat.readable[:, self.order])
        found = self._first(values, row, T) if T < len(self.order) else self.scores(values, row, orders)
        return found.reshape(*x.flat(self.space).tensor.shape)

    def _first(self, values: Tensor, row: Tensor, T: int) -> Tensor:
        """`scores` (N, D) of the first T entries drawn, where all that follow is padding."""
        y, order, mine = self.y if self.n == len(row) else self.y.rows(row), self.order[None], self.order[:T]
        features = self.net(self._tokens(values, y, order, slice(0, T)), y, order[:, :T])
        assert isinstance(self.space, Finite)
        rows = max(1, len(values) if features.requires_grad else _AT_ONCE // (T * self.space.size))
        some = (slice(first, first + rows) for first in range(0, len(values), rows))
        each = [self._distribution(0, features[part], values[part], mine, y.ends_of(part)).each(values[part][:, mine].long())
                for part in some]
        return torch.zeros(values.shape, dtype=torch.float64, device=self.device).index_copy(1, mine, torch.cat(each))

    def scores(self, values: Tensor, row: Tensor, orders: Tensor) -> Tensor:
        """log p of every entry given those before it: (N, D) float64.

        Args:
            values: (N, D).
            row: (N,) which of the B rows of y each belongs to.
            orders: (1 or N, D).
        """
        most = max(1, _AT_ONCE // (values.shape[1] * getattr(self.space, "size", 1)))
        if len(values) > most and not torch.is_grad_enabled():
            own = orders.split(most) if len(orders) > 1 else itertools.repeat(orders)
            parts = zip(values.split(most), row.split(most), own, strict=False)
            return torch.cat([self.scores(*part) for part in parts])
        features = self._features(values, row, orders)
        entries, found = Entries(values).shaped(self.space), []
        columns = entries.columns if isinstance(self.space, Product) else {"": entries}
        skip = None if self.skip is None else self.skip.expected(values, row)
        for i, (name, part) in enumerate(self.space.parts):
            mine = features[:, self.first[i]:self.first[i + 1]].reshape(-1, *part.shape, features.shape[-1])
            distribution = self._distribution(i, mine, values, slice(None), self.y.ends_of(row))
            if skip is not None:
                own = slice(self.first[i], self.first[i + 1])
                distribution = _beside(distribution, *(t[:, own].reshape(mine.shape[:-1]) for t in skip))
            each = distribution.each(columns[name].tensor)
            found.append(each.flatten(1) if part.axes else each[:, None])
        return torch.cat(found, 1)

    def _distribution(self, part: int, features: Tensor, values: Tensor, place: slice | Tensor,
                      ends: Tensor | None = None) -> Factorized:
        """The distribution of a part's entries, in full precision but where a head declares 16 bits enough."""
        head = self.heads[part]
        with in_sixteen_bits(features.device, enabled=getattr(head, "sixteen_bits", False)):
            distribution = self._moved(head(features.float()), features.float(), values, place)
        return self._ending(distribution, place, ends)

    def _moved(self, distribution: Factorized, features: Tensor, values: Tensor, place: slice | Tensor) -> Factorized:
        """A distribution of entries, at a place each, of values (B, D) of which those before are read, where it is expected."""
        if self.prediction is None:
            return distribution
        assert isinstance(distribution, DiscretizedLogisticMixture | NormalMixture)
        by = self.prediction(features.reshape(len(features), -1, features.shape[-1]), values, place)
        return distribution.moved(*(t.reshape(features.shape[:-1]) for t in (by if isinstance(by, tuple) else (by,))))

    def all_log_probs(self, x: Entries) -> Iterator[Tensor]:
        flat, row = self._whole(x)
        self._check_first(flat.readable)
        values = torch.where(flat.readable, flat.tensor, 0.0)
        order, T = self.order[None], last_of(flat.readable[:, self.order]) if self.trims else len(self.order)
        for rows in self.blocks(len(row)):
            if T < len(self.order):  # all that follow is padding
                y = self.y.rows(row[rows])
                features = self.net(self._tokens(values[rows], y, order, slice(0, T)), y, order[:, :T])
                log_p = self._distribution(0, features, values[rows], self.order[:T], y.ends).log_probs
                whole = log_p.new_zeros(len(log_p), len(self.order), log_p.shape[-1])
                yield whole.index_copy(1, self.order[:T], log_p)
                continue
            features = self._features(values[rows], row[rows], order)
            features = features.reshape(len(features), *self.space.shape, -1)
            distribution = self._moved(self.heads[0](features), features, values[rows], slice(None))
            log_p = self._ending(distribution, slice(None), self.y.ends_of(row[rows])).log_probs
            yield log_p.reshape(len(features), len(self.order), -1)

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

    def condition(self, evidence: Entries) -> Distribution:
        flat = self._known(evidence)
        if not self.any_order:
            self._check_first(flat.scored)
        if self._comes_first(flat.scored, self.own_order):
            return self._given(flat, self.own_order)
        return self._begins(flat, torch.zeros_like(self.order, dtype=torch.bool))

    def asking(self, columns: Collection[str]) -> Distribution:
        if not self.any_order or not isinstance(self.space, Product):
            return self
        names, known = [name for name, _ in self.space.parts], self.evidence
        if known is None:
            known = Entries(torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)).hide()
        return self._begins(known, torch.tensor([names[part] in columns for part in self.part_of], device=self.device))

    def _begins(self, evidence: Entries, asked: Tensor) -> Distribution:
        """The distribution that draws what is known first, then what is asked (D,) if anything is, and the rest last: each as
        the order
        of whole items has it, however the evidence was handed in. Rows that know other entries are distributions of their
        own."""
        patterns, which = evidence.scored.unique(dim=0, return_inverse=True)
        groups = list[tuple[Tensor, Distribution]]()
        for i, known in enumerate(patterns):
            rows, turn = (which == i).nonzero()[:, 0], torch.where(known, 0, torch.where(asked, 1, 2))
            distribution = self._rows(rows) if len(patterns) > 1 else self
            distribution = distribution._given(evidence.rows(rows), self.own_order[turn[self.own_order].argsort(stable=True)])
            if bool(asked.any()):
                distribution.upto = int((turn < 2).sum())
            groups.append((rows, distribution))
        return groups[0][1] if len(groups) == 1 else RowGroups(groups, self.space)

    def _given(self, evidence: Entries, order: Tensor) -> Chain:
        distribution = copy.copy(self)
        distribution.evidence, distribution.order, distribution.upto = evidence, order, len(order)
        distribution.entries, distribution.one_order = order.tolist(), order[None]
        distribution.kind = self.kind_of_part
        return distribution

    def _rows(self, rows: Tensor) -> Chain:
        distribution = copy.copy(self)
        distribution.n, distribution.y = len(rows), self.y.rows(rows)
        return distribution

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)
        cache = self.net.start(self.y)  # type: ignore[operator]
        return State(0, nothing, self.y, cache if self.skip is None else _Both(cache, self.skip.start().cache))

    def next(self, state: State) -> Factorized:
        # What was known and never asked for is read here, all at once.
        order, t, end = self.one_order, state.t, self.ends[state.t]
        tokens = self._tokens(state.values, state.condition, order, slice(state.read, end))
        cache = state.cache if self.skip is None else state.cache.net
        features = self.net.step(tokens, order, state.read, cache)  # type: ignore[operator]
        state.read = end
        entry = self.entries[t]
        head = self.each_head[self.part_of[entry]]
        if end == t + 1:
            last = features[:, -1]
            moved = self._moved(head(last), last, state.values, slice(entry, entry + 1))
            if self.skip is not None:
                moved = _beside(moved, *moments(self.skip.next(replace(state, cache=state.cache.skip))))
            return self._ending(moved, entry, state.condition.ends)  # type: ignore[union-attr]
        last, group = features[:, t - end:], self.order[t:end]
        moved = self._moved(head(last), last, state.values, group)
        return self._ending(moved, group, state.condition.ends)  # type: ignore[union-attr]

    def advance(self, state: State, entries: Tensor) -> State:
        if entries.dim() == 1:
            state.values[:, self.entries[state.t]] = entries
        else:
            state.values[:, self.order[state.t:self.ends[state.t]]] = entries.double()
        return replace(state, t=self.ends[state.t])

    def read(self, state: State, values: Tensor, upto: int) -> State:
        state.values[:, self.order[state.t:upto]] = values[:, state.t:upto].double()
        return replace(state, t=upto)
