"""Clock: when the rows of a long table were, when those to come will be, and what a calendar says of then."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["CALENDAR", "Clock", "Step", "changing", "plain"]

_DAY = np.timedelta64(1, "D")
_UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}  # seconds
_SPARSE = 1 / 3  # of the places between the first and the last time that may be empty
_DECIMALS = 9  # of times that are numbers
_FEW = 4  # times whose step says nothing
_NEAR = 0.05  # of a step, that numbers stray from it where they are rounded

CALENDAR = {"hour": tuple(range(24)), "weekday": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
            "month": tuple(range(1, 13))}
"""What is derived of times, and the values that it has."""


@dataclass(frozen=True)
class Step:
    """The one step between times.

    Args:
        count: how many of the unit: microseconds, weekdays, months, or of numbers.
        unit: "time", "weekday", "month" or "number".
        shift: by how much times are moved so that months begin with their first moment: the last day of a month is the day
            before the first of the next.
        missing: how many places between the first and the last time of each item are empty.
    """

    count: float
    unit: str
    shift: np.timedelta64 = 0 * _DAY
    missing: int = 0

    @classmethod
    def of(cls, times: Sequence[np.ndarray]) -> Step | None:
        """That of the times of every item, rising; None where there is none, or a third of the places are empty."""
        if not any(len(each) > 1 for each in times):
            return None
        found = [step for step in _steps(times) if step is not None]
        whole = [step for step in found if not step.missing] or found
        return whole[0] if whole else None

    @property
    def season(self) -> int | None:
        """How many steps a season has: a day of hours or finer, a week of days, a year of weeks, months or quarters."""
        if self.unit == "month":
            return int(12 // self.count) if 12 % self.count == 0 and self.count < 12 else None
        if self.unit == "number":  # years, in parts of one
            parts = round(1 / self.count) if 0 < self.count < 1 else 0
            return parts if parts in (4, 12, 52) else None
        if self.unit == "weekday":
            return 5 if self.count == 1 else None
        seconds = self.count / 1e6
        if seconds < 86400:
            return int(86400 // seconds) if 86400 % seconds == 0 else None
        return {86400: 7, 604800: 52}.get(int(seconds))

    def places(self, times: np.ndarray) -> np.ndarray:
        """(n,) int64: how many steps each time is after the first."""
        number = _number(times, self.unit, self.shift)
        return np.rint((number - number[0]) / self.count).astype(np.int64)

    def at(self, first: np.generic, places: np.ndarray) -> np.ndarray:
        """Times so many steps after the first."""
        if self.unit == "number":
            return np.round(first + places * np.asarray(self.count).astype(np.asarray(first).dtype), _DECIMALS)
        time = np.datetime64(first)  # type: ignore[call-overload]
        if self.unit == "time":
            return np.asarray(time + (places * int(self.count)).astype("m8[us]"))
        if self.unit == "weekday":
            return np.busday_offset(time.astype("M8[D]"), places * int(self.count)).astype(time.dtype)
        months = (time + self.shift).astype("M8[M]")
        rest = time + self.shift - months
        return np.asarray((months + places * int(self.count)).astype(time.dtype) + rest - self.shift)

    def __str__(self) -> str:
        count, unit = self.count, self.unit
        if unit == "number":
            return f"{count:g}"
        if unit == "time":
            seconds = count / 1e6
            unit = next((name for name, size in _UNITS.items() if seconds % size == 0), "second")
            count = seconds / _UNITS[unit]
        return unit if count == 1 else f"{count:g} {unit}s"


def _steps(times: Sequence[np.ndarray]) -> Iterator[Step | None]:
    """Those by every unit that fits."""
    if times[0].dtype.kind != "M":
        yield _step(times, "number")
        return
    every = np.concatenate(list(times))
    for shift in (0 * _DAY, _DAY):
        rest = every + shift - (every + shift).astype("M8[M]")
        if (rest == rest[0]).all():
            yield _step(times, "month", shift)
    found = _step(times, "time")
    if found is not None and not found.missing:
        yield found
    elif (every == every.astype("M8[D]")).all() and np.is_busday(every.astype("M8[D]")).all():
        yield _step(times, "weekday")
    yield found


def _step(times: Sequence[np.ndarray], unit: str, shift: np.timedelta64 = 0 * _DAY) -> Step | None:
    """That of a unit: the commonest distance, of which all others are multiples."""
    numbers = [_number(each, unit, shift) for each in times]
    apart = np.concatenate([np.diff(each) for each in numbers])
    if apart.dtype.kind == "f":
        count = float(np.median(apart))
        span = sum(float(each[-1] - each[0]) for each in numbers if len(each))
        count = span / max(1, round(span / count)) if count > 0 else 0.0
        near = count > 0 and bool((np.abs(apart / count - np.rint(apart / count)) < _NEAR).all())
    else:
        values, often = np.unique(apart, return_counts=True)
        count = values[often.argmax()].item()
        near = count > 0 and bool((apart % count == 0).all())
    if not near:
        return None
    places = int(np.rint(apart / count).sum())
    missing = places - len(apart)
    return None if missing > _SPARSE * places else Step(count, unit, shift, missing)


def changing(times: np.ndarray) -> str:
    """In words, the steps of an item's times that have not one: that of the first of them and that of the last."""
    first = _longest(len(times), lambda n: _even(times[:n]))
    last = _longest(len(times) - first, lambda n: _even(times[-n:]))
    if min(first, last) < _FEW:
        return ""
    ends = plain(times[[first - 1, -last]], times)
    return f"every {Step.of((times[:first],))} up to {ends[0]}, every {Step.of((times[-last:],))} from {ends[1]} on"


def _even(times: np.ndarray) -> bool:
    return len(times) < 3 or ((step := Step.of((times,))) is not None and not step.missing)


def _longest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number that fits, of a property that ends once."""
    low, high = 1, max(1, most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _number(times: np.ndarray, unit: str, shift: np.timedelta64) -> np.ndarray:
    if unit == "number":
        return times if times.dtype.kind != "u" else times.astype(np.int64)
    if unit == "month":
        return (times + shift).astype("M8[M]").astype(np.int64)
    if unit == "weekday":
        return np.busday_count(np.datetime64("1970-01-01"), times.astype("M8[D]"))
    return times.astype("M8[us]").astype(np.int64)


@dataclass(frozen=True)
class Clock:
    """The times of the items of a long table.

    Args:
        name: of the column; "" where rows are only numbered.
        by: the column that names the item, or None.
        times: of every item in order, numbers or datetime64.
        parts: the columns that the times were read from.
        note: what the times are, in words.
        derived: what of a calendar was derived of them.
    """

    name: str
    by: str | None
    times: tuple[np.ndarray, ...]
    parts: tuple[str, ...] = ()
    note: str = ""
    derived: tuple[str, ...] = ()

    @functools.cached_property
    def step(self) -> Step | None:
        """The one between the times of all items; None where there is none."""
        return Step.of(self.times) if self.name else None

    def after(self, item: int, length: int, horizon: int) -> np.ndarray | None:
        """The times of so many values after the first `length` of an item: those that it has, and then the step between them
        goes on; None where there is no one step."""
        times = self.times[item]
        known = times[length:length + horizon]
        if len(known) == horizon:
            return plain(known, times)
        if self.step is None or not len(times):
            return None
        more = self.step.at(times[-1], np.arange(1, horizon - len(known) + 1))
        return plain(np.concatenate([known, more]), times)

    def calendar(self, name: str, item: int, length: int) -> np.ndarray | None:
        """What a calendar says of the first `length` moments of an item: `hour` 0 to 23, `weekday` Mon to Sun, `month` 1 to 12,
        those to come too; None where its times are numbers, or have no one step to go on by."""
        times = self.times[item][:length]
        if len(times) < length:
            more = self.after(item, len(times), length - len(times))
            times = times if more is None else np.concatenate([times, more])
        if times.dtype.kind != "M" or len(times) < length:
            return None
        if name == "month":
            return times.astype("M8[M]").astype(np.int64) % 12 + 1
        if name == "hour":
            return times.astype("M8[h]").astype(np.int64) % 24
        return np.array(CALENDAR["weekday"])[(times.astype("M8[D]").astype(np.int64) + 3) % 7]


def plain(found: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Dates as dates, where none of an item's times has a time of day."""
    coarse = (unit for unit in ("M8[D]", "M8[s]") if times.dtype.kind == "M" and (times == times.astype(unit)).all())
    return found.astype(next(coarse, found.dtype))
