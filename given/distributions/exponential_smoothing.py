"""ExponentialSmoothing: a level, a slope and a season that follow what was not expected, all by one source of noise.

    y_t = l_t-1 + phi b_t-1 + s_t-m + e_t,   e_t ~ N(0, sigma^2)
    l_t = l_t-1 + phi b_t-1 + alpha e_t,   b_t = phi b_t-1 + beta e_t,   s_t = s_t-m + gamma e_t

from normal first states x_0 = (l_0, b_0, s_1-m..0). So y is jointly normal: y = U x_0 + K e, where U says what a first state is
at t, and the lower triangular K how an innovation goes on, both in closed form:

    U_t = (1, phi + ... + phi^t, [t = i mod m]),    K_t,t-j = alpha + beta (phi + ... + phi^j) + gamma [j = 0 mod m],  K_t,t = 1

With L the Cholesky root of U P U' + sigma^2 K K', which is one for all rows, L^-1 (y - U E x_0) are standard normal, each of a
value given those before. Channels are independent of one another. What is missing within is not marginalised.

Source: Hyndman, Koehler, Ord, Snyder, Forecasting with exponential smoothing: the state space approach, 2008
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.normal_mixture import NormalMixture
from given.distributions.sequential import Sequential, State
from given.distributions.timeline import Timeline
from given.variables import Entries, Real, Space

__all__ = ["ExponentialSmoothing", "Innovations"]


@dataclass(frozen=True)
class Innovations:
    """The numbers of every channel, float64.

    Attributes:
        alpha, beta, gamma: (C,) how level, slope and season follow an innovation.
        phi: (C,) how much of a slope stays.
        variance: (C,) sigma^2, above 0.
        mean: (C, 2 + m) of the first level, slope and seasons, that of the first value first.
        spread: (C, 2 + m) their variances, from 0.
    """

    alpha: Tensor
    beta: Tensor
    gamma: Tensor
    phi: Tensor
    variance: Tensor
    mean: Tensor
    spread: Tensor

    def moments(self, T: int) -> tuple[Tensor, Tensor]:
        """The means (C, T) of T values, and the Cholesky root (C, T, T) of their covariance."""
        m, place = self.mean.shape[1] - 2, torch.arange(T, device=self.phi.device)
        damped = (self.phi[:, None] ** (place + 1)).cumsum(1)  # phi + ... + phi^t, of t from 1
        season = place[:, None] % m == torch.arange(m, device=self.phi.device)
        U = torch.cat([torch.ones_like(damped)[..., None], damped[..., None], season.expand(len(damped), -1, -1)], -1)
        mean = (U @ self.mean[..., None])[..., 0]
        apart = place[:, None] - place
        gone = self.alpha[:, None] + self.beta[:, None] * damped + self.gamma[:, None] * ((place + 1) % m == 0)
        K = torch.where(apart > 0, gone[:, (apart - 1).clamp(min=0)], (apart == 0).double())
        K = K * self.variance.sqrt()[:, None, None]
        covariance = (U * self.spread[:, None]) @ U.mT + K @ K.mT
        return mean, torch.linalg.cholesky_ex(covariance)[0]  # without an error that would wait for an accelerator


@dataclass
class _Now:
    """What was not expected of the values so far, in standard deviations: (N, T, C)."""

    z: Tensor

    def rows(self, index: Tensor) -> _Now:
        return _Now(self.z[index])


class ExponentialSmoothing(Sequential):
    """Series of numbers, smoothed exponentially.

    Args:
        space: of T C entries.
        n: B rows.
        timeline: of the space.
        numbers: of the recursion.
    """

    def __init__(self, space: Space, n: int, timeline: Timeline, numbers: Innovations) -> None:
        super().__init__(space, n, timeline.order, numbers.phi.device)
        self.timeline = timeline
        self.mean_of, self.root = numbers.moments(timeline.length)

    def log_p(self, values: Tensor) -> Tensor:
        """log p of values (N, T, C), each given those before: (N, T, C)."""
        off = values.movedim(-1, 0) - self.mean_of[:, None]  # (C, N, T)
        z = torch.linalg.solve_triangular(self.root, off.mT, upper=False)  # (C, T, N)
        scale = self.root.diagonal(dim1=1, dim2=2)[..., None]
        return (-0.5 * z**2 - scale.log() - 0.5 * math.log(2 * math.pi)).permute(2, 1, 0)

    def each(self, x: Entries) -> Tensor:
        flat, _ = self._whole(x)
        self._check_first(flat.readable)
        values = torch.where(flat.readable, flat.tensor, 0.0).double()[:, self.order].reshape(-1, *self.timeline.shape)
        found = torch.empty_like(flat.tensor, dtype=torch.float64)
        found[:, self.order] = self.log_p(values).flatten(1)
        return found.reshape(x.flat(self.space).tensor.shape)

    def start(self) -> State:
        values = torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)
        return State(0, values, None, _Now(values.reshape(-1, *self.timeline.shape).clone()))

    def _expected(self, state: State) -> tuple[Tensor, Tensor]:
        """The mean (N,) and the standard deviation () of the next value."""
        t, c = divmod(state.t, self.timeline.channels)
        row = self.root[c, t]
        return self.mean_of[c, t] + state.cache.z[:, :t, c] @ row[:t], row[t]

    def next(self, state: State) -> NormalMixture:
        mean, scale = self._expected(state)
        part = self.timeline.parts[state.t % self.timeline.channels]
        assert isinstance(part, Real)
        return NormalMixture(torch.zeros_like(mean)[:, None], mean[:, None], scale.expand_as(mean)[:, None], part)

    def advance(self, state: State, entries: Tensor) -> State:
        t, c = divmod(state.t, self.timeline.channels)
        mean, scale = self._expected(state)
        state.values[:, self.entries[state.t]] = entries.double()
        state.cache.z[:, t, c] = (entries.double() - mean) / scale
        return replace(state, t=state.t + 1)
