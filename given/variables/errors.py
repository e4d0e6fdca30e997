"""Errors: what a person can mend, in one line; and how values are printed in one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["NewValue", "UserError", "nearest", "shown"]

_MANY = 20  # names in a message of one line


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


def nearest(name: Any, names: Iterable[str]) -> str:
    """Which names there are in place of one there is not, for messages: the one most like it, and all of them, unless there
    are many and one is like it; in quotes where one has a comma.

    >>> nearest("temp", ["temp_max, temp_min", "wind"]), nearest("widn", ["wind", "rain"])
    ("there are 'temp_max, temp_min', 'wind'", "did you mean 'wind'? there are wind, rain")
    """
    each = list(names)
    near = difflib.get_close_matches(str(name), each, 1, 0.7)
    if near and len(each) > _MANY:
        return f"did you mean {near[0]!r}?"
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}there are {', '.join(map(repr, each) if any(',' in known for known in each) else each)}"


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
