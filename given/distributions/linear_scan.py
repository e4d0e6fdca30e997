"""A linear recurrence over time, in as many rounds as the logarithm of its length.

    s_t = f_t s_t-1 + u_t,  s_-1 = 0,  so that  s_t = sum_j f_t ... f_t-j+1 u_t-j

Round k adds to the sums so far those that end 2^k moments before, times all factors between: twice as many terms are in every
sum.

Source: Blelloch, Prefix sums and their applications, 1990
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["linear_scan"]


def linear_scan(terms: Tensor, factor: Tensor) -> Tensor:
    """s (N, T, ...) of u (N, T, ...): O(log T) passes over it, differentiable.

    Args:
        terms: u.
        factor: f, one a channel that never changes, or one a moment, of as many axes as u and broadcast to it.
    """
    step, steady = 1, factor.dim() < terms.dim()
    while step < terms.shape[1]:
        terms = torch.cat([terms[:, :step], terms[:, step:] + (factor if steady else factor[:, step:]) * terms[:, :-step]], 1)
        factor = factor**2 if steady else torch.cat([factor[:, :step], factor[:, step:] * factor[:, :-step]], 1)
        step *= 2
    return terms
