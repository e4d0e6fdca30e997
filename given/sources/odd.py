"""Odd: cells that are no numbers where nearly all of their column are, and numbers without end."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from given.sources.columns import Columns
from given.sources.forms import readings
from given.sources.kinds import Kind
from given.variables import UserError, shown

__all__ = ["NUMBERED_CODE", "is_number", "odd_rows", "without_odd"]

NUMBERED_CODE = re.compile(r"[A-Za-z]{1,3}\d+|\d+[A-Za-z]", re.ASCII)
_FEW = 20  # at most so many distinct values are categories
_ODD = 10  # one in so many, at most, is a mistake


def is_number(value: object) -> bool:
    """Whether a value is a number or a time, however it is written."""
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return isinstance(value, str) and bool(readings(value))
    return True


def odd_rows(values: Sequence[object]) -> list[int]:
    """The rows of a few words among many numbers or times, which are a mistake more often than a category; not of codes, as of
    c168 among stations 1 to 200."""
    odd = [row for row, value in enumerate(values) if value is not None and not is_number(value)]
    few = _ODD * len(odd) <= len(values) and len(set(values)) > _FEW
    return odd if few and not all(NUMBERED_CODE.fullmatch(str(values[row])) for row in odd) else []


def without_odd(data: Columns, title: str, decimal: str | None = None, dayfirst: bool | None = None) -> Columns:
    """The rows of a table whose cells can be read, `skipped` naming the others; columns of numbers but for these are such.

    Args:
        data: in memory.
        title: what it is called.
        decimal, dayfirst: as of `read`.
    """
    bad, mended = dict[int, str](), list[str]()
    for name, values in data.items():
        if values.ndim != 1:
            continue
        cells = values.tolist()
        if values.dtype.kind == "f":
            bad |= {int(row): f"{name}: got {cells[row]}; expected a finite number" for row in np.flatnonzero(np.isinf(values))}
        elif values.dtype.kind in "OU" and data.dtypes.get(name) != "text" and all(isinstance(v, str | None) for v in cells):
            odd, n = odd_rows(cells), len(cells)
            bad |= {row: f"{name}: got {shown(cells[row])} where {n - len(odd):,} of {n:,} values are numbers or times"
                    for row in odd}
            mended += [name] * bool(odd)
    if not bad:
        return data
    if len(bad) == data.n:
        raise UserError(f"{title}: expected at least one row, got none; all {len(bad)} are bad, the first: {bad[min(bad)]}")
    kept = data.rows([row for row in range(data.n) if row not in bad])
    columns, dtypes, kinds = dict(kept), dict(kept.dtypes), dict(data.kinds)
    for name in mended:
        cells = ["" if value is None else value for value in columns[name].tolist()]
        kinds[name], dtype = Kind.of(cells).understood(decimal, dayfirst)
        columns[name] = kinds[name].array(cells)
        dtypes = {**{other: known for other, known in dtypes.items() if other != name}, **({name: dtype} if dtype else {})}
    found = Columns(columns, dtypes=dtypes)
    found.about = f"{data.about.replace(f'{data.n:,} rows', f'{found.n:,} rows')}, {len(bad):,} bad skipped"
    found.kinds, found.clock = kinds, data.clock
    found.skipped = [*data.skipped, *(f"{title}, row {row}: {bad[row]}" for row in sorted(bad))]
    return found
