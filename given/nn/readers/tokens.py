"""Tokens: every entry a token, by a small transformer: texts, and whatever is short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.readers.features import Features, Symbol
from given.nn.readers.reader import Among, Cells, Read, Reader, Role, seen_cells
from given.variables import Entries, Finite, Product, Space, UserError

__all__ = ["Tokens", "last_of", "rounded"]

_TOGETHER = 4


@dataclass(frozen=True)
class Tokens(Reader):
    """Every entry a token: its value, its place from the first and from the last entry, then self-attention.

    Args:
        layers: of self-attention.
        dropout: probability, while training.
    """

    layers: int = 1
    dropout: float = 0.1
    reads: ClassVar[str] = "entries on a grid, one by one"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers("Tokens", self.layers, self.dropout)

    def fits(self, space: Space) -> bool:
        return not isinstance(space, Product) and bool(space.axes)

    def build(self, space: Space, width: int, role: Role) -> Read:
        return _Tokens(space, width, self.layers, self.dropout, trims=role != "aligned")


def check_layers(who: str, layers: int, dropout: float) -> None:
    """Raise `UserError` at a number of layers or a dropout that is none."""
    if not isinstance(layers, int) or layers < 0 or not 0 <= dropout < 1:
        raise UserError(f"{who}: layers={layers!r}, dropout={dropout!r}; expected a whole number from 0 and a probability "
                        "below 1")


class _Tokens(Read):
    def __init__(self, space: Space, width: int, layers: int, dropout: float, trims: bool) -> None:
        super().__init__()
        self.trims, M = trims, space.dimensions
        self.cells = (M,)
        self.value: nn.Module
        if isinstance(space, Finite) and not space.ordered:
            self.value = Symbol(space, width)
        else:
            features = Features(space)
            self.value = nn.Sequential(features, nn.Linear(features.size, width))
        self.first, self.last = (nn.Parameter(torch.randn(M, width) * 0.5) for _ in range(2))
        self.among = Among(width, layers, dropout)

    def forward(self, x: Entries) -> Cells:
        valid: Tensor = x.valid.reshape(len(x), -1)  # type: ignore[union-attr]
        if self.trims:  # up to the last place that any row has
            if x.extent is None and x.complete:
                _ = x.reach
            valid = valid[:, :last_of(valid) if x.extent is None else rounded(x.extent, valid.shape[1])]
        M = valid.shape[1]
        there = seen_cells(valid, x.scored)
        from_last = (there.sum(1, keepdim=True) - 1 - torch.arange(M, device=there.device)).clamp(min=0)
        flat = x.map(lambda t: t.reshape(len(x), -1)[:, :M])
        return Cells(self.among(self.value(flat) + self.first[:M] + F.embedding(from_last, self.last), there), there)


def last_of(valid: Tensor) -> int:
    """How many of the places (B, D) reach to the last that holds anything in any row: what lies beyond is padding in all of
    them and need not be worked out. Rounded up, for every new shape costs the making of its kernels."""
    places = valid.any(0).nonzero()
    return rounded(int(places[-1]) + 1 if len(places) else 1, valid.shape[1])


def rounded(places: int, most: int) -> int:
    """So many places, up to a whole number of those that go together."""
    return min(-(-max(1, places) // _TOGETHER) * _TOGETHER, most)
