"""Arrays and frames: columns that are in memory, or come into it whole (.npz, .npy, pandas, polars)."""

from __future__ import annotations

import zipfile
import zlib
from typing import IO, Any

import numpy as np

from given.sources.columns import Columns, check_names
from given.sources.stream import File
from given.variables import UserError

__all__ = ["frame", "npy", "npz"]


def frame(source: Any) -> Columns:
    """A pandas or polars frame."""
    names = [str(name) for name in source.columns]
    check_names(names, "frame")
    return Columns({name: _cells(source[column].to_numpy()) for name, column in zip(names, source.columns, strict=True)})


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
        return Columns(columns)
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
