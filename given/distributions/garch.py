"""GARCH: numbers whose scale follows from those before.

    r_t = m + phi (r_t-1 - m) + e_t,   e_t = sigma_t z_t
    sigma_t^2 = omega + alpha e_t-1^2 + gamma e_t-1^2 [e_t-1 < 0] + beta sigma_t-1^2,   sigma_1^2 = first

with z of `SkewedStudent` and r_0 = m. Channels are independent of one another. Given what is known e is known, so that sigma is
a linear recurrence: one scan scores all moments. What is missing within is not marginalised: sigma depends on its square.

Source: Bollerslev, Generalized autoregressive conditional heteroskedasticity, 1986
Glosten, Jagannathan, Runkle, On the relation between the expected value and the volatility of the nominal excess return on
stocks, 1993
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch import distributions as torch_distributions

from given.distributions.factorized import Factorized
from given.distributions.linear_scan import linear_scan
from given.distributions.sequential import Sequential, State
from given.distributions.skewed_student import SkewedStudent
from given.distributions.timeline import Timeline
from given.distributions.torch_distribution import Torch
from given.variables import Entries, Real, Space

__all__ = ["GARCH", "Recursion", "Scale", "Volatility"]


@dataclass
class Scale:
    """The mean and the variance, or its logarithm, of the next moment's numbers, (N, C) each."""

    mean: Tensor
    variance: Tensor

    def rows(self, index: Tensor) -> Scale:
        return Scale(self.mean[index], self.variance[index])


class Recursion(abc.ABC):
    """How a scale follows from what came before, and what a moment's numbers are given it. Abstract."""

    @abc.abstractmethod
    def scales(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """The means and the standard deviations of numbers (N, T, C) given those of the moments before."""

    @abc.abstractmethod
    def law(self, mean: Tensor, scale: Tensor) -> SkewedStudent:
        """Of numbers with these means and standard deviations."""

    @abc.abstractmethod
    def each(self, r: Tensor) -> Tensor:
        """log p of numbers (N, T, C), each given those before it."""

    @abc.abstractmethod
    def begin(self, n: int) -> Scale:
        """Of the first moment of n rows."""

    @abc.abstractmethod
    def channel(self, c: int, now: Scale, before: Tensor) -> torch_distributions.Distribution:
        """Of a moment's number c, given those before it (N, c)."""

    @abc.abstractmethod
    def after(self, now: Scale, r: Tensor) -> Scale:
        """Of the next moment, once this one's numbers (N, C) are known."""

    @abc.abstractmethod
    def last(self, r: Tensor) -> Scale:
        """Of the last of the moments whose numbers (N, T, C) are known."""


@dataclass(frozen=True)
class Volatility(Recursion):
    """The numbers of the recursion, (C,) float64 each."""

    mean: Tensor
    phi: Tensor
    omega: Tensor
    alpha: Tensor
    gamma: Tensor
    beta: Tensor
    first: Tensor
    df: Tensor
    skew: Tensor

    def news(self, e: Tensor) -> Tensor:
        """What an innovation adds to the next variance."""
        return self.omega + (self.alpha + self.gamma * (e < 0)) * e**2

    def expected(self, before: Tensor) -> Tensor:
        """The mean after a number."""
        return self.mean + self.phi * (before - self.mean)

    def scales(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """The means and the standard deviations of numbers (N, T, C) given those before."""
        mean = self.expected(torch.cat([self.mean.expand(len(r), 1, -1), r[:, :-1]], 1))
        first = self.first.expand(len(r), 1, -1)
        variance = linear_scan(torch.cat([first, self.news(r - mean)[:, :-1]], 1), self.beta)
        return mean, variance.sqrt()

    def law(self, mean: Tensor, scale: Tensor) -> SkewedStudent:
        """Of numbers of C channels."""
        return SkewedStudent(self.df, self.skew, mean, scale, validate_args=False)

    def each(self, r: Tensor) -> Tensor:
        return self.law(*self.scales(r)).log_prob(r)

    def begin(self, n: int) -> Scale:
        return Scale(self.mean.expand(n, -1).clone(), self.first.expand(n, -1).clone())

    def channel(self, c: int, now: Scale, before: Tensor) -> SkewedStudent:
        return SkewedStudent(self.df[c], self.skew[c], now.mean[:, c], now.variance[:, c].sqrt(), validate_args=False)

    def after(self, now: Scale, r: Tensor) -> Scale:
        return Scale(self.expected(r), self.news(r - now.mean) + self.beta * now.variance)

    def last(self, r: Tensor) -> Scale:
        mean, scale = self.scales(r)
        return Scale(mean[:, -1], scale[:, -1] ** 2)


class GARCH(Sequential):
    """Series of numbers with a scale that follows.

    Args:
        space: of T C entries.
        n: B rows.
        timeline: of the space.
        numbers: of the recursion.
        device: where they are.
    """

    def __init__(self, space: Space, n: int, timeline: Timeline, numbers: Recursion,
                 device: torch.device | str = "cpu") -> None:
        super().__init__(space, n, timeline.order, device)
        self.timeline, self.numbers = timeline, numbers

    def each(self, x: Entries) -> Tensor:
        flat, _ = self._whole(x)
        found = torch.empty_like(flat.tensor, dtype=torch.float64)
        found[:, self.order] = self.numbers.each(self._moments(flat)).flatten(1)
        return found.reshape(x.flat(self.space).tensor.shape)

    def predictive(self, x: Entries) -> SkewedStudent:
        """The distribution of every moment's numbers given those of the moments before: (B, T, C)."""
        return self.numbers.law(*self.numbers.scales(self._moments(self._whole(x)[0])))

    def _moments(self, flat: Entries) -> Tensor:
        """(N, T, C) of entries (N, D), those that are not known 0."""
        self._check_first(flat.readable)
        return torch.where(flat.readable, flat.tensor, 0.0).double()[:, self.order].reshape(-1, *self.timeline.shape)

    def start(self) -> State:
        values = torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)
        return State(0, values, None, self.numbers.begin(self.n))

    def read(self, state: State, values: Tensor, upto: int) -> State:
        moments = upto // self.timeline.channels
        if state.t or not moments:
            return super().read(state, values, upto)
        at = moments * self.timeline.channels
        state.values[:, self.order[:at]] = values[:, :at]
        r = values[:, :at].reshape(self.n, moments, -1)
        return super().read(replace(state, t=at, cache=self.numbers.after(self.numbers.last(r), r[:, -1])), values, upto)

    def next(self, state: State) -> Factorized:
        t, c = divmod(state.t, self.timeline.channels)
        part = self.timeline.parts[c]
        assert isinstance(part, Real)
        before = state.values[:, self.order[t * self.timeline.channels:state.t]]
        return Torch(self.numbers.channel(c, state.cache, before), part)

    def advance(self, state: State, entries: Tensor) -> State:
        t, c = divmod(state.t, self.timeline.channels)
        state.values[:, self.entries[state.t]] = entries.double()
        if c + 1 < self.timeline.channels:
            return replace(state, t=state.t + 1)
        r = state.values[:, self.order[t * self.timeline.channels:state.t + 1]]
        return replace(state, t=state.t + 1, cache=self.numbers.after(state.cache, r))
