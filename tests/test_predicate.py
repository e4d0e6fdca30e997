"""Draws that have to meet a condition: its language, what is kept, and when it is given up."""

import numpy as np
import pytest

import given
import given.verbs.rejection
from given.app.cli import main
from given.sources import Columns
from given.variables import UserError
from given.verbs.predicate import Predicate

ROWS = Columns({"age": [20.0, 40.0, np.nan], "city": ["Rome", None, "Arles"], "house price": [1, 2, 3],
                "owns": [True, False, True]})


@pytest.fixture(scope="module")
def model():
    g = np.random.default_rng(0)
    data = {"age": np.round(g.gamma(9, 4, 400), 1), "city": np.array(["Rome", "Oslo", "Arles"])[g.integers(3, size=400)]}
    made = given.model("p(city) p(age | city)", data)
    made.fit(data, progress=False)
    return made


@pytest.mark.parametrize(("text", "expected"), [
    ("age > 30", [0, 1, 0]), ("not age > 30", [1, 0, 1]), ("10 < age <= 20 or `house price` == 3", [1, 0, 1]),
    ("age is missing", [0, 0, 1]), ("city is not missing and owns", [1, 0, 1]), ("city in ['Rome', 'Oslo']", [1, 0, 0]),
    ("city not in ('Rome',)", [0, 0, 1]), ("city ~ '.*r.*'", [0, 0, 1]), ("matches(city, r'R\\w+')", [1, 0, 0]),
    ("`house price` * 2 - 1 >= 5 / 1", [0, 0, 1]), ("-age < -30", [0, 1, 0]), ("city == 'a ~ `b` = c'", [0, 0, 0]),
    ("1 / (`house price` - 1) > 0", [1, 1, 1]), ("owns != True", [0, 1, 0]), ("city in []", [0, 0, 0])])
def test_expressions_say_which_rows(text, expected):
    assert Predicate(text)(ROWS).tolist() == [bool(each) for each in expected]


@pytest.mark.parametrize(("text", "said"), [
    ("__import__('os')", "has .*expected comparisons"), ("age.real > 3", "has 'age.real'"), ("(lambda: 1)()", "has "),
    ("[a for a in city]", "has "), ("f'{age}' == 'a'", "has "), ("matches(city, age)", "a regular expression in quotes"),
    ("age >", "is no expression"), ("city = 'Rome'", "a single =; write =="), ("agee > 3", "did you mean 'age'"),
    ("city == Rome", "text stands in quotes, as 'Rome'"), ("city > 3", "compares city, a text, with 3, a number"),
    ("age", "is a number; expected a condition"), ("age and owns", "has 'age', a number, where a condition"),
    ("city ~ 'A('", "which is none"), ("age ~ 'A'", "matches age, a number"), ("age is None", "has "),
    ("age > 3" + " + 1" * 5000, r"\.\.\.' is"), ("(" * 300 + "age" + ")" * 300, "is no expression"),
    ("`x y` > 1", "unknown name 'x y'")])
def test_all_else_is_refused_in_one_line(text, said):
    with pytest.raises(UserError, match=f"^where: .*{said}") as found:
        Predicate(text)(ROWS)
    assert "\n" not in str(found.value) and len(str(found.value)) < 420


def check_kept(model):
    where = "age > 40 and city ~ 'A.*|R.*'"
    drawn, every = model.sample(30, where=where), model.sample(600)
    meets = Predicate(where)(every)
    assert drawn["age"].tolist() == every["age"][meets][:30].tolist()
    assert drawn.acceptance == pytest.approx(meets.mean(), abs=0.1) and drawn.about.endswith(f'meet where="{where}"')


def test_the_first_draws_that_meet_it_are_kept(model):
    check_kept(model)
    several = model.given(city=["Rome", "Oslo"]).sample(5, where=lambda rows: rows["age"] > 40)
    assert several["age"].shape == (5, 2) and (several["age"] > 40).all()
    assert several["age"][:, 1].tolist() == model.given(city=["Rome", "Oslo"]).sample(5, where="age > 40")["age"][:, 1].tolist()


def test_draws_in_another_order_are_seen(model, monkeypatch):
    kept = given.verbs.rejection.kept
    monkeypatch.setattr("given.verbs.draws.kept",
                        lambda draw, *rest: kept(lambda first, size: draw(0, size), *rest))
    with pytest.raises(AssertionError):
        check_kept(model)


def test_what_nothing_meets_is_given_up_in_one_line(model, monkeypatch):
    assert given.verbs.rejection._BATCHES == 200
    monkeypatch.setattr("given.verbs.rejection._BATCHES", 20)
    with pytest.raises(UserError, match=r"none of 2,002 draws meets it, .* below 0.0015, or zero; .*given\(age=between"):
        model.sample(2, where="age > 1000")
    with pytest.raises(UserError, match=r"\d+ of 2,000 draws meet it, and 100 were asked for \(acceptance 0.00\d+\)"):
        model.sample(100, where="age > 65 and city == 'Rome'")
    with pytest.raises(UserError, match="made float64 of shape"):
        model.sample(2, where=lambda rows: rows["age"])
    with pytest.raises(UserError, match="where=3; expected an expression"):
        model.sample(2, where=3)


def test_a_shell_says_how_many_draws_met_it(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("given.verbs.rejection._BATCHES", 20)
    model.save("people.given")
    assert main(["sample", "people.given", "-n", "3", "--where", "age > 40"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4 and "of draws meet --where 'age > 40'" in err
    assert main(["sample", "people.given", "--where", "age > 1000"]) == 1
    assert "given query M" in capsys.readouterr().err
