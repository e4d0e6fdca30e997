"""Painted: the items of a set, each laid over the cells between its edges: boxes, where a picture is to be drawn.

A cell takes the sum of what the items make of it that cover it: a function of the item's other fields, of where between its
edges the cell lies, and of how far apart these are.

Source: Zhao, Meng, Yin, Sigal, Image generation from layout, 2018 / https://arxiv.org/abs/1811.11389
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.readers.reader import Cells, Read, Reader, Role
from given.variables import Entries, Finite, Space, UserError, counted, most_items

__all__ = ["Painted"]

_BEYOND = 1.3  # half-widths from the middle that an item is laid over: shadows and edges are beyond its edges
_FEATURES = 6  # of a place between two edges


@dataclass(frozen=True)
class Painted(Reader):
    """Items of a set on a grid of cells.

    Args:
        cells: how many there are along each axis.
        edges: for each of these axes, which fields of an item, from 0, are its lower and its upper edge. The bins of a field
            divide the axis from end to end, so let a codec range over it, as `Set(ranges=(0, 32))` does.
    """

    cells: tuple[int, ...] = (32, 32)
    edges: tuple[tuple[int, int], ...] = ((2, 4), (1, 3))
    reads: ClassVar[str] = "sets of items with edges along each axis"
    natural: ClassVar[Role] = "aligned"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.cells) != len(self.edges) or min(self.cells, default=0) < 1:
            raise UserError(f"Painted: cells={self.cells}, edges={self.edges}; expected cells from 1, and two fields, "
                            "for every axis")

    def fits(self, space: Space) -> bool:
        return isinstance(space, Finite) and all(
            0 <= f < len(space.pattern) and space.pattern[f] in space.levels for pair in self.edges for f in pair)

    def build(self, space: Space, width: int, role: Role) -> Read:
        assert isinstance(space, Finite)
        return _Painted(space, width, self.cells, self.edges)


class _Painted(Read):
    def __init__(self, space: Finite, width: int, cells: tuple[int, ...], edges: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.space, self.cells, self.edges = space, cells, edges
        edging = {f for pair in edges for f in pair}
        self.others = [i for i in range(len(space.pattern)) if i not in edging]
        self.value = nn.Embedding(space.size, 2 * width)
        self.along = nn.ModuleList(nn.Linear(_FEATURES, 2 * width) for _ in cells)
        self.out = nn.Linear(2 * width, width)
        self.null = nn.Parameter(torch.randn(width) * 0.5)

    def forward(self, x: Entries) -> Cells:
        B, k, most = len(x), len(self.space.pattern), most_items(self.space)
        seen = x.scored.any(1)
        items = x.tensor[:, :most * k].long().reshape(B, most, k)
        there = (torch.arange(most, device=items.device) < counted(x, self.space)[:, None]) & seen[:, None]
        axes = len(self.cells)
        h = sum((self.value(items[..., f]) for f in self.others), torch.zeros(B, most, self.value.embedding_dim,
                                                                             device=items.device))
        h = h.reshape(B, most, *[1] * axes, -1)
        cover = there.reshape(B, most, *[1] * axes)
        for axis, (n, pair) in enumerate(zip(self.cells, self.edges, strict=True)):
            low, high = (self._share(items[..., f], f)[..., None] for f in pair)
            middle, half = (low + high) / 2, ((high - low) / 2).clamp(min=0.5 / n)
            u = ((torch.arange(n, device=items.device) + 0.5) / n - middle) / half  # (B, most, n)
            shape = [B, most, *[1] * axis, n, *[1] * (axes - 1 - axis)]
            cover = cover & (u.abs() <= _BEYOND).reshape(shape)
            near = u.clamp(-2 * _BEYOND, 2 * _BEYOND)
            each = torch.stack([near, near**2, (3 * near).sin(), (3 * near).cos(), 4 * half.expand_as(u), near * half * 4], -1)
            h = h + self.along[axis](each).reshape(*shape, -1)
        laid = (F.gelu(h) * cover[..., None]).sum(1)  # (B, *cells, 2 C)
        return Cells(self.out(laid) + (~seen).reshape(B, *[1] * axes, 1) * self.null)

    def _share(self, symbols: Tensor, field: int) -> Tensor:
        """Where the middle of a bin lies between the ends of its field, 0 to 1."""
        first, beyond = self.space.pattern[field]
        return (symbols - first + 0.5).clamp(0, beyond - first) / (beyond - first)
