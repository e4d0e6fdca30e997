"""Prices: back-tests of forecast quantiles, returns of price files, risk and options by paths, the task by its command."""

import numpy as np
import pytest

from given.evaluate import backtest, backtests, holm, pinball, serial_error
from given.variables import UserError


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
