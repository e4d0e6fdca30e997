"""Impute: p(missing | seen), the holes of a table, each with a value and the interval it lies in. Any table.

The model is one block of all columns, in which any are known given any others, so that rows may lack what they will. Of a hole
that is a number the value is the mean of draws and the interval their central quantiles; of a category it is the most frequent
draw, with its share. Draws fill all holes of a row together; `given complete` writes them as they are.

It is judged on held-out rows of which three cells in ten are hidden at random: by log p of what was hidden given what is seen,
by the error of numbers in standard deviations of the column, by how many categories are named rightly, and by how many numbers
intervals of 90 % hold. The trivial baseline is independent columns, that is mean and mode.

Source: Rubin, Multiple imputation for nonresponse in surveys, 1987
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from given.evaluate import coverage
from given.infer import Rows
from given.sources import Columns, Source
from given.sources import read as read_data
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.holes import present

__all__ = ["TRAINING", "baselines", "fill", "hidden", "judged", "measure", "model", "read"]

TRAINING: Mapping[str, Any] = {}
_HIDDEN, _JUDGED, _DRAWS = 0.3, 200, 100


def read(data: Any) -> Source:
    """The rows of a table."""
    return read_data(data)


def model(data: Source, *, seed: int = 0) -> Model:
    """A model of all columns together, nothing of it learned yet.

    Raises:
        UserError: fewer than two columns.
    """
    found = model_of(None, data, seed=seed)
    if len(found.joint.columns) < 2:
        raise UserError(f"impute: expected two columns or more, of which one says something of the other, got {found}")
    return found


def fill(model: Model, data: Any, *, level: float = 0.9, n: int = _DRAWS, seed: int = 0) -> Columns:
    """The holes of a table, a line each: `row`, `column`, `value`; of numbers `low` and `high`, of others the `share` of draws.

    Args:
        model: that has learned.
        data: anything `given.read` takes.
        level: of the intervals.
        n: draws a row.
        seed: of the draws.

    Raises:
        UserError: the level is no probability.
    """
    if not 0 < level < 1:
        raise UserError(f"impute: level {level:g}; expected a probability between 0 and 1, as 0.9")
    rows = next(read_data(data, learned=model.cells).batches(1 << 60))
    open_ = {name: ~present(rows[name]) for name in rows if name in model.joint.columns and rows[name].ndim == 1}
    some = np.flatnonzero(np.any([*open_.values()], 0))
    found: dict[str, list[Any]] = {name: [] for name in ("row", "column", "value", "low", "high", "share")}
    if len(some):
        drawn = model.complete(rows.rows(some), n=n, seed=seed)
        for i, row in enumerate(some):
            for name in (name for name, there in open_.items() if there[row]):
                said = _summary(drawn[name][:, i] if n > 1 else drawn[name][[i]], level)
                for key, value in zip(found, (int(row), name, *said), strict=True):
                    found[key].append(value)
    return Columns({name: np.array([*values, None], dtype=object)[:-1] for name, values in found.items()})


def _summary(draws: np.ndarray, level: float) -> tuple[Any, Any, Any, Any]:
    """Value, low and high, share of draws (n,); no value where none was drawn."""
    if (numbers := _numbers(draws)) is not None:
        if np.isnan(numbers).all():
            return None, None, None, None
        low, high = np.nanquantile(numbers, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        return float(f"{np.nanmean(numbers):.6g}"), float(low), float(high), None
    value, count = Counter(draws.tolist()).most_common(1)[0]
    return value, None, None, count / len(draws)


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """As float64, NaN where missing; None where one is no number."""
    flat = values.ravel().tolist() if values.dtype.kind == "O" else []
    if values.dtype.kind in "iuf" or (flat and all(v is None or type(v) in (int, float) for v in flat)):
        return np.array([np.nan if v is None else v for v in values.ravel()], dtype=np.float64).reshape(values.shape)
    return None


def hidden(rows: Columns, names: list[str], seed: int = 0) -> dict[str, np.ndarray]:
    """Which cells are hidden: column -> (rows,) of three in ten, at random, among those that hold a value."""
    rng = np.random.default_rng(seed)
    return {name: (rng.random(rows.n) < _HIDDEN) & present(rows[name]) for name in names}


def judged(model: Model, rows: Columns, gone: Mapping[str, np.ndarray], n: int = _DRAWS,
           seed: int = 0) -> dict[str, np.ndarray]:
    """What was hidden against what is drawn for it, a number a cell: `log p` of each in nats, the `error` of numbers in
    standard deviations of the column, whether they are `covered` by intervals of 90 %, what equals draws being put among them
    at random, and whether categories are `right`."""
    open_ = Columns({name: _opened(rows[name], gone[name]) if name in gone else rows[name] for name in rows})
    drawn = model.complete(open_, n=n, seed=seed)
    found: dict[str, list[np.ndarray]] = {}
    for name, off in gone.items():
        at = np.flatnonzero(off)
        if not len(at):
            continue
        known = {other: Rows(rows[other][at], present(rows[other][at]) & ~gone[other][at]) for other in gone if other != name}
        found.setdefault("log p", []).append(model.given(known).log_prob({name: Rows(rows[name][at])}))
        draws, truth = drawn[name][:, at], _numbers(rows[name][at])
        numbers = _numbers(draws) if truth is not None else None
        if truth is not None and numbers is not None:
            scale = float(np.nanstd(_numbers(rows[name]))) or 1.0  # type: ignore[arg-type]
            found.setdefault("error", []).append((np.nanmean(numbers, 0) - truth) / scale)
            inside = [coverage(numbers[:, [i]], truth[[i]], seed + i).observed[-1] for i in range(len(at))]
            found.setdefault("covered", []).append(np.array(inside))
        else:
            named = [Counter(each).most_common(1)[0][0] for each in draws.T.tolist()]
            true = rows[name][at].tolist()
            found.setdefault("right", []).append(np.array([a == b for a, b in zip(named, true, strict=True)]))
    return {what: np.concatenate(each) for what, each in found.items()}


def _opened(values: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Values with holes."""
    found = values.astype(object)
    found[gone] = None
    return found


def measure(model: Model, test: Source) -> dict[str, float]:
    """Log p a hidden cell, the root mean squared error of numbers, accuracy of categories, and coverage."""
    rows = next(test.batches(_JUDGED))
    names = [name for name in model.joint.columns if name in rows]
    found = judged(model, rows, hidden(rows, names))
    scores = {"log p/cell": float(found["log p"].mean())}
    if "error" in found:
        scores |= {"RMSE/sd": float(np.sqrt((found["error"] ** 2).mean())), "in 90 %": float(found["covered"].mean())}
    return scores | ({"accuracy": float(found["right"].mean())} if "right" in found else {})


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """Independent columns: means and modes, and their spread."""
    name, plain = model(train).baseline(train)
    return {f"{name} (mean, mode)": measure(plain, test)}
