"""Features: an entry as numbers, and whether it is seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.symbol_vectors import SymbolVectors
from given.variables import Entries, Finite, Real, Space

__all__ = ["Features", "Symbol"]

_LISTED = 64  # symbols, up to which each has an input of its own
_WIDTH = 32  # numbers of a vector, where there are more


class Features(nn.Module):
    """Entries as numbers (B, *grid, F). Of a symbol, which it is and whether it is unseen, as a learned vector where
    there are many; of others the level or value, whether it is seen, and which atom a real is.

    Args:
        space: of the entries.
        frequencies: of sines and cosines of the level or value, in radians a unit.
    """

    def __init__(self, space: Space, frequencies: tuple[float, ...] = ()) -> None:
        super().__init__()
        self.symbols = space.size if isinstance(space, Finite) and not space.ordered else 0
        self.top = max(space.size - 1, 1) if isinstance(space, Finite) else None
        self.atoms = space.atoms if isinstance(space, Real) else ()
        self.frequencies = () if self.symbols else frequencies
        self.table = nn.Parameter(torch.randn(self.symbols + 1, _WIDTH)) if self.symbols >= _LISTED else None
        self.register_buffer("zero", torch.zeros(()), persistent=False)  # of the type of the weights beside it
        self.size = self.count(space) + 2 * len(self.frequencies)

    @staticmethod
    def count(space: Space) -> int:
        """F without frequencies."""
        if isinstance(space, Finite) and not space.ordered:
            return space.size + 1 if space.size < _LISTED else _WIDTH
        return 2 + len(space.atoms if isinstance(space, Real) else ())

    def forward(self, x: Entries) -> Tensor:
        kind: torch.dtype = self.zero.dtype  # type: ignore[assignment]
        if self.symbols:
            symbol = torch.where(x.scored, x.tensor, self.symbols)
            return F.one_hot(symbol, self.symbols + 1).to(kind) if self.table is None else F.embedding(symbol, self.table)
        value = x.tensor * (2 / self.top) - 1 if self.top else x.tensor
        value = torch.where(x.scored, value, 0.0)
        at = [(x.tensor == atom) & x.scored for atom in self.atoms]
        waves = [wave(value * k) * x.scored for k in self.frequencies for wave in (torch.sin, torch.cos)]
        return torch.stack([t.to(kind) for t in (value, x.scored, *at, *waves)], -1)


class Symbol(nn.Module):
    """A symbol: a vector each, those of levels together, and one for the unseen: (B, *grid, C)."""

    def __init__(self, space: Finite, width: int) -> None:
        super().__init__()
        self.unseen, free = space.size, torch.randn(space.size + 1, width) * 0.5
        for first, beyond in space.levels:
            free[first:beyond] *= 0.1  # beside what they have together
        self.table = nn.Parameter(free) if not space.levels else None
        self.vectors = SymbolVectors(space, free, spread=0.2) if space.levels else None

    def forward(self, x: Entries) -> Tensor:
        table = self.table if self.vectors is None else self.vectors()
        assert table is not None
        return F.embedding(torch.where(x.scored, x.tensor, self.unseen), table)
