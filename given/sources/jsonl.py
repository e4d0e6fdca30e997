"""JSON lines: an object a line, whose keys are the columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from given.sources.columns import Columns, check_names
from given.sources.forms import PLAIN, common
from given.sources.kinds import EXACT, LONG, Kind, Lists, holds_sets, texts
from given.sources.learned import Learned
from given.sources.stream import File, Stream, not_utf8
from given.variables import UserError

__all__ = ["JsonLines"]

_ROWS = 4096  # taken together
_KINDS = {bool: "boolean", int: "whole", float: "real", str: "text"}
_WIDTH = 25  # characters of the longest real, or whole number of 64 bits


class _List(NamedTuple):
    """A list of a line: its shape and the cells in it, one after another."""

    shape: tuple[int, ...]
    cells: list[Any]


class JsonLines(Stream):
    """Files of JSON lines. A key that a line lacks is missing, as is null. Lists of numbers of one shape are a grid; lists that
    differ in their length, and lists of text, are items (rows,) of an array each, or None where a line has none. Lists of
    objects, and of lists of text and numbers, are sets of items, and stay lists (rows,).

    What is no text in a column that has text is written as JSON. Blank lines are no rows.

    Args:
        files: in order.
        skip_bad: leave bad lines out and name them in `skipped`.
        decimal, dayfirst, learned: as of `read`.

    Raises:
        UserError: file, line and what is wrong there.
    """

    format = "jsonl"

    def __init__(self, files: Sequence[File], skip_bad: bool = False, decimal: str | None = None,
                 dayfirst: bool | None = None, learned: Mapping[str, Learned] | None = None) -> None:
        super().__init__(files, skip_bad)
        kinds = dict[str, Kind]()
        self._lists: dict[str, Lists] = {}
        self._sets: set[str] = set()
        self._bad: set[tuple[str, int]] = set()
        n = 0
        for rows in self._runs():
            for name in dict.fromkeys([*kinds, *(name for row in rows for name in row)]):
                kind = _kind([row.get(name) for row in rows if not isinstance(row.get(name), _List | list)])
                kinds[name] = kinds.get(name, Kind(missing=n > 0)) | kind
                if name in self._lists:
                    cells = [cell for row in rows if isinstance(each := row.get(name), _List) for cell in each.cells]
                    self._lists[name].kind |= _kind(cells)
            n += len(rows)
        self.found(n, "at least one line of JSON, got none")
        self._names = tuple(kinds)
        check_names(self.names, self._title)
        for name in self._sets:
            self._lists[name] = Lists(kind=Kind("sets"))
        for name, lists in self._lists.items():
            if what := kinds[name].what:
                raise UserError(f"{self._title}: {name}: lists in some lines, {what} in others; expected lists in all")
            lists.absent, kinds[name] = kinds[name].missing, lists.kind
        self.understand(kinds, (decimal, dayfirst), learned)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def blocks(self) -> Iterator[Columns]:
        for rows in self._runs():
            yield Columns({name: self._array(name, [row.get(name) for row in rows]) for name in self.names})

    def _array(self, name: str, values: list[Any]) -> np.ndarray:
        if name in self._sets:
            found = np.empty(len(values), dtype=object)
            found[:] = [[] if isinstance(each, _List) else each for each in values]
            return found
        if (lists := self._lists.get(name)) is None:
            return self._cells(self.kinds[name], values)
        cells = self._cells(self.kinds[name], [cell for each in values if each is not None for cell in each.cells])
        return lists.array(cells, [None if each is None else each.shape[0] for each in values])

    def _cells(self, kind: Kind, values: list[Any]) -> np.ndarray:
        if kind.form is not None or kind.alone is not None:
            return kind.array(["" if v is None else v if isinstance(v, str) else json.dumps(v) for v in values])
        match kind.stored:
            case "whole":
                return np.array(values, dtype=np.int64)
            case "boolean":
                return texts(values) if kind.missing else np.array(values, dtype=bool)
            case "real":
                return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        return kind.texts([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])

    def _runs(self) -> Iterator[list[dict[str, Any]]]:
        """Good lines, some thousands at a time; bad ones are named the first time."""
        for file in self.files:
            rows: list[dict[str, Any]] = []
            with file.open() as handle:
                for line, raw in enumerate(handle, 1):
                    raw = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
                    if not raw.strip() or (file.name, line) in self._bad:
                        continue
                    try:
                        rows.append(self._row(raw))
                    except UserError as error:
                        self.bad(f"{file.name}, line {line}", str(error))
                        self._bad.add((file.name, line))
                    if len(rows) == _ROWS:
                        yield rows
                        rows = []
            if rows:
                yield rows

    def _row(self, raw: bytes) -> dict[str, Any]:
        try:
            row = json.loads(raw.decode(), object_pairs_hook=_object, parse_constant=_constant)
        except UnicodeDecodeError as error:
            raise UserError(not_utf8(raw[error.start])) from None
        except json.JSONDecodeError as error:
            raise UserError(f"column {error.colno}: not JSON ({error.msg}); expected an object a line") from None
        except (RecursionError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError("numbers or lists too long for JSON; shorten them") from None
        if b"\\ud" in raw.lower() and re.search("[\ud800-\udfff]", json.dumps(row, ensure_ascii=False)):
            raise UserError("half of a surrogate pair (\\ud800 to \\udfff); expected whole characters")
        if not isinstance(row, dict):
            raise UserError(f"got {raw.decode().strip()[:30]!r}; expected an object such as {{\"age\": 30}}")
        for name, value in row.items():
            if isinstance(value, dict):
                raise UserError(f"{name}: got an object; expected a number, text, true, false, null or a list of these")
            if isinstance(value, list):
                nested = name in self._sets and all(isinstance(item, list | dict) for item in value)
                row[name] = value if value and (nested or holds_sets([value])) else self._list(name, value)
                self._check_sets(name, row[name])
        for name, value in row.items():
            if isinstance(value, _List):
                self._lists.setdefault(name, Lists()).add(value.shape[:1], value.shape[1:] if value.cells else None)
        return row

    def _check_sets(self, name: str, value: _List | list[Any]) -> None:
        """Note that a list is a set of items, and raise where others of its column are none."""
        single = isinstance(value, _List) and bool(value.cells)
        if isinstance(value, list):
            single = name in self._lists and self._lists[name].value is not None
            self._sets.add(name)
        if single and name in self._sets:
            raise UserError(f"{name}: items of several fields in some lines, single values in others; expected one of both")

    def _list(self, name: str, value: list[Any]) -> _List:
        """A list of single values or of grids of one shape, that of the lines before."""
        shape: tuple[int, ...] = (len(value),)
        cells = value
        while any(isinstance(cell, list) for cell in cells):
            lengths = {len(cell) if isinstance(cell, list) else 0 for cell in cells}
            if len(lengths) > 1 or 0 in lengths:
                raise UserError(f"{name}: a list of lists of different lengths; expected a grid of numbers")
            shape, cells = (*shape, lengths.pop()), [each for cell in cells for each in cell]
        if any(isinstance(cell, dict) for cell in cells):
            raise UserError(f"{name}: got {json.dumps(value)[:40]}; expected a list of numbers, text, true, false or null")
        before = self._lists[name].value if name in self._lists else None
        if cells and before not in (None, shape[1:]):
            raise UserError(f"{name}: got a list of values of shape {shape[1:]}, expected {before} as in the lines before")
        return _List(shape, cells)


def _kind(values: list[Any]) -> Kind:
    whats = {_KINDS[each] for each in set(map(type, values)) - {type(None)}}
    kind = Kind(missing=any(value is None for value in values))
    for what in whats:
        text = what == "text"
        forms = common(dict.fromkeys(v for v in values if isinstance(v, str))) if text else PLAIN.get(what, frozenset())
        kind |= Kind(what, width=0 if text else _WIDTH, forms=forms)
    large = [value for value in values if type(value) is int and abs(value) > EXACT] if "whole" in whats else []
    if large:
        kind = replace(kind, wide=53 if all(-(2**63) <= value < 2**63 for value in large) else 64, width=LONG)
    lengths = [LONG if value.endswith("\0") else len(value) for value in values if isinstance(value, str)]
    return replace(kind, width=max([kind.width, *lengths]))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        check_names([name for name, _ in pairs], "object")
    return row


def _constant(text: str) -> float | None:
    return None if text == "NaN" else float(text)
