"""RowLayout: the steps of an order laid out line by line, for nets that convolve over a grid or run along its lines.

Rows from the top, rows from the bottom and columns from the left are lines alike. The channels of a pixel follow one another
in every order and stand beside one another here: a *pixel* of a line is `depth` entries, each with features of its own. What
a net mixes among the entries of one pixel it masks by `mask`, so that red is known to green, and both to blue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from given.nn.causal import lines
from given.nn.order import Grid

__all__ = ["RowLayout", "Run"]


@dataclass(frozen=True)
class Run:
    """Steps of one line that a net takes at once: all entries of some pixels, or one entry of one.

    Attributes:
        line: its number.
        pixel: the first of them, and how many there are in `pixels`.
        entry: which entry of the pixel, or None for all.
        steps: where they stand among the steps taken.
    """

    line: int
    pixel: int
    pixels: int
    entry: int | None
    steps: slice


@dataclass(frozen=True)
class RowLayout:
    """Steps as lines.

    Attributes:
        count: L, how many lines.
        length: W, pixels in a line.
        depth: entries in a pixel.
    """

    count: int
    length: int
    depth: int

    @classmethod
    def of(cls, grid: Grid, order: Tensor | None, who: str) -> RowLayout:
        """Those of an order (D,) of the entries of a grid.

        Raises:
            UserError: it does not draw line by line.
        """
        count, length = lines(grid, order, who)
        return cls(count, length, len(grid.places) // (count * length))

    def laid(self, h: Tensor) -> Tensor:
        """Steps (B, T, C) -> (B, L, W, depth C)."""
        return h.reshape(len(h), self.count, self.length, -1)

    def taken(self, x: Tensor) -> Tensor:
        """(B, L, W, depth C) -> steps (B, T, C)."""
        return x.reshape(len(x), self.count * self.length * self.depth, -1)

    def mask(self, inputs: int, outputs: int) -> Tensor:
        """(depth outputs, depth inputs): an entry reads those of its pixel up to itself."""
        return torch.ones(self.depth, self.depth).tril().repeat_interleave(outputs, 0).repeat_interleave(inputs, 1)

    def runs(self, t: int, s: int) -> Iterator[Run]:
        """The steps t ... t + s - 1, as few runs as there are lines where pixels are whole."""
        at, end = t, t + s
        while at < end:
            pixel, entry = divmod(at, self.depth)
            line, column = divmod(pixel, self.length)
            whole = min(end // self.depth - pixel, self.length - column) if entry == 0 else 0
            size = whole * self.depth or 1
            yield Run(line, column, whole or 1, None if whole else entry, slice(at - t, at - t + size))
            at += size
