"""Checks: what callers hand to verbs, as columns, names and seeds; how many rows are taken at once."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from given.joint import Joint
from given.sources import Columns, Crops, Learned, Source, Stream, parts_held, read
from given.variables import Entries, UserError, nearest, shown
from given.ways import way

__all__ = ["ENTRIES_AT_ONCE", "check_draws", "check_known", "check_room", "check_unweighted", "columns_of", "count_rows",
           "drawing", "draws_at_once", "items", "named", "rows_at_once", "spelled", "whole_seed"]

ENTRIES_AT_ONCE, READ_AT_ONCE = 1 << 16, 1 << 22
_FEW_DRAWS = 64  # below which steps cost as much as draws


def check_known(names: Any, among: Sequence[str], what: str, dtypes: Mapping[str, Any] | None = None) -> None:
    """Raise `UserError` for a name that is not among those there are; `what` is where it was handed in, `dtypes` what is known
    of columns, which may hold others."""
    for name in names:
        for whole, parts in ((whole, parts_held(dtype)) for whole, dtype in (dtypes or {}).items() if name not in among):
            if name in parts:
                raise UserError(f"{what}: {name} is number {parts.index(name)} of {whole}, which holds {', '.join(parts)}, in "
                                f"this order; give all of {whole}")
        if name not in among:
            odd = next((known for known in among if not known.isidentifier() and str(name) in known), None)
            hint = f"; in a formula it stands in backticks, `{odd}`" if what == "formula" and odd is not None else ""
            raise UserError(f"{what}: unknown name {shown(name)}; {nearest(name, among)}{hint}")


def check_unweighted(facts: Mapping[str, Any], rows: Mapping[str, Any], verb: str) -> None:
    """Raise `UserError` where rows have the weights that a model of these facts learned by, not all alike: `verb` counts all
    rows alike."""
    weight = facts.get("fit", {}).get("weight")
    if weight in rows and len(set(rows[weight].tolist())) > 1:
        raise UserError(f"{verb}: {weight} holds weights of rows, and {verb} counts every row alike; leave that column out of "
                        "the rows to have them counted so")


def count_rows(source: Source) -> int:
    """How many rows a source has; a pass over it where it does not know."""
    return source.n if isinstance(source, Columns | Crops | Stream) else sum(batch.n for batch in source.runs())


def named(data: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping or a frame, and columns by keyword, as one mapping."""
    if data is not None and not isinstance(data, Mapping):
        data = read(data)
        if not isinstance(data, Mapping):
            raise UserError(f"expected a mapping or columns by keyword, got {type(data).__name__}")
    return {**(data or {}), **columns}


def drawing(joint: Joint, observed: dict[str, Any]) -> dict[str, Any]:
    """What is passed to `sample` beside what is observed, taken out of that: no column has its name."""
    return {name: observed.pop(name) for name in ("length", "where") if name in observed and name not in joint.columns}


def columns_of(joint: Joint, notes: Sequence[str], data: Mapping[str, Any]) -> dict[str, Any]:
    """A table's columns without those a model left out, as its notes say, or, where it has all of the model's, without any
    others."""
    mine = joint.columns.keys() - joint.latents
    left_out = {note.partition(": ")[0] for note in notes}
    return {k: v for k, v in data.items()
            if k in joint.columns or not (k in left_out or all(name in data for name in mine))}


def itemised(data: Any, cells: Mapping[str, Learned]) -> bool:
    """Whether data is a plain mapping of items, and no table with a row a moment, as it has the times of those learned from."""
    times = [name for name, each in cells.items() if each.along == "time"]
    return isinstance(data, Mapping) and not isinstance(data, Source) and not (times and all(name in data for name in times))


def items(joint: Joint, values: Mapping[str, Any]) -> Columns:
    """Columns of values, a single item's repeated for as many as the others have."""
    arrays = dict(Columns(values, 0))
    single = [name for name, v in arrays.items() if name in joint.columns and joint.columns[name].codec.single(v)]
    n = max((len(v) for name, v in arrays.items() if name not in single and v.ndim), default=1)
    return Columns({name: v[None].repeat(n, 0) if name in single else v for name, v in arrays.items()})


def spelled(columns: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Columns by keyword under the names they have: Python spells keywords in NFKC, where \u00b5 becomes \u03bc."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(unicodedata.normalize("NFKC", name), []).append(name)

    def proper(name: str) -> str:
        found = alike.get(unicodedata.normalize("NFKC", name), [])
        return found[0] if name not in names and len(found) == 1 else name

    return {proper(name): value for name, value in columns.items()}


def check_draws(joint: Joint, how: Any, length: Any, verb: str) -> None:
    """Raise `UserError` for a length or a way to draw that cannot be meant; `verb` is what was called."""
    if length is not None and (not isinstance(length, int | np.integer) or isinstance(length, bool) or length < 1):
        raise UserError(f"{verb}: length={shown(length)}; expected a whole number of entries from 1")
    if length is not None and not any(factor.x.codec.along for factor in joint):
        less = way(f"how=MaxLength({length})", f"--longest {length}")
        raise UserError(f"{verb}: {way('length=', '--length ')}{length}; {joint} has nothing that may be longer than its "
                        f"window, so its length is drawn or fixed; use {less} for less")
    if how is not None and not callable(how):
        raise UserError(f"{verb}: how={how!r}; expected a map from distribution to distribution, as TopP(0.9)")


def check_room(joint: Joint, given: Mapping[str, Entries], begun: Set[str], length: Any) -> None:
    """Raise where the beginning that is given of an item fills its window and nothing says how long it is to be, neither a
    length nor another column on its axis."""
    for name in joint.windowed & begun if joint.windowed & given.keys() <= begun else ():
        W, x = joint.columns[name].space.axes[0].size, given[name]
        if length is None and x.complete and x.tensor.shape[1] > W:
            raise UserError(f"{name}: {x.tensor.shape[1]} entries are given, and a window holds {W}; say by "
                            f"{way('length=', '--length')} how many there are to be in all")


def whole_seed(seed: Any) -> int:
    """A seed, numpy's integers among them; a fresh one of None."""
    if seed is None:
        return int.from_bytes(os.urandom(7))
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"seed={shown(seed)}; expected a whole number from 0, or None for a fresh one")
    return int(seed)


def rows_at_once(joint: Joint) -> int:
    """How many rows are scored together: of what is only read there may be more."""
    scored, held = (max(v.space.dimensions for v in each) for each in ([f.x for f in joint], joint.columns.values()))
    return max(1, min(ENTRIES_AT_ONCE // scored, READ_AT_ONCE // held))


def draws_at_once(joint: Joint) -> int:
    """Fewer than rows that are scored, where of every entry drawn a net remembers what it made of it."""
    if not any(factor.remembers for factor in joint):
        return max(1, READ_AT_ONCE // (4 * sum(factor.x.space.dimensions for factor in joint)))
    return min(rows_at_once(joint), max(_FEW_DRAWS, rows_at_once(joint) // 4))
