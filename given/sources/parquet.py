"""Parquet: typed columns, read a run of rows at a time. Needs pyarrow (`pip install given[parquet]`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from given.sources.columns import Columns, check_names
from given.sources.kinds import EXACT, LONG, Kind
from given.sources.stream import File, Stream
from given.variables import UserError

__all__ = ["Parquet", "pack"]

_ROWS = 1 << 16  # read at once


def _pyarrow() -> Any:
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


def pack(columns: Mapping[str, np.ndarray], name: str) -> memoryview:
    """Columns as Parquet, grids as lists of fixed length.

    Raises:
        UserError: values that Parquet cannot hold.
    """
    pa, arrays = _pyarrow(), {}
    for key, values in columns.items():
        try:
            arrays[key] = pa.array(values.reshape(-1))
        except (pa.ArrowException, TypeError) as error:
            raise UserError(f"{name}: {key}: {' '.join(str(error).split())}; save as .npz") from None
        for length in values.shape[:0:-1]:
            arrays[key] = pa.FixedSizeListArray.from_arrays(arrays[key], length)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table(arrays), sink)
    return memoryview(sink.getvalue())


class Parquet(Stream):
    """Parquet files with the same columns: numbers, booleans, text, dates (as text) and lists of numbers of one shape.

    Args:
        files: in order.

    Raises:
        UserError: file, column and what is wrong there.
    """

    format = "parquet"

    def __init__(self, files: Sequence[File], skip_bad: bool = False) -> None:
        super().__init__(files, skip_bad)
        _pyarrow()
        self.kinds: dict[str, Kind] = {}
        n = 0
        for file, batch in self._batches():
            names = [str(name) for name in batch.schema.names]
            check_names(names, file.name)
            self.kinds = self.kinds or dict.fromkeys(names, Kind())
            if names != list(self.kinds):
                raise UserError(f"{file.name}: has columns {str(names)[:100]}; expected {str(list(self.kinds))[:100]} as in "
                                f"{self.files[0].name}")
            for name, column in zip(names, batch.columns, strict=True):
                try:
                    self.kinds[name] |= _kind(column)
                except UserError as error:
                    raise error.at(f"{file.name}: {name}") from None
            n += batch.num_rows
        self.found(n, "at least one row, got none")
        self.notes = [f"{name}: {kind.note}" for name, kind in self.kinds.items() if kind.note]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    @property
    def large(self) -> int:
        metas = [_pyarrow().parquet.ParquetFile(file.path).metadata for file in self.files]
        return sum(meta.row_group(i).total_byte_size for meta in metas for i in range(meta.num_row_groups))

    def blocks(self) -> Iterator[Columns]:
        for _, batch in self._batches():
            columns = zip(self.names, batch.columns, strict=True)
            yield Columns({name: _array(column, self.kinds[name]) for name, column in columns})

    def _batches(self) -> Iterator[tuple[File, Any]]:
        pa = _pyarrow()
        for file in self.files:
            try:
                for batch in pa.parquet.ParquetFile(file.path).iter_batches(_ROWS, use_threads=False):
                    if batch.num_rows:
                        yield file, batch
            except (pa.ArrowException, OSError) as error:
                message = " ".join(str(error).split())[:120].rstrip(".")
                raise UserError(f"{file.name}: is not whole Parquet ({message})") from None


def _plain(column: Any) -> Any:
    """Words of a dictionary written out."""
    return column.dictionary_decode() if _pyarrow().types.is_dictionary(column.type) else column


def _kind(column: Any) -> Kind:
    pa, column = _pyarrow(), _plain(column)
    types, missing = pa.types, column.null_count > 0
    if types.is_null(column.type):
        return Kind(missing=True)
    if types.is_boolean(column.type):
        return Kind("boolean", missing, width=5)
    if types.is_integer(column.type):
        ends = [end for end in pa.compute.min_max(column).as_py().values() if end is not None]
        wide = max((0 if abs(end) <= EXACT else 53 if end < 2**63 else 64 for end in ends), default=0)
        return Kind("whole" if ends else "", missing, wide, 20)
    if types.is_floating(column.type):
        return Kind("real", missing, width=25)
    if types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type):
        grid = _grid(column)
        return Kind(f"grid of {grid.dtype}{list(grid.shape[1:])}")
    try:
        words = column.cast(pa.large_string())
        width = pa.compute.max(pa.compute.utf8_length(words)).as_py() or 0
        width = LONG if pa.compute.any(pa.compute.ends_with(words, "\0")).as_py() else width
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise UserError(f"holds {column.type}; expected numbers, booleans, text, dates or lists of numbers") from None
    return Kind("text", missing, width=width)


def _grid(column: Any) -> np.ndarray:
    """Lists of lists of numbers as one array."""
    pa, shape = _pyarrow(), [len(column)]
    while pa.types.is_nested(column.type):
        lengths: set[Any] = set(pa.compute.list_value_length(column).to_pylist()) if hasattr(column, "flatten") else {None}
        if len(lengths) > 1 or None in lengths or pa.types.is_struct(column.type):
            raise UserError("lists of different lengths, or missing ones; expected one shape in all rows")
        shape.append(lengths.pop())
        column = column.flatten()
    number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)
    if column.null_count or not number:
        raise UserError(f"lists of {column.type}{' with holes' * bool(column.null_count)}; expected numbers")
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(shape)


def _array(column: Any, kind: Kind) -> np.ndarray:
    pa, column = _pyarrow(), _plain(column)
    if kind.what.startswith("grid"):
        return _grid(column)
    match kind.stored:
        case "whole" | "boolean":
            return np.asarray(column.cast(pa.int64() if kind.stored == "whole" else pa.bool_()).to_numpy(zero_copy_only=False))
        case "real":
            return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    return kind.texts(column.cast(pa.large_string()).to_pylist())
