"""Kinds: what the cells of a column are, decided over all its rows and never batch by batch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from given.sources.forms import PLAIN, Ambiguous, Form, choose_form, common, readings

__all__ = ["EXACT", "Kind", "LONG", "Lists", "end_to_end", "holds_sets", "items", "ragged", "stacked", "texts"]

MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})
_BLANKS = " \t\r\v\f\x1c\x1d\x1e\x1f"
_THOUSANDS_OF = frozenset(form for form in PLAIN["whole"] if form.spelling == "1.234,5")  # 1.234 may be
_PADDED = re.compile(r"\n[+-]?0\d")
_DECIMALS = re.compile(r"[.,](\d+)[^\d.,]*\Z")
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)
EXACT = 2**53  # whole numbers up to here are reals too
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})*")
_SHORT = 64  # characters; longer texts are kept as objects, so that one long cell does not widen all
LONG = 1 << 16  # the width of what numpy's text would not hold whole, such as a zero byte at the end


@dataclass(frozen=True)
class Kind:
    """What a column's cells are.

    Args:
        what: "whole", "real", "boolean", "time", "sets", "text", or "" while all are missing.
        missing: whether a cell is.
        places: the fewest decimals that a cell is written with; None while there is none.
        wide: 53 if a whole number has more bits than a real holds, 64 if more than an int64 does, else 0.
        width: characters of the longest cell.
        forms: the ways of writing numbers and times that all cells may be written in.
        form: that which they are read by, once all have been seen.
        alone: reads each cell by itself, since no one form is that of all.

    >>> Kind.of(["1", "2"]) | Kind.of(["2.5", ""])
    Kind(what='real', missing=True, wide=0, width=3, places=0)
    """

    what: str = ""
    missing: bool = False
    wide: int = 0
    width: int = 0
    places: int | None = None
    forms: frozenset[Form] = field(default=frozenset(), repr=False)
    form: Form | None = field(default=None, repr=False)
    alone: Callable[[Sequence[str]], np.ndarray] | None = field(default=None, repr=False)

    def __or__(self, other: Kind) -> Kind:
        both = {self.what, other.what} - {""}
        what = "".join(both) if len(both) < 2 else "real" if both == {"whole", "real"} else "text"
        forms = self.forms & other.forms if self.what and other.what else self.forms | other.forms
        places = [kind.places for kind in (self, other) if kind.places is not None]
        return Kind(what, self.missing or other.missing, max(self.wide, other.wide), max(self.width, other.width),
                    min(places, default=None), forms)

    def understood(self, decimal: str | None = None, dayfirst: bool | None = None) -> tuple[Kind, Any]:
        """This kind with the form that its cells are read by, and the dtype that follows: that it is in doubt, or None.

        Args:
            decimal, dayfirst: as of `choose_form`.
        """
        found = choose_form(self.forms, decimal, dayfirst) if self.what == "text" else None
        if isinstance(found, Ambiguous):
            return self, {"doubt": found.note}
        known = replace(self, form=found)
        return known, known.dtype

    @property
    def dtype(self) -> str | None:
        """What is known of a column beyond the array that `array` makes of its cells."""
        if self.form is not None and self.form.what == "text":
            return self.form.dtype
        if self.form is not None:
            whole = self.form.what == "whole"
            places = 0 if whole and self.missing else None if whole else self.places or None
            return "measured" if places is None else f"measured({places})"
        if self.what == "boolean":
            return "boolean" if self.missing else None
        if self.stored != "real" or not self.what:
            return None
        return "Int64" if self.what == "whole" else None if self.places is None else f"fixed({self.places})"

    @property
    def stored(self) -> str:
        """"whole" (int64), "real" (float64, missing is NaN), "boolean" (objects where missing, which is None), "time" (NaT),
        "sets" (objects, lists of items; missing is None) or "text" (missing is None)."""
        if self.form is not None:
            return "real" if self.form.what == "whole" and self.missing else self.form.what
        if self.what == "whole" and not self.missing:
            return "text" if self.wide == 64 else "whole"
        if self.what in ("whole", "real", ""):
            return "text" if self.wide else "real"
        return self.what

    @property
    def note(self) -> str:
        """How numbers and times were understood, or why numbers are kept as text, or nothing."""
        if self.form is not None:
            return self.form.note
        if self.what not in ("whole", "real") or self.stored != "text":
            return ""
        if self.wide == 64:
            return "text, since whole numbers there are beyond 64 bits"
        return "text, since whole numbers beyond 2**53 stand among missing or real ones"

    @classmethod
    def of(cls, cells: Sequence[str]) -> Kind:
        """What these cells are, as they are written: 007 and 1_000 are names, not numbers."""
        if not cells:
            return cls()
        width = max(map(len, cells))
        try:
            values = np.abs(list(map(float, cells)))
        except ValueError:
            values = None
        if (values is None or np.isnan(values).any()) and not MISSING.isdisjoint(cells):
            kind = cls.of([cell for cell in cells if cell not in MISSING])
            return cls(kind.what, True, kind.wide, width, kind.places, kind.forms)
        if values is None or np.isnan(values).any():  # such as -nan, which is no way to write a missing cell
            boolean = cells[0].lower() in ("true", "false") and {cell.lower() for cell in cells} <= {"true", "false"}
            if boolean:
                return cls("boolean", width=width)
            if _set_of(cells[0]) is not None and all(_set_of(cell) is not None for cell in cells[1:]):
                return cls("sets", width=width)
            forms = common(dict.fromkeys(cells))
            return cls("text", width=width, places=_places(cells) if forms else None, forms=forms)
        text = "\n".join(["", *cells])
        if not text.isascii() or "_" in text or any(blank in text for blank in _BLANKS) or _PADDED.search(text) \
                or text.count("\n") > len(cells):
            return cls("text", width=width)
        wide = 0
        if values.max() >= EXACT:
            large = [cell for cell, value in zip(cells, values, strict=True) if value >= EXACT and _WHOLE.fullmatch(cell)]
            wide = 0 if not large else 53 if all(len(c) < 21 and -(2**63) <= int(c) < 2**63 for c in large) else 64
        whole = not any(mark in text for mark in ".eEnN")  # nan and inf have an n
        what = "whole" if whole else "real"
        places = 0 if whole else _places(cells)
        forms = PLAIN[what]
        if not whole and all(map(_THOUSANDS.fullmatch, cells)):
            forms |= _THOUSANDS_OF
        return cls(what, wide=wide, width=width, places=places, forms=forms)

    def add(self, cells: Sequence[str]) -> Kind:
        """This kind with more cells."""
        if self.what != "text":
            return self | Kind.of(cells)
        there = [cell for cell in dict.fromkeys(cells) if cell not in MISSING] if self.forms else []
        more = Kind("text", not MISSING.isdisjoint(cells), 0, max(map(len, cells)), _places(there), common(there))
        return self | (more if there else replace(more, what=""))

    def array(self, cells: Sequence[str]) -> np.ndarray:
        """The cells as this kind stores them.

        Raises:
            ValueError: a cell that is not of this kind.
        """
        if self.alone is not None:
            return self.alone(cells)
        if self.form is not None:
            return self._read(cells, self.form)
        match self.stored:
            case "whole":
                return np.array(list(map(int, cells)), dtype=np.int64)
            case "real":
                try:
                    return np.array(list(map(float, cells)))
                except ValueError:
                    return np.array([np.nan if cell in MISSING else float(cell) for cell in cells])
            case "boolean":
                if self.missing:
                    return texts([None if cell in MISSING else cell.lower() == "true" for cell in cells])
                return np.array([cell.lower() == "true" for cell in cells])
            case "sets":
                return texts([None if cell in MISSING else json.loads(cell) for cell in cells])
        return self.texts([None if cell in MISSING else cell for cell in cells] if self.missing else cells)

    def _read(self, cells: Sequence[str], form: Form) -> np.ndarray:
        absent = np.nan if self.stored == "real" else None
        try:
            read = {cell: absent if cell in MISSING else readings(cell)[form] for cell in set(cells)}
        except KeyError as error:
            raise ValueError(f"not written as {form.spelling}") from error
        values = list(map(read.__getitem__, cells))
        return texts(values) if form.what == "text" else np.array(values).astype(
            np.int64 if self.stored == "whole" else np.float64)

    def texts(self, cells: Sequence[str | None]) -> np.ndarray:
        """Texts as this kind stores them: short ones as numpy's text, others, and those with None, as objects."""
        return np.array(cells, dtype=f"<U{self.width}") if not self.missing and self.width <= _SHORT else texts(cells)


def _set_of(cell: str) -> list[Any] | None:
    """The set of items, [] for none, that a cell is as JSON; None of any other cell."""
    if not cell.startswith("["):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return found if found == [] or holds_sets([found]) else None


def _places(cells: Sequence[str]) -> int | None:
    """The fewest decimals of numbers, by what follows their last mark; 1 where they vary and all have some."""
    if not cells:
        return None
    found = _DECIMALS.search(cells[0])
    places = len(found[1]) if found else 0
    alike = re.compile(rf".*[.,]\d{{{places}}}[^\d.,]*" if places else r"[^.,]*")
    if all(map(alike.fullmatch, cells)):
        return places
    return int(all("." in cell or "," in cell for cell in cells))


def texts(values: Sequence[Any]) -> np.ndarray:
    """Texts of any length, booleans, and None, as objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@dataclass
class Lists:
    """What a column of lists is, over all its rows.

    Args:
        value: shape of a value in a list; None while all lists are empty.
        lengths: that lists have.
        kind: of the cells in them.
        absent: whether a row has no list.
    """

    value: tuple[int, ...] | None = None
    lengths: set[int] = field(default_factory=set)
    kind: Kind = field(default_factory=Kind)
    absent: bool = False

    def add(self, lengths: Iterable[int], value: tuple[int, ...] | None) -> None:
        """Add lists of these lengths, of values of a shape, or None where none holds any."""
        self.lengths.update(lengths)
        self.value = self.value if value is None else value

    def array(self, cells: np.ndarray, lengths: Sequence[int | None]) -> np.ndarray:
        """Cells end to end as a grid (rows, length, ...) where all lists are numbers of one shape, else as items (rows,).

        Args:
            cells: of all rows.
            lengths: of each row's list; None where it has none.
        """
        shape, alike = self.value or (), len(self.lengths) == 1 and 0 not in self.lengths and not self.absent
        if alike and self.kind.stored in ("whole", "real", "boolean"):
            return cells.reshape(len(lengths), -1, *shape)
        return items(cells.reshape(-1, *shape), lengths)


def items(values: np.ndarray, lengths: Sequence[int | None]) -> np.ndarray:
    """Values end to end as items (rows,) of an array each, of these lengths, or None."""
    ends = np.cumsum([length or 0 for length in lengths])
    found = np.empty(len(lengths), dtype=object)
    found[:] = [None if length is None else values[end - length:end] for end, length in zip(ends, lengths, strict=True)]
    return found


def ragged(values: np.ndarray) -> bool:
    """Whether a column is of items, an array each."""
    return values.dtype.kind == "O" and any(isinstance(item, np.ndarray) for item in values.flat)


def holds_sets(values: Any) -> bool:
    """Whether rows are lists of items of several fields, text among numbers or by name: what no array of one kind is.

    Args:
        values: rows, of which the first list that is not empty decides; lists that are all empty are sets of no items.
    """
    if not isinstance(values, list | tuple) and not (isinstance(values, np.ndarray) and values.dtype.kind == "O"):
        return False
    rows = values.ravel().tolist() if isinstance(values, np.ndarray) else values
    listed = list | tuple | np.ndarray
    row = next((row for row in rows if row is not None and not (isinstance(row, listed) and len(row) == 0)), None)
    if row is None:
        return any(isinstance(row, list) for row in rows)
    item = row[0] if isinstance(row, list | tuple) or (isinstance(row, np.ndarray) and row.dtype.kind == "O") else None
    if isinstance(item, list | tuple):
        words, numbers = (any(isinstance(v, kind) for v in item) for kind in (str, int | float | np.generic))
        return words and numbers and all(v is None or isinstance(v, str | int | float | np.generic) for v in item)
    return isinstance(item, Mapping)


def end_to_end(values: np.ndarray) -> tuple[np.ndarray, list[int | None]]:
    """Items (rows,) of an array each, or None, as all their values and the lengths; the inverse of `items`."""
    there = [item for item in values if item is not None]
    full = [item for item in there if len(item)] or there
    return np.concatenate(full), [None if item is None else len(item) for item in values]


def stacked(parts: Sequence[np.ndarray], axis: int, lead: int) -> np.ndarray:
    """Arrays (*lead, ...) end to end along an axis of the lead; items (*lead,) where what follows it is not of one shape.

    Args:
        parts: at least one.
        axis: to join along.
        lead: how many axes are no part of an item.
    """
    if len({part.shape[lead:] for part in parts}) > 1:
        parts = [part if part.ndim == lead else items(part.reshape(-1, *part.shape[lead + 1:]), [part.shape[lead]] * int(
            np.prod(part.shape[:lead]))).reshape(part.shape[:lead]) for part in parts]
    return np.concatenate(parts, axis)
