"""Two tables of one model: what moved, what a model becomes of new rows, and what follows where a column is set."""

import json
from functools import partial

import numpy as np
import pytest

import given
from given import between
from given.app.cli import main
from given.evaluate import drift, marginal_p_value
from given.evaluate.drift import change
from given.evaluate.marginals import Marginal, marginals
from given.families import Autoregressive, Gaussian
from given.nn import AnyOrder, Transformer
from given.sources import Columns
from given.variables import UserError


def rows(seed, n, mean=0.0, shift=0.0):
    """y follows from x, whose conditional moves by `shift` alone."""
    g = np.random.default_rng(seed)
    x = g.normal(mean, 1, n)
    return {"x": x, "y": x + shift + g.normal(0, 0.5, n), "c": np.array(["a", "b"])[g.integers(2, size=n)]}


def test_a_marginal_moves_while_the_conditional_does_not():
    old, new = rows(1, 400), rows(5, 120, 0.7)
    old["c"][:3] = new["c"][:1] = "q"  # rare, and so one with all that are
    found = given.drift(old, new, steps=30, progress=False)
    x, y, c = found.columns
    assert x.marginal_moved and y.marginal_moved and not c.marginal_moved
    assert not y.conditional_moved and not c.conditional_moved
    assert x.marginal.low > 0.1 and x.log_p.low < x.log_p.value < x.log_p.high
    assert found.rows["scored new"] == 120 and "x " in str(found) and json.loads(json.dumps(found.json()))["columns"]


def test_a_conditional_moves_and_values_that_are_new_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    new = rows(2, 100, shift=1.5)
    new["c"][:10] = "z"
    Columns(rows(1, 250)).save("old.csv")
    Columns(new).save("new.csv")
    assert main(["drift", "old.csv", "new.csv", "--steps", "20"]) == 0
    out = capsys.readouterr().out
    assert "c: 10.0% of new rows hold a value that was never learned" in out
    assert any(line.startswith("y ") and "conditional" in line for line in out.splitlines())
    with pytest.raises(UserError, match="drift: expected at least 20 old rows to hold out"):
        given.drift(rows(1, 40), new, steps=2, progress=False)


def check_expected():
    """Where log p falls by as much as the model expects, nothing surprises; where it does not, it does."""
    g = np.random.default_rng(0)
    level = {"new": g.normal(-2, 1, 400), "old": g.normal(-1, 1, 400)}
    expected = {f"{side} expected": values + g.normal(0, 0.5, 400) for side, values in level.items()}
    statistic = {name: (Marginal(name, "KS", 0.1, 0.1), 0.5) for name in ("less predictable", "moved")}
    other = {"new expected": expected["old expected"], "old expected": expected["old expected"]}
    one, two = drift.drifted(statistic, {"less predictable": level | expected, "moved": level | other})
    assert one.log_p_p < 0.001 and not one.conditional_moved and abs(one.surprise.value) < 0.1
    assert two.conditional_moved and two.surprise.high < -0.5


def test_what_is_expected_is_no_surprise():
    check_expected()


def test_p_values_are_uniform_where_nothing_moved():
    g, found = np.random.default_rng(0), []
    for _ in range(300):
        x, a = (np.stack([g.normal(size=n), g.integers(5, size=n)], 1) for n in (90, 60))
        each = marginals(x, a, ("x", "k"), np.array([False, True]))
        found.append([marginal_p_value(x[:, j], a[:, j], bool(j), m.value) for j, m in enumerate(each)]
                     + [change(x[:, 0], a[:, 0])[1]])
    share = (np.array(found) < 0.05).mean(0)
    assert (share > 0.015).all() and (share < 0.09).all()


def test_an_update_learns_new_rows_and_keeps_what_is_better(monkeypatch):
    family = partial(Autoregressive, order=AnyOrder(), net=partial(Transformer, width=16))
    model = given.model("p(x, y, c)", rows(1, 300), families={"x, y, c": family})
    model.fit(rows(1, 300), steps=25, progress=False)
    test, entries = rows(3, 200, 1.0, 1.0), str(model.joint.columns["x"].codec.state())
    before = model.score(test).value
    found = model.update(rows(2, 200, 1.0, 1.0), steps=25, lr=4e-3, progress=False)
    assert found.kept and found.after.value > found.before.value and model.score(test).value > before + 0.5
    assert str(model.joint.columns["x"].codec.state()) == entries
    weights = {k: v.clone() for k, v in model.joint.state_dict().items()}
    monkeypatch.setattr(model, "fit", lambda *data, **options: [p.data.mul_(3) for p in model.joint.parameters()] and found.fit)
    worse = model.update(rows(2, 200, 1.0, 1.0))
    assert not worse.kept and "left as it was" in str(worse)
    assert all(bool((v == weights[k]).all()) for k, v in model.joint.state_dict().items())
    with pytest.raises(UserError, match=r"new rows: c, row 7: got 'z', which was never learned, .*leave such rows out"):
        model.update({**rows(2, 20), "c": [*"abababa", "z", *"abababababab"]}, steps=1)
    with pytest.raises(UserError, match=r"new rows: no column c, which p\(x, y, c\) learned from; there are x"):
        model.update({"x": [1.0], "y": [1.0]}, steps=1)


def test_what_is_solved_needs_the_old_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Columns(rows(1, 200)).save("old.csv")
    Columns(rows(2, 100, 1.0)).save("new.csv")
    assert main(["fit", "old.csv", "p(c) p(x, y | c)", "-o", "m.given"]) == 0
    assert main(["update", "m.given", "new.csv"]) == 1
    assert "p(c) is counted or solved (Categorical)" in (said := capsys.readouterr().err) and "--old DATA" in said
    assert main(["update", "m.given", "new.csv", "--old", "old.csv", "-o", "n.given"]) == 0
    capsys.readouterr()
    assert main(["sample", "n.given", "c=a", "-n", "500", "--json"]) == 0
    drawn = [json.loads(line)["x"] for line in capsys.readouterr().out.splitlines()]
    assert 0.05 < np.mean(drawn) < 0.6  # of both
    assert given.load("m.given").facts["fit"]["rows"] == 200


@pytest.fixture(scope="module")
def market():
    g, n = np.random.default_rng(0), 800
    demand = g.integers(2, size=n)
    price = 10 + demand + g.normal(0, 1, n)
    data = {"demand": np.array(["low", "high"])[demand], "price": price, "sales": 50 + 10 * demand - price + g.normal(0, 1, n)}
    model = given.model("p(demand) p(price | demand) p(sales | price, demand)", data,
                        families={"price": Gaussian, "sales": Gaussian})
    model.fit(data, progress=False)
    return model, data


def test_to_set_is_not_to_observe(market):
    model, data = market
    each = [model.given(price=12.0, demand=d).mean("sales") for d in ("low", "high")]
    shares = [float((data["demand"] == d).mean()) for d in ("low", "high")]
    assert model.do(price=12.0).mean("sales") == pytest.approx(np.dot(shares, each), abs=0.3)
    assert model.given(price=12.0).mean("sales") > model.do(price=12.0).mean("sales") + 1
    assert model.do(price=12.0).probabilities("demand")["high"] == pytest.approx(shares[1], abs=0.02)
    assert model.do(price=[9.0, 12.0]).sample(3)["sales"].shape == (3, 2)
    assert model.do(sales=3.0).probabilities("demand")["high"] == pytest.approx(shares[1], abs=0.02)
    observed = model.do(price=12.0, given={"sales": 49.0}).probabilities("demand")["high"]
    assert observed > 0.9 and "demand" not in model.do(price=12.0, demand="low").sample(2)


def test_what_cannot_be_set_says_why(market, tmp_path, monkeypatch, capsys):
    model, data = market
    block = given.model("p(price, sales | demand)", data, families={"price, sales": Gaussian})
    block.fit(data, progress=False)
    with pytest.raises(UserError, match=r"price stands in p\(price, sales \| demand\) in a block with sales, .*p\(price\) p\("):
        block.do(price=9)
    for asked, said in (({"price": between(8, 9)}, "expected a value"), ({"prices": 9}, "mean 'price'"), ({}, "what it is"),
                        ({"price": 9, "given": {"price": 3}}, "set and given"),
                        ({"price": 1, "sales": 2, "demand": "low"}, "nothing is left")):
        with pytest.raises(UserError, match=said):
            model.do(**asked)
    monkeypatch.chdir(tmp_path)
    model.save("market.given")
    assert main(["sample", "market.given", "--do", "price=9", "-n", "2"]) == 0
    assert capsys.readouterr().out.startswith("demand,sales")
