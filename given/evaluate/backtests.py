"""Backtests: whether values fall below their forecast quantiles as often as they should, and not in runs; and what a rule of
trading would have earned.

Source: Kupiec, Techniques for verifying the accuracy of risk measurement models, 1995 / https://doi.org/10.3905/jod.1995.407942
Christoffersen, Evaluating interval forecasts, 1998 / https://doi.org/10.2307/2527341
Holm, A simple sequentially rejective multiple test procedure, 1979 / https://www.jstor.org/stable/4615733
Newey, West, A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent covariance matrix, 1987 /
https://doi.org/10.2307/1913610
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from given.variables import UserError

__all__ = ["Backtest", "backtest", "crossing", "holm", "pinball", "serial_error", "sharpe"]


@dataclass(frozen=True)
class Backtest:
    """How often forecast quantiles were exceeded, and the probabilities of a statistic as large where the forecasts are right.

    Attributes:
        level: of the quantiles.
        days: n.
        exceeded: values below their quantile.
        coverage: Kupiec's test that their share is the level.
        independence: Christoffersen's test that one does not depend on the one before.
        conditional: Christoffersen's test of both.
    """

    level: float
    days: int
    exceeded: int
    coverage: float
    independence: float
    conditional: float

    @property
    def tests(self) -> dict[str, float]:
        """The probability by each test."""
        return {"coverage": self.coverage, "independence": self.independence, "conditional": self.conditional}


def backtest(values: np.ndarray, quantiles: np.ndarray, level: float) -> Backtest:
    """The three tests of one-day-ahead quantiles, by their limit laws.

    Args:
        values: (n,) what came true, in order.
        quantiles: (n,) of each given what was known before.
        level: the probability below them.

    Raises:
        UserError: fewer than two values, or a level that is none.
    """
    if len(values) < 2 or len(values) != len(quantiles):
        raise UserError(f"backtest: {len(values)} values, {len(quantiles)} quantiles; expected as many of both, from 2")
    if not 0 < level < 1:
        raise UserError(f"backtest: a level of {level:g}; expected a probability between 0 and 1, as 0.01")
    hit = np.asarray(values) < np.asarray(quantiles)
    n, x = len(hit), int(hit.sum())
    coverage = 2 * (_log_likelihood(x, n, x / n) - _log_likelihood(x, n, level))
    after = [(int(now.sum()), len(now)) for now in (hit[1:][~hit[:-1]], hit[1:][hit[:-1]])]
    together, m = sum(hits for hits, _ in after), n - 1
    independence = 2 * (sum(_log_likelihood(hits, of, hits / of) for hits, of in after if of)
                        - _log_likelihood(together, m, together / m))
    coverage, independence = max(0.0, coverage), max(0.0, independence)
    return Backtest(level, n, x, math.erfc(math.sqrt(coverage / 2)), math.erfc(math.sqrt(independence / 2)),
                    math.exp(-(coverage + independence) / 2))


def _log_likelihood(hits: int, n: int, p: float) -> float:
    """Of so many hits among n of probability p."""
    return sum(count * math.log(q) for count, q in ((hits, p), (n - hits, 1 - p)) if count)


def holm(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Probabilities adjusted for their number: a test is rejected at 5 % where its own is .05 or less."""
    found, least = dict[str, float](), 0.0
    for i, name in enumerate(sorted(probabilities, key=probabilities.__getitem__)):
        least = max(least, min(1.0, (len(probabilities) - i) * probabilities[name]))
        found[name] = least
    return {name: found[name] for name in probabilities}


def pinball(values: np.ndarray, quantiles: np.ndarray, level: float) -> np.ndarray:
    """The loss (n,) whose mean the true quantiles make least."""
    missed = np.asarray(values) - np.asarray(quantiles)
    return np.maximum(level * missed, (level - 1) * missed)


def serial_error(values: np.ndarray) -> float:
    """The standard error of the mean of values in order (n,), which may depend on those before: Newey and West's, with
    Bartlett weights to the lag 4 (n / 100)^(2 / 9)."""
    n, left = len(values), np.asarray(values, dtype=np.float64) - np.mean(values)
    lags = min(n - 1, int(4 * (n / 100) ** (2 / 9)))
    variance = left @ left / n + 2 * sum((1 - k / (lags + 1)) * (left[k:] @ left[:-k]) / n for k in range(1, lags + 1))
    return float(math.sqrt(max(variance, 0.0) / n))


def crossing(prices: np.ndarray, fast: int = 50, slow: int = 200) -> np.ndarray:
    """What a crossing of moving averages holds over the day after each but the last: 1 where the mean of the last `fast` prices
    is above that of the last `slow`, else 0, before there are as many too.

    Args:
        prices: (..., days).

    Returns:
        (..., days - 1).

    Source: Brock, Lakonishok, LeBaron, Simple technical trading rules and the stochastic properties of stock returns, 1992 /
    https://doi.org/10.1111/j.1540-6261.1992.tb04681.x
    """
    total = np.concatenate([np.zeros((*prices.shape[:-1], 1)), np.cumsum(prices, -1)], -1)
    held = np.zeros((*prices.shape[:-1], prices.shape[-1] - 1))
    end = np.arange(slow, prices.shape[-1])
    means = [(total[..., end] - total[..., end - k]) / k for k in (fast, slow)]
    held[..., slow - 1:] = means[0] > means[1]
    return held


def sharpe(returns: np.ndarray, year: int = 252) -> np.ndarray:
    """Mean over standard deviation of returns (..., days), of a year; 0 where nothing was earned or lost."""
    spread = returns.std(-1)
    return np.divide(returns.mean(-1) * math.sqrt(year), spread, out=np.zeros_like(spread), where=spread > 0)
