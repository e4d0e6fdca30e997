"""HiddenMarkov: moments that depend on one another through a chain of K hidden states alone.

    p(x_1..T) = sum_z  p(z_1) p(x_1 | z_1) prod_t A[z_t-1, z_t] p(x_t | z_t)

summed by the forward recursion over t, all rows at once. Within a moment channels are taken one after another, so that every
entry has a distribution given those before it: a mixture over states. Evidence anywhere: with b_t(k) = p(evidence after t |
z_t = k), of the backward recursion, and the evidence of a moment in its weights from the start, the same recursion draws and
scores what is unknown given all of it. What is not seen is left out of every product, which marginalises it.

Source: Rabiner, A tutorial on hidden Markov models, 1989 / https://doi.org/10.1109/5.18626
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.categorical import Categorical
from given.distributions.distribution import Distribution
from given.distributions.factorized import Factorized
from given.distributions.gaussian_step import see
from given.distributions.normal_mixture import NormalMixture
from given.distributions.sequential import Sequential, State
from given.distributions.timeline import Timeline
from given.variables import Entries, Finite, Real, Space

__all__ = ["Emissions", "HiddenMarkov", "predicted", "to_come"]


@dataclass(frozen=True)
class Emissions:
    """p(x_t | z_t = k), a normal vector beside independent symbols.

    Attributes:
        timeline: of T moments and C channels.
        means: (K, R) of the real channels.
        covariances: (K, R, R).
        tables: (K, V) log p of the symbols of each other channel.
    """

    timeline: Timeline
    means: Tensor
    covariances: Tensor
    tables: tuple[Tensor, ...]

    def begin(self, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The means (*shape, K, R) and covariances (*shape, K, R, R) while nothing is seen."""
        return self.means.expand(*shape, -1, -1), self.covariances.expand(*shape, -1, -1, -1)

    def see(self, c: int, normal: tuple[Tensor, Tensor], values: Tensor, seen: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """What is known of a moment once channel c is: the means and covariances, and log p (..., K), 0 where it is not seen.

        Args:
            values, seen: (...) of the channel.
        """
        timeline = self.timeline
        if c in timeline.reals:
            one = torch.eye(self.means.shape[1], dtype=torch.float64, device=values.device)[timeline.reals.index(c)]
            every = seen[..., None].expand(*seen.shape, len(self.means))
            mean, covariance, log_p = see(*normal, one, 0.0, values[..., None], every)
            return (mean, covariance), log_p
        table = self.tables[c - sum(r < c for r in timeline.reals)]
        log_p = table.T[torch.where(seen, values, 0).long()]
        return normal, torch.where(seen[..., None], log_p, 0.0)

    def each(self, values: Tensor, then: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """log p of moments (N, T, C): what is seen `first` of each, (N, T, K), then every channel given that and the channels
        before it, (N, T, C, K), and what is known of their reals in the end."""
        normal, found = self.begin(tuple(values.shape[:2])), list[Tensor]()
        known = torch.zeros(*values.shape[:2], len(self.means), dtype=torch.float64, device=values.device)
        for c in range(values.shape[-1]) if first is not None else ():
            normal, log_p = self.see(c, normal, values[..., c], first[..., c])  # type: ignore[index]
            known = known + log_p
        for c in range(values.shape[-1]):
            normal, log_p = self.see(c, normal, values[..., c], then[..., c])
            found.append(log_p)
        return known, torch.stack(found, 2), normal


def predicted(log_e: Tensor, log_first: Tensor, log_A: Tensor) -> Tensor:
    """log p(z_t | x before t), (N, T, K), of log p(x_t | z_t) (N, T, K)."""
    now, found = log_first.expand(len(log_e), -1), list[Tensor]()
    A = log_A.exp()
    for e in log_e.unbind(1):
        found.append(now)
        now = ((now + e).softmax(-1) @ A).log()
    return torch.stack(found, 1)


def to_come(log_e: Tensor, log_A: Tensor) -> Tensor:
    """log p(x after t | z_t) up to a constant a moment, (N, T, K)."""
    later = torch.zeros_like(log_e[:, 0])
    found, A = [later], log_A.exp().T
    for e in log_e[:, 1:].flip(1).unbind(1):
        found.append(later := ((e + later).softmax(-1) @ A).log())
    return torch.stack(found[::-1], 1)


@dataclass
class _Filter:
    """Where a draw stands: the rows of B, log weights (N, K) of states, and what is known of the moment's reals."""

    row: Tensor
    weights: Tensor
    normal: tuple[Tensor, Tensor]

    def rows(self, index: Tensor) -> _Filter:
        return _Filter(self.row[index], self.weights[index], (self.normal[0][index], self.normal[1][index]))


class HiddenMarkov(Sequential):
    """A hidden Markov chain.

    Args:
        space: of T C entries.
        n: B rows.
        log_first: (K,) log p(z_1).
        log_transition: (K, K) log p(z_t | z_t-1), from row to column.
        emissions: p(x_t | z_t).
    """

    def __init__(self, space: Space, n: int, log_first: Tensor, log_transition: Tensor, emissions: Emissions) -> None:
        super().__init__(space, n, emissions.timeline.order, log_first.device)
        self.log_first, self.log_transition, self.emissions = log_first, log_transition, emissions
        self.timeline = emissions.timeline
        self.shape = (n, *self.timeline.shape)
        self.known = torch.zeros((), dtype=torch.bool, device=self.device).expand(self.shape)
        self.later: Tensor | None = None  # (B, T, K), of evidence

    def moments(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, T, C)."""
        return x[:, self.order].reshape(-1, *self.timeline.shape)

    def each(self, x: Entries) -> Tensor:
        flat, row = self._whole(x)
        values = self.moments(torch.where(flat.readable, flat.tensor, 0.0).double())
        seen, known = self.moments(flat.readable), self.known[row]
        base, e, _ = self.emissions.each(values, seen & ~known, known if self.evidence is not None else None)
        now = predicted(base + e.sum(2), self.log_first, self.log_transition) + base
        if self.later is not None:
            now = now + self.later[row]
        total = (now[:, :, None] + torch.cat([torch.zeros_like(e[:, :, :1]), e.cumsum(2)], 2)).logsumexp(-1)
        found = torch.empty_like(flat.tensor, dtype=torch.float64)
        found[:, self.order] = total.diff(dim=2).flatten(1)
        return found.reshape(x.flat(self.space).tensor.shape)

    def condition(self, evidence: Entries) -> Distribution:
        distribution = copy.copy(self)
        distribution.evidence = known = self._known(evidence)
        distribution.known = self.moments(known.scored)
        values = self.moments(torch.where(known.scored, known.tensor, 0.0).double())
        _, e, _ = self.emissions.each(values, distribution.known)
        distribution.later = to_come(e.sum(2), self.log_transition)
        return distribution

    def posterior(self, x: Entries) -> Tensor:
        """p(z_t | all that is seen) of every moment: (N, T, K)."""
        log_e = self._log_e(x)
        return (predicted(log_e, self.log_first, self.log_transition) + log_e + to_come(log_e, self.log_transition)).softmax(-1)

    def _log_e(self, x: Entries) -> Tensor:
        flat, _ = self._whole(x)
        seen = self.moments(flat.readable)
        return self.emissions.each(self.moments(torch.where(flat.readable, flat.tensor, 0.0).double()), seen)[1].sum(2)

    def likeliest(self, x: Entries) -> Tensor:
        """The likeliest path of states given all that is seen, by Viterbi's recursion: (N, T) int64."""
        log_e = self._log_e(x)
        best, back = self.log_first + log_e[:, 0], list[Tensor]()
        for e in log_e[:, 1:].unbind(1):
            most, came = (best[:, :, None] + self.log_transition).max(1)
            best = most + e
            back.append(came)
        path = [best.argmax(-1)]
        for came in reversed(back):
            path.append(came.gather(1, path[-1][:, None])[:, 0])
        return torch.stack(path[::-1], 1)

    def start(self) -> State:
        row = torch.arange(self.n, device=self.device)
        cache = self._begun(0, row, self.log_first.expand(self.n, -1))
        return State(0, torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device), None, cache)

    def _begun(self, t: int, row: Tensor, weights: Tensor) -> _Filter:
        """At the beginning of moment t, with what evidence says of it."""
        normal = self.emissions.begin((len(row),))
        if self.evidence is not None:
            for c, entry in enumerate(self.entries[t * self.timeline.channels:(t + 1) * self.timeline.channels]):
                normal, log_p = self.emissions.see(c, normal, self.evidence.tensor[row, entry], self.known[row, t, c])
                weights = weights + log_p
        return _Filter(row, weights, normal)

    def next(self, state: State) -> Factorized:
        (t, c), cache = divmod(state.t, self.timeline.channels), state.cache
        weights = cache.weights if self.later is None else cache.weights + self.later[cache.row, t]
        part = self.timeline.parts[c]
        if isinstance(part, Real):
            r = self.timeline.reals.index(c)
            return NormalMixture(weights, cache.normal[0][..., r], cache.normal[1][..., r, r].clamp(min=0).sqrt(), part)
        assert isinstance(part, Finite)
        table = self.emissions.tables[c - sum(r < c for r in self.timeline.reals)]
        return Categorical((weights[..., None] + table).logsumexp(1), part)

    def advance(self, state: State, entries: Tensor) -> State:
        (t, c), cache = divmod(state.t, self.timeline.channels), state.cache
        state.values[:, self.entries[state.t]] = entries.double()
        normal, log_p = self.emissions.see(c, cache.normal, entries.double(), ~self.known[cache.row, t, c])
        weights = cache.weights + log_p
        if c + 1 == self.timeline.channels and t + 1 < self.timeline.length:
            moved = (weights.softmax(-1) @ self.log_transition.exp()).log()
            return replace(state, t=state.t + 1, cache=self._begun(t + 1, cache.row, moved))
        return replace(state, t=state.t + 1, cache=_Filter(cache.row, weights, normal))
