"""Predict and impute: what is known of a made-up table is found, with intervals that hold, and wrong wishes are one line."""

import numpy as np
import pytest

import given
from given.app.cli import main
from given.sources import Columns
from given.tasks import impute, predict
from given.variables import UserError


def people(n, seed=0):
    """Income follows from age and city, with a standard deviation of 300."""
    rng = np.random.default_rng(seed)
    age, city = rng.uniform(20, 70, n).round(2), rng.choice(["Rome", "Oslo"], n)
    income = 2000 + 30 * age + 1500 * (city == "Oslo") + rng.normal(0, 300, n)
    return Columns({"age": age, "city": city, "income": income.round(1)})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "people.csv"
    people(400).save(path)
    return path


def test_a_number_is_predicted_with_its_interval():
    data = predict.read(people(300), target="income")
    model = predict.model(data)
    model.fit(data, progress=False, **predict.TRAINING)
    found = predict.measure(model, predict.read(people(80, 1), target="income"))
    plain = next(iter(predict.baselines(data, people(80, 1)).values()))
    assert found["RMSE"] < 450 < plain["RMSE"] and abs(found["in 90 %"] - 0.9) < 0.09 and found["log p"] > plain["log p"] + 0.5


def test_means_of_a_column_with_a_long_tail_lie_where_its_values_do():
    """No mean is led far out by a draw from the tails, whose values grow as fast as those of any family may fall."""
    def prices(n, seed):
        x = np.random.default_rng(seed).normal(size=(n, 2))
        return Columns({"carat": x[:, 0], "price": np.exp(7 + 1.2 * x[:, 0] + 0.2 * x[:, 1]).round()})

    data = predict.read(prices(300, 0), target="price")
    model = predict.model(data)
    assert model.joint.columns["price"].codec.arguments["curve"] == "quantile"
    model.fit(data, progress=False, **predict.TRAINING)
    new = prices(300, 1)
    found = predict.predict(model, new)
    assert np.mean((found["low"] <= found["price"]) & (found["price"] <= found["high"])) > 0.98
    assert np.sqrt(np.mean((found["price"] - new["price"]) ** 2)) < 0.5 * new["price"].std()


def test_a_category_is_predicted_and_its_probabilities_hold(table, tmp_path, capsys):
    status = main(["fit", str(table), "--task", "predict", "--target", "city", "--cpu-seconds", "1", "-o", str(tmp_path / "m")])
    out, err = capsys.readouterr()
    assert status == 0 and "city by itself: log p -0." in err and "held out, this model" in out
    assert "by the least loss of held-out rows" in out
    people(100, 2).save(tmp_path / "new.csv")
    assert main(["predict", str(tmp_path / "m"), str(tmp_path / "new.csv")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("city,p(Oslo),p(Rome)\n") and "expected calibration error 0." in err
    told = [line.split(",")[0] for line in out.splitlines()[1:]]
    assert np.mean(np.array(told) == people(100, 2)["city"]) > 0.9


def test_trees_name_a_row_that_they_cannot_read():
    data = predict.read(people(200), target="income")
    model = predict.model(data)
    model.fit(data, held_out=0, steps=1, progress=False)
    for row, got in (({"age": [None], "city": ["Rome"]}, "age, row 0: is missing"),
                     ({"age": [3.0], "city": ["Bern"]}, "city, row 0: 'Bern' was never seen")):
        with pytest.raises(UserError, match=f"{got}, and the trees that predict income learned none such"):
            predict.predict(model, row)
    with pytest.raises(UserError, match="no column city, by which income is predicted; there are age"):
        predict.predict(model, {"age": [3.0]})


def check_holes():
    """A hole has the value that the rest of its row says, and an interval about it that holds it as often as is said."""
    data = people(400)
    model = given.model("p(city) p(age, income | city)", data)  # the truth
    model.fit(data, held_out=0, progress=False)
    holes = {"age": [60.0, 20.0, 50.0], "city": ["Oslo", "Rome", None], "income": [None, None, 5000.0]}
    found = impute.fill(model, holes, n=400)
    assert found["column"].tolist() == ["income", "income", "city"] and found["row"].tolist() == [0, 1, 2]
    for at, truth in ((0, 5300), (1, 2600)):
        assert abs(found["value"][at] - truth) < 120
        assert abs(found["high"][at] - found["low"][at] - 2 * 1.645 * 300) < 200
    assert found["value"][2] == "Oslo" and found["share"][2] > 0.9
    rows = people(200, 1)
    scores = impute.judged(model, rows, impute.hidden(rows, ["age", "city", "income"]))
    assert abs(scores["covered"].mean() - 0.9) < 0.06 and scores["right"].mean() > 0.7


def test_holes_are_filled_with_what_the_rest_says():
    check_holes()


def test_impute_on_the_command_line(table, tmp_path, capsys):
    status = main(["fit", str(table), "--task", "impute", "--steps", "3", "-o", str(tmp_path / "m")])
    out, err = capsys.readouterr()
    assert status == 0 and "independent columns (mean, mode): log p/cell" in err and "held out, this model" in out
    (tmp_path / "holes.csv").write_text("age,city,income\n30,Rome,\n,,5000\n")
    assert main(["impute", str(tmp_path / "m"), str(tmp_path / "holes.csv"), "-n", "20"]) == 0
    assert [line.split(",")[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["row", "column"], ["0", "income"], ["1", "age"], ["1", "city"]]


@pytest.mark.parametrize("words, error", [
    (["predict", "--target", "ctiy"], "--target: no column ctiy; did you mean 'city'"),
    (["predict"], "expected --target, the column to predict; there are age, city, income"),
    (["impute", "--target", "city"], "fit: --target is not for --task impute; leave it out")])
def test_wrong_wishes_are_one_line(words, error, table, capsys):
    assert main(["fit", str(table), "--task", *words]) == 1
    said = capsys.readouterr().err
    assert error in said and said.count("\n") == 1
