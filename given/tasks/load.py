"""Load: p(columns that go on together), series forecast from one moment after another. Any table with a row a moment.

The last part of every series is held out, and is forecast a season ahead, a day of hours or a week of days, from one moment
after another, each time given all that came before and without learning again. Its score is CRPS, in standard deviations of
what was learned from, averaged over steps, columns and origins; beside it, which share of values 90 % intervals cover. The
trivial baseline is what was a season before, with how far values strayed from that.

Source: Hyndman, Athanasopoulos, Forecasting: principles and practice, 2021 / https://otexts.com/fpp3
Gneiting, Raftery, Strictly proper scoring rules, prediction, and estimation, 2007 / https://doi.org/10.1198/016214506000001437
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Series, infer_table
from given.conditional import quoted
from given.evaluate import crps
from given.families import SeasonalNaive
from given.sources import Columns, Source, end_to_end, items, ragged
from given.sources import read as read_data
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.ways import way

__all__ = ["TRAINING", "baselines", "measure", "model", "parted", "read"]

TRAINING: Mapping[str, Any] = {"held_out": 0}  # by `parted`
_PATHS, _ORIGINS = 100, 64
_PLAIN = 12  # steps ahead of series whose clock knows no season


def read(*paths: Any) -> Columns:
    """Series of numbers of a table, with the clock that says when they were.

    Raises:
        UserError: no table with a row a moment.
    """
    if len(paths) != 1:
        raise UserError(f"load: expected one table, got {len(paths)}")
    data = read_data(paths[0], time=True)
    rows = next(data.batches(1 << 60))
    clock = getattr(data, "clock", None)
    if clock is None or not any(map(ragged, rows.values())):
        raise UserError(f"{paths[0]}: expected a row a moment, with times that rise by one step; name them by "
                        f"{way('given.read(..., time=)', '--time, without --task')}")
    kept = {name: values for name, values in rows.items() if ragged(values) and end_to_end(values)[0].dtype.kind in "iuf"}
    found = Columns(kept)
    found.clock = clock
    return found


def model(data: Source, *, seed: int = 0) -> Model:
    """A model of all series together, nothing of it learned yet; how long a season is stands in its `facts`."""
    return _of(data, {}, seed)


def _of(data: Source, families: Mapping[str, Any], seed: int = 0) -> Model:
    codecs, _ = infer_table(data)
    names = [name for name, codec in codecs.items() if isinstance(codec, Series)]
    left = ", ".join(map(quoted, names))
    found = model_of(f"p({left})", data, families=dict.fromkeys([left], families["all"]) if families else None, seed=seed)
    clock = getattr(data, "clock", None)
    found.facts["season"] = (clock.step.season if clock is not None and clock.step is not None else None) or _PLAIN
    return found


def parted(data: Columns, share: float) -> tuple[Columns, Columns | None]:
    """The first parts of all items, and all of them where the last are held out, with where these begin: their column `first`.

    Raises:
        UserError: an item is too short for that.
    """
    lengths = np.array([len(item) for item in next(iter(data.batches(1 << 60)))[data.names[0]]])
    first = lengths - (lengths * share).astype(int)
    if not share:
        return data, None
    if (first == lengths).any():
        raise UserError(f"fit: a series of {lengths.min()} values is too short to hold out {share:.0%}; pass "
                        f"{way('a larger share', '--held-out 0')}")
    begun = {name: np.concatenate([item[:n] for item, n in zip(data[name], first, strict=True)]) for name in data.names}
    some = Columns({name: items(values, first.tolist()) for name, values in begun.items()})
    some.clock = data.clock
    return some, Columns({**{name: data[name] for name in data.names}, "first": first})


def measure(model: Model, held: Source) -> dict[str, float]:
    """CRPS and coverage of forecasts a season ahead, from moments of the held-out part of every item."""
    rows = next(held.batches(1 << 60))
    names = [name for name in rows if name in model.joint.columns]
    ends = [len(item) - int(n) for item, n in zip(rows[names[0]], rows["first"], strict=True)]
    ahead = min(int(model.facts["season"]), *ends)
    past: dict[str, list[np.ndarray]] = {name: [] for name in names}
    true: dict[str, list[np.ndarray]] = {name: [] for name in names}
    every = max(1, -(-sum(end - ahead + 1 for end in ends) // _ORIGINS))
    for i, n in enumerate(rows["first"]):
        for origin in range(int(n), len(rows[names[0]][i]) - ahead + 1, every):
            for name in names:
                past[name].append(rows[name][i][:origin])
                true[name].append(rows[name][i][origin:origin + ahead])
    begun = {name: items(np.concatenate(each), [len(one) for one in each]) for name, each in past.items()}
    drawn = model.forecast(begun, ahead, n=_PATHS).paths
    losses, inside = [], []
    for name in names:
        before = np.concatenate([item[:n] for item, n in zip(rows[name], rows["first"], strict=True)]).astype(float)
        what, paths = np.stack(true[name]).astype(float), drawn[name]
        losses.append(np.nanmean(crps(what, paths)) / (np.nanstd(before) or 1.0))
        low, high = np.quantile(paths, [0.05, 0.95], axis=0)
        inside.append(np.nanmean(np.where(np.isnan(what), np.nan, (what >= low) & (what <= high))))
    return {f"CRPS, {ahead} ahead": float(np.mean(losses)), "cover 90 %": float(np.mean(inside))}


def baselines(train: Source, held: Source) -> dict[str, dict[str, float]]:
    """What was a season before."""
    season = _of(train, {}).facts["season"]
    shortest = min(len(item) for item in next(train.batches(1 << 60))[train.names[0]])
    naive = _of(train, {"all": partial(SeasonalNaive, period=min(season, shortest - 1))})
    naive.fit(train, held_out=0, progress=False)
    return {f"the value {season} steps before": measure(naive, held)}
