"""Choices among things: the same in whatever order these come, learned from what is said, and read from bad tables."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from test_laws import learned

import given
from given.app.cli import main
from given.tasks import grounded
from given.testing import conditions
from given.variables import Observed, UserError, reordered

QUICK = {"held_out": 0, "progress": False}


def table(n=400, seed=0):
    """Three dots each, of which one is named by its colour."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        colours = [str(c) for c in rng.permutation(["red", "blue", "green"])]
        dots = [{"colour": colour, "x": float(rng.uniform())} for colour in colours]
        choice = int(rng.integers(3))
        name = colours[choice]
        rows.append({"dots": dots, "dialogue": f"me take the {name} one", "choice": choice, "reply": name})
    return rows


def columns(rows, *names):
    found = {name: np.empty(len(rows), dtype=object) for name in names}
    for name in names:
        found[name][:] = [row[name] for row in rows]
    return given.sources.Columns(found)


def check_any_order():
    """A choice has the probability of the item that it is, wherever that stands; and all of a set have one together."""
    pointer = learned("Pointer")
    y = conditions(pointer, 6)
    space = pointer.parents[1].space
    with torch.no_grad():
        law = pointer(y)
        x = law.sample(seed=3)
        turned = reordered(y["items"], torch.tensor([[1, 0]]).expand(6, 2), space)
        two = (y["items"].tensor[:, 2] != space.end) & y["items"].valid[:, 2]
        assert bool(two.any()), "no set has two items"
        other = pointer(Observed({**y, "items": turned}, 6))
        assert torch.allclose(law.log_prob(x)[two], other.log_prob(x)[two], atol=1e-5), "the order of items moves a choice"
    one = (y["items"].tensor[:, 2] == space.end) & (y["items"].tensor[:, 0] != space.end)
    assert bool(one.any()) and torch.allclose(law.log_prob(x)[one], torch.zeros(1).double()), "one item has less than all"


def test_the_order_of_items_moves_no_choice():
    check_any_order()


def test_what_is_meant_is_found_and_said(tmp_path, capsys):
    path = tmp_path / "dots.jsonl"
    path.write_text("\n".join(json.dumps({k: v for k, v in row.items() if k != "reply"}) for row in table()))
    data = grounded.read(given.read(path))
    model = grounded.model(data, width=16, layers=1, dropout=0.0)
    model.fit(data, steps=150, **{**grounded.TRAINING, **QUICK, "lr": 1e-2})
    assert str(model) == "p(choice | dots, dialogue)"
    rows = data.rows(slice(20))
    assert grounded.measure(model, rows)["right"] > 0.9
    beside = grounded.baselines(data, rows)
    assert beside["at random"]["right"] == pytest.approx(1 / 3) and beside[next(name for name in beside if " x" in name)]
    found = grounded.probabilities(model, rows)
    assert np.allclose(found.sum(1), 1, atol=1e-6)
    assert (found.argmax(1) == grounded.chosen(model, rows)).all()
    model.save(tmp_path / "m.given")
    assert np.allclose(grounded.probabilities(given.load(tmp_path / "m.given"), rows.rows(slice(4))), found[:4], atol=1e-6)
    assert main(["fit", str(path), "--task", "grounded", "--steps", "2", "-o", str(tmp_path / "n.given")]) == 0
    assert "at random" in capsys.readouterr().err


def test_replies_are_scored_beside_other_things():
    data = grounded.read(columns(table(64), "dots", "dialogue", "reply", "choice"))
    model = grounded.model(data, width=8, layers=1)
    model.fit(data, steps=2, **{**grounded.TRAINING, **QUICK})
    assert str(model) == "p(reply | dots, dialogue) p(choice | dots, dialogue, reply)"
    found = grounded.measure(model, data)
    assert set(found) == {"right", "perplexity", "given other things"} and found["perplexity"] > 1


def test_what_is_meant_is_summed_out_of_replies():
    data = columns(table(24), "dots", "reply")
    marked = grounded.read(given.sources.Columns({"dots": grounded.marked(data["dots"], [0] * 24), "reply": data["reply"]}))
    model = grounded.model(marked, width=8, layers=1)
    model.fit(marked, steps=2, **{**grounded.TRAINING, **QUICK})
    each = [grounded.marked(data["dots"], [k] * 24) for k in range(3)]
    known = np.stack([model.given(dots=dots).log_prob(reply=data["reply"]) for dots in each])
    nats = -np.logaddexp.reduce(known - np.log(3))
    assert np.ptp(known, 0).min() > 1e-6, "what is meant moves no reply"
    for dots in each:  # whatever is marked
        found = grounded.perplexity(model, {"dots": dots, "reply": data["reply"]})
        assert found == pytest.approx(np.exp(nats.sum() / 48), rel=1e-4)  # a word and the end, each


@pytest.mark.parametrize(("change", "said"), [
    ({"choice": 3}, "choice, row 1: got 3, and its set has 3 things; expected the place of one, from 0 to 2, or one of them"),
    ({"choice": {"colour": "black", "x": 0.5}}, "choice, row 1: got"),
    ({"choice": None}, "choice, row 1: got None"),
    ({"dots": []}, "dots, row 1: expected one thing or more"),
])
def test_a_choice_outside_its_set_is_said_in_a_line(change, said):
    rows = table(3)
    rows[1].update(change)
    with pytest.raises(UserError) as error:
        grounded.read(columns(rows, "dots", "dialogue", "choice"))
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


def test_other_tables_are_said_in_a_line():
    with pytest.raises(UserError, match="expected one column of sets"):
        grounded.read(given.read({"dialogue": ["a", "b"], "choice": [0, 1]}))
    with pytest.raises(UserError, match="expected a set of things, text called dialogue"):
        grounded.read(columns(table(3), "dots", "dialogue"))


def test_the_row_of_a_choice_in_words_is_named_and_the_column_of_a_thing_that_lacks_a_field(tmp_path):
    rows = table(4)
    for i, row in enumerate(rows):
        row["choice"] = "red" if i == 2 else 0
    lines = [json.dumps({k: row[k] for k in ("dots", "dialogue", "choice")}) for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"choice, row 2: got 'red', and its set has \d things"):
        grounded.read(given.read(tmp_path / "a.jsonl"))
    del (rows := table(4))[1]["dots"][1]["x"]
    with pytest.raises(UserError, match=r"^dots, row 1: item 1: has fields .*; expected "):
        grounded.model(grounded.read(columns(rows, "dots", "dialogue", "choice")))
