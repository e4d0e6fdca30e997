"""Time: dates, datetimes and times of day, counted in days or seconds on a line or a curve."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from given.scales import Measured
from given.variables import NewValue, UserError, shown

__all__ = ["Time"]

_FORM = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)?(?P<mark>[T ])?(?P<clock>\d\d:\d\d(?P<seconds>:\d\d(?P<part>\.\d{1,6})?)?)?")
_UNITS = {"W": 1 / 7, "D": 1.0, "h": 1 / 3600, "m": 1 / 60, "s": 1.0, "ms": 1e3, "us": 1e6}  # how many make a day, a second
_YEARS = "0001-01-01", "9999-12-31T23:59:59.999999"
_YEARS_OF_NS = "1677-09-21T00:12:43.145225", "2262-04-11T23:47:16.854775"
_GRID = 86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1000  # microseconds


class Time(Measured):
    """Dates, datetimes and times of day: ISO 8601 text of one form and without a zone, or datetime64 of weeks or finer.

    Args:
        missing, atoms, curve: as of Number; None and NaT are missing.

    Dates are counted in days from the first and densities are per day; all else in seconds, per second. Values come back in
    the form they had, text as objects; times of day are taken modulo a day. Draws are rounded to the coarsest of day, hour,
    minute, second, milli- and microsecond that all learned are multiples of. Years are 1 to 9999 (those that datetime64[ns]
    holds, 1677 to 2262): a draw out of them is no time, and comes back as None or NaT. Where a far date means never, name
    it among the atoms.
    """

    _signed = True

    def __init__(self, *, missing: str = "error", atoms: str | Sequence[Any] = "auto", curve: str = "quantile") -> None:
        self.form = ""  # what was learned: an example of the text, or the dtype
        self.origin: int | None = None  # the first value, in units since 1970: float64 keeps microseconds for a century from it
        self.grid = 0  # units that a draw is a multiple of, 0 before any value
        super().__init__(missing, atoms, curve)

    def learn(self, raw: np.ndarray) -> None:
        super().learn(raw)
        (count, there), unit = self._counted(raw), self._unit()
        steps = [round(step * _UNITS[unit] / 1e6) for step in _GRID if unit not in "WD"]
        if len(count := count[there]):
            grid = next((step for step in steps if step and (count % step == 0).all()), 1)
            self.grid = min(grid, self.grid or grid)  # a coarser step is a multiple of every finer one

    @property
    def _length(self) -> str:  # type: ignore[override]
        return "length in days" if self._unit() in "WD" else "length in seconds"

    @property
    def step(self) -> float:
        return self.grid / _UNITS[self._unit()]

    def _unit(self) -> str:
        """The resolution."""
        if self.form.startswith("<M8"):
            return "us" if self.form == "<M8[ns]" else self.form[4:-1]
        digits = len(self.form.partition(".")[2])
        return ("us" if digits > 3 else "ms") if digits else ["D", "m", "s"][min(self.form.count(":"), 2)]

    def _reals(self, raw: np.ndarray) -> np.ndarray:
        count, there = self._counted(raw)
        if self.origin is None and there.any():
            self.origin = int(count[there][0])
        return np.where(there, count - (self.origin or 0), np.nan) / _UNITS[self._unit()]

    def _counted(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B,) int64, units since 1970, and where there is a time."""
        if raw.dtype.kind == "O" and any(isinstance(v, datetime.date) for v in raw.tolist()):
            raw = np.array([None if v is None or v != v else v for v in raw.tolist()], dtype="M8[us]")
        form = np.dtype(raw.dtype).newbyteorder("<").str if raw.dtype.kind == "M" else self._text_form(raw)
        self.form = self.form or form
        # Dates are dates, learned as text and asked about as datetime64 or the other way round.
        dates = form.startswith("<M8") != self.form.startswith("<M8") and ("-" in form or "-" in self.form)
        if form and not dates and _shape(form) != _shape(self.form):
            raise UserError(f"got {form!r}; expected the form of {self.form!r}", row=0)
        unit = self._unit()
        if unit not in _UNITS:
            raise UserError(f"got {raw.dtype}; expected times in {', '.join(_UNITS)} or ns; convert with astype('M8[D]')")
        if raw.dtype.kind == "M":
            fine = raw.astype(f"M8[{unit}]")
            if (fine.astype(raw.dtype)[~np.isnat(raw)] != raw[~np.isnat(raw)]).any():
                whole = "of whole microseconds" if self.form.startswith("<M8") else f"in the form of {self.form!r}"
                raise UserError(f"expected times {whole}, got finer ones; round them")
        else:
            day = "" if "-" in self.form or "-" in form else "1970-01-01T"
            texts = ["NaT" if v is None or v != v else day + v for v in raw.tolist()]
            try:
                fine = np.array(texts, dtype=f"M8[{unit}]")
            except ValueError as error:
                raise UserError(f"{error}; expected ISO 8601") from None
        count, there, (least, most) = fine.astype(np.int64), ~np.isnat(fine), self._ends()
        if (wrong := there & ((count < least) | (count > most))).any():
            raise NewValue(f"got {fine[wrong][0]}; expected years from 1 to 9999", np.flatnonzero(wrong))
        return count, there

    def numbers(self, raw: np.ndarray) -> np.ndarray:
        return self._reals(raw.ravel()).reshape(raw.shape)

    def raw_of(self, numbers: np.ndarray) -> np.ndarray:
        return self._raw(numbers)

    def differences(self, numbers: Any) -> Any:
        scale = 86_400_000 if self._unit() in "WD" else 1000
        return np.rint(np.asarray(numbers) * scale).astype("m8[ms]")

    def _ends(self) -> tuple[int, int]:
        """The first and the last time that the form can write, in units since 1970."""
        least, most = (_YEARS_OF_NS if self.form == "<M8[ns]" else _YEARS)
        return tuple(np.array([least, most], "M8[us]").astype(f"M8[{self._unit()}]").astype(np.int64).tolist())

    def _text_form(self, raw: np.ndarray) -> str:
        form = ""
        for row, value in enumerate(raw.tolist()):
            if value is None or value != value:
                continue
            if not isinstance(value, str) or not _is_time(value):
                raise NewValue(f"got {shown(value)}; expected a date or time such as 2024-12-31, "
                               "2024-12-31T18:30:00 or 18:30", [row])
            form = form or value
            if _shape(value) != _shape(form):
                raise NewValue(f"got {shown(value)}; expected the form of {form!r}", [row])
        return form

    def _raw(self, r: np.ndarray) -> np.ndarray:
        unit, (least, most), origin = self._unit(), self._ends(), self.origin or 0
        grid = self.grid or 1  # the origin is a multiple of it
        steps = np.rint(r * _UNITS[unit] / grid)
        if not self.form.startswith("<M8") and "-" not in self.form:
            first = origin // grid
            steps = (steps + first) % (round(86_400 * _UNITS[unit]) // grid) - first
        there = (steps * grid >= least - origin) & (steps * grid <= most - origin)
        fine = (np.where(there, steps, 0).astype(np.int64) * grid + origin).astype(f"M8[{unit}]")
        fine[~there] = np.datetime64("NaT")
        if self.form.startswith("<M8"):
            return fine.astype(self.form)
        said = np.datetime_as_string(fine).astype(object)
        start = 0 if "-" in self.form else 11
        cut = np.frompyfunc(lambda s: None if s == "NaT" else s.replace("T", " " if " " in self.form else "T")[
            start:start + len(self.form)], 1, 1)(said)
        return np.asarray(cut, dtype=object)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "form": self.form, "origin": self.origin, "grid": self.grid}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.form, self.origin, self.grid = state["form"], state["origin"], state["grid"]

    def __repr__(self) -> str:
        return f"Time({self.form!r})" if self.form else "Time()"


def _is_time(text: str) -> bool:
    """Whether a text is a date, a datetime or a time of day."""
    match = _FORM.fullmatch(text)
    return bool(match and (match["date"] or match["clock"]) and bool(match["mark"]) == bool(match["date"] and match["clock"]))


def _shape(form: str) -> str:
    return re.sub(r"\d", "0", form) if not form.startswith("<M8") else form
