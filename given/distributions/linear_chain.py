"""LinearChain: series whose next values are linear in those before, with innovations of a mixture of scales.

    x_t = W_k' [1, u_t, x_{t-1}, ..., x_{t-p_k}] + e_t,    e_tc = sum_{j<c} V_kcj e_tj + n_tc,    n_tc ~ sum_i w_i N(0, s_i^2)

k is the last of a ladder of orders p_0 = 0 < p_1 < ... that as many values stand before t as it reads: so the first values of
a series have distributions of their own, and the joint density is exact at every length. u are covariates of the moment. The
last rung may have innovations s_tc n_tc, as large as those before say (`Spread`). In groups of g channels, such as the parts of
complex numbers, all n of a group are of one component i: where one part is far out the other is expected to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.bridge import Bridge
from given.distributions.distribution import Distribution, Kind
from given.distributions.ladder import Ladder, Lagged
from given.distributions.noise import Noise
from given.distributions.normal_mixture import NormalMixture
from given.distributions.sequential import Sequential, State
from given.variables import Entries, Real, Space

__all__ = ["Ladder", "Lagged", "LinearChain", "moments"]

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
        innovations = L.innovations(series, self.covariates[row])
        logits, scales = L.mixtures(innovations)
        return NormalMixture(logits, (series - innovations)[..., None].expand_as(scales), scales, Real())

    def expected(self, values: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every entry given those before, (N, D) each; arguments as of `given_past`."""
        back = self.order.argsort()
        mean, deviation = (each.flatten(1)[:, back] for each in moments(self.given_past(values, row)))
        return mean, deviation

    @property
    def kind_of_part(self) -> Kind:
        return "exact" if self.ladder.normal else "estimate"

    def kind_of(self, x: Entries) -> Kind:
        return "exact" if self.ladder.normal or self._comes_first(self._whole(x)[0].readable, self.order) else "estimate"

    def condition(self, evidence: Entries) -> Distribution:
        """Of what comes first it is drawn step by step; of what stands anywhere, a `Bridge`."""
        flat = self._known(evidence)
        if not self._comes_first(flat.scored, self.order):
            return Bridge(self.space, self.at, self.ladder, self.covariates, flat)
        return self._but(evidence=flat)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        if x.flat(self.space).told.plain or self._comes_first(self._whole(x)[0].readable, self.order):
            return super().log_prob(x, seed=seed)
        (flat, row), noise = self._whole(x), Noise.of(seed, self.n, device=self.device)
        scored = flat.scored if self.evidence is None else flat.scored & ~self.evidence.scored[row]
        of_all = self._of_part(flat.tensor, flat.readable, row, noise)
        before = self._of_part(flat.tensor, flat.readable & ~scored, row, noise)
        return (of_all - before).reshape(x.flat(self.space).tensor.shape[:-1])

    def _of_part(self, values: Tensor, known: Tensor, row: Tensor, noise: Noise) -> Tensor:
        """log p (N,) of what is known of values (N, D), wherever it stands."""
        found, first = values.new_zeros(len(values)), torch.ones(len(values), dtype=torch.bool, device=self.device)
        for some, bridge in self._bridges(values, known, row):
            first &= ~some
            found[some] = bridge.evidence_log_prob(noise.rows(row[some]))
        if bool(first.any()):
            each = self.given_past(torch.where(known[first], values[first], 0.0), row[first])
            found[first] = torch.where(known[first][:, self.at], each.each(values[first][:, self.at]), 0.0).flatten(1).sum(1)
        return found

    def _bridges(self, values: Tensor, known: Tensor, row: Tensor) -> Iterator[tuple[Tensor, Bridge]]:
        """Which of values (N, D) have gaps, (N,), and the bridge of these up to the last that is known of them."""
        in_order = known[:, self.order]
        last = (in_order * torch.arange(1, 1 + in_order.shape[1], device=self.device)).amax(1)
        moments = -(-last // self.at.shape[1])
        for T in moments[last > in_order.sum(1)].unique().tolist():
            some = (moments == T) & (last > in_order.sum(1))
            yield some, Bridge(self.space, self.at[:T], self.ladder, self.covariates[row[some], :T],
                               Entries(values[some], known[some]))

    def filled(self, values: Tensor, known: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Values (B, D) whose gaps are drawn, up to the last value that is known of a row, and what is known then."""
        values, known = torch.where(known, values, 0.0), known.clone()
        for some, bridge in self._bridges(values, known, torch.arange(self.n, device=self.device)):
            values[some] = bridge.sample(seed=noise.rows(some.nonzero()[:, 0])).flat(self.space).tensor
            known[some.nonzero(), bridge.order] = True
        return values, known

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
