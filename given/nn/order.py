"""Order: in which order the entries are drawn. Half of an autoregressive design; the net is the other."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from given.variables import Product, Space, UserError

__all__ = ["AnyOrder", "Fixed", "Order", "Raster", "Reverse", "places"]


class Order(abc.ABC):
    """An order of the entries of a space, numbered row by row, the columns of a block one after another."""

    learns_all = False  # whether every order is learned, so that whatever is known can come first

    @abc.abstractmethod
    def permutation(self, D: int) -> Tensor:
        """(D,) int64: which of D entries is drawn at step 0, 1, ..."""


@dataclass(frozen=True)
class Raster(Order):
    """Row by row from the first entry, the last axis fastest.

    >>> Raster().permutation(6).tolist()
    [0, 1, 2, 3, 4, 5]
    """

    def permutation(self, D: int) -> Tensor:
        return torch.arange(D)


@dataclass(frozen=True)
class Reverse(Order):
    """`Raster` backwards.

    >>> Reverse().permutation(4).tolist()
    [3, 2, 1, 0]
    """

    def permutation(self, D: int) -> Tensor:
        return torch.arange(D).flip(0)


@dataclass(frozen=True)
class Fixed(Order):
    """Any one order.

    Args:
        entries: the entries' numbers in the order of drawing.
    """

    entries: tuple[int, ...]

    def permutation(self, D: int) -> Tensor:
        if sorted(self.entries) != list(range(D)):
            raise UserError(f"Fixed: expected each of 0 to {D - 1} once, got {len(self.entries)} entries")
        return torch.tensor(self.entries)


@dataclass(frozen=True)
class AnyOrder(Order):
    """Every order, drawn anew for every row while learning. Whole items are drawn and scored row by row; where part of an item
    is known, that part comes first.

    Source: Uria, Murray, Larochelle, A deep and tractable density estimator, 2014 / https://arxiv.org/abs/1310.1757
    """

    learns_all = True

    def permutation(self, D: int) -> Tensor:
        return torch.arange(D)


def places(space: Space) -> Tensor:
    """(D, A) int64: the place of every entry on its grid, axis by axis; in a block, its number."""
    if isinstance(space, Product):
        return torch.arange(space.dimensions)[:, None]
    grid = [torch.arange(size) for size in space.shape]
    return torch.cartesian_prod(*grid).reshape(space.dimensions, -1) if grid else torch.zeros(1, 0, dtype=torch.int64)
