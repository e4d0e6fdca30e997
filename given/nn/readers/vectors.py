"""Readers that make one vector of a parent, or one of what it holds at each place of x."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from given.nn.readers.features import Features, Symbol
from given.nn.readers.reader import Cells, Read, Reader, Role
from given.variables import Entries, Finite, Product, Real, Space, UserError

__all__ = ["Flat", "Numbers", "Places", "Symbols"]


@dataclass(frozen=True)
class Symbols(Reader):
    """A single symbol, a vector each."""

    reads: ClassVar[str] = "a single symbol"
    natural: ClassVar[Role] = "pooled"

    def fits(self, space: Space) -> bool:
        return isinstance(space, Finite) and not space.axes

    def build(self, space: Space, width: int, role: Role) -> Read:
        assert isinstance(space, Finite)
        return _Symbols(space, width)


class _Symbols(Read):
    def __init__(self, space: Finite, width: int) -> None:
        super().__init__()
        self.symbol = Symbol(space, width)

    def forward(self, x: Entries) -> Cells:
        return Cells(self.symbol(x))


@dataclass(frozen=True)
class Flat(Reader):
    """All entries end to end, through a net of one hidden layer."""

    reads: ClassVar[str] = "entries of any kind end to end"
    natural: ClassVar[Role] = "pooled"

    def fits(self, space: Space) -> bool:
        return not isinstance(space, Product)

    def build(self, space: Space, width: int, role: Role) -> Read:
        return _Flat(space, width)


@dataclass(frozen=True)
class Numbers(Reader):
    """Numbers or ordered levels: each as it is and as sines and cosines of it, end to end, through a net of one hidden layer.

    Args:
        frequencies: in radians a unit, of the entries' units: of a standard deviation where the codec measured one, of half the
            range of levels.

    Source: Tancik et al., Fourier features let networks learn high frequency functions in low dimensional domains, 2020 /
    https://arxiv.org/abs/2006.10739
    """

    frequencies: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    reads: ClassVar[str] = "numbers and ordered levels"
    natural: ClassVar[Role] = "pooled"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(k, int | float) and math.isfinite(k) and k > 0 for k in self.frequencies):
            raise UserError(f"Numbers: frequencies={self.frequencies!r}; expected numbers above 0")

    def fits(self, space: Space) -> bool:
        return isinstance(space, Real) or (isinstance(space, Finite) and space.ordered)

    def build(self, space: Space, width: int, role: Role) -> Read:
        return _Flat(space, width, tuple(self.frequencies))


class _Flat(Read):
    def __init__(self, space: Space, width: int, frequencies: tuple[float, ...] = ()) -> None:
        super().__init__()
        features = Features(space, frequencies)
        self.layers = nn.Sequential(features, nn.Flatten(), nn.Linear(space.dimensions * features.size, 2 * width), nn.GELU(),
                                    nn.Linear(2 * width, width))

    def forward(self, x: Entries) -> Cells:
        return Cells(self.layers(x))


@dataclass(frozen=True)
class Places(Reader):
    """What stands at each place of the leading axes, through a net of one hidden layer: covariates, label maps.

    Args:
        axes: how many axes lead; None for all that are not of channels.
    """

    axes: int | None = None
    reads: ClassVar[str] = "entries on a grid, place by place"
    natural: ClassVar[Role] = "aligned"

    def fits(self, space: Space) -> bool:
        return not isinstance(space, Product) and 1 <= self._leading(space) <= len(space.axes)

    def _leading(self, space: Space) -> int:
        return self.axes if self.axes is not None else sum(axis.role != "channel" for axis in space.axes)

    def build(self, space: Space, width: int, role: Role) -> Read:
        return _Places(space, self._leading(space), width)


class _Places(Read):
    def __init__(self, space: Space, leading: int, width: int) -> None:
        super().__init__()
        self.cells = space.shape[:leading]
        self.features = Features(space)
        held = space.dimensions // math.prod(self.cells) * self.features.size
        self.layers = nn.Sequential(nn.Linear(held, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Entries) -> Cells:
        return Cells(self.layers(self.features(x).reshape(len(x), *self.cells, -1)),
                     x.valid.reshape(len(x), *self.cells, -1).any(-1))  # type: ignore[union-attr]
