"""Roots of increasing functions, by bisection: as many evaluations as asked for, and nothing that waits for the host."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

__all__ = ["bisect"]


def bisect(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, *, times: int = 44) -> Tensor:
    """Where increasing functions pass 0, of the shape of the bounds that hold it, to their distance over 2^times."""
    for _ in range(times):
        middle = 0.5 * (low + high)
        below = function(middle) < 0
        low, high = middle.where(below, low), high.where(below, middle)
    return 0.5 * (low + high)
