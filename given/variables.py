"""What is x? Spaces, entries, codecs, variables: the nouns every other floor speaks in.

A *space* says which entries exist and what each may be: finitely many symbols, or a real number, on a grid with named
axes. *Entries* are a batch of values of a space with masks: `seen`, `valid` and, in a piece of something longer, `context`. A
*codec* turns raw data into entries and back, and knows what that does to a density. A *variable* is a name with a codec.

This file knows no distribution, no network and no file format.
"""

from __future__ import annotations

import abc
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["Axis", "Codec", "Entries", "Finite", "MISSING", "NewValue", "Observed", "Pieces", "Product", "Real", "Space",
           "UserError", "Variable", "shown"]

MISSING = "(missing)"  # how the symbol of a missing value is printed


def shown(value: Any) -> str:
    """A value as messages print it: a numpy scalar as the plain value it is.

    >>> shown(np.str_("fox")), shown(np.float64(2.5))
    ("'fox'", '2.5')
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        return repr(str(value))
    if isinstance(value, list | tuple):
        each = ", ".join(map(shown, value))
        return f"[{each}]" if isinstance(value, list) else f"({each}{',' * (len(value) == 1)})"
    return repr(value.item() if isinstance(value, np.generic) else value)


class UserError(ValueError):
    """What a person can mend, in one line: where, what was got, what was expected, the way out.

    Args:
        message: that line.
        row: the row at fault (counted from 0 in the batch at hand), or None; whoever knows where the batch began adds
            it to the message with `at`.
    """

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row

    def at(self, where: str, first_row: int = 0) -> UserError:
        """The same error with its place in front: `image, row 17: ...`."""
        place = where if self.row is None else f"{where}, row {first_row + self.row}"
        return type(self)(f"{place}: {self}")


class NewValue(UserError):
    """A value of a row that was not learned and has no symbol or density: an unseen category, a number out of range, a hole.

    Args:
        message: one line about the first.
        rows: all rows of the batch that hold one.
    """

    def __init__(self, message: str, rows: Sequence[int] | np.ndarray = ()) -> None:
        super().__init__(message, int(rows[0]) if len(rows) else None)
        self.rows = rows


@dataclass(frozen=True)
class Axis:
    """One named axis of a grid.

    Its length is `fixed` (every item has `size` entries), `modelled` (at most `size`; the end is an entry and is
    scored) or `given` (at most `size`; the length comes from the query, as a forecast's horizon does).
    """

    name: str
    size: int
    length: Literal["fixed", "modelled", "given"] = "fixed"


@dataclass(frozen=True)
class Space:
    """Which entries there are: a grid of named axes. Abstract; use `Finite`, `Real` or `Product`."""

    axes: tuple[Axis, ...] = field(default=(), kw_only=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """The grid's shape; () for a single entry."""
        return tuple(axis.size for axis in self.axes)

    @property
    def dimensions(self) -> int:
        """The number D of entries of one item."""
        return math.prod(self.shape)

    @property
    def parts(self) -> tuple[tuple[str, Space], ...]:
        """The columns of a block; a space that is none is its own only part, without a name."""
        return (("", self),)


def _times(space: Space) -> str:
    return f"{' x '.join(map(str, space.shape))} entries, each " if space.axes else ""


@dataclass(frozen=True)
class Finite(Space):
    """Each entry is one of `size` symbols, numbered from 0 (int64).

    `ordered`: neighbouring numbers are alike. `end`: on an axis whose length is modelled, the symbol after which there are no
    entries; it is an entry itself, and the last one the axis has room for is always it.
    """

    size: int
    ordered: bool = False
    end: int | None = None

    def __str__(self) -> str:
        return f"{_times(self)}one of {self.size} {'ordered levels' if self.ordered else 'symbols'}"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"Finite: expected at least one symbol, got {self.size}")


@dataclass(frozen=True)
class Real(Space):
    """Each entry is a real number (a floating tensor).

    `atoms`: values, in the entries' units and rising, that have a mass of their own; elsewhere there is a density.
    """

    atoms: tuple[float, ...] = ()

    def __str__(self) -> str:
        own = f", with a mass of their own at {', '.join(f'{a:g}' for a in self.atoms)}" if self.atoms else ""
        return f"{_times(self)}a real number{own}"

    def __post_init__(self) -> None:
        if not all(a < b for a, b in itertools.pairwise((-math.inf, *self.atoms, math.inf))):
            raise UserError(f"Real: expected rising atoms, got {self.atoms}")


@dataclass(frozen=True)
class Product(Space):
    """A block of named columns, each with a space of its own."""

    columns: tuple[tuple[str, Space], ...]

    def __str__(self) -> str:
        return "a block of " + "; ".join(f"{name}, {space}" for name, space in self.columns)

    @property
    def dimensions(self) -> int:
        """The number D of entries of one item, over all columns."""
        return sum(space.dimensions for _, space in self.columns)

    @property
    def parts(self) -> tuple[tuple[str, Space], ...]:
        return self.columns


Values = Tensor | dict[str, Tensor]


def _each(function: Callable[..., Tensor], first: Values, *rest: Values) -> Values:
    """Apply a function of tensors to tensors, or column by column to dicts of them."""
    if isinstance(first, dict):
        return {name: function(first[name], *(other[name] for other in rest)) for name in first}  # type: ignore[index]
    return function(first, *rest)


class Entries:
    """A batch of values of a space, with masks of the same shape.

    Args:
        values: (*draws, B, *grid) int64 for `Finite`, floating for `Real`; for `Product` a dict with one such tensor a
            column.
        seen: False where the entry is unknown, to be marginalised or drawn. Default: all True.
        valid: False where there is no entry but padding, never scored and never attended to. Default: all True.
        context: True where the entry is read but not scored here, such as the text before a piece of a long text. A
            distribution that cannot read it leaves it out as it does the unseen. Default: all False.
    """

    __slots__ = ("context", "seen", "valid", "values")

    def __init__(self, values: Values, seen: Values | None = None, valid: Values | None = None,
                 context: Values | None = None) -> None:
        self.values = values
        everything = _each(lambda v: torch.ones((), dtype=torch.bool, device=v.device).expand(v.shape), values)
        self.seen = everything if seen is None else _each(lambda m, v: m.expand(v.shape), seen, values)
        self.valid = everything if valid is None else _each(lambda m, v: m.expand(v.shape), valid, values)
        nothing = _each(lambda v: torch.zeros((), dtype=torch.bool, device=v.device).expand(v.shape), values)
        self.context = nothing if context is None else _each(lambda m, v: m.expand(v.shape), context, values)

    @property
    def tensor(self) -> Tensor:
        """The values of a space that is not a product."""
        assert isinstance(self.values, Tensor), "a block has one tensor a column: use column(name)"
        return self.values

    @property
    def scored(self) -> Tensor:
        """Where entries are seen, valid and no context: what a log-probability scores (not for a product)."""
        assert isinstance(self.context, Tensor)
        return self.readable & ~self.context

    @property
    def readable(self) -> Tensor:
        """Where entries are seen and valid: what may be read, context too (not for a product)."""
        assert isinstance(self.seen, Tensor) and isinstance(self.valid, Tensor)
        return self.seen & self.valid

    @property
    def begins(self) -> Tensor:
        """(*draws, B) whether the first entry is the first there is, and no context (of flat entries)."""
        assert isinstance(self.context, Tensor)
        return ~self.context[..., 0]

    @property
    def columns(self) -> dict[str, Entries]:
        """One `Entries` a column of a product."""
        assert isinstance(self.values, dict) and isinstance(self.seen, dict) and isinstance(self.valid, dict)
        assert isinstance(self.context, dict)
        return {name: Entries(self.values[name], self.seen[name], self.valid[name], self.context[name]) for name in self.values}

    @staticmethod
    def block(columns: Mapping[str, Entries]) -> Entries:
        """The entries of a product, from those of its columns."""
        return Entries(
            {name: e.tensor for name, e in columns.items()},
            {name: e.seen for name, e in columns.items()},  # type: ignore[misc]
            {name: e.valid for name, e in columns.items()},  # type: ignore[misc]
            {name: e.context for name, e in columns.items()},  # type: ignore[misc]
        )

    def flat(self, space: Space) -> Entries:
        """The entries of a space, a block too, end to end: (*draws, B, D) float64, which holds symbols exactly."""
        columns = self.columns if isinstance(space, Product) else {"": self}
        flat = []
        for name, part in space.parts:
            axes = len(part.axes)
            flat.append(columns[name].map(lambda t, axes=axes: t.reshape(*t.shape[: t.dim() - axes], -1)))  # type: ignore[misc]
        return Entries.cat([Entries(e.tensor.double(), e.seen, e.valid, e.context) for e in flat], -1)

    def shaped(self, space: Space) -> Entries:
        """What `flat` made, back on the grid of the space."""
        sizes = [part.dimensions for _, part in space.parts]
        columns = {}
        for i, (name, part) in enumerate(space.parts):
            first = sum(sizes[:i])
            e = self.map(lambda t, a=first, b=first + sizes[i], s=part.shape: t[..., a:b].reshape(*t.shape[:-1],
                                                                                                  *s))  # type: ignore[misc]
            columns[name] = Entries(e.tensor.long(), e.seen, e.valid, e.context) if isinstance(part, Finite) else e
        return Entries.block(columns) if isinstance(space, Product) else columns[""]

    def map(self, function: Callable[[Tensor], Tensor]) -> Entries:
        """Values and masks through one function of tensors that moves entries about without changing them."""
        return Entries(*(_each(function, part) for part in (self.values, self.seen, self.valid, self.context)))

    def rows(self, index: Tensor | slice) -> Entries:
        """The rows `index` of the first axis."""
        return self.map(lambda t: t[index])

    @staticmethod
    def cat(parts: Sequence[Entries], axis: int = 0) -> Entries:
        """Parts of a space that is no product, end to end."""
        return Entries(*(torch.cat([getattr(part, what) for part in parts], axis)
                         for what in ("values", "seen", "valid", "context")))

    def to(self, device: torch.device | str) -> Entries:
        """The same entries on a device."""
        return self.map(lambda t: t.to(device))

    @staticmethod
    def unseen(space: Space, n: int) -> Entries:
        """n rows of a space that is no product, nothing of them seen."""
        dtype = torch.int64 if isinstance(space, Finite) else torch.float64
        return Entries(torch.zeros(n, *space.shape, dtype=dtype)).hide()

    def read_only(self) -> Entries:
        """The same entries where nothing is unseen: what was is read as it stands, as context (not for a product)."""
        return Entries(self.values, None, self.valid, self.context | ~self.seen)  # type: ignore[operator]

    def hide(self, rows: Tensor | None = None) -> Entries:
        """The same grid with nothing seen, or nothing of some rows (B,) bool."""
        def hidden(seen: Tensor) -> Tensor:
            kept = torch.zeros((), dtype=torch.bool) if rows is None else ~rows.reshape(-1, *[1] * (seen.dim() - 1))
            return seen & kept.to(seen.device)

        return Entries(self.values, _each(hidden, self.seen), self.valid)

    def or_else(self, other: Entries) -> Entries:
        """What is seen here, and where nothing is, what is seen in the other (not for a product)."""
        return Entries(torch.where(self.scored, self.tensor, other.tensor), self.scored | other.scored)

    def __len__(self) -> int:
        first = next(iter(self.values.values())) if isinstance(self.values, dict) else self.values
        return first.shape[0]

    @property
    def complete(self) -> bool:
        """Whether every valid entry is seen."""
        if isinstance(self.values, dict):
            return all(column.complete for column in self.columns.values())
        assert isinstance(self.seen, Tensor) and isinstance(self.valid, Tensor)
        return bool((self.seen | ~self.valid).all())

    @property
    def hidden(self) -> bool:
        """Whether no entry is seen."""
        seen = self.seen.values() if isinstance(self.seen, dict) else [self.seen]
        return not any(bool(mask.any()) for mask in seen)


class Observed(Mapping[str, Entries]):
    """y: parent name -> Entries, masks kept. It knows its n, so that an empty y still has B rows.

    Args:
        entries: one `Entries` of B rows a parent.
        n: B; may be left out where there is a parent to read it off.
    """

    def __init__(self, entries: Mapping[str, Entries] | None = None, n: int | None = None) -> None:
        self._entries = dict(entries or {})
        lengths = {len(e) for e in self._entries.values()} | ({n} if n is not None else set())
        assert len(lengths) == 1, f"expected parents of one length, got {lengths}"
        self.n = lengths.pop()

    def __getitem__(self, name: str) -> Entries:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def rows(self, index: Tensor) -> Observed:
        """The rows `index`, as a y of its own."""
        return Observed({k: e.rows(index) for k, e in self._entries.items()}, len(index))


@dataclass(frozen=True)
class Pieces:
    """Items longer than the grid, as rows of it, made when they are asked for.

    Attributes:
        rows: numbers (M,) of rows -> those rows; each of an item's entries is scored in one of all N, and may be `context` in
            others.
        item: (N,) int64, rising: the item a row is a piece of.
    """

    rows: Callable[[Tensor], Entries]
    item: Tensor

    @property
    def x(self) -> Entries:
        """All N rows."""
        return self.rows(torch.arange(len(self.item)))


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

        A row with a new value is unseen; what stands in its place is that of a row without, or zero.

        Raises:
            UserError: what is wrong with the whole column, such as its shape.
        """
        new, x = np.zeros(len(raw), dtype=bool), Entries.unseen(self.space, len(raw))
        while len(kept := np.flatnonzero(~new)):
            try:
                found = self.encode(raw[kept])
            except NewValue as error:
                new[kept[error.rows]] = True
                continue
            place = torch.zeros(len(raw), dtype=torch.int64)
            place[kept] = torch.arange(len(kept))
            x = found.rows(place).hide(torch.from_numpy(new)) if new.any() else found
            break
        return x, new

    def pieces(self, raw: Any, start: int | None = None) -> Pieces | None:
        """(B, ...) raw values that may be longer than the grid, as pieces to score; None where an item is always one row.

        `start` cuts there and at every grid's length from there, without context: pieces to learn from, others each epoch.
        """
        return None

    def lengths(self, raw: Any) -> np.ndarray | None:
        """How long items are, (B,), in any unit, so that those alike can be learned together; None where all are."""
        return None

    @abc.abstractmethod
    def decode(self, x: Entries) -> Any:
        """Entries (*draws, B, *grid) -> raw values (*draws, B, ...)."""

    def names(self) -> list[str]:
        """How each symbol of a single finite entry is printed, all of them different: None and NaN as "(missing)"."""
        assert isinstance(self.space, Finite) and not self.space.axes
        values = self.decode(Entries(torch.arange(self.space.size))).tolist()
        return [MISSING if v is None or v != v else str(v) for v in values]

    @property
    def item_axes(self) -> int:
        """How many axes the raw value of one item has; those of the grid, unless an item is a text or the like."""
        return len(self.space.axes)

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

    def pieces(self, data: Mapping[str, Any], first_row: int = 0, start: int | None = None) -> Pieces | None:
        """Columns of raw values (B, ...) -> their pieces, as `Codec.pieces`."""
        try:
            return self.codec.pieces(self._raw(data), start)
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
