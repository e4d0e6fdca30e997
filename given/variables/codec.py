"""Codec: how raw data becomes entries and back, and what that does to a density. A variable is a name with a codec."""

from __future__ import annotations

import abc
import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.variables.entries import Entries
from given.variables.errors import NewValue, UserError
from given.variables.spaces import Axis, Finite, Space
from given.variables.windows import Cut, Pieces, Whole

__all__ = ["Codec", "MISSING", "Variable", "built_with", "check_pickles"]

MISSING = "(missing)"  # how the symbol of a missing value is printed


def built_with(self: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Keep on a new object the arguments its constructor is about to get, for saving; called from `__new__`."""
    try:
        bound = inspect.signature(type(self).__init__).bind(self, *args, **options).arguments
    except TypeError as error:
        raise UserError(f"{type(self).__name__}: {error}; see help({type(self).__name__})") from None
    object.__setattr__(self, "arguments", {k: v for k, v in bound.items() if k != "self"})
    return self


def check_pickles(value: Any, who: str) -> None:
    """Raise `UserError` at an argument that another process could not find by name: a lambda, or what a function defines."""
    if isinstance(value, functools.partial):
        value = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            check_pickles(each, who)
    elif "<" in getattr(value, "__qualname__", ""):
        raise UserError(f"{who}: cannot pickle {value.__qualname__}, which has no name of its own; define it at the top of a "
                        "module, or pass a functools.partial of a class")


class Codec(abc.ABC):
    """How raw data becomes entries, and back.

    A codec is built from options, learns its state batch by batch in one pass (or is built with all it needs), and its
    state is JSON. Errors it raises are `UserError`s with the row in the batch; the variable adds its name. Raw values
    are an array (B, ...); those of a codec that reads several `columns` are a mapping of such arrays.
    """

    columns: tuple[str, ...] = ()
    missing: str = "error"  # what a hole in the data means; "unknown" is an entry that is unseen
    lossy: float | None = None  # by how much (root mean square) entries change on their way to raw values and back, of a codec
    # that keeps less than there was; None where raw values come back as they are
    arguments: Mapping[str, Any]

    def __new__(cls, *args: Any, **options: Any) -> Codec:
        return built_with(super().__new__(cls), args, options)

    def __reduce__(self) -> tuple[Any, ...]:
        """As it stands, learned or not: pickling calls no constructor."""
        check_pickles(self.arguments, type(self).__name__)
        return object.__new__, (type(self),), vars(self)

    @property
    @abc.abstractmethod
    def space(self) -> Space:
        """The space of the entries. Raises `UserError` before anything was learned."""

    @property
    @abc.abstractmethod
    def measure(self) -> str:
        """What densities are relative to: `counting`, `length in raw units`, or one on atoms and the other elsewhere."""

    @abc.abstractmethod
    def learn(self, raw: Any) -> None:
        """Learn from one more batch. Raises `UserError` at a value that has no place in this codec."""

    @abc.abstractmethod
    def encode(self, raw: Any) -> Entries:
        """(B, ...) raw values -> entries (B, *grid)."""

    def known(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, ...) raw values with symbols that were not learned read as one that was, and (B,) how many of them each has."""
        return raw, np.zeros(len(raw), dtype=np.int64)

    def encode_new(self, raw: np.ndarray) -> tuple[Entries, np.ndarray]:
        """Rows of new data: (B, ...) raw values -> entries, and (B,) bool, which rows hold a new value.

        A row with a new value is unseen; what stands in its place is zero, whatever other rows hold.

        Raises:
            UserError: what is wrong with the whole column, such as its shape.
        """
        new, unseen = np.zeros(len(raw), dtype=bool), Entries.unseen(self.space, len(raw))
        while len(kept := np.flatnonzero(~new)):
            try:
                found = self.encode(raw[kept])
            except NewValue as error:
                new[kept[error.rows]] = True
                continue
            return (unseen.with_rows(torch.from_numpy(kept), found) if new.any() else found), new
        return unseen, new

    @property
    def without_atoms(self) -> str:
        """How a codec of the same values without atoms is written, for messages."""
        return f"{type(self).__name__}()"

    @property
    def along(self) -> Axis | None:
        """The first axis of the grid, where an item's length comes with it and is not modelled; else None."""
        axes = self.space.axes
        return axes[0] if axes and axes[0].length == "given" else None

    @property
    def windowed(self) -> Axis | None:
        """The same axis where items may be longer than it holds, and are cut into windows; else None."""
        axis = self.along
        return None if axis is None or axis.stride is None else axis

    def entire(self, raw: Any) -> Whole:
        """(B, ...) raw values of a codec that has an item a row -> all their entries, however many, the padding left out."""
        x = self.encode(raw)
        there = x.occupied
        return Whole(x.map(lambda t: t[there]), there.sum(1).numpy())

    def part(self, raw: Any, first: float, last: float) -> Any:
        """The part of every item between two shares of its length, 0 to 1, of a codec that is `windowed`."""
        cut = [item[round(first * len(item)):round(last * len(item))] for item in raw]
        return np.array([*cut, None], dtype=object)[:-1]

    def encode_after(self, raw: Any, begun: Entries) -> Entries:
        """(B, ...) raw values that begin with what is known, (1 or B, *grid) -> entries (B, *grid)."""
        return self.encode(raw)

    def observed(self, value: Any) -> tuple[Any, bool]:
        """A value that somebody observed, as rows where only the codec can tell rows from one item, and whether it is one."""
        return value, False

    def spelled(self) -> list[bytes] | None:
        """The bytes that every symbol but the end writes, (V,), where entries are the symbols of a text; else None."""
        return None

    def units(self, raw: Any) -> dict[str, int]:
        """What raw items hold in all of units that people count in, "characters" and "bytes" of a text."""
        return {}

    def spoken(self, blocks: Iterator[Entries]) -> Iterator[Any]:
        """One item in blocks (1, k, *rest) along its first axis -> its raw values, each as soon as it is there."""
        for block in blocks:
            yield self.decode(block)[0]

    def lengths(self, raw: Any) -> np.ndarray | None:
        """How long items are, (B,), in any unit, so that those alike can be learned together; None where all are."""
        return None

    def entries_of(self, length: int) -> int:
        """How many entries along its axis an item of a length has."""
        return length

    @abc.abstractmethod
    def decode(self, x: Entries) -> Any:
        """Entries (*draws, B, *grid) -> raw values (*draws, B, ...)."""

    def names(self) -> list[str]:
        """How each symbol of a single finite entry is printed, all of them different: None and NaN as "(missing)"."""
        assert isinstance(self.space, Finite) and not self.space.axes
        values = self.decode(Entries(torch.arange(self.space.size))).tolist()
        there = [v for v in values if v is not None and v == v]
        whole = len(there) < len(values) and all(isinstance(v, float) and v.is_integer() for v in there)  # beside holes
        return [MISSING if v is None or v != v else str(int(v) if whole else v) for v in values]

    @property
    def item_axes(self) -> int:
        """How many axes the raw value of one item has; those of the grid, unless an item is a text or the like."""
        return len(self.space.axes)

    @property
    def ragged(self) -> bool:
        """Whether raw items may be of any length along the first axis of the grid."""
        return False

    def single(self, raw: np.ndarray) -> bool:
        """Whether raw values are those of one item, and no rows."""
        return raw.ndim == self.item_axes

    @property
    def affine(self) -> bool:
        """Whether raw values are a line in the entries, so that the mean of entries is that of raw values."""
        return True

    def numbers(self, raw: np.ndarray) -> np.ndarray:
        """Raw values as float64 to take means of, NaN where they are missing. Raises `UserError` where they are no numbers."""
        flat = raw.ravel().tolist() if raw.dtype.kind == "O" else []
        if raw.dtype.kind in "biuf" or (flat and all(v is None or isinstance(v, int | float) for v in flat)):
            return raw.astype(np.float64)
        raise UserError("expected numbers")

    def raw_of(self, numbers: np.ndarray) -> np.ndarray:
        """What `numbers` made, as raw values where these are no numbers, such as dates."""
        return numbers

    def differences(self, numbers: Any) -> Any:
        """Differences of `numbers`, as differences of raw values are written."""
        return numbers

    def real(self, x: Entries) -> np.ndarray:
        """Entries as `numbers` of their raw values, not rounded to what raw values may be."""
        return self.numbers(self.decode(x))

    def log_volume(self, x: Entries) -> Tensor:
        """log |d entries / d raw| over the seen entries: (*draws, B) float64; what a density in entries gains in raw units.

        Zero for spaces that are counted.
        """
        lead = x.tensor.dim() - len(self.space.axes)
        return torch.zeros(x.tensor.shape[:lead], dtype=torch.float64)

    @abc.abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learned, as JSON."""

    @abc.abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the state back."""


class Variable:
    """A name and a codec.

    Args:
        name: as in the data and in the formula.
        codec: how its raw values become entries.
    """

    def __init__(self, name: str, codec: Codec) -> None:
        self.name = name
        self.codec = codec

    @property
    def space(self) -> Space:
        """The space of its entries."""
        try:
            return self.codec.space
        except UserError as error:
            raise error.at(self.name) from None

    @property
    def columns(self) -> tuple[str, ...]:
        """The data's columns it reads: its own name, or those of its block."""
        return self.codec.columns or (self.name,)

    def learn(self, data: Mapping[str, Any], first_row: int = 0) -> Variable:
        """Let the codec learn from one more batch of columns; returns itself. `first_row` is for messages."""
        try:
            self.codec.learn(self._raw(data))
        except UserError as error:
            raise error.at(self.name, first_row) from None
        return self

    def encode(self, data: Mapping[str, Any], first_row: int = 0) -> Entries:
        """Columns of raw values (B, ...) -> entries. `first_row` is where the batch begins, for messages."""
        try:
            return self.codec.encode(self._raw(data))
        except UserError as error:
            raise error.at(self.name, first_row) from None

    def encode_new(self, data: Mapping[str, Any], first_row: int = 0) -> tuple[Entries, np.ndarray]:
        """Columns of new data (B, ...) -> entries, and (B,) which rows hold a new value: `Codec.encode_new`."""
        try:
            return self.codec.encode_new(self._raw(data))
        except UserError as error:
            raise error.at(self.name, first_row) from None

    def entire(self, data: Mapping[str, Any], first_row: int = 0) -> Whole:
        """Columns of raw values (B, ...) -> their items, as `Codec.entire`."""
        try:
            return self.codec.entire(self._raw(data))
        except UserError as error:
            raise error.at(self.name, first_row) from None

    def pieces(self, data: Mapping[str, Any], first_row: int = 0, start: int | None = None) -> Pieces | None:
        """Columns of raw values (B, ...) -> the windows of their items, cut as `Cut`; None where an item is always one row."""
        if (axis := self.codec.windowed) is None:
            return None
        whole = self.entire(data, first_row)
        try:
            return Cut(whole.lengths, axis, start).pieces(whole)
        except UserError as error:
            raise error.at(self.name, first_row) from None

    def decode(self, x: Entries) -> dict[str, np.ndarray]:
        """Entries -> columns of raw values."""
        try:
            raw = self.codec.decode(x)
        except UserError as error:
            raise error.at(self.name) from None
        return raw if self.codec.columns else {self.name: raw}

    def split(self, x: Entries) -> dict[str, Entries]:
        """Its entries, column by column."""
        return x.columns if self.codec.columns else {self.name: x}

    def _raw(self, data: Mapping[str, Any]) -> Any:
        if self.codec.columns:
            return {name: np.asarray(data[name]) for name in self.codec.columns if name in data}
        return np.asarray(data[self.name])

    def __repr__(self) -> str:
        return f"Variable({self.name!r}, {self.codec!r})"
