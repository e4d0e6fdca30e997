"""Recognised: which column of a table is the time of a series, and which names whose it is, where nobody says so.

A table with a row a moment, not a table that has a date: times rise by one step, within a whole table or within the items that
one other column names, and there are some thirty of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from given.sources.clock import Step, changing
from given.sources.forms import ISO, common, readings
from given.sources.kinds import ragged
from given.variables import UserError, shown

__all__ = ["moments", "nearly", "parts_of", "recognised", "timed"]

_TIMED = re.compile(r"(^|[^a-z])(ds|time|timestamp|date|datetime|year|yr|quarter|month|week|day|hour|period|step|t)s?$",
                    re.IGNORECASE)
_NAMES = re.compile(r"(^|[^a-z])(id|item|series|name|key|unit|symbol|ticker|store|shop|station|country|state|region)$",
                    re.IGNORECASE)
_ENOUGH, _OF_A_CONVENTION = 30, 8  # moments of an item that make it a series; of one whose columns are called as series' are
_MANY = 1 << 18  # rows that are looked at
_PARTS = {"year": (0, 1, "Y"), "quarter": (4, 3, "M"), "month": (12, 1, "M"), "day": (366, 1, "D"), "hour": (24, 1, "h")}
_DAYS = np.datetime64("1700-01-01"), np.datetime64("2200-01-01")  # that whole numbers such as 20240131 may be
_NEARLY = 0.9  # of rows whose times differ from all others'
_ALIKE = 0.5  # of texts that differ from row to row are no categories


def recognised(columns: Mapping[str, np.ndarray], by: str | None = None) -> tuple[str | None, str] | None:
    """The column that names the item, or None where all rows are of one, and that of the times, or those, such as "year,
    quarter"; None where the table is none of series.

    Args:
        columns: name -> (rows, ...).
        by: the column that names the item, where it is known.
    """
    if (by is not None and by not in columns) or any(ragged(values) or values.ndim > 1 for values in columns.values()):
        return None
    some = {name: values[:_MANY] for name, values in columns.items()}
    dated = sorted(_timed(some), key=lambda name: (some[name].dtype.kind in "iuf", not _TIMED.search(name)))
    for time in (*_parted(some), *dated):
        try:
            each, name = timed(some, time)
            times = moments(each.pop(name), name)
        except UserError:
            continue
        for item in (None, *_naming(each)) if by is None else (by,):
            convention = (item, time) == ("unique_id", "ds")
            values = [values for name, values in each.items() if name != item]
            if _of_values(values) and _is_series(times, None if item is None else each[item],
                                                 _OF_A_CONVENTION if convention else _ENOUGH):
                return item, time
    return None


def nearly(columns: Mapping[str, np.ndarray]) -> str:
    """Why a table that is none of series is not, where its dates nearly make it one; else nothing."""
    if recognised(columns) is not None or any(ragged(values) or values.ndim > 1 for values in columns.values()):
        return ""
    for time in _timed(columns):
        try:
            times = moments(columns[time], time)
        except UserError:
            continue
        order = np.argsort(times, kind="stable")
        new = np.r_[True, np.diff(times[order]) > np.zeros(1, dtype=np.diff(times).dtype)]
        if times.dtype.kind != "M" or new.sum() < max(_ENOUGH, _NEARLY * len(times)):
            continue
        if Step.of((times[order][new],)) is None:
            if new.all() and (apart := changing(times[order])):
                return f"{time}: rows are no series, since its step changes ({apart})"
        elif not new.all():
            first, second = sorted(order[np.flatnonzero(~new)[0] - 1:][:2].tolist())
            return f"{time}: rows are no series, since {columns[time][second]} stands in rows {first} and {second}"
    return ""


def parts_of(columns: Iterable[str], time: str) -> list[str]:
    """The columns that a time is read from: itself, or of "year, quarter" both.

    Raises:
        UserError: no such column.
    """
    columns = list(columns)
    parts = [time] if time in columns else [part.strip() for part in time.split(",")]
    for part in parts:
        if part not in columns:
            raise UserError(f"time={time!r}: no such column; there are {', '.join(columns)}")
    return parts


def timed(columns: Mapping[str, np.ndarray], time: str) -> tuple[dict[str, np.ndarray], str]:
    """The same columns with one of times, and its name: "date" in place of those that a date stands in part by part.

    Raises:
        UserError: no such columns, or parts that make no date.
    """
    parts = parts_of(columns, time)
    if len(parts) == 1:
        return dict(columns), time
    units = [part.lower() for part in parts]
    if units[0] != "year" or any(unit not in _PARTS for unit in units):
        raise UserError(f"time={time!r}: expected one column, or the parts of a date, year first, of {', '.join(_PARTS)}")
    when = _whole(columns[parts[0]], parts[0]).astype("M8[Y]") - 1970
    for part, unit in zip(parts[1:], units[1:], strict=True):
        most, every, dtype = _PARTS[unit]
        number = _whole(columns[part], part)
        least = int(unit != "hour")
        if len(wrong := np.flatnonzero((number < least) | (number >= most + least))):
            raise UserError(f"got {number[wrong[0]]}; expected {least} to {most + least - 1}", int(wrong[0])).at(part)
        when = when.astype(f"M8[{dtype}]") + (number - least) * every
    name = "date"
    while name in columns:
        name += "_"
    return {name: when.astype("M8[us]"), **{key: values for key, values in columns.items() if key not in parts}}, name


def _whole(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype.kind not in "iuf" or not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        raise UserError(f"{name}: expected whole numbers, which are part of a date")
    return values.astype(np.int64)


def _parted(columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Columns that are the parts of a date, as one time."""
    named = {name.lower(): name for name in reversed(list(columns)) if columns[name].dtype.kind in "iuf"}
    parts = [unit for unit in _PARTS if unit in named and (unit != "month" or "quarter" not in named)]
    if len(parts) > 1 and parts[0] == "year" and (parts[1] != "day" or len(parts) == 2):
        yield ", ".join(named[unit] for unit in parts)


def _timed(columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Columns of dates and times, and of numbers under a name of times."""
    for name, values in columns.items():
        if values.dtype.kind == "M" or (values.dtype.kind in "iuf" and _TIMED.search(name)):
            yield name
        elif values.dtype.kind in "OU":
            cells = [cell for cell in values[:100].tolist() if cell is not None]
            if cells and all(isinstance(cell, str) and "-" in cell for cell in cells) and ISO in common(cells):
                yield name


def _naming(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Columns that may name items: of texts or whole numbers that recur, those that are called so first."""
    found = list[str]()
    for name, values in columns.items():
        if values.dtype.kind in "OUiub" and not _missing(values) and name.lower() not in _PARTS:
            count = len(set(values.tolist()))
            if 1 < count <= len(values) // _OF_A_CONVENTION:
                found.append(name)
    return sorted(found, key=lambda name: (not _NAMES.search(name), columns[name].dtype.kind in "iub"))


def _missing(values: np.ndarray) -> bool:
    return values.dtype.kind == "O" and any(value is None or value != value for value in values.tolist())


def _is_series(times: np.ndarray, by: np.ndarray | None, least: int) -> bool:
    """Whether times rise by one step within items that have so many."""
    numbers = np.zeros(len(times), dtype=np.int64) if by is None else np.unique(by.astype(str), return_inverse=True)[1]
    order = np.lexsort((times, numbers))
    parts = np.split(times[order], np.flatnonzero(np.diff(numbers[order])) + 1)
    lengths = np.array([len(part) for part in parts])
    if np.median(lengths) < least:
        return False
    if any((part[1:] == part[:-1]).any() for part in parts):
        return False
    rising = times.dtype.kind == "M" or all((np.diff(times[numbers == k]) > 0).all() for k in range(len(parts)))
    return rising and Step.of(parts) is not None


def _of_values(columns: Sequence[np.ndarray]) -> bool:
    """Whether some column is of numbers that differ, and none of texts that mostly do."""
    texts = [values.tolist() for values in columns if values.dtype.kind in "OU"]
    return any(values.dtype.kind in "iufb" and len(np.unique(values)) > 1 for values in columns) and not any(
        len(set(map(str, cells))) > _ALIKE * len(cells) for cells in texts)


def moments(times: np.ndarray, name: str) -> np.ndarray:
    """Numbers as they are, dates and times as datetime64."""
    if times.ndim > 1 or times.dtype.kind not in "iufMOU":
        what = f"{times.dtype}{list(times.shape[1:]) or ''}"
        raise UserError(f"{name}: got {what}; expected a number, a date or a time in every row")
    values = times.tolist()
    if (row := next((i for i, v in enumerate(values) if v is None or v != v), None)) is not None:
        raise UserError("is missing; expected the time of the row", row).at(name)
    if times.dtype.kind in "iu" and (days := _days(times)) is not None:
        return days
    if times.dtype.kind in "iufM":
        return times
    found = np.empty(len(values), dtype="M8[us]")
    for row, value in enumerate(values):
        try:
            if ISO not in readings(value):
                raise ValueError
            found[row] = np.datetime64(value if "-" in value else f"1970-01-01T{value}")
        except (ValueError, TypeError):
            zone = f", and a zone as {shown(values[0])}, or none" if isinstance(value, str) and readings(value) else ""
            raise UserError(f"got {shown(value)}; expected a number, a date or a time, all written in one way{zone}", row).at(
                name) from None
    return found


def _days(times: np.ndarray) -> np.ndarray | None:
    """Whole numbers such as 20240131 as days, where all are."""
    year, month, day = times // 10_000, times // 100 % 100, times % 100
    first, last = (int(str(each).replace("-", "")) for each in _DAYS)
    if not len(times) or (times < first).any() or (times >= last).any() or ((month < 1) | (month > 12) | (day < 1)).any():
        return None
    found = (year - 1970).astype("M8[Y]").astype("M8[M]") + (month - 1) + np.timedelta64(0, "M")
    days = found.astype("M8[D]") + (day - 1)
    return days.astype("M8[us]") if (days.astype("M8[M]") == found).all() else None
