"""Options: what the right to buy or sell at a price is worth, by simulated paths and in closed form.

Simulated prices are divided by their mean, learned from half of the paths, so that the discounted price is a martingale in the
other half, which the option is priced by. Heavy tails need an end for that mean to exist: of returns with Student's innovations
E exp(r) is infinite. Paths with a daily return beyond `halt` are left out, and counted.

Source: Black, Scholes, The pricing of options and corporate liabilities, 1973 / https://doi.org/10.1086/260062
Duan, Simonato, Empirical martingale simulation for asset prices, 1998 / https://doi.org/10.1287/mnsc.44.9.1218
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from given.variables import UserError

__all__ = ["Option", "black_scholes", "european"]


@dataclass(frozen=True)
class Option:
    """A price by simulated paths.

    Attributes:
        price, error: of the option, and its standard error, that of the correction too.
        before, before_error: mean discounted price at the end over that of today, as simulated.
        after, after_error: of the half that is priced by, after the correction: 1 to within its error.
        halted: the share of paths left out.
    """

    price: float
    error: float
    before: float
    before_error: float
    after: float
    after_error: float
    halted: float


def european(returns: np.ndarray, spot: float, strike: float, *, rate: float = 0.0, call: bool = True, year: int = 252,
           halt: float = 20.0) -> Option:
    """What a European option is worth that ends with the paths.

    Args:
        returns: (n, days) of simulated paths, 100 times changes of the log price.
        spot, strike: the price today, and that of the right.
        rate: of a riskless year, continuously compounded.
        call: the right to buy; else to sell.
        year: days of trading.
        halt: the largest daily return either way, in %; by default the fall that ends a day's trading in the United States.

    Raises:
        UserError: fewer than 100 paths within it, or a price that is not above 0.
    """
    if not (spot > 0 and strike > 0):
        raise UserError(f"option: a price of {spot:g} and a strike of {strike:g}; expected both above 0")
    kept = returns[(np.abs(returns) <= halt).all(1)]
    if len(kept) < 100:
        raise UserError(f"option: {len(kept)} of {len(returns)} paths stay within {halt:g} % a day; expected at least 100")
    discount = math.exp(-rate * kept.shape[1] / year)
    ends = np.exp(kept.sum(1) / 100)
    first, second = ends[:len(ends) // 2], ends[len(ends) // 2:]
    moved = second / first.mean()
    drift_error = _error(first) / first.mean()
    sign = 1 if call else -1
    paid = np.maximum(sign * (spot * moved - strike * discount), 0.0)
    slope = float((spot * moved * (paid > 0)).mean())  # of the price in the logarithm of the correction
    return Option(float(paid.mean()), math.hypot(_error(paid), slope * drift_error), discount * float(ends.mean()),
                  discount * _error(ends), float(moved.mean()), math.hypot(_error(moved), drift_error),
                  1 - len(kept) / len(returns))


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def black_scholes(spot: float, strike: float, years: float, volatility: float, *, rate: float = 0.0,
                  call: bool = True) -> float:
    """The price where log prices are a Brownian motion of this standard deviation a year."""
    spread, held = volatility * math.sqrt(years), strike * math.exp(-rate * years)
    d = math.log(spot / held) / spread + spread / 2
    sign = 1 if call else -1
    return sign * (spot * _below(sign * d) - held * _below(sign * (d - spread)))


def _below(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2
