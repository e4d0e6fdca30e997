"""Order: in which order the entries of a grid are drawn. Half of an autoregressive design; the net is the other."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from given.variables import UserError

__all__ = ["Fixed", "Order", "Raster", "Reverse", "coordinates"]


class Order(abc.ABC):
    """An order of the entries of a grid."""

    @abc.abstractmethod
    def permutation(self, shape: Sequence[int]) -> Tensor:
        """(D,) int64: which entry of the grid, numbered row by row, is drawn at step 0, 1, ..."""


@dataclass(frozen=True)
class Raster(Order):
    """Row by row from the first entry, the last axis fastest.

    >>> Raster().permutation((2, 3)).tolist()
    [0, 1, 2, 3, 4, 5]
    """

    def permutation(self, shape: Sequence[int]) -> Tensor:
        return torch.arange(math.prod(shape))


@dataclass(frozen=True)
class Reverse(Order):
    """`Raster` backwards.

    >>> Reverse().permutation((2, 2)).tolist()
    [3, 2, 1, 0]
    """

    def permutation(self, shape: Sequence[int]) -> Tensor:
        return torch.arange(math.prod(shape)).flip(0)


@dataclass(frozen=True)
class Fixed(Order):
    """Any one order.

    Args:
        entries: the entries of the grid, numbered row by row, in the order of drawing.
    """

    entries: tuple[int, ...]

    def permutation(self, shape: Sequence[int]) -> Tensor:
        if sorted(self.entries) != list(range(math.prod(shape))):
            raise UserError(f"Fixed: expected each of 0 to {math.prod(shape) - 1} once, got {len(self.entries)} entries")
        return torch.tensor(self.entries)


def coordinates(shape: Sequence[int], permutation: Tensor) -> Tensor:
    """(D, A) int64: the place on the grid, axis by axis, of the entry drawn at each step."""
    grid = torch.cartesian_prod(*(torch.arange(size) for size in shape)) if shape else torch.zeros(1, 0, dtype=torch.int64)
    return grid.reshape(len(permutation), len(shape))[permutation]
