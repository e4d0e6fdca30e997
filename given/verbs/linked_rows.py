"""Rows of linked tables as plain tables: what a row is learned from, and beside it what it depends on.

A row of a table has its own columns, and a column for every table that refers to it: how many rows of that belong to it. It
depends on those columns of the row that it belongs to and of the rows above that, and on its previous sibling, of which nothing
is there for the first. Siblings stand in the order of a column of dates, or else as in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from given.codecs import Integer, Label, Number, Time, infer_table
from given.conditional import quoted
from given.sources import Columns, Key, LinkedTables
from given.sources.keys import values_of
from given.variables import Codec, UserError

__all__ = ["PlainRows", "TableRows", "absent", "inferred", "plain_rows", "planned", "stated_codecs"]

_COUNTED = 256  # the most children up to which their number is counted, each number by itself
_LEARNED = (Integer, Label, Number, Time)
Codecs = dict[str, Codec]


@dataclass(frozen=True)
class TableRows:
    """What the rows of one table are learned from.

    Attributes:
        name: of the table.
        id: the column that names its rows, drawn as 1, 2, ..., or None.
        key: that to the table its rows belong to; None of the root.
        columns: those learned, in the order of the table.
        counts: table that refers to it -> the column that says how many rows of that belong to a row.
        above: condition -> the table above and the column there, or number of children, that it is.
        previous: condition -> the column that it is of the previous sibling.
        order: the column of dates that siblings are ordered by, or "": as they stand in the file.
        drawn: the columns that are drawn, in the order of the table: those learned, and its id and key.
    """

    name: str
    id: str | None
    key: Key | None
    columns: tuple[str, ...]
    counts: Mapping[str, str]
    above: Mapping[str, tuple[str, str]]
    previous: Mapping[str, str]
    order: str
    drawn: tuple[str, ...]

    @property
    def left(self) -> tuple[str, ...]:
        """What is learned of a row: its columns and numbers of children."""
        return (*self.columns, *self.counts.values())

    @property
    def formula(self) -> str:
        """The factor of a row; "" where there is nothing to learn of it."""
        given = ", ".join(map(quoted, (*self.above, *self.previous)))
        return f"p({', '.join(map(quoted, self.left))}{' | ' * bool(given)}{given})" * bool(self.left)

    def state(self) -> dict[str, Any]:
        """What a saved model keeps of it, in JSON."""
        return asdict(self)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> TableRows:
        """That of a state."""
        above = {name: (table, column) for name, (table, column) in state["above"].items()}
        key = None if state["key"] is None else Key(**state["key"])
        return cls(**{**state, "key": key, "above": above, "columns": tuple(state["columns"]), "drawn": tuple(state["drawn"])})


@dataclass(frozen=True)
class PlainRows:
    """The rows of one table that belong to a row of the root, siblings one after the other.

    Attributes:
        columns: what is learned of a row and what it depends on, (rows,) each.
        up: table above -> (rows,) the place of the row there that each belongs to, among the plain rows of that table.
        number: (rows,) from 0, which of its siblings each is.
    """

    columns: Columns
    up: Mapping[str, np.ndarray]
    number: np.ndarray


def inferred(tables: LinkedTables, stated: Mapping[str, Codecs]) -> tuple[dict[str, Codecs], dict[str, list[str]]]:
    """Table -> column that is learned -> its codec, not yet learned; and table -> a note on every other column.

    Args:
        tables: to learn from.
        stated: table -> column -> codec, of columns that should not be inferred; those that are looked up are added.
    """
    codecs, notes = dict[str, Codecs](), dict[str, list[str]]()
    for name, columns in tables.items():
        for column, there in tables.looked_up.get(name, {}).items():
            missing = "symbol" if None in values_of(columns[column]) else "error"
            stated[name].setdefault(column, Label(there, missing=missing))
        ids = {column: why for column, why in tables.names[name].items() if column not in stated[name]}
        rest = [column for column in columns if column not in ids]
        found, whys = dict[str, Codec](), list[str]()
        if rest and columns.n:
            try:
                found, whys = infer_table(_some(columns, rest), stated[name])
            except UserError as error:
                raise error.at(name) from None
        codecs[name] = {column: found[column] for column in rest if isinstance(found.get(column), _LEARNED)}
        notes[name] = [f"{column}: {why}" for column, why in ids.items()]
        notes[name] += [why for why in whys if why.partition(": ")[0] not in found]
        notes[name] += [f"{column}: left out: {type(codec).__name__} is no column of linked rows, which hold numbers, "
                        "categories and times" for column, codec in found.items() if column not in codecs[name]]
    return codecs, notes


def planned(tables: LinkedTables, codecs: Mapping[str, Codecs]) -> dict[str, TableRows]:
    """What each table is learned from, by the codecs of its columns."""
    plans = dict[str, TableRows]()
    for name in tables:
        key, taken = tables.links.get(name), {*tables[name]}
        above, largest = dict[str, tuple[str, str]](), 0
        if key is not None:
            up = plans[key.of]
            above = {_free(f"{key.of}.{column}", taken): (key.of, column) for column in up.left}
            above |= {_free(f"{table}.{column}", taken): (table, column) for table, column in up.above.values()}
            largest = _numbers(tables, name).max(initial=0)
        previous = {_free(f"previous.{column}", taken): column for column in codecs[name]} if largest > 1 else {}
        counts = {child: _free(f"{child} (count)", taken) for child in tables.children(name)}
        order = next((column for column, codec in codecs[name].items() if isinstance(codec, Time)), "") if key else ""
        own, id = tuple(codecs[name]), tables.ids.get(name)
        drawn = tuple(column for column in tables[name] if column in own or column in (id, key and key.column))
        if not (own or counts or above):
            raise UserError(f"{name}: no column is left to model, and no table refers to it")
        plans[name] = TableRows(name, id, key, own, counts, above, previous, order, drawn)
    return plans


def stated_codecs(tables: LinkedTables, plans: Mapping[str, TableRows], codecs: Mapping[str, Codecs],
                  rows: Mapping[str, PlainRows]) -> dict[str, Codecs]:
    """Table -> the codecs of its numbers of children, and of its conditions: these have learned every value of the columns they
    are of, of rows too that no row depends on yet."""
    kinds = {name: dict(each) for name, each in codecs.items()}
    for name, plan in plans.items():
        for child, column in plan.counts.items():
            few = _numbers(tables, child).max(initial=0) < _COUNTED
            kinds[name][column] = Integer() if few else Number(atoms="auto", curve="quantile", whole=True)

    def like(table: str, column: str) -> Codec:
        kind = kinds[table][column]
        found = type(kind)(**{**kind.arguments, "missing": "symbol"})
        found.learn(rows[table].columns[column])
        return found

    return {name: {column: kinds[name][column] for column in plan.counts.values()}
            | {condition: like(*of) for condition, of in plan.above.items()}
            | {condition: like(name, column) for condition, column in plan.previous.items()} for name, plan in plans.items()}


def plain_rows(tables: LinkedTables, plans: Mapping[str, TableRows]) -> dict[str, PlainRows]:
    """Every table's rows that belong to a row of the root, with what they depend on beside them."""
    found, places = dict[str, PlainRows](), dict[str, np.ndarray]()
    for name, plan in plans.items():
        columns, kept, up = tables[name], np.arange(tables[name].n), dict[str, np.ndarray]()
        if plan.key is not None:
            owners = tables.owners[name]
            of = np.where(owners < 0, -1, places[plan.key.of][owners])
            kept = np.lexsort((_ranks(columns, plan.order), of))[int((of < 0).sum()):]
            up = {plan.key.of: of[kept], **{table: rows[of[kept]] for table, rows in found[plan.key.of].up.items()}}
        places[name] = np.full(columns.n, -1, dtype=np.int64)
        places[name][kept] = np.arange(len(kept))
        own = {column: columns[column][kept] for column in plan.columns}
        own |= {column: _numbers(tables, child)[kept] for child, column in plan.counts.items()}
        own |= {condition: found[table].columns[column][up[table]] for condition, (table, column) in plan.above.items()}
        number = np.arange(len(kept)) - np.searchsorted(up[plan.key.of], up[plan.key.of]) if plan.key else np.zeros_like(kept)
        own |= {condition: _previous(own[column], number) for condition, column in plan.previous.items()}
        found[name] = PlainRows(_some(columns, own), up, number)
    return found


def absent(n: int) -> np.ndarray:
    """(n,) values of a previous sibling that is not there."""
    return np.full(n, None, dtype=object)


def _numbers(tables: LinkedTables, child: str) -> np.ndarray:
    """How many rows of a table belong to each row of that it refers to, (rows,)."""
    owners = tables.owners[child]
    return np.bincount(owners[owners >= 0], minlength=tables[tables.links[child].of].n)


def _ranks(columns: Columns, order: str) -> np.ndarray:
    """Where each row stands among all, (rows,): in the file, or by a column, what is missing last."""
    if not order:
        return np.arange(columns.n)
    values = columns[order].astype(str)  # ISO text, of one form, and NaT and None after all digits
    return np.lexsort((np.arange(columns.n), values)).argsort()


def _previous(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The values of previous siblings; NaN, NaT or None for the first."""
    before = np.concatenate([values[:1], values[:-1]])
    before = before.astype(np.float64 if before.dtype.kind in "iuf" else before.dtype if before.dtype.kind == "M" else object)
    before[number == 0] = None
    return before


def _some(columns: Columns, chosen: Mapping[str, np.ndarray] | Sequence[str]) -> Columns:
    """Columns by name or as they are handed in, with what is known of those of the same names in a table."""
    named = chosen if isinstance(chosen, Mapping) else {name: columns[name] for name in chosen}
    found = Columns(named, dtypes={name: dtype for name, dtype in columns.dtypes.items() if name in named})
    found.kinds = {name: kind for name, kind in columns.kinds.items() if name in named}
    return found


def _free(name: str, taken: set[str]) -> str:
    """A name that no column has, which is taken then."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
