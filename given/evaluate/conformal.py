"""conformal: p-values of new scores among scores of rows that are known to be normal, whatever the model is.

    p = (1 + rows held out of no lower score) / (1 + rows held out)

Of a new row that is exchangeable with those held out P(p <= a) is at most a, over draws of both. What a given set of n rows
held out makes of it has a distribution as well: rows are flagged beyond the k-th highest of the n scores, k = a (n + 1)
rounded down, and the share of normal rows beyond is Beta(k, n + 1 - k).

Source: Vovk, Gammerman, Shafer, Algorithmic learning in a random world, 2005 (conformal prediction)
Vovk, Conditional validity of inductive conformal predictors, 2012 / https://proceedings.mlr.press/v25/vovk12.html
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from given.variables import UserError
from given.ways import way

__all__ = ["FalseAlarms"]

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class FalseAlarms:
    """Scores of normal rows held out, and the rate at which such rows may be flagged.

    Args:
        held: (n,) scores, rising.
        rate: wanted, above 0 and below 1.

    Raises:
        UserError: too few rows for so low a rate.
    """

    held: np.ndarray
    rate: float

    def __post_init__(self) -> None:
        n, needed = len(self.held), int(np.ceil(1 / self.rate - 1e-9)) - 1 if 0 < self.rate < 1 else 0
        option = way("rate=", "--false-alarms ")
        if not 0 < self.rate < 1:
            raise UserError(f"{option}{self.rate:g}; expected a rate between 0 and 1, as 0.01")
        if n < needed:
            more = way("a larger part held out", "--held-out 0.5")
            raise UserError(f"{option}{self.rate:g} needs {needed:,} normal rows held out, and there are {n:,}; ask for "
                            f"{1 / (n + 1):.2g} or more, or learn from more rows, or with {more}")

    @property
    def beyond(self) -> int:
        """k: rows are flagged whose score is above the k-th highest of those held out, or it is the highest."""
        return int(np.floor(self.rate * (len(self.held) + 1) + 1e-9))

    @property
    def threshold(self) -> float:
        """The score above which rows are flagged."""
        return float(self.held[len(self.held) - self.beyond])

    @property
    def at_most(self) -> float:
        """The share of normal rows flagged, at most, with a confidence of 95 %: the quantile of the beta distribution."""
        from scipy.special import betaincinv

        return float(betaincinv(self.beyond, len(self.held) + 1 - self.beyond, _CONFIDENCE))

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """(m,) of scores (m,)."""
        n = len(self.held)
        return np.asarray((1 + n - np.searchsorted(self.held, scores, side="left")) / (n + 1))

    def __str__(self) -> str:
        share, bound, n = 100 * self.rate, 100 * self.at_most, len(self.held)
        return (f"score above {self.threshold:.6g}: of rows like those learned from at most {share:.3g} % are flagged on "
                f"average, and with 95 % confidence at most {bound:.3g} % ({n:,} of them held out)")
