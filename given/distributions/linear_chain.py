"""LinearChain: series whose next values are linear in those before, with innovations of a mixture of scales.

    x_t = W_k' [1, u_t, x_{t-1}, ..., x_{t-p_k}] + e_t,    e_tc = sum_{j<c} V_kcj e_tj + n_tc,    n_tc ~ sum_i w_i N(0, s_i^2)

k is the last of a ladder of orders p_0 = 0 < p_1 < ... that as many values stand before t as it reads: so the first values of
a series have distributions of their own, and the joint density is exact at every length. u are covariates of the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.distribution import Distribution
from given.distributions.normal_mixture import NormalMixture
from given.distributions.sequential import Sequential, State
from given.variables import Entries, Real, Space

__all__ = ["Ladder", "Lagged", "LinearChain", "correlated", "measured"]

_AT_ONCE = 1 << 23  # numbers of regressors, 64 MB
_FLOOR, _LEAST = 1e-8, 1e-4  # of a variance, and of a scale, so that what never varies has a density
_LOGS = torch.linspace(-12.0, 8.0, 801, dtype=torch.float64)  # of how large innovations are, by which they are counted


@dataclass(frozen=True)
class Ladder:
    """The parameters of a `LinearChain`.

    Args:
        orders: rising, from 0.
        weights: one an order, (1 + F + order C, C) float64: of 1, the covariates, and the values before, the last first.
        within: (orders, C, C) float64, below the diagonal: what the innovations of earlier channels say of later ones.
        logits, scales: (orders, C, K) float64, of the mixtures.
    """

    orders: tuple[int, ...]
    weights: Sequence[Tensor]
    within: Tensor
    logits: Tensor
    scales: Tensor

    def spans(self, T: int) -> Iterator[tuple[int, int, int]]:
        """Every order's number, the first place where it serves among T, and the place after the last."""
        for k, (first, last) in enumerate(zip(self.orders, (*self.orders[1:], T), strict=True)):
            if first < min(last, T):
                yield k, first, min(last, T)

    def at(self, t: int) -> int:
        """Which order serves at place t."""
        return sum(order <= t for order in self.orders) - 1


@dataclass
class _Memory:
    """The covariates (B, T, F), and what is expected of all channels (B, C) at place `t`."""

    covariates: Tensor
    t: int
    expected: Tensor

    def rows(self, index: Tensor) -> _Memory:
        return _Memory(self.covariates[index], self.t, self.expected[index])


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
        means = torch.empty_like(series)
        for k, first, last in L.spans(T):
            size = max(1, _AT_ONCE // ((last - first) * len(L.weights[k])))
            for rows in torch.arange(N, device=values.device).split(size):
                z = regressors(series[rows], self.covariates[row[rows]], L.orders[k], first, last)
                expected = z @ L.weights[k]
                means[rows, first:last] = expected + (series[rows, first:last] - expected) @ L.within[k].mT
        which = torch.tensor([L.at(t) for t in range(T)], device=values.device)
        shape = (N, T, C, L.scales.shape[-1])
        return NormalMixture(L.logits[which].expand(shape), means[..., None].expand(shape), L.scales[which].expand(shape),
                             Real())

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
        return State(0, nothing, None, _Memory(self.covariates, -1, nothing[:, :self.at.shape[1]]))

    def next(self, state: State) -> NormalMixture:
        (t, c), L, memory = divmod(state.t, self.at.shape[1]), self.ladder, state.cache
        k = L.at(t)
        if memory.t != t:
            before = state.values[:, self.at[t - L.orders[k]:t].flip(0).flatten()]
            z = torch.cat([torch.ones_like(state.values[:, :1]), memory.covariates[:, t], before], 1)
            memory.t, memory.expected = t, z @ L.weights[k]
        off = state.values[:, self.at[t, :c]] - memory.expected[:, :c]
        mean = memory.expected[:, c] + off @ L.within[k, c, :c]
        shape = (len(mean), L.scales.shape[-1])
        return NormalMixture(L.logits[k, c].expand(shape), mean[:, None].expand(shape), L.scales[k, c].expand(shape),
                             self.single)

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


def measured(orders: Sequence[int], weights: Sequence[Tensor], within: Tensor, batches: Iterable[Lagged],
             components: int) -> tuple[Tensor, Tensor]:
    """Logits and scales (orders, C, components) of the innovations of re-iterable batches, in one pass; the other arguments as
    of `Ladder`."""
    counts = within.new_zeros(*within.shape[:2], len(_LOGS))
    for batch in batches:
        for k, order in enumerate(orders):
            for z, x, w in batch.places(order):
                e = x - z @ weights[k]
                counts[k] += _counted(e - e @ within[k].mT, w)
    return _scales(counts, components)


def correlated(covariance: Tensor) -> Tensor:
    """V (C, C) of what earlier innovations say of later ones, e = V e + n with n uncorrelated, of the covariance of e."""
    C, eye = len(covariance), torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    root = torch.linalg.cholesky(covariance + _FLOOR * (1 + covariance.diagonal().max()) * eye)
    unit = root / root.diagonal()  # e = unit n
    return (eye - torch.linalg.solve_triangular(unit, eye, upper=False)).tril(-1).reshape(C, C)


def _counted(innovations: Tensor, weight: Tensor) -> Tensor:
    """How many innovations (n, C) are how large, by weight (n,): (C, sizes)."""
    n, C = innovations.shape
    size = torch.bucketize(innovations.abs().clamp(min=1e-12).log(), _LOGS[1:-1].to(innovations.device))
    number = size + len(_LOGS) * torch.arange(C, device=innovations.device)
    found = innovations.new_zeros(C * len(_LOGS))
    return found.index_add(0, number.flatten(), weight[:, None].expand(n, C).flatten()).reshape(C, len(_LOGS))


def _scales(counts: Tensor, components: int, passes: int = 100, imagined: float = 10.0) -> tuple[Tensor, Tensor]:
    """Logits and scales (..., components) of mixtures of normals around 0, by EM on how many values are how large (..., sizes),
    beside so many imagined ones of a normal of their variance; of a standard one where there are none."""
    middle = (_LOGS + (_LOGS[1] - _LOGS[0]) / 2).exp().to(counts.device)
    total = counts.sum(-1, keepdim=True)
    deviation = torch.where(total > 0, ((counts * middle**2).sum(-1, keepdim=True) / total.clamp(min=1e-9)).sqrt(), 1.0)
    z = middle / deviation.clamp(min=_LEAST)
    normal = z * (-0.5 * z**2).exp()
    counts = counts + imagined * normal / normal.sum(-1, keepdim=True)
    start = torch.zeros(1) if components == 1 else torch.linspace(-1.0, 1.0, components)
    scales = start.to(counts).exp() * deviation.clamp(min=_LEAST)
    weights = torch.full_like(scales, 1 / components)
    for _ in range(passes):
        log_p = (weights.log() - scales.log())[..., None, :] - 0.5 * (middle[:, None] / scales[..., None, :])**2
        share = log_p.softmax(-1) * counts[..., None]
        each = share.sum(-2).clamp(min=1e-9)
        weights = each / each.sum(-1, keepdim=True)
        scales = ((share * (middle**2)[:, None]).sum(-2) / each).sqrt().clamp(min=_LEAST)
    return weights.log(), scales
