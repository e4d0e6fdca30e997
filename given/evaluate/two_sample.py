"""two_sample: are two sets of rows draws of one distribution? By a classifier that tells them apart, and by a kernel.

Both tests permute which row is of which set, so that their level holds whatever the data: under the null the sets are
exchangeable. The classifier is ridge regression of the set (+1, -1) on features that all rows make together, whichever set
they are of: the columns, the squares of their principal components, random cosines, and how near other rows are. Its scores of
rows left out are linear in the labels, so one product serves all permutations.

Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017), https://arxiv.org/abs/1610.06545
A Kernel Two-Sample Test (Gretton et al., 2012), https://jmlr.org/papers/v13/gretton12a.html
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from given.evaluate.score import wilson_interval
from given.variables import UserError

__all__ = ["ClassifierTest", "KernelTest", "classifier_two_sample", "mmd"]

_FOLDS = 5
_SIZES = 1.0, 0.3, 0.3, 0.3  # of the kinds of features: means are tried first
_COSINES, _SQUARES, _NEIGHBOURS = 200, 20, (1, 5)
_RIDGE = 100.0  # in units of one row, whose features have length one on average
_MOST = 1000  # rows of each set: the cost is quadratic


@dataclass(frozen=True)
class ClassifierTest:
    """How well a classifier tells two sets of rows apart.

    Attributes:
        accuracy: the share of rows classified rightly, learned from one half and measured on the other; chance is .5.
        low, high: its 95 % interval (Wilson). Folds would share rows, and so have no such interval.
        p_value: of the statistic of all rows, each scored by a classifier of the other folds, among permutations.
        n: rows of each set.
    """

    accuracy: float
    low: float
    high: float
    p_value: float
    n: int


@dataclass(frozen=True)
class KernelTest:
    """The squared maximum mean discrepancy of two sets of rows.

    Attributes:
        value: its unbiased estimate, 0 on average where both are draws of one distribution.
        bandwidth: of the Gaussian kernel, the median distance.
        p_value: among permutations.
        n: rows of each set.
    """

    value: float
    bandwidth: float
    p_value: float
    n: int


def classifier_two_sample(x: np.ndarray, y: np.ndarray, *, permutations: int = 999, seed: int = 0) -> ClassifierTest:
    """A classifier's accuracy at telling two sets apart, and the p-value of it.

    Args:
        x, y: (n, D) and (m, D) numbers, as of `Features`; of the larger set as many rows are taken as the smaller has, and
            1,000 at most.
        permutations: of the labels; the least p-value is 1 / (permutations + 1).
        seed: of the rows taken, of folds, cosines and permutations.

    Raises:
        UserError: fewer than ten rows, or sets of different columns.
    """
    generator = np.random.default_rng(seed)
    z, label = _sides(x, y, generator)
    n, phi = len(label) // 2, _features(z, generator)
    order = generator.permutation(2 * n)
    shuffled = np.stack([label, *(generator.permutation(label) for _ in range(permutations))], 1)
    scores = np.empty_like(shuffled)
    for fold in np.array_split(order, _FOLDS):
        rest = np.setdiff1d(order, fold)
        scores[fold] = _predicted(phi[rest], shuffled[rest], phi[fold])
    apart = _apart(scores, shuffled)
    learn = np.concatenate([generator.permutation(n)[: n // 2] + side for side in (0, n)])  # as many of each
    test = np.setdiff1d(np.arange(2 * n), learn)
    right = _right(_predicted(phi[learn], label[learn, None], phi[test])[:, 0], label[test])
    low, high = wilson_interval(right, len(test))
    return ClassifierTest(right / len(test), low, high, _p_value(apart), n)


def mmd(x: np.ndarray, y: np.ndarray, *, permutations: int = 199, seed: int = 0) -> KernelTest:
    """The squared maximum mean discrepancy and its p-value. Arguments as of `classifier_two_sample`.

    >>> mmd(np.random.default_rng(0).normal(size=(100, 2)), np.random.default_rng(1).normal(3, 1, (100, 2))).p_value
    0.005
    """
    generator = np.random.default_rng(seed)
    z, label = _sides(x, y, generator)
    n, squared = len(label) // 2, _squared(z)
    bandwidth = float(np.sqrt(np.median(squared[np.triu_indices(2 * n, 1)]))) or 1.0
    kernel = np.exp(-squared / (2 * bandwidth**2))
    np.fill_diagonal(kernel, 0.0)
    shuffled = np.stack([label, *(generator.permutation(label) for _ in range(permutations))], 1)
    first = (shuffled + 1) / 2
    within = (first * (kernel @ first)).sum(0), ((1 - first) * (kernel @ (1 - first))).sum(0)
    across = (first * (kernel @ (1 - first))).sum(0)
    values = (within[0] + within[1]) / (n * (n - 1)) - 2 * across / n**2
    return KernelTest(float(values[0]), bandwidth, _p_value(values), n)


def _sides(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """As many rows of each, standardised together, and +1 for those of x, -1 for those of y."""
    x, y = (np.asarray(v, np.float64).reshape(len(v), -1) for v in (x, y))
    if x.shape[1] != y.shape[1]:
        raise UserError(f"two-sample test: expected rows of the same columns, got {x.shape[1]} and {y.shape[1]} numbers a row")
    n = min(len(x), len(y), _MOST)
    if n < 10:
        raise UserError(f"two-sample test: expected at least 10 rows of each set, got {len(x)} and {len(y)}")
    z = np.concatenate([v[np.sort(generator.permutation(len(v))[:n])] for v in (x, y)])
    spread = z.std(0)
    return (z - z.mean(0)) / np.where(spread > 0, spread, 1), np.repeat([1.0, -1.0], n)


def _features(z: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Columns, squares of components, cosines and distances to neighbours, each kind of length one a row on average."""
    squared = _squared(z)
    scale = np.sqrt(np.median(squared[np.triu_indices(len(z), 1)])) or 1.0
    cosines = np.cos(z @ generator.normal(size=(z.shape[1], _COSINES)) / scale + generator.uniform(0, 2 * np.pi, _COSINES))
    squares = (z @ np.linalg.eigh(z.T @ z)[1][:, ::-1][:, :_SQUARES]) ** 2
    near = np.partition(squared, _NEIGHBOURS, axis=1)[:, list(_NEIGHBOURS)]  # the first is the row itself
    kinds = z, np.log1p(squares), cosines, np.log(near + 1e-6 * scale**2)
    return np.concatenate([size * _of_length_one(kind) for size, kind in zip(_SIZES, kinds, strict=True)], 1)


def _of_length_one(x: np.ndarray) -> np.ndarray:
    """Columns standardised, and divided by the root of how many there are."""
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 1e-12, spread, 1) / np.sqrt(x.shape[1])


def _predicted(phi: np.ndarray, labels: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Ridge regression of labels (N, P) on features (N, F), at other features (M, F): (M, P)."""
    centre = labels.mean(0)
    gram = phi.T @ phi + _RIDGE * np.eye(phi.shape[1])
    return at @ np.linalg.solve(gram, phi.T @ (labels - centre))


def _apart(scores: np.ndarray, label: np.ndarray) -> np.ndarray:
    """How far the mean scores of both sets are apart, in standard deviations of a score: (P,)."""
    spread = scores.std(0)
    return (scores * label).mean(0) / np.where(spread > 0, spread, 1)


def _right(scores: np.ndarray, label: np.ndarray) -> float:
    """How many rows are classified rightly; equal scores, as of equal rows, are a coin's, and count half."""
    middle = np.median(scores)
    return float(((scores - middle) * label > 0).sum() + 0.5 * (scores == middle).sum())


def _p_value(values: np.ndarray) -> float:
    """The share of all statistics that are as large as the first, itself among them."""
    return float((values >= values[0] - 1e-12).mean())


def _squared(z: np.ndarray) -> np.ndarray:
    """Squared distances between all rows: (N, N)."""
    norm = (z**2).sum(1)
    return np.maximum(norm[:, None] + norm - 2 * z @ z.T, 0)
