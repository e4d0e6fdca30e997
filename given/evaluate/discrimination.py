"""discrimination: how well boosted trees tell two sets of rows apart, and what they are worth where they learned from either.

The area under the ROC curve (AUC) is the probability that a row of the one set scores above a row of the other: .5 where
nothing tells them apart. Its interval is DeLong's; over folds the areas are averaged, for scores of two classifiers have no
common scale.

Source: DeLong, DeLong, Clarke-Pearson, Comparing the areas under two or more correlated receiver operating characteristic
curves, 1988 / https://doi.org/10.2307/2531595
Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017), https://arxiv.org/abs/1610.06545
Real-valued (Medical) Time Series Generation (Esteban et al., 2017), https://arxiv.org/abs/1706.02633
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from given.evaluate.score import wilson_interval
from given.variables import UserError

__all__ = ["Estimate", "Transfer", "auc", "independent", "share", "told_apart", "transfer"]

_Z = 1.959964
_FOLDS, _LEAST, _RESAMPLED = 5, 25, 200
_SHARED = 5000  # rows from which trees gain by several threads


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Transfer:
    """What trees that learned from some rows are worth on held-out rows.

    Attributes:
        target: the column predicted from all others.
        chosen: whether the target was chosen and not named.
        measures: measure (AUC of two categories, accuracy, R2 of numbers) -> what was learned from -> the figure.
        learned, tested: rows.
    """

    target: str
    chosen: bool
    measures: Mapping[str, Mapping[str, Estimate]]
    learned: int
    tested: int


def share(hits: np.ndarray) -> Estimate:
    """The share of rows (n,) bool that are hit, with Wilson's interval."""
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return Estimate(float(hits.mean()), max(0.0, low), min(1.0, high))


def auc(above: np.ndarray, below: np.ndarray) -> Estimate:
    """The probability that one of the scores `above` (n,) is higher than one of `below` (m,), half of ties counted.

    >>> auc(np.array([3.0, 4.0]), np.array([1.0, 3.0])).value
    0.875
    """
    value, error = _area(above, below)
    return Estimate(value, max(0.0, value - _Z * error), min(1.0, value + _Z * error))


def _area(above: np.ndarray, below: np.ndarray) -> tuple[float, float]:
    """The area and its standard error."""
    def placed(x: np.ndarray, among: np.ndarray) -> np.ndarray:
        ordered = np.sort(among)
        sides = np.searchsorted(ordered, x, "left"), np.searchsorted(ordered, x, "right")
        return (sides[0] + sides[1]) / (2 * len(among))

    a, b = placed(above, below), 1 - placed(below, above)
    spread = sum(float(v.var(ddof=1)) / len(v) if len(v) > 1 else 0.25 for v in (a, b))
    return float(a.mean()), math.sqrt(spread)


def told_apart(x: np.ndarray, y: np.ndarray, categorical: np.ndarray, *, seed: int = 0) -> Estimate:
    """The AUC at which boosted trees tell rows y from rows x, each scored by trees of the other folds.

    Args:
        x, y: (n, D) each, as many rows of both, from 25.
        categorical: (D,) bool.
        seed: of folds and trees.

    Raises:
        UserError: too few rows.
    """
    if min(len(x), len(y)) < _LEAST:
        raise UserError(f"expected at least {_LEAST} rows of each set, got {min(len(x), len(y))}")
    rows, side = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    generator, fold = np.random.default_rng(seed), np.empty(len(rows), dtype=np.int64)
    for which in (0, 1):
        mine = generator.permutation(np.flatnonzero(side == which))
        fold[mine] = np.arange(len(mine)) % _FOLDS
    areas = list[tuple[float, float]]()
    for k in range(_FOLDS):
        learn, test = fold != k, fold == k
        scores = _predictor(rows[learn], side[learn], categorical, True, seed)(rows[test])[1][:, 1]
        areas.append(_area(scores[side[test] == 1], scores[side[test] == 0]))
    value, error = float(np.mean([a for a, _ in areas])), math.sqrt(sum(e * e for _, e in areas)) / _FOLDS
    return Estimate(value, max(0.0, value - _Z * error), min(1.0, value + _Z * error))


def independent(rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """Rows (n, D) whose columns are shuffled each for itself: right marginals, and nothing else."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(column) for column in rows.T], 1)


def transfer(sets: Mapping[str, Sequence[np.ndarray]], test: np.ndarray, target: int, categorical: np.ndarray, name: str, *,
             chosen: bool = False, seed: int = 0) -> Transfer:
    """Trees that predict one column from the others, learned from each of some sets of as many rows.

    Args:
        sets: what was learned from -> tables (n, D), over which figures are means.
        test: (m, D) held-out rows; those without a number of the target are not counted.
        target: its place among the columns.
        categorical: (D,) bool.
        name: of the target.
        chosen: whether the target was chosen and not named.
        seed: of trees.

    Raises:
        UserError: too few rows.
    """
    test = test[~np.isnan(test[:, target])]
    sets = {who: [rows[~np.isnan(rows[:, target])] for rows in each] for who, each in sets.items()}
    fewest = min(len(rows) for each in sets.values() for rows in each)
    if min(len(test), fewest) < _LEAST:
        raise UserError(f"{name}: expected at least {_LEAST} rows with a value in each set, got {min(len(test), fewest)}")
    others, classes = np.arange(len(categorical)) != target, bool(categorical[target])
    truth, found = test[:, target], dict[str, dict[str, Estimate]]()
    for who, each in sets.items():
        measured = [_measured(_predictor(rows[:, others], rows[:, target], categorical[others], classes, seed)(test[:, others]),
                              truth, classes) for rows in each]
        for measure in measured[0]:
            found.setdefault(measure, {})[who] = _mean([figures[measure] for figures in measured])
    return Transfer(name, chosen, found, fewest, len(test))


def _mean(figures: Sequence[Estimate]) -> Estimate:
    """The mean of figures of the same test rows, its interval by theirs and by how far they are apart."""
    if len(figures) == 1:
        return figures[0]
    value, low, high = np.mean([(f.value, f.low, f.high) for f in figures], 0)
    apart = _Z * float(np.std([f.value for f in figures], ddof=1)) / math.sqrt(len(figures))
    return Estimate(float(value), float(value - math.hypot(value - low, apart)), float(value + math.hypot(high - value, apart)))


def _predictor(inputs: np.ndarray, target: np.ndarray, categorical: np.ndarray, classes: bool, seed: int) -> Any:
    """Boosted trees: inputs (m, D) -> predicted numbers (m,), or (classes, probabilities (m, K))."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if classes and len(kinds := np.unique(target)) == 1:  # nothing to tell apart
        return lambda rows: (kinds, np.ones((len(rows), 1)))
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    made = kind(categorical_features=categorical if categorical.any() else None, random_state=seed)
    few = 1 if len(inputs) < _SHARED else None
    with threadpool_limits(few, "openmp"):
        made.fit(inputs, target)

    def predict(rows: np.ndarray) -> Any:
        with threadpool_limits(few, "openmp"):
            return (made.classes_, made.predict_proba(rows)) if classes else made.predict(rows)

    return predict


def _measured(predicted: Any, truth: np.ndarray, classes: bool) -> dict[str, Estimate]:
    """The measures of predictions."""
    if not classes:
        return {"R2": _explained(predicted, truth)}
    kinds, p = predicted
    accuracy = {"accuracy": share(kinds[p.argmax(1)] == truth)}
    values, counts = np.unique(truth, return_counts=True)
    if len(values) != 2:
        return accuracy
    rare = values[counts.argmin()]
    scores = p[:, kinds == rare].sum(1)
    return {"AUC": auc(scores[truth == rare], scores[truth != rare]), **accuracy}


def _explained(predicted: np.ndarray, truth: np.ndarray) -> Estimate:
    """R2, with the interval of resampled rows."""
    left, all_of_it = (truth - predicted) ** 2, (truth - truth.mean()) ** 2
    weights = np.random.default_rng(0).multinomial(len(truth), np.full(len(truth), 1 / len(truth)), _RESAMPLED)
    again = 1 - (weights @ left) / np.maximum(weights @ all_of_it, 1e-300)
    low, high = np.quantile(again, [0.025, 0.975])
    return Estimate(float(1 - left.sum() / max(all_of_it.sum(), 1e-300)), float(low), float(high))
