"""Databases: a file of SQLite or DuckDB as tables with the keys it declares, and tables as a file of SQLite.

SQLite is part of Python; DuckDB needs the package of its name (`pip install given[duckdb]`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from given.sources.cells import plain
from given.sources.columns import Columns
from given.sources.keys import Key
from given.sources.write import write_file
from given.variables import UserError

__all__ = ["DATABASES", "Database", "is_database", "read_database", "write_database"]

DATABASES = (".sqlite", ".sqlite3", ".db", ".duckdb")
_SQLITE, _DUCKDB = b"SQLite format 3\0", b"DUCK"  # at the beginning of a file, and from its ninth byte on


@dataclass
class Database:
    """What a file holds.

    Attributes:
        tables: name -> column -> its values, as Python has them.
        keys: as they are declared; the columns of a composite one are joined by commas.
        ids: table -> the one column that is its primary key.
        notes: what was left out and why, a line each.
    """

    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """One more table. Columns of bytes are left out, and said."""
        cells: Any = list(zip(*rows, strict=True)) or [()] * len(names)
        binary = [name for name, values in zip(names, cells, strict=True) if any(isinstance(v, bytes) for v in values)]
        self.notes += [f"{table}.{name}: left out: it holds bytes" for name in binary]
        self.tables[table] = {name: list(values) for name, values in zip(names, cells, strict=True) if name not in binary}


def is_database(path: str) -> bool:
    """Whether a path is a file of SQLite or DuckDB, by how it begins."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        head = file.read(16)
    return head == _SQLITE or head[8:12] == _DUCKDB


def read_database(path: str) -> Database:
    """The tables of a file of SQLite or DuckDB, in the order they were made in.

    Raises:
        UserError: the file cannot be read, or DuckDB is not installed.
    """
    with open(path, "rb") as file:
        sqlite = file.read(16) == _SQLITE
    try:
        return _of_sqlite(path) if sqlite else _of_duckdb(path)
    except sqlite3.Error as error:
        raise UserError(f"{path}: cannot be read ({error}); expected a database of SQLite or DuckDB") from None


def _of_sqlite(path: str) -> Database:
    found = Database()
    with closing(sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)) as base:
        named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
        tables = {name.lower(): name for (name,) in base.execute(named)}
        columns = {table: list(base.execute(f"PRAGMA table_info({_quoted(table)})")) for table in tables.values()}
        first = {table: [c[1] for c in sorted(each, key=lambda c: c[5]) if c[5]] for table, each in columns.items()}
        found.ids = {table: names[0] for table, names in first.items() if len(names) == 1}
        for table, each in columns.items():
            found.add(table, [c[1] for c in each], base.execute(f"SELECT * FROM {_quoted(table)}").fetchall())
            parts = dict[int, list[tuple[Any, ...]]]()
            for part in base.execute(f"PRAGMA foreign_key_list({_quoted(table)})"):
                parts.setdefault(part[0], []).append(part)
            for those in parts.values():
                of, spelled = tables.get(those[0][2].lower(), those[0][2]), {c[1].lower(): c[1] for c in each}
                ids = first.get(of, []) if those[0][4] is None else [part[4] for part in those]
                found.keys.append(Key(table, ",".join(spelled.get(part[3].lower(), part[3]) for part in those), of,
                                      ",".join(_as_spelled(ids, columns.get(of, ())))))
    return found


def _as_spelled(names: Sequence[str], columns: Sequence[Any]) -> list[str]:
    """Names of columns as the table spells them: SQL does not tell Id from id."""
    spelled = {column[1].lower(): column[1] for column in columns}
    return [spelled.get(name.lower(), name) for name in names]


def _of_duckdb(path: str) -> Database:
    try:
        import duckdb
    except ImportError:
        raise UserError(f"{path}: is a database of DuckDB, which needs its package; install it with pip install "
                        "'given[duckdb]', or hand in SQLite or a folder of .csv") from None
    found = Database()
    try:
        with closing(duckdb.connect(path, read_only=True)) as base:
            for (table,) in base.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_oid").fetchall():
                rows = base.execute(f"SELECT * FROM {_quoted(table)}")
                found.add(table, [column[0] for column in rows.description], rows.fetchall())
            declared = base.execute("SELECT table_name, constraint_type, constraint_column_names, referenced_table, "
                                    "referenced_column_names FROM duckdb_constraints()").fetchall()
    except duckdb.Error as error:
        raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]}); expected a database of DuckDB") from None
    for table, kind, columns, of, ids in declared:
        if kind == "PRIMARY KEY" and len(columns) == 1:
            found.ids[table] = columns[0]
        elif kind == "FOREIGN KEY":
            found.keys.append(Key(table, ",".join(columns), of, ",".join(ids)))
    return found


def write_database(path: str, tables: Mapping[str, Columns], keys: Mapping[str, Key], ids: Mapping[str, str]) -> None:
    """Write tables, each after the one it refers to, as a file of SQLite with their keys, whole or not at all.

    Args:
        path: of the file; an older one there is replaced.
        tables: name -> columns of single values.
        keys: table -> its foreign key, of those that have one.
        ids: table -> its primary key, likewise.

    Raises:
        UserError: a value that SQLite does not hold, or a place that cannot be written to.
    """
    with closing(sqlite3.connect(":memory:")) as base:
        for table, columns in tables.items():
            parts = [f"{_quoted(name)} {_TYPES.get(values.dtype.kind, 'TEXT')}" for name, values in columns.items()]
            parts += [f"PRIMARY KEY ({_quoted(ids[table])})"] if table in ids else []
            if (key := keys.get(table)) is not None:
                parts.append(f"FOREIGN KEY ({_quoted(key.column)}) REFERENCES {_quoted(key.of)} ({_quoted(key.id)})")
            cells = zip(*(plain(values, columns.dtypes.get(name)) for name, values in columns.items()), strict=True)
            try:
                base.execute(f"CREATE TABLE {_quoted(table)} ({', '.join(parts)})")
                base.executemany(f"INSERT INTO {_quoted(table)} VALUES ({', '.join('?' * len(columns))})", cells)
            except (sqlite3.Error, OverflowError) as error:
                raise UserError(f"{path}: {table}: {error}; save as a folder of .csv") from None
        base.commit()
        content = base.serialize()
    write: Callable[[Any], Any] = lambda file: file.write(content)  # noqa: E731
    write_file(path, write)


_TYPES = {"b": "BOOLEAN", "i": "INTEGER", "u": "INTEGER", "f": "REAL"}


def _quoted(name: str) -> str:
    """A name as SQL writes it, whatever it holds."""
    return '"{}"'.format(name.replace('"', '""'))
