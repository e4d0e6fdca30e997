"""Latest: what a parent with an axis of channels behind x's axes shows last, such as the last frame of several."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from given.distributions.dequantised import middles
from given.variables import Entries, Finite, Real, UserError, Variable

__all__ = ["latest", "showing"]


def showing(family: str, x: Variable, parents: Sequence[Variable], of: str) -> Real | Finite:
    """The space of the parent that shows.

    Args:
        family: who asks.
        x: on whose axes it shows.
        parents: among which it is.
        of: its name.

    Raises:
        UserError: it is no parent, or one of other axes, of symbols, or without channels behind.
    """
    space = next((v.space for v in parents if v.name == of), None)
    fits = isinstance(space, Real) or (isinstance(space, Finite) and space.ordered)
    if not isinstance(space, Real | Finite) or not fits or space.axes[:-1] != getattr(x.space, "axes", None):
        raise UserError(f"{family}: {x.name}: of={of!r}; expected a parent of reals or levels on {x.space}, and an axis of "
                        "channels behind")
    return space


def latest(shown: Entries, space: Real | Finite) -> Tensor:
    """(B, *grid) float64 the last of (B, *grid, K): reals, or middles of levels in [-1, 1]; zero where it is unseen."""
    last = shown.map(lambda v: v[..., -1])
    values = middles(last, space).tensor if isinstance(space, Finite) else last.tensor.double()
    return values.masked_fill(~last.readable, 0.0)
