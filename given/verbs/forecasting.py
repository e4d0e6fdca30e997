"""Forecasting: joint paths of what comes after the end of every series.

It is the query `given(series=prefix(...))`, of as much of a series' end as leaves room for what is to come within a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Series
from given.distributions import Intractable
from given.evaluate.charts import fans
from given.infer import Rows, prefix
from given.joint import Joint
from given.sources import Clock, Columns, joined, read
from given.sources.clock import plain
from given.sources.kinds import items as as_items
from given.variables import UserError, Variable
from given.verbs.checks import itemised, items, whole_seed
from given.verbs.describing import Describing
from given.verbs.holes import present
from given.verbs.query import Query
from given.ways import way

__all__ = ["Forecast", "Forecasting"]

_DECIMALS = 10  # of a summary
_PAST = 3  # horizons of the past that a chart shows


@dataclass(frozen=True)
class Forecast:
    """What comes after the end of series.

    Args:
        paths: series -> draws (n, items, horizon).
        past: series -> items (items,), each (length,), as far as they are known.
        names: of the items (items,), and the column that names them.
        clock: when values were, or None.
        notes: what is to be known of it, a line each.
    """

    paths: Mapping[str, np.ndarray]
    past: Mapping[str, np.ndarray]
    names: tuple[str, np.ndarray]
    clock: Clock | None
    notes: tuple[str, ...] = ()

    @property
    def _shape(self) -> tuple[int, int, int]:
        n, rows, horizon = next(iter(self.paths.values())).shape
        return n, rows, horizon

    def _places(self) -> dict[str, np.ndarray]:
        """Item and time of every value to come: (items, horizon)."""
        _, rows, horizon = self._shape
        lengths = [len(item) for item in next(iter(self.past.values()))]
        times = [None if self.clock is None or not self.clock.name else self.clock.after(i, lengths[i], horizon)
                 for i in range(rows)]
        found = {self.names[0]: np.repeat(self.names[1][:, None], horizon, 1)}
        if all(each is not None for each in times) and self.clock is not None:
            return found | {self.clock.name: np.stack([each for each in times if each is not None])}
        return found | {"step": np.tile(np.arange(1, horizon + 1), (rows, 1))}

    def table(self) -> Columns:
        """The paths as a long table: item, time, the path's number, and a column a series."""
        n, rows, horizon = self._shape
        places = {name: np.tile(each.ravel(), n) for name, each in self._places().items()}
        number = np.repeat(np.arange(1, n + 1), rows * horizon)
        return Columns({**places, "path": number, **{name: each.ravel() for name, each in self.paths.items()}})

    @property
    def words(self) -> list[str]:
        """The series that hold no numbers, which `summary` and `chart` leave out."""
        return [name for name, paths in _apart(self.paths).items() if paths.dtype == object]

    def summary(self, *, mean: bool = True, interval: float | None = None) -> Columns:
        """Mean and central interval of every number to come, as a long table.

        Args:
            mean: whether there is a column `mean(series)`.
            interval: the probability that lies between its quantiles, columns such as `q0.05(series)`.
        """
        levels = [] if interval is None else [round((1 - interval) / 2, 12), round((1 + interval) / 2, 12)]
        if interval is not None and not 0 < interval < 1:
            raise UserError(f"forecast: an interval of {interval:g}; expected a probability between 0 and 1, as 0.9")
        found = {name: each.ravel() for name, each in self._places().items()}
        for name, paths in _apart(self.paths).items():
            if mean and paths.dtype != object:
                found[f"mean({name})"] = paths.mean(0).ravel().round(_DECIMALS)
            for level in levels if paths.dtype != object else ():
                found[f"q{level:.6g}({name})"] = np.quantile(paths, level, axis=0).ravel().round(_DECIMALS)
        return Columns(found)

    def chart(self, item: int = 0) -> str:
        """A fan chart of every series of an item, as SVG: its end, the median, and intervals of 50 and 90 %."""
        horizon, drawn = self._shape[2], list[tuple[np.ndarray, np.ndarray, str]]()
        past = _apart(self.past)
        for name, paths in _apart(self.paths).items():
            if paths.dtype == object:
                continue
            bands = np.quantile(paths[:, item], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
            title = name if len(self.names[1]) == 1 else f"{name}, {self.names[1][item]}"
            drawn.append((np.asarray(past[name][item])[-_PAST * horizon:], bands, title))
        return fans(drawn)


def _apart(series: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Series of complex numbers as two, of their real and their imaginary parts."""
    found = dict[str, np.ndarray]()
    for name, values in series.items():
        each = [np.asarray(item) for item in values]
        if each[0].dtype.kind != "c":
            found[name] = values
        else:
            for part, take in (("real", np.real), ("imag", np.imag)):
                found[f"{name}.{part}"] = (take(values) if values.dtype.kind == "c" else
                                           as_items(np.concatenate(list(map(take, each))), list(map(len, each))))
    return found


class Forecasting(Describing):
    """What a model says of what is to come. Abstract: `Model`."""

    def forecast(self, data: Any, horizon: int, *, n: int = 100, future: Any = None, seed: int | None = 0) -> Forecast:
        """Joint paths of what comes after the end of every item's series.

        Args:
            data: anything `read` takes: series, where values at the end that are missing are to come; what is known of then,
                such as a calendar, goes on past them.
            horizon: how many values.
            n: paths an item.
            future: the rows to come of what is known of them, as anything `read` takes, where data has them not.
            seed: of the draws.

        Raises:
            UserError: no horizon, no series, a condition that ends early, or no room for the horizon.
        """
        self._check_fitted()
        if not isinstance(horizon, int | np.integer) or isinstance(horizon, bool) or horizon < 1:
            raise UserError(f"forecast: horizon={horizon!r}; expected a whole number of values to come, from 1")
        rows = _read(self, data)
        targets, beside = _series(self.joint)
        if absent := [name for name in (*targets, *self.joint.conditions) if name not in rows]:
            raise UserError(f"forecast: no column {absent[0]!r} in the data, which {self.joint} goes on from; there are "
                            f"{', '.join(rows.names)}")
        past = {name: _known(rows, self.joint.columns[name]) for name in targets}
        lengths = _lengths(past)
        following = None if future is None else _following(rows, _read(self, future), lengths)
        along = {name: _reaching(name, rows, following, lengths, int(horizon)) for name in beside}
        draw = partial(self._paths, rows, past, along, int(horizon), n, seed)
        reach, notes = np.minimum(lengths, _kept(self.joint, int(horizon))), list[str]()
        try:
            found = draw(reach)
        except Intractable:
            since = np.min([[len(item) - _last_hole(item) for item in items] for items in past.values()], axis=0)
            if (since >= reach).all():
                raise
            found, cut = draw(np.minimum(reach, since)), int((since < reach).sum())
            notes.append(f"{', '.join(targets)}: what stands before the last hole is not read, of {cut} of {rows.n} series; "
                         "StateSpace reads it")
        if rows.clock is not None and rows.clock.name and rows.clock.step is None:
            notes.append(f"{rows.clock.name}: its times have no one step, so values to come are numbered")
        return Forecast(found, past, _names(rows), rows.clock, tuple(notes))

    def _paths(self, rows: Columns, past: Mapping[str, np.ndarray], along: Mapping[str, list[np.ndarray]], horizon: int, n: int,
               seed: int | None, reach: np.ndarray) -> dict[str, np.ndarray]:
        """Draws (n, items, horizon) of every series, of which so many values before are read."""
        lengths = np.array([len(item) for item in next(iter(past.values()))])
        found = {name: np.empty((n, rows.n, horizon), dtype=_dtype(series)) for name, series in past.items()}
        for kept in np.unique(reach):
            some = np.flatnonzero(reach == kept)
            observed: dict[str, Any] = {
                name: prefix(np.stack([past[name][i][lengths[i] - kept:] for i in some])) for name in past if kept}
            observed |= {name: np.stack([each[i][lengths[i] - kept:lengths[i] + horizon] for i in some])
                         for name, each in along.items()}
            observed |= {name: Rows(rows[name][some]) for name in self.joint.conditions if name not in along}
            query = Query(self.joint, observed, {}, n=len(some))
            drawn = query.sample(n, columns=list(past), seed=whole_seed(seed), length=int(kept + horizon))
            for name in past:
                found[name][:, some] = drawn[name].reshape(n, len(some), -1)[..., kept:]
        return found

    def _check_fitted(self) -> None:
        """Abstract: of `Model`."""
        raise NotImplementedError


def _read(model: Describing, data: Any) -> Columns:
    source = items(model.joint, data) if itemised(data, model.cells) else read(data, learned=model.cells)
    if isinstance(source, Columns):
        return source
    return joined(list(source.batches(1 << 16)))


def _series(joint: Joint) -> tuple[list[str], list[str]]:
    """The series to go on with, and the conditions along their axis.

    Raises:
        UserError: there are none.
    """
    along = [name for name, v in joint.columns.items() if v.codec.along is not None and v.codec.item_axes == 1]
    targets = [name for name in along if name not in joint.conditions and name not in joint.latents]
    if not targets:
        raise UserError(f"forecast: {joint} has no series to go on with; learn from a table with "
                        f"{way('by= and time=', '--by and --time')}, or from lists of values")
    return targets, [name for name in along if name in joint.conditions]


def _known(rows: Columns, variable: Variable) -> np.ndarray:
    """Series (items,) without what is missing at their ends, float64, complex128, or words as they are; with what is missing
    within them only where it is unknown.

    Raises:
        UserError: holes before, or nothing at all.
    """
    found, name, codec = list[np.ndarray](), variable.name, variable.codec
    assert isinstance(codec, Series)
    unknown = codec.of.arguments.get("missing") == "unknown"
    for row, item in enumerate(rows[name]):
        values = np.zeros(0) if item is None else np.asarray(item)
        there = present(values)
        length = int(there.nonzero()[0][-1]) + 1 if there.any() else 0
        if not unknown and not there[:length].all():
            at = int((~there[:length]).nonzero()[0][0])
            out = way("fit a model to this data", "learn from this data, as given fit DATA does")
            raise UserError(f"{name}, {_when(rows, row, at)}: is missing; expected series without holes before what is to "
                            f"come, as those learned from; fill it, or {out}: that model reads its holes")
        if not length:
            raise UserError("has no value to go on from; expected at least one", row).at(name)
        known = values[:length]
        try:
            found.append(codec.of.raw_of(codec.of.numbers(known)))
        except UserError as error:
            if not all(isinstance(value, str) for value in known.tolist()):
                raise error.at(name) from None
            found.append(known)  # words
    return as_items(np.concatenate(found), [len(item) for item in found])


def _dtype(series: np.ndarray) -> np.dtype[Any]:
    """What draws of a series are: numbers as those known are, or words."""
    first = np.asarray(series[0])
    return first.dtype if first.dtype.kind in "fc" else np.dtype(object)


def _last_hole(item: np.ndarray) -> int:
    """The number of values up to the last one that is missing."""
    holes = np.flatnonzero(~present(item))
    return int(holes[-1]) + 1 if len(holes) else 0


def _lengths(past: Mapping[str, np.ndarray]) -> np.ndarray:
    """(items,) how long the series of every item are.

    Raises:
        UserError: one of them ends before another.
    """
    one, *others = past
    lengths = np.array([len(item) for item in past[one]])
    for name in others:
        each = np.array([len(item) for item in past[name]])
        if len(odd := np.flatnonzero(each != lengths)):
            i = int(odd[0])
            raise UserError(f"ends after {each[i]} values where {one} ends after {lengths[i]}; expected series that end "
                            "together", i).at(name)
    return lengths


def _following(rows: Columns, future: Columns, lengths: np.ndarray) -> dict[str, list[np.ndarray]]:
    """The rows to come of every item of a table, column by column.

    Raises:
        UserError: an item has none, or they do not begin where its series end.
    """
    by, said = None if rows.clock is None else rows.clock.by, way("future=", "--future")
    if by is None and future.n != rows.n:
        raise UserError(f"forecast: {said} has {future.n} items, and the data {rows.n}; expected as many")
    at, names = list(range(rows.n)), rows[by].tolist() if by is not None else []
    if by is not None:
        there = future[by].tolist() if by in future else []
        if absent := [name for name in names if name not in there]:
            raise UserError(f"forecast: {said} has no rows of {by} {absent[0]}; expected some of each item")
        at = [there.index(name) for name in names]
    if rows.clock is not None and future.clock is not None and rows.clock.step is not None:
        for i, k in enumerate(at):
            first, due = future.clock.times[k][:1], rows.clock.after(i, int(lengths[i]), 1)
            if due is not None and (first != due).any():
                item = f" for {by} {names[i]}" if by else ""
                raise UserError(f"forecast: {said} begins at {first[0]}{item}; expected {due[0]}, the first after the series")
    return {name: [np.asarray(future[name][k]) for k in at] for name in future}


def _reaching(name: str, rows: Columns, following: Mapping[str, list[np.ndarray]] | None, lengths: np.ndarray,
              horizon: int) -> list[np.ndarray]:
    """A condition along the axis, as far as the horizon of every item: derived of its times, or from the rows that the data has
    and those to come.

    Raises:
        UserError: it ends early.
    """
    found, clock = list[np.ndarray](), rows.clock
    for row, item in enumerate(rows[name]):
        values, end = np.asarray(item), int(lengths[row])
        if clock is not None and name in clock.derived:
            derived = clock.calendar(name, row, end + horizon)
            values = values if derived is None else derived
        elif following is not None and name in following:
            values = np.concatenate([values[:end], following[name][row]])
        values = values[:end + horizon]
        there = int(present(values)[end:].sum())
        if there < horizon:
            raise UserError(f"ends early: {there} values after the end of the series; expected {horizon}, as many as are to "
                            f"come; give rows of them in the data, or by {way('future=', '--future')}", row).at(name)
        found.append(values)
    return found


def _kept(joint: Joint, horizon: int) -> int:
    """How many values before are read: as many as leave room in a window, or where that would be fewer than a window that has
    moved on reads, these.

    Raises:
        UserError: there is no room.
    """
    axis = next(v.codec.along for v in joint.columns.values() if v.codec.along is not None)
    if axis.stride is None and horizon >= axis.size:
        raise UserError(f"forecast: a horizon of {horizon}, and the model's series hold {axis.size} values; expected fewer, or "
                        "a model of longer series")
    return max(axis.size - horizon, 0 if axis.stride is None else max(1, axis.size - axis.stride))


def _when(rows: Columns, row: int, at: int) -> str:
    """Which value of which item, in words: by its name and its time, where these are known."""
    by, names = _names(rows)
    clock, item = rows.clock, f"{by} {names[row]}"
    if clock is None or not clock.name:
        return f"{item}, value {at}"
    times = clock.times[row]
    return f"{item}, {clock.name} {plain(times[at:at + 1], times)[0]}"


def _names(rows: Columns) -> tuple[str, np.ndarray]:
    by = None if rows.clock is None else rows.clock.by
    return ("item", np.arange(rows.n)) if by is None else (by, rows[by])


