"""Learned: how the cells of a column are read that a model has learned, in a new file, a pipe or a command line.

A new file may have too few cells to decide how they are written, a pipe shows one after the other, and a command line has one:
each is read as the column was in the data learned from, or in plain spelling, which is how this package writes. What may be
either is an error, and so is no unit that was not learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from given.sources.forms import ISO, Ambiguous, Form, as_learned, common, readings
from given.sources.kinds import MISSING, Kind, holds_sets, texts
from given.variables import UserError
from given.ways import way

__all__ = ["Learned"]

_TYPES = {bool: "boolean", int: "whole", float: "real"}


@dataclass(frozen=True)
class Learned:
    """How a column's cells are read.

    Args:
        kind: of the column in the data learned from.
        crop: height and width that its pictures were cut to.
        along: of a table with a row a moment "item", which names the item, "time", "calendar", derived of it, or "series",
            whose values differ within an item; else "".
    """

    kind: Kind
    crop: tuple[int, int] | None = None
    along: str = ""

    def state(self) -> dict[str, Any]:
        """What a saved model keeps of it, in JSON."""
        form = self.kind.form or (ISO if self.kind.what == "text" and ISO in self.kind.forms else None)
        cut = ({"crop": list(self.crop)} if self.crop else {}) | ({"along": self.along} if self.along else {})
        return {"what": self.kind.what, "missing": self.kind.missing, "wide": self.kind.wide, "form": form and [*form], **cut}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Learned:
        """That of a state."""
        form = state["form"] and Form(*state["form"])
        cut = (state["crop"][0], state["crop"][1]) if "crop" in state else None
        return cls(Kind(state["what"], state["missing"], state["wide"], form=form), cut, state.get("along", ""))

    @classmethod
    def of_array(cls, values: np.ndarray) -> Learned:
        """That of an array (rows,) that was not read from cells."""
        cells = values.ravel().tolist() if values.dtype.kind == "O" else []
        whats = {_TYPES.get(type(cell), "text") for cell in cells if cell is not None}
        if holds_sets(values):
            return cls(Kind("sets", any(row is None for row in values)))
        what = {"i": "whole", "u": "whole", "f": "real", "b": "boolean", "M": "time"}.get(values.dtype.kind, "text")
        if len(whats) == 1:
            what = whats.pop()
        forms = common(cell for cell in cells if isinstance(cell, str)) if what == "text" else frozenset()
        return cls(Kind(what, what == "real" or None in cells, forms=forms & {ISO}))

    @property
    def marked(self) -> bool:
        """Whether its cells say what decimal mark numbers have, or whether days come before months."""
        return self.kind.form is not None and (self.kind.form.mark is not None or self.kind.form.dayfirst is not None)

    def understood(self, kind: Kind, decimal: str | None = None, dayfirst: bool | None = None) -> tuple[Kind, Any]:
        """The kind of a column of new data as it is read, and the dtype that follows.

        Args:
            kind: what its cells are.
            decimal, dayfirst: as of `read`.

        Raises:
            UserError: two readings remain, neither of which was learned.
        """
        found = self._like(kind, decimal, dayfirst)
        return found, found.dtype

    def _like(self, kind: Kind, decimal: str | None, dayfirst: bool | None) -> Kind:
        if kind.what in ("", "time"):
            return replace(kind, what=kind.what or self.kind.what)
        if self.kind.stored == "text" and self.kind.form is None:
            return replace(kind, what="text", forms=frozenset())
        if kind.what == self.kind.what == "boolean" or "sets" in (kind.what, self.kind.what):
            return kind
        forms = kind.forms if kind.what == "text" else frozenset(f for f in kind.forms if f.mark == ",")
        comma = self.kind.form is not None and self.kind.form.mark == "," and bool(forms)
        if kind.what == "whole" or (kind.what == "real" and not comma):
            return kind
        if kind.what == "real":  # 1.234, where 1.234,5 was learned
            if decimal is None:
                raise UserError(Ambiguous(min(forms), Form("real", "1,234.5")).note)
            return kind if decimal == "." else replace(kind, what="text", form=min(forms, key=lambda f: f.what != "whole"))
        if ISO in forms:
            return kind
        form = as_learned(forms, self.kind.form, decimal, dayfirst) if self.kind.what != "boolean" else None
        if isinstance(form, Ambiguous):
            raise UserError(form.note)
        return replace(kind, form=form) if form is not None else replace(kind, alone=self.typed)

    def typed(self, cells: Sequence[str], decimal: str | None = None, dayfirst: bool | None = None) -> np.ndarray:
        """Cells one by one, of a pipe or a command line, as a column of this kind was read when it was learned.

        Where a cell cannot be read so, all are text in plain spelling, for a codec to name the one that has no place.

        Raises:
            UserError: a cell that may be read in two ways, neither of which was learned.
        """
        if self.kind.what == "sets" and (found := Kind.of(cells)).what in ("sets", ""):
            return replace(found, what="sets").array(cells)
        read = {cell: None if cell in MISSING else self._value(cell, decimal, dayfirst) for cell in dict.fromkeys(cells)}
        values = [read[cell] for cell in cells]
        whats = {type(value) for value in values} - {type(None)}
        if str in whats or (not whats and self.kind.stored in ("text", "time", "boolean")):
            return texts([None if value is None else str(value) for value in values])
        if whats == {bool}:
            return np.array(values) if None not in values else texts(values)
        return np.array(values, dtype=np.int64 if whats == {int} and None not in values else np.float64)

    def _value(self, cell: str, decimal: str | None, dayfirst: bool | None) -> float | str | bool:
        """One cell that is there."""
        if self.kind.what == "boolean":
            return {"true": True, "false": False}.get(cell.lower(), cell)
        if self.kind.form is None and (self.kind.stored == "text" or self.kind.what == "time"):
            return cell if self.kind.what != "time" else self._read_by(cell, ISO, decimal, dayfirst)
        plain = Kind.of([cell])
        if plain.what not in ("whole", "real") or (self.kind.form is not None and self.kind.form.what == "text"):
            return self._read_by(cell, self.kind.form, decimal, dayfirst)
        own, other, learned = plain.array([cell]).tolist()[0], readings(cell), self.kind.form
        if learned is None or learned.mark != "," or decimal == ".":
            return own
        form = as_learned(frozenset(other), learned)
        if isinstance(form, Form) and other[form] != own and decimal is None:
            raise UserError(_doubt(cell, form, Form("real", "1,234.5")))
        return own if form is None else self._read_by(cell, learned, decimal, dayfirst)

    def _read_by(self, cell: str, form: Form | None, decimal: str | None, dayfirst: bool | None) -> float | str:
        found = readings(cell)
        if ISO in found:
            return cell
        chosen = as_learned(frozenset(found), form, decimal, dayfirst)
        if isinstance(chosen, Ambiguous):
            raise UserError(_doubt(cell, *chosen))
        if chosen is None:
            return cell
        value = found[chosen]
        return int(value) if chosen.what == "whole" else value


def _doubt(cell: str, first: Form, second: Form) -> str:
    plain = (f"2024-12-31, or say which by {way('dayfirst=', '--dayfirst')}" if first.what == "text"
             else f"1234.5, or say which by {way('decimal=', '--decimal')}")
    return f"{cell!r} may be written as {first.spelling} and as {second.spelling}; write it as {plain}"
