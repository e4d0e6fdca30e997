"""Columns: raw data by name. What comes in, and what goes out."""

from __future__ import annotations

import abc
import math
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from given.sources.cells import Dtype, array, pandas_series, polars_series, written
from given.sources.clock import Clock
from given.sources.kinds import Kind, items, ragged, stacked
from given.sources.long import unrolled
from given.sources.sound_files import save_sounds
from given.sources.video_files import save_clips
from given.sources.write import records, save
from given.variables import UserError, shown
from given.ways import way

if TYPE_CHECKING:
    import pandas
    import polars

__all__ = ["Columns", "Source", "check_names", "gathered", "index_name", "joined", "regrouped"]

_RUN = 1 << 27  # bytes in memory at once
_ROWS, _PART, _SOME = 1 << 16, 1 << 12, 64  # of a run, at once of one, looked at to see how large they are
_FEW, _NARROW = 10, 40  # rows or columns, and characters, that are printed as a table


class Source(abc.ABC):
    """Re-iterable batches of columns, in order. Data larger than memory is a source of its own.

    Attributes:
        skipped: "file, line: reason" of every bad row that `read(..., skip_bad=True)` left out.
        dtypes: column -> what is known of it beyond its array, as `given.sources.cells` lists: the dtype it had in a frame,
            "text" for running text, "index" for the names of rows, "fixed(2)" for numbers written with two decimals.
        kinds: column -> what its cells are and how they were read, where they were text.
    """

    skipped: list[str] = []
    dtypes: Mapping[str, Dtype] = {}
    kinds: Mapping[str, Kind] = {}

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """The columns' names."""

    @abc.abstractmethod
    def batches(self, size: int) -> Iterator[Columns]:
        """One pass over the rows in order, in batches of at most `size`."""

    def of_epoch(self, seed: int, number: int) -> Source:
        """The rows as an epoch of learning sees them: others in every epoch where they are cut by chance, else as they are."""
        return self

    def only(self, names: Collection[str]) -> Source:
        """The same rows for who reads these columns alone: a source that makes its columns leaves out the others."""
        return self

    def covering(self) -> Source:
        """Rows with every value that any epoch may show, to learn from them what there is."""
        return self

    @property
    def affordable(self) -> int:
        """How many rows like the first 64 may be in memory at once: 128 MB of them, and at least one."""
        some = next(iter(self.batches(_SOME)), None)
        return _RUN if some is None else max(1, _RUN * some.n // max(1, some.nbytes))

    def runs(self, least: int = 1) -> Iterator[Columns]:
        """One pass over the rows in order, in runs of at most 65,536 rows and some 128 MB, but of so many rows at least."""
        return gathered(self.batches(max(1, min(_PART, self.affordable // 8))), least)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `.csv` or `.tsv` (a row a value, as `Columns.long`), `.jsonl` or `.parquet`, run by run, or `.npz`, whose rows
        are held in memory; whole or not at all. Sounds are written as `.wav`, or as a folder, `drawn/`, with one a row; one
        column of video as `.gif` or `.mp4`, all clips side by side.

        Raises:
            UserError: another ending, values that the file cannot hold, or a place that cannot be written to.
        """
        path = os.fspath(path)
        ending = os.path.splitext(path)[1]
        if ending.lower() == ".wav" or path.endswith(("/", os.sep)):
            whole = (self if isinstance(self, Columns) else joined([*self.runs()])).flat()
            save_sounds(whole, whole.dtypes, path)
            return
        if ending in (".gif", ".mp4"):
            save_clips(path, (self if isinstance(self, Columns) else joined([*self.runs()])).flat())
            return
        if ending == ".npz" or (isinstance(self, Columns) and not self.n):  # without rows there is no run, but columns
            whole = self if isinstance(self, Columns) else joined([*self.runs()])
            save([(whole, whole.dtypes)], path)
            return
        runs = self._long(path) if ending in (".csv", ".tsv") else map(Columns.flat, self.runs())
        save(((run, run.dtypes) for run in runs), path)

    def _long(self, path: str) -> Iterator[Columns]:
        """Runs as long tables, whose items are numbered on."""
        first = 0
        for run in self.runs():
            try:
                yield run.long(first)
            except UserError as error:
                raise error.at(path) from None
            first += run.n

    def described(self) -> str:
        """One line: where the rows come from and how they were understood."""
        return repr(self)


class Columns(Source, Mapping[str, np.ndarray]):
    """Named columns of raw values, all with the same leading shape.

    Args:
        columns: name -> array, (rows, ...), or (draws, rows, ...) for several draws a row. Lists, series and Python's dates,
            decimals, durations and times of day become arrays of numbers, text and times.
        axes: how many leading axes all columns share: 1, or 2 for draws of rows, or 0 for a single item.
        dtypes: column -> the dtype it comes back with in a frame, where its array does not say it.

    Attributes:
        clock: when the values of a long table were, where it was one.
        acceptance: the share of draws that met what they had to, of those that `sample(where=)` kept.

    Raises:
        UserError: columns of different length, or none.
    """

    clock: Clock | None = None
    acceptance: float | None = None

    def __init__(self, columns: Mapping[str, Any], axes: int = 1, dtypes: Mapping[str, Dtype] | None = None) -> None:
        check_names([str(name) for name in columns], "columns")
        both = {str(name): _array(str(name), values) for name, values in columns.items()}
        self._columns = {name: values for name, (values, _) in both.items()}
        found = {name: dtype for name, (_, dtype) in both.items() if dtype is not None}
        self.dtypes = found | {name: dtype for name, dtype in (dtypes or {}).items() if name in both}
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

    @property
    def nbytes(self) -> int:
        """Bytes of memory, those of objects in cells too."""
        each = [values.ravel().tolist() if values.dtype.kind == "O" else [values] for values in self._columns.values()]
        return sum(v.nbytes if isinstance(v, np.ndarray) else sys.getsizeof(v) for cells in each for v in cells)

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

    def with_calendar(self, names: Sequence[str]) -> Columns:
        """The same with columns `hour`, `weekday` or `month` of every moment of a long table, but for those that are there.

        Raises:
            UserError: there is no time that they could be derived of.
        """
        names = [name for name in names if name not in self]
        if not names:
            return self
        along = next((values for values in self.values() if ragged(values)), None)
        if self.clock is None or along is None:
            raise UserError(f"{names[0]}: no such column, and no column of times to derive it of; name one by "
                            f"{way('read(..., time=)', '--time')}")
        lengths = [len(item) for item in along]
        found = {name: [self.clock.calendar(name, i, length) for i, length in enumerate(lengths)] for name in names}
        if any(item is None for each in found.values() for item in each):
            raise UserError(f"{names[0]}: no such column, and {self.clock.name or 'rows'} are no dates to derive it of")
        derived = {name: items(np.concatenate([item for item in each if item is not None]), lengths)
                   for name, each in found.items()}
        more = Columns({**self, **derived}, dtypes=self.dtypes)
        more.about, more.skipped, more.kinds = self.about, self.skipped, self.kinds
        more.clock = replace(self.clock, derived=(*self.clock.derived, *names))
        return more

    def rows(self, index: Any) -> Columns:
        """Some of the rows, by a slice, a mask or an array of numbers."""
        return Columns({name: values[index] for name, values in self._columns.items()}, self.axes, self.dtypes)

    def batches(self, size: int) -> Iterator[Columns]:
        for start in range(0, self.n, size):
            yield self.rows(slice(start, start + size))

    def runs(self, least: int = 1) -> Iterator[Columns]:
        yield from self.batches(max(least, min(_ROWS, self.affordable))) if self.axes == 1 else [self]

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
                raise UserError(f"split: expected a share from 0.0 to 1.0 or a number of rows up to {self.n}, got {shown(p)}")
        order = np.random.default_rng(seed).permutation(self.n)
        cuts = np.rint(np.cumsum([p * self.n if isinstance(p, float) else p for p in parts])).astype(int)
        if len(cuts) and cuts[-1] > self.n:
            raise UserError(f"split: {', '.join(map(str, parts))} are {cuts[-1]} rows together; there are {self.n}")
        return tuple(self.rows(part) for part in np.split(order, cuts))

    def flat(self, first_row: int = 0) -> Columns:
        """One row an item, with `draw` and `row` columns, counted from 0 and `first_row`, where there were several draws."""
        if self.axes == 1:
            return self
        numbers = np.indices(self.shape).reshape(2, -1) if self.axes == 2 else None
        columns = {} if numbers is None else {"draw": numbers[0], "row": numbers[1] + first_row}
        flat = {name: values.reshape(self.n, *values.shape[self.axes:]) for name, values in self._columns.items()}
        return Columns({**{k: v for k, v in columns.items() if k not in flat}, **flat}, dtypes=self.dtypes)

    def long(self, first_item: int = 0) -> Columns:
        """A row a value: items, whatever their lengths, end to end, with what a row has one of repeated beside them.

        Columns `item`, its number from `first_item` on, and `index`, the value's place in it, come first. What has no items is
        as `flat`.

        Raises:
            UserError: items of a row whose lengths differ, or values that are grids.
        """
        flat = self.flat()
        found = unrolled(flat, first_item)
        return Columns(found, dtypes={k: v for k, v in flat.dtypes.items() if len(found) == len(flat) or flat[k].ndim == 1})

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas frame, each column of the dtype that it had where it was learned; one of grids holds an array a cell.

        A column whose dtype cannot hold a value, such as a whole number of too many bits, keeps the dtype of its array.
        """
        import pandas

        return pandas.DataFrame({k: pandas_series(v, self.dtypes.get(k)) if v.ndim == 1 else list(v)
                                 for k, v in self.flat().items()})

    def to_polars(self) -> polars.DataFrame:
        """A polars frame, each column of the dtype that it had where it was learned; one of grids holds nested lists."""
        import polars

        return polars.DataFrame({k: polars_series(v, self.dtypes.get(k)) for k, v in self.flat().items()})

    def records(self) -> Iterator[dict[str, Any]]:
        """Row after row, as plain Python values; times as ISO text, NaN as None."""
        yield from records(self.flat(), self.dtypes)

    def __str__(self) -> str:
        """The values as a table where they are few single ones, at most 10 rows of 10 columns; else as `repr`."""
        few = 0 < len(self) <= _FEW and 0 < self.n <= _FEW and self.axes < 2
        if not few or any(v.ndim != self.axes or ragged(v) for v in self.values()):
            return repr(self)
        cells = [[name, *([f"{cell:.6g}" for cell in np.atleast_1d(v)] if v.dtype.kind == "f" else
                          written(np.atleast_1d(v), self.dtypes.get(name)))] for name, v in self.items()]
        if any(len(cell) > _NARROW or "\n" in cell for column in cells for cell in column):
            return repr(self)
        wide = [max(map(len, column)) for column in cells]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, wide, strict=True))
                         for row in zip(*cells, strict=True))

    def __repr__(self) -> str:
        each = [f"{k}: {_kind_of(v)}{list(v.shape[self.axes:]) or ''}" for k, v in self._columns.items()]
        shown = each if len(each) <= 6 else [*each[:5], f"and {len(each) - 5} more"]
        return f"Columns({' x '.join(map(str, self.shape)) or 'one'}; {', '.join(shown)})"


def joined(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts, which have the same columns."""
    if len(parts) == 1:
        return parts[0]
    return Columns({name: stacked([part[name] for part in parts], 0, 1) for name in parts[0].names}, dtypes=parts[0].dtypes)


def gathered(parts: Iterable[Columns], least: int = 1) -> Iterator[Columns]:
    """Rows that come in parts as runs: of at most 65,536 rows and some 128 MB, but of so many rows at least."""
    held, rows, size = list[Columns](), 0, 0
    for part in parts:
        more = part.nbytes
        if rows >= least and (rows + part.n > _ROWS or size + more > _RUN):
            run, held, rows, size = joined(held), [], 0, 0
            yield run
            del run
        held, rows, size = [*held, part], rows + part.n, size + more
    if held:
        yield joined(held)


def regrouped(parts: Iterable[Columns], size: int) -> Iterator[Columns]:
    """Rows that come in parts, so many at a time, and in the end those that are left."""
    held, n = list[Columns](), 0
    for part in parts:
        held, n = [*held, part], n + part.n
        if n >= size:
            whole = joined(held)
            for start in range(0, n - size + 1, size):
                yield whole.rows(slice(start, start + size))
            held, n = [whole.rows(slice(n - n % size, n))] if n % size else [], n % size
    if held:
        yield joined(held)


def index_name(names: Sequence[str]) -> str:
    """What a column of row names that has no name of its own is called: "index", or "index_" where others are called so."""
    name = "index"
    while name in names:
        name += "_"
    return name


def check_names(names: Sequence[str], where: str) -> None:
    """Raises `UserError` where a column has no name, or two have one."""
    for i, name in enumerate(names):
        if not name:
            raise UserError(f"{where}: column {i + 1} has no name; give every column one")
        if name in names[:i]:
            raise UserError(f"{where}: two columns are called {name!r}; rename one")


def _array(name: str, values: Any) -> tuple[np.ndarray, Dtype | None]:
    try:
        return array(values)
    except UserError as error:
        raise error.at(name) from None
    except ValueError:
        raise UserError(f"{name}: rows of different shapes; expected arrays or lists in every row that differ in their length "
                        "alone") from None


def _kind_of(values: np.ndarray) -> str:
    """What a column holds, in a word."""
    if not ragged(values):
        return str(values.dtype)
    inner = next(item.dtype for item in values.flat if item is not None)
    return f"items of {'text' if inner.kind in 'OU' else inner}"


def _count(shape: Sequence[int]) -> str:
    return f"{shape[0]} rows" if len(shape) == 1 else f"shape {tuple(shape)}"
