"""SkewedStudent: Student's distribution of mean 0 and variance 1, leaning to one side.

    p(z) = b c (1 + ((b z + a) / (1 + lambda sign(z + a / b)))^2 / (nu - 2))^(-(nu + 1) / 2)

    c = Gamma((nu + 1) / 2) / (Gamma(nu / 2) sqrt(pi (nu - 2)))
    a = 4 lambda c (nu - 2) / (nu - 1),  b^2 = 1 + 3 lambda^2 - a^2

Source: Hansen, Autoregressive conditional density estimation, 1994 / https://doi.org/10.2307/2527081
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, distributions
from torch.distributions import constraints

from given.distributions.one_dimensional import StudentT

__all__ = ["SkewedStudent"]


class SkewedStudent(distributions.Distribution):
    """Numbers loc + scale z.

    Args:
        df: nu > 2.
        skew: lambda between -1 and 1; of 0 it is Student's distribution.
        loc, scale: the mean and the standard deviation, of one shape with the others.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "df": constraints.greater_than(2), "skew": constraints.interval(-1, 1), "loc": constraints.real,
        "scale": constraints.positive}
    support = constraints.real

    def __init__(self, df: Tensor, skew: Tensor, loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.df, self.skew, self.loc, self.scale = torch.broadcast_tensors(df, skew, loc, scale)
        log_c = torch.lgamma((self.df + 1) / 2) - torch.lgamma(self.df / 2) - 0.5 * (math.pi * (self.df - 2)).log()
        self.log_c, self.a = log_c, 4 * self.skew * log_c.exp() * (self.df - 2) / (self.df - 1)
        self.b = (1 + 3 * self.skew**2 - self.a**2).sqrt()
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale**2

    @property
    def _student(self) -> StudentT:
        return StudentT(self.df, validate_args=False)

    def _side(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """b z + a, and 1 - lambda below where that is 0, 1 + lambda above."""
        moved = self.b * (value - self.loc) / self.scale + self.a
        return moved, 1 + self.skew * torch.where(moved < 0, -1.0, 1.0)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p: the values' shape."""
        moved, side = self._side(value)
        tail = ((moved / side) ** 2 / (self.df - 2)).log1p()
        return self.b.log() + self.log_c - (self.df + 1) / 2 * tail - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        """P(number <= value)."""
        moved, side = self._side(value)
        below = self._student.cdf((self.df / (self.df - 2)).sqrt() * moved / side)
        return torch.where(moved < 0, side * below, 1 - side * (1 - below))

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles, its inverse."""
        low = value < (1 - self.skew) / 2
        side = 1 + self.skew * torch.where(low, -1.0, 1.0)
        within = torch.where(low, value / side, 1 - (1 - value) / side)
        moved = side * ((self.df - 2) / self.df).sqrt() * self._student.icdf(within)
        return self.loc + self.scale * (moved - self.a) / self.b
