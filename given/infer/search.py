"""Search: ways to draw that look ahead, for the most probable texts."""

from __future__ import annotations

import math
from typing import Any

from given.distributions import BeamSearched, check_open, draws_symbols
from given.solve import How
from given.variables import UserError, shown

__all__ = ["Beam"]


class Beam(How):
    """The most probable texts in place of draws: k draws are the k best of `width` beams, the best first.

    Args:
        width: how many beams are followed at once, from 1.
        alpha: texts are ranked by log p / ((5 + length) / 6)^alpha; 0 by log p alone, which favours short ones.
    """

    concerns = "symbols that are drawn one after another, as those of a text"

    def __init__(self, width: int, alpha: float = 0.0) -> None:
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise UserError(f"Beam: expected a whole number of beams from 1, got {shown(width)}")
        if not isinstance(alpha, int | float) or not 0 <= alpha < math.inf:
            raise UserError(f"Beam: expected alpha to be a number from 0, got {shown(alpha)}")
        self.width, self.alpha = width, alpha

    def __repr__(self) -> str:
        return f"Beam({self.width}, alpha={self.alpha})"

    def __call__(self, distribution: Any) -> Any:
        check_open(distribution, "Beam")
        return BeamSearched(distribution, self.width, self.alpha) if draws_symbols(distribution) else distribution
