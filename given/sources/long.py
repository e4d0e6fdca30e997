"""Long tables: a row a moment of an item, as one row an item whose columns are values in a row, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.sources.clock import Clock
from given.sources.forms import readings
from given.sources.kinds import items, ragged
from given.variables import UserError, shown
from given.ways import way

__all__ = ["gathered", "unrolled"]

Raw = dict[str, np.ndarray]


def gathered(columns: Mapping[str, np.ndarray], by: str | None, time: str | None) -> tuple[Raw, str, Clock]:
    """A table with a row a moment as one with a row an item, in the order of their first rows, a note on its times,
    and these.

    Columns that are constant within every item stay single values; all others are items (rows,) of an array each, ordered by
    time. Times that are evenly spaced, by one step in all items, are no column of values: what is kept of them is the first of
    each item, where items begin at different times.

    Args:
        columns: name -> (rows, ...).
        by: the column that names the item; None: all rows are of one.
        time: the column to order by, of numbers, dates or times; None: as the rows stand.

    Raises:
        UserError: no such column, a missing name or time, a time that an item has twice, or no item of several rows.
    """
    for option, name in (("by", by), ("time", time)):
        if name is not None and name not in columns:
            raise UserError(f"{option}={name!r}: no such column; there are {', '.join(columns)}")
    if by is not None and by == time:
        raise UserError(f"{by}: is named by {way('by= and by time=', '--by and by --time')}; expected two columns")
    if nested := [name for name, values in columns.items() if ragged(values)]:
        raise UserError(f"{nested[0]}: holds lists, so a row is an item already; expected a value a row, or no by= and time=")
    n = len(next(iter(columns.values())))
    item = np.zeros(n, dtype=np.int64) if by is None else _numbered(columns[by], by)
    moments = np.arange(n) if time is None else _moments(columns[time], time)
    order = np.lexsort((moments, item))
    starts = np.flatnonzero(np.diff(item[order], prepend=-1))
    lengths = np.diff(starts, append=n)
    if time is not None:
        _check_ties(moments[order], item[order], order, columns, by, time)
    found, first = Raw(), np.repeat(starts, lengths)
    for name, values in columns.items():
        values = values[order]
        found[name] = values[starts] if name == by or _alike(values, values[first]) else items(values, lengths.tolist())
    if not any(map(ragged, found.values())):
        raise UserError(f"{by}: no column differs within an item; expected items of several rows" if by is not None else
                        "no column differs from row to row; expected a series of several values")
    note = ""
    if time is not None and (step := _step(moments[order], starts)):
        begins = columns[time][order][starts]
        note = f"{time}: every {step}, from {begins[0]} on"
        found.pop(time)
        if not _alike(begins, begins[[0] * len(begins)]):
            found[time], note = begins, f"{time}: every {step}; the column is the first of each item"
    clock = Clock(time or "", by, tuple(np.split(moments[order], starts[1:])))
    return {name: found[name] for name in columns if name in found}, note, clock


def _numbered(names: np.ndarray, by: str) -> np.ndarray:
    """Items by their first row: (rows,) which each is."""
    if names.ndim > 1:
        raise UserError(f"{by}: has grids of values; expected a name of the item in every row")
    values = names.tolist()
    if (row := next((i for i, v in enumerate(values) if v is None or v != v), None)) is not None:
        raise UserError("is missing; expected the name of the item", row).at(by)
    number = {name: i for i, name in enumerate(dict.fromkeys(values))}
    return np.array([number[name] for name in values], dtype=np.int64)


def _moments(times: np.ndarray, name: str) -> np.ndarray:
    """Numbers as they are, dates and times as datetime64."""
    if times.ndim > 1 or times.dtype.kind not in "iufMOU":
        what = f"{times.dtype}{list(times.shape[1:]) or ''}"
        raise UserError(f"{name}: got {what}; expected a number, a date or a time in every row")
    values = times.tolist()
    if (row := next((i for i, v in enumerate(values) if v is None or v != v), None)) is not None:
        raise UserError("is missing; expected the time of the row", row).at(name)
    if times.dtype.kind in "iufM":
        return times
    found = np.empty(len(values), dtype="M8[us]")
    for row, value in enumerate(values):
        try:
            if not readings(value):
                raise ValueError
            found[row] = np.datetime64(value if "-" in value else f"1970-01-01T{value}")
        except (ValueError, TypeError):
            raise UserError(f"got {shown(value)}; expected a number, a date or a time, all written in one way", row).at(
                name) from None
    return found


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


def _step(moments: np.ndarray, starts: np.ndarray) -> str:
    """The one step between all moments of every item, such as "1 month"; nothing where there are several."""
    later = np.ones(len(moments), dtype=bool)
    later[starts] = False

    def one(counted: np.ndarray) -> Any:
        steps = np.diff(counted, prepend=counted[:1])[later]
        alike = np.allclose(steps, steps[0], rtol=1e-6) if steps.dtype.kind == "f" else (steps == steps[0]).all()
        return steps[0] if alike else None

    if moments.dtype.kind != "M":
        return "" if (step := one(moments)) is None else f"{step:g}"
    for shifted in (moments, moments + np.timedelta64(1, "D")):  # the last of a month is the day before the first
        months = shifted.astype("M8[M]")
        rest = shifted - months
        if (rest == rest[0]).all() and (step := one(months)) is not None:
            return _counted(step.astype(int), "month")
    if (step := one(moments)) is None:
        return ""
    seconds = float(step / np.timedelta64(1, "s"))
    return _counted(seconds / 86400, "day") if seconds % 86400 == 0 else _counted(seconds, "second")


def _counted(count: float, what: str) -> str:
    return what if count == 1 else f"{count:g} {what}s"


def unrolled(columns: Mapping[str, np.ndarray]) -> Raw:
    """One row an item as a long table: a row a value of its items, beside them what it has one of, repeated.

    Columns `item`, its number, and `index`, the value's place in it, come first. Items are arrays (length,), and a grid (rows,
    length) is items of one length. Columns without items are returned as they are.

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
            raise UserError(f"{got}; a long table has as many of every column; save as .jsonl or .parquet", int(row)).at(name)
        if any(item.ndim > 1 for item in values):
            raise UserError(f"{name}: its values are grids, which no table holds; save as .jsonl or .parquet")
    found = {_free("item", columns): np.repeat(np.arange(len(lengths)), lengths),
             _free("index", columns): np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)}
    for name, values in columns.items():
        found[name] = np.concatenate(list(rows[name])) if name in rows else np.repeat(values, lengths)
    return found


def _free(name: str, names: Mapping[str, Any]) -> str:
    while name in names:
        name += "_"
    return name
