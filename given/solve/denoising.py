"""Denoising: from noise to data by what a net predicts the data to be, step by step.

    x_t = alpha_t x + sigma_t z,    data(x_t, t) = E[x | x_t],    noise(x_t, t) = (x_t - alpha_t data) / sigma_t

One step from (alpha, sigma) to (beta, rho), where less noise is left, adds a noise of scale e:

    x <- beta data + sqrt(rho^2 - e^2) noise + e N(0, I)

e = 0 is DDIM, which solves the equation of the flow; the scale of q(x_s | x_t, x) is the ancestral step. The last step leaves
the predicted data.

Source: Ho, Jain, Abbeel, Denoising diffusion probabilistic models, 2020 / https://arxiv.org/abs/2006.11239
Song, Meng, Ermon, Denoising diffusion implicit models, 2021 / https://arxiv.org/abs/2010.02502
Lu et al., DPM-Solver++, 2022 / https://arxiv.org/abs/2211.01095
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from given.solve.how import How
from given.solve.ode import Solvable
from given.variables import UserError

__all__ = ["Ancestral", "DPMSolver", "Denoising", "EulerMaruyama", "Sampler"]


@dataclass(frozen=True)
class Denoising:
    """A process from noise at t = 0 to data at t = 1.

    Attributes:
        data: x (N, *grid), t -> the data expected there.
        mix: t -> alpha, sigma.
        slopes: t -> their derivatives.
        noise: the number of a step -> standard normal numbers of x's shape.
    """

    data: Callable[[Tensor, float], Tensor]
    mix: Callable[[float], tuple[float, float]]
    slopes: Callable[[float], tuple[float, float]]
    noise: Callable[[int], Tensor]


class Sampler(How):
    """How to go from noise to data by predicted data; forward only."""

    concerns = "distributions that are drawn by removing noise, as those of Diffusion and FlowMatching"
    steps: int

    @property
    def stochastic(self) -> bool:
        """Whether it adds noise on its way; else it solves the equation of the flow."""
        return False

    def __call__(self, distribution: Any) -> Any:
        return distribution.solved_by(self) if isinstance(distribution, Solvable) else distribution

    def _check(self) -> None:
        if not isinstance(self.steps, int) or self.steps < 1:
            raise UserError(f"{type(self).__name__}: steps={self.steps!r}; expected a whole number of at least 1")

    @abc.abstractmethod
    def run(self, process: Denoising, x: Tensor) -> Tensor:
        """The data that noise x (N, *grid) becomes."""

    def _times(self) -> Iterator[tuple[int, float, float]]:
        for i in range(self.steps):
            yield i, i / self.steps, (i + 1) / self.steps


def _left(process: Denoising, t: float) -> tuple[float, float]:
    """alpha, sigma at t; none is left at the end."""
    return process.mix(t) if t < 1 else (1.0, 0.0)


@dataclass(frozen=True)
class Ancestral(Sampler):
    """Weak order 1, one evaluation a step: every step draws from q(x_s | x_t, predicted data).

    Args:
        steps: how many.
        eta: 1 for all of the noise of that distribution, 0 for none (DDIM), which is of strong order 1.
    """

    steps: int = 128
    eta: float = 1.0

    def __post_init__(self) -> None:
        self._check()
        if not 0 <= self.eta <= 1:
            raise UserError(f"Ancestral: eta={self.eta}; expected a number from 0 to 1")

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def run(self, process: Denoising, x: Tensor) -> Tensor:
        for i, t, s in self._times():
            (alpha, sigma), (beta, rho) = process.mix(t), _left(process, s)
            data = process.data(x, t)
            added = self.eta * rho / sigma * math.sqrt(max(0.0, sigma**2 - (alpha / beta * rho) ** 2))
            noise = (x - alpha * data) / sigma
            x = beta * data + math.sqrt(max(0.0, rho**2 - added**2)) * noise
            x = x + added * process.noise(i) if added else x
        return x


@dataclass(frozen=True)
class DPMSolver(Sampler):
    """DPM-Solver++ 2M: order 2 by one evaluation a step, from the predictions of two steps; the first and the last step, where
    the logarithm of the signal-to-noise ratio may be infinite, are of order 1."""

    steps: int = 32

    def __post_init__(self) -> None:
        self._check()

    def run(self, process: Denoising, x: Tensor) -> Tensor:
        before: Tensor | None = None
        last = math.inf  # the step before, in half the logarithm of the signal-to-noise ratio
        for _, t, s in self._times():
            (alpha, sigma), (beta, rho) = process.mix(t), _left(process, s)
            data = process.data(x, t)
            step = math.inf if rho == 0 or alpha == 0 else math.log(beta / rho) - math.log(alpha / sigma)
            ahead = data
            if before is not None and math.isfinite(step) and math.isfinite(last):
                ahead = data + step / (2 * last) * (data - before)
            x = rho / sigma * x + (beta - rho / sigma * alpha) * ahead
            before, last = data, step
        return x


@dataclass(frozen=True)
class EulerMaruyama(Sampler):
    """Weak order 1, one evaluation a step, of the stochastic equation with the flow's marginal distributions

        dx = (alpha' data + (1 + churn) sigma' noise) dt + sqrt(-2 churn sigma sigma') dW.

    Args:
        steps: how many.
        churn: how much noise is added and taken away beside; 0 is Euler's solution of the flow.

    Source: Song et al., Score-based generative modeling through stochastic differential equations, 2021 /
    https://arxiv.org/abs/2011.13456
    """

    steps: int = 256
    churn: float = 1.0

    def __post_init__(self) -> None:
        self._check()
        if not 0 <= self.churn < math.inf:
            raise UserError(f"EulerMaruyama: churn={self.churn}; expected a number of at least 0")

    @property
    def stochastic(self) -> bool:
        return self.churn > 0

    def run(self, process: Denoising, x: Tensor) -> Tensor:
        for i, t, s in self._times():
            (alpha, sigma), (up, down), h = process.mix(t), process.slopes(t), s - t
            data = process.data(x, t)
            noise = (x - alpha * data) / sigma
            x = x + h * (up * data + (1 + self.churn) * down * noise)
            if self.churn:
                x = x + math.sqrt(-2 * self.churn * sigma * down * h) * process.noise(i)
        return x
