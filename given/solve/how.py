"""How: a map from distribution to distribution that says how to draw, composed with a bar."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

__all__ = ["How", "Identity"]


class How(abc.ABC):
    """A map from distribution to distribution; a distribution that it does not concern stays as it is. `A | B` applies A
    first."""

    @abc.abstractmethod
    def __call__(self, distribution: Any) -> Any:
        """The distribution to draw from instead."""

    def of(self, variable: Any, y: Any = None) -> How:
        """The same, told whose distribution is drawn from: the variable, with what its symbols are, and the values of its
        parents."""
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
