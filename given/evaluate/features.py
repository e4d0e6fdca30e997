"""features: rows of any columns as rows of numbers, for what measures distances.

A number is counted in standard deviations of the data; a grid of levels in those of all its places together; a category is a
one among zeros, so that two differ by what two standard numbers do on average. A text is the shares of its symbols and pairs of
symbols, and its length; a series its mean, spread, mean step and length. A hole is a number of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from given.sources import Columns
from given.variables import Entries, Finite, Real, Space, Variable

__all__ = ["Features"]

_KINDS, _PAIRS = 32, 64  # categories apart, and bins of pairs of symbols


class Features:
    """A map from rows of columns to rows of numbers, its units those of some rows.

    Args:
        variables: column -> its variable.
        data: the rows that units are of.
    """

    def __init__(self, variables: Mapping[str, Variable], data: Columns) -> None:
        self.variables = {name: v for name, v in variables.items() if name in data}
        self.kinds = {name: _frequent(v, data) for name, v in self.variables.items()}
        self.holes = {name for name, v in self.variables.items()
                      if isinstance(v.space, Real) and not _encoded(v, data).scored.all()}
        self.units = {name: _units(_plain(v.space, _encoded(v, data), self.kinds[name])[0], v.space)
                      for name, v in self.variables.items()}

    def __call__(self, columns: Columns) -> np.ndarray:
        """(n, D) float64."""
        out = list[np.ndarray]()
        for name, v in self.variables.items():
            values, there = _plain(v.space, _encoded(v, columns), self.kinds[name])
            centre, spread = self.units[name]
            out.append(np.where(there, (values - centre) / spread, 0.0))
            if name in self.holes:
                out.append((~there).reshape(len(values), -1).mean(1, keepdims=True))
        return np.concatenate(out, 1)


def _encoded(variable: Variable, columns: Columns) -> Entries:
    return variable.encode_new(columns)[0]


def _frequent(variable: Variable, data: Columns) -> np.ndarray:
    """The most frequent symbols of a column of categories."""
    if not isinstance(variable.space, Finite):
        return np.arange(0)
    x = _encoded(variable, data)
    counts = np.bincount(x.tensor[x.readable].numpy().ravel(), minlength=variable.space.size)
    return np.argsort(-counts, kind="stable")[:_KINDS]


def _units(values: np.ndarray, space: Space) -> tuple[np.ndarray | float, np.ndarray | float]:
    """What is taken away of plain values and what they are divided by."""
    if isinstance(space, Finite) and not (space.ordered and space.size > 2):
        return 0.0, 1.0
    whole = np.isfinite(values)
    spread = np.nanstd(values, axis=None if space.axes else 0) if whole.any() else np.ones(())
    centre = np.nanmean(values, axis=None if space.axes else 0) if whole.any() else 0.0
    return np.asarray(centre), np.where(spread > 0, spread, 1.0)


def _plain(space: Space, x: Entries, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, D) and where they are there; nan where not."""
    n, there = len(x), x.readable.reshape(len(x), -1).numpy()
    values = x.tensor.reshape(n, -1).double().numpy()
    if any(axis.length != "fixed" for axis in space.axes):
        summary = _of_symbols(values, there, kinds) if isinstance(space, Finite) else _of_series(values, there)
        return summary, np.ones(summary.shape, bool)
    if isinstance(space, Finite) and not (space.ordered and space.size > 2):
        hot = (values[..., None] == kinds) & there[..., None]
        return hot.reshape(n, -1).astype(np.float64), np.ones((n, hot[0].size), bool)
    return np.where(there, values, np.nan), there


def _of_symbols(values: np.ndarray, there: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Shares of symbols and of pairs of symbols by bins, and the logarithm of the length, a row."""
    length = np.maximum(there.sum(1, keepdims=True), 1)
    single = [((values == kind) & there).sum(1) for kind in kinds]
    both = there[:, 1:] & there[:, :-1]
    pair = (values[:, :-1] * 1_000_003 + values[:, 1:] * 7_919).astype(np.int64) % _PAIRS
    pairs = [((pair == b) & both).sum(1) for b in range(_PAIRS)]
    return np.concatenate([np.stack([*single, *pairs], 1) / length, np.log(length)], 1)


def _of_series(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Mean, spread, mean absolute step and the logarithm of the length, a row."""
    length = np.maximum(there.sum(1), 1)
    mean = np.where(there, values, 0).sum(1) / length
    spread = np.sqrt(np.where(there, (values - mean[:, None]) ** 2, 0).sum(1) / length)
    both = there[:, 1:] & there[:, :-1]
    step = np.where(both, np.abs(np.diff(values, axis=1)), 0).sum(1) / np.maximum(both.sum(1), 1)
    return np.stack([mean, spread, step, np.log(length)], 1)
