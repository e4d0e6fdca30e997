"""The task load: series of a table forecast from one moment after another."""

import numpy as np
import pytest

import given
from given.app.cli import main
from given.tasks import load
from given.variables import UserError

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A file of hours, with a day in them and a column of words."""
    hours = np.arange("2024-01-01", "2024-01-21", dtype="M8[h]")
    wave = 10 + 3 * np.sin(2 * np.pi * np.arange(len(hours)) / 24)
    path = tmp_path_factory.mktemp("load") / "load.csv"
    given.read(date=hours.astype("M8[s]").astype(str), load=(wave + RNG.normal(size=len(hours))).round(3),
               wind=RNG.normal(size=len(hours)).round(3)).save(str(path))
    return path


def check_origins(table):
    """What is forecast at an origin is what comes after it: a season is known, noise is not."""
    data = load.read(table)
    train, held = load.parted(data, 0.2)
    model = load.model(train)
    model.fit(train, **load.TRAINING, progress=False)
    mine, (beside,) = load.measure(model, held), load.baselines(train, held).values()
    assert model.facts["season"] == 24 and held["first"].tolist() == [384] and len(train["load"][0]) == 384
    assert mine["CRPS, 24 ahead"] < 0.85 * beside["CRPS, 24 ahead"] and abs(mine["cover 90 %"] - 0.9) < 0.12


def test_a_season_ahead_of_every_origin(table):
    check_origins(table)


def test_the_command(table, tmp_path, capsys):
    assert not main(["fit", str(table), "--task", "load", "-o", str(tmp_path / "m.given"), "--json"])
    shown = capsys.readouterr()
    assert "the value 24 steps before: CRPS, 24 ahead" in shown.err and '"formula": "p(load, wind)"' in shown.out


def test_what_is_no_series(tmp_path):
    given.read(a=[1.0, 2.0, 5.0], b=[1.0, 0.0, 2.0]).save(str(tmp_path / "t.csv"))
    with pytest.raises(UserError, match="expected a row a moment, with times that rise by one step"):
        load.read(tmp_path / "t.csv")
