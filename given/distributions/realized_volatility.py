"""RealizedVolatility: returns whose scale follows from a measure of it, as the range of a day, and that measure.

    r_t = m + phi (r_t-1 - m) + e_t,   e_t = sigma_t z_t
    log sigma_t^2 = (1 - pi) v + beta log sigma_t-1^2 + gamma (y_t-1 - xi) + lambda e_t-1 exp(-y_t-1 / 2)
    y_t = xi + delta log sigma_t^2 + tau z_t / sqrt(1 + z_t^2) + kappa log(1 + z_t^2) + s u_t

y is the logarithm of a squared scale that a moment shows, pi = beta + gamma delta, z of `SkewedStudent` and u normal. What is
large in r is large in y, in proportion where kappa is 1, so that e exp(-y / 2) has no tail of its own. Given what is known, log
sigma^2 is a linear recurrence: one scan scores all moments.

Source: Hansen, Huang, Shek, Realized GARCH: a joint model for returns and realized measures of volatility, 2012 /
https://doi.org/10.1002/jae.1234
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributions as torch_distributions

from given.distributions.garch import Recursion, Scale
from given.distributions.linear_scan import linear_scan
from given.distributions.skewed_student import SkewedStudent

__all__ = ["RealizedVolatility"]


@dataclass(frozen=True)
class RealizedVolatility(Recursion):
    """The numbers of the recursion, (1,) float64 each; of two channels, the returns and their measure."""

    mean: Tensor
    phi: Tensor
    level: Tensor  # v
    beta: Tensor
    gamma: Tensor
    leverage: Tensor  # lambda
    first: Tensor  # log sigma_1^2
    df: Tensor
    skew: Tensor
    offset: Tensor  # xi
    slope: Tensor  # delta
    lean: Tensor  # tau
    bend: Tensor  # kappa
    spread: Tensor  # s

    def expected(self, before: Tensor) -> Tensor:
        """The mean after a return."""
        return self.mean + self.phi * (before - self.mean)

    def news(self, e: Tensor, y: Tensor) -> Tensor:
        """What a moment adds to the next log variance."""
        persistence = self.beta + self.gamma * self.slope
        return (1 - persistence) * self.level + self.gamma * (y - self.offset) + self.leverage * e * (-y / 2).exp()

    def _logs(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """The means and the log variances (N, T, 1) of the returns among (N, T, 2)."""
        returns, y = r[..., :1], r[..., 1:]
        mean = self.expected(torch.cat([self.mean.expand(len(r), 1, -1), returns[:, :-1]], 1))
        news = self.news(returns - mean, y)
        return mean, linear_scan(torch.cat([self.first.expand(len(r), 1, -1), news[:, :-1]], 1), self.beta)

    def scales(self, r: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self._logs(r)
        return mean, (log_variance / 2).exp()

    def law(self, mean: Tensor, scale: Tensor) -> SkewedStudent:
        return SkewedStudent(self.df, self.skew, mean, scale, validate_args=False)

    def measured(self, log_variance: Tensor, e: Tensor) -> torch_distributions.Normal:
        """The measure's distribution, given the moment's return."""
        z = e * (-log_variance / 2).exp()
        loc = self.offset + self.slope * log_variance + self.lean * z / (1 + z**2).sqrt() + self.bend * (z**2).log1p()
        return torch_distributions.Normal(loc, self.spread.expand_as(loc), validate_args=False)

    def each(self, r: Tensor) -> Tensor:
        mean, log_variance = self._logs(r)
        returns = self.law(mean, (log_variance / 2).exp()).log_prob(r[..., :1])
        return torch.cat([returns, self.measured(log_variance, r[..., :1] - mean).log_prob(r[..., 1:])], -1)

    def begin(self, n: int) -> Scale:
        return Scale(self.mean.expand(n, -1).clone(), self.first.expand(n, -1).clone())

    def channel(self, c: int, now: Scale, before: Tensor) -> torch_distributions.Distribution:
        if c == 0:
            return self.law(now.mean[:, 0], (now.variance[:, 0] / 2).exp())
        return self.measured(now.variance[:, 0], before[:, 0] - now.mean[:, 0])

    def after(self, now: Scale, r: Tensor) -> Scale:
        news = self.news(r[:, :1] - now.mean, r[:, 1:])
        return Scale(self.expected(r[:, :1]), news + self.beta * now.variance)

    def last(self, r: Tensor) -> Scale:
        mean, log_variance = self._logs(r)
        return Scale(mean[:, -1], log_variance[:, -1])
