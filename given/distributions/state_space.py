"""StateSpace: series of numbers seen through a linear-Gaussian state.

    a_1 ~ N(m, P),   a_t+1 = F a_t + w_t,  w ~ N(0, Q),   y_t = d + Z a_t + e_t,  e ~ N(0, diag(R))

so that all entries are jointly normal. Kalman's filter gives every entry given those before it, one channel after another and
without what is not seen. Evidence anywhere: what comes after moment t is a likelihood exp(l'a_t - a_t'L a_t / 2) of its state,
by the backward information filter; with it the filter draws and scores what is unknown given all evidence, and smooths it.
Cost: O(N T C S^2), a loop over T and C; the covariances are those of one row where all rows see the same places.

Source: Kalman, A new approach to linear filtering and prediction problems, 1960
Fraser, Potter, The optimum linear smoother as a combination of two optimum linear filters, 1969
Durbin, Koopman, Time series analysis by state space methods, 2nd edition, 2012
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.distribution import Distribution
from given.distributions.factorized import Factorized
from given.distributions.gaussian_step import see
from given.distributions.normal_mixture import NormalMixture
from given.distributions.sequential import Sequential, State
from given.distributions.timeline import Timeline
from given.variables import Entries, Real, Space

__all__ = ["LinearGaussian", "StateSpace"]


@dataclass(frozen=True)
class LinearGaussian:
    """The system, float64.

    Attributes:
        mean: m (S,).
        covariance: P (S, S).
        transition: F (S, S).
        drift: Q (S, S).
        loading: Z (C, S).
        offset: d (C,).
        noise: R (C,), above 0.
    """

    mean: Tensor
    covariance: Tensor
    transition: Tensor
    drift: Tensor
    loading: Tensor
    offset: Tensor
    noise: Tensor

    def see(self, c: int, mean: Tensor, covariance: Tensor, value: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The state once channel c is known, where it is seen."""
        return see(mean, covariance, self.loading[c], self.noise[c], value - self.offset[c], seen)[:2]

    def moved(self, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """The state a moment later."""
        return mean @ self.transition.T, self.transition @ covariance @ self.transition.T + self.drift

    def filtered(self, values: Tensor, then: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The state before every entry, (N, T, C, S) and (N or 1, T, C, S, S), of values (N, T, C), given what is seen `first`
        of its moment, and what is seen of the entries before."""
        if bool((then == then[:1]).all()) and (first is None or bool((first == first[:1]).all())):
            then, first = then[:1], None if first is None else first[:1]
        mean, covariance = self.mean.expand(len(values), -1), self.covariance[None].expand(len(then), -1, -1)
        means, covariances = list[Tensor](), list[Tensor]()
        for t in range(values.shape[1]):
            for c in range(values.shape[2]) if first is not None else ():
                mean, covariance = self.see(c, mean, covariance, values[:, t, c], first[:, t, c])  # type: ignore[index]
            for c in range(values.shape[2]):
                means.append(mean)
                covariances.append(covariance)
                mean, covariance = self.see(c, mean, covariance, values[:, t, c], then[:, t, c])
            mean, covariance = self.moved(mean, covariance)
        shape = values.shape[1:]
        return (torch.stack(means, 1).unflatten(1, shape), torch.stack(covariances, 1).unflatten(1, shape))

    def to_come(self, values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """l (N, T, S) and L (N, T, S, S) of what is known after every moment."""
        weight = known / self.noise
        linear = ((values - self.offset) * weight) @ self.loading
        square = torch.einsum("ntc,cr,cs->ntrs", weight, self.loading, self.loading)
        eye, F = torch.eye(len(self.mean), dtype=torch.float64, device=values.device), self.transition
        now = torch.zeros_like(linear[:, 0]), torch.zeros_like(square[:, 0])
        found = [now]
        for t in range(values.shape[1] - 1, 0, -1):
            L = now[1] + square[:, t]
            both = _solved(eye + L @ self.drift, torch.cat([(now[0] + linear[:, t])[..., None], L], -1))
            now = both[..., 0] @ F, F.T @ both[..., 1:] @ F
            found.append(now)
        return tuple(torch.stack(each[::-1], 1) for each in zip(*found, strict=True))  # type: ignore[return-value]

    def entry(self, c: int | slice, mean: Tensor, covariance: Tensor,
              later: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """The mean and the variance of channel c given the state and what is known of later moments; of every channel, each
        from a state of its own, (..., C, S) and (..., C, S, S), by a slice."""
        if later is not None:
            eye = torch.eye(len(self.mean), dtype=torch.float64, device=mean.device)
            moved = mean + (covariance @ later[0][..., None]).squeeze(-1)
            both = _solved(eye + covariance @ later[1], torch.cat([
                moved[..., None], covariance.expand(*moved.shape, -1)], -1))
            mean, covariance = both[..., 0], both[..., 1:]
        z = self.loading[c]
        variance = ((covariance @ z[..., None]).squeeze(-1) * z).sum(-1) + self.noise[c]
        return (mean * z).sum(-1) + self.offset[c], variance


def _solved(A: Tensor, B: Tensor) -> Tensor:
    """A^-1 B. To raise an error would be to wait for an accelerator: there is none."""
    return torch.linalg.solve_ex(A, B)[0]


@dataclass
class _Now:
    """Where a draw stands: rows of B, and the state before the next entry, (N, S) and (N, S, S)."""

    row: Tensor
    mean: Tensor
    covariance: Tensor

    def rows(self, index: Tensor) -> _Now:
        return _Now(self.row[index], self.mean[index], self.covariance[index])


class StateSpace(Sequential):
    """A linear-Gaussian state space.

    Args:
        space: of T C entries.
        n: B rows.
        timeline: of the space.
        system: its numbers.
    """

    def __init__(self, space: Space, n: int, timeline: Timeline, system: LinearGaussian) -> None:
        super().__init__(space, n, timeline.order, system.mean.device)
        self.timeline, self.system = timeline, system
        self.known = torch.zeros((), dtype=torch.bool, device=self.device).expand(n, *timeline.shape)
        self.later: tuple[Tensor, Tensor] | None = None

    def _moments(self, x: Tensor) -> Tensor:
        return x[:, self.order].reshape(-1, *self.timeline.shape)

    def predictions(self, x: Entries) -> tuple[Tensor, Tensor]:
        """The mean and the variance of every entry given those before it and all evidence: (N, T, C) each."""
        flat, row = self._whole(x)
        values = self._moments(torch.where(flat.readable, flat.tensor, 0.0).double())
        seen, known = self._moments(flat.readable), self.known[row]
        if self.later is None:
            # Padding that comes last is taken for seen, which leaves all rows alike.
            valid = self._moments(flat.valid).any(-1)  # type: ignore[arg-type]
            seen = seen | (valid.flip(1).cumsum(1).flip(1) == 0)[..., None]
            mean, variance = self.system.entry(slice(None), *self.system.filtered(values, seen), None)
        else:
            seen = self._moments(flat.readable) & ~known
            later = (self.later[0][row][:, :, None], self.later[1][row][:, :, None])
            mean, variance = self.system.entry(slice(None), *self.system.filtered(values, seen, known), later)
        return mean, variance.expand_as(mean)

    def each(self, x: Entries) -> Tensor:
        flat = x.flat(self.space)
        mean, variance = self.predictions(x)
        off = self._moments(torch.where(flat.readable, flat.tensor, 0.0).double().reshape(-1, len(self.order))) - mean
        log_p = -0.5 * (off**2 / variance + variance.log() + math.log(2 * math.pi))
        found = torch.empty_like(log_p.flatten(1)).index_copy(1, self.order, log_p.flatten(1))
        return found.reshape(flat.tensor.shape)

    def condition(self, evidence: Entries) -> Distribution:
        distribution = copy.copy(self)
        distribution.evidence = known = self._known(evidence)
        distribution.known = self._moments(known.scored)
        values = self._moments(torch.where(known.scored, known.tensor, 0.0).double())
        distribution.later = self.system.to_come(values, distribution.known)
        return distribution

    def _smoothed(self) -> tuple[Tensor, Tensor]:
        """The mean and the standard deviation of every entry given the evidence alone: (B, D)."""
        nothing = Entries(torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)).hide()
        mean, variance = (torch.empty_like(t.flatten(1)).index_copy(1, self.order, t.flatten(1))
                          for t in self.predictions(nothing.shaped(self.space)))
        if self.evidence is None:
            return mean, variance.sqrt()
        known = self.evidence.scored
        return torch.where(known, self.evidence.tensor.double(), mean), torch.where(known, 0.0, variance.sqrt())

    def mean(self) -> Entries:
        """The mean given the evidence, by the smoother: (B, *grid)."""
        return Entries(self._smoothed()[0]).shaped(self.space)

    def mode(self) -> Entries:
        """The mode, which is the mean: (B, *grid)."""
        return self.mean()

    def deviation(self) -> Entries:
        """The standard deviation given the evidence, 0 of what is known: (B, *grid)."""
        return Entries(self._smoothed()[1]).shaped(self.space)

    def start(self) -> State:
        row, system = torch.arange(self.n, device=self.device), self.system
        now = self._begun(0, row, system.mean.expand(self.n, -1), system.covariance.expand(self.n, -1, -1))
        return State(0, torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device), None, now)

    def _begun(self, t: int, row: Tensor, mean: Tensor, covariance: Tensor) -> _Now:
        """At the beginning of moment t, with what evidence says of it."""
        C = self.timeline.channels
        for c, entry in enumerate(self.entries[t * C:(t + 1) * C] if self.evidence is not None else ()):
            value = self.evidence.tensor[row, entry].double()  # type: ignore[union-attr]
            mean, covariance = self.system.see(c, mean, covariance, value, self.known[row, t, c])
        return _Now(row, mean, covariance)

    def next(self, state: State) -> Factorized:
        (t, c), now = divmod(state.t, self.timeline.channels), state.cache
        later = None if self.later is None else (self.later[0][now.row, t], self.later[1][now.row, t])
        mean, variance = self.system.entry(c, now.mean, now.covariance, later)
        part = self.timeline.parts[c]
        assert isinstance(part, Real)
        return NormalMixture(torch.zeros_like(mean)[:, None], mean[:, None], variance.sqrt()[:, None], part)

    def advance(self, state: State, entries: Tensor) -> State:
        (t, c), now = divmod(state.t, self.timeline.channels), state.cache
        state.values[:, self.entries[state.t]] = value = entries.double()
        mean, covariance = self.system.see(c, now.mean, now.covariance, value, ~self.known[now.row, t, c])
        if c + 1 == self.timeline.channels and t + 1 < self.timeline.length:
            return replace(state, t=state.t + 1, cache=self._begun(t + 1, now.row, *self.system.moved(mean, covariance)))
        return replace(state, t=state.t + 1, cache=_Now(now.row, mean, covariance))
