"""Spread: how large the innovations of a series are, by how large those before were.

    log s_tc = V_c' [1, l_tc1, ..., l_tcF],    l_tcf = log(floor + mean of |n_{t-i,c}| / u_c over the lags i of window f)

n are a channel's own innovations and u_c their unit. An autoregression of sizes, whose windows double in length and recur by
the season. It is linear in the logarithm, so that V is ridge regression of log |n_tc| and s is positive whatever V is.

Source: Geweke, Comment on Modelling the persistence of conditional variances, 1986 / https://doi.org/10.1080/07474938608800088
Corsi, A simple approximate long-memory model of realized volatility, 2009 / https://doi.org/10.1093/jjfinec/nbp001
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Spread"]

_FLOOR = 0.02  # of a mean size, in units of an innovation
_LEAST = 0.005  # of a size
Window = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Spread:
    """How large innovations are.

    Args:
        windows: every one of some lags, from and to, both within.
        weights: V (C, 1 + F) float64.
        unit: u (C,) float64.
    """

    windows: tuple[Window, ...]
    weights: Tensor
    unit: Tensor

    @classmethod
    def of(cls, period: int, most: int, weights: Tensor, unit: Tensor) -> Spread:
        """Of `most` innovations before, which may recur after a period; 0 or 1 for none."""
        return cls(_doubling(most) + _recurring(period, most), weights, unit)

    @staticmethod
    def width(most: int) -> int:
        """1 + F of so many innovations before."""
        return 1 + len(_doubling(most)) + len(_recurring(0, most))

    @property
    def reach(self) -> int:
        """How many innovations before are read."""
        return max(last for window in self.windows for _, last in window)

    def totals(self, innovations: Tensor) -> Tensor:
        """(N, T, C) -> (N, 1 + T, C): sizes in units, summed up to every place."""
        sizes = innovations.abs() / self.unit
        return torch.cat([torch.zeros_like(sizes[:, :1]), sizes.cumsum(1)], 1)

    def features(self, totals: Tensor, first: int, last: int) -> Tensor:
        """[1, l_t1, ..., l_tF] of the places from `first`, which has as many before it as are read, to before `last`:
        (N, last - first, C, 1 + F)."""
        found = [torch.ones_like(totals[:, first:last])]
        for window in self.windows:
            there = [totals[:, first - a + 1:last - a + 1] - totals[:, first - b:last - b] for a, b in window]
            mean = torch.stack(there).sum(0) / sum(b - a + 1 for a, b in window)
            found.append((_FLOOR + mean.clamp(min=0.0)).log())
        return torch.stack(found, -1)

    def at(self, totals: Tensor, first: int, last: int) -> Tensor:
        """s of these places: (N, last - first, C)."""
        return (self.features(totals, first, last) * self.weights).sum(-1).exp()

    def log_sizes(self, innovations: Tensor) -> Tensor:
        """What V is regressed on."""
        return (innovations.abs() / self.unit + _LEAST).log()


def _doubling(most: int) -> tuple[Window, ...]:
    """Lags 1, 2 to 3, 4 to 7, and so on, `most` at most."""
    return tuple(((2**i, min(2 ** (i + 1) - 1, most)),) for i in range(most.bit_length()))


def _recurring(period: int, most: int) -> tuple[Window, ...]:
    """A period before, all multiples of a period, and these with the lags beside them, `most` at most; the last lag alone where
    there is no season that is as short."""
    if not 1 < period < most:
        return (((1, 1),),) * 3
    return ((period, period),), *(tuple((k - i, k + i) for k in range(period, most, period)) for i in range(2))
