"""Convolutions: grids of one to three axes beside channels, at their own resolution or halved until cells are few; Pyramid: one
vector of all those cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.convolutional import ConvolutionalEncoder
from given.nn.dropout import Dropout
from given.nn.grid_cut import CONVOLUTIONS, axes_of
from given.nn.readers.features import Features
from given.nn.readers.reader import Cells, Read, Reader, Role, seen_cells
from given.nn.readers.tokens import check_layers
from given.variables import Entries, Product, Space, UserError

__all__ = ["Convolutions", "Pyramid"]

_MOST = 64  # cells


@dataclass(frozen=True)
class Convolutions(Reader):
    """Convolutions of three entries along every axis, and the place of what they come to.

    Args:
        layers: after every halving, or where there is none.
        halve: how often the grid is halved; by default not at all where cells are laid onto x's grid, else until there are 64
            cells at most.
        places: whether a cell has a vector for where it is; where none has, what is found is the same wherever it is.
        dropout: probability, after every layer while training.
    """

    layers: int = 1
    halve: int | None = None
    places: bool = True
    dropout: float = 0.0
    reads: ClassVar[str] = "grids of one to three axes beside channels"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1 or (self.halve is not None and self.halve < 0):
            raise UserError(f"Convolutions: layers={self.layers!r}, halve={self.halve!r}; expected layers from 1, and to halve "
                            "from 0 times")
        check_layers("Convolutions", self.layers, self.dropout)

    def fits(self, space: Space) -> bool:
        return not isinstance(space, Product) and 1 <= len(axes_of(space)[0]) <= 3

    def build(self, space: Space, width: int, role: Role) -> Read:
        size, halve = [space.shape[i] for i in axes_of(space)[0]], self.halve
        if halve is None:
            halve = 0
            while role != "aligned" and math.prod(-(-n // 2**halve) for n in size) > _MOST:
                halve += 1
        return _Convolutions(space, width, self.layers, halve, places=self.places, dropout=self.dropout)


class _Convolutions(Read):
    def __init__(self, space: Space, width: int, layers: int, halve: int, *, places: bool, dropout: float) -> None:
        super().__init__()
        self.drop = Dropout(dropout)
        self.features, self.halve = Features(space), halve
        self.rest, self.channels = axes_of(space)
        conv = CONVOLUTIONS[len(self.rest) - 1]
        depth = math.prod(space.shape[i] for i in self.channels) * self.features.size
        self.enter = conv(depth, width, 3, stride=2 if halve else 1, padding=1)
        self.layers = nn.ModuleList()
        for level in range(max(halve, 1)):
            if level:
                self.layers.append(conv(width, width, 3, stride=2, padding=1))
            self.layers += [conv(width, width, 3, padding=1) for _ in range(layers)]
        self.cells = tuple(-(-space.shape[i] // 2**halve) for i in self.rest)
        self.places = nn.ParameterList([nn.Parameter(torch.randn(n, width) * 0.5) for n in self.cells if places])

    def forward(self, x: Entries) -> Cells:
        K = len(self.rest)
        order = [0, *(i + 1 for i in self.channels), K + len(self.channels) + 1, *(i + 1 for i in self.rest)]
        h = self.enter(self.features(x).permute(order).flatten(1, len(order) - K - 1))
        for layer in self.layers:
            more = layer(self.drop(F.silu(h)))
            h = h + more if more.shape == h.shape else more
        h = h.movedim(1, -1)
        for k, places in enumerate(self.places):
            h = h + places.reshape(-1, *[1] * (K - 1 - k), h.shape[-1])
        there = seen_cells(self._there(x).flatten(1), x.scored)
        return Cells(h, there.unflatten(1, self.cells))

    def _there(self, x: Entries) -> Tensor:
        """(B, *cells): whether a cell lies over anything that is no padding."""
        K = len(self.rest)
        order = [0, *(i + 1 for i in self.rest), *(i + 1 for i in self.channels)]
        there = x.valid.permute(order)[..., None].flatten(K + 1).any(-1)  # type: ignore[union-attr]
        for _ in range(self.halve):
            for axis in range(1, K + 1):
                there = F.pad(there, [0, 0] * (K - axis) + [0, there.shape[axis] % 2])
                there = there.unflatten(axis, (-1, 2)).any(axis + 1)
        return there


@dataclass(frozen=True)
class Pyramid(Reader):
    """Convolutions that halve a grid until cells are few, and one vector of all cells, which knows what stands where.

    Args:
        width: channels at half the resolution; 2 and then 4 times as many at those below.
        blocks: of convolutions, at the coarsest.
    """

    width: int = 32
    blocks: int = 1
    reads: ClassVar[str] = "grids of one to three axes beside channels"
    natural: ClassVar[Role] = "pooled"

    def fits(self, space: Space) -> bool:
        return not isinstance(space, Product) and 1 <= len(axes_of(space)[0]) <= 3

    def build(self, space: Space, width: int, role: Role) -> Read:
        return _Pyramid(space, width, partial(ConvolutionalEncoder, width=self.width, blocks=self.blocks))


class _Pyramid(Read):
    def __init__(self, space: Space, width: int, net: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.features = Features(space)
        self.net = net(space, self.features.size, 0, width)

    def forward(self, x: Entries) -> Cells:
        return Cells(self.net(self.features(x)))
