"""ConvolutionalMap: what y has at x's entries -> numbers at x's entries, by convolutions at one resolution.

Blocks of two convolutions read cells of some entries along every axis, so that most of the work is done where there are few; a
layer that takes no part in them leads from every entry straight to what leaves it, so that blocks learn what no straight line
says. There is no norm and no vector of a place: what is learned at one place holds at all, and at any size.

Source: Kim, Lee, Lee, Accurate image super-resolution using very deep convolutional networks, 2016 / https://arxiv.org/abs/1511.04587
Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network, 2016 /
https://arxiv.org/abs/1609.05158
"""

from __future__ import annotations

import abc
import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.grid_cut import CONVOLUTIONS, GridCut, check_places
from given.nn.precision import in_sixteen_bits
from given.variables import Product, Space, UserError

__all__ = ["ConvolutionalMap", "Map", "reads_map"]


class Map(nn.Module, abc.ABC):
    """Abstract.

    Args:
        space: of x, a grid.
        context: C, the width of what y becomes.
        outputs: F, how many numbers an entry of x takes.
        roles: what y becomes beside a vector, `aligned`, `tokens` or both.
    """

    @abc.abstractmethod
    def forward(self, y: Condition) -> Tensor:
        """y of B rows -> (B, *grid, F)."""


class ConvolutionalMap(Map):
    """A map by convolutions.

    Args:
        space, context, outputs, roles: as of any map; one to three axes of places beside channels.
        width: channels.
        blocks: of two convolutions beside a shortcut.
        patch: entries along every axis of places that are one cell.
        still: whether it begins at zeros, as suits a change from what is most often right.

    Raises:
        UserError: x is no such grid, or no parent has a vector at its entries.
    """

    def __init__(self, space: Space, context: int, outputs: int, roles: Collection[str] = (), *, width: int = 48,
                 blocks: int = 3, patch: int = 2, still: bool = False) -> None:
        super().__init__()
        if isinstance(space, Product):
            raise UserError(f"ConvolutionalMap: expected a grid, got {space}; use MLP")
        if min(width, patch) < 1 or blocks < 0:
            raise UserError(f"ConvolutionalMap: width={width!r}, blocks={blocks!r}, patch={patch!r}; expected a width and a "
                            "patch from 1, and blocks from 0")
        K = check_places(space, "ConvolutionalMap", 3)
        if "aligned" not in roles:
            raise UserError(f"ConvolutionalMap: no parent has a vector at the entries of {space}; expected one on its axes, of "
                            "its or of another resolution; use ConvolutionalDecoder, or role='aligned' for its reader")
        if "tokens" in roles:
            raise UserError("ConvolutionalMap: attends to nothing, but a parent becomes tokens; pass role='pooled' for its "
                            "reader")
        self.shape, self.outputs = space.shape, outputs
        self.cut, conv = GridCut(space, [patch] * K), CONVOLUTIONS[K - 1]
        self.enter = conv(self.cut.held * context, width, 3, padding=1)
        self.pooled = nn.Linear(context, width)
        self.blocks = nn.ModuleList(nn.Sequential(*(conv(width, width, 3, padding=1) for _ in range(2))) for _ in range(blocks))
        self.leave = conv(width, self.cut.held * outputs, 3, padding=1)
        self.straight = nn.Linear(context, outputs)
        for layer in [self.leave, *(block[1] for block in self.blocks)]:  # type: ignore[index]
            nn.init.zeros_(layer.weight)
        if still:
            nn.init.zeros_(self.straight.weight)
            nn.init.zeros_(self.straight.bias)

    def forward(self, y: Condition) -> Tensor:
        assert y.aligned is not None
        there = y.aligned.unflatten(1, self.shape)
        h = self.enter(self.cut.pieces(there).unflatten(1, self.cut.cells).movedim(-1, 1))
        h = h + self.pooled(y.pooled).reshape(len(h), -1, *[1] * (h.dim() - 2))
        for block in self.blocks:
            h = h + block[1](F.relu(block[0](F.relu(h))))  # type: ignore[index]
        found = self.leave(F.relu(h)).movedim(1, -1).flatten(1, -2)
        found = found.unflatten(-1, (-1, self.outputs))
        each = torch.stack([self.cut.whole(part, self.shape) for part in found.unbind(-1)], -1)
        with in_sixteen_bits(each.device, enabled=False):
            return each.float() + self.straight(there.float())


def reads_map(net: Callable[..., Any]) -> bool:
    """Whether `net` builds a map: what reads vectors of y at x's entries, and no x."""
    made = net.func if isinstance(net, functools.partial) else net
    return inspect.isclass(made) and issubclass(made, Map)
