"""Long tables: a row a moment of an item, as one row an item whose columns are values in a row, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from given.sources.clock import Clock, changing, plain
from given.sources.kinds import items, ragged
from given.sources.recognised import moments, parts_of, timed
from given.variables import UserError
from given.ways import way

__all__ = ["gathered", "numbered", "unrolled"]

Raw = dict[str, np.ndarray]


def gathered(columns: Mapping[str, np.ndarray], by: str | None, time: str | None,
             series: Sequence[str] = ()) -> tuple[Raw, Clock]:
    """A table with a row a moment as one with a row an item, in the order of their first rows, and their times.

    Columns that are constant within every item stay single values; all others are items (rows,) of an array each, ordered by
    time. Times that are evenly spaced, by one step in all items, are no column of values: what is kept of them is the first of
    each item, where items begin at different times. Where at most a third of them are missing, all else is missing there; but
    not on days of the week on which there is no market.

    Args:
        columns: name -> (rows, ...).
        by: the column that names the item; None: all rows are of one.
        time: the column to order by, of numbers, dates or times; None: as the rows stand.
        series: columns that are items though they do not differ within one.

    Raises:
        UserError: no such column, a missing name or time, a time that an item has twice, or no item of several rows.
    """
    if by is not None and by not in columns:
        raise UserError(f"by={by!r}: no such column; there are {', '.join(columns)}")
    if by is not None and by == time:
        raise UserError(f"{by}: is named by {way('by= and by time=', '--by and by --time')}; expected two columns")
    if nested := [name for name, values in columns.items() if ragged(values)]:
        raise UserError(f"{nested[0]}: holds lists, so a row is an item already; expected a value a row, or no by= and time=")
    parts = [] if time is None else parts_of(columns, time)
    columns, time = (columns, None) if time is None else timed(columns, time)
    n = len(next(iter(columns.values())))
    item = np.zeros(n, dtype=np.int64) if by is None else numbered(columns[by], by)
    times = np.arange(n) if time is None else moments(columns[time], time)
    order = np.lexsort((times, item))
    starts = np.flatnonzero(np.diff(item[order], prepend=-1))
    if time is not None:
        _check_ties(times[order], item[order], order, columns, by, time)
    clock = Clock(time or "", by, tuple(np.split(times[order], starts[1:])), tuple(parts))
    holes = _holes(clock)
    lengths, first = [len(each) for each in holes], np.repeat(starts, np.diff(starts, append=n))
    found = Raw()
    for name, values in columns.items():
        values = values[order]
        same = name == by or (name != time and name not in series and _alike(values, values[first]))
        found[name] = values[starts] if same else items(_opened(values, holes), lengths)
    if not any(ragged(values) for name, values in found.items() if name != time):
        raise UserError(f"{by}: no column differs within an item; expected items of several rows" if by is not None else
                        "no column differs from row to row; expected a series of several values")
    note = "" if time is None else f"{time}: {_said(clock, columns[time][order], starts)}"
    if time is not None and not np.array_equal(order, np.argsort(item, kind="stable")):
        note += "; rows were not in its order, and are sorted by it"
    times_ = clock.times
    if clock.step is not None:
        begins = columns[clock.name][order][starts]
        found.pop(clock.name)
        if not _alike(begins, begins[[0] * len(begins)]):
            found[clock.name] = begins
        times_ = tuple(clock.step.at(each[0], np.arange(len(hole))) if hole.any() else each
                       for each, hole in zip(clock.times, holes, strict=True))
    clock = replace(clock, times=times_, note=note)
    return {name: found[name] for name in columns if name in found}, clock


def _holes(clock: Clock) -> list[np.ndarray]:
    """For every item (length,) whether a place has no row: times that a step passes over."""
    found = list[np.ndarray]()
    for times in clock.times:
        filled = clock.step is not None and clock.step.missing and clock.step.unit != "weekday"
        places = clock.step.places(times) if filled and clock.step is not None else np.arange(len(times))
        found.append(np.ones(int(places[-1]) + 1, dtype=bool))
        found[-1][places] = False
    return found


def _opened(values: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """Values (rows, ...) end to end with what is missing where there are holes: NaN of numbers, else None or NaT."""
    hole = np.concatenate(holes)
    if not hole.any():
        return values
    if values.dtype.kind in "iuf":
        found = np.full((len(hole), *values.shape[1:]), np.nan)
    elif values.dtype.kind == "M":
        found = np.full((len(hole), *values.shape[1:]), np.datetime64("NaT"), dtype=values.dtype)
    else:
        found = np.full((len(hole), *values.shape[1:]), None, dtype=object)
    found[~hole] = values
    return found


def _said(clock: Clock, times: np.ndarray, starts: np.ndarray) -> str:
    """What the times of items are, in words."""
    if (step := clock.step) is None:
        longest = max(clock.times, key=len)
        apart = changing(longest)
        return f"no one step{f' ({apart})' * bool(apart)}; values are only numbered by it"
    alike = _alike(times[starts], times[starts][[0] * len(starts)])
    said = f"every {step}" + (f", from {plain(times[:1], times)[0]} on" if alike else "; the column is the first of each item")
    if not step.missing:
        return said
    if step.unit == "weekday":
        return f"{said}, but for {step.missing}, over which values go on"
    return f"{said}; {step.missing} times are missing, and are holes"


def numbered(names: np.ndarray, by: str) -> np.ndarray:
    """Items by their first row: (rows,) which each is."""
    if names.ndim > 1:
        raise UserError(f"{by}: has grids of values; expected a name of the item in every row")
    values = names.tolist()
    if (row := next((i for i, v in enumerate(values) if v is None or v != v), None)) is not None:
        raise UserError("is missing; expected the name of the item", row).at(by)
    number = {name: i for i, name in enumerate(dict.fromkeys(values))}
    return np.array([number[name] for name in values], dtype=np.int64)


def _check_ties(moments: np.ndarray, item: np.ndarray, order: np.ndarray, columns: Mapping[str, np.ndarray], by: str | None,
                time: str) -> None:
    """Raise where an item has two rows of one time."""
    if len(tie := np.flatnonzero((np.diff(item) == 0) & (moments[1:] == moments[:-1]))):
        before, row = sorted(order[tie[0]:tie[0] + 2].tolist())
        of = "" if by is None else f" of {by} {columns[by][row]}"
        out = (f"name the item by {way('by=', '--by')}, or a finer time" if by is None
               else "leave one out, or name a finer item or time")
        raise UserError(f"{columns[time][row]}{of} stands in row {before} too; expected one row a time; {out}", row).at(time)


def _alike(values: np.ndarray, others: np.ndarray) -> bool:
    """Whether values are the same, missing ones too."""
    same = np.asarray(values == others)
    return bool((same | (values != values) & (others != others)).all())


def unrolled(columns: Mapping[str, np.ndarray], first_item: int = 0) -> Raw:
    """One row an item as a long table: a row a value of its items, beside them what it has one of, repeated.

    Columns `item`, its number from `first_item` on, and `index`, the value's place in it, come first. Items are arrays
    (length,), and a grid (rows, length) is items of one length. Columns without items are returned as they are.

    Raises:
        UserError: items of a row whose lengths differ, or values that are grids.
    """
    rows = {name: values if ragged(values) else items(values.reshape(-1, *values.shape[2:]), [values.shape[1]] * len(values))
            for name, values in columns.items() if ragged(values) or values.ndim > 1}
    if not rows:
        return dict(columns)
    one, lengths = next(iter(rows)), np.array([-1 if item is None else len(item) for item in next(iter(rows.values()))])
    for name, values in rows.items():
        each = np.array([-1 if item is None else len(item) for item in values])
        if len(odd := np.flatnonzero((each != lengths) | (each < 0))):
            row = odd[0]
            got = "is missing" if each[row] < 0 else f"has {each[row]} values where {one} has {lengths[row]}"
            raise UserError(f"{got}; a long table has as many of every column; save as .jsonl or .parquet",
                            first_item + int(row)).at(name)
        if any(item.ndim > 1 for item in values):
            raise UserError(f"{name}: its values are grids, which no table holds; save as .jsonl or .parquet")
    found = {_free("item", columns): np.repeat(np.arange(len(lengths)) + first_item, lengths),
             _free("index", columns): np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)}
    for name, values in columns.items():
        found[name] = np.concatenate(list(rows[name])) if name in rows else np.repeat(values, lengths)
    return found


def _free(name: str, names: Mapping[str, Any]) -> str:
    while name in names:
        name += "_"
    return name
