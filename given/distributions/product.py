"""ProductDistribution: a distribution for each column of a product, independent of one another given y."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, How, weakest
from given.distributions.noise import Noise
from given.variables import Entries, Product

__all__ = ["ProductDistribution"]


class ProductDistribution(Distribution):
    """Independent columns.

    Args:
        distributions: column name -> distribution, all of B rows.
    """

    def __init__(self, distributions: Mapping[str, Distribution]) -> None:
        first = next(iter(distributions.values()))
        space = Product(tuple((k, distribution.space) for k, distribution in distributions.items()))
        super().__init__(space, first.n, first.device)
        self.distributions = dict(distributions)
        self.kind = weakest(distribution.kind for distribution in self.distributions.values())
        self.adaptive = any(distribution.adaptive for distribution in self.distributions.values())

    def _by(self, how: How) -> ProductDistribution:
        return ProductDistribution({k: distribution._by(how) for k, distribution in self.distributions.items()})

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return Entries.block({k: distribution.sample(shape, seed=noise.fold(k))
                              for k, distribution in self.distributions.items()})

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        columns, noise = x.columns, Noise.of(seed, self.n, device=self.device)
        return torch.stack([distribution.log_prob(columns[k], seed=noise.fold(k))
                            for k, distribution in self.distributions.items()]).sum(0)

    def mode(self) -> Entries:
        """The mode of every column: (B, ...) each."""
        return Entries.block({k: distribution.mode() for k, distribution in self.distributions.items()})

    def mean(self) -> Entries:
        """The mean of every column: (B, ...) each."""
        return Entries.block({k: distribution.mean() for k, distribution in self.distributions.items()})

    def cdf(self, x: Entries) -> Tensor:
        name, column = next((k, column) for k, column in x.columns.items() if bool(column.scored.any()))
        return self.distributions[name].cdf(column)

    def condition(self, evidence: Entries) -> ProductDistribution:
        columns = evidence.columns
        return ProductDistribution({k: distribution.condition(columns[k]) for k, distribution in self.distributions.items()})
