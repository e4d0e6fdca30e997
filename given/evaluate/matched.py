"""matched: tables of the same columns as matrices that can be compared, their values read as those of the first.

A number stays one, a date becomes one, and any other value becomes the number of its category, the most frequent of the first
table first; a category that the first table lacks comes after its own. What is missing is NaN of numbers, and a category of its
own of categories. Running text, pictures, series and columns that only number their rows are left out, and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from given.codecs import Integer, Label, Number, Time, infer_table
from given.sources import Columns
from given.variables import Codec, UserError, shown

__all__ = ["MISSING", "Matched", "matched", "sampled"]

MISSING = "missing"
_MOST = 254  # categories that trees tell apart


@dataclass(frozen=True)
class Matched:
    """Tables as matrices.

    Attributes:
        names: (D,) of the columns.
        categories: column -> its values by their number, of those columns whose values are categories.
        tables: table -> (n, D) float64: numbers, NaN where missing, and numbers of categories.
        codecs: column -> how the first table's values were understood.
        left_out: column -> why it is not compared.
    """

    names: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, np.ndarray]
    codecs: Mapping[str, Codec]
    left_out: Mapping[str, str]

    @property
    def categorical(self) -> np.ndarray:
        """(D,) bool."""
        return np.array([name in self.categories for name in self.names])

    def inputs(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, D) for trees, which take 255 categories: those beyond are one."""
        return np.where(self.categorical, np.minimum(rows, _MOST), rows)

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, D) for distances, float32: a number by the share of the first table below it, half of those equal to it
        counted, so that columns weigh alike whatever their tails."""
        first, out = next(iter(self.tables.values())), rows.astype(np.float32)
        for j in np.flatnonzero(~self.categorical):
            known = np.sort(first[:, j][~np.isnan(first[:, j])])
            below, up_to = (np.searchsorted(known, rows[:, j], side) for side in ("left", "right"))
            out[:, j] = np.where(np.isnan(rows[:, j]), np.nan, (below + up_to) / (2 * max(len(known), 1)))
        return out


def matched(tables: Mapping[str, Columns], codecs: Mapping[str, Codec] | None = None) -> Matched:
    """Tables made comparable.

    Args:
        tables: by what messages call them; the first says what columns hold.
        codecs: of columns of the first that are not inferred.

    Raises:
        UserError: no column that all tables have can be compared, or values of another kind than those of the first.
    """
    (first, real), *others = tables.items()
    found, notes = infer_table(real, codecs)
    left_out = {name: why.removeprefix("left out: ") for name, _, why in (note.partition(": ") for note in notes)
                if name not in found}
    names = list[str]()
    for name, codec in found.items():
        absent = [table for table, columns in others if name not in columns]
        if absent:
            left_out[name] = f"not a column of {absent[0]}"
        elif not isinstance(codec, Label | Number | Integer | Time) or any(c[name].ndim > 1 for c in tables.values()):
            left_out[name] = f"read as {type(codec).__name__}, which is not compared"
        else:
            names.append(name)
    left_out |= {name: f"not a column of {first}" for _, columns in others for name in columns if name not in real}
    if not names:
        raise UserError(f"{' and '.join(tables)}: no column of both can be compared: "
                        + "; ".join(f"{name}: {why}" for name, why in left_out.items()))
    categories, columns = dict[str, tuple[str, ...]](), dict[str, list[np.ndarray]]()
    for name in names:
        values = {table: rows[name] for table, rows in tables.items()}
        if isinstance(found[name], Label):
            categories[name], columns[name] = _numbered(list(values.values()))
        else:
            columns[name] = _measured(name, found[name], values)
    stacked = {table: np.stack([columns[name][k] for name in names], 1) for k, table in enumerate(tables)}
    return Matched(tuple(names), categories, stacked, {name: found[name] for name in names}, left_out)


def _numbered(values: list[np.ndarray]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """The categories of a column of several tables, and every value's number."""
    keys = [[_key(v) for v in each.tolist()] for each in values]
    order = [key for key, _ in Counter(keys[0]).most_common()]
    known = {key: i for i, key in enumerate(dict.fromkeys([*order, *(key for each in keys[1:] for key in each)]))}
    names = tuple(f"{key:g}" if isinstance(key, float) else MISSING if key is None else str(key) for key in known)
    return names, [np.array([known[key] for key in each], dtype=np.float64) for each in keys]


def _key(value: Any) -> float | str | None:
    """A value as it compares equal: 3 and 3.0 are one."""
    if value is None or value != value:
        return None
    return float(value) if isinstance(value, int | float) else str(value)


def _measured(name: str, codec: Codec, values: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Every table's numbers of a column."""
    codec.learn(next(iter(values.values())))
    out = list[np.ndarray]()
    for table, raw in values.items():
        try:
            out.append(np.asarray(codec.numbers(raw), dtype=np.float64))
        except UserError as error:
            said = next((v for v in raw.tolist() if not isinstance(v, int | float | None)), raw[0])
            raise UserError(f"{table}: {name}: {error}, as in {next(iter(values))}, got {shown(said)}") from None
    return out


def sampled(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of rows (n, D), by a seed."""
    return rows if len(rows) <= most else rows[np.random.default_rng(seed).permutation(len(rows))[:most]]
