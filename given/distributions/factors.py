"""Factors: a covariance as low rank plus diagonal, W W' + P, as near to a scatter in likelihood as it comes.

Where the noise P is alike for all entries the answer is closed: with eigenvalues l_1 >= ... >= l_D of the scatter, s^2 is the
mean of those past K and W = U_K (L_K - s^2 I)^(1/2). Where it is not, expectation maximisation goes on from there: with the
gain G = (I + W' P^-1 W)^-1 W' P^-1, for which E[z | x] = G (x - m),

    W <- S G' (I - G W + G S G')^-1,    P <- diag(S - W G S)

All functions take scatters (..., D, D), one or many at once.

Source: Tipping, Bishop, Probabilistic principal component analysis, 1999 / https://doi.org/10.1111/1467-9868.00196
Rubin, Thayer, EM algorithms for ML factor analysis, 1982 / https://doi.org/10.1007/BF02293851
Kaiser, The varimax criterion for analytic rotation in factor analysis, 1958 / https://doi.org/10.1007/BF02289233
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Varimax", "factor_step", "factors_beside", "low_rank_plus_diagonal", "principal_factors"]


def low_rank_plus_diagonal(loading: Tensor, noise: Tensor) -> Tensor:
    """W W' + P: (..., D, K) and (..., D) -> (..., D, D)."""
    return loading @ loading.mT + noise.diag_embed()


def principal_factors(spread: Tensor, factors: int, least: Tensor) -> tuple[Tensor, Tensor]:
    """W (..., D, K) and P (..., D) of the closed form, the noise at least `least` (..., D)."""
    values, vectors = torch.linalg.eigh(spread)
    values, vectors = values.flip(-1).clamp(min=0), vectors.flip(-1)
    left = values[..., factors:].mean(-1, keepdim=True)
    loading = vectors[..., :factors] * (values[..., :factors] - left).clamp(min=0).sqrt()[..., None, :]
    return loading, torch.maximum(left.expand_as(values), least)


def factors_beside(spread: Tensor, noise: Tensor, factors: int) -> Tensor:
    """The likeliest W (..., D, K) beside a noise P (..., D): P^(1/2) U_K (L_K - I)^(1/2), of the scatter in units of
    the noise."""
    scale = noise.sqrt()
    values, vectors = torch.linalg.eigh(spread / (scale[..., :, None] * scale[..., None, :]))
    size = (values[..., -factors:] - 1).clamp(min=0).sqrt()
    return scale[..., None] * vectors[..., -factors:] * size[..., None, :]


def factor_step(spread: Tensor, loading: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """One step of expectation maximisation: the next W, and the variances (..., D) that the latent leaves."""
    eye, across = torch.eye(loading.shape[-1], dtype=loading.dtype), loading.mT / noise[..., None, :]
    gain = torch.linalg.solve(eye + across @ loading, across)
    across = spread @ gain.mT  # E[x z']
    second = eye - gain @ loading + gain @ across  # E[z z']
    loading = torch.linalg.solve(second, across.mT).mT
    return loading, (spread - loading @ across.mT).diagonal(dim1=-2, dim2=-1)


@dataclass(frozen=True)
class Varimax:
    """The rotation of a latent under which every factor has a few large loadings: the one of most variance of their squares. No
    covariance W W' moves. Factors come by falling weight, each with its largest loading positive.

    Args:
        most_steps: of the search.
        tolerance: it ends when the criterion rises by less than this share of itself.
    """

    most_steps: int = 500
    tolerance: float = 1e-10

    def turned(self, loading: Tensor) -> Tensor:
        """W R, for a loading W (D, K)."""
        turn, before = torch.eye(loading.shape[1], dtype=loading.dtype), 0.0
        for _ in range(self.most_steps):
            W = loading @ turn
            u, s, v = torch.linalg.svd(loading.T @ (W**3 - W * (W**2).mean(0)))
            turn, rise = u @ v, float(s.sum()) - before
            before = float(s.sum())
            if rise <= self.tolerance * before:
                break
        W = loading @ turn
        W = W[:, (W**2).sum(0).argsort(descending=True)]
        return W * torch.where(W.gather(0, W.abs().argmax(0, keepdim=True)) < 0, -1.0, 1.0)
