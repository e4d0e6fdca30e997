"""GridCut: a grid as equal pieces, each a cell, and back.

An axis of channels is in every piece whole. A grid that its pieces do not fill is filled up with zeros, and what stands there
is thrown away on the way back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.variables import Space, UserError

__all__ = ["CONVOLUTIONS", "GridCut", "axes_of", "check_places", "laid"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)  # of one to three axes of places


def axes_of(space: Space) -> tuple[Sequence[int], Sequence[int]]:
    """The numbers of the axes of places or of time, and of those of channels."""
    channels = [i for i, axis in enumerate(space.axes) if axis.role == "channel"]
    return [i for i in range(len(space.axes)) if i not in channels], channels


def check_places(space: Space, who: str, most: int) -> int:
    """How many axes of places there are.

    Raises:
        UserError: none, or more than `most`.
    """
    axes = len(axes_of(space)[0])
    if not 1 <= axes <= most:
        raise UserError(f"{who}: expected a grid of 1 to {most} axes beside channels, got {space}; use FlatField")
    return axes


def laid(axes: nn.ParameterList) -> Tensor:
    """(P, C): a vector for the place on every axis, summed, from (n, C) of each."""
    total: Tensor = axes[0]
    for axis in list(axes)[1:]:
        total = (total[:, None] + axis).flatten(0, 1)
    return total


class GridCut:
    """How a grid is cut.

    Args:
        space: of the grid.
        sizes: of a piece, one for each axis that is not of channels; a longer one is cut to its axis.
        strides: from one piece's first entry to the next's; by default the sizes, so that no pieces overlap.

    Attributes:
        cells: how many pieces there are along each axis.
        held: numbers in a piece, for one feature an entry.
    """

    def __init__(self, space: Space, sizes: Sequence[int], strides: Sequence[int] | None = None) -> None:
        self.rest, self.channels = axes_of(space)
        lengths = [space.shape[i] for i in self.rest]
        self.sizes = [min(size, n) for size, n in zip(sizes, lengths, strict=True)]
        self.strides = [min(stride, size) for stride, size in zip(strides or sizes, self.sizes, strict=True)]
        self.cells = tuple(-(-(n - size) // stride) + 1
                           for n, size, stride in zip(lengths, self.sizes, self.strides, strict=True))
        self.held = math.prod(self.sizes) * math.prod(space.shape[i] for i in self.channels)

    def pieces(self, x: Tensor) -> Tensor:
        """x (N, *grid, F) -> (N, P, numbers of a piece)."""
        K = len(self.rest)
        x = x.permute(0, *(i + 1 for i in self.rest), *(i + 1 for i in self.channels), x.dim() - 1).flatten(K + 1)
        for k, (count, size, stride) in enumerate(zip(self.cells, self.sizes, self.strides, strict=True)):
            axis = 2 * k + 1
            spare = (count - 1) * stride + size - x.shape[axis]
            x = F.pad(x, [0, 0] * (x.dim() - axis - 1) + [0, spare]) if spare else x
            if stride < size:
                at = torch.arange(count, device=x.device)[:, None] * stride + torch.arange(size, device=x.device)
                x = x.index_select(axis, at.flatten())
            x = x.unflatten(axis, (count, size))
        x = x.permute(0, *range(1, 2 * K, 2), *range(2, 2 * K + 1, 2), 2 * K + 1)
        return x.reshape(len(x), math.prod(self.cells), -1)

    def whole(self, h: Tensor, grid: Sequence[int]) -> Tensor:
        """h (N, P, numbers of a piece) -> (N, *grid). Pieces do not overlap."""
        K, N = len(self.rest), len(h)
        h = h.reshape(N, *self.cells, *self.sizes, -1)
        h = h.permute(0, *(v for k in range(K) for v in (1 + k, 1 + K + k)), 2 * K + 1)
        h = h.reshape(N, *(n * p for n, p in zip(self.cells, self.sizes, strict=True)), -1)
        for axis, i in enumerate(self.rest):
            h = h.narrow(axis + 1, 0, grid[i])
        h = h.reshape(N, *(grid[i] for i in self.rest), *(grid[i] for i in self.channels))
        stands = [*self.rest, *self.channels]
        return h.permute(0, *(stands.index(i) + 1 for i in range(len(grid))))
