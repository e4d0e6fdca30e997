"""Set: items of a few fields each, of any number, in no order. A box round every thing in a picture, for example.

A row is a list of items, and an item a list of fields, or a mapping of them by name. A field is a category, counted, or a
number in a range, which falls into one of some bins and is uniform within: of equal width, or along a curve where that makes
what was learned much likelier, as it does where one value lies far out. The entries of a set are the symbols
of its items, one field after another, then the end; items are sorted by them, so that a set has the same entries in whatever
order its items came. Every field has symbols of its own, and the space says which may stand where.

The density of a set is that of its items together, in none of their n! orders: over n-tuples of items it integrates to n! times
the probability of n items. A field of whole numbers, no more of them than there are bins, has a bin for each, and is counted.

Source: Chen, Saxena, Li, Fleet, Hinton, Pix2seq: a language modeling framework for object detection, 2021 /
https://arxiv.org/abs/2109.10852
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.scales import Bins
from given.variables import Axis, Codec, Entries, Finite, NewValue, UserError, counted, in_order, log_repeats, shown
from given.ways import way

__all__ = ["Set"]

_ROOM = 0.05  # of what numbers range over, that others may lie beyond
_CURVED = 8  # levels, from which they are learned together
_LEAST, _MORE = 2, 1.5  # items more than any that was learned, and times as many: the larger


@dataclass
class _Field:
    """What the values of a field are.

    Attributes:
        name: of it.
        categories: it has; None of a number.
        stated: whether its categories or range were.
        low, high: the range of a number, stated or that of the values seen.
        whole: whether all numbers seen are.
        bins: the most.
        edges: where bins meet, from the low end to the high one, once all is learned; None of values counted.
    """

    name: str
    categories: list[Any] | None = None
    stated: bool = False
    low: float = math.inf
    high: float = -math.inf
    whole: bool = True
    bins: int = 128
    edges: list[float] | None = None
    held: Bins = field(default_factory=Bins)

    @property
    def number(self) -> bool:
        return self.categories is None

    @property
    def range(self) -> tuple[float, float]:
        """From where to where numbers may lie: none is negative where none was."""
        room = 0.0 if self.stated else _ROOM * (self.high - self.low) or 1.0
        if self.whole and not self.stated:
            room = float(math.ceil(room))
        return max(self.low - room, 0.0) if self.low >= 0 and not self.stated else self.low - room, self.high + room

    @property
    def counted(self) -> bool:
        """Whether every value has a symbol of its own."""
        if not self.number:
            return True
        low, high = self.range
        return self.whole and low == int(low) and high == int(high) and high - low < self.bins

    @property
    def size(self) -> int:
        """How many symbols it has."""
        if self.categories is not None:
            return len(self.categories)
        return int(self.range[1] - self.range[0]) + 1 if self.counted else self.bins

    @property
    def widths(self) -> np.ndarray:
        """Of the bins, (size,); 1 of values counted."""
        return np.ones(self.size) if self.counted else np.diff(self.laid())

    def laid(self) -> list[float]:
        """Where bins meet."""
        self.edges = self.edges or self.held.edges(*self.range, self.bins).tolist()
        return self.edges

    def learn(self, values: Sequence[Any]) -> None:
        if self.categories is None:
            self.whole &= all(isinstance(v, int) for v in values)
            if not self.stated:
                self.low, self.high, self.edges = min(self.low, *values), max(self.high, *values), None
                self.held.learn(np.array(values, dtype=np.float64))
        elif not self.stated:
            self.categories = sorted({*self.categories, *values}, key=lambda v: (str(type(v)), v))

    def encode(self, values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Values -> symbols from 0, and whether each has one."""
        if self.categories is not None:
            known = {v: i for i, v in enumerate(self.categories)}
            symbols = np.array([known.get(v, -1) for v in values], dtype=np.int64)
            return symbols, symbols >= 0
        numbers, (low, high) = np.array(values, dtype=np.float64), self.range
        good = (numbers >= low) & (numbers <= high)
        if self.counted:
            good &= numbers == np.rint(numbers)
            return np.where(good, numbers - low, 0).astype(np.int64), good
        return np.searchsorted(self.laid(), numbers, side="right").clip(1, self.bins) - 1, good

    def decode(self, symbol: int) -> Any:
        """A category, a whole number, or the middle of a bin."""
        if self.categories is not None:
            return self.categories[symbol]
        return int(self.range[0]) + symbol if self.counted else sum(self.laid()[symbol:symbol + 2]) / 2

    @property
    def expected(self) -> str:
        """What a value has to be, and the way out."""
        if self.categories is not None:
            few = self.categories if len(self.categories) < 8 else [*self.categories[:6], "..."]
            return f"one of {', '.join(map(str, few))}; learn from rows that have it, or pass Set(categories=)"
        low, high = self.range
        what = "a whole number" if self.counted else "a number"
        return f"{what} from {low:g} to {high:g}; mend it, or " + way(
            f"pass Set(ranges={{{self.name!r}: (low, high)}}) with a wider range", "learn with a wider range by --as")


class Set(Codec):
    """Sets of items.

    Args:
        names: of the fields of items that are lists, in their order; by default "1", "2", ..., or the keys of mappings.
        ranges: field -> (low, high), what its numbers lie in; or one range for all fields of numbers. By default what was
            learned, and a twentieth of it more on either side.
        categories: field -> what it may be; by default all that was learned. A field that is mentioned here is one of
            categories, if its values are numbers too; None: those that were learned.
        most: the most items a row has; by default half as many again as any that was learned, and two more at least.
        bins: of a number, in whose middle it comes back.
        order: of the fields, in which a model draws them, and by which items are sorted; by default as items have them. With
            places first, sorted items stand from left to right.

    Raises:
        UserError: a range that is none, no room for an item, no bin, or an order of other fields.
    """

    def __init__(self, names: Sequence[str] | None = None, *,
                 ranges: Mapping[str, Sequence[float]] | Sequence[float] | None = None,
                 categories: Mapping[str, Sequence[Any] | None] | None = None, most: int | None = None,
                 bins: int = 128, order: Sequence[str] | None = None) -> None:
        if bins < 1 or (most is not None and most < 1):
            raise UserError(f"Set: most={most}, bins={bins}; expected both from 1")
        self.stated_names, self.bins = None if names is None else list(names), bins
        self.range = tuple(ranges) if ranges is not None and not isinstance(ranges, Mapping) else None  # of all fields
        self.ranges = dict(ranges) if isinstance(ranges, Mapping) else {}
        for each in [*self.ranges.values(), *([] if self.range is None else [self.range])]:
            if len(each) != 2 or not -math.inf < each[0] < each[1] < math.inf:
                raise UserError(f"Set: ranges: got {shown(each)}; expected a low and a higher number")
        self.categories, self.most, self.longest = dict(categories or {}), most, 0
        self.order = None if order is None else list(order)
        self.written = list[str]()  # fields as items have them
        self.fields: list[_Field] | None = None
        self.form = "list"  # of an item: "list", "tuple", "dict", or "value" of a single field

    @property
    def _fields(self) -> list[_Field]:
        if self.fields is None:
            raise UserError("Set() has not seen any items yet; let it learn first")
        return self.fields

    @property
    def _most(self) -> int:
        return self.most or max(self.longest + _LEAST, math.ceil(_MORE * self.longest))

    @property
    def space(self) -> Finite:
        ends = [0, *itertools.accumulate(f.size for f in self._fields)]
        axis = Axis("", self._most * len(self._fields) + 1, "modelled", "item")
        pattern = tuple(itertools.pairwise(ends))
        levels = tuple(run for f, run in zip(self._fields, pattern, strict=True) if f.number and f.size >= _CURVED)
        return Finite(ends[-1] + 1, end=ends[-1], axes=(axis,), pattern=pattern, levels=levels)

    @property
    def measure(self) -> str:
        return "counting" if all(f.counted for f in self._fields) else "counting of items, length in raw units of their numbers"

    @property
    def item_axes(self) -> int:
        return 0

    @property
    def ragged(self) -> bool:
        return True

    def observed(self, value: Any) -> tuple[Any, bool]:
        """A row is a list of items, so that a list of lists of lists is several rows, and one of less depth a single row."""
        if not isinstance(value, list | tuple):
            return value, False
        inner = next((row for row in value if not isinstance(row, list | tuple | np.ndarray) or len(row)), None)
        single = not len(value) or (inner is not None and (
            isinstance(inner, str | int | float | Mapping) or (self.form != "value" and not isinstance(
                inner[0], list | tuple | np.ndarray | Mapping))))
        rows = np.empty(1 if single else len(value), dtype=object)
        rows[:] = [value] if single else list(value)
        return rows, single

    def lengths(self, raw: np.ndarray) -> np.ndarray:
        return np.array([len(row) for row in raw.tolist()])

    def learn(self, raw: np.ndarray) -> None:
        rows = _rows(raw)
        self.longest = max([self.longest, *map(len, rows)])
        items = [(r, i, item) for r, row in enumerate(rows) for i, item in enumerate(row)]
        if not items:
            return
        if self.fields is None:
            self._begin(items[0][2])
        values = self._values(items)
        for f, column in zip(self._fields, values, strict=True):
            self._check_kind(f, column, items)
            f.learn(column)
            if f.stated:
                self._symbols(f, column, items)

    def _begin(self, item: Any) -> None:
        """Fields and the form of items, by the first."""
        self.form = ("dict" if isinstance(item, Mapping) else "tuple" if isinstance(item, tuple) else
                     "list" if isinstance(item, list | np.ndarray) else "value")
        first = list(item.values()) if isinstance(item, Mapping) else [item] if self.form == "value" else list(item)
        names = list(item) if isinstance(item, Mapping) else [str(i + 1) for i in range(len(first))]
        if self.stated_names is not None:
            if len(self.stated_names) != len(first) or (self.form == "dict" and set(self.stated_names) != set(names)):
                raise UserError(f"an item has fields {', '.join(names)}; expected {', '.join(self.stated_names)} as in names=")
            first = [item[name] for name in self.stated_names] if isinstance(item, Mapping) else first
            names = self.stated_names
        for what, known in (("ranges", self.ranges), ("categories", self.categories)):
            if odd := [name for name in known if name not in names]:
                raise UserError(f"Set: {what}: {odd[0]!r} is no field; there are {', '.join(names)}")
        drawn = names if self.order is None else self.order
        if sorted(drawn) != sorted(names):
            raise UserError(f"an item has fields {', '.join(names)}; expected these in order=, got {', '.join(drawn)}")
        self.written = list(names)
        self.fields = [self._field(name, first[names.index(name)]) for name in drawn]

    def _field(self, name: str, value: Any) -> _Field:
        if name in self.categories or isinstance(value, str | bool):
            stated = self.categories.get(name)
            return _Field(name, list(stated or []), stated is not None)
        found = self.ranges.get(name, self.range)
        if found is None:
            return _Field(name, bins=self.bins)
        return _Field(name, None, True, float(found[0]), float(found[1]), bins=self.bins)

    def _values(self, items: Sequence[tuple[int, int, Any]]) -> list[list[Any]]:
        """Items with their rows and numbers -> the values of every field."""
        names = [f.name for f in self._fields]
        at, found = [self.written.index(name) for name in names], list[Any]()
        for row, i, item in items:
            if isinstance(item, Mapping) != (self.form == "dict"):
                what = "a mapping" if self.form == "dict" else "a list"
                raise UserError(f"item {i}: got {shown(item)}; expected {what}, as other items are", row)
            if isinstance(item, Mapping) and item.keys() != set(names):
                raise UserError(f"item {i}: has fields {', '.join(map(str, item))}; expected {', '.join(names)}", row)
            own = ([item[name] for name in names] if isinstance(item, Mapping) else
                   item if isinstance(item, list | tuple | np.ndarray) else [item])
            if len(own) != len(names):
                raise UserError(f"item {i}: has {len(own)} fields, {shown(item)}; expected {len(names)} as in other items", row)
            found.append([own[k] for k in at] if isinstance(item, list | tuple | np.ndarray) else own)
        return [[v.item() if isinstance(v, np.generic) else v for v in column] for column in zip(*found, strict=True)]

    def _check_kind(self, f: _Field, values: Sequence[Any], items: Sequence[tuple[int, int, Any]]) -> None:
        kinds = (int, float) if f.number else (str, bool, int)
        for (row, i, _), value in zip(items, values, strict=True):
            odd = f.number and isinstance(value, int | float) and (isinstance(value, bool) or not math.isfinite(value))
            if odd or not isinstance(value, kinds):
                raise UserError(f"item {i}: field {f.name} is {shown(value)}; expected "
                                f"{'a number' if f.number else 'a category'}", row)

    def _symbols(self, f: _Field, values: Sequence[Any], items: Sequence[tuple[int, int, Any]]) -> np.ndarray:
        """Values of a field -> its symbols, from 0."""
        symbols, good = f.encode(values)
        if not good.all():
            bad = np.flatnonzero(~good).tolist()
            _, i, _ = items[bad[0]]
            raise NewValue(f"item {i}: field {f.name} is {shown(values[bad[0]])}; expected {f.expected}",
                           list(dict.fromkeys(items[b][0] for b in bad)))
        return symbols

    def encode(self, raw: np.ndarray) -> Entries:
        rows, space, k = _rows(raw), self.space, len(self._fields)
        many = [r for r, row in enumerate(rows) if len(row) > self._most]
        if many:
            raise NewValue(f"has {len(rows[many[0]])} items; expected at most {self._most}; learn again with room for them by "
                           f"Set(most={len(rows[many[0]])})", many)
        items = [(r, i, item) for r, row in enumerate(rows) for i, item in enumerate(row)]
        values = torch.zeros(len(rows), space.dimensions, dtype=torch.int64)
        for j, (f, column) in enumerate(zip(self._fields, self._values(items) if items else [], strict=False)):
            self._check_kind(f, column, items)
            symbols = self._symbols(f, column, items)
            at = torch.tensor([(r, i * k + j) for r, i, _ in items])
            values[at[:, 0], at[:, 1]] = torch.from_numpy(symbols) + space.pattern[j][0]
        count = torch.tensor([len(row) * k for row in rows])
        values[torch.arange(len(rows)), count] = space.end  # type: ignore[assignment]
        x = Entries(values, valid=torch.arange(space.dimensions) <= count[:, None])
        x = in_order(x, space)
        return x.of(x.tensor.to(space.dtype))

    def decode(self, x: Entries) -> np.ndarray:
        """(*draws, B, D) -> lists of items, (*draws, B) objects."""
        space, k = self.space, len(self._fields)
        values, shape = x.tensor.reshape(-1, x.tensor.shape[-1]).numpy(), x.tensor.shape[:-1]
        count = counted(x, space).reshape(-1).tolist()
        found = np.empty(len(values), dtype=object)
        for r, n in enumerate(count):
            found[r] = [self._item(values[r, i * k:(i + 1) * k].tolist(), space) for i in range(n)]
        return found.reshape(tuple(shape))

    def _item(self, symbols: list[int], space: Finite) -> Any:
        if not all(first <= s < beyond for s, (first, beyond) in zip(symbols, space.pattern, strict=True)):
            raise UserError("drew symbols that are no item; pass a family that knows which may stand where, as "
                            "partial(Unordered, family=Autoregressive)")
        each = {f.name: f.decode(s - first) for f, s, (first, _) in zip(self._fields, symbols, space.pattern, strict=True)}
        own = [each[name] for name in self.written]
        match self.form:
            case "dict":
                return dict(zip(self.written, own, strict=True))
            case "tuple":
                return tuple(own)
            case "value":
                return own[0]
        return own

    def log_volume(self, x: Entries) -> Tensor:
        """Minus the logs of the widths of bins, and log m! of m items in one bin, whose orders a density has apart."""
        scored = x.scored
        widths = torch.from_numpy(np.concatenate([*(f.widths for f in self._fields), [1.0]]))  # of symbols, and the end
        of_item = -torch.where(scored, widths.log()[x.tensor.long()], 0.0).sum(-1)
        apart = 0.0 if self.measure == "counting" else torch.where(scored.any(-1), log_repeats(x, self.space), 0.0)
        return of_item + apart

    def state(self) -> dict[str, Any]:
        each = None if self.fields is None else [{
            "name": f.name, "categories": f.categories, "stated": f.stated, "whole": f.whole, "bins": f.bins,
            **({"low": f.low, "high": f.high, "edges": None if f.counted else f.laid()} if f.number else {})}
            for f in self.fields]
        return {"fields": each, "longest": self.longest, "form": self.form, "written": self.written}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.fields = None if state["fields"] is None else [_Field(**each) for each in state["fields"]]
        self.longest, self.form = int(state["longest"]), str(state["form"])
        self.written = list(state.get("written") or (f.name for f in self.fields or ()))

    def __repr__(self) -> str:
        if self.fields is None:
            return "Set()"
        each = ", ".join(f"{f.name}: {f.size} {'bins' if f.number and not f.counted else 'values'}" for f in self.fields)
        return f"Set(at most {self._most} items of {each})"


def _rows(raw: np.ndarray) -> list[list[Any]]:
    """Rows as lists of items."""
    found = [row.tolist() if isinstance(row, np.ndarray) else row for row in (raw.tolist() if raw.ndim else [raw])]
    for r, row in enumerate(found):
        if not isinstance(row, list | tuple):
            raise UserError(f"got {shown(row)}; expected a list of items, [] for none", r)
    return [list(row) for row in found]
