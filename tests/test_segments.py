"""Segments: kinds of rows that a table does not name are found, named by what tells them, and written as a column."""

import numpy as np
import pytest

import given
from given.app.cli import main
from given.sources import Columns
from given.tasks import segments
from given.variables import UserError


def customers(n, seed=0):
    """Two kinds, told apart by age and spending, less so by city."""
    rng = np.random.default_rng(seed)
    old = rng.random(n) < 0.3
    city = np.where(rng.random(n) < np.where(old, 0.7, 0.3), "Rome", "Oslo")
    return Columns({"age": rng.normal(np.where(old, 60, 30), 5).round(), "city": city,
                    "spend": np.exp(rng.normal(np.where(old, 6, 4), 0.4)).round(2)}), old


def check_found():
    """The kinds are found, and new rows are likelier by them than by one segment."""
    (data, old), new = customers(300), customers(300, 1)[0]
    model = segments.model(data, segments=2)
    model.fit(data, held_out=0, progress=False)
    assert segments.loss(model, new) < -segments.baselines(data, new)["one segment"]["nats/row"] - 0.5
    found = segments.assign(model, data)["segment"]
    assert max((found == 1 + old).mean(), (found == 2 - old).mean()) > 0.98
    shown = segments.prototypes(model, data)
    assert sorted(shown) == [1, 2] and all(text.startswith("age ") and "spend" in text for text in shown.values())


def test_kinds_are_found():
    check_found()


def test_the_command(tmp_path, capsys):
    customers(200)[0].save(tmp_path / "c.csv")
    assert main(["fit", str(tmp_path / "c.csv"), "--task", "segments", "--cpu-seconds", "5", "-o", str(tmp_path / "m")]) == 0
    out, err = capsys.readouterr()
    assert "one segment: nats/row" in err and "by the least loss of held-out rows" in out
    assert main(["segments", str(tmp_path / "m"), str(tmp_path / "c.csv"), "--assign", str(tmp_path / "with.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "segment,share,telling,prototype" and "spend " in lines[1] and "age " in lines[1]
    assert given.read(tmp_path / "with.csv").names == ("age", "city", "spend", "segment", "p(segment)")


def test_wrong_wishes_are_one_line():
    with pytest.raises(UserError, match="a column is called segment, as what is looked for"):
        segments.read({"segment": [1, 2], "a": [1.0, 2.0]})
    model = given.model("p(a)", {"a": [1.0, 2.0, 5.0]})
    with pytest.raises(UserError, match="has no segment; expected a model of given fit DATA --task segments"):
        segments.assign(model, {"a": [1.0]})
