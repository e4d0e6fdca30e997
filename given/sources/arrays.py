"""Arrays and frames: columns that are in memory, or come into it whole (.npz, .npy, pandas, polars)."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from given.sources.columns import Columns, check_names, index_name
from given.sources.episodes import apart
from given.sources.kinds import Kind
from given.sources.learned import Learned
from given.sources.stream import File
from given.variables import UserError

__all__ = ["frame", "npy", "npz", "understood"]


def frame(source: Any) -> Columns:
    """A pandas or polars frame. The index of a pandas frame, unless it only numbers the rows, is columns too."""
    names = [str(name) for name in source.columns]
    check_names(names, "frame")
    columns = {name: source[column] for name, column in zip(names, source.columns, strict=True)}
    index = getattr(source, "index", None)
    if index is None or (list(index.names) == [None] and index.inferred_type == "integer"):
        return Columns(columns)
    levels: dict[str, Any] = {}
    for i, name in enumerate(index.names):
        levels[str(name) if name is not None else index_name([*levels, *names])] = index.get_level_values(i)
    check_names([*levels, *names], "frame, with its index")
    found = Columns({**levels, **columns})
    found.dtypes = {**dict.fromkeys(levels, "index"), **found.dtypes}
    return found


def understood(columns: Columns, decimal: str | None = None, dayfirst: bool | None = None,
               learned: Mapping[str, Learned] | None = None) -> Columns:
    """Columns with numbers and times that people wrote as text read; `described()` says how each was.

    Args:
        columns: in memory.
        decimal, dayfirst, learned: as of `read`.
    """
    read, dtypes, notes, kinds = dict(columns), dict(columns.dtypes), [], dict(columns.kinds)
    for name, values in columns.items():
        if values.ndim != 1 or values.dtype.kind not in "OU" or dtypes.get(name) == "text":
            continue
        cells = values.tolist()
        if not cells or not all(v is None or isinstance(v, str) for v in cells):
            continue
        before = (learned or {}).get(name)
        kind = Kind.of(["" if v is None else v for v in cells])
        try:
            kind, dtype = before.understood(kind, decimal, dayfirst) if before else kind.understood(decimal, dayfirst)
        except UserError as error:
            raise error.at(name) from None
        if kind.form is not None or before is not None:
            kinds[name] = kind
            read[name] = kind.array(["" if v is None else v for v in cells])
        if kind.form is not None:
            notes.append(f"{name}: {kind.note}")
            dtypes.pop(name, None)
        if dtype is not None and (kind.form is not None or isinstance(dtype, dict)):
            dtypes[name] = dtype
    found = Columns(read, columns.axes, dtypes)
    found.about = f"{columns!r}, {', '.join(notes)}" if notes else columns.about
    found.kinds, found.skipped = kinds, columns.skipped
    return found


def npz(file: File) -> Columns:
    """The arrays of an archive as numpy writes it, by name."""
    columns: dict[str, np.ndarray] = {}
    try:
        with file.open() as raw, zipfile.ZipFile(raw) as archive:
            names = [member.removesuffix(".npy") for member in archive.namelist()]
            check_names(names, "archive")
            for name, member in zip(names, archive.namelist(), strict=True):
                with archive.open(member) as stored:
                    columns[name] = _stored(stored, name)
        return Columns(apart(columns))
    except UserError as error:
        raise error.at(file.name) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{file.name}: is not a whole .npz ({_line(error)}); save plain arrays with numpy.savez") from None


def npy(file: File) -> Columns:
    """An array as the column `x`, or the fields of a structured one."""
    try:
        with file.open() as raw:
            array = _stored(raw, "x")
        return Columns({name: array[name] for name in array.dtype.names or ()} or {"x": array})
    except UserError as error:
        raise error.at(file.name) from None


def _stored(file: IO[bytes], name: str) -> np.ndarray:
    """An array as numpy stores it. Pickled objects are refused: reading them could run anything."""
    try:
        return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, MemoryError) as error:
        raise UserError(f"{name}: is not a whole plain array ({_line(error)}); save numbers or text with numpy") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
