"""Covariances: which matrices a normal distribution's covariance may be, as the one nearest to a scatter in likelihood.

    max_C  sum_k n_k (log |C_k^-1| - tr(C_k^-1 S_k)),    S_k the mean scatter of n_k rows

has C_k = S_k among all matrices, their average where they are tied, its diagonal among diagonal ones, that of its trace among
multiples of the identity. Low rank plus diagonal is factor analysis, which has steps of its own (`FactorAnalysis`).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Covariance", "Diagonal", "Full", "Spherical", "Tied"]


@dataclass(frozen=True)
class Covariance(abc.ABC):
    """A set of covariances."""

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
