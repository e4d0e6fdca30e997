"""Smoothing: how much of a past's probability what followed it has for its own; the rest goes to shorter pasts.

    p_n(w | c) = share(c w) + left(c) p_{n-1}(w | c'),    left(c) = 1 - sum_w share(c w)
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["KneserNey", "NGramCounts", "Smoothing", "WittenBell"]


@dataclass
class NGramCounts:
    """The N grams of one length, of pasts numbered below `pasts`.

    Attributes:
        past: (N,) int64, rising: each gram without its last symbol.
        pasts: how many there are.
        count: (N,) float64, how often it occurs.
        different: (N,) float64, how many symbols stand before it in what is counted; None of the longest.
        begin: (N,) bool, whether it begins where a row does, so that nothing can stand before it.
    """

    past: Tensor
    pasts: int
    count: Tensor
    different: Tensor | None
    begin: Tensor

    def of_past(self, amount: Tensor) -> Tensor:
        """The sum of what a past's grams have: (pasts,) float64."""
        return torch.bincount(self.past, amount, self.pasts).double()  # of no grams it is whole numbers


class Smoothing(abc.ABC):
    """A way to smooth counts."""

    @abc.abstractmethod
    def share(self, counted: NGramCounts) -> Tensor:
        """(N,) float64."""


@dataclass(frozen=True)
class KneserNey(Smoothing):
    """Interpolated modified Kneser-Ney: share(c w) = (N(c w) - D(N(c w))) / N(c .).

    N counts occurrences of the longest grams and of those a row begins with, and of shorter ones the different symbols that
    stand before them; every length has three discounts D, for counts of 1, 2 and more.

    Source: Kneser, Ney, Improved backing-off for m-gram language modeling, 1995
    Chen, Goodman, An empirical study of smoothing techniques for language modeling, 1998 /
    https://dash.harvard.edu/handle/1/25104739
    """

    def share(self, counted: NGramCounts) -> Tensor:
        count = counted.count
        if counted.different is not None:
            count = torch.where(counted.begin, count, counted.different)
        kept = (count - _discounts(count)).clamp_(min=0)
        return kept / counted.of_past(count)[counted.past].clamp_(min=1e-300)


@dataclass(frozen=True)
class WittenBell(Smoothing):
    """Witten-Bell: share(c w) = N(c w) / (N(c .) + T(c)), T how many different symbols followed c.

    Source: Witten, Bell, The zero-frequency problem: estimating the probabilities of novel events in adaptive text compression,
    1991 (method C) / https://doi.org/10.1109/18.87000
    """

    def share(self, counted: NGramCounts) -> Tensor:
        types = counted.of_past((counted.count > 0).double())
        return counted.count / (counted.of_past(counted.count) + types)[counted.past].clamp_(min=1e-300)


def _discounts(counts: Tensor) -> Tensor:
    """What every count gives up; without grams counted one to four times to estimate it from, half of it, of 3 at most."""
    times = counts.clamp(max=5).ceil().long()
    n = torch.bincount(times, minlength=6).double()
    kinds = torch.tensor([0, 0.5, 1, 1.5], dtype=torch.float64)
    if bool((n[1:5] > 0).all()):
        k = torch.arange(1, 4)
        found = k - (k + 1) * n[1] / (n[1] + 2 * n[2]) * n[2:5] / n[1:4]
        kinds[1:] = torch.where((found > 0) & (found < k), found, kinds[1:])
    return kinds[times.clamp_(max=3)]
