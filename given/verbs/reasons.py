"""Reasons: which cells of a row are unlikely given all others of it, and what was expected there.

    log p(cell | all others of the row)

A value that was never learned counts as one of the mass kept for such, and is unknown where other cells are asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.infer import Rows
from given.sources import Columns
from given.variables import Finite
from given.verbs.models import Model
from given.verbs.scoring import NEW

__all__ = ["cells", "reasons"]

_LEVEL, _LEAST = 0.98, 2.0  # of the interval in which a number was expected; nats of a reason beside the first


def cells(model: Model, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """log p of every cell given all others of its row, column by column: (rows,) nats, in raw units.

    Args:
        model: of columns, with latents or without. Of the only column, beside which nothing is known, it is log p.
        rows: raw columns; those that the model does not have are left out.
    """
    names = [name for name in model.joint.columns if name in rows and name not in model.joint.latents]
    found = dict[str, np.ndarray]()
    for name in names:
        others = {other: Rows(rows[other]) for other in names if other != name}
        _, new = model.joint.columns[name].encode_new({name: rows[name]})
        found[name] = np.where(new, NEW, model.given(others).log_prob({name: Rows(rows[name])}))
    return found


def reasons(model: Model, rows: Columns, usual: Mapping[str, float], most: int = 3) -> list[str]:
    """Why rows are unlikely, a line each: cells that lie furthest below what is usual, as `bytes 54540: expected 0 to 2032`.

    Args:
        model: as of `cells`.
        rows: raw columns.
        usual: column -> log p of a cell that nobody wonders at. Densities of different columns have different units, and are
            not compared without.
        most: cells a row.
    """
    each = cells(model, rows)
    names = list(each)
    below = np.stack([usual[name] - each[name] for name in names], 1)
    order = np.argsort(-below, axis=1, kind="stable")[:, :most]
    said: list[list[str]] = [[""] * order.shape[1] for _ in range(rows.n)]
    for k, name in enumerate(names):
        row, place = np.nonzero((order == k) & ((below[:, [k]] > _LEAST) | (np.arange(order.shape[1]) == 0)))
        if len(row):
            others = {other: Rows(rows[other][row]) for other in names if other != name}
            for i, j, text in zip(row, place, _expected(model, name, rows[name][row], others), strict=True):
                said[i][j] = text
    return ["; ".join(text for text in texts if text) for texts in said]


def _expected(model: Model, name: str, values: np.ndarray, others: Mapping[str, Any]) -> list[str]:
    """Values of a column, each with what was expected in its place given others of its row."""
    variable, query = model.joint.columns[name], model.given(others)
    n = len(values)
    if isinstance(variable.space, Finite) and not variable.space.axes:
        p = {value: np.broadcast_to(shares, n) for value, shares in query.probabilities(name).items()}
        shares, best = np.stack(list(p.values())), [*p]
        found = [f"expected {best[k]} ({_percent(shares[k, i])})" for i, k in enumerate(shares.argmax(0))]
        known = set(variable.codec.names())
        new = [str(value) not in {str(each) for each in known} for value in values.tolist()]
    else:
        low, high = (np.broadcast_to(end, n) for end in np.moveaxis(np.asarray(query.interval(name, _LEVEL)), -1, 0))
        if variable.codec.arguments.get("curve") == "log1p":
            low = np.maximum(low, 0.0)  # no amount is below
        found = [f"expected {a:.4g} to {b:.4g}" for a, b in zip(low, high, strict=True)]
        new = variable.encode_new({name: values})[1].tolist()
    texts = ["missing" if value is None or value != value else f"{value:.6g}" if isinstance(value, float) else str(value)
             for value in values.tolist()]
    return [f"{name} {text}{', never seen' * bool(unseen)}: {said}"
            for text, unseen, said in zip(texts, new, found, strict=True)]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share < 0.995 else f"{100 * share:.3g}%"
