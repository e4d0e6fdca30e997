"""Parquet: typed columns, read a run of rows at a time. Needs pyarrow (`pip install given[parquet]`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from given.sources.cells import Dtype, array
from given.sources.columns import Columns, check_names, index_name
from given.sources.forms import common
from given.sources.kinds import EXACT, LONG, Kind, Lists
from given.sources.learned import Learned
from given.sources.stream import File, Stream
from given.sources.write import pyarrow
from given.variables import UserError

__all__ = ["Parquet"]

_ROWS = 1 << 16  # read at once


class Parquet(Stream):
    """Parquet files with the same columns: numbers, booleans, text, dates and times of day (as text), moments, durations (in
    seconds) and lists of these: of numbers of one shape a grid; of different lengths, or of text, items (rows,) of an array
    each.

    Args:
        files: in order.
        decimal, dayfirst, learned: as of `read`.

    Raises:
        UserError: file, column and what is wrong there.
    """

    format = "parquet"

    def __init__(self, files: Sequence[File], skip_bad: bool = False, decimal: str | None = None,
                 dayfirst: bool | None = None, learned: Mapping[str, Learned] | None = None) -> None:
        super().__init__(files, skip_bad)
        pyarrow()
        kinds, n, words = dict[str, Kind](), 0, dict[str, dict[Any, None]]()
        self._lists: dict[str, Lists] = {}
        for file, batch in self._batches():
            names = _names(batch.schema)
            check_names(names, file.name)
            kinds = kinds or dict.fromkeys(names, Kind())
            if names != list(kinds):
                raise UserError(f"{file.name}: has columns {str(names)[:100]}; expected {str(list(kinds))[:100]} as in "
                                f"{self.files[0].name}")
            for name, column in zip(names, batch.columns, strict=True):
                if pyarrow().types.is_dictionary(column.type):
                    words.setdefault(name, {}).update(dict.fromkeys(column.dictionary.to_pylist()))
                try:
                    kinds[name] |= self._kind(name, _plain(column))
                except UserError as error:
                    raise error.at(f"{file.name}: {name}") from None
            n += batch.num_rows
        self.found(n, "at least one row, got none")
        self.dtypes: dict[str, Dtype] = _dtypes(batch.schema, words)
        self._names = tuple(kinds)
        self.understand(kinds, (decimal, dayfirst), learned)
        for name, narrow in _narrow(batch.schema).items():  # beside holes as pandas names it
            self.dtypes[name] = narrow.title().replace("Ui", "UI") if self.dtypes.get(name) == "Int64" else narrow

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def large(self) -> int:
        metas = [pyarrow().parquet.ParquetFile(file.path).metadata for file in self.files]
        return sum(meta.row_group(i).total_byte_size for meta in metas for i in range(meta.num_row_groups))

    def blocks(self) -> Iterator[Columns]:
        for _, batch in self._batches():
            columns = zip(self.names, batch.columns, strict=True)
            yield Columns({name: self._array(name, _plain(column)) for name, column in columns})

    def _kind(self, name: str, column: Any) -> Kind:
        """What the cells of a column are, and those in its lists."""
        if not _listed(column):
            return _kind(column)
        lists = self._lists.setdefault(name, Lists())
        lengths, shape, cells = _flat(column, lists.value)
        lists.add((length for length in lengths if length is not None), shape if len(cells) else None)
        lists.absent |= None in lengths
        lists.kind |= (kind := _kind(cells))
        return kind

    def _array(self, name: str, column: Any) -> np.ndarray:
        if (lists := self._lists.get(name)) is None:
            return _array(column, self.kinds[name])
        (lengths, _, cells), kind = _flat(column, lists.value), self.kinds[name]
        if kind.missing or kind.stored in ("text", "time"):
            return lists.array(_array(cells, kind), lengths)
        return lists.array(array(cells.to_numpy(zero_copy_only=False))[0], lengths)  # numbers of as many bits as there

    def _batches(self) -> Iterator[tuple[File, Any]]:
        pa = pyarrow()
        for file in self.files:
            try:
                for batch in pa.parquet.ParquetFile(file.path).iter_batches(_ROWS, use_threads=False):
                    if batch.num_rows:
                        yield file, batch
            except (pa.ArrowException, OSError) as error:
                message = " ".join(str(error).split())[:120].rstrip(".")
                raise UserError(f"{file.name}: is not whole Parquet ({message})") from None


def _names(schema: Any) -> list[str]:
    """The columns' names; of an index without one that pandas keeps there, "index"."""
    names: list[str] = []
    for name in schema.names:
        names.append(index_name([*names, *schema.names]) if name.startswith("__index_level_") else str(name))
    return names


def _dtypes(schema: Any, words: Mapping[str, Mapping[Any, None]]) -> dict[str, Dtype]:
    """What is known of the columns beyond their arrays: names of rows, times with a zone, durations, dates, and categories."""
    types, found = pyarrow().types, dict[str, Dtype]()
    for name, field in zip(_names(schema), schema, strict=True):
        if field.name != name:
            found[name] = "index"
        elif types.is_timestamp(field.type) and field.type.tz:
            found[name] = f"datetime64[us, {field.type.tz}]"
        elif types.is_duration(field.type):
            found[name] = f"timedelta64[{field.type.unit}]"
        elif types.is_date(field.type):
            found[name] = "date"
        elif types.is_dictionary(field.type) and all(isinstance(word, str) for word in words[name]):
            found[name] = {"categories": list(words[name]), "ordered": field.type.ordered}
    return found


def _narrow(schema: Any) -> dict[str, str]:
    """Columns of numbers of fewer than 64 bits, and of how many."""
    pa = pyarrow()
    types = {getattr(pa, name)(): name for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32")}
    return {name: types[field.type] for name, field in zip(_names(schema), schema, strict=True) if field.type in types}


def _plain(column: Any) -> Any:
    """Words of a dictionary written out."""
    return column.dictionary_decode() if pyarrow().types.is_dictionary(column.type) else column


def _kind(column: Any) -> Kind:
    pa = pyarrow()
    types, missing = pa.types, column.null_count > 0
    if types.is_null(column.type):
        return Kind(missing=True)
    if types.is_timestamp(column.type):
        return Kind("time", missing)
    if types.is_duration(column.type) or types.is_decimal(column.type):
        return Kind("real", missing, width=25)
    if types.is_boolean(column.type):
        return Kind("boolean", missing, width=5)
    if types.is_integer(column.type):
        ends = [end for end in pa.compute.min_max(column).as_py().values() if end is not None]
        wide = max((0 if abs(end) <= EXACT else 53 if end < 2**63 else 64 for end in ends), default=0)
        return Kind("whole" if ends else "", missing, wide, 20)
    if types.is_floating(column.type):
        return Kind("real", missing, width=25)
    try:
        words = column.cast(pa.large_string())
        width = pa.compute.max(pa.compute.utf8_length(words)).as_py() or 0
        width = LONG if pa.compute.any(pa.compute.ends_with(words, "\0")).as_py() else width
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise UserError(f"holds {column.type}; expected numbers, booleans, text, dates or lists of these") from None
    return Kind("text", missing, width=width, forms=common(word for word in words.unique().to_pylist() if word is not None))


def _listed(column: Any) -> bool:
    types = pyarrow().types
    return bool(types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type))


def _flat(column: Any, before: tuple[int, ...] | None) -> tuple[list[int | None], tuple[int, ...], Any]:
    """The lengths of lists, None where there is none, the shape of a value in them and their cells end to end."""
    count, shape = pyarrow().compute.list_value_length, list[int]()
    lengths, cells = count(column).to_pylist(), _plain(column.flatten())
    while _listed(cells):
        inner = set(count(cells).to_pylist())
        if len(inner) > 1 or None in inner or 0 in inner:
            raise UserError("lists of lists of different lengths, or missing ones; expected values of one shape in all rows")
        shape.append(inner.pop() if inner else 0)
        cells = _plain(cells.flatten())
    if len(cells) and before not in (None, tuple(shape)):
        raise UserError(f"lists of values of shape {tuple(shape)} after those of shape {before}; expected one in all rows")
    return lengths, tuple(shape), cells


def _array(column: Any, kind: Kind) -> np.ndarray:
    pa = pyarrow()
    if kind.form is not None or kind.alone is not None:
        return kind.array(["" if cell is None else cell for cell in column.cast(pa.large_string()).to_pylist()])
    match kind.stored:
        case "whole" | "boolean":
            return np.asarray(column.cast(pa.int64() if kind.stored == "whole" else pa.bool_()).to_numpy(zero_copy_only=False))
        case "time":  # in UTC
            return np.asarray(column.cast(pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False))
        case "real" if pa.types.is_duration(column.type):  # in seconds
            return array(np.asarray(column.to_numpy(zero_copy_only=False)))[0]
        case "real":
            return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    return kind.texts(column.cast(pa.large_string()).to_pylist())
