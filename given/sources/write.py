"""Write: columns as files, whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from given.sources.kinds import end_to_end, ragged
from given.variables import UserError

__all__ = ["pyarrow", "records", "save", "write_file"]


def save(columns: Mapping[str, np.ndarray], path: str) -> None:
    """Write columns by the ending of the path: .csv, .tsv, .jsonl, .parquet or .npz.

    Items of different lengths are lists in .jsonl and .parquet, and are refused elsewhere; as a table see `long`.

    Args:
        columns: name -> (rows, ...); for .csv and .tsv (rows,) of single values, for .npz any shapes.
        path: of the file; an older one there is replaced.

    Raises:
        UserError: another ending, values that the file cannot hold, or a place that cannot be written to.
    """
    match os.path.splitext(path)[1]:
        case ".npz":
            arrays = {k: _plain(v, f"{path}: {k}") for k, v in columns.items()}
            write_file(path, lambda file: _archive(file, arrays))
        case ".csv":
            _table(columns, path, ",")
        case ".tsv":
            _table(columns, path, "\t")
        case ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in records(columns))
            try:
                write_file(path, lambda file: file.writelines(line.encode() for line in lines))
            except (TypeError, ValueError) as error:
                raise UserError(f"{path}: cannot hold these values ({error}); save as .npz") from None
        case ".parquet":
            packed = _parquet(columns, path)
            write_file(path, lambda file: file.write(packed))
        case _:
            raise UserError(f"{path}: expected an ending .csv, .tsv, .jsonl, .parquet or .npz")


def records(columns: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """Row after row, as plain Python values, grids and items as lists; times as ISO text, NaN and NaT as None."""
    for row in zip(*map(_values, columns.values()), strict=True):
        yield {name: _known(value) for name, value in zip(columns, row, strict=True)}


def _known(value: Any) -> Any:
    """A plain value, None where it is NaN."""
    if isinstance(value, list):
        return list(map(_known, value))
    return None if value != value else value


def write_file(path: str, write: Callable[[BinaryIO], Any]) -> None:
    """Write beside, then rename: nobody reads half a file."""
    partial = f"{path}.partial"
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def pyarrow() -> Any:
    """The library, where it is installed.

    Raises:
        UserError: it is not.
    """
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        raise UserError("Parquet needs pyarrow; install it with pip install 'given[parquet]', or save as .csv") from None
    return pyarrow


def _table(columns: Mapping[str, np.ndarray], path: str, delimiter: str) -> None:
    table = [tuple(columns), *zip(*map(_values, columns.values()), strict=True)]
    # An empty line would be no row.
    lines = (delimiter.join(_cell(value, delimiter) for value in row) or '""' for row in table)
    write_file(path, lambda file: file.writelines(f"{line}\n".encode() for line in lines))


def _values(values: np.ndarray) -> list[Any]:
    """An array's values as Python has them; times as ISO text, whatever their resolution."""
    if ragged(values):
        return [None if item is None else _values(item) for item in values]
    if values.dtype.kind != "M":
        return values.tolist()
    words = np.array(np.datetime_as_string(values), dtype=object)
    words[words == "NaT"] = None
    return words.tolist()


def _cell(value: Any, delimiter: str) -> str:
    """A cell as the table reader takes it."""
    text = "" if value is None or value != value else str(value)
    if text == text.strip(" \t") and not any(mark in text for mark in (delimiter, '"', "\r", "\n")):
        return text
    return '"{}"'.format(text.replace('"', '""'))


def _plain(values: np.ndarray, where: str) -> np.ndarray:
    """Object arrays as text, since a .npz of ours holds no pickled objects."""
    if values.dtype.kind != "O":
        return values
    if ragged(values):
        raise UserError(f"{where}: its items are of different lengths, which .npz does not hold; save as .jsonl or .parquet")
    other = [value for value in values.flat if not isinstance(value, str)]
    if other:
        raise UserError(f"{where}: got {other[0]!r} among text; .npz holds text or numbers; fill it in, or save as .csv")
    if any(value.endswith("\0") for value in values.flat):
        raise UserError(f"{where}: a text ends in a zero byte, which .npz does not keep; save as .jsonl or .parquet")
    return values.astype(str)


def _archive(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """What numpy.savez writes, whatever the columns are called."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def _parquet(columns: Mapping[str, np.ndarray], path: str) -> memoryview:
    """Columns as Parquet, grids as lists of fixed length, items as lists."""
    pa, arrays = pyarrow(), {}
    for key, values in columns.items():
        cells, lengths = end_to_end(values) if ragged(values) else (values, None)
        try:
            arrays[key] = pa.array(cells.reshape(-1))
        except (pa.ArrowException, TypeError) as error:
            raise UserError(f"{path}: {key}: {' '.join(str(error).split())}; save as .npz") from None
        for length in cells.shape[:0:-1]:
            arrays[key] = pa.FixedSizeListArray.from_arrays(arrays[key], length)
        if lengths is not None:
            ends = np.cumsum([0, *(length or 0 for length in lengths)])
            absent = pa.array([length is None for length in lengths])
            arrays[key] = pa.LargeListArray.from_arrays(pa.array(ends), arrays[key], mask=absent)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table(arrays), sink)
    return memoryview(sink.getvalue())
