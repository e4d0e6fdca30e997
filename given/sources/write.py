"""Write: rows as files, part by part, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from given.sources.cells import Dtype, is_whole, plain, written, zone_of
from given.sources.kinds import end_to_end, holds_sets, ragged
from given.variables import UserError

__all__ = ["delimited", "pyarrow", "records", "save", "write_file"]

Part = tuple[Mapping[str, np.ndarray], Mapping[str, Dtype]]


def save(parts: Iterable[Part], path: str) -> None:
    """Write rows by the ending of the path: .csv, .tsv, .jsonl or .parquet, part by part as they come, or .npz, of one part.

    Items of different lengths are lists in .jsonl and .parquet, and are refused elsewhere; as a table see `long`.

    Args:
        parts: columns, name -> (rows, ...), for .csv and .tsv (rows,) of single values, for .npz any shapes; each with the
            dtypes by which their cells are spelled, what is known of a column beyond its array.
        path: of the file; an older one there is replaced.

    Raises:
        UserError: another ending, values that the file cannot hold, or a place that cannot be written to.
    """
    match os.path.splitext(path)[1]:
        case ".npz":
            (columns, _), = parts
            arrays = {k: _plain(v, f"{path}: {k}") for k, v in columns.items()}
            write_file(path, lambda file: _archive(file, arrays))
        case ".csv" | ".tsv" as ending:
            lines = _lines(parts, "," if ending == ".csv" else "\t")
            write_file(path, lambda file: file.writelines(f"{line}\n".encode() for line in lines))
        case ".jsonl":
            write_file(path, lambda file: file.writelines(_json_lines(parts, path)))
        case ".parquet":
            write_file(path, lambda file: _parquet(file, parts, path))
        case _:
            raise UserError(f"{path}: expected an ending .csv, .tsv, .jsonl, .parquet or .npz")


def _json_lines(parts: Iterable[Part], path: str) -> Iterator[bytes]:
    for columns, dtypes in parts:
        for row in records(columns, dtypes):
            try:
                yield (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
            except (TypeError, ValueError) as error:
                raise UserError(f"{path}: cannot hold these values ({error}); save as .npz") from None


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
        with open(partial, "w+b") as file:
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


def _lines(parts: Iterable[Part], delimiter: str) -> Iterator[str]:
    """The header and the rows of a table."""
    for i, (columns, dtypes) in enumerate(parts):
        if not i:
            yield from delimited([[name] for name in columns], delimiter)
        yield from delimited([written(values, dtypes.get(name)) for name, values in columns.items()], delimiter)


def delimited(columns: Iterable[Sequence[str]], delimiter: str) -> Iterator[str]:
    """Columns of cells as lines that the table reader takes apart into the same; an empty one would be no row."""
    quoted = []
    for cells in columns:
        each = {text: _cell(text, delimiter) for text in set(cells)}
        quoted.append([each[text] for text in cells])
    return (delimiter.join(row) or '""' for row in zip(*quoted, strict=True))


def _cell(text: str, delimiter: str) -> str:
    if text == text.strip(" \t") and not any(mark in text for mark in (delimiter, '"', "\r", "\n")):
        return text
    return '"{}"'.format(text.replace('"', '""'))


def _plain(values: np.ndarray, where: str) -> np.ndarray:
    """Object arrays as text, since a .npz of ours holds no pickled objects."""
    if values.dtype.kind != "O":
        return values
    if holds_sets(values):
        raise UserError(f"{where}: sets of items, which .npz does not hold; save as .jsonl")
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
    """Values (rows,) as an array of pyarrow, of the type that the dtype names where it can hold them."""
    pa = pyarrow()
    if values.dtype.kind == "M":
        zone = zone_of(dtype)
        return pa.array(values.astype("M8[D]") if dtype == "date" else values.astype("M8[us]") if zone else values,
                        pa.timestamp("us", zone) if zone else None)
    if isinstance(dtype, str) and dtype.startswith("timedelta") and values.dtype.kind in "fi":
        return pa.array(np.where(np.isnan(values), np.timedelta64("NaT"), np.rint(values * 1e6).astype("m8[us]")))
    whole = values.dtype.kind == "f" and is_whole(dtype)
    found = pa.array(plain(values, dtype) if whole or values.dtype.kind in "Oc" else values, pa.int64() if whole else None)
    if dtype == "date" and pa.types.is_string(found.type):
        return found.cast(pa.date32())
    if isinstance(dtype, dict) and dtype.get("categories") and pa.types.is_string(found.type):
        new = [v for v in found.unique().to_pylist() if v is not None and v not in dtype["categories"]]  # such as "(other)"
        named = pa.array([*dtype["categories"], *new], pa.string())
        return pa.DictionaryArray.from_arrays(pa.compute.index_in(found, named), named, ordered=dtype["ordered"])
    if isinstance(dtype, str) and re.fullmatch(r"(u?int|float)(8|16|32)", dtype.lower()):
        with contextlib.suppress(pa.ArrowInvalid):
            return found.cast(dtype.lower())
    return found


def _parquet(file: BinaryIO, parts: Iterable[Part], path: str) -> None:
    """Write rows as Parquet, a row group a part. A column that held nothing so far takes the type that it then has."""
    pa, writer = pyarrow(), None
    try:
        for columns, dtypes in parts:
            table = _arrow(columns, path, dtypes)
            writer = writer or pa.parquet.ParquetWriter(file, table.schema)
            if table.schema != writer.schema:
                schema = pa.unify_schemas([writer.schema, table.schema], promote_options="permissive")
                if schema != writer.schema:
                    writer.close()
                    writer = _rewritten(file, schema)
                table = table.cast(schema)
            writer.write_table(table)
    except pa.ArrowException as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}; save as .csv") from None
    finally:
        if writer is not None:
            writer.close()


def _rewritten(file: BinaryIO, schema: Any) -> Any:
    """A writer that goes on after the rows of a Parquet file, which are written again by another schema."""
    pa = pyarrow()
    with tempfile.TemporaryFile() as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        file.seek(0)
        file.truncate()
        before, writer = pa.parquet.ParquetFile(copy), pa.parquet.ParquetWriter(file, schema)
        for group in range(before.num_row_groups):
            writer.write_table(before.read_row_group(group).cast(schema))
    return writer


def _arrow(columns: Mapping[str, np.ndarray], path: str, dtypes: Mapping[str, Dtype]) -> Any:
    """Columns as a table of pyarrow, grids as lists of fixed length, items as lists."""
    pa, arrays = pyarrow(), {}
    for key, values in columns.items():
        cells, lengths = end_to_end(values) if ragged(values) else (values, None)
        try:
            arrays[key] = _packed(cells.reshape(-1), dtypes.get(key))
        except (pa.ArrowException, TypeError) as error:
            raise UserError(f"{path}: {key}: {' '.join(str(error).split())}; save as "
                            + (".jsonl" if holds_sets(values) else ".npz")) from None
        for length in cells.shape[:0:-1]:
            arrays[key] = pa.FixedSizeListArray.from_arrays(arrays[key], length)
        if lengths is not None:
            ends = np.cumsum([0, *(length or 0 for length in lengths)])
            absent = pa.array([length is None for length in lengths])
            arrays[key] = pa.LargeListArray.from_arrays(pa.array(ends), arrays[key], mask=absent)
    return pa.table(arrays)
