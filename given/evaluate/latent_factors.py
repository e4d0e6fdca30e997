"""latent_factors: how well codes recover known factors, each alone, each whole, and how much of it.

A linear readout predicts every factor from standardised codes: ridge regression of a number, multinomial logistic regression of
a category. R_ij, the importance of code i for factor j, is the absolute weight, of a category the root of the mean square over
its values; the variance of a weight, over draws of the rows, is taken from its square, or noise alone would spread it. With
P_ij = R_ij / sum_k R_ik and Q_ij = R_ij / sum_l R_lj, and entropies to the base of how many there are,

    disentanglement of a code     1 - H(P_i.)      1: it stands for one factor      0: for all alike
    completeness of a factor      1 - H(Q_.j)      1: one code stands for it        0: all do alike
    informativeness of a factor   R^2 of a number, accuracy of a category, on rows that the readout has not seen

Disentanglement as a whole weighs codes by their share of all importance, so that a code that nothing reads counts for nothing.
Where codes are uncorrelated, sum_i R_ij^2 = R^2 of a number. Where they are not, or a category is separable, weights have no
such scale; so those of every factor are scaled to obey that, of a category with the share of errors that the readout avoids. Of
a factor that is not read better than by chance, by the lower end of its interval, no code is important, and its completeness
is 0.

Source: Eastwood, Williams, A framework for the quantitative evaluation of disentangled representations, 2018 /
https://openreview.net/forum?id=By-7dz-AZ
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from given.variables import UserError

__all__ = ["Disentanglement", "disentanglement", "recovery"]

_RIDGE = 1e-3  # of a row's squared error or log-likelihood
_STEPS = 60  # of Newton's method
_FLAT = 1e-9  # the change of a loss at which it stands
_MOST = 100  # values of a category


@dataclass(frozen=True)
class Disentanglement:
    """How well codes recover factors, with 95 % intervals over rows.

    Attributes:
        codes, factors: names, L and K of them.
        importance: (L, K) of every code for every factor.
        of_codes: (L,) the disentanglement of every code.
        disentanglement: its mean, by the codes' shares of importance.
        interval: of it (low, high), over draws of the rows that the readout learned from.
        completeness: (K,); its intervals (K, 2) likewise.
        informativeness: (K,) R^2 or accuracy on rows held out; its intervals (K, 2) over draws of these.
        measures: (K,) `R2` or `accuracy`.
        chance: (K,) the informativeness of no code: 0, or the share of the value that is most frequent.
        rows: how many the readout learned from, and how many were held out.
    """

    codes: tuple[str, ...]
    factors: tuple[str, ...]
    importance: np.ndarray
    of_codes: np.ndarray
    disentanglement: float
    interval: tuple[float, float]
    completeness: np.ndarray
    completeness_intervals: np.ndarray
    informativeness: np.ndarray
    informativeness_intervals: np.ndarray
    measures: tuple[str, ...]
    chance: np.ndarray
    rows: tuple[int, int]

    def __str__(self) -> str:
        rows = [["factor", "completeness", "informativeness", "chance"]]
        for j, name in enumerate(self.factors):
            rows.append([name, _spelled(self.completeness[j], self.completeness_intervals[j]),
                         f"{_spelled(self.informativeness[j], self.informativeness_intervals[j])} {self.measures[j]}",
                         f"{self.chance[j]:.3f}"])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        told = f"disentanglement {_spelled(self.disentanglement, self.interval)} of {len(self.codes)} codes"
        return f"{told}; read from {self.rows[0]:,} rows, judged on {self.rows[1]:,}\n" + "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class _Factor:
    """What is read: numbers (N,), or the number of a category (N,) of so many."""

    name: str
    values: np.ndarray
    categories: int = 0

    @classmethod
    def of(cls, name: str, values: np.ndarray, n: int) -> _Factor:
        if values.shape != (n,):
            raise UserError(f"disentanglement: factor {name}: expected ({n},) values, one of each code, got {values.shape}")
        if values.dtype.kind == "f":
            if not np.isfinite(values).all():
                raise UserError(f"disentanglement: factor {name}: got {int((~np.isfinite(values)).sum())} values that are not "
                                "finite; leave their rows out")
            if np.ptp(values) == 0:
                raise UserError(f"disentanglement: factor {name}: all values are {values[0]:g}; expected at least two")
            return cls(name, values.astype(np.float64))
        named, number = np.unique(values.astype(str), return_inverse=True)
        if not 2 <= len(named) <= _MOST:
            raise UserError(f"disentanglement: factor {name}: got {len(named)} categories; expected 2 to {_MOST}, or floats "
                            "where it is a number")
        return cls(name, number, len(named))


def disentanglement(z: np.ndarray | Mapping[str, np.ndarray], factors: Mapping[str, np.ndarray], *, held_out: float = 0.5,
                    draws: int = 200, seed: int = 0) -> Disentanglement:
    """How well codes recover factors, by a linear readout.

    Args:
        z: (N, L) codes, or a column each (N,), as `model.encode` returns them.
        factors: name -> (N,) values; floats are numbers, all else categories.
        held_out: the share of rows, drawn at random, that the readout is judged on.
        draws: of rows with replacement, for intervals.
        seed: of both.

    Raises:
        UserError: fewer than two codes or factors, other numbers of rows, values that are not finite or never vary.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 400))
    >>> found = disentanglement(np.stack([y, 2 * x], 1), {"x": x, "y": y})
    >>> round(found.disentanglement, 2), found.completeness.round(2), found.informativeness.round(2)
    (1.0, array([1., 1.]), array([1., 1.]))
    >>> turned = disentanglement(np.stack([x + y, x - y], 1), {"x": x, "y": y})
    >>> round(turned.disentanglement, 1), turned.informativeness.round(2)
    (0.0, array([1., 1.]))
    """
    codes, x = _columns(z)
    if not 0 < held_out < 1:
        raise UserError(f"disentanglement: held_out={held_out}; expected a share between 0 and 1")
    if draws < 2:
        raise UserError(f"disentanglement: draws={draws}; expected a whole number from 2")
    each = [_Factor.of(name, np.asarray(values), len(x)) for name, values in factors.items()]
    if x.shape[1] < 2 or len(each) < 2:
        raise UserError(f"disentanglement: got {x.shape[1]} codes and {len(each)} factors; expected at least two of both")
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(x))
    n = round(len(x) * (1 - held_out))
    learn, test = np.sort(order[:n]), np.sort(order[n:])
    if min(n, len(test)) <= x.shape[1]:
        raise UserError(f"disentanglement: {len(x)} rows are too few for {x.shape[1]} codes; expected more rows than codes on "
                        "either side")
    spread = x[learn].std(0)
    x = (x - x[learn].mean(0)) / np.where(spread > 0, spread, 1)
    again = [np.bincount(generator.integers(0, n, n), minlength=n).astype(float) for _ in range(draws)]
    tested = [generator.integers(0, len(test), len(test)) for _ in range(draws)]
    found = [_read(x[learn], x[test], f.values[learn], f.values[test], f.categories, again, tested) for f in each]
    read = np.array([np.quantile(f[3], 0.025) > f[4] for f in found])
    importance, drawn = np.stack([f[0] for f in found], 1) * read, np.stack([f[1] for f in found], 2) * read
    of_codes, whole, complete = _entropies(importance)
    bounds = [_entropies(r)[1:] for r in drawn]
    low, high = np.quantile([d for d, _ in bounds], [0.025, 0.975])
    return Disentanglement(
        codes, tuple(factors), importance, of_codes, whole, (float(low), float(high)), complete,
        np.quantile([c for _, c in bounds], [0.025, 0.975], axis=0).T, np.array([f[2] for f in found]),
        np.stack([np.quantile(f[3], [0.025, 0.975]) for f in found]),
        tuple("accuracy" if f.categories else "R2" for f in each), np.array([f[4] for f in found]), (n, len(test)))


def recovery(z: np.ndarray | Mapping[str, np.ndarray], factors: Mapping[str, np.ndarray], items: np.ndarray, *,
             held_out: float = 0.5, draws: int = 200, seed: int = 0) -> dict[str, Disentanglement]:
    """The same of codes, of as many principal components of the items and random projections of them, and of the factors
    themselves: what costs nothing, and the most there is.

    Args:
        z, factors, held_out, draws, seed: as of `disentanglement`.
        items: (N, ...) numbers, such as pixels; no more of them than items and numbers are components.
    """
    _, codes = _columns(z)
    x = np.asarray(items, np.float64).reshape(len(items), -1)
    if len(x) != len(codes):
        raise UserError(f"recovery: got {len(codes)} codes of {len(x)} items; expected one of each")
    L = codes.shape[1]
    if min(x.shape) < L:
        raise UserError(f"recovery: {len(x)} items of {x.shape[1]} numbers have fewer principal components than the {L} codes")
    x = x - x.mean(0)
    by_rows = len(x) <= x.shape[1]
    vectors = np.linalg.eigh(x @ x.T if by_rows else x.T @ x)[1][:, ::-1][:, :L]
    themselves = {name: v if (v := np.asarray(values)).dtype.kind == "f" else np.unique(v.astype(str), return_inverse=True)[1]
                  for name, values in factors.items()}
    each = {"codes": z, "principal components": vectors if by_rows else x @ vectors,
            "random projections": x @ np.random.default_rng(seed).normal(size=(x.shape[1], L)),
            "the factors themselves": themselves}
    return {name: disentanglement(v, factors, held_out=held_out, draws=draws, seed=seed) for name, v in each.items()}


def _columns(z: np.ndarray | Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names, and codes (N, L)."""
    if isinstance(z, Mapping):
        names, z = tuple(z), np.stack([np.asarray(v, np.float64) for v in z.values()], -1)
    else:
        z = np.asarray(z, np.float64)
        names = tuple(f"z{i + 1}" for i in range(z.shape[-1]))
    if z.ndim != 2:
        raise UserError(f"disentanglement: expected codes (rows, codes), got {z.shape}")
    if not np.isfinite(z).all():
        raise UserError(f"disentanglement: got {int((~np.isfinite(z)).sum())} codes that are not finite; leave their rows out")
    return names, z


def _entropies(R: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Importance (L, K) -> the disentanglement of codes (L,), its mean, and the completeness of factors (K,); 0 of nothing."""
    def focus(R: np.ndarray) -> np.ndarray:
        total = R.sum(1)
        p = R / np.where(total > 0, total, 1)[:, None]
        entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(1) / math.log(R.shape[1])
        return np.where(total > 0, 1 - entropy, 0.0)

    of_codes, total = focus(R), R.sum()
    return of_codes, float((of_codes * R.sum(1)).sum() / total) if total > 0 else 0.0, focus(R.T)


def _read(z: np.ndarray, at: np.ndarray, f: np.ndarray, truth: np.ndarray, categories: int, again: list[np.ndarray],
          tested: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, float, np.ndarray, float]:
    """One factor: importance (L,), that of redrawn rows (draws, L), informativeness, that of redrawn rows (draws,), chance."""
    if not categories:
        mean, spread = f.mean(), f.std()
        f, truth = (f - mean) / spread, (truth - mean) / spread
        w, drawn = _ridge(z, f, np.ones(len(z))), np.stack([_ridge(z, f, weight) for weight in again])
        error = (truth - w[0] - at @ w[1:]) ** 2
        values = np.array([1 - error[rows].mean() / max(truth[rows].var(), 1e-300) for rows in tested])
        value, chance = float(1 - error.mean() / max(truth.var(), 1e-300)), 0.0
        w, drawn = w[..., None], drawn[..., None]
    else:
        w = _logistic(z, f, categories)
        drawn = np.stack([w - _newton(z, f, w, weight) for weight in again])
        right = (_with_one(at) @ w).argmax(1) == truth
        values, value = np.array([right[rows].mean() for rows in tested]), float(right.mean())
        chance = float((truth == np.bincount(f, minlength=categories).argmax()).mean())
    gained = math.sqrt(max(0.0, (value - chance) / max(1 - chance, 1e-300)))
    importance, redrawn = (each * gained / np.maximum(np.linalg.norm(each, axis=-1, keepdims=True), 1e-300)
                           for each in _importance(w[1:], drawn[:, 1:]))
    return importance, redrawn, value, values, chance


def _importance(w: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (L, C) and those of redrawn rows (draws, L, C) -> the importance of each code (L,), (draws, L), without what
    noise adds: a weight's square exceeds the true one's by its variance, that of redrawn rows by twice as much."""
    noise = drawn.var(0).mean(-1) * len(drawn) / max(1, len(drawn) - 1)
    return (np.sqrt(np.maximum(0, (w**2).mean(-1) - noise)), np.sqrt(np.maximum(0, (drawn**2).mean(-1) - 2 * noise)))


def _with_one(z: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(z), 1)), z], 1)


def _ridge(z: np.ndarray, f: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(1 + L,) a constant and weights of ridge regression."""
    x = _with_one(z)
    penalty = np.full(x.shape[1], _RIDGE * weight.sum())
    penalty[0] = 0
    return np.linalg.solve((x * weight[:, None]).T @ x + np.diag(penalty), x.T @ (weight * f))


def _logistic(z: np.ndarray, f: np.ndarray, categories: int) -> np.ndarray:
    """(1 + L, C) a constant and weights of multinomial logistic regression, by Newton's method with halved steps."""
    w, one = np.zeros((z.shape[1] + 1, categories)), np.ones(len(z))
    before = _loss(z, f, w)
    for _ in range(_STEPS):
        step = _newton(z, f, w, one)
        size = 1.0
        while (after := _loss(z, f, w - size * step)) > before and size > 1e-6:
            size /= 2
        if after > before:
            break
        w, gain, before = w - size * step, before - after, after
        if gain < _FLAT:
            break
    return w


def _logits(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """log p of every category (N, C)."""
    t = _with_one(z) @ w
    t = t - t.max(1, keepdims=True)
    return t - np.log(np.exp(t).sum(1, keepdims=True))


def _loss(z: np.ndarray, f: np.ndarray, w: np.ndarray) -> float:
    return float(-_logits(z, w)[np.arange(len(z)), f].mean() + 0.5 * _RIDGE * (w**2).sum())


def _newton(z: np.ndarray, f: np.ndarray, w: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The step (1 + L, C) of Newton's method, to be taken away. Constants are penalised, too: there is one solution."""
    x, p, (P, C) = _with_one(z), np.exp(_logits(z, w)), w.shape
    n, weight = weight.sum(), weight[:, None]
    slope = x.T @ (weight * (p - np.eye(C)[f])) / n + _RIDGE * w
    curve = np.zeros((C, P, C, P))
    for a in range(C):
        for b in range(a, C):
            curve[a, :, b] = curve[b, :, a] = (x * (weight[:, 0] * p[:, a] * ((a == b) - p[:, b]))[:, None]).T @ x / n
    full = curve.reshape(C * P, C * P) + _RIDGE * np.eye(C * P)
    return np.linalg.solve(full, slope.T.reshape(-1)).reshape(C, P).T


def _spelled(value: float, interval: tuple[float, float] | np.ndarray) -> str:
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
