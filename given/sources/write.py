"""Write: columns as files, whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from given.sources.cells import Dtype, is_whole, plain, written, zone_of
from given.sources.kinds import end_to_end, ragged
from given.variables import UserError

__all__ = ["delimited", "pyarrow", "records", "save", "write_file"]


def save(columns: Mapping[str, np.ndarray], path: str, dtypes: Mapping[str, Dtype]) -> None:
    """Write columns by the ending of the path: .csv, .tsv, .jsonl, .parquet or .npz.

    Items of different lengths are lists in .jsonl and .parquet, and are refused elsewhere; as a table see `long`.

    Args:
        columns: name -> (rows, ...); for .csv and .tsv (rows,) of single values, for .npz any shapes.
        path: of the file; an older one there is replaced.
        dtypes: column -> what is known of it beyond its array, by which its cells are spelled.

    Raises:
        UserError: another ending, values that the file cannot hold, or a place that cannot be written to.
    """
    match os.path.splitext(path)[1]:
        case ".npz":
            arrays = {k: _plain(v, f"{path}: {k}") for k, v in columns.items()}
            write_file(path, lambda file: _archive(file, arrays))
        case ".csv":
            _table(columns, path, ",", dtypes)
        case ".tsv":
            _table(columns, path, "\t", dtypes)
        case ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in records(columns, dtypes))
            try:
                write_file(path, lambda file: file.writelines(line.encode() for line in lines))
            except (TypeError, ValueError) as error:
                raise UserError(f"{path}: cannot hold these values ({error}); save as .npz") from None
        case ".parquet":
            packed = _parquet(columns, path, dtypes)
            write_file(path, lambda file: file.write(packed))
        case _:
            raise UserError(f"{path}: expected an ending .csv, .tsv, .jsonl, .parquet or .npz")


def records(columns: Mapping[str, np.ndarray], dtypes: Mapping[str, Dtype]) -> Iterator[dict[str, Any]]:
    """Row after row, as plain Python values, grids and items as lists; times as ISO text, NaN and NaT as None."""
    each = [_values(values, dtypes.get(name)) for name, values in columns.items()]
    for row in zip(*each, strict=True):
        yield dict(zip(columns, row, strict=True))


def _values(values: np.ndarray, dtype: Dtype | None) -> list[Any]:
    """An array's values as Python has them, None for what is missing."""
    if ragged(values):
        return [None if item is None else _values(item, dtype) for item in values]
    return plain(values, dtype) if values.ndim == 1 else [_values(item, dtype) for item in values]


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


def _table(columns: Mapping[str, np.ndarray], path: str, delimiter: str, dtypes: Mapping[str, Dtype]) -> None:
    table = [tuple(columns), *zip(*(written(values, dtypes.get(name)) for name, values in columns.items()), strict=True)]
    write_file(path, lambda file: file.writelines(f"{line}\n".encode() for line in delimited(table, delimiter)))


def delimited(table: Iterable[Sequence[str]], delimiter: str) -> Iterator[str]:
    """Rows of cells as lines that the table reader takes apart into the same; an empty one would be no row."""
    for row in table:
        yield delimiter.join(_cell(text, delimiter) for text in row) or '""'


def _cell(text: str, delimiter: str) -> str:
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


def _packed(values: np.ndarray, dtype: Dtype | None) -> Any:
    """Values (rows,) as an array of pyarrow."""
    pa = pyarrow()
    if values.dtype.kind == "f" and is_whole(dtype):
        return pa.array(plain(values, dtype), pa.int64())
    if values.dtype.kind == "M" and zone_of(dtype):
        return pa.array(values.astype("M8[us]"), pa.timestamp("us", zone_of(dtype)))
    return pa.array(plain(values, dtype) if values.dtype.kind in "Oc" else values)


def _parquet(columns: Mapping[str, np.ndarray], path: str, dtypes: Mapping[str, Dtype]) -> memoryview:
    """Columns as Parquet, grids as lists of fixed length, items as lists."""
    pa, arrays = pyarrow(), {}
    for key, values in columns.items():
        cells, lengths = end_to_end(values) if ragged(values) else (values, None)
        try:
            arrays[key] = _packed(cells.reshape(-1), dtypes.get(key))
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
