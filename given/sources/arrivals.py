"""Arrivals: a table with a row an arrival, as rows of waits and marks.

An item is a run of arrivals of one host, or of all: how long each came after the one before, and what it was. The first arrival
of a host begins its time, and is in no run. Long records are cut into runs, so that some can be held out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from given.sources.columns import Columns
from given.sources.kinds import items
from given.sources.long import numbered
from given.sources.read import read
from given.sources.recognised import moments
from given.variables import UserError

__all__ = ["arrivals"]

_RUN, _SHORT, _MANY = 256, 4, 12  # arrivals of a run, at most and at least; how many runs there should be
_NAMES = {"time": ("time", "timestamp", "ds", "datetime", "date", "t"), "mark": ("mark", "type", "event", "kind"),
          "by": ("item", "unique_id", "host", "source", "user")}


def arrivals(path: str | os.PathLike[str], *, time: str | None = None, mark: str | None = None, by: str | None = None,
             run: int | None = None) -> Columns:
    """Runs of arrivals: the columns wait, mark where there is one, and what each is of: begins (the time it is waited from)
    and the item, where there is one.

    Args:
        path: a table, in any order of its rows.
        time: the column of times, numbers or dates; by default of such a name, or the one of such values.
        mark: that of what arrived; by default of such a name, or the one that is left.
        by: that of whose arrival it is; by default of such a name.
        run: the most arrivals of a run; by default 256, or fewer where there would be fewer than 12 runs, 4 at least.

    Waits are in seconds where times are dates, else in their units. Raises `UserError` where it is not clear which column is
    which, a time or a name is missing, or no item has two arrivals.
    """
    table = read(path)
    columns = table if isinstance(table, Columns) else Columns({name: np.concatenate(
        [batch[name] for batch in table.runs()]) for name in table.names})
    names = _roles(columns, {"time": time, "mark": mark, "by": by}, os.fspath(path))
    when = moments(columns[names["time"]], names["time"])
    item = numbered(columns[names["by"]], names["by"]) if "by" in names else np.zeros(len(when), dtype=np.int64)
    order = np.lexsort((when, item))
    wait = np.diff(when[order])
    later = np.flatnonzero(np.diff(item[order]) == 0)  # the places in order before arrivals that have a wait
    if not len(later):
        raise UserError(f"{path}: no two arrivals{' of one ' + names['by'] if 'by' in names else ''}; expected at least two")
    number = np.arange(len(later)) - np.searchsorted(item[order][later], item[order][later])
    first = np.flatnonzero(number % (run or min(_RUN, max(_SHORT, len(later) // _MANY))) == 0)
    lengths = np.diff(first, append=len(later)).tolist()
    if not (wait[later] > wait.dtype.type(0)).any():
        raise UserError(f"{path}: all arrivals{' of one ' + names['by'] if 'by' in names else ''} are at one time; expected "
                        "two times or more")
    seconds = wait / np.timedelta64(1, "s") if wait.dtype.kind == "m" else wait.astype(np.float64)
    found = {"wait": items(seconds[later], lengths), "begins": columns[names["time"]][order[later[first]]]}
    if "mark" in names:
        marks = columns[names["mark"]]
        if (row := next((i for i, v in enumerate(marks.tolist()) if v is None or v != v), None)) is not None:
            raise UserError("is missing; expected the mark of the arrival; write one, such as unknown", row).at(names["mark"])
        found["mark"] = items(marks[order[later + 1]].astype(str), lengths)
    if "by" in names:
        found[names["by"]] = columns[names["by"]][order[later[first]]]
    return Columns(found)


def _roles(columns: Mapping[str, np.ndarray], stated: Mapping[str, str | None], path: str) -> dict[str, str]:
    """Which column is the time, the mark and the item.

    Raises:
        UserError: none is the time, or several may be the mark.
    """
    names = list(columns)
    for role, name in stated.items():
        if name is not None and name not in names:
            raise UserError(f"{role}={name!r}: no such column; there are {', '.join(names)}")
    found = {role: name for role, name in stated.items() if name is not None}
    for role, usual in _NAMES.items():
        if role not in found:
            named = [name for name in names if name.lower() in usual and name not in found.values()]
            found |= {role: named[0]} if len(named) == 1 else {}
    if "time" not in found:
        timed = [name for name in names if name not in found.values() and _timed(columns[name])]
        found["time"] = _only(timed, "time", names, path)
    rest = [name for name in names if name not in found.values()]
    if "mark" not in found and rest:
        found["mark"] = _only(rest, "mark", names, path)
        rest = []
    if rest and not any(stated.values()):
        raise UserError(f"{path}: columns {', '.join(rest)} beside the time and the mark of arrivals; leave them out, or learn "
                        "the table as it stands, without --task")
    return found


def _only(names: Sequence[str], role: str, every: Sequence[str], path: str) -> str:
    if len(names) != 1:
        rest = ", ".join(names)
        raise UserError(f"{path}: expected a column {role}, got {', '.join(every)}; name one so"
                        f"{f', or leave out all but one of {rest}' * bool(names)}; a table without times is "
                        "learned without --task, and given score --anomalies ranks its rows")
    return names[0]


def _timed(values: np.ndarray) -> bool:
    try:
        moments(values, "")
    except UserError:
        return False
    return values.dtype.kind != "b"
