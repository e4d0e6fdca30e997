"""Reliance: how much of a score a condition is worth, by the test of the shuffled condition."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from given.distributions import Kind
from given.evaluate.score import weighted_mean

__all__ = ["Reliance"]

_SURE = 2.0  # standard errors


@dataclass(frozen=True)
class Reliance:
    """What log p(x | y) loses where a parent's values are shuffled among the rows, item by item.

    Attributes:
        factor: as it is printed.
        parent: whose values were shuffled.
        items: (n,) nats, log p of every item given its own value minus that given another row's.
        kind: of the two scores.
    """

    factor: str
    parent: str
    items: np.ndarray
    kind: Kind

    @property
    def value(self) -> float:
        """The mean over items."""
        return weighted_mean(self.items)[0]

    @property
    def error(self) -> float:
        """The standard error of the mean; nan where it has none."""
        return weighted_mean(self.items)[1]

    @property
    def used(self) -> bool:
        """Whether the loss is above two standard errors."""
        return self.value > _SURE * (0.0 if math.isnan(self.error) else self.error)

    def __str__(self) -> str:
        error = "" if math.isnan(self.error) else f" ± {self.error:.4f}"
        return (f"{self.factor} loses {self.value:.4f}{error} nats/item where {self.parent} is shuffled ({self.kind}; "
                f"n = {len(self.items):,}){'' if self.used else f': no use of {self.parent} is seen'}")
