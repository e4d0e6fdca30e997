"""LinearChain: series whose next values are linear in those before, with innovations of a mixture of scales.

    x_t = W_k' [1, u_t, x_{t-1}, ..., x_{t-p_k}] + e_t,    e_tc = sum_{j<c} V_kcj e_tj + n_tc,    n_tc ~ sum_i w_i N(0, s_i^2)

k is the last of a ladder of orders p_0 = 0 < p_1 < ... that as many values stand before t as it reads: so the first values of
a series have distributions of their own, and the joint density is exact at every length. u are covariates of the moment. The
last rung may have innovations s_tc n_tc, as large as those before say (`Spread`). In groups of g channels, such as the parts of
complex numbers, all n of a group are of one component i: where one part is far out the other is expected to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.distribution import Distribution
from given.distributions.normal_mixture import NormalMixture
from given.distributions.sequential import Sequential, State
from given.distributions.spread import Spread
from given.variables import Entries, Real, Space

__all__ = ["Ladder", "Lagged", "LinearChain", "moments"]

_AT_ONCE = 1 << 23  # numbers of regressors, 64 MB


@dataclass(frozen=True)
class Ladder:
    """The parameters of a `LinearChain`.

    Args:
        orders: rising, from 0.
        starts: the first place where every order serves, which has as many values before it.
        weights: one an order, (1 + F + order C, C) float64: of 1, the covariates, and the values before, the last first.
        within: (orders, C, C) float64, below the diagonal: what the innovations of earlier channels say of later ones.
        logits, scales: (orders, C, K) float64, of the mixtures.
        spread: how large the innovations are where the last order serves; None for always alike.
        group: g, how many channels in a row share their component.
    """

    orders: tuple[int, ...]
    starts: tuple[int, ...]
    weights: Sequence[Tensor]
    within: Tensor
    logits: Tensor
    scales: Tensor
    spread: Spread | None = None
    group: int = 1

    def components(self, k: int | Tensor, c: int, n: Tensor) -> Tensor:
        """(..., K) logits of the components of channel c, given the n (..., C), in units of their sizes, of those before it in
        its group; k is an order's number, or those of all places (T,)."""
        found = self.logits[k, c].expand(*n.shape[:-1], -1)
        for j in range(c - c % self.group, c):
            scale = self.scales[k, j]
            found = found - scale.log() - 0.5 * (n[..., j, None] / scale) ** 2
        return found

    def spans(self, T: int) -> Iterator[tuple[int, int, int]]:
        """Every order's number, the first place where it serves among T, and the place after the last."""
        for k, (first, last) in enumerate(zip(self.starts, (*self.starts[1:], T), strict=True)):
            if first < min(last, T):
                yield k, first, min(last, T)

    def at(self, t: int) -> int:
        """Which order serves at place t."""
        return sum(start <= t for start in self.starts) - 1

    def innovations(self, series: Tensor, covariates: Tensor) -> Tensor:
        """n (N, T, C), not divided by how large they are, of series (N, T, C) and covariates (N, T, F)."""
        found = torch.empty_like(series)
        for k, first, last in self.spans(series.shape[1]):
            size = max(1, _AT_ONCE // ((last - first) * len(self.weights[k])))
            for rows in torch.arange(len(series), device=series.device).split(size):
                z = regressors(series[rows], covariates[rows], self.orders[k], first, last)
                off = series[rows, first:last] - z @ self.weights[k]
                found[rows, first:last] = off - off @ self.within[k].mT
        return found

    def sizes(self, innovations: Tensor) -> Tensor:
        """s (N, T, C) of every place."""
        found, first, T = torch.ones_like(innovations), self.starts[-1], innovations.shape[1]
        if self.spread is not None and first < T:
            found[:, first:] = self.spread.at(self.spread.totals(innovations), first, T)
        return found


@dataclass
class _Memory:
    """The covariates (B, T, F); of all channels (B, C) at place `t` what is expected and how large the innovations are; and the
    sizes of those before, summed up to place `upto` (B, 1 + T, C), where they matter."""

    covariates: Tensor
    t: int
    expected: Tensor
    size: Tensor
    totals: Tensor | None = None
    upto: int = 0

    def rows(self, index: Tensor) -> _Memory:
        return _Memory(self.covariates[index], self.t, self.expected[index], self.size[index],
                       None if self.totals is None else self.totals[index], self.upto)


class LinearChain(Sequential):
    """A linear chain over the first axis of a grid of reals, or the axis that the columns of a block share.

    Args:
        space: real, of T x C entries.
        at: (T, C) int64, the entries in the order of drawing.
        ladder: its parameters.
        covariates: (B, T, F) float64.
    """

    def __init__(self, space: Space, at: Tensor, ladder: Ladder, covariates: Tensor) -> None:
        super().__init__(space, len(covariates), at.flatten().tolist(), covariates.device)
        self.at, self.ladder, self.covariates = at.to(self.device), ladder, covariates
        part = space.parts[0][1]
        assert isinstance(part, Real)
        self.single = replace(part, axes=())

    def each(self, x: Entries) -> Tensor:
        flat, row = self._whole(x)
        if not flat.told.plain:
            self._check_first(flat.readable)
        values = torch.where(flat.readable, flat.tensor, 0.0)
        found = torch.empty_like(values)
        distribution = self.given_past(values, row)
        found[:, self.at] = distribution.each(values[:, self.at])
        return found.reshape(x.flat(self.space).tensor.shape)

    def given_past(self, values: Tensor, row: Tensor) -> NormalMixture:
        """What every entry of (N, D) values is given those before, of which `row` (N,) says to which of the B rows they belong:
        a distribution of (N, T, C) entries."""
        series, L = values[:, self.at], self.ladder
        N, T, C = series.shape
        innovations = L.innovations(series, self.covariates[row])
        which = torch.tensor([L.at(t) for t in range(T)], device=values.device)
        shape, sizes = (N, T, C, L.scales.shape[-1]), L.sizes(innovations)
        logits = torch.stack([L.components(which, c, innovations / sizes) for c in range(C)], 2)
        means = (series - innovations)[..., None].expand(shape)
        return NormalMixture(logits, means, L.scales[which] * sizes[..., None], Real())

    def expected(self, values: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every entry given those before, (N, D) each; arguments as of `given_past`."""
        back = self.order.argsort()
        mean, deviation = (each.flatten(1)[:, back] for each in moments(self.given_past(values, row)))
        return mean, deviation

    def condition(self, evidence: Entries) -> Distribution:
        flat = self._known(evidence)
        self._check_first(flat.scored)
        return self._but(evidence=flat)

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.entries), dtype=torch.float64, device=self.device)
        one = nothing[:, :self.at.shape[1]]
        return State(0, nothing, None, _Memory(self.covariates, -1, one, torch.ones_like(one)))

    def next(self, state: State) -> NormalMixture:
        (t, c), L, memory = divmod(state.t, self.at.shape[1]), self.ladder, state.cache
        k = L.at(t)
        if memory.t != t:
            if L.spread is not None and t >= L.starts[-1]:
                memory.size = self._size(state.values, memory, t)
            before = state.values[:, self.at[t - L.orders[k]:t].flip(0).flatten()]
            z = torch.cat([torch.ones_like(state.values[:, :1]), memory.covariates[:, t], before], 1)
            memory.t, memory.expected = t, z @ L.weights[k]
        off = state.values[:, self.at[t, :c]] - memory.expected[:, :c]
        mean = memory.expected[:, c] + off @ L.within[k, c, :c]
        shape = (len(mean), L.scales.shape[-1])
        logits = L.components(k, c, (off - off @ L.within[k, :c, :c].mT) / memory.size[:, :c])
        return NormalMixture(logits, mean[:, None].expand(shape), L.scales[k, c] * memory.size[:, c:c + 1], self.single)

    def read(self, state: State, values: Tensor, upto: int) -> State:
        state.values[:, self.order[state.t:upto]] = values[:, state.t:upto]
        return replace(state, t=upto)

    def _size(self, values: Tensor, memory: _Memory, t: int) -> Tensor:
        """s (B, C) of place t, once the sizes of all before are summed."""
        L = self.ladder
        assert L.spread is not None
        if memory.totals is not None and memory.upto == t - 1 == memory.t:
            off = values[:, self.at[t - 1]] - memory.expected
            sizes = L.spread.totals((off - off @ L.within[L.at(t - 1)].mT)[:, None])[:, 1]
            memory.totals[:, t] = memory.totals[:, t - 1] + sizes
        else:
            series = values[:, self.at]
            series[:, t:] = 0.0
            memory.totals = L.spread.totals(L.innovations(series, memory.covariates))
        memory.upto = t
        return L.spread.at(memory.totals, t, t + 1)[:, 0]

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, self.entries[state.t]] = entries
        return replace(state, t=state.t + 1)


def moments(innovations: NormalMixture) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of mixtures around one centre, (B, *grid) each."""
    variance = (innovations.log_weights.exp() * innovations.scales**2).sum(-1)
    return innovations.means[..., 0], variance.sqrt()


def regressors(series: Tensor, covariates: Tensor, order: int, first: int, last: int) -> Tensor:
    """[1, u_t, x_{t-1}, ..., x_{t-order}] of every place from `first` to before `last`, which has as many before it:
    (B, last - first, 1 + F + order C).

    Args:
        series: (B, T, C) float64.
        covariates: (B, T, F) float64.
    """
    before = series[:, first - order:last - 1].unfold(1, order, 1) if order else series[:, first:last, :, None][..., :0]
    before = before.flip(-1).mT.flatten(2)  # (B, places, C, order): lag by lag
    return torch.cat([torch.ones_like(covariates[:, first:last, :1]) if covariates.shape[-1] else
                      series.new_ones(len(series), last - first, 1), covariates[:, first:last], before], -1)


@dataclass(frozen=True)
class Lagged:
    """A batch of series to learn from.

    Args:
        series: (B, T, C) float64, 0 where nothing is known.
        covariates: (B, T, F) float64.
        run: (B, T) int64, how many places up to this one are known whole, one after another.
        weight: (B,) float64.
        scored: (B, T) whether a place is scored here, and not only read.
    """

    series: Tensor
    covariates: Tensor
    run: Tensor
    weight: Tensor
    scored: Tensor

    def places(self, order: int, only: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Regressors (n, P), values (n, C) and weights (n,) of all places that have so many before them, or `only` (B, T) some
        of these, a part at a time."""
        T, C = self.series.shape[1:]
        if order >= T:
            return
        usable = (self.run > order if only is None else only)[:, order:]
        size = max(1, _AT_ONCE // ((T - order) * (1 + self.covariates.shape[-1] + order * C)))
        for rows in torch.arange(len(self.series), device=usable.device).split(size):
            z = regressors(self.series[rows], self.covariates[rows], order, order, T)
            mine = usable[rows]
            yield z[mine], self.series[rows, order:][mine], self.weight[rows, None].expand(mine.shape)[mine]
