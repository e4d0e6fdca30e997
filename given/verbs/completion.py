"""Completion: the holes of rows filled by draws from p(missing | what is there)."""

from __future__ import annotations

from typing import Any

import numpy as np

from given.infer import Rows, prefix
from given.joint import Joint
from given.sources import Columns, Source
from given.variables import UserError
from given.verbs.holes import any_cell, begun, continued, filled, kept_or_drawn, present, valueless
from given.verbs.query import Query

__all__ = ["completed", "unfillable"]

_ROWS = 1 << 12  # completed at once
_DRAWS = 100  # of a row, to fill its holes with values


def completed(joint: Joint, source: Source, n: int, seed: int) -> dict[str, np.ndarray]:
    """The rows of a source with their holes filled, each column (n, rows, ...).

    Raises:
        UserError: there is no row.
    """
    first, parts = 0, list[dict[str, np.ndarray]]()
    for batch in source.batches(_ROWS):
        parts.append(_completed(joint, batch, n, seed, first))
        first += batch.n
    if not parts:
        raise UserError("complete: expected at least one row, got none")
    whole = {name: np.concatenate([part[name] for part in parts], 1) for name in parts[0]}
    return {name: whole[name] for name in dict.fromkeys([*source.names, *whole])}


def _completed(joint: Joint, rows: Columns, n: int, seed: int, first: int) -> dict[str, np.ndarray]:
    seen = {name: present(values) for name, values in rows.items()}
    texts = [name for name, v in joint.columns.items() if v.codec.ragged and v.codec.item_axes == 0]
    empty = [name for name, v in joint.columns.items() if valueless(v)]
    asked = Query(joint, _evidence(joint, rows, seen, texts), {}, first)
    drawn = dict(asked.sample(n, seed=seed))
    for again in range(1, _DRAWS):  # until no cell is drawn as missing, or as what stands for rare categories
        bad = np.zeros((n, rows.n), dtype=bool)
        for name, values in drawn.items():
            if name not in texts and name not in empty:
                bad |= ~filled(values) & (any_cell(~seen[name]) if name in rows else True)
        if not bad.any():
            break
        more = asked.sample(n, seed=seed + (again << 32))
        drawn = {k: np.where(bad.reshape(*bad.shape, *[1] * (v.ndim - 2)), more[k], v) for k, v in drawn.items()}
    for name, values in rows.items():  # what was there comes back as it was
        if name not in texts:
            drawn[name] = kept_or_drawn(values, seen[name], drawn.get(name), n)
        elif name in drawn:
            drawn[name] = continued(values, joint.columns[name].codec, drawn[name])
    return drawn


def _evidence(joint: Joint, rows: Columns, seen: dict[str, np.ndarray], texts: list[str]) -> dict[str, Any]:
    """What is there, as a query takes it: a text as the beginning of one."""
    evidence = dict[str, Any]()
    for name in joint.columns.keys() & rows.keys():
        values, there, codec = rows[name], seen[name], joint.columns[name].codec
        if codec.ragged and name not in texts:
            evidence[name] = values
        elif name in texts:
            evidence[name] = prefix(begun(values, codec))
        elif there.any():
            evidence[name] = Rows(values if there.all() else np.where(there, values, values[there][0]), there)
    return evidence


def unfillable(joint: Joint, source: Source) -> list[str]:
    """The columns whose holes cannot be filled, a line each: those the joint lacks, or never had a value to learn."""
    holes = dict[str, int]()
    for batch in source.runs():
        for name, values in batch.items():
            if name not in joint.columns or valueless(joint.columns[name]):
                holes[name] = holes.get(name, 0) + int((~present(values)).sum())
    why = {name: "was missing in every row that was learned from" if name in joint.columns else f"is not in {joint}"
           for name in holes}
    return [f"{name}: {count:,} holes stay, since the column {why[name]}" for name, count in holes.items() if count]
