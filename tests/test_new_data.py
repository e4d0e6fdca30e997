"""Rows of new data: what was not learned is scored with the mass kept for it, and is the least probable."""

from __future__ import annotations

import math

import numpy as np
import pytest

import given
from given import families
from given.app.cli import main

NEW = -53 * math.log(2)
N = 300


def rows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"kind": rng.choice(["a", "b"], N), "age": rng.integers(20, 61, N), "x": rng.normal(size=N)}


def learned(formula: str | None, **families_of: object) -> given.Model:
    model = given.model(formula, rows(), families=families_of or None)
    model.fit(rows(), steps=20, progress=False)
    return model


@pytest.mark.parametrize("formula", [None, "p(kind) p(age | kind) p(x | kind)", "p(x | kind)", "p(kind | x)", "p(x | age)",
                                     "p(age, x | kind)", "p(kind, age)"])
def test_rows_with_new_values_are_finite_and_come_first(formula):
    model, data = learned(formula), rows()
    extra = {"kind": ["c", "a", "a"], "age": [30, 17, 30], "x": [0.0, 0.0, np.nan]}
    scored = model.score({name: np.concatenate([data[name].astype(object), np.array(extra[name], dtype=object)])
                          for name in model.joint.columns})
    new = sum(scored.new.values(), np.zeros(N + 3, dtype=int))
    assert np.isfinite(scored.items).all()
    assert set(np.argsort(scored.items)[:int((new > 0).sum())]) == set(np.flatnonzero(new))
    assert np.array_equal(scored.items[:N], model.log_prob({name: data[name] for name in model.joint.columns}))
    assert sum(map(np.sum, scored.new.values())) == len(model.joint.columns)


def test_a_new_value_is_summed_out_and_the_chain_rule_holds():
    model = learned("p(kind) p(age | kind) p(x | kind)")
    new = model.log_prob({"kind": ["c"], "age": [30], "x": [0.5]})
    assert new == pytest.approx(NEW + model.given().log_prob(age=30, x=0.5))
    hole = model.log_prob({"kind": ["a"], "age": [17], "x": [0.5]})
    assert hole == pytest.approx(NEW + model.given().log_prob(kind="a", x=0.5))


def test_mass_is_one_with_the_new_value_and_the_baseline_keeps_as_much():
    model = learned("p(kind) p(age | kind) p(x | kind)")
    for some in (model, model.baseline(rows())[1]):
        alone = given.Model(next(f for f in some.joint if f.x.name == "kind"))
        assert np.exp(alone.log_prob(kind=["a", "b", "zzz"])).sum() == pytest.approx(1, abs=1e-6)
        assert alone.log_prob(kind=["zzz"])[0] == pytest.approx(NEW)


def test_a_net_of_one_order_reads_another_value_in_place_of_a_new_one():
    model = learned("p(kind, age)", **{"kind, age": families.Autoregressive})
    assert NEW - 20 < model.log_prob({"kind": ["c"], "age": [30]})[0] < NEW


@pytest.mark.parametrize("neighbour", ["a", "b"])
def test_what_stands_for_a_new_value_does_not_depend_on_other_rows(neighbour):
    model = learned("p(x | kind)")
    alone = model.log_prob({"kind": ["c"], "x": [0.5]})
    assert model.log_prob({"kind": [neighbour, "c"], "x": [0.5, 0.5]})[1:] == pytest.approx(alone)


def test_new_characters_of_a_text_are_scored_and_counted():
    data = {"text": ["the cat sat", "a dog ran", "the dog sat"] * 40}
    model = given.model("p(text)", data, codecs={"text": given.codecs.Text()}, families={"text": families.NGram})
    model.fit(data, steps=5, progress=False)
    scored = model.score(text=["the cat", "the cßt", "ßß", None])
    assert scored.new["text"].tolist() == [0, 1, 2, 1]
    assert scored.items[0] > NEW > scored.items[1] > scored.items[2]
    assert scored.items[3] == pytest.approx(NEW)
    long = given.model("p(text)", data, codecs={"text": given.codecs.Text(window=6)}, families={"text": families.NGram})
    long.fit(data, steps=5, progress=False)
    scored = long.score(text=["the cat", "the cßt", "", None])
    assert scored.new["text"].tolist() == [0, 1, 1, 1] and scored.items[1:].max() < NEW < scored.items[0]


def test_a_text_longer_than_there_is_room_for_is_a_new_value():
    words = {"text": np.array(["anna", "bob", "carla", "dana"] * 20, dtype=object)}
    model = given.model("p(text)", words, codecs={"text": given.codecs.Text()}, families={"text": families.NGram})
    model.fit(words)
    scored = model.score(text=np.array(["anna", "a" * 99, "bob", "b" * 500], dtype=object))
    assert scored.new["text"].tolist() == [0, 1, 0, 1]
    assert scored.items[[1, 3]] == pytest.approx([NEW, NEW])
    assert scored.items[[0, 2]] == pytest.approx(model.log_prob(text=["anna", "bob"]))
    with pytest.raises(given.UserError, match=r"text, row 0: 99 characters; expected at most"):
        model.given().log_prob(text=["a" * 99])


def test_a_completed_text_keeps_its_new_characters():
    words = {"text": np.array(["anna", "bob", "carla", "dana"] * 20, dtype=object)}
    model = given.model("p(text)", words, codecs={"text": given.codecs.Text()}, families={"text": families.NGram})
    model.fit(words)
    begun = np.array(["Zan", "an", None], dtype=object)
    done = model.complete({"text": begun}, n=2)["text"]
    assert done.shape == (2, 3) and all(text.startswith("Zan") for text in done[:, 0]) and all(map(str, done[:, 2]))
    known = model.complete({"text": np.array(["ban", "an", None], dtype=object)}, n=2)["text"]
    assert np.array_equal(done[:, 1:], known[:, 1:])


def test_a_cell_that_is_no_number_is_a_new_value():
    model = learned("p(age) p(x)")
    scored = model.score({"age": np.array(["30", "old", "31.5"]), "x": np.array(["0.5", "0.5", "1e200"])})
    assert scored.new["age"].tolist() == [0, 1, 1] and scored.new["x"].tolist() == [0, 0, 1]
    assert np.isfinite(scored.items).all()


def test_what_a_person_types_stays_strict():
    model = learned(None)
    with pytest.raises(given.UserError, match="unseen category 'Rmoe'"):
        model.given(kind="Rmoe")
    with pytest.raises(given.UserError, match="expected 20 to 60"):
        model.given(age=17)


@pytest.fixture(scope="module")
def towns(tmp_path_factory):
    """A table with rare towns and whole numbers beside holes, its file, and a model learned from it."""
    rng = np.random.default_rng(0)
    town = [*rng.choice(["rome", "oslo"], N - 3), "turin", "bonn", "cork"]
    room = ["" if i % 5 == 0 else str(rng.integers(1, 6)) for i in range(N)]
    path = tmp_path_factory.mktemp("towns") / "towns.csv"
    path.write_text("town,rooms,never\n" + "".join(f"{t},{r},\n" for t, r in zip(town, room, strict=True)))
    model = given.model("p(town, rooms, never)", str(path), codecs={"town": given.codecs.Label(rare=5, unseen="other")})
    model.fit(str(path), steps=10, progress=False)
    model.save(path.with_suffix(".given"))
    return model, path


def test_the_table_learned_from_is_completed_and_asked_about(towns, capsys):
    model, path = towns
    data = given.read(str(path))
    full = model.complete(data)
    kept = [v is not None and v == v for v in data["rooms"].tolist()]
    assert full.names == data.names and full["town"].tolist() == data["town"].tolist()
    assert full["rooms"].dtype.kind == "i" and (full["rooms"][kept] == data["rooms"][kept]).all()
    assert model.unfillable(data) == [f"never: {N} holes stay, since the column was missing in every row that was learned from"]
    again = model.complete(data.rows(slice(0, 30)), n=2)
    assert again["rooms"].shape == (2, 30)
    status = main(["query", str(path.with_suffix(".given")), "rooms | town", str(path)])
    assert status in (0, None) and len(capsys.readouterr().out.splitlines()) == N + 1


def test_completions_do_not_depend_on_the_batch(towns, monkeypatch):
    model, path = towns
    whole = model.complete(str(path))["rooms"]
    monkeypatch.setattr("given.verbs.completion._ROWS", 64)
    assert (model.complete(str(path))["rooms"] == whole).all()


def test_new_values_are_counted_on_the_command_line_and_stand_first(towns, tmp_path, capsys):
    _, path = towns
    (tmp_path / "new.csv").write_text("town,rooms,never\nrome,3,\nrome,999999,yes\noslo,4,\n")
    status = main(["score", str(path.with_suffix(".given")), str(tmp_path / "new.csv"), "--anomalies", "1"])
    out, err = capsys.readouterr()
    assert status in (0, None) and out.splitlines()[1].startswith("1,") and "never 1 (first in row 1)" in err


def test_columns_the_model_does_not_have_are_ignored_in_a_whole_table_and_refused_elsewhere():
    data = {"name": [f"row {i}" for i in range(N)], **rows()}
    model = given.model("p(kind) p(x | z) p(z)", data, latents={"z": given.codecs.Label(range(2))})
    model.fit(data, steps=5, progress=False)
    assert model.log_prob(data).shape == (N,)  # a latent is not missing
    whole = model.given({name: values[:2] for name, values in data.items()})
    assert whole.sample(3)["kind"].tolist() == [data["kind"][:2].tolist()] * 3
    with pytest.raises(given.UserError, match="unknown name 'knd'"):
        model.given({"knd": ["a"], "x": [0.5]})
    with pytest.raises(given.UserError, match="unknown name 'knd'"):
        model.given(knd="a")


def test_the_way_out_is_written_as_the_command_line_has_it(tmp_path, capsys):
    (tmp_path / "notes").mkdir()
    for name in ("a.txt", "b.txt", "c.doc"):
        (tmp_path / "notes" / name).write_text("some text")
    assert main(["fit", str(tmp_path / "notes"), "--dry-run"]) == 1
    err = capsys.readouterr().err
    assert "--skip-bad" in err and "skip_bad" not in err


def test_a_hole_that_is_missing_all_but_always_is_filled_with_a_value():
    rng = np.random.default_rng(0)
    kind = rng.choice(["so", "py"], 300)
    lines = np.where(kind == "so", np.nan, rng.integers(1, 2000, 300) * 1.5)
    doc = np.where(kind == "so", None, rng.choice(["a", "b"], 300))
    data = {"kind": kind, "lines": lines, "doc": doc}
    asked = {"kind": np.array(["so"] * 9 + [None], dtype=object), "lines": np.full(10, np.nan), "doc": np.full(10, None)}
    block = given.model("p(kind, lines, doc)", data)
    block.fit(data, steps=150, held_out=0)
    for model in (block, given.model("p(kind, lines, doc)", data, families={"kind, lines, doc": families.Independent})):
        model.fit(data, steps=5, held_out=0) if model is not block else None
        whole = model.complete(asked, n=2)
        assert not np.isnan(whole["lines"].astype(float)).any()
        assert set(whole["doc"].ravel()) == {"a", "b"} and set(whole["kind"].ravel()) <= {"so", "py"}


def test_a_hole_is_drawn_as_its_values_are_distributed_where_it_is_not_missing():
    data = {"kind": np.array(["so"] * 990 + ["py"] * 10), "doc": np.array([None] * 970 + ["a"] * 5 + ["b"] * 15 + ["b"] * 10)}
    model = given.model("p(kind) p(doc | kind)", data, codecs={"doc": given.codecs.Label(missing="symbol")},
                        families={"doc": families.Independent})
    model.fit(data, held_out=0)
    drawn = model.complete({"kind": np.array(["so"] * 400), "doc": np.full(400, None)})["doc"]
    p = model.given(kind="so").probabilities("doc")
    share = float(p["a"][0] / (p["a"][0] + p["b"][0]))
    assert abs((drawn == "a").mean() - share) < 5 * np.sqrt(share * (1 - share) / 400)
