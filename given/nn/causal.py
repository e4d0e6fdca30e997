"""Causal: what an autoregressive net is to the family that uses it. The order is one half of a design, the net the other.

The token of a step describes the entry about to be drawn, never its value, and holds values of earlier entries alone (see
`Embedding`). So a net is causal if its output t depends on no token after t.
"""

from __future__ import annotations

import abc
from typing import Protocol, Self

from torch import Tensor, nn

from given.nn.context import Condition
from given.nn.order import Grid
from given.variables import UserError

__all__ = ["Cache", "Causal", "lines"]


class Cache(Protocol):
    """What the steps so far left behind, for B rows."""

    def rows(self, index: Tensor) -> Self:
        """The rows `index`, copied: repeated for several draws, reordered for a beam."""


class Causal(nn.Module, abc.ABC):
    """A causal net over T steps.

    It is built from the grid of the entries; `order`, the one order of drawing it will be asked
    for (D,) int64, or None for any; and `attends`, whether y has tokens to attend to.

    Attributes:
        width: C, of tokens and of features.
        late: how many features there are beside these C, which heads alone read.
        masked: whether it reads both ways, so that it serves what is known by masks and not by steps.
    """

    width: int
    late: int = 0
    masked = False

    def __init__(self, *, attends: bool = False) -> None:
        super().__init__()
        if attends:
            raise UserError(f"{type(self).__name__}: does not read the tokens of y; use Transformer, or put it before "
                            "CrossAttention in a Sequence of nets")

    @abc.abstractmethod
    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        """All steps at once: tokens (B, T, C), order (1 or B, T) -> features (B, T, C + late)."""

    @abc.abstractmethod
    def start(self, y: Condition) -> Cache:
        """The cache before the first step, with what is to be known of y; it holds as long as the weights stay as they are."""

    @abc.abstractmethod
    def step(self, h: Tensor, order: Tensor, t: int, cache: Cache) -> Tensor:
        """Steps t ... t + s - 1 after those in the cache, which is filled: tokens (B, s, C) -> features (B, s, C + late).
        Without gradients."""


def lines(grid: Grid, order: Tensor | None, who: str) -> tuple[int, int]:
    """How many lines an order draws one after another, and their length, where it draws line by line.

    Rows from the top, rows from the bottom and columns from the left are lines alike, so a net of lines serves them all.

    Raises:
        UserError: it does not.
    """
    along, channels = grid.along(channels=False), grid.along(channels=True)
    if order is None or along.shape[1] != 2:
        raise UserError(f"{who}: expected a grid of two axes, and channels, drawn line by line; use Raster, Reverse or "
                        "ColumnMajor, or another net")
    drawn = along[order]
    if channels.shape[1]:  # the channels of a pixel follow one another
        depth = int(channels.amax(0).add(1).prod())
        pixels = drawn.reshape(-1, depth, 2)
        if bool((pixels != pixels[:, :1]).any()):
            raise UserError(f"{who}: expected an order that draws the channels of a pixel one after another, as Raster does")
        drawn = pixels[:, 0]
    for slow in (0, 1):
        length = int(along[:, 1 - slow].max()) + 1
        laid = drawn.reshape(-1, length, 2)
        if bool((laid[:, :, slow] == laid[:, :1, slow]).all()) and bool((laid[:, :, 1 - slow] == laid[:1, :, 1 - slow]).all()):
            return len(laid), length
    raise UserError(f"{who}: expected an order that draws line by line, as Raster, Reverse or ColumnMajor")
