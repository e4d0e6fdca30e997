"""Linked tables: tables whose rows name one another by keys, as a tree with one table at its root: customers, their orders,
the items of these."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from given.sources.columns import Columns, Source, joined
from given.sources.databases import DATABASES, is_database, read_database, write_database
from given.sources.keys import Key, by_names, names_rows, owners, values_of
from given.sources.learned import Learned
from given.sources.read import read
from given.sources.samples import LINKED_SAMPLES
from given.sources.stream import File
from given.variables import UserError
from given.ways import way

__all__ = ["LinkedTables"]

_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


class LinkedTables(Mapping[str, Columns]):
    """Tables by name, each after the one it refers to; the first, the root, refers to none.

    Args:
        tables: name -> anything `read` takes.
        keys: foreign keys, as "orders.customer_id=customers.id", or "orders.customer_id" of one that is declared or found. Of
            tables that no key names none is kept. A second key of a table is of one that is looked up, and not among these:
            its values are learned as categories. By default those declared, or else those that `by_names` finds.
        declared: the keys that a database declares.
        ids: table -> the column that names its rows, where that is declared.

    Attributes:
        links: table -> its foreign key, of all but the root.
        ids: table -> the column that names its rows, of those that have one.
        owners: table -> (rows,) int64, the row of the table referred to that each row belongs to, -1 where its key is empty; of
            all but the root.
        looked_up: table -> column -> the ids of the table in which it is looked up.
        names: table -> column -> why it is a name of rows and nothing to learn.
        notes: what was left out, a line each.

    Raises:
        UserError: a key without its row, without its table, of several columns, to its own table, two of one table, tables in a
            circle, or without any key between them.
    """

    def __init__(self, tables: Mapping[str, Any], keys: Sequence[str | Key] = (), *, declared: Sequence[Key] = (),
                 ids: Mapping[str, str] | None = None) -> None:
        self.notes, self.about = list[str](), ""
        found = {str(name): _held(table, str(name)) for name, table in tables.items()}
        known = [key for key in declared if key.table in found] or by_names(found)
        said = [Key.parse(key, known) if isinstance(key, str) else key for key in keys]
        if empty := [name for name, columns in found.items() if not columns.n] if not said else []:
            self.notes += [f"{name}: left out: it has no row" for name in empty]
            found = {name: columns for name, columns in found.items() if columns.n}
        for key in said:
            key.check(found)
        also = [key for i, key in enumerate(said) if key.table in [before.table for before in said[:i]]]
        self.looked_up = _looked_up(also, found, said)
        self.notes += [f"{key.table}.{key.column}: learned as a category, an id of {key.of}, whose rows are not drawn"
                       for key in also]
        said = [key for key in said if key not in also]
        if said:
            used = {name for key in said for name in (key.table, key.of)}
            self.notes += [f"{name}: left out: no key names it" for name in found if name not in used | {k.of for k in also}]
            found = {name: columns for name, columns in found.items() if name in used}
        self.links = _one_each(said or [key for key in known if key.table not in empty and key.of not in empty], found)
        self._tables = {name: found[name] for name in _in_order(found, self.links)}
        self.root = next(iter(self._tables))
        self.owners = {name: owners(self.links[name], self._tables) for name in self._tables if name != self.root}
        self.ids = dict[str, str]()
        for name, columns in self._tables.items():
            own = next((key.id for key in self.links.values() if key.of == name), (ids or {}).get(name))
            own = names_rows(name, columns) if own is None else own
            if own is not None and not (name in self.links and own == self.links[name].column):
                self.ids[name] = own
        self.names = {name: self._names(name, [*said, *known]) for name in self._tables}

    @classmethod
    def read(cls, source: Any, keys: Sequence[str | Key] = (),
             learned: Mapping[str, Mapping[str, Learned]] | None = None) -> LinkedTables:
        """Linked tables from where they are.

        Args:
            source: a folder of .csv or .tsv, a table each, a file of SQLite or DuckDB, the name of a sample (shop), a mapping
                name -> table, or such tables, which are passed through.
            keys: as of the class.
            learned: table -> column -> how its cells were read where a model learned them: they are read alike.

        Raises:
            UserError: what is wrong, with table, column and row.
        """
        if isinstance(source, LinkedTables):
            return source if not keys else cls(source, keys)
        if isinstance(source, Mapping):
            return cls(source, keys)
        if not isinstance(source, str | os.PathLike):
            raise UserError(f"read: expected a path, or a mapping of a name to each table, got {type(source).__name__}")
        path, cells = os.fspath(source), learned or {}
        if is_database(path):
            base = read_database(path)
            found = cls({name: read(columns, learned=cells.get(name)) for name, columns in base.tables.items()}, keys,
                        declared=base.keys, ids=base.ids)
            found.notes[:0] = base.notes
        elif os.path.isdir(path):
            found = cls({name: _table(file, cells.get(name)) for name, file in _files(path)}, keys)
        elif path in LINKED_SAMPLES:
            found = cls(LINKED_SAMPLES[path](), keys)
        else:
            raise UserError(f"{path}: expected a folder of .csv, a file of SQLite or DuckDB ({', '.join(DATABASES)}), or a "
                            f"sample of linked tables: {', '.join(LINKED_SAMPLES)}")
        found.about = path
        return found

    @classmethod
    def of_parts(cls, tables: Mapping[str, Columns], keys: Iterable[Key], ids: Mapping[str, str],
                 owners: Mapping[str, np.ndarray]) -> LinkedTables:
        """Tables, the root first, that are known to be linked so: arguments as the attributes."""
        found = object.__new__(cls)
        found._tables, found.links = dict(tables), {key.table: key for key in keys}
        found.root, found.ids, found.owners = next(iter(tables)), dict(ids), dict(owners)
        found.names, found.looked_up, found.notes, found.about = {name: {} for name in tables}, {}, [], ""
        return found

    @staticmethod
    def fits(source: str) -> bool:
        """Whether a path leads to linked tables: a folder of nothing but .csv or .tsv, a database, or a sample of them."""
        if os.path.isdir(source):
            files = [name for name in os.listdir(source) if not name.startswith(".")]
            return bool(files) and all(name.lower().endswith(_TABLES) for name in files)
        return is_database(source) or (source in LINKED_SAMPLES and not os.path.exists(source))

    def children(self, table: str) -> list[str]:
        """The tables whose rows belong to rows of this one."""
        return [name for name, key in self.links.items() if key.of == table]

    def _names(self, table: str, known: Iterable[Key]) -> dict[str, str]:
        found = {self.ids[table]: "left out: it names the rows, and is drawn anew"} if table in self.ids else {}
        for key in (key for key in known if key.column not in self.looked_up.get(table, {})):
            if key.table == table and key == self.links.get(table):
                found[key.column] = f"left out: it names the row of {key.of}"
            elif key.table == table:
                found |= {name: f"left out: it names rows of {key.of}, which it is not linked to here"
                          for name in key.column.split(",") if name not in found}
        return found

    def rows_of(self, roots: np.ndarray) -> LinkedTables:
        """Some rows of the root with all that belongs to them, in the order of the tables."""
        kept = {self.root: np.sort(roots)}
        for name, key in self.links.items():
            kept[name] = np.flatnonzero(np.isin(self.owners[name], kept[key.of]))
        found = copy(self)
        found._tables = {name: columns.rows(kept[name]) for name, columns in self.items()}
        found.owners = {name: np.searchsorted(kept[self.links[name].of], rows[kept[name]])
                        for name, rows in self.owners.items()}
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a folder with a .csv a table, or by the ending .sqlite, .sqlite3 or .db a file of SQLite with the keys.

        Raises:
            UserError: a place that cannot be written to, or a folder with other files.
        """
        path = os.fspath(path)
        ending = os.path.splitext(path)[1]
        if ending in DATABASES[:-1]:
            write_database(path, self, self.links, self.ids)
            return
        if ending in (DATABASES[-1], ".csv", ".tsv", ".jsonl", ".parquet", ".npz"):
            raise UserError(f"{path}: expected a folder, as drawn/, or a file that ends in {', '.join(DATABASES[:-1])}")
        if odd := [name for name in self if not name or name != os.path.basename(name) or name.startswith(".")]:
            raise UserError(f"{path}: {odd[0]!r} is no name of a file; save as .sqlite")
        try:
            os.makedirs(path, exist_ok=True)
            other = sorted(name for name in os.listdir(path) if name not in [f"{table}.csv" for table in self])
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
        if other:
            raise UserError(f"{path}: holds {other[0]}, which would be taken for a table of these; choose a new folder")
        for name, columns in self.items():
            columns.save(os.path.join(path, f"{name}.csv"))

    def __getitem__(self, name: str) -> Columns:
        if name not in self._tables:
            raise UserError(f"no table {name!r}; there are {', '.join(self._tables)}")
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __repr__(self) -> str:
        each = ", ".join(f"{name}: {columns.n:,} rows" for name, columns in self.items())
        return f"LinkedTables({each}{''.join(f'; {key}' for key in self.links.values())})"


def _held(table: Any, name: str) -> Columns:
    """A table in memory."""
    try:
        source = read(table)
        found = source if isinstance(source, Columns) else joined(list(source.batches(1 << 16)))
        found = found.flat()
    except UserError as error:
        raise error.at(name) from None
    if grids := [column for column, values in found.items() if values.ndim > 1]:
        raise UserError(f"{name}: {grids[0]}: has grids of values; expected single ones")
    return found


def _files(folder: str) -> list[tuple[str, str]]:
    """The tables of a folder: name and path."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    if odd := [name for name in names if not name.lower().endswith(_TABLES)]:
        raise UserError(f"{os.path.join(folder, odd[0])}: is no table; expected .csv or .tsv alone, a table each")
    return [(os.path.splitext(name.removesuffix(".gz"))[0], os.path.join(folder, name)) for name in names]


def _table(path: str, learned: Mapping[str, Learned] | None) -> Source:
    """A table's file; of one with a header alone its columns without rows, as what is drawn may be."""
    with File.at(path).open() as file:
        lines = [line.decode(errors="replace") for line in itertools.islice(file, 2)]
    if len(lines) > 1 or not lines:
        return read(path, learned=learned)
    mark = "\t" if path.lower().removesuffix(".gz").endswith(".tsv") else ","
    return Columns({name: [] for name in next(csv.reader(lines, delimiter=mark))})


def _one_each(keys: Sequence[Key], tables: Mapping[str, Columns]) -> dict[str, Key]:
    """Table -> its key.

    Raises:
        UserError: keys that no tree of tables has.
    """
    found, say = dict[str, Key](), way("keys=[...]", "--key")
    for key in keys:
        if key.of not in tables:
            raise UserError(f"{key.table}.{key.column}: refers to {key.of}, and there is no such table; add it, or say by "
                            f"{say} which tables and keys are meant")
        if "," in key.column or "," in key.id:
            raise UserError(f"{key.table}: refers to {key.of} by {key.column.replace(',', ' and ')} together; expected one "
                            f"column; number the rows of {key.of}, or say by {say} which keys are meant")
        if key.of == key.table:
            raise UserError(f"{key.table}.{key.column}: refers to its own table, which has no order to learn it in; say by "
                            f"{say} which keys are meant, without it")
        if key.table in found and found[key.table] != key:
            before = found[key.table]
            raise UserError(f"{key.table}: refers to {before.of} by {before.column} and to {key.of} by {key.column}; expected "
                            f"one; say by {way(f'keys=[{str(before)!r}]', f'--key {before}')} to which its rows belong; a key "
                            "said after it is of a table that is looked up; tables that no key names are left out")
        key.check(tables)
        found[key.table] = key
        if other := next((each for each in found.values() if each.of == key.of and each.id != key.id), None):
            raise UserError(f"{key.of}: {other.table} refers to its {other.id} and {key.table} to its {key.id}; expected one "
                            f"column; say by {say} which keys are meant")
    return found


def _looked_up(keys: Sequence[Key], tables: Mapping[str, Columns], said: Sequence[Key]) -> dict[str, dict[str, list[Any]]]:
    """Table -> column -> the ids that it may have, of keys to tables that are looked up.

    Raises:
        UserError: a value that is no such id, or a table of those that are drawn.
    """
    found, drawn = dict[str, dict[str, list[Any]]](), {name for key in said if key not in keys for name in (key.table, key.of)}
    for key in keys:
        if key.of in drawn:
            raise UserError(f"key {key}: is a second key of {key.table}, of a table to be looked up, and {key.of} is drawn "
                            "anew; leave it out")
        owners(key, tables)
        found.setdefault(key.table, {})[key.column] = sorted(values_of(tables[key.of][key.id]))
    return found


def _in_order(tables: Mapping[str, Columns], keys: Mapping[str, Key]) -> list[str]:
    """Tables, each after the one it refers to.

    Raises:
        UserError: tables that refer to one another in a circle, or that no key links.
    """
    say = way('keys=["orders.customer_id=customers.id"]', "--key orders.customer_id=customers.id")
    for name in keys:
        path = [name]
        while path[-1] in keys and keys[path[-1]].of not in path:
            path.append(keys[path[-1]].of)
        if path[-1] in keys:
            raise UserError(f"{' -> '.join([*path, keys[path[-1]].of])}: tables refer to one another in a circle; say by "
                            f"{way('keys=[...]', '--key')} which keys are meant, without one of these")
    roots = [name for name in tables if name not in keys]
    if not roots:
        raise UserError("expected at least one table with rows, got none")
    alone = [name for name in roots if name not in [key.of for key in keys.values()]]
    if len(roots) > 1:
        apart = f"no key links {', '.join(alone)} to another" if alone else f"{' and '.join(roots)} are not linked"
        if len({columns.names for columns in tables.values()}) == 1:
            raise UserError(f"tables {', '.join(tables)}: no key links them, and all have the same columns; read the files "
                            'of one table by a glob such as "data/*.csv"')
        raise UserError(f"tables {', '.join(tables)}: {apart}; say by {say} which keys are meant; tables that no key names are "
                        "left out")
    order = [*roots]
    for name in order:
        order += [child for child in tables if child in keys and keys[child].of == name]
    return order
