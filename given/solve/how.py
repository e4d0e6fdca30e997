"""How: a map from distribution to distribution by which it is drawn, composed with a bar."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from given.variables import UserError

__all__ = ["How", "Identity", "Watched"]


class How(abc.ABC):
    """A map from distribution to distribution; a distribution that it does not concern comes back as the same object. `A | B`
    applies A first.

    Attributes:
        concerns: the distributions it is of, for messages.
        idle: whether it may concern none of those that are drawn from.
    """

    concerns = "other distributions"
    idle = False

    @abc.abstractmethod
    def __call__(self, distribution: Any) -> Any:
        """The distribution to draw from instead."""

    def of(self, variable: Any, y: Any = None) -> How:
        """The same for the distribution of a variable, whose codec knows its symbols, and the values of its parents."""
        return self

    def __or__(self, other: How) -> How:
        return _Both(self, other)


@dataclass(frozen=True, repr=False)
class _Both(How):
    first: How
    second: How

    def __repr__(self) -> str:
        return f"{self.first!r} | {self.second!r}"

    def __call__(self, distribution: Any) -> Any:
        return self.second(self.first(distribution))

    def of(self, variable: Any, y: Any = None) -> How:
        return _Both(self.first.of(variable, y), self.second.of(variable, y))


class Identity(How):
    """The distribution as it is: what a how is of a variable that it does not concern."""

    def __call__(self, distribution: Any) -> Any:
        return distribution


class Watched(How):
    """A how, part by part, that remembers which of its parts have changed a distribution.

    Args:
        how: one, or several composed.
    """

    def __init__(self, how: How) -> None:
        self.whole = how
        self.parts = list(_parts(how))
        self.changed = [False] * len(self.parts)

    def __repr__(self) -> str:
        return repr(self.whole)

    def __call__(self, distribution: Any) -> Any:
        for i, part in enumerate(self.parts):
            before, distribution = distribution, part(distribution)
            self.changed[i] |= distribution is not before
        return distribution

    def of(self, variable: Any, y: Any = None) -> How:
        twin = Watched(self.whole)
        twin.parts, twin.changed = [part.of(variable, y) for part in self.parts], self.changed
        return twin

    def check(self, what: str) -> None:
        """Raise `UserError` where a part has changed no distribution of all that was drawn."""
        for part, changed in zip(_parts(self.whole), self.changed, strict=True):
            if not changed and not part.idle:
                raise UserError(f"{what}: {part!r} concerns nothing that is drawn; it is of {part.concerns}; leave it out")


def _parts(how: How) -> Iterator[How]:
    if isinstance(how, _Both):
        yield from _parts(how.first)
        yield from _parts(how.second)
    else:
        yield how
