"""Order: in which order the entries are drawn. Half of an autoregressive design; the net is the other.

An order is an ordered partition of the entries: it gives every entry the step at which it is drawn. Blocks of one step, single
entries by default, are independent given those of the steps before; within a block the head's distribution is joint.
"""

from __future__ import annotations

import abc
import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from given.nn.dropout import GOLDEN, mixed_
from given.variables import Axis, Product, Real, Space, UserError

__all__ = ["AnyOrder", "Blocks", "ColumnMajor", "FixedOrder", "Grid", "OnionPeel", "Order", "RandomGroups", "Raster",
           "Reverse", "Wavefront", "places", "together"]


class Order(abc.ABC):
    """An order of the entries of a space, numbered row by row, the columns of a block one after another."""

    learns_all = False  # whether every order is learned, so that whatever is known can come first
    needs_masks = False  # whether only a masked net serves it
    average = 1  # of how many orders a distribution is the mixture

    @abc.abstractmethod
    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
        """(D,) int64: the step at which each entry is drawn, every number from 0 to the last used.

        Args:
            space: of D entries.
            seen: (D,) bool, what is known. An order that learns all, or goes by what is known, puts it first, at step 0 where
                there is any; a fixed one stays as it is.

        Raises:
            UserError: it is no order of such a space.
        """

    def blocks(self, space: Space) -> Tensor:
        """(N, G) int64: the entries of every block, which are drawn together."""
        return torch.arange(space.dimensions)[:, None]

    def patches(self, space: Space) -> Space:
        """A space whose entries are the blocks, on the grid on which they stand."""
        return space


@dataclass(frozen=True)
class Raster(Order):
    """Row by row from the first entry, the last axis fastest; of columns that share their first axis, such as series, what
    belongs together one column after another."""

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
        if together(space) is None:
            return torch.arange(space.dimensions)
        at = places(space)
        return (at[:, 0] * space.dimensions + torch.arange(space.dimensions)).argsort(stable=True).argsort()


@dataclass(frozen=True)
class Reverse(Order):
    """`Raster` backwards."""

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
        return torch.arange(space.dimensions).flip(0)


@dataclass(frozen=True)
class ColumnMajor(Order):
    """Column by column: of the first two axes of a grid the first is the faster; the channels of a pixel stay together."""

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
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

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
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

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
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

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
        entry, order = torch.arange(space.dimensions), list[Tensor]()
        for _, mine in sorted(zip([name for name, _ in space.parts], entry.split([part.dimensions for _, part in space.parts]),
                                  strict=True), key=lambda column: column[0]):
            order.append(mine)
        return _after(torch.cat(order).argsort(), seen)


@dataclass(frozen=True)
class RandomGroups(Order):
    """Groups of blocks at random, few at first and more later: of N blocks N (1 - cos(pi k / 2 K)) are drawn after k of K
    groups. Every order is learned; whole items are drawn in one that is the same for every item and every time.

    Args:
        groups: K, from 1; the passes of a net that a draw takes, fewer where there are fewer blocks.

    Source: Chang, Zhang, Jiang, Liu, Freeman, MaskGIT, 2022 / https://arxiv.org/abs/2202.04200
    Li, Tian, Li, Deng, He, Autoregressive image generation without vector quantization, 2024 /
    https://arxiv.org/abs/2406.11838
    """

    groups: int = 8
    learns_all = True
    needs_masks = True

    def __post_init__(self) -> None:
        if not isinstance(self.groups, int) or isinstance(self.groups, bool) or self.groups < 1:
            raise UserError(f"RandomGroups: groups={self.groups!r}; expected a whole number from 1")

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
        D = space.dimensions
        turn = mixed_(torch.arange(1, D + 1).mul_(GOLDEN)).argsort()
        turn = turn if seen is None else turn[~seen[turn]]
        group = [min(self.groups - 1, int(self.groups * 2 / math.pi * math.acos(1 - (i + 0.5) / len(turn))))
                 for i in range(len(turn))]
        drawn = torch.full((D,), -1)
        drawn[turn] = torch.tensor(group, dtype=torch.int64)
        return drawn.unique(return_inverse=True)[1]


@dataclass(frozen=True)
class OnionPeel(Order):
    """Layer by layer around what is known, or around the middle where nothing is; of a layer, what has most known neighbours
    first, else at random. Entries of one step are further apart than `reach`, so that none is a neighbour of another's: each
    is drawn as if all entries had been drawn one by one.

    Args:
        reach: how far a neighbour is away at most, along each of two axes, from 1.

    Source: Efros, Leung, Texture synthesis by non-parametric sampling, 1999 / https://doi.org/10.1109/ICCV.1999.790383
    """

    reach: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.reach, int) or isinstance(self.reach, bool) or self.reach < 1:
            raise UserError(f"OnionPeel: reach={self.reach!r}; expected a whole number from 1")

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
        if len(space.axes) != 2:
            raise UserError(f"OnionPeel: expected a grid of two axes, got {space}; use AnyOrder")
        known = (torch.zeros(space.dimensions, dtype=torch.bool) if seen is None else seen).reshape(space.shape)
        step, r = torch.where(known, 0, -1).numpy(), self.reach
        begins = int(known.any())
        for i, j in self._one_by_one(known).tolist():
            near = step[max(0, i - r):i + r + 1, max(0, j - r):j + r + 1]
            step[i, j] = max(begins, near.max() + 1)
        return torch.from_numpy(step).reshape(-1)

    def _one_by_one(self, known: Tensor) -> Tensor:
        """(n, 2) the places of what is not known (height, width), in order."""
        neighbours = _box(known, self.reach)[1]
        layer, peeled = torch.zeros_like(known, dtype=torch.int64), known.clone()
        if not peeled.any():
            peeled[known.shape[0] // 2, known.shape[1] // 2] = True
        while not peeled.all():
            layer += ~peeled
            peeled, count = _box(peeled, 1)[0], _box(peeled, self.reach)[1]
            neighbours = torch.where(peeled & (layer == layer.max()), count, neighbours)
        chance = mixed_(torch.arange(1, known.numel() + 1).mul_(GOLDEN)).reshape(known.shape)
        order = chance.flatten().argsort()
        for key in (-neighbours, layer):
            order = order[key.flatten()[order].argsort(stable=True)]
        order = order[~known.flatten()[order]]
        return torch.stack([order // known.shape[1], order % known.shape[1]], 1)


def _box(known: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """(height, width) each: whether any known place is within reach of a place, and how many are."""
    count = F.avg_pool2d(known[None, None].double(), 2 * reach + 1, 1, reach, divisor_override=1)[0, 0].round().long()
    return count > 0, count


@dataclass(frozen=True)
class Blocks(Order):
    """Patches of a grid, each drawn together, in any order of patches. The axis of channels stays whole in every patch.

    Args:
        size: of a patch, one number for all axes of the grid or one an axis, channels left out.
        order: of the patches, on their own grid.
    """

    size: int | tuple[int, ...]
    order: Order = Raster()

    def __post_init__(self) -> None:
        sizes = self.size if isinstance(self.size, tuple) else (self.size,)
        if not sizes or any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in sizes):
            raise UserError(f"Blocks: size={self.size!r}; expected whole numbers from 1")

    @property
    def learns_all(self) -> bool:  # type: ignore[override]
        return self.order.learns_all

    @property
    def average(self) -> int:  # type: ignore[override]
        return self.order.average

    def steps(self, space: Space, seen: Tensor | None = None) -> Tensor:
        blocks = self.blocks(space)
        first = self.order.steps(self.patches(space), None if seen is None else seen[blocks].all(1))
        return torch.empty(space.dimensions, dtype=torch.int64).scatter_(0, blocks.flatten(), first.repeat_interleave(
            blocks.shape[1]))

    def patches(self, space: Space) -> Space:
        return Real(axes=tuple(Axis(axis.name, axis.size // n, role=axis.role)
                               for axis, n in zip(space.axes, self._sizes(space), strict=True) if axis.role != "channel"))

    def blocks(self, space: Space) -> Tensor:
        sizes = self._sizes(space)
        split = torch.arange(space.dimensions).reshape([n for axis, size in zip(space.axes, sizes, strict=True)
                                                        for n in (axis.size // size, size)])
        A = len(sizes)
        return split.permute(*range(0, 2 * A, 2), *range(1, 2 * A, 2)).reshape(-1, math.prod(sizes))

    def _sizes(self, space: Space) -> list[int]:
        """Of a patch, axis by axis; the whole of an axis of channels."""
        if isinstance(space, Product) or not space.axes:
            raise UserError(f"Blocks: expected a grid, got {space}; use Raster or AnyOrder")
        others = [axis for axis in space.axes if axis.role != "channel"]
        sizes = self.size if isinstance(self.size, tuple) else (self.size,) * len(others)
        if len(sizes) != len(others) or any(axis.size % n for axis, n in zip(others, sizes, strict=False)):
            raise UserError(f"Blocks: size={self.size} does not divide {space}; expected a divisor of "
                            + " x ".join(str(axis.size) for axis in others))
        own = itertools.chain(sizes)
        return [axis.size if axis.role == "channel" else next(own) for axis in space.axes]


def _after(steps: Tensor, seen: Tensor | None) -> Tensor:
    """The steps (D,) of an order, with what is seen (D,) all at step 0."""
    return steps if seen is None else torch.where(seen, -1, steps).unique(return_inverse=True)[1]


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
