"""Forecasting: what comes after the end of series, in Python and by the command."""

import csv
from functools import partial

import numpy as np
import pytest

import given
from given.app.cli import main
from given.codecs import Number, Series
from given.families import LinearAutoregressive, SeasonalNaive
from given.sources import Clock
from given.variables import UserError
from given.verbs.forecasting import Forecast

RNG = np.random.default_rng(1)
DAYS = np.arange("2024-01-01", "2024-05-01", dtype="M8[D]")
PROMO = RNG.integers(0, 2, (2, 121))
SALES = 10 + 5 * PROMO + np.array([[0], [40]]) + RNG.normal(size=PROMO.shape)
SMALL = {"sales": Series(Number(), window=32), "promo": Series(Number(), window=32)}


def table(rows=121):
    """A row a day and shop; of the last days only what is known of them."""
    sales = SALES.copy()
    sales[:, rows:] = np.nan
    return {"shop": np.repeat(["a", "b"], 121), "day": np.tile(DAYS, 2), "promo": PROMO.ravel(), "sales": sales.ravel()}


@pytest.fixture(scope="module")
def model():
    made = given.model("p(sales | promo, shop)", given.read(table(), by="shop", time="day"), codecs=SMALL,
                       families={"sales": LinearAutoregressive})
    made.fit(given.read(table(), by="shop", time="day"), held_out=0, progress=False)
    return made


def check_covariates(model):
    """Paths follow what is known of the days to come, and go on from where each item ends."""
    found = model.forecast(given.read(table(111), by="shop", time="day"), 10, n=200)
    assert found.paths["sales"].shape == (200, 2, 10)
    np.testing.assert_allclose(found.paths["sales"].mean(0), 10 + 5 * PROMO[:, 111:] + [[0], [40]], atol=1.2)


def test_known_covariates_go_on_past_the_end(model):
    check_covariates(model)


def test_a_forecast_is_the_query_of_a_prefix(model):
    data = given.read(table(111), by="shop", time="day")
    paths = model.forecast(data, 10, n=3, seed=4).paths["sales"]
    drawn = model.given(sales=given.prefix(SALES[:, 89:111]), promo=PROMO[:, 89:], shop=["a", "b"]).sample(3, seed=4)
    np.testing.assert_array_equal(paths, drawn["sales"][..., 22:])


def test_past_its_window_a_forecast_moves_on(model):
    short = given.read({k: v[:121] for k, v in table(61).items()}, by="shop", time="day")
    assert np.isfinite(model.forecast(short, 60, n=2).paths["sales"]).all()


def test_tables_of_paths_and_of_intervals(model):
    found = model.forecast(given.read(table(111), by="shop", time="day"), 10, n=50)
    paths, short = found.table(), found.summary(interval=0.9)
    assert paths.names == ("shop", "day", "path", "sales") and paths.n == 50 * 20
    assert list(short) == ["shop", "day", "mean(sales)", "q0.05(sales)", "q0.95(sales)"] and short.n == 20
    assert short["day"][9] == DAYS[120] and short["shop"][10] == "b"
    assert (short["q0.05(sales)"] < short["q0.95(sales)"]).all() and "<svg" in found.chart(1)


def check_months():
    """The last of a month is a month after the last of the one before."""
    ends = np.array(["2024-01-31", "2024-02-29", "2024-03-31"], dtype="M8[us]")
    after = Clock("t", None, (ends,)).after(0, 3, 2)
    assert after is not None and after.astype(str).tolist() == ["2024-04-30", "2024-05-31"]


def test_months_go_on():
    check_months()


@pytest.mark.parametrize(("times", "next_"), [
    (np.array(["2024-01-01T22", "2024-01-01T23"], dtype="M8[us]"), "2024-01-02T00:00:00"),
    (np.array([1990, 1991, 1992]), "1993"),
    (np.array(["2024-01-01", "2024-01-02", "2024-01-05"], dtype="M8[us]"), "None"),
], ids=["hours", "years", "no step"])
def test_the_step_goes_on(times, next_):
    after = Clock("t", None, (times,)).after(0, len(times), 1)
    assert str(after if after is None else after[0]) == next_


@pytest.mark.parametrize(("ask", "words"), [
    (lambda m: m.forecast(given.read(table(111), by="shop", time="day"), 0), "horizon=0; expected a whole number"),
    (lambda m: m.forecast(given.read(table(111), by="shop", time="day"), 11), "promo.*ends early: 10 values.*expected 11"),
    (lambda m: m.forecast({"sales": [[1.0, None, 3.0]], "promo": [[0, 1, 1, 1]], "shop": ["a"]}, 1), "item 0, value 1: is mis"),
    (lambda m: m.forecast({"promo": [[0, 1, 1, 1]], "shop": ["a"]}, 1), "no column 'sales' in the data"),
    (lambda m: m.forecast({"sales": [[None]], "promo": [[0, 1]], "shop": ["a"]}, 1), "has no value to go on from"),
    (lambda m: m.forecast(given.read(table(111), by="shop", time="day"), 10).summary(interval=9), "a probability between 0"),
], ids=["no horizon", "ends early", "a hole", "no series", "nothing", "interval"])
def test_what_cannot_be_foreseen(model, ask, words):
    with pytest.raises(UserError, match=words) as error:
        ask(model)
    assert "\n" not in str(error.value)


def test_a_horizon_longer_than_any_series():
    data = given.read(y=[np.sin(np.arange(12.0))])
    made = given.model("p(y)", data, codecs={"y": Series(Number())}, families={"y": partial(SeasonalNaive, period=2)})
    made.fit(data, held_out=0, progress=False)
    assert made.forecast(data, 4, n=2).paths["y"].shape == (2, 1, 4)
    with pytest.raises(UserError, match="a horizon of 12, and the model's series hold 12 values"):
        made.forecast(data, 12)


def test_the_command(tmp_path, capsys):
    given.read(sales=SALES[0], day=DAYS).save(str(tmp_path / "sales.csv"))
    data, model = str(tmp_path / "sales.csv"), str(tmp_path / "m.given")
    assert main(["fit", data, "sales", "--time", "day", "--family", "sales=SeasonalNaive(period=7)", "--held-out", "0",
                 "-o", model]) == 0
    chart, out = tmp_path / "fan.svg", tmp_path / "out.csv"
    assert main(["forecast", model, data, "--time", "day", "--horizon", "3", "--mean", "--interval", "0.9", "-o", str(out),
                 "--chart", str(chart)]) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["day"] for row in rows] == ["2024-05-01", "2024-05-02", "2024-05-03"] and "<svg" in chart.read_text()
    capsys.readouterr()
    assert main(["forecast", model, data, "--time", "day", "--horizon", "2", "-n", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 7


def test_series_of_words_are_named_where_a_summary_leaves_them_out():
    paths = {"y": np.zeros((2, 1, 3)), "sky": np.full((2, 1, 3), "sun", dtype=object)}
    found = Forecast(paths, {"y": np.zeros((1, 3)), "sky": paths["sky"][0]}, ("item", np.array([0])), None)
    assert found.words == ["sky"] and list(found.summary(interval=0.5)) == ["item", "step", "mean(y)", "q0.25(y)", "q0.75(y)"]
