"""read: anything a person calls data, as columns."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from given.sources.columns import Columns, Source, check_names
from given.sources.samples import SAMPLES
from given.variables import UserError

__all__ = ["read"]

_MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"}


def read(source: Any = None, /, **arrays: Any) -> Source:
    """Data as named columns.

    Args:
        source: a path (.csv, .npz, .npy), the name of a sample (digits, breast_cancer, wine, diabetes), a mapping, a
            pandas or polars frame, or a `Source`, which is passed through; draws become a row each.
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
        return source.flat() if isinstance(source, Columns) else source
    if isinstance(source, Mapping):
        return Columns(source)
    if isinstance(source, str | os.PathLike):
        return _file(os.fspath(source))
    if type(source).__module__.split(".")[0] in ("pandas", "polars") and type(source).__name__ == "DataFrame":
        names = [str(name) for name in source.columns]
        check_names(names, "frame")
        return Columns({name: _cells(source[column].to_numpy()) for name, column in zip(names, source.columns, strict=True)})
    raise UserError(f"read: expected a path, a mapping, a frame or columns by keyword, got {type(source).__name__}")


def _cells(values: np.ndarray) -> np.ndarray:
    """A frame's column: grids of one shape, a cell each, as one array; a missing cell as None."""
    if values.dtype.kind != "O":
        return values
    if len(values) and all(isinstance(cell, np.ndarray | list) for cell in values):
        grids = [np.asarray(cell.tolist() if isinstance(cell, np.ndarray) else cell) for cell in values]
        shapes = {grid.shape for grid in grids}
        if len(shapes) > 1:
            raise UserError(f"frame: rows of different shapes, {' and '.join(map(str, sorted(shapes)[:2]))}; expected one")
        return np.stack(grids)
    return np.array([None if type(cell).__name__ == "NAType" else cell for cell in values], dtype=object)


def _file(name: str) -> Columns:
    if not name:
        raise UserError("read: expected a path, got an empty name")
    try:
        return _read(Path(name), name)
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error})") from None


def _read(path: Path, name: str) -> Columns:
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
    columns: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.removesuffix(".npy") for member in archive.namelist()]
            check_names(names, "archive")
            for name, member in zip(names, archive.namelist(), strict=True):
                with archive.open(member) as file:
                    columns[name] = _stored(file, name)
        return Columns(columns)
    except UserError as error:
        raise error.at(str(path)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: is not a whole .npz ({_line(error)}); save plain arrays with numpy.savez") from None


def _npy(path: Path) -> Columns:
    try:
        with path.open("rb") as file:
            array = _stored(file, "x")
        return Columns({name: array[name] for name in array.dtype.names or ()} or {"x": array})
    except UserError as error:
        raise error.at(str(path)) from None


def _stored(file: IO[bytes], name: str) -> np.ndarray:
    """An array as numpy stores it. Pickled objects are refused: reading them could run anything."""
    try:
        return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, MemoryError) as error:
        raise UserError(f"{name}: is not a whole plain array ({_line(error)}); save numbers or text with numpy") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _csv(path: Path) -> Columns:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8 (byte {error.object[error.start]:#x}); save it as UTF-8") from None
    if "\0" in text:
        raise UserError(f"{path}, line {text[: text.index(chr(0))].count(chr(10)) + 1}: a zero byte; expected text")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    table: list[list[str]] = []
    lines: list[int] = []
    first = 1
    try:
        for row in rows:
            if row:
                table.append(row)
                lines.append(first)
            first = rows.line_num + 1
    except csv.Error as error:
        reason = "a quote is not closed" if "end of data" in str(error) else str(error)
        raise UserError(f"{path}, line {first}: {reason}; expected comma-separated values") from None
    if len(table) < 2:
        raise UserError(f"{path}: expected a header and at least one row, got {'a header alone' if table else 'blank lines'}")
    header = [name.strip() for name in table[0]]
    check_names(header, str(path))
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        raise UserError(f"{path}: the header {header[0]!r} has no comma; expected comma-separated values")
    for line, row in zip(lines[1:], table[1:], strict=True):
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: got {len(row)} values, expected {len(header)} as in the header")
    return Columns({name: _typed([row[i].strip() for row in table[1:]]) for i, name in enumerate(header)})


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
