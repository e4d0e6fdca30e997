"""marginals: columns and pairs of columns of two tables side by side, each beside what chance makes of as many rows.

A column of numbers is compared by the largest difference of its two distribution functions (Kolmogorov and Smirnov's), what is
missing below all numbers; one of categories by half the sum of the differences of shares (total variation). Two columns are
associated by Spearman's rank correlation (numbers), Cramér's V (categories) or the correlation ratio of ranks (one of each).

Source: Bergsma, A bias-correction for Cramér's V and Tschuprow's T, 2013 / https://doi.org/10.1016/j.jkss.2012.10.002
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Marginal", "Pair", "Pairs", "marginals", "pairs", "statistic"]

_DEALS = 200  # of pooled rows at random
_COLUMNS = 60  # of which all pairs are compared


@dataclass(frozen=True)
class Marginal:
    """One column of two tables.

    Attributes:
        column: its name.
        measure: `KS` or `total variation`, from 0 to 1.
        value: between the two tables.
        chance: what it stays below 95 % of the time where both are of one distribution, at these numbers of rows.
    """

    column: str
    measure: str
    value: float
    chance: float


@dataclass(frozen=True)
class Pair:
    """Two columns' association in both tables.

    Attributes:
        columns: their names.
        measure: `Spearman`, `Cramer's V` or `correlation ratio`.
        real, synthetic: of both tables.
    """

    columns: tuple[str, str]
    measure: str
    real: float
    synthetic: float

    @property
    def difference(self) -> float:
        """Of the synthetic table from the real one."""
        return self.synthetic - self.real


@dataclass(frozen=True)
class Pairs:
    """All pairs of columns.

    Attributes:
        each: the largest differences first.
        mean: the mean absolute difference.
        chance: the same where the rows of both tables are dealt out at random.
    """

    each: tuple[Pair, ...]
    mean: float
    chance: float


def statistic(x: np.ndarray, y: np.ndarray, categorical: bool) -> float:
    """KS, or total variation, of two columns (n,), (m,)."""
    if categorical:
        p, q = _counts(x, y)
        return float(np.abs(p / len(x) - q / len(y)).sum() / 2)
    x, y = (np.sort(np.where(np.isnan(v), -np.inf, v)) for v in (x, y))
    at = np.concatenate([x, y])
    return float(np.abs(np.searchsorted(x, at, "right") / len(x) - np.searchsorted(y, at, "right") / len(y)).max())


def _counts(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = int(max(x.max(), y.max())) + 1
    return np.bincount(x.astype(np.int64), minlength=size), np.bincount(y.astype(np.int64), minlength=size)


def _chance(x: np.ndarray, y: np.ndarray, categorical: bool) -> float:
    """The 95 % quantile of the statistic where both are of one distribution: Kolmogorov's law, and draws of pooled shares."""
    n, m = len(x), len(y)
    if not categorical:
        return min(1.0, 1.3581 * math.sqrt(1 / n + 1 / m))
    p = sum(_counts(x, y)) / (n + m)
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(n, p, _DEALS) / n - generator.multinomial(m, p, _DEALS) / m
    return float(np.quantile(np.abs(drawn).sum(1) / 2, 0.95))


def marginals(real: np.ndarray, synthetic: np.ndarray, names: tuple[str, ...], categorical: np.ndarray) -> tuple[Marginal, ...]:
    """Every column of two tables (n, D), (m, D), in their order."""
    return tuple(Marginal(name, "total variation" if categorical[j] else "KS",
                          statistic(real[:, j], synthetic[:, j], bool(categorical[j])),
                          _chance(real[:, j], synthetic[:, j], bool(categorical[j]))) for j, name in enumerate(names))


def pairs(real: np.ndarray, synthetic: np.ndarray, names: tuple[str, ...], categorical: np.ndarray, *, seed: int = 0) -> Pairs:
    """Every pair of columns of two tables (n, D), (m, D); of more than 60 columns those of the first 60."""
    of = list(itertools.combinations(range(min(len(names), _COLUMNS)), 2))
    pooled = np.random.default_rng(seed).permutation(np.concatenate([real, synthetic]))
    sides = [_Ranked(rows, categorical) for rows in (real, synthetic, pooled[:len(real)], pooled[len(real):])]
    found = [[side.association(i, j) for i, j in of] for side in sides]
    each = [Pair((names[i], names[j]), _measure(bool(categorical[i]), bool(categorical[j])), a, b)
            for (i, j), a, b in zip(of, found[0], found[1], strict=True)]
    apart = [float(np.mean(np.abs(np.subtract(a, b)))) if of else 0.0 for a, b in (found[:2], found[2:])]
    return Pairs(tuple(sorted(each, key=lambda pair: -abs(pair.difference))), apart[0], apart[1])


def _measure(a: bool, b: bool) -> str:
    return "Cramer's V" if a and b else "correlation ratio" if a or b else "Spearman"


class _Ranked:
    """A table's columns, numbers as ranks: (n, D); a missing number is below all others."""

    def __init__(self, rows: np.ndarray, categorical: np.ndarray) -> None:
        self.categorical, self.columns = categorical, list[np.ndarray]()
        for column, category in zip(rows.T, categorical, strict=True):
            if category:
                self.columns.append(np.unique(column, return_inverse=True)[1])
            else:
                filled = np.where(np.isnan(column), -np.inf, column)
                ordered = np.sort(filled)
                rank = np.searchsorted(ordered, filled, "left") + np.searchsorted(ordered, filled, "right")
                self.columns.append((rank - rank.mean()) / (rank.std() or 1.0))

    def association(self, i: int, j: int) -> float:
        """Of two columns: -1 to 1 of numbers, else 0 to 1."""
        a, b = self.columns[i], self.columns[j]
        if self.categorical[i] and self.categorical[j]:
            return _cramer(a, b)
        if not self.categorical[i] and not self.categorical[j]:
            return float((a * b).mean())
        groups, ranks = (a, b) if self.categorical[i] else (b, a)
        n = np.bincount(groups)
        between = float((np.bincount(groups, ranks) ** 2 / n).sum() / len(ranks))
        return math.sqrt(between)


def _cramer(a: np.ndarray, b: np.ndarray) -> float:
    """Cramér's V, corrected for what chance adds to it."""
    n, K, L = len(a), int(a.max()) + 1, int(b.max()) + 1
    counts = np.bincount(a * L + b, minlength=K * L).reshape(K, L)
    expected = counts.sum(1)[:, None] * counts.sum(0) / n
    phi = float(((counts - expected) ** 2 / expected).sum()) / n
    phi = max(0.0, phi - (K - 1) * (L - 1) / (n - 1))
    sizes = [size - (size - 1) ** 2 / (n - 1) - 1 for size in (K, L)]
    return math.sqrt(min(1.0, phi / min(sizes))) if min(sizes) > 0 else 0.0
