"""Order: in which order the entries are drawn. Half of an autoregressive design; the net is the other.

An order is an ordered partition of the entries: it gives every entry the step at which it is drawn. Entries of one step are
independent given those of the steps before.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from given.variables import Axis, Product, Space, UserError

__all__ = ["AnyOrder", "ColumnMajor", "FixedOrder", "Grid", "Order", "Raster", "Reverse", "Wavefront", "places", "together"]


class Order(abc.ABC):
    """An order of the entries of a space, numbered row by row, the columns of a block one after another."""

    learns_all = False  # whether every order is learned, so that whatever is known can come first
    average = 1  # of how many orders a distribution is the mixture

    @abc.abstractmethod
    def steps(self, space: Space) -> Tensor:
        """(D,) int64: the step at which each entry is drawn, every number from 0 to the last used.

        Raises:
            UserError: it is no order of such a space.
        """


@dataclass(frozen=True)
class Raster(Order):
    """Row by row from the first entry, the last axis fastest; of columns that share their first axis, such as series, what
    belongs together one column after another."""

    def steps(self, space: Space) -> Tensor:
        if together(space) is None:
            return torch.arange(space.dimensions)
        at = places(space)
        return (at[:, 0] * space.dimensions + torch.arange(space.dimensions)).argsort(stable=True).argsort()


@dataclass(frozen=True)
class Reverse(Order):
    """`Raster` backwards."""

    def steps(self, space: Space) -> Tensor:
        return torch.arange(space.dimensions).flip(0)


@dataclass(frozen=True)
class ColumnMajor(Order):
    """Column by column: of the first two axes of a grid the first is the faster; the channels of a pixel stay together."""

    def steps(self, space: Space) -> Tensor:
        if len(space.axes) < 2:
            raise UserError(f"ColumnMajor: expected a grid of two axes or more, got {space}; use Raster")
        height, width, *rest = space.shape
        return torch.arange(space.dimensions).reshape(width, height, *rest).transpose(0, 1).reshape(-1)


@dataclass(frozen=True)
class Wavefront(Order):
    """Diagonals of a grid of two axes one after another: row i, column j at step slope i + j, all of one step at once.

    A 28 x 28 image takes 55 steps in place of 784; entries of a diagonal are independent given what lies before it. With slope
    2 the entry above and to the right lies before, too.

    Args:
        slope: from 1.
    """

    slope: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.slope, int) or isinstance(self.slope, bool) or self.slope < 1:
            raise UserError(f"Wavefront: slope={self.slope!r}; expected a whole number from 1")

    def steps(self, space: Space) -> Tensor:
        if len(space.axes) != 2:
            raise UserError(f"Wavefront: expected a grid of two axes, got {space}; use Raster")
        at = places(space)
        return torch.unique(self.slope * at[:, 0] + at[:, 1], return_inverse=True)[1]


@dataclass(frozen=True)
class FixedOrder(Order):
    """Any one order.

    Args:
        entries: the entries' numbers in the order of drawing.
    """

    entries: tuple[int, ...]

    def steps(self, space: Space) -> Tensor:
        D = space.dimensions
        if sorted(self.entries) != list(range(D)):
            raise UserError(f"FixedOrder: expected each of 0 to {D - 1} once, got {len(self.entries)} entries")
        return torch.tensor(self.entries).argsort()


@dataclass(frozen=True)
class AnyOrder(Order):
    """Every order, drawn anew for every row while learning. Whole items are drawn and scored in one order, or as a mixture of
    several: a grid row by row, the columns of a block by their names, so that the order they stand in changes no answer. Where
    part of an item is known, that part comes first.

    Args:
        average: how many orders drawn at random a distribution is the mixture of; one, row by row, by default.

    Source: Uria, Murray, Larochelle, A deep and tractable density estimator, 2014 / https://arxiv.org/abs/1310.1757
    """

    average: int = 1
    learns_all = True

    def __post_init__(self) -> None:
        if not isinstance(self.average, int) or isinstance(self.average, bool) or self.average < 1:
            raise UserError(f"AnyOrder: average={self.average!r}; expected a whole number of orders from 1")

    def steps(self, space: Space) -> Tensor:
        entry, order = torch.arange(space.dimensions), list[Tensor]()
        for _, mine in sorted(zip([name for name, _ in space.parts], entry.split([part.dimensions for _, part in space.parts]),
                                  strict=True), key=lambda column: column[0]):
            order.append(mine)
        return torch.cat(order).argsort()


def together(space: Space) -> Axis | None:
    """The first axis of the columns of a block, where they share it by name; else None."""
    firsts = [part.axes[0] if part.axes else None for _, part in space.parts] if isinstance(space, Product) else []
    first = firsts[0] if firsts else None
    return first if first is not None and all(axis is not None and axis.shares(first) for axis in firsts) else None


@dataclass(frozen=True)
class Grid:
    """Where the entries of a space stand, as a net is told.

    Attributes:
        places: (D, A) int64, the place of every entry on each axis.
        roles: of the axes, as `Axis` has them: what neighbours on them are to one another.
    """

    places: Tensor
    roles: tuple[str, ...]

    @classmethod
    def of(cls, space: Space) -> Grid:
        """That of a space. A block's entries stand on one axis of items, or where its columns share their first axis there and
        on one of channels."""
        if isinstance(space, Product):
            axis = together(space)
            return cls(places(space), ("item",) if axis is None else (axis.role, "channel"))
        return cls(places(space), tuple(axis.role for axis in space.axes))

    def along(self, *, channels: bool) -> Tensor:
        """(D, some) the places on the axes that are of channels, or on those that are not."""
        return self.places[:, [i for i, role in enumerate(self.roles) if (role == "channel") == channels]]


def places(space: Space) -> Tensor:
    """(D, A) int64: the place of every entry on its grid, axis by axis; in a block its number, or where columns share their
    first axis its place there and its number within."""
    if isinstance(space, Product):
        if (axis := together(space)) is None:
            return torch.arange(space.dimensions)[:, None]
        time = [torch.arange(axis.size).repeat_interleave(part.dimensions // axis.size) for _, part in space.parts]
        rest = [torch.arange(part.dimensions // axis.size).repeat(axis.size) for _, part in space.parts]
        widths = torch.tensor([0, *(part.dimensions // axis.size for _, part in space.parts)]).cumsum(0)
        return torch.stack([torch.cat(time), torch.cat([r + w for r, w in zip(rest, widths[:-1], strict=True)])], 1)
    grid = [torch.arange(size) for size in space.shape]
    return torch.cartesian_prod(*grid).reshape(space.dimensions, -1) if grid else torch.zeros(1, 0, dtype=torch.int64)
