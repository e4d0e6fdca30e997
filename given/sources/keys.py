"""Keys: which column of a table names a row of another, as a database declares it, as names and values show it, or as it is
written: `orders.customer_id=customers.id`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from given.sources.columns import Columns
from given.variables import UserError, nearest, shown
from given.ways import way

__all__ = ["Key", "by_names", "names_rows", "owners", "values_of"]

_ENDS = ("id", "key", "no", "nr", "number", "code", "uuid")
_ALONE = ("id", "key", "uuid")


@dataclass(frozen=True)
class Key:
    """A foreign key: each value of `table.column` is that of `of.id` in one row. The parts of a composite key, which is
    refused, are joined by commas.

    >>> print(Key.parse("orders.customer_id=customers.id"))
    orders.customer_id=customers.id
    """

    table: str
    column: str
    of: str
    id: str

    @classmethod
    def parse(cls, text: str, known: Sequence[Key] = ()) -> Key:
        """A key as it is written; of one that is known its column alone. Raises `UserError` where it is written otherwise."""
        for key in known:
            if text == f"{key.table}.{key.column}":
                return key
        found = re.fullmatch(r"([^=]+)\.([^.=]+)=([^=]+)\.([^.=]+)", text) if isinstance(text, str) else None
        if found is None:
            raise UserError(f"key {shown(text)}: expected a column and the one it refers to, as "
                            "orders.customer_id=customers.id")
        return cls(*found.groups())

    def check(self, tables: Mapping[str, Columns]) -> None:
        """Raise `UserError` for a table or column that is not there."""
        for table, column in ((self.table, self.column), (self.of, self.id)):
            if table not in tables:
                raise UserError(f"key {self}: there is no table {table}; {nearest(table, tables)}")
            if column not in tables[table]:
                raise UserError(f"key {self}: {table} has no column {column}; {nearest(column, tables[table])}")

    def __str__(self) -> str:
        return f"{self.table}.{self.column}={self.of}.{self.id}"


def values_of(column: np.ndarray) -> list[Any]:
    """Values (rows,) to compare keys by: whole numbers as such, whatever they are stored as; None where one is missing."""
    return [None if v is None or v != v else int(v) if isinstance(v, float) and v.is_integer() else v for v in column.tolist()]


def names_rows(table: str, columns: Columns) -> str | None:
    """The column of a table that names its rows: called id, or after the table, with one value in every row and no other."""
    return next((name for name, column in columns.items()
                 if _plain(name) in {*_ALONE, *_called(table)} and _distinct(column)), None)


def by_names(tables: Mapping[str, Columns]) -> list[Key]:
    """The keys between tables that names and values show: a column that is called after a table whose rows have a name, as
    `customer_id` beside customers with `id` or `customer_id`; or as one row of the table is, `customer`, where all its values
    are such names. One a column."""
    found = dict[tuple[str, str], Key]()
    for of, parent in tables.items():
        own = [name for name in parent if _plain(name) in {*_ALONE, *_called(of)}]
        named = names_rows(of, parent) or next(iter(own), None)
        if named is None:
            continue
        for table, columns in tables.items():
            for name, column in columns.items() if table != of else ():
                if _plain(name) in _called(of) or (_plain(name) in _stems(of) and _within(column, parent[named])):
                    found.setdefault((table, name), Key(table, name, of, named))
    return list(found.values())


def owners(key: Key, tables: Mapping[str, Columns]) -> np.ndarray:
    """The row of the table referred to that each row of a key's table names: (rows,) int64, -1 where the key is empty.

    Raises:
        UserError: a value that no row has, or that several have.
    """
    there = dict[Any, int]()
    for row, value in enumerate(values_of(tables[key.of][key.id])):
        if value is None:
            raise UserError(f"is missing, and {key.table} refers to it by {key.column}; give every row one", row).at(
                f"{key.of}.{key.id}")
        if value in there:
            raise UserError(f"got {shown(value)}, which row {there[value]} has too, and {key.table} refers to it by "
                            f"{key.column}; expected one row each", row).at(f"{key.of}.{key.id}")
        there[value] = row
    found = np.full(tables[key.table].n, -1, dtype=np.int64)
    for row, value in enumerate(values_of(tables[key.table][key.column])):
        if value is not None and value not in there:
            raise UserError(f"got {shown(value)}, which no row of {key.of} has as its {key.id}; remove the row, leave the key "
                            f"empty, or say another key by {way('keys=[...]', '--key')}", row).at(f"{key.table}.{key.column}")
        found[row] = -1 if value is None else there[value]
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _stems(table: str) -> Iterator[str]:
    """What one row of a table may be called: the table's name without the ending of several."""
    name = _plain(table)
    yield name
    for ending, one in (("ies", "y"), ("es", ""), ("s", "")):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            yield name.removesuffix(ending) + one


def _called(table: str) -> set[str]:
    """Names of the column that names a table's rows, where they are made of the table's."""
    return {stem + end for stem in _stems(table) for end in _ENDS}


def _distinct(column: np.ndarray) -> bool:
    values = values_of(column)
    return None not in values and len(set(values)) == len(values)


def _within(column: np.ndarray, ids: np.ndarray) -> bool:
    return set(values_of(column)) - {None} <= set(values_of(ids))
