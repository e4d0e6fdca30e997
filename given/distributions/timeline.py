"""Timeline: entries as moments of time by channels, whichever columns they are of.

Columns whose first axis is one axis have their n-th values at one moment. What else an entry has of places or channels makes it
another channel of that moment.
"""

from __future__ import annotations

from dataclasses import replace

from given.variables import Product, Real, Space, UserError, Variable
from given.ways import way

__all__ = ["Timeline"]


class Timeline:
    """Where the entries of a space stand.

    Args:
        x: one column, or several, whose first axis is one they share.
        who: the family that asks.

    Attributes:
        length: T, moments.
        channels: C, of a moment.
        order: the T C numbers of entries, moment by moment, of one the channels in the order of their columns.
        parts: the space of every channel's entry, a single one.

    Raises:
        UserError: there is no such axis, or its length is modelled.
    """

    def __init__(self, x: Variable, who: str) -> None:
        axes = [part.axes[:1] for _, part in x.space.parts]
        if not all(axes) or any(each != axes[0] for each in axes):
            python = ", ".join(f"{name!r}: Series(Number())" for name in x.columns)
            shell = " ".join(f"--as '{name}=Series(Number())'" for name in x.columns)
            raise UserError(f"{who}: {', '.join(x.columns)}: expected a series, values along one axis that all columns share, "
                            f"got {x.space}; pass {way(f'codecs={{{python}}}', shell)}, or use Autoregressive")
        if any(part.end is not None for _, part in x.space.parts):
            raise UserError(f"{who}: {x.name}: expected a length that comes with an item, got one that is modelled; pass "
                            f"Series(..., length='given'), or use Autoregressive")
        self.length, first = axes[0][0].size, 0
        at, self.parts = [list[int]() for _ in range(self.length)], list[Space]()
        for _, part in x.space.parts:
            own = part.dimensions // max(1, self.length)
            for t, moment in enumerate(at):
                moment.extend(range(first + t * own, first + (t + 1) * own))
            first += part.dimensions
            self.parts += [_single(part)] * own
        self.channels, self.order = len(self.parts), [entry for moment in at for entry in moment]

    @property
    def shape(self) -> tuple[int, int]:
        """(T, C)."""
        return self.length, self.channels

    @property
    def reals(self) -> list[int]:
        """The channels of real numbers; the others are of symbols."""
        return [c for c, part in enumerate(self.parts) if isinstance(part, Real)]


def _single(part: Space) -> Space:
    assert not isinstance(part, Product)
    return replace(part, axes=())
