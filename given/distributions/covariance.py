"""Covariances: which matrices a normal distribution's covariance may be, as the one nearest to a scatter in likelihood.

    max_C  sum_k n_k (log |C_k^-1| - tr(C_k^-1 S_k)),    S_k the mean scatter of n_k rows

has C_k = S_k among all matrices, their average where they are tied, its diagonal among diagonal ones, that of its trace among
multiples of the identity. Low rank plus diagonal has no closed form: it is factor analysis (`factors`).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from given.distributions.factors import factors_beside, low_rank_plus_diagonal, principal_factors
from given.variables import UserError

__all__ = ["Covariance", "Diagonal", "Full", "LowRank", "Spherical", "Tied"]

# Of low rank: the least noise, in units of an entry's variance; what ends its steps, of the mean variance; their number.
_FLOOR, _MOVED, _STEPS = 1e-6, 1e-6, 200


@dataclass(frozen=True)
class Covariance(abc.ABC):
    """A set of covariances."""

    def check(self, entries: int) -> None:  # noqa: B027
        """Raise `UserError` where it has no covariance of so many entries."""

    @abc.abstractmethod
    def likeliest(self, scatter: Tensor, counts: Tensor) -> Tensor:
        """The likeliest (K, D, D) of the set for mean scatters (K, D, D) of so many rows (K,)."""


@dataclass(frozen=True)
class Full(Covariance):
    """Any: D (D + 1) / 2 numbers a component."""

    def likeliest(self, scatter: Tensor, counts: Tensor) -> Tensor:
        return scatter


@dataclass(frozen=True)
class Tied(Covariance):
    """Any, one for all components."""

    def likeliest(self, scatter: Tensor, counts: Tensor) -> Tensor:
        return torch.einsum("k,kde->de", counts / counts.sum(), scatter).expand_as(scatter)


@dataclass(frozen=True)
class Diagonal(Covariance):
    """Independent entries: D numbers a component."""

    def likeliest(self, scatter: Tensor, counts: Tensor) -> Tensor:
        return scatter.diagonal(dim1=-2, dim2=-1).diag_embed()


@dataclass(frozen=True)
class Spherical(Covariance):
    """A ball: one number a component."""

    def likeliest(self, scatter: Tensor, counts: Tensor) -> Tensor:
        size = scatter.diagonal(dim1=-2, dim2=-1).mean(-1)
        return size[:, None, None] * torch.eye(scatter.shape[-1], dtype=scatter.dtype, device=scatter.device)


@dataclass(frozen=True)
class LowRank(Covariance):
    """W W' + P, of a rank and a diagonal: factor analysis; about D (rank + 1) numbers a component. From its principal
    directions W and P are the likeliest beside one another in turn, until neither moves by a millionth of the mean variance;
    the noise of an entry is at least a millionth of its own variance.

    Args:
        rank: columns of W, below D.
    """

    rank: int = 1

    def check(self, entries: int) -> None:
        """Raise `UserError` where it has no covariance of so many entries."""
        if not 0 < self.rank < entries:
            raise UserError(f"LowRank(rank={self.rank}): expected a rank of 1 to {entries - 1} for {entries} entries")

    def likeliest(self, scatter: Tensor, counts: Tensor) -> Tensor:
        own = scatter.diagonal(dim1=-2, dim2=-1)
        size = own.mean(-1, keepdim=True)
        least = _FLOOR * torch.where(own > 0, own, torch.where(size > 0, size, 1.0))
        loading, noise = principal_factors(scatter, self.rank, least)
        found = low_rank_plus_diagonal(loading, noise)
        for _ in range(_STEPS):
            before = found
            noise = torch.maximum(own - (loading**2).sum(-1), least)
            loading = factors_beside(scatter, noise, self.rank)
            found = low_rank_plus_diagonal(loading, noise)
            if bool(((found - before).abs().amax((-2, -1)) <= _MOVED * size[..., 0]).all()):
                break
        return found
