"""Ridge regression of series on their own past, from second moments, and what it leaves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Choice", "by_columns", "lagged_ridge", "left_of"]

_CLEAR = 2.0  # nats by which another choice must be better


@dataclass(frozen=True)
class Choice:
    """How a regression is learned, of every channel its ridge and what it is drawn towards, and its weights."""

    order: int
    across: bool
    circular: bool
    ridges: list[float]
    toward: list[int]
    weights: Tensor


def lagged_ridge(M: Tensor, some: int, ridges: Sequence[float], toward: Sequence[int], across: bool, head: int,
                 own: int) -> Tensor:
    """(head + some C, C): the regression of C channels on the last `some` values, each channel drawn by its ridge towards its
    value `toward` steps before, the last where fewer are read; 0 for towards nothing.

    Args:
        M: second moments (head + p C + C, ...) of the constant and covariates, at least as many values before, lag by lag, and
            the values.
        some: how many values before are read.
        ridges, toward: one a channel.
        across: whether a channel reads the past of the others.
        head: the constant and covariates.
        own: channels that read one another's past in any case, in groups of so many.
    """
    C = len(ridges)
    P, x = head + some * C, len(M) - C
    start = torch.zeros(P, C, dtype=M.dtype, device=M.device)
    for c, lag in enumerate(toward if some else ()):
        if lag:
            start[head + ((lag if lag <= some else 1) - 1) * C + c, c] = 1.0
    G, b = M[:P, :P], M[:P, x:] - M[:P, :P] @ start
    penalty = torch.ones(P, dtype=M.dtype, device=M.device)
    penalty[0] = 1e-9
    if (across or C == own) and len(set(ridges)) == 1:
        return start + torch.linalg.solve(G + (ridges[0] * penalty).diag(), b)
    found, first = torch.zeros_like(b), torch.arange(head, device=M.device)
    for c in range(0, C, own):
        those = torch.arange(c, c + own, device=M.device)
        past = those + C * torch.arange(some, device=M.device)[:, None]
        mine = torch.arange(P, device=M.device) if across else torch.cat([first, head + past.flatten()])
        found[mine[:, None], those] = torch.linalg.solve(G[mine][:, mine] + (ridges[c] * penalty[mine]).diag(),
                                                         b[mine][:, those])
    return start + found


def left_of(M: Tensor, W: Tensor) -> Tensor:
    """(C, C) what the regression W (P, C) leaves of second moments of its regressors, maybe more, and the values."""
    C = W.shape[1]
    full = torch.zeros(len(M), C, dtype=M.dtype, device=M.device)
    full[:len(W)], full[len(M) - C:] = -W, torch.eye(C, dtype=M.dtype, device=M.device)
    return full.mT @ M @ full


def by_columns(M: Tensor, late: Tensor, some: int, ridges: Sequence[float], towards: Sequence[list[int]], n: Tensor,
               across: bool, head: int, own: int, circular: bool) -> Choice:
    """The ridge of every column, or pair, and what of `towards` it is drawn to, by its own log-probability of late values;
    of all columns alike where they read one another's past. M and late are moments a place, n (3,) how many places they are of;
    other arguments as of `lagged_ridge`."""
    C, count = len(towards[0]), float(n[2])
    best, W = torch.full((C // own,), -math.inf, dtype=M.dtype, device=M.device), M
    kept: list[tuple[float, int]] = [(ridges[0], 0)] * C
    for ridge, drawn in itertools.product(ridges, towards):
        each = lagged_ridge(M, some, [ridge / float(n[1])] * C, drawn, across, head, own)
        learned, held = (left_of(part, each).diagonal().clamp(min=1e-12) for part in (M, late))
        score = (-0.5 * (learned.log() + held / learned)).reshape(-1, own).sum(1)
        if across:
            score = score.sum().expand_as(score)
        better = count * (score - best) > _CLEAR
        best, columns = torch.where(better, score, best), better.repeat_interleave(own)
        W = torch.where(columns, each, W) if W.shape == each.shape else each
        kept = [(ridge, lag) if now else one for now, lag, one in zip(columns.tolist(), drawn, kept, strict=True)]
    return Choice(some, across, circular, [ridge for ridge, _ in kept], [lag for _, lag in kept], W)
