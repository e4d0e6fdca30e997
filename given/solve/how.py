"""How: a map from law to law that says how to draw, composed with a bar."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

__all__ = ["How"]


class How(abc.ABC):
    """A map from law to law; a law that it does not concern stays as it is. `A | B` applies A first."""

    @abc.abstractmethod
    def __call__(self, law: Any) -> Any:
        """The law to draw from instead."""

    def __or__(self, other: How) -> How:
        return _Both(self, other)


@dataclass(frozen=True)
class _Both(How):
    first: How
    second: How

    def __call__(self, law: Any) -> Any:
        return self.second(self.first(law))
