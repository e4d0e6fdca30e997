"""Columns: raw data by name. What comes in, and what goes out."""

from __future__ import annotations

import abc
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from given.variables import UserError

if TYPE_CHECKING:
    import pandas
    import polars

__all__ = ["Columns", "Source", "check_names", "write_file"]


class Source(abc.ABC):
    """Re-iterable batches of columns, in order. Data larger than memory is a source of its own.

    Attributes:
        skipped: "file, line: reason" of every bad row that `read(..., skip_bad=True)` left out.
    """

    skipped: list[str] = []

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """The columns' names."""

    @abc.abstractmethod
    def batches(self, size: int) -> Iterator[Columns]:
        """One pass over the rows in order, in batches of at most `size`."""

    def described(self) -> str:
        """One line: where the rows come from and how they were understood."""
        return repr(self)


class Columns(Source, Mapping[str, np.ndarray]):
    """Named columns of raw values, all with the same leading shape.

    Args:
        columns: name -> array, (rows, ...), or (draws, rows, ...) for several draws a row.
        axes: how many leading axes all columns share: 1, or 2 for draws of rows, or 0 for a single item.

    Raises:
        UserError: columns of different length, or none.
    """

    def __init__(self, columns: Mapping[str, Any], axes: int = 1) -> None:
        check_names([str(name) for name in columns], "columns")
        self._columns = {str(name): _array(str(name), values) for name, values in columns.items()}
        if not self._columns:
            raise UserError("expected at least one column, got none")
        self.axes, self.about = axes, ""
        for name, values in self._columns.items():
            if values.ndim < axes:
                raise UserError(f"{name}: expected a value for each row, got a single {values.dtype}; pass a list")
        self.shape = next(iter(self._columns.values())).shape[:axes]
        for name, values in self._columns.items():
            if values.shape[:axes] != self.shape:
                first = next(iter(self._columns))
                raise UserError(f"{name}: expected {_count(self.shape)} as in {first}, got {_count(values.shape[:axes])}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._columns)

    @property
    def n(self) -> int:
        """How many items: rows, or draws times rows."""
        return math.prod(self.shape)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise UserError(f"no column {name!r}; there are {', '.join(self.names)}")
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def get(self, name: str, default: Any = None) -> Any:
        return self._columns.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __len__(self) -> int:
        return len(self._columns)

    def described(self) -> str:
        return self.about or repr(self)

    def rows(self, index: Any) -> Columns:
        """Some of the rows, by a slice, a mask or an array of numbers."""
        return Columns({name: values[index] for name, values in self._columns.items()}, self.axes)

    def batches(self, size: int) -> Iterator[Columns]:
        for start in range(0, self.n, size):
            yield self.rows(slice(start, start + size))

    def split(self, *parts: float | int, seed: int = 0) -> tuple[Columns, ...]:
        """The rows shuffled by a seed and cut into parts: fractions or numbers of rows, the rest last.

        >>> train, test = Columns({"x": range(10)}).split(0.8)
        >>> train.n, test.n
        (8, 2)

        Raises:
            UserError: parts that are more than all rows, or less than none.
        """
        for p in parts:
            if not isinstance(p, int | float) or not 0 <= p <= (1 if isinstance(p, float) else self.n):
                raise UserError(f"split: expected a share from 0.0 to 1.0 or a number of rows up to {self.n}, got {p!r}")
        order = np.random.default_rng(seed).permutation(self.n)
        cuts = np.rint(np.cumsum([p * self.n if isinstance(p, float) else p for p in parts])).astype(int)
        if len(cuts) and cuts[-1] > self.n:
            raise UserError(f"split: {', '.join(map(str, parts))} are {cuts[-1]} rows together; there are {self.n}")
        return tuple(self.rows(part) for part in np.split(order, cuts))

    def flat(self) -> Columns:
        """One row an item, with `draw` and `row` columns where there were several draws."""
        if self.axes == 1:
            return self
        columns = dict(zip(("draw", "row"), np.indices(self.shape).reshape(2, -1), strict=True)) if self.axes == 2 else {}
        flat = {name: values.reshape(self.n, *values.shape[self.axes:]) for name, values in self._columns.items()}
        return Columns({**{k: v for k, v in columns.items() if k not in flat}, **flat})

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas frame; a column of grids holds an array a cell."""
        import pandas

        return pandas.DataFrame(self._cells())

    def to_polars(self) -> polars.DataFrame:
        """A polars frame; a column of grids holds nested lists."""
        import polars

        return polars.DataFrame({k: v if v.ndim == 1 else v.tolist() for k, v in self.flat().items()})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `.csv` or `.tsv` (columns of single values), `.jsonl`, `.parquet` or `.npz`, whole or not at all.

        Raises:
            UserError: another ending, values that the file cannot hold, or a place that cannot be written to.
        """
        path, flat = os.fspath(path), self.flat()
        ending = os.path.splitext(path)[1]
        if ending == ".npz":
            arrays = {k: _plain(v, f"{path}: {k}") for k, v in self._columns.items()}
            write_file(path, lambda file: _archive(file, arrays))
        elif ending in (".csv", ".tsv"):
            grids = [name for name, values in flat.items() if values.ndim > 1]
            if grids:
                raise UserError(f"{path}: {grids[0]} has several values an item; save as .npz")
            table = [flat.names, *zip(*(values.tolist() for values in flat.values()), strict=True)]
            d = "," if ending == ".csv" else "\t"
            lines = (d.join(_cell(value, d) for value in row) or '""' for row in table)  # an empty line would be no row
            write_file(path, lambda file: file.writelines(f"{line}\n".encode() for line in lines))
        elif ending == ".jsonl":
            import json

            lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in flat.records())
            try:
                write_file(path, lambda file: file.writelines(line.encode() for line in lines))
            except (TypeError, ValueError) as error:
                raise UserError(f"{path}: cannot hold these values ({error}); save as .npz") from None
        elif ending == ".parquet":
            from given.sources.parquet import pack

            packed = pack(flat, path)
            write_file(path, lambda file: file.write(packed))
        else:
            raise UserError(f"{path}: expected an ending .csv, .tsv, .jsonl, .parquet or .npz")

    def records(self) -> Iterator[dict[str, Any]]:
        """Row after row, as plain Python values; NaN as None."""
        flat = self.flat()
        for row in zip(*(values.tolist() for values in flat.values()), strict=True):
            yield {name: None if value != value else value for name, value in zip(flat.names, row, strict=True)}

    def _cells(self) -> dict[str, Any]:
        return {k: v if v.ndim == 1 else list(v) for k, v in self.flat().items()}

    def __repr__(self) -> str:
        each = [f"{k}: {v.dtype}{list(v.shape[self.axes:]) or ''}" for k, v in self._columns.items()]
        shown = each if len(each) <= 6 else [*each[:5], f"and {len(each) - 5} more"]
        return f"Columns({' x '.join(map(str, self.shape)) or 'one'}; {', '.join(shown)})"


def check_names(names: Sequence[str], where: str) -> None:
    """Raises `UserError` where a column has no name, or two have one."""
    for i, name in enumerate(names):
        if not name:
            raise UserError(f"{where}: column {i + 1} has no name; give every column one")
        if name in names[:i]:
            raise UserError(f"{where}: two columns are called {name!r}; rename one")


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:
        raise UserError(f"{name}: rows of different shapes; expected one shape for all, such as padded lists") from None


def _plain(values: np.ndarray, where: str) -> np.ndarray:
    """Object arrays as text, since a .npz of ours holds no pickled objects."""
    if values.dtype.kind != "O":
        return values
    other = [value for value in values.flat if not isinstance(value, str)]
    if other:
        raise UserError(f"{where}: got {other[0]!r} among text; .npz holds text or numbers; fill it in, or save as .csv")
    return values.astype(str)


def _cell(value: Any, delimiter: str) -> str:
    """A cell as the table reader takes it."""
    text = "" if value is None or value != value else str(value)
    if text == text.strip(" \t") and not any(mark in text for mark in (delimiter, '"', "\r", "\n")):
        return text
    return '"{}"'.format(text.replace('"', '""'))


def _archive(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """What numpy.savez writes, whatever the columns are called."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


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


def _count(shape: Sequence[int]) -> str:
    return f"{shape[0]} rows" if len(shape) == 1 else f"shape {tuple(shape)}"
