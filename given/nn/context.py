"""Context: y as a vector a network can use.

Every parent becomes a vector (B, C) and these are summed, with one that is always there. An unseen parent becomes its
learned null, so any condition may be dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.variables import Entries, Finite, Observed, Product, Space, Variable

__all__ = ["Context"]


class Context(nn.Module):
    """Parents -> (B, C).

    Args:
        parents: the variables of y.
        width: C.
    """

    def __init__(self, parents: Sequence[Variable], width: int) -> None:
        super().__init__()
        self.parents = tuple(parents)
        self.width = width
        self.always = nn.Parameter(torch.zeros(width))
        self.parts = nn.ModuleDict({str(i): _part(v.space, width) for i, v in enumerate(self.parents)})

    def forward(self, y: Observed) -> Tensor:
        """(B, C)."""
        pooled = self.always.expand(y.n, self.width)
        for i, v in enumerate(self.parents):
            pooled = pooled + self.parts[str(i)](y[v.name].to(pooled.device))
        return pooled


def _part(space: Space, width: int) -> nn.Module:
    if isinstance(space, Product):
        return _Columns({name: _part(column, width) for name, column in space.columns})
    return _Symbols(space, width) if isinstance(space, Finite) and not space.ordered else _Levels(space, width)


class _Symbols(nn.Module):
    """Unordered symbols: a vector a symbol and place, one more for the unseen; summed, then mixed if there are many."""

    def __init__(self, space: Finite, width: int) -> None:
        super().__init__()
        self.symbols, D = space.size + 1, space.dimensions
        self.table = nn.Parameter(torch.randn(D * self.symbols, width) * 0.5 / D**0.5)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(width, width)) if D > 1 else nn.Identity()

    def forward(self, x: Entries) -> Tensor:
        symbol = torch.where(x.known, x.tensor, self.symbols - 1).reshape(len(x), -1)
        symbol = symbol + torch.arange(symbol.shape[1], device=symbol.device) * self.symbols
        return self.mix(F.embedding_bag(symbol, self.table, mode="sum"))


class _Levels(nn.Module):
    """Reals and ordered levels: value and whether it was seen, through two layers."""

    def __init__(self, space: Space, width: int) -> None:
        super().__init__()
        self.top = max(space.size - 1, 1) if isinstance(space, Finite) else None
        self.layers = nn.Sequential(nn.Linear(2 * space.dimensions, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Entries) -> Tensor:
        value = x.tensor * (2 / self.top) - 1 if self.top else x.tensor
        known = x.known.reshape(len(x), -1)
        value = torch.where(known, value.reshape(len(x), -1), 0.0).to(self.layers[0].weight.dtype)  # type: ignore[arg-type]
        return self.layers(torch.cat([value, known.to(value.dtype)], -1))


class _Columns(nn.Module):
    """A block: its columns' vectors, summed."""

    def __init__(self, columns: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = list(columns)
        self.parts = nn.ModuleDict({str(i): part for i, part in enumerate(columns.values())})

    def forward(self, x: Entries) -> Tensor:
        columns = x.columns
        return torch.stack([self.parts[str(i)](columns[name]) for i, name in enumerate(self.names)]).sum(0)
