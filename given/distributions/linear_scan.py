"""A linear recurrence over time, in as many rounds as the logarithm of its length.

    s_t = M s_t-1 + u_t,  s_-1 = 0,  so that  s_t = sum_j M^j u_t-j

Round k adds M^(2^k) times the sums so far, moved on by 2^k moments: twice as many terms are in every sum.

Source: Blelloch, Prefix sums and their applications, 1990
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["linear_scan"]


def linear_scan(terms: Tensor, factor: Tensor) -> Tensor:
    """s (N, T, C) of u (N, T, C), by a factor a channel (C,): O(N T C log T), differentiable."""
    step = 1
    while step < terms.shape[1]:
        terms = torch.cat([terms[:, :step], terms[:, step:] + factor * terms[:, :-step]], 1)
        step, factor = 2 * step, factor**2
    return terms
