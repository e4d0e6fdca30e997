"""The energy score: how draws stand beside what came true, without a density."""

from __future__ import annotations

import numpy as np

__all__ = ["crps", "energy"]


def energy(true: np.ndarray, drawn: np.ndarray) -> float:
    """The energy score of draws, E|X - x| - E|X - X'| / 2, which is least on average where draws are of the truth.

    Args:
        true: (n, D) rows.
        drawn: (draws, n, D), two draws of every row or more.

    Source: Gneiting, Raftery, Strictly proper scoring rules, prediction, and estimation, 2007 /
    https://doi.org/10.1198/016214506000001437
    """
    m = len(drawn)
    off = np.linalg.norm(drawn - true, axis=-1).mean()
    apart = sum(np.linalg.norm(drawn[i] - drawn[:i], axis=-1).sum() for i in range(1, m))
    return float(off - apart / (m * (m - 1) * true.shape[0]))


def crps(true: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The continuous ranked probability score of draws of single numbers, the energy score in one dimension: (n, ...).

    Args:
        true: (n, ...).
        drawn: (draws, n, ...), two draws or more.
    """
    ranked, m = np.sort(drawn, axis=0), len(drawn)
    weight = (2 * np.arange(1, m + 1) - m - 1).reshape(-1, *[1] * true.ndim)
    return np.asarray(np.abs(ranked - true).mean(0) - (weight * ranked).sum(0) / (m * (m - 1)))
