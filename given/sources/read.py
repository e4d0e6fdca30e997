"""read: anything a person calls data, as columns."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from given.sources.columns import Columns, Source
from given.sources.samples import SAMPLES
from given.variables import UserError

__all__ = ["read"]

_MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"}


def read(source: Any = None, /, **arrays: Any) -> Source:
    """Data as named columns.

    Args:
        source: a path (.csv, .npz, .npy), the name of a sample (digits, breast_cancer, wine, diabetes), a mapping, a
            pandas or polars frame, or a `Source`, which is passed through.
        arrays: columns by keyword instead.

    Raises:
        UserError: what is wrong, with file, row and column.

    >>> read(age=[30, 40], city=["Rome", "Oslo"])
    Columns(2; age: int64, city: <U4)
    """
    if arrays:
        if source is not None:
            raise UserError("read: expected a source or columns by keyword, got both")
        return Columns(arrays)
    if isinstance(source, Source):
        return source
    if isinstance(source, Mapping):
        return Columns(source)
    if isinstance(source, str | os.PathLike):
        return _file(os.fspath(source))
    if type(source).__module__.split(".")[0] in ("pandas", "polars"):
        names = [str(name) for name in source.columns]
        _check_names(names, type(source).__name__)
        return Columns({name: source[column].to_numpy() for name, column in zip(names, source.columns, strict=True)})
    raise UserError(f"read: expected a path, a mapping, a frame or columns by keyword, got {type(source).__name__}")


def _file(name: str) -> Columns:
    path = Path(name)
    if not path.exists():
        if name in SAMPLES:
            return SAMPLES[name]()
        raise UserError(f"{name}: no such file, and no sample of this name; samples are {', '.join(SAMPLES)}")
    if path.is_dir():
        raise UserError(f"{name}: is a folder; expected a file .csv, .npz or .npy")
    if path.stat().st_size == 0:
        raise UserError(f"{name}: is empty; expected a file .csv, .npz or .npy")
    readers = {".csv": _csv, ".npz": _npz, ".npy": _npy}
    if path.suffix.lower() not in readers:
        raise UserError(f"{name}: cannot read {path.suffix or 'a file without an ending'}; expected .csv, .npz or .npy")
    return readers[path.suffix.lower()](path)


def _npz(path: Path) -> Columns:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return Columns({name: archive[name] for name in archive.files})
    except UserError as error:
        raise error.at(str(path)) from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot read as .npz ({error}); save plain arrays with numpy.savez") from None


def _npy(path: Path) -> Columns:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: cannot read as .npy ({error}); save a plain array with numpy.save") from None
    if array.dtype.names:
        return Columns({name: array[name] for name in array.dtype.names})
    return Columns({"x": array})


def _csv(path: Path) -> Columns:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {row}: not UTF-8 (byte {error.object[error.start]:#x}); save it as UTF-8") from None
    if "\0" in text:
        raise UserError(f"{path}, line {text[: text.index(chr(0))].count(chr(10)) + 1}: a zero byte; expected text")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    table: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in rows:
            if row:
                table.append(row)
                lines.append(rows.line_num)
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: {error}") from None
    if len(table) < 2:
        raise UserError(f"{path}: expected a header and at least one row, got {len(table)} lines")
    header = [name.strip() for name in table[0]]
    _check_names(header, str(path))
    for line, row in zip(lines[1:], table[1:], strict=True):
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: got {len(row)} values, expected {len(header)} as in the header")
    return Columns({name: _typed([row[i].strip() for row in table[1:]]) for i, name in enumerate(header)})


def _check_names(names: list[str], where: str) -> None:
    for i, name in enumerate(names):
        if not name:
            raise UserError(f"{where}: column {i + 1} has no name; give every column one")
        if name in names[:i]:
            raise UserError(f"{where}: two columns are called {name!r}; rename one")


def _typed(cells: list[str]) -> np.ndarray:
    """Whole numbers, reals, booleans or text: the first that all cells are; an empty cell is NaN, or None in text."""
    present = [cell for cell in cells if cell not in _MISSING]
    if not present:
        return np.full(len(cells), np.nan)
    complete = len(present) == len(cells)
    try:
        if complete:
            return np.array([_whole(cell) for cell in cells], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([np.nan if cell in _MISSING else _real(cell) for cell in cells])
    except ValueError:
        pass
    if complete and {cell.lower() for cell in cells} <= {"true", "false"}:
        return np.array([cell.lower() == "true" for cell in cells])
    if complete:
        return np.array(cells)
    return np.array([None if cell in _MISSING else cell for cell in cells], dtype=object)


_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)


def _whole(cell: str) -> int:
    """A whole number as it is written: 007 is a name, not a number."""
    if not _WHOLE.fullmatch(cell):
        raise ValueError(cell)
    return int(cell)


def _real(cell: str) -> float:
    """A real number as it is written: neither 1_000 nor 007."""
    if "_" in cell or re.match(r"[+-]?0\d", cell):
        raise ValueError(cell)
    return float(cell)
