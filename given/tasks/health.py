"""Health: p(remaining life | what a machine has shown so far). Any table with a row a cycle of machines that ran until they
failed: a machine, a cycle, and numbers that sensors read.

Life is counted in cycles to a machine's last one, up to a cap, five eighths of the median machine's life to the nearest five:
before that, sensors say little of the end. The cap is an atom, so p(at least so many cycles are left) is a probability of its
own. Of the sensors the conditional reads means and rises over spans of the last cycles, their means over the first ones, and
the machine's age. The family is a layer of units, some dropped while learning, that makes a mixture of normals of them.
Machines are held out whole. The metric is the error of the mean in cycles, and the CRPS; the trivial baselines are the mean
life and ridge regression, each with what it missed.

`damage` asks otherwise, and of no failure at all: how unlikely the last cycles are under what cycles early in life follow on
their past.

Source: Saxena, Goebel, Simon, Eklund, Damage propagation modeling for aircraft engine run-to-failure simulation, 2008 /
https://doi.org/10.1109/PHM.2008.4711414
Heimes, Recurrent neural networks for remaining useful life estimation, 2008 (the cap)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Number
from given.evaluate import crps
from given.families import Gaussian, Regression
from given.nn import MLP
from given.sources import Columns, Source
from given.sources import read as read_data
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "cap_of", "damage", "judged", "machines", "measure", "model", "read",
           "remaining", "shown"]

TRAINING: Mapping[str, Any] = {"batch": 256, "lr": 2e-3}
_ROWS = 10_000  # cycles that are learned from, about
_MEANS, _RISES, _FIRST = (0.04, 0.08, 0.16, 0.32, 0.64), (0.16, 0.64), 0.16  # spans, as shares of the cap
_DRAWS = 200
_EARLY, _SMOOTH, _BEFORE = 0.3, 20, 5  # share of a life that is healthy; cycles of the index, and of the past


def read(*paths: str | os.PathLike[str]) -> Source:
    """A row a cycle: `unit`, `life`, `age` and what was shown until then. Of long tables every second or third cycle, counted
    from the last.

    Raises:
        UserError: no table of a machine, a cycle and sensors, by these columns first.
    """
    each = machines(*paths)
    lives = [len(sensors) for sensors in each.values()]
    cap = max(1, 5 * round(np.median(lives) / 8))
    step = max(1, -(-sum(lives) // _ROWS))
    rows = [_rows(unit, sensors, cap, slice((len(sensors) - 1) % step, None, step)) for unit, sensors in each.items()]
    return Columns({name: np.concatenate([part[name] for part in rows]) for name in rows[0]})


def model(data: Source, *, seed: int = 0, width: int = 64, dropout: float = 0.3) -> Model:
    """A model of the life that is left, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width: of the layer, and of what it reads.
        dropout: share of its units.
    """
    names = [name for name in data.names if name not in ("unit", "life")]
    cap = float(max(batch["life"].max() for batch in data.batches(1 << 20)))
    family = partial(Regression, width=width, net=partial(MLP, hidden=(width,), dropout=dropout))
    return model_of(f"p(life | {', '.join(names)})", data, codecs={"life": Number(atoms=(cap,))}, families={"life": family},
                    seed=seed)


def cap_of(model: Model) -> int:
    """The cycles that life is counted up to.

    Raises:
        UserError: the model is of something else.
    """
    codec = model.joint.columns["life"].codec if "life" in model.joint.columns else None
    if not isinstance(codec, Number) or "age" not in model.joint.columns:
        raise UserError(f"health: {model} is not of the life of machines; expected one of given fit FILE --task health")
    return int(codec.arguments["atoms"][0])


def remaining(model: Model, *paths: str | os.PathLike[str], draws: int = 1000, seed: int = 0) -> tuple[list[Any], np.ndarray]:
    """Every machine of a table, and draws (draws, machines) of the life it has left after its last cycle there.

    Raises:
        UserError: another model, or a table of other sensors.
    """
    cap, each = cap_of(model), machines(*paths)
    names = [name for name in model.joint.columns if name != "life"]
    last = [_rows(unit, sensors, cap, slice(-1, None)) for unit, sensors in each.items()]
    if absent := [name for name in names if name not in last[0]]:
        raise UserError(f"health: {absent[0]}: the model has spans of other cycles; let it learn anew")
    learned, own = model.joint.columns[names[-1]].space.shape, last[0][names[-1]].shape[1:]
    if own != learned:
        raise UserError(f"health: got {own[0]} sensors; expected the {learned[0]} that were learned from, in their order")
    known = {name: np.concatenate([row[name] for row in last]) for name in names}
    return list(each), _lives(model, known, cap, draws, seed)


def measure(model: Model, test: Source) -> dict[str, float]:
    """RMSE of the mean, CRPS, and the share of lives in central intervals of 90 %, over all cycles."""
    rows = next(test.batches(1 << 60))
    known = {name: rows[name] for name in model.joint.columns if name != "life"}
    return judged(np.asarray(rows["life"], dtype=float), _lives(model, known, cap_of(model), _DRAWS, 0))


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The mean life, and ridge regression on all that was shown, each with what it missed."""
    learned, rows = next(train.batches(1 << 60)), next(test.batches(1 << 60))
    life, true = (np.asarray(each["life"], dtype=float) for each in (learned, rows))
    share = (np.arange(_DRAWS) + 0.5) / _DRAWS
    x, at = (np.concatenate([np.asarray(each[name], dtype=float).reshape(each.n, -1) for name in each if name not in
                             ("unit", "life")], 1) for each in (learned, rows))
    scale = np.where(x.std(0) > 0, x.std(0), np.inf)
    x, at = ((each - x.mean(0)) / scale for each in (x, at))
    weights = np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(x.shape[1]), x.T @ (life - life.mean()))
    missed = np.quantile(life - life.mean() - x @ weights, share)[:, None]
    return {"mean life": judged(true, np.broadcast_to(np.quantile(life, share)[:, None], (_DRAWS, len(true)))),
            "ridge": judged(true, (life.mean() + at @ weights + missed).clip(0, life.max()))}


def judged(true: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """RMSE, CRPS and coverage of 90 % of lives (n,), from draws (draws, n)."""
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    return {"RMSE": float(np.sqrt(((drawn.mean(0) - true) ** 2).mean())), "CRPS": float(crps(true, drawn).mean()),
            "in 90 %": float(((low <= true) & (true <= high)).mean())}


def damage(table: Mapping[Any, np.ndarray], healthy: Mapping[Any, np.ndarray] | None = None, *,
           seed: int = 0) -> dict[Any, np.ndarray]:
    """Every machine's index of damage, cycle by cycle: nats by which the last twenty are less likely than early ones are.

        d_t = mean over the last 20 of  -log p(x_t | x_t-5 ... x_t-1, first 20)  less its mean over healthy cycles

    p is a linear-Gaussian autoregression of all sensors, learned from the first 30 % of the lives that are healthy. NaN until
    there is a past.

    Args:
        table: of `machines`: machine -> (cycles, sensors).
        healthy: machines to learn from; the table's own by default.
    """
    early = {unit: x[:max(_SMOOTH + 2, round(_EARLY * len(x)))] for unit, x in (healthy or table).items()}
    learned = _followed(early)
    moving = np.flatnonzero(learned["now"].std(0) > 0)
    if not len(moving):
        raise UserError("health: no sensor moves early in life, so there is nothing to follow")
    data = Columns({name: values[:, moving] for name, values in learned.items()})
    judge = model_of("p(now | before, first)", data, families={"now": Gaussian}, seed=seed)
    judge.fit(data, held_out=0, seed=seed, progress=False)
    usual = -judge.log_prob(data).mean()
    found = {}
    for unit, x in table.items():
        rows = Columns({name: values[:, moving] for name, values in _followed({unit: x}).items()})
        index = np.full(len(x), np.nan)
        if rows.n:
            total = np.concatenate([[0.0], np.cumsum(-judge.log_prob(rows) - usual)])
            first = np.maximum(0, np.arange(1, rows.n + 1) - _SMOOTH)
            index[len(x) - rows.n:] = (total[1:] - total[first]) / (np.arange(1, rows.n + 1) - first)
        found[unit] = index
    return found


def machines(*paths: str | os.PathLike[str]) -> dict[Any, np.ndarray]:
    """Every machine's readings (cycles, sensors), by cycle, in the order of their first rows.

    Args:
        paths: one table, whose first column names the machine and whose second the cycle; all others are sensors. Columns
            of a `.txt` stand between spaces.

    Raises:
        UserError: another number of paths, too few columns, a cell that is no number, or a cycle that a machine has twice.
    """
    if len(paths) != 1:
        raise UserError(f"health: expected one table, got {len(paths)} paths")
    columns = _columns(paths[0])
    names = list(columns)
    if len(names) < 3:
        raise UserError(f"{paths[0]}: has {len(names)} columns; expected a machine, a cycle and one sensor at least, in this "
                        "order")
    for name in names[1:]:
        if columns[name].dtype.kind not in "biuf":
            raise UserError(f"{paths[0]}: {name}: expected numbers, got {columns[name].dtype}; the first column names the "
                            "machine, the second the cycle, and all others are sensors")
        if (wrong := ~np.isfinite(columns[name].astype(float))).any():
            raise UserError(f"{paths[0]}: {name}: row {int(wrong.argmax()) + 1}: has no number; fill it (given complete), or "
                            "leave the column out")
    cycle = columns[names[1]].astype(float)
    units, first, which = np.unique(columns[names[0]], return_index=True, return_inverse=True)
    order = np.lexsort((cycle, which))
    twice = (np.diff(cycle[order]) == 0) & (np.diff(which[order]) == 0)
    if twice.any():
        row = order[int(twice.argmax()) + 1]
        raise UserError(f"{paths[0]}: row {row + 1}: {names[0]} {columns[names[0]][row]} has {names[1]} {cycle[row]:g} twice")
    sensors = np.stack([columns[name].astype(float) for name in names[2:]], 1)[order]
    parts = np.split(sensors, np.flatnonzero(np.diff(which[order])) + 1)
    return {units[i].item(): parts[i] for i in np.argsort(first)}


def shown(sensors: np.ndarray, cap: int) -> dict[str, np.ndarray]:
    """What a machine has shown until every cycle: its `age` (cycles,), and (cycles, sensors) of means and rises over the last
    cycles, and means over the first ones.

    Args:
        sensors: (cycles, sensors).
        cap: of life, that spans are shares of.
    """
    age, base = np.arange(1, len(sensors) + 1), sensors[:1]
    moved = sensors - base  # exactly 0 where a sensor is constant, whose rounding would look like readings
    upto, moment = (np.concatenate([0 * base, each.cumsum(0)]) for each in (moved, moved * age[:, None]))
    first = np.minimum(age, _span(_FIRST, cap))
    found = {"age": age.astype(float), f"first_{_span(_FIRST, cap)}": base + upto[first] / first[:, None]}
    for span in dict.fromkeys(_span(share, cap) for share in _MEANS):
        since = np.maximum(0, age - span)
        found[f"last_{span}"] = base + (upto[age] - upto[since]) / (age - since)[:, None]
    for span in dict.fromkeys(_span(share, cap) for share in _RISES):
        since = np.maximum(0, age - span)
        many = (age - since)[:, None].astype(float)
        middle = (age + since + 1)[:, None] / 2
        lean = moment[age] - moment[since] - middle * (upto[age] - upto[since])
        found[f"rise_{span}"] = np.where(many > 1, 12 * lean / np.maximum(many**2 - 1, 1), 0.0)
    return found


def _span(share: float, cap: int) -> int:
    return max(1, round(share * cap))


def _rows(unit: Any, sensors: np.ndarray, cap: int, some: slice) -> dict[str, np.ndarray]:
    """Some of a machine's cycles, as columns."""
    n = len(sensors)
    every = {"unit": np.repeat(np.asarray(unit), n), "life": np.minimum(cap, np.arange(n)[::-1]), **shown(sensors, cap)}
    return {name: values[some] for name, values in every.items()}


def _columns(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    if not os.fspath(path).endswith(".txt"):
        rows = next(read_data(path).batches(1 << 60))
        return {name: np.asarray(rows[name]) for name in rows}
    try:
        table = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}; expected numbers between spaces, a row a cycle") from None
    return {f"column_{i + 1}": values for i, values in enumerate(table.T)}


def _lives(model: Model, known: Mapping[str, np.ndarray], cap: int, draws: int, seed: int) -> np.ndarray:
    """Draws (draws, n) of the life left."""
    return np.asarray(model.given(dict(known)).sample(draws, seed=seed)["life"], dtype=float).clip(0, cap)


def _followed(table: Mapping[Any, np.ndarray]) -> dict[str, np.ndarray]:
    """Of all cycles with a past: their readings, the means of the five before, and of the machine's first twenty."""
    parts = [
        (x[_SMOOTH:], np.stack([x[_SMOOTH - i:len(x) - i] for i in range(1, _BEFORE + 1)]).mean(0),
         np.broadcast_to(x[:_SMOOTH].mean(0), x[_SMOOTH:].shape)) for x in table.values()]
    return {name: np.concatenate(each) for name, each in zip(("now", "before", "first"), zip(*parts, strict=True), strict=True)}
