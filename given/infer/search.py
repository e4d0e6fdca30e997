"""Search: ways to draw that look ahead, for the most probable texts or for the same draws in fewer passes."""

from __future__ import annotations

import math
from typing import Any

import torch

from given.conditional import Conditional
from given.distributions import AcceptanceStats, BeamSearched, Sequential, SpeculativeSampling, check_open
from given.joint import Joint
from given.solve import How, Identity
from given.variables import Observed, UserError, shown

__all__ = ["Beam", "Speculative"]


class Beam(How):
    """The most probable texts in place of draws: k draws are the k best of `width` beams, the best first.

    Args:
        width: how many beams are followed at once, from 1.
        alpha: texts are ranked by log p / ((5 + length) / 6)^alpha; 0 by log p alone, which favours short ones.
    """

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
        return BeamSearched(distribution, self.width, self.alpha) if isinstance(distribution, Sequential) else distribution


class Speculative(How):
    """The same draws in fewer passes: a cheap model guesses some entries ahead, and the distribution reads them all at once.

    Args:
        draft: a model or a family of the same variable, given some of the same parents, or its distribution.
        ahead: how many entries are guessed at a time, from 1.

    Attributes:
        tally: how many guesses were judged and kept in all draws so far, and the passes of the distribution.
    """

    def __init__(self, draft: Any, ahead: int = 4) -> None:
        if not isinstance(ahead, int) or isinstance(ahead, bool) or ahead < 1:
            raise UserError(f"Speculative: expected a whole number of guesses from 1, got {shown(ahead)}")
        draft = getattr(draft, "joint", draft)  # of a model
        if not isinstance(draft, Conditional | Sequential):
            found = list(draft) if isinstance(draft, Joint) else []
            if len(found) != 1 or not isinstance(found[0], Conditional):
                raise UserError("Speculative: expected a draft that is a model of one factor, a family or a distribution, got "
                                f"{draft}")
            draft = found[0]
        self.draft, self.ahead, self.tally = draft, ahead, AcceptanceStats()

    def __repr__(self) -> str:
        return f"Speculative({self.draft}, ahead={self.ahead})"

    @property
    def rate(self) -> float:
        """The share of guesses that were kept in all draws so far; NaN before any."""
        return self.tally.kept / self.tally.judged if self.tally.judged else math.nan

    def of(self, variable: Any, y: Any = None) -> How:
        if not isinstance(self.draft, Conditional) or y is None:
            return self
        if self.draft.x.name != variable.name or self.draft.x.space != variable.space:
            return Identity()
        absent = [v.name for v in self.draft.parents if v.name not in y]
        if absent:
            raise UserError(f"Speculative: the draft is given {absent[0]}, which {variable.name} is not; leave it out")
        told = Speculative(self._distribution(Observed({v.name: y[v.name] for v in self.draft.parents}, y.n)), self.ahead)
        told.tally = self.tally
        return told

    def _distribution(self, y: Observed) -> Sequential:
        with torch.no_grad():
            distribution = self.draft.eval()(y)
        if not isinstance(distribution, Sequential):
            raise UserError(f"Speculative: expected a draft that draws entry by entry, got {self.draft}; use NGram or "
                            "Autoregressive")
        return distribution

    def __call__(self, distribution: Any) -> Any:
        if not isinstance(distribution, Sequential):
            return distribution
        draft = self.draft if isinstance(self.draft, Sequential) else self._distribution(Observed(n=distribution.n))
        return SpeculativeSampling(distribution, draft, self.ahead, self.tally)
