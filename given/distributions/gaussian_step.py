"""A normal vector seen through one number: the step of Kalman's filter, and of Gaussian conditioning entry by entry.

    x ~ N(m, P),  y = z'x + e,  e ~ N(0, r)
    p(y) = N(z'm, F),  F = z'P z + r
    x | y ~ N(m + k (y - z'm),  P - F k k'),  k = P z / F

Entries that are not seen are left out. Numbers of one moment are taken one after another, so that nothing is inverted.

Source: Koopman, Durbin, Fast filtering and smoothing for multivariate state space models, 2000
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["see"]


def see(mean: Tensor, covariance: Tensor, loading: Tensor, noise: Tensor | float, value: Tensor,
        seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What is known of x once y is.

    Args:
        mean: (..., S).
        covariance: (..., S, S); its leading axes may be of size 1 where all rows have one.
        loading: z (S,).
        noise: r.
        value: y (...).
        seen: (...) bool, of as many rows as the covariance.

    Returns:
        The mean, the covariance, and log p(y) (...), 0 where y is not seen.
    """
    across = covariance @ loading
    variance = torch.where(seen, across @ loading + noise, 1.0)
    gain = torch.where(seen[..., None], across / variance[..., None], 0.0)
    off = torch.where(seen, value - mean @ loading, 0.0)
    log_p = torch.where(seen, -0.5 * (off**2 / variance + variance.log() + math.log(2 * math.pi)), 0.0)
    left = covariance - variance[..., None, None] * gain[..., :, None] * gain[..., None, :]
    return mean + gain * off[..., None], left, log_p
