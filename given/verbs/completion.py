"""Completion: the holes of rows filled by draws from p(missing | what is there)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.codecs import Set
from given.distributions import How, Intractable
from given.infer import Rows, Without, prefix
from given.joint import Joint
from given.sources import Columns, Source, end_to_end, ragged, stacked
from given.variables import UserError
from given.verbs.holes import (
    any_cell,
    beginnings,
    begun,
    broken_row,
    broken_within,
    continued,
    each_apart,
    filled,
    fills_within,
    gone_on,
    kept_or_drawn,
    mended,
    no_values,
    present,
    valueless,
)
from given.verbs.query import Query

__all__ = ["completed", "unfillable"]

_ROWS = 1 << 12  # completed at once
# A row whose holes are not all filled is drawn again as a whole, which is p(holes | the rest, all are filled). Where that is
# too rarely so, what was filled is kept, and the others are drawn given it, and without what is no value where that can be.
_DRAWS, _WHOLE = 100, 10


def completed(joint: Joint, source: Source, n: int, seed: int, length: int | None = None) -> dict[str, np.ndarray]:
    """The rows of a source with their holes filled, each column (n, rows, ...); texts and series go on to a length.

    Raises:
        UserError: there is no row.
    """
    first, parts = 0, list[dict[str, np.ndarray]]()
    for batch in source.batches(_ROWS):
        long = length is None and any(name in batch and broken_within(batch[name]) and max(
            len(item) for item in beginnings(batch[name])) > joint.columns[name].space.axes[0].size for name in joint.windowed)
        parts.append(_by_windows(joint, batch, n, seed, first) if long else _apart(joint, batch, n, seed, first, length))
        first += batch.n
    if not parts:
        raise UserError("complete: expected at least one row, got none")
    whole = {name: stacked([part[name] for part in parts], 1, 2) for name in parts[0]}
    return {name: whole[name] for name in dict.fromkeys([*source.names, *whole])}


def _apart(joint: Joint, rows: Columns, n: int, seed: int, first: int, length: int | None) -> dict[str, np.ndarray]:
    """`_completed` of the rows that lack the same sets, a set as a whole, and of all others."""
    sets = [name for name in rows if name in joint.columns and isinstance(joint.columns[name].codec, Set)]
    lacking = np.array([~any_cell(present(rows[name])) for name in sets], dtype=bool).reshape(len(sets), rows.n).T
    parts, order = list[dict[str, np.ndarray]](), list[np.ndarray]()
    for which in np.unique(lacking, axis=0):
        some = np.flatnonzero((lacking == which).all(1))
        parts.append(_completed(joint, rows.rows(some), n, seed, torch.from_numpy(first + some), length))
        order.append(some)
    back = np.argsort(np.concatenate(order))
    return {name: stacked([part[name] for part in parts], 1, 2)[:, back] for name in parts[0]}


def _by_windows(joint: Joint, rows: Columns, n: int, seed: int, first: int) -> dict[str, np.ndarray]:
    """`_completed` of items longer than a window, window by window: of each what lies between its first and its last quarter is
    kept, which is filled given what stands before it and after it."""
    windowed = [name for name in joint.windowed if name in rows]
    W = joint.columns[windowed[0]].space.axes[0].size
    every = rows.rows(np.tile(np.arange(rows.n), n))
    items = {name: [np.array(item) for item in beginnings(every[name])] for name in windowed}
    lengths, whole = np.array([len(item) for item in items[windowed[0]]]), dict[str, np.ndarray]()
    for start in range(0, max(1, int(lengths.max()) - W // 2), max(1, W // 2)):
        some = np.flatnonzero((lengths > start + W // 2) | (start == 0))
        cut = dict(every.rows(some))
        for name in windowed:
            cut[name] = each_apart([items[name][row][start:start + W] for row in some])
        found = _completed(joint, Columns(cut), 1, seed + (start << 32), first + torch.arange(len(some)), None)
        for name in windowed:
            for row, values in zip(some, found[name][0], strict=True):
                upto = W if start + W >= lengths[row] else W - W // 4
                items[name][row][start:start + upto] = np.asarray(values)[:upto]
        if not start:
            whole = {name: values.reshape(n, rows.n, *values.shape[2:]) for name, values in found.items()}
    for name in windowed:
        whole[name] = each_apart(items[name]).reshape(n, rows.n)
    return whole


def _completed(joint: Joint, rows: Columns, n: int, seed: int, first: Tensor, length: int | None) -> dict[str, np.ndarray]:
    """Rows whose sets are there or not in all of them alike, of these numbers (rows,)."""
    seen = {name: present(values) for name, values in rows.items()}
    runs = [name for name, v in joint.columns.items() if v.codec.ragged and not isinstance(v.codec, Set)]
    texts = [name for name in runs if joint.columns[name].codec.item_axes == 0]
    series = [name for name in runs if name not in texts]
    longer = _longer(joint, rows, series, length)
    broken = {name: at for name in series if name in rows and (at := broken_row(rows[name])) is not None}
    stay = {name for name in broken if broken_within(rows[name]) and not fills_within(joint, name)}
    asked = Query(joint, _evidence(joint, rows, seen, texts, longer), {}, first, n=rows.n)
    try:
        drawn = _drawn(joint, asked, stay, n, seed, length)
    except Intractable as error:
        for name, at in broken.items():
            raise UserError(f"{name}, row {int(first[at])}: a value within it is missing, and others are drawn given it: "
                            f"{error}") from None
        raise
    drawable = [name for name, v in joint.columns.items() if name not in texts and name not in series and not valueless(v)]
    holed = {name: any_cell(~seen[name]) if name in rows else np.ones(rows.n, dtype=bool) for name in drawable}
    none = Without({name: found for name in drawable if (found := no_values(joint.columns[name])) is not None})
    for again in range(1, _DRAWS):
        bad = {name: ~filled(drawn[name]) & holed[name] for name in drawable if name in drawn}
        draw, row = np.nonzero(np.any([*bad.values(), np.zeros((n, rows.n), dtype=bool)], axis=0))
        if not len(row):
            break
        some, there = dict(rows.rows(row)), {name: mask[row] for name, mask in seen.items()}
        if again >= _WHOLE:
            for name in (name for name in bad if drawn[name].ndim == 2):
                there[name] = there.get(name, False) | ~bad[name][draw, row]
                some[name] = drawn[name][draw, row].astype(object)
                some[name][~there[name]] = None
        number = first[row] + torch.from_numpy(draw << 40)
        asked = Query(joint, _evidence(joint, some, there, texts, longer), {}, number, n=len(row))
        more = _drawn(joint, asked, stay, 1, seed + (again << 32), length, none if again >= _WHOLE else None)
        place = np.arange(n * rows.n).reshape(n, rows.n)
        place[draw, row] = n * rows.n + np.arange(len(row))
        for name, values in more.items():  # texts and series too: they were drawn beside what is drawn again
            drawn[name] = stacked([drawn[name].reshape(-1, *drawn[name].shape[2:]), values[0]], 0, 1)[place]
    for name, values in rows.items():  # what was there comes back as it was
        if name in longer:
            drawn[name] = gone_on(values, drawn[name])
        elif name in broken and name in drawn:
            drawn[name] = mended(values, drawn[name])
        elif name not in texts:
            drawn[name] = kept_or_drawn(values, seen[name], drawn.get(name), n)
        elif name in drawn:
            drawn[name] = continued(values, joint.columns[name].codec, drawn[name])
    return drawn


def _drawn(joint: Joint, query: Query, stay: set[str], n: int, seed: int, length: int | None,
           how: How | None = None) -> dict[str, np.ndarray]:
    """Draws of all columns but those that stay as they are."""
    names = [name for name in joint.columns if name not in stay and name not in joint.conditions] if stay else None
    return {} if names == [] else dict(query.sample(n, columns=names, seed=seed, how=how,
                                                       length=length))


def _longer(joint: Joint, rows: Columns, series: list[str], length: int | None) -> set[str]:
    """The series of rows that go on: to a length, or as far as what is given along their axis; or that a row has nothing of."""
    counts = {name: np.array([0 if item is None else len(item) for item in rows[name]]) for name in series if name in rows}
    given = [(axis, each) for name, each in counts.items() if name in joint.conditions
             and (axis := joint.columns[name].codec.along) is not None]

    def goes_on(name: str) -> bool:
        there, axis = counts[name], joint.columns[name].codec.along
        return (length is not None or bool((there == 0).any())
                or any(axis is not None and axis.shares(other) and bool((there < each).any()) for other, each in given))

    return {name for name in counts if name not in joint.conditions and goes_on(name)}


def _evidence(joint: Joint, rows: Mapping[str, np.ndarray], seen: dict[str, np.ndarray], texts: list[str],
              longer: set[str]) -> dict[str, Any]:
    """What is there, as a query takes it: a text as the beginning of one, and so a series that goes on."""
    evidence = dict[str, Any]()
    for name in joint.columns.keys() & rows.keys():
        values, there, codec = rows[name], seen[name], joint.columns[name].codec
        if name in longer:
            evidence[name] = prefix(beginnings(values))
        elif codec.ragged and name not in texts and not isinstance(codec, Set):
            evidence[name] = values
        elif name in texts:
            evidence[name] = prefix(begun(values, codec))
        elif there.any() and isinstance(codec, Set):  # of all rows
            evidence[name] = Rows(values)
        elif there.any():
            evidence[name] = Rows(values if there.all() else np.where(there, values, values[there][0]), there)
    return evidence


def unfillable(joint: Joint, source: Source) -> list[str]:
    """The columns whose holes cannot be filled, a line each: those the joint lacks, those that never had a value to learn, and
    those within series, which are drawn from their end on."""
    holes, why = dict[str, int](), dict[str, str]()
    for batch in source.runs():
        for name, values in batch.items():
            series, values = values, end_to_end(values)[0] if ragged(values) else values
            if name not in joint.columns:
                why[name] = f"is not in {joint}"
            elif joint.columns[name].codec.ragged and broken_within(series) and not fills_within(joint, name):
                why[name] = "is of series that are drawn in one order, which go on at their end and are not filled within"
            elif valueless(joint.columns[name]):
                why[name] = "was missing in every row that was learned from"
            else:
                continue
            holes[name] = holes.get(name, 0) + int((~present(values)).sum())
    return [f"{name}: {count:,} holes stay, since the column {why[name]}" for name, count in holes.items() if count]
