"""Spaces: which entries exist and what each may be, finitely many symbols or a real number, on a grid with named axes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from given.variables.errors import UserError

__all__ = ["Axis", "Finite", "Product", "Real", "Space"]



@dataclass(frozen=True)
class Axis:
    """One axis of a grid. Columns whose axes have one name share it: they are aligned, cut into windows and extended together.

    Args:
        name: "" for an axis that is shared with no other column.
        size: the most entries of a row.
        length: `fixed` (every item has `size` entries), `modelled` (at most `size`; the end is an entry and is scored) or
            `given` (the length is that of the item, or comes from the query, as a forecast's horizon does).
        role: what neighbours on the axis are to one another, which nets read: places (pixels, letters), moments of time,
            channels of one place, or items of a set.
        stride: by how many entries a window moves on, where items may be longer than `size`; None where none is.
        season: how many entries a season has, where it is known, as of hours a day.
    """

    name: str
    size: int
    length: Literal["fixed", "modelled", "given"] = "fixed"
    role: Literal["place", "time", "channel", "item"] = "place"
    stride: int | None = None
    season: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.size < 0 or (self.stride is not None and not 1 <= self.stride <= self.size):
            raise UserError(f"Axis {self.name}: size={self.size}, stride={self.stride}; expected a stride from 1 to the size")

    @property
    def called(self) -> str:
        """Its name, or its role where it has none."""
        return self.name or self.role

    def shares(self, other: Axis) -> bool:
        """Whether the n-th entry along this axis belongs to the n-th along the other."""
        return bool(self.name) and (self.name, self.size) == (other.name, other.size)


@dataclass(frozen=True)
class Space:
    """Which entries there are: a grid of named axes. Abstract; use `Finite`, `Real` or `Product`."""

    axes: tuple[Axis, ...] = field(default=(), kw_only=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """The grid's shape; () for a single entry."""
        return tuple(axis.size for axis in self.axes)

    @property
    def dimensions(self) -> int:
        """The number D of entries of one item."""
        return math.prod(self.shape)

    @property
    def parts(self) -> tuple[tuple[str, Space], ...]:
        """The columns of a block; a space that is none is its own only part, without a name."""
        return (("", self),)

    @property
    def end(self) -> float | None:
        """The value after which there are no entries, where a length is modelled; else None."""
        return None

    @property
    def may_end(self) -> bool:
        """Whether its last axis has a length that is modelled, so that nothing stands after the first end."""
        return self.end is not None and bool(self.axes) and self.axes[-1].length == "modelled"


def _times(space: Space) -> str:
    return f"{' x '.join(map(str, space.shape))} entries, each " if space.axes else ""


@dataclass(frozen=True)
class Finite(Space):
    """Each entry is one of `size` symbols, numbered from 0, in a tensor of whole numbers.

    `ordered`: neighbouring numbers are alike. `end`: on an axis whose length is modelled, the symbol after which there are no
    entries; it is an entry itself, and the last one the axis has room for is always it. `pattern`: on such an axis, whose items
    are several entries each, from which symbol on and before which those of each entry lie; the end stands where an item would
    begin. `levels`: runs of symbols, (first, beyond) each, of which neighbours are alike, among others that are not.
    """

    size: int
    ordered: bool = False
    end: int | None = None
    pattern: tuple[tuple[int, int], ...] = ()
    levels: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return f"{_times(self)}one of {self.size} {'ordered levels' if self.ordered else 'symbols'}"

    @property
    def dtype(self) -> torch.dtype:
        """The smallest type that holds every symbol, in which many rows of them are kept."""
        return torch.uint8 if self.size <= 1 << 8 else torch.int16 if self.size <= 1 << 15 else torch.int32

    def narrow(self, symbols: np.ndarray) -> Tensor:
        """Symbols in that type."""
        return torch.from_numpy(symbols.astype(f"{'iu'[self.size <= 1 << 8]}{self.dtype.itemsize}"))

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"Finite: expected at least one symbol, got {self.size}")
        if self.pattern and not self.may_end:
            raise UserError(f"Finite: pattern={self.pattern}; expected one axis whose length is modelled, with an end")
        for what, runs in (("pattern", self.pattern), ("levels", self.levels)):
            if not all(0 <= first < beyond <= self.size for first, beyond in runs):
                raise UserError(f"Finite: {what}={runs}; expected (first, beyond) among {self.size} symbols")
        if not all(a[1] <= b[0] for a, b in itertools.pairwise(self.levels)):
            raise UserError(f"Finite: levels={self.levels}; expected runs one after another")

    def possible(self, device: torch.device | str = "cpu") -> Tensor:
        """Which symbols may stand where on its axis, which has a pattern: (D, V) bool."""
        place, symbol = torch.arange(self.dimensions, device=device)[:, None], torch.arange(self.size, device=device)
        first, beyond = torch.tensor(self.pattern, device=device)[place % len(self.pattern)].unbind(-1)
        inside = (first <= symbol) & (symbol < beyond) & (place < self.dimensions - 1)
        return torch.where(torch.eq(symbol, self.end or 0), place % len(self.pattern) == 0, inside)


@dataclass(frozen=True)
class Real(Space):
    """Each entry is a real number (a floating tensor).

    `atoms`: values, in the entries' units and rising, that have a mass of their own; elsewhere there is a density. `end`: on an
    axis whose length is modelled, the atom after which there are no entries, as of `Finite`.
    """

    atoms: tuple[float, ...] = ()
    end: float | None = None

    def __str__(self) -> str:
        own = f", with a mass of their own at {', '.join(f'{a:g}' for a in self.atoms)}" if self.atoms else ""
        return f"{_times(self)}a real number{own}"

    def __post_init__(self) -> None:
        if not all(a < b for a, b in itertools.pairwise((-math.inf, *self.atoms, math.inf))):
            raise UserError(f"Real: expected rising atoms, got {self.atoms}")
        if self.end is not None and self.end not in self.atoms:
            raise UserError(f"Real: end={self.end}; expected one of the atoms {self.atoms}")


@dataclass(frozen=True)
class Product(Space):
    """A block of named columns, each with a space of its own."""

    columns: tuple[tuple[str, Space], ...]

    def __str__(self) -> str:
        return "a block of " + "; ".join(f"{name}, {space}" for name, space in self.columns)

    @property
    def dimensions(self) -> int:
        """The number D of entries of one item, over all columns."""
        return sum(space.dimensions for _, space in self.columns)

    @property
    def parts(self) -> tuple[tuple[str, Space], ...]:
        return self.columns
