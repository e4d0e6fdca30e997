"""Clock: when the rows of a long table were, and when those to come will be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Clock"]

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Clock:
    """The times of the items of a long table.

    Args:
        name: of the column; "" where rows are only numbered.
        by: the column that names the item, or None.
        times: of every item in order, numbers or datetime64.
    """

    name: str
    by: str | None
    times: tuple[np.ndarray, ...]

    def after(self, item: int, length: int, horizon: int) -> np.ndarray | None:
        """The times of so many values after the first `length` of an item: those that it has, and then the step between them
        goes on; None where there is no one step."""
        times = self.times[item]
        known = times[length:length + horizon]
        if len(known) == horizon:
            return _plain(known, times)
        more = _continued(times, horizon - len(known))
        return None if more is None else _plain(np.concatenate([known, more]), times)


def _continued(times: np.ndarray, count: int) -> np.ndarray | None:
    """So many times more, a step apart; months are a step of their own."""
    if len(times) < 2:
        return None
    steps, number = np.diff(times), np.arange(1, count + 1)
    if times.dtype.kind != "M":
        return times[-1] + number * steps[-1] if np.allclose(steps, steps[-1], rtol=1e-6) else None
    if (steps == steps[-1]).all():
        return np.asarray(times[-1] + number * steps[-1])
    for shift in (0 * _DAY, _DAY):  # the last of a month is the day before the first
        months = (times + shift).astype("M8[M]")
        rest, apart = times + shift - months, np.diff(months)
        if (rest == rest[0]).all() and (apart == apart[-1]).all():
            return np.asarray((months[-1] + number * apart[-1]).astype(times.dtype) + rest[0] - shift)
    return None


def _plain(found: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Dates as dates, where none of an item's times has a time of day."""
    coarse = (unit for unit in ("M8[D]", "M8[s]") if times.dtype.kind == "M" and (times == times.astype(unit)).all())
    return found.astype(next(coarse, found.dtype))
