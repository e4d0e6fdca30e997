"""Ladder: the parameters of a linear chain, and series as it is learned from them.

What is linear of a `LinearChain`: regressions on 0, 1, ... values before, the innovations that they leave, and how these are
spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from given.distributions.spread import Spread

__all__ = ["Ladder", "Lagged", "regressors"]

_AT_ONCE = 1 << 23  # numbers of regressors, 64 MB


@dataclass(frozen=True)
class Ladder:
    """The parameters of a `LinearChain`.

    Args:
        orders: rising, from 0.
        starts: the first place where every order serves, which has as many values before it.
        weights: one an order, (1 + F + order C, C) float64: of 1, the covariates, and the values before, the last first.
        within: (orders, C, C) float64, below the diagonal: what the innovations of earlier channels say of later ones.
        logits, scales: (orders, C, K) float64, of the mixtures.
        spread: how large the innovations are where the last order serves; None for always alike.
        group: g, how many channels in a row share their component.
    """

    orders: tuple[int, ...]
    starts: tuple[int, ...]
    weights: Sequence[Tensor]
    within: Tensor
    logits: Tensor
    scales: Tensor
    spread: Spread | None = None
    group: int = 1

    def components(self, k: int | Tensor, c: int, n: Tensor) -> Tensor:
        """(..., K) logits of the components of channel c, given the n (..., C), in units of their sizes, of those before it in
        its group; k is an order's number, or those of all places (T,)."""
        found = self.logits[k, c].expand(*n.shape[:-1], -1)
        for j in range(c - c % self.group, c):
            scale = self.scales[k, j]
            found = found - scale.log() - 0.5 * (n[..., j, None] / scale) ** 2
        return found

    @property
    def normal(self) -> bool:
        """Whether innovations are normal and always alike, so that all values are jointly normal."""
        return self.scales.shape[-1] == 1 and self.spread is None

    def mixtures(self, innovations: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and scales (N, T, C, K) of the mixtures that innovations (N, T, C) are of."""
        T, C = innovations.shape[1:]
        which = torch.tensor([self.at(t) for t in range(T)], device=innovations.device)
        sizes = self.sizes(innovations)
        logits = torch.stack([self.components(which, c, innovations / sizes) for c in range(C)], 2)
        return logits, self.scales[which] * sizes[..., None]

    def matrix(self, T: int) -> Tensor:
        """(T C, T C): the innovations of T places are this times their values, and a constant."""
        C = self.within.shape[-1]
        found = self.within.new_zeros(T, C, T, C)
        for k, first, last in self.spans(T):
            order, left = self.orders[k], torch.eye(C).to(self.within) - self.within[k]
            lags = self.weights[k][len(self.weights[k]) - order * C:].unflatten(0, (order, C)).flip(0)
            lags = -torch.einsum("oj,tij->oti", left, lags)  # the last lag first
            for t in range(first, last):
                found[t, :, t] = left
                found[t, :, t - order:t] = lags
        return found.flatten(2).flatten(0, 1)

    def spans(self, T: int) -> Iterator[tuple[int, int, int]]:
        """Every order's number, the first place where it serves among T, and the place after the last."""
        for k, (first, last) in enumerate(zip(self.starts, (*self.starts[1:], T), strict=True)):
            if first < min(last, T):
                yield k, first, min(last, T)

    def at(self, t: int) -> int:
        """Which order serves at place t."""
        return sum(start <= t for start in self.starts) - 1

    def innovations(self, series: Tensor, covariates: Tensor) -> Tensor:
        """n (N, T, C), not divided by how large they are, of series (N, T, C) and covariates (N, T, F)."""
        found = torch.empty_like(series)
        for k, first, last in self.spans(series.shape[1]):
            size = max(1, _AT_ONCE // ((last - first) * len(self.weights[k])))
            for rows in torch.arange(len(series), device=series.device).split(size):
                z = regressors(series[rows], covariates[rows], self.orders[k], first, last)
                off = series[rows, first:last] - z @ self.weights[k]
                found[rows, first:last] = off - off @ self.within[k].mT
        return found

    def sizes(self, innovations: Tensor) -> Tensor:
        """s (N, T, C) of every place."""
        found, first, T = torch.ones_like(innovations), self.starts[-1], innovations.shape[1]
        if self.spread is not None and first < T:
            found[:, first:] = self.spread.at(self.spread.totals(innovations), first, T)
        return found


def regressors(series: Tensor, covariates: Tensor, order: int, first: int, last: int) -> Tensor:
    """[1, u_t, x_{t-1}, ..., x_{t-order}] of every place from `first` to before `last`, which has as many before it:
    (B, last - first, 1 + F + order C).

    Args:
        series: (B, T, C) float64.
        covariates: (B, T, F) float64.
    """
    before = series[:, first - order:last - 1].unfold(1, order, 1) if order else series[:, first:last, :, None][..., :0]
    before = before.flip(-1).mT.flatten(2)  # (B, places, C, order): lag by lag
    return torch.cat([torch.ones_like(covariates[:, first:last, :1]) if covariates.shape[-1] else
                      series.new_ones(len(series), last - first, 1), covariates[:, first:last], before], -1)


@dataclass(frozen=True)
class Lagged:
    """A batch of series to learn from.

    Args:
        series: (B, T, C) float64, 0 where nothing is known.
        covariates: (B, T, F) float64.
        run: (B, T) int64, how many places up to this one are known whole, one after another.
        weight: (B,) float64.
        scored: (B, T) whether a place is scored here, and not only read.
    """

    series: Tensor
    covariates: Tensor
    run: Tensor
    weight: Tensor
    scored: Tensor

    def places(self, order: int, only: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Regressors (n, P), values (n, C) and weights (n,) of all places that have so many before them, or `only` (B, T) some
        of these, a part at a time."""
        T, C = self.series.shape[1:]
        if order >= T:
            return
        usable = (self.run > order if only is None else only)[:, order:]
        size = max(1, _AT_ONCE // ((T - order) * (1 + self.covariates.shape[-1] + order * C)))
        for rows in torch.arange(len(self.series), device=usable.device).split(size):
            z = regressors(self.series[rows], self.covariates[rows], order, order, T)
            mine = usable[rows]
            yield z[mine], self.series[rows, order:][mine], self.weight[rows, None].expand(mine.shape)[mine]
