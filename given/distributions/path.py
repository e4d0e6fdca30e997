"""Path: how noise turns into data, shared by what learns a field and what draws by it.

    x_t = alpha_t x + sigma_t z,    z ~ N(0, I),    noise at t = 0, data at t = 1

    dx_t/dt = pace_t (a_t x + s_t z)

Time is a clock: it is drawn evenly while learning (`time`) and cut evenly by solvers, so a path is slow where there is most to
learn. A net predicts data x, noise z, or the velocity a_t x + s_t z without its pace, which is of one size at all times. Given
x_t, each is an affine function of each other.

On straight paths (a, s) = (1, -1). On the others alpha^2 + sigma^2 = 1, so that they turn by an angle phi from noise to data:
alpha = sin phi, sigma = cos phi, (a, s) = (cos phi, -sin phi), and the pace is phi's.

Source: Lipman et al., Flow matching for generative modeling, 2022 / https://arxiv.org/abs/2210.02747
Salimans, Ho, Progressive distillation for fast sampling of diffusion models, 2022 / https://arxiv.org/abs/2202.00512
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from given.distributions.noise import Noise
from given.variables import UserError

__all__ = ["Cosine", "Karras", "Path", "StandardNormal", "Straight", "VariancePreserving"]

Predicts = Literal["velocity", "data", "noise"]


@dataclass(frozen=True)
class StandardNormal:
    """Where a path begins: independent normal numbers."""

    def draw(self, noise: Noise, shape: tuple[int, ...], event: tuple[int, ...]) -> Tensor:
        """(*shape, B, *event) float64."""
        return noise.normal(shape, event)

    def log_prob(self, z: Tensor) -> Tensor:
        """(N, D) -> (N, D), of every entry."""
        return -0.5 * z**2 - 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Path(abc.ABC):
    """Abstract: use `Straight`, `Cosine`, `VariancePreserving` or `Karras`.

    Args:
        predicts: what the net gives, `velocity`, `data` or `noise`.
        base: the distribution at t = 0, with `draw` and `log_prob`. What adds noise on its way, and the bound, are of
            `StandardNormal`.
    """

    predicts: Predicts = "velocity"
    base: StandardNormal = StandardNormal()

    def __post_init__(self) -> None:
        who = type(self).__name__
        if self.predicts not in ("velocity", "data", "noise"):
            raise UserError(f"{who}: predicts={self.predicts!r}; expected 'velocity', 'data' or 'noise'")
        if self.predicts == "data" and self.ends[1][1] == 0:
            raise UserError(f"{who}: predicts='data' leaves the noise open where there is none left; raise low=, or predict "
                            "'velocity'")
        if self.predicts == "noise" and self.ends[0][0] == 0:
            raise UserError(f"{who}: predicts='noise' leaves the data open where there is only noise; predict 'velocity', "
                            "or use Cosine")

    @abc.abstractmethod
    def mix(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha, sigma at times t of any shape."""

    @abc.abstractmethod
    def direction(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a, s and the pace at times t."""

    @abc.abstractmethod
    def time_at(self, share: Tensor) -> Tensor:
        """The times at which the noise has shares sigma / (alpha + sigma), of any shape, which fall with time."""

    def time(self, u: Tensor) -> Tensor:
        """The time of a learning step, from a uniform number."""
        return u

    def weight(self, t: Tensor) -> Tensor:
        """Of the squared error at times t while learning."""
        return torch.ones_like(t)

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """alpha, sigma at t = 0 and at t = 1."""
        return self.at(0.0), self.at(1.0)

    def at(self, t: float) -> tuple[float, float]:
        """alpha, sigma at one time."""
        alpha, sigma = self.mix(torch.tensor(t, dtype=torch.float64))
        return float(alpha), float(sigma)

    def slopes(self, t: float) -> tuple[float, float]:
        """The derivatives of alpha and sigma at one time."""
        a, s, pace = self.direction(torch.tensor(t, dtype=torch.float64))
        return float(a * pace), float(s * pace)

    def log_snr(self, t: Tensor) -> Tensor:
        """log alpha^2 / sigma^2."""
        alpha, sigma = self.mix(t)
        return 2 * (alpha.log() - sigma.log())

    def target(self, x: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """What the net should give for data x and noise z (N, *grid) at times t (N,)."""
        if self.predicts == "velocity":
            a, s, _ = (over(v, x) for v in self.direction(t))
            return a * x + s * z
        return x if self.predicts == "data" else z

    def read(self, output: Tensor, x: Tensor, t: Tensor) -> Reading:
        """What a net's output (N, *grid) at points x and times t (N,) says of data and noise."""
        alpha, sigma = (over(v, x) for v in self.mix(t))
        a, s, pace = (over(v, x) for v in self.direction(t))
        if self.predicts == "velocity":
            turned = alpha * s - sigma * a
            return Reading((s * x - sigma * output) / turned, (alpha * output - a * x) / turned, pace * output)
        if self.predicts == "data":
            data, noise = output, (x - alpha * output) / sigma
        else:
            data, noise = (x - sigma * output) / alpha, output
        return Reading(data, noise, pace * (a * data + s * noise))


@dataclass(frozen=True)
class Reading:
    """A prediction read as data, as noise and as dx/dt, (N, *grid) each."""

    data: Tensor
    noise: Tensor
    velocity: Tensor


@dataclass(frozen=True)
class Straight(Path):
    """sigma = low + (1 - low) (1 - t)^power, alpha = 1 - sigma: lines from noise to data.

    Args:
        power: 1 for an even pace, more for one that slows towards the data, where edges form.
        low: the noise at t = 1. The bound asks for some.
    """

    power: float = 2.0
    low: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, self.power >= 1 and 0 <= self.low < 1, "power of at least 1 and 0 <= low < 1")

    def mix(self, t: Tensor) -> tuple[Tensor, Tensor]:
        sigma = self.low + (1 - self.low) * (1 - t) ** self.power
        return 1 - sigma, sigma

    def direction(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pace = (1 - self.low) * self.power * (1 - t) ** (self.power - 1)
        return torch.ones_like(t), -torch.ones_like(t), pace

    def time_at(self, share: Tensor) -> Tensor:
        return 1 - ((share - self.low) / (1 - self.low)).clamp(0, 1) ** (1 / self.power)


class _Turning(Path):
    """alpha^2 + sigma^2 = 1."""

    @abc.abstractmethod
    def angle(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """phi, and its slope."""

    @abc.abstractmethod
    def turned(self, phi: Tensor) -> Tensor:
        """The time at which the angle is phi."""

    def time_at(self, share: Tensor) -> Tensor:
        return self.turned(torch.atan2(1 - share, share)).clamp(0, 1)

    def mix(self, t: Tensor) -> tuple[Tensor, Tensor]:
        phi, _ = self.angle(t)
        return phi.sin(), phi.cos()

    def direction(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        phi, pace = self.angle(t)
        return phi.cos(), -phi.sin(), pace


@dataclass(frozen=True)
class Cosine(_Turning):
    """The angle grows evenly, from `margin` to pi / 2 - `margin`.

    Source: Nichol, Dhariwal, Improved denoising diffusion probabilistic models, 2021 / https://arxiv.org/abs/2102.09672
    """

    margin: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, 0 < self.margin < math.pi / 4, "0 < margin < pi / 4")

    def angle(self, t: Tensor) -> tuple[Tensor, Tensor]:
        span = math.pi / 2 - 2 * self.margin
        return self.margin + span * t, torch.full_like(t, span)

    def turned(self, phi: Tensor) -> Tensor:
        return (phi - self.margin) / (math.pi / 2 - 2 * self.margin)


@dataclass(frozen=True)
class VariancePreserving(_Turning):
    """log alpha = -(1 - t)^2 (high - low) / 4 - (1 - t) low / 2, and data at t = 1 with a noise of `least`: noise is added at a
    rate that grows evenly from `low` to `high`.

    Source: Song et al., Score-based generative modeling through stochastic differential equations, 2021 /
    https://arxiv.org/abs/2011.13456
    """

    low: float = 0.1
    high: float = 20.0
    least: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, 0 < self.low < self.high and 0 < self.least < 1, "0 < low < high and 0 < least < 1")

    def angle(self, t: Tensor) -> tuple[Tensor, Tensor]:
        s = 1 - t
        log_alpha = -(s**2) * (self.high - self.low) / 4 - s * self.low / 2 + 0.5 * math.log1p(-self.least**2)
        slope = s * (self.high - self.low) / 2 + self.low / 2  # of log alpha in t
        alpha, sigma = log_alpha.exp(), (-torch.expm1(2 * log_alpha)).sqrt()
        return torch.atan2(alpha, sigma), alpha * slope / sigma

    def turned(self, phi: Tensor) -> Tensor:
        lost = (0.5 * math.log1p(-self.least**2) - phi.sin().log()).clamp(min=0)  # s^2 (high - low) / 4 + s low / 2
        return 1 - 4 * lost / (self.low + (self.low**2 + 4 * (self.high - self.low) * lost).sqrt())


@dataclass(frozen=True)
class Karras(_Turning):
    """sigma / alpha = (high^(1/rho) + t (low^(1/rho) - high^(1/rho)))^rho, and the logarithm of this ratio is normal while
    learning. Scaled to alpha^2 + sigma^2 = 1, the velocity is what its authors' network gives for data of unit variance.

    Args:
        low, high: the ratio at t = 1 and at t = 0.
        mean, deviation: of its logarithm while learning.

    Source: Karras, Aittala, Aila, Laine, Elucidating the design space of diffusion-based generative models, 2022 /
    https://arxiv.org/abs/2206.00364
    """

    low: float = 0.002
    high: float = 80.0
    rho: float = 7.0
    mean: float = -1.2
    deviation: float = 1.2

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, 0 < self.low < self.high and self.rho > 0 and self.deviation > 0,
               "0 < low < high, and rho and deviation above 0")

    def angle(self, t: Tensor) -> tuple[Tensor, Tensor]:
        first, last = self.high ** (1 / self.rho), self.low ** (1 / self.rho)
        root = first + t * (last - first)
        ratio = root**self.rho
        return torch.atan2(torch.ones_like(ratio), ratio), (first - last) * self.rho * ratio / root / (1 + ratio**2)

    def turned(self, phi: Tensor) -> Tensor:
        return self._of((phi.cos() / phi.sin()).clamp(self.low, self.high))

    def time(self, u: Tensor) -> Tensor:
        return self._of((self.mean + self.deviation * torch.special.ndtri(u)).exp().clamp(self.low, self.high))

    def _of(self, ratio: Tensor) -> Tensor:
        first, last = self.high ** (1 / self.rho), self.low ** (1 / self.rho)
        return (ratio ** (1 / self.rho) - first) / (last - first)


def over(v: Tensor, x: Tensor) -> Tensor:
    """Numbers (N,) to be multiplied with x (N, *grid)."""
    return v.reshape(-1, *[1] * (x.dim() - 1)) if v.dim() else v


def _check(path: Path, right: bool, expected: str) -> None:
    if not right:
        raise UserError(f"{path}: expected {expected}")
