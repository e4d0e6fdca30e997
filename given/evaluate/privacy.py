"""privacy: whether synthetic rows give away the rows that they were learned from.

Rows are compared by Gower's distance, the mean over columns of 0 or 1 of categories and of the difference of places, as
`Matched.places` has them, of numbers. Copies are synthetic rows that equal a row learned from, or stand nearer to one than
5 % of held-out rows do. A membership attack asks, of a row that its attacker knows, whether it was learned from: by its
density under synthetic rows, and by that density over the density under other rows like them, which takes away what is
dense for all.

A General Coefficient of Similarity and Some of Its Properties (Gower, 1971), https://doi.org/10.2307/2528823
Membership Inference Attacks against Synthetic Data through Overfitting Detection (van Breugel et al., 2023),
https://arxiv.org/abs/2302.12580
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from given.evaluate.discrimination import Estimate, auc, share
from given.evaluate.matched import sampled
from given.variables import UserError

__all__ = ["Copied", "Membership", "copied", "equal_rows", "gower", "membership"]

_NEAR = 0.05  # of held-out rows are as near to a row learned from as a copy is
_ASKED, _LEAST = 2000, 20  # rows that distances are taken of
_AT_ONCE = 1 << 20  # distances


@dataclass(frozen=True)
class Copied:
    """Shares of rows that are copies of rows learned from.

    Attributes:
        equal: synthetic rows that equal one.
        equal_held_out: held-out rows that equal one, None without held-out rows.
        near: synthetic rows within `distance` of one.
        near_held_out: held-out rows within it, some 5 % of them.
        distance: Gower's.
        asked: synthetic rows whose nearest was looked for.
    """

    equal: Estimate
    equal_held_out: Estimate | None = None
    near: Estimate | None = None
    near_held_out: Estimate | None = None
    distance: float = float("nan")
    asked: int = 0


@dataclass(frozen=True)
class Membership:
    """How well an attacker tells rows learned from from held-out ones: AUC, .5 where not at all.

    Attributes:
        nearest: by the distance to the nearest synthetic row.
        density: by the density under synthetic rows.
        ratio: by that density over the one under reference rows, which are the other half of the held-out rows.
        members, others: rows of both kinds.
    """

    nearest: Estimate
    density: Estimate
    ratio: Estimate
    members: int
    others: int


def gower(x: np.ndarray, among: np.ndarray, categorical: np.ndarray, reduce: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Gower's distances from rows (n, D) to others (m, D), of which `reduce` keeps one number a row: (n, m) -> (n,).

    A missing number is at distance 0 of another, and 1 of any that is there.
    """
    parts, size = list[np.ndarray](), max(1, _AT_ONCE // len(among))
    columns = [np.ascontiguousarray(column) for column in among.T]
    for first in range(0, len(x), size):
        some = x[first:first + size]
        total = np.zeros((len(some), len(among)), dtype=np.float32)
        for j, other in enumerate(columns):
            if categorical[j]:
                total += some[:, j, None] != other
                continue
            apart = np.abs(some[:, j, None] - other)
            if np.isnan(apart).any():
                both = np.isnan(some[:, j, None]) & np.isnan(other)
                apart = np.where(both, 0, np.where(np.isnan(apart), 1, apart))
            total += apart
        parts.append(reduce(total / len(columns)))
    return np.concatenate(parts)


def _nearest(distances: np.ndarray) -> np.ndarray:
    return np.asarray(distances.min(1))


def equal_rows(rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """(n,) bool: which rows (n, D) are equal to one of others (m, D), missing to missing."""
    known = {row.tobytes() for row in np.nan_to_num(among, nan=np.inf) + 0.0}  # -0 is 0
    return np.array([row.tobytes() in known for row in np.nan_to_num(rows, nan=np.inf) + 0.0], dtype=bool)


def copied(train: np.ndarray, synthetic: np.ndarray, held_out: np.ndarray | None,
           places: Callable[[np.ndarray], np.ndarray], categorical: np.ndarray, *, seed: int = 0) -> Copied:
    """Copies among synthetic rows, beside those that chance makes of held-out ones.

    Args:
        train, synthetic, held_out: (n, D), (m, D), (k, D) rows as of `Matched`; without held-out rows only equal rows are
            counted.
        places: of rows, as of `Matched`.
        categorical: (D,) bool.
        seed: of the rows whose nearest is looked for.
    """
    equal = share(equal_rows(synthetic, train))
    if held_out is None:
        return Copied(equal)
    among = places(train)
    near, usual = (gower(places(sampled(rows, _ASKED, seed)), among, categorical, _nearest) for rows in (synthetic, held_out))
    distance = float(np.quantile(usual, _NEAR, method="lower"))
    rounded = distance + 1e-6
    return Copied(equal, share(equal_rows(held_out, train)), share(near <= rounded), share(usual <= rounded), distance,
                  len(near))


def membership(train: np.ndarray, synthetic: np.ndarray, held_out: np.ndarray, categorical: np.ndarray, *,
               seed: int = 0) -> Membership:
    """The attack. Arguments are places, else as of `copied`.

    Raises:
        UserError: too few held-out rows.
    """
    if len(held_out) < 2 * _LEAST or len(train) < _LEAST:
        raise UserError(f"expected at least {2 * _LEAST} held-out rows and {_LEAST} rows learned from, got {len(held_out)} and "
                        f"{len(train)}")
    order = np.random.default_rng(seed).permutation(len(held_out))
    reference, others = held_out[order[::2]], sampled(held_out[order[1::2]], _ASKED, seed)
    members = sampled(train, len(others), seed)
    asked = np.concatenate([members, others])
    density, nearest = _log_density(asked, synthetic, categorical)
    ratio = density - _log_density(asked, reference, categorical)[0]
    n = len(members)
    found = {"nearest": -nearest, "density": density, "ratio": ratio}
    return Membership(members=n, others=len(others), **{by: auc(score[:n], score[n:]) for by, score in found.items()})


def _log_density(x: np.ndarray, among: np.ndarray, categorical: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the logarithm of a kernel's density of rows (n, D), up to a constant, and the distance to the nearest of others. The
    kernel is exp(-distance / width), its width a quarter of how far apart neighbours are, or of one category."""
    some = among[:_ASKED // 4]
    second = gower(some, among, categorical, lambda d: np.partition(d, 1, axis=1)[:, 1]) if len(among) > 1 else np.ones(1)
    width = 0.25 * (float(np.median(second)) or 1 / x.shape[1])

    def summed(distances: np.ndarray) -> np.ndarray:
        least = distances.min(1)
        return np.stack([np.log(np.exp((least[:, None] - distances) / width).sum(1)) - least / width, least], 1)

    density, nearest = gower(x, among, categorical, summed).astype(np.float64).T
    return density, nearest
