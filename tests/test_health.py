"""Machines that ran until they failed: what is shown, the life that is left, damage, and the command."""

import json

import numpy as np
import pytest

import given
from given import train
from given.app.cli import main
from given.sources import Columns
from given.tasks import health
from given.variables import UserError


def engine(n, seed):
    """Readings (n, 3) that bend towards failure; the last never moves."""
    rng = np.random.default_rng(seed)
    worn = (np.arange(1, n + 1) / n) ** 4
    return np.stack([600 + 20 * worn + rng.normal(size=n), 30 - 3 * worn + 0.3 * rng.normal(size=n), np.full(n, 518.67)], 1)


def written(path, engines):
    rows = [(f"e{unit}", t + 1, *row) for unit, x in engines.items() for t, row in enumerate(x)]
    names = ("engine", "cycle", "heat", "flow", "plate")
    given.read({name: [row[i] for row in rows] for i, name in enumerate(names)}).save(path)
    return path


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    lengths = np.random.default_rng(0).integers(40, 90, 20)
    return written(tmp_path_factory.mktemp("health") / "engines.csv", {i: engine(n, i) for i, n in enumerate(lengths)})


@pytest.fixture(scope="module")
def learned(lives):
    data = health.read(lives)
    model = health.model(data)
    model.fit(data, steps=150, progress=False, **health.TRAINING | {"held_out": 0})
    return model


def check_spans():
    """Means and rises of spans are those of the readings, a rise that of a line of least squares; a constant is exactly so."""
    x = engine(60, 0)
    found = health.shown(x, 50)
    assert [*found] == ["age", "first_8", "last_2", "last_4", "last_8", "last_16", "last_32", "rise_8", "rise_32"]
    assert np.allclose(found["last_8"][20], x[13:21].mean(0)) and np.allclose(found["last_32"][20], x[:21].mean(0))
    assert np.allclose(found["first_8"][20], x[:8].mean(0)) and np.allclose(found["first_8"][3], x[:4].mean(0))
    line = np.polyfit(np.arange(8), x[13:21], 1)[0]
    assert np.allclose(found["rise_8"][20], 8 * line, atol=1e-8) and np.allclose(found["rise_8"][0], 0)
    assert all((found[name][:, 2] == found[name][0, 2]).all() for name in found if name != "age")


def test_what_is_shown_is_of_the_past():
    check_spans()
    x = engine(60, 0)
    other = x.copy()
    other[40:] += 100
    for name, values in health.shown(x, 50).items():
        assert np.array_equal(values[:40], health.shown(other, 50)[name][:40])


def test_life_counts_down_to_a_cap(lives):
    data = health.read(lives)
    life, unit = data["life"], data["unit"]
    lengths = [int((unit == each).sum()) for each in np.unique(unit)]
    cap = 5 * round(np.median(lengths) / 8)
    assert life.max() == cap and (life[np.flatnonzero(np.append(unit[1:] != unit[:-1], True))] == 0).all()
    assert health.cap_of(health.model(data)) == cap


def check_whole():
    """No machine stands on both sides."""
    data = Columns({"unit": np.repeat(np.arange(30), 20), "life": np.tile(np.arange(20), 30)})
    learned, held = train.split(data, 0.3, 0, together="unit")
    assert learned.n + held.n == 600 and not set(learned["unit"]) & set(held["unit"]) and 60 <= held.n <= 330


def test_machines_are_held_out_whole():
    check_whole()


def test_the_life_left_falls_and_is_sure_at_the_end(learned, tmp_path):
    cut = {0: engine(80, 50)[:20], 1: engine(80, 50)[:70], 2: engine(80, 50)}
    units, drawn = health.remaining(learned, written(tmp_path / "cut.csv", cut), draws=300)
    assert units == ["e0", "e1", "e2"] and drawn.shape == (300, 3)
    means = drawn.mean(0)
    assert means[0] > means[1] > means[2] and abs(means[1] - 10) < 8 and drawn.max() <= health.cap_of(learned)


def check_damage():
    """Damage is near 0 early in a life, of others too, and rises to the end; what never moves is left out."""
    engines = {i: engine(160, i) for i in range(12)}
    found = health.damage(engines, {i: engines[i] for i in range(6)})
    for index in found.values():
        assert np.isnan(index[:20]).all() and np.isfinite(index[20:]).all()
        assert abs(index[22:42].mean()) < 3 and index[-1] > 6


def test_damage_rises_towards_failure():
    check_damage()


def test_scores_of_draws():
    rng = np.random.default_rng(0)
    found = health.judged(np.zeros(4000), rng.normal(size=(400, 4000)))
    assert abs(found["CRPS"] - (2**0.5 - 1) / np.pi**0.5) < 0.01  # of a standard normal at 0
    assert health.judged(np.ones(3), np.ones((10, 3))) == {"RMSE": 0, "CRPS": 0, "in 90 %": 1}


def test_the_command(lives, tmp_path, capsys):
    model = tmp_path / "m.given"
    assert main(["fit", str(lives), "--task", "health", "--steps", "10", "-o", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "held out, this model  RMSE" in shown and "held out, ridge" in shown
    assert main(["health", str(model), str(lives), "--json", "-n", "20"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["unit"] == "e0" and first["low"] <= first["life"] <= first["high"]
    assert main(["health", str(model), str(lives), "--interval", "2"]) == 1
    assert "expected a probability between 0 and 1" in capsys.readouterr().err


@pytest.mark.parametrize("columns, error", [
    ({"unit": ["a"], "cycle": [1]}, r"has 2 columns; expected a machine, a cycle and one sensor at least, in this order$"),
    ({"unit": ["a", "a"], "cycle": [1, 1], "heat": [1.0, 2.0]}, r"row 2: unit a has cycle 1 twice$"),
    ({"unit": ["a", "a"], "cycle": [1, 2], "heat": ["x", "y"]}, r"heat: expected numbers, got .*all others are sensors$"),
    ({"unit": ["a", "a"], "cycle": [1, 2], "heat": [1.0, None]}, r"heat: row 2: has no number; fill it \(given complete\)"),
])
def test_wrong_tables_are_one_line(columns, error, tmp_path):
    path = tmp_path / "t.csv"
    given.read(columns).save(path)
    with pytest.raises(UserError, match=error):
        health.read(path)


def test_a_model_of_something_else_is_named(learned, lives, tmp_path):
    few = {0: engine(60, 0)[:, :2]}
    path = tmp_path / "few.csv"
    given.read({"engine": np.zeros(60, int), "cycle": np.arange(60), "heat": few[0][:, 0], "flow": few[0][:, 1]}).save(path)
    with pytest.raises(UserError, match=r"got 2 sensors; expected the 3 that were learned from"):
        health.remaining(learned, path)
    other = given.model("p(x)", given.read(x=[1.0, 2.0]))
    with pytest.raises(UserError, match=r"is not of the life of machines; expected one of given fit FILE --task health"):
        health.remaining(other, lives)
