"""Readers that cut a grid in equal pieces, each a cell: pictures by patches, series by windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from given.nn.grid_cut import GridCut, axes_of
from given.nn.readers.features import Features
from given.nn.readers.reader import Among, Cells, Read, Reader, Role, seen_cells
from given.nn.readers.tokens import check_layers
from given.variables import Entries, Product, Space, UserError

__all__ = ["Patches", "Windows"]


@dataclass(frozen=True)
class Patches(Reader):
    """Pictures, volumes, films: patches of a grid, each with its place on every axis, then self-attention.

    Args:
        side: of a patch, along every axis that is not of channels, or one each.
        layers: of self-attention.
        dropout: probability, while training.

    Source: Dosovitskiy et al., An image is worth 16x16 words, 2020 / https://arxiv.org/abs/2010.11929
    """

    side: int | tuple[int, ...] = 4
    layers: int = 1
    dropout: float = 0.1
    reads: ClassVar[str] = "grids of two axes and more beside channels"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers("Patches", self.layers, self.dropout)
        each = (self.side,) if isinstance(self.side, int) else tuple(self.side)
        if not each or not all(isinstance(s, int) and s >= 1 for s in each):
            raise UserError(f"Patches: side={self.side!r}; expected a whole number from 1, or one for each axis")

    def fits(self, space: Space) -> bool:
        rest = [] if isinstance(space, Product) else axes_of(space)[0]
        return len(rest) > 1 and (isinstance(self.side, int) or len(self.side) == len(rest))

    def build(self, space: Space, width: int, role: Role) -> Read:
        K = len(axes_of(space)[0])
        sides = [self.side] * K if isinstance(self.side, int) else self.side
        return _Cut(space, width, sides, sides, self.layers, self.dropout)


@dataclass(frozen=True)
class Windows(Reader):
    """Series: windows of one axis, which may overlap, each with its place, then self-attention.

    Args:
        size: of a window.
        stride: from one window's first entry to the next's, at most the size; by default the size.
        layers: of self-attention.
        dropout: probability, while training.
    """

    size: int = 8
    stride: int | None = None
    layers: int = 1
    dropout: float = 0.1
    reads: ClassVar[str] = "grids of one axis beside channels"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers("Windows", self.layers, self.dropout)
        if self.size < 1 or (self.stride is not None and not 1 <= self.stride <= self.size):
            raise UserError(f"Windows: size={self.size!r}, stride={self.stride!r}; expected a stride from 1 to the size")

    def fits(self, space: Space) -> bool:
        return not isinstance(space, Product) and len(axes_of(space)[0]) == 1

    def build(self, space: Space, width: int, role: Role) -> Read:
        return _Cut(space, width, [self.size], [self.stride or self.size], self.layers, self.dropout)


class _Cut(Read):
    """Pieces of a grid; one that it does not fill is filled up with padding."""

    def __init__(self, space: Space, width: int, sizes: Sequence[int], strides: Sequence[int], layers: int,
                 dropout: float) -> None:
        super().__init__()
        self.features = Features(space)
        self.cut = GridCut(space, sizes, strides)
        self.cells = self.cut.cells
        self.enter = nn.Linear(self.cut.held * self.features.size, width)
        self.places = nn.ParameterList([nn.Parameter(torch.randn(n, width) * 0.5) for n in self.cells])
        self.among = Among(width, layers, dropout)

    def forward(self, x: Entries) -> Cells:
        h = self.enter(self.cut.pieces(self.features(x)))
        total: Tensor = self.places[0]
        for axis in list(self.places)[1:]:
            total = (total[:, None] + axis[None]).flatten(0, 1)
        there = seen_cells(self.cut.pieces(x.valid[..., None]).any(-1), x.scored)  # type: ignore[index]
        h = self.among(h + total, there)
        return Cells(h.unflatten(1, self.cells), there.unflatten(1, self.cells))
