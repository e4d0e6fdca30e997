"""One-dimensional distributions of the textbook, with their support, distribution function and quantiles.

Those of torch.distributions lack some of these; scipy's special functions fill them in, on the host. Outside its support a
density is 0, and a uniform one holds both its ends.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributions

from given.distributions.torch_distribution import Torch
from given.variables import Entries

__all__ = ["Beta", "Gamma", "StudentT", "Supported", "Uniform"]


class Supported(Torch):
    """A `torch.distributions.Distribution` of independent entries whose density is 0 outside its support. Arguments as of
    `Torch`."""

    def each(self, values: Tensor) -> Tensor:
        values = values.double()
        support: Any = self.distribution.support
        there = support.check(values)
        inside = torch.where(there, values, self.distribution.icdf(torch.full_like(self.distribution.mean, 0.5)))
        return torch.where(there, self.distribution.log_prob(inside).double(), -torch.inf)

    def cdf(self, x: Entries) -> Tensor:
        support: Any = self.distribution.support
        low, high = (getattr(support, name, end) for name, end in (("lower_bound", -torch.inf), ("upper_bound", torch.inf)))
        values = x.tensor.double()
        inside = torch.minimum(torch.maximum(values, torch.as_tensor(low).double()), torch.as_tensor(high).double())
        return super().cdf(Entries(inside, x.seen, x.valid))


class Uniform(distributions.Uniform):
    """The uniform distribution of [low, high], both ends in it."""

    def log_prob(self, value: Tensor) -> Tensor:
        there = (value >= self.low) & (value <= self.high)
        return torch.where(there, -(self.high - self.low).log(), -torch.inf)


class Gamma(distributions.Gamma):
    """The gamma distribution, with its quantiles."""

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles, by the inverse of the incomplete gamma function."""
        return _special("gammaincinv", self.concentration, value) / self.rate


class Beta(distributions.Beta):
    """The beta distribution, with its distribution function and quantiles."""

    def cdf(self, value: Tensor) -> Tensor:
        """The regularised incomplete beta function."""
        return _special("betainc", self.concentration1, self.concentration0, value)

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles, by its inverse."""
        return _special("betaincinv", self.concentration1, self.concentration0, value)


class StudentT(distributions.StudentT):
    """Student's distribution, with its distribution function and quantiles."""

    def cdf(self, value: Tensor) -> Tensor:
        """By the incomplete beta function."""
        return _special("stdtr", self.df, (value - self.loc) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """Quantiles, by its inverse."""
        return self.loc + self.scale * _special("stdtrit", self.df, value)


def _special(name: str, *of: Tensor) -> Tensor:
    from scipy import special

    value = getattr(special, name)(*(t.detach().cpu().double().numpy() for t in of))
    return torch.as_tensor(value, dtype=torch.float64, device=of[0].device)
