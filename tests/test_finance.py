"""Prices: back-tests of forecast quantiles, returns of price files, risk and options by paths, the task by its command."""

import math

import numpy as np
import pytest

import given
from given.app.cli import main
from given.evaluate import backtest, backtests, crossing, holm, pinball, serial_error, sharpe
from given.infer import black_scholes, european, options
from given.tasks import finance
from given.variables import UserError

RNG = np.random.default_rng(0)


def hits(x, n):
    """Values of which x of n, evenly spread, lie below a quantile of 0."""
    values = np.ones(n)
    values[(np.arange(x) * n // max(x, 1)) + (n // max(x, 1)) // 2] = -1
    return values


@pytest.mark.parametrize(("days", "level", "low", "high"), [
    (255, 0.01, 0, 7), (510, 0.01, 1, 11), (1000, 0.01, 4, 17), (255, 0.05, 6, 21), (1000, 0.05, 37, 65)])
def test_coverage_is_rejected_where_kupiecs_table_says(days, level, low, high):
    """Between, it is not. (For 255 days at 1 % the table has no lower end, but 2 x 255 x .01005 is above 3.84.)"""
    for count in (low, low + 1, high - 1, high):
        found = backtest(hits(count, days), np.zeros(days), level)
        assert found.exceeded == count and (found.coverage < 0.05) == (count in (low, high)), count


def check_runs():
    """Five, one, one and two of the four transitions: 2 (-4.612909 + 5.728629) = 2.231440."""
    values = np.where([0, 0, 0, 0, 1, 1, 1, 0, 0, 0], -1.0, 1.0)
    found = backtests.backtest(values, np.zeros(10), 0.3)
    assert found.coverage == 1 and found.independence == pytest.approx(0.135225, abs=1e-5)
    assert found.conditional == pytest.approx(np.exp(-2.231440 / 2), abs=1e-5)


def test_runs_are_those_of_a_chain_of_two_states():
    check_runs()


def test_no_exceedance_has_a_probability():
    found = backtest(np.ones(100), np.zeros(100), 0.01)
    assert found.coverage == pytest.approx(0.156, abs=1e-3) and found.independence == 1


def test_holms_steps():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_the_loss_of_quantiles_is_least_at_the_quantile():
    x = np.random.default_rng(0).normal(size=4000)
    losses = [pinball(x, np.full(4000, q), 0.05).mean() for q in (-1.9, -1.645, -1.4)]
    assert losses[1] < min(losses[0], losses[2]) and pinball(np.array([1.0]), np.array([3.0]), 0.1)[0] == pytest.approx(1.8)


def test_the_error_of_a_mean_counts_what_follows_alike():
    x = np.random.default_rng(0).normal(size=2000)
    assert serial_error(x) == pytest.approx(1 / 2000**0.5, rel=0.1)
    assert serial_error(np.convolve(x, np.ones(4), "valid")) == pytest.approx(4 / 2000**0.5, rel=0.2)


def test_a_backtest_of_nothing_is_one_line():
    with pytest.raises(UserError, match=r"backtest: 1 values, 1 quantiles; expected as many of both, from 2"):
        backtest(np.ones(1), np.ones(1), 0.05)


def prices(n=400):
    """A table whose days calm down and grow restless, with the range of each."""
    rng = np.random.default_rng(1)
    spread = 0.01 * np.exp(0.8 * np.sin(np.arange(n) / 30))
    path = np.cumsum(spread[:, None] * rng.normal(size=(n, 16)) / 4).reshape(n, 16)
    days = np.datetime64("2020-01-01") + np.arange(n)
    return {"Date": days.astype(str), "High": 100 * np.exp(path.max(1)), "Low": 100 * np.exp(path.min(1)),
            "Close": 100 * np.exp(path[:, -1])}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    given.read(prices()).save(path)
    return path


@pytest.fixture(scope="module")
def learned(file, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "prices.given"
    assert main(["fit", str(file), "--task", "finance", "--held-out", "0.2", "-o", str(path)]) in (0, None)
    return path


def test_returns_are_changes_of_log_prices_in_the_order_of_dates(file, tmp_path):
    table = prices()
    data = finance.read(file)
    assert np.allclose(data["returns"][0], 100 * np.diff(np.log(table["Close"])), atol=1e-6)
    assert np.allclose(np.exp(data["log_range"][0]),
                       (100 * np.log(table["High"] / table["Low"])[1:]) ** 2 / (4 * math.log(2)), rtol=1e-4)
    given.read({"date": table["Date"][::-1], "close": table["Close"][::-1]}).save(tmp_path / "back.csv")
    back = finance.read(tmp_path / "back.csv")
    assert np.allclose(back["returns"][0], data["returns"][0], atol=1e-6) and "log_range" not in back.names
    assert len(back.clock.times[0]) == 399
    assert np.allclose(finance.read(table)["returns"][0], data["returns"][0], atol=1e-6)


@pytest.mark.parametrize(("change", "line"), [
    ({"Close": (5, 0.0)}, r"Close.*row 5.*got 0; expected a price above 0"),
    ({"Close": (7, -2.0)}, r"Close.*row 7.*got -2; expected a price above 0"),
    ({"Close": (7, np.nan)}, r"Close.*row 7.*is missing; expected a price above 0"),
    ({"High": (9, 1.0)}, r"High.*row 9.*1 is below Low, .*; expected it above"),
    ({"Date": (3, "2020-01-02")}, r"Date.*2020-01-02 stands in row 1 too; expected a row a day"),
    ({"Date": (3, None)}, r"Date.*row 3.*is missing; expected the time of the row"),
])
def test_prices_that_are_none_are_one_line(change, line, tmp_path):
    table = prices(60)
    for name, (row, value) in change.items():
        table[name] = table[name].astype(object) if name == "Date" else table[name]
        table[name][row] = value
    given.read(table).save(tmp_path / "bad.csv")
    with pytest.raises(UserError, match=line) as error:
        finance.read(tmp_path / "bad.csv")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("table", "line"), [
    ({"Date": ["2020-01-01"], "Volume": [3]}, "expected a column of prices, named Adj Close.*; there are Date, Volume;"),
    ({"close": [1.0, 2.0, 3.0]}, "expected more than 30 prices that are not all the same, got 3"),
    ({"close": ["dear", "cheap"]}, "close: expected numbers"),
])
def test_tables_without_prices_are_one_line(table, line, tmp_path):
    given.read(table).save(tmp_path / "none.csv")
    with pytest.raises(UserError, match=line):
        finance.read(tmp_path / "none.csv")


def test_a_day_of_one_price_leaves_the_range_out_and_is_named(tmp_path):
    table = prices(60)
    table["High"][9] = table["Low"][9]
    given.read(table).save(tmp_path / "flat.csv")
    data = finance.read(tmp_path / "flat.csv")
    assert "log_range" not in data.names and "are one price in row 9" in data.skipped[0]


def test_days_are_scored_given_all_before_by_what_the_model_scores(learned, file):
    model, data = given.load(learned), finance.read(file)
    found = finance.days(model, data)
    assert model.facts["task"] == "finance" and "nats a day" in str(model.facts["scores"])
    x = model.joint.declared[0].x.encode({name: data[name] for name in ("returns", "log_range")})
    law = model.joint.declared[0](given.variables.Observed(n=1))
    each = law.each(x).flatten()
    assert np.allclose(found.log_p, each[:399].numpy(), atol=1e-5)
    below = (found.returns < found.quantiles(0.05)).mean()
    assert 0.02 < below < 0.09 and found.after(300).returns.shape == (99,)


def test_commands_answer_from_prices(learned, file, capsys):
    main(["risk", str(learned), str(file), "--days", "3", "-n", "500", "--strike", "100"])
    shown = capsys.readouterr().out
    assert "value at risk 1%" in shown and "Black-Scholes" in shown and "call" in shown
    main(["forecast", str(learned), str(file), "--horizon", "2", "--mean"])
    assert "mean(returns)" in capsys.readouterr().out


def test_a_model_of_ranges_asks_for_them(learned, tmp_path):
    given.read({"close": prices(60)["Close"]}).save(tmp_path / "closes.csv")
    with pytest.raises(UserError, match=r"closes.csv: log_range: the model learned the range of each day too; .* High"):
        finance.goes_on(given.load(learned), str(tmp_path / "closes.csv"))


def test_days_too_few_to_hold_out_are_one_line():
    with pytest.raises(UserError, match=r"fit: 59 days are too few to hold out 2%; expected two days or more"):
        finance.parted(finance.read(prices(60)), 0.02)


def check_option():
    """Of a Brownian motion with a drift, by paths and in closed form."""
    days, spread = 63, 0.2
    returns = 100 * (0.001 + spread / 252**0.5 * np.random.default_rng(2).normal(size=(20_000, days)))
    for call in (True, False):
        found = options.european(returns, 50.0, 52.0, rate=0.03, call=call)
        true = black_scholes(50.0, 52.0, days / 252, spread, rate=0.03, call=call)
        assert abs(found.price - true) < 4 * found.error and found.error < 0.05
        assert abs(found.after - 1) < 4 * found.after_error and found.before - 1 > 10 * found.before_error


def test_an_option_on_a_brownian_motion_is_worth_what_the_formula_says():
    check_option()
    assert black_scholes(100, 100, 1, 0.2, rate=0.05) == pytest.approx(10.4506, abs=1e-4)
    assert black_scholes(100, 100, 1, 0.2, rate=0.05, call=False) == pytest.approx(5.5735, abs=1e-4)


def test_paths_beyond_the_halt_are_left_out_and_counted():
    returns = np.zeros((400, 2))
    returns[:100, 1] = -25
    assert european(returns, 10, 9).halted == 0.25
    with pytest.raises(UserError, match="0 of 400 paths stay within 20 % a day"):
        european(returns - 30, 10, 9)


def test_a_crossing_holds_after_the_day_it_is_seen_on():
    rising = np.arange(1.0, 11.0)
    assert crossing(rising, 2, 4).tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1] and crossing(rising[::-1], 2, 4).sum() == 0
    assert sharpe(np.array([1.0, 3.0])) == pytest.approx(2 * 252**0.5) and sharpe(np.zeros(4)) == 0
