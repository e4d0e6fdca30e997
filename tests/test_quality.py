"""Synthetic rows beside real ones: what a good table, independent columns and copies look like; and their command."""

import json

import numpy as np
import pytest

import given
from given.app.cli import main
from given.evaluate import discrimination, marginals, matched, privacy
from given.sources import Columns
from given.variables import UserError

N = 100


def people(seed, n=N):
    g = np.random.default_rng(seed)
    age = np.round(g.gamma(9, 4, n), 1)
    income = age * 100 + g.normal(0, 300, n)
    return {"age": age, "income": income, "city": np.array(["Rome", "Oslo", "Bern"])[g.choice(3, n, p=[0.5, 0.3, 0.2])],
            "buys": np.where(income > 3600, "yes", "no")}


@pytest.fixture(scope="module")
def copies():
    """Rows copied from those learned from."""
    return given.quality(people(1), people(1), held_out=people(3))


def test_copies_are_found_and_their_members_told(copies):
    assert copies.copied.equal.value == copies.copied.near.value == 1
    assert copies.copied.equal_held_out.value == 0 and copies.copied.near_held_out.value < 0.2
    assert copies.membership.nearest.low > 0.9 and copies.membership.density.low > 0.9
    assert not copies.beyond_chance and copies.pairs.mean == 0


def test_trees_tell_independent_columns_and_no_real_rows(copies):
    areas = copies.two_sample.areas
    assert areas["independent columns"].low > 0.6 and areas["real rows"].low < 0.55 and copies.two_sample.n == N
    measured = copies.transfer.measures
    assert copies.transfer.target == "buys" and copies.transfer.chosen
    assert measured["AUC"]["synthetic rows"] == measured["AUC"]["real rows"]
    assert measured["accuracy"]["real rows"].low > measured["accuracy"]["independent columns"].value


def test_a_page_says_that_distance_is_not_privacy(copies, tmp_path):
    copies.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "the distance to the closest record alone is no measure of privacy" in page and "nan" not in page
    assert all(head in page for head in ("Can they be told", "Column by column", "worth to learn from", "Can members be told?"))
    assert json.loads(json.dumps(copies.json()))["copied"]["equal"]["value"] == 1


def test_without_held_out_rows_parts_are_skipped_with_their_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Columns(people(1, 24)).save("real.csv")
    Columns({**people(2, 24), "shoe": np.arange(24)}).save("drawn.csv")
    assert main(["quality", "real.csv", "drawn.csv", "-o", "page.html"]) == 0
    said = capsys.readouterr().out
    assert "two-sample test: skipped, expected at least 25 rows" in said
    assert "membership attack: skipped, there are no held-out" in said
    assert "--held-out FILE" in said and "shoe: left out, not a column of real" in said
    assert "Skipped: " in (tmp_path / "page.html").read_text()


def test_what_cannot_be_compared_is_said():
    with pytest.raises(UserError, match="synthetic: age: expected numbers, as in real, got 'old'"):
        given.quality(people(1), {**people(2), "age": ["old"] * N})
    with pytest.raises(UserError, match="target: unknown name 'agee'; did you mean 'age'"):
        given.quality(people(1), people(2), target="agee")
    with pytest.raises(UserError, match="no column of both can be compared: age: not a column of synthetic"):
        given.quality({"age": people(1)["age"]}, {"x": [1.0]})
    with pytest.raises(UserError, match="held_out=2; expected a share"):
        given.quality(people(1), people(2), held_out=2)


def test_tables_are_matched_by_value():
    found = matched({"real": Columns({"k": [1, 2, 2, 1] * 6, "x": np.linspace(0, 1, 24)}),
                     "synthetic": Columns({"k": [2.0, np.nan, 7.0], "x": [0.5, np.nan, -0.0]})})
    assert found.categories["k"] == ("1", "2", "missing", "7") and found.tables["synthetic"][:, 0].tolist() == [1, 2, 3]
    assert found.places(found.tables["synthetic"])[2, 1] == pytest.approx(0.5 / 24)
    assert privacy.equal_rows(found.tables["synthetic"], found.tables["synthetic"][[1]]).tolist() == [False, True, False]


def check_gower():
    x, among = np.array([[0, 0.2], [1, np.nan]], np.float32), np.array([[0, 0.6], [1, np.nan]], np.float32)
    each = privacy.gower(x, among, np.array([True, False]), lambda distances: distances)
    assert each == pytest.approx(np.array([[0.2, 1.0], [1.0, 0.0]]))


def test_gower_by_hand():
    check_gower()


def check_level():
    """Of draws of one distribution statistics exceed chance, and intervals miss the truth, some 5 % of the time."""
    g, beyond, missed = np.random.default_rng(0), np.zeros(2), 0
    for _ in range(300):
        x, y, a, b = g.normal(size=80), g.normal(size=60), g.integers(6, size=80), g.integers(6, size=60)
        beyond += [marginals.statistic(*pair) > marginals._chance(*pair) for pair in ((x, y, False), (a, b, True))]
        area = discrimination.auc(x, y)
        missed += not area.low <= 0.5 <= area.high
    assert (beyond / 300 < 0.09).all() and (beyond / 300 > 0.01).all() and 0.02 < missed / 300 < 0.09


def test_figures_keep_their_level():
    check_level()
