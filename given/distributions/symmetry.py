"""Symmetry: several chains drawn at once, each a turn of the one before.

A field that turns with the points carries a symmetric state to a symmetric one, so that noise which is begun symmetric, and
added so, becomes an assembly of symmetry C_n: copies of one chain about the third axis, equal to rounding. Where the chain lies
beside the axis is drawn with it. What was learned from single chains is used for several; it has no density of them.

Source: Watson et al., De novo design of protein structure and function with RFdiffusion, 2023 /
https://doi.org/10.1038/s41586-023-06415-8
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from given.distributions.continuous_flow import ContinuousFlow
from given.nn import ChainField
from given.solve import How
from given.variables import UserError
from given.ways import way

__all__ = ["Symmetry"]


@dataclass(frozen=True, repr=False)
class Symmetry(How):
    """Draw n chains in C_n symmetry, one after another in what comes back: (n length, 3).

    Args:
        copies: n, from 2.
    """

    copies: int
    concerns = "chains of points drawn by a field that turns with them, as ChainField"

    def __post_init__(self) -> None:
        if not isinstance(self.copies, int) or isinstance(self.copies, bool) or self.copies < 2:
            raise UserError(f"Symmetry: copies={self.copies!r}; expected a whole number from 2")

    def __repr__(self) -> str:
        return way(f"Symmetry(copies={self.copies})", f"--symmetry {self.copies}")

    def __call__(self, distribution: Any) -> Any:
        if not isinstance(distribution, ContinuousFlow) or not isinstance(distribution.field, ChainField):
            return distribution
        return distribution.symmetric(self.copies)
