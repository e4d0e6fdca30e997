"""Torch: a distribution of torch.distributions with independent entries, as a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions

from given.distributions.factorized import Factorized
from given.variables import Entries, Finite, Space

__all__ = ["Torch"]


class Torch(Factorized):
    """A `torch.distributions.Distribution` of batch shape (B, *grid) and no event, drawn by its inverse distribution function.

    Args:
        distribution: with `log_prob` and `icdf`; made with `validate_args=False`, else every step and draw waits for the host.
        space: of the entries.
    """

    def __init__(self, distribution: distributions.Distribution, space: Space) -> None:
        super().__init__(space, distribution.batch_shape[0], distribution.mean.device)
        self.distribution = distribution

    def rows(self, index: Tensor) -> Torch:
        """The distributions of the rows `index`."""
        return self._made({name: t[index] for name, t in self._numbers.items()})

    def joined(self, others: Sequence[Torch]) -> Torch:
        """Those of these rows and of others."""
        return self._made({name: torch.cat([t, *(q._numbers[name] for q in others)]) for name, t in self._numbers.items()})

    @property
    def _numbers(self) -> dict[str, Tensor]:
        return {name: getattr(self.distribution, name) for name in self.distribution.arg_constraints}

    def _made(self, numbers: dict[str, Tensor]) -> Torch:
        made: Any = type(self.distribution)
        return type(self)(made(**numbers, validate_args=False), self.space)

    def pick(self, u: Tensor) -> Tensor:
        values = self.distribution.icdf(u)
        return values.long() if isinstance(self.space, Finite) else values

    def each(self, values: Tensor) -> Tensor:
        return self.distribution.log_prob(values).double()

    def cdf(self, x: Entries) -> Tensor:
        each = torch.where(self._scored(x), self.distribution.cdf(x.tensor.double()), 0.0)
        return each.flatten(each.dim() - len(self.space.axes)).sum(-1) if self.space.axes else each

    def mean(self) -> Entries:
        """The mean: (B, *grid)."""
        return self._kept(self.distribution.mean)

    def deviation(self) -> Entries:
        """The standard deviation: (B, *grid), 0 of what is known."""
        each = self.distribution.stddev
        return Entries(each if self.evidence is None else torch.where(self.evidence.scored, 0.0, each))

    def mode(self) -> Entries:
        """The mode: (B, *grid)."""
        return self._kept(self.distribution.mode)
