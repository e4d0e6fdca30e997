"""LineNet: what nets that take steps line by line have in common: the lines, a last layer, and how a run of steps is taken."""

from __future__ import annotations

from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from given.nn.causal import Causal
from given.nn.linear import Linear
from given.nn.order import Grid
from given.nn.row_layout import RowLayout, Run

__all__ = ["LineCache", "LineNet"]


class LineCache(Protocol):
    """The cache of such a net."""

    def rows(self, index: Tensor) -> Self:
        """The rows `index`, copied."""

    def begin(self) -> None:
        """A new line begins."""

    def one(self, x: Tensor, run: Run) -> Tensor:
        """A single step (B, C) -> (B, C)."""

    def several(self, x: Tensor, run: Run) -> Tensor:
        """The steps of a run (B, s, C) -> (B, s, C)."""


class LineNet(Causal):
    """Abstract: a net over the lines of a grid.

    Args:
        grid, order, attends: as of every net.
        width: C.

    Attributes:
        out: the last layer, which a net makes after those before it.
    """

    out: Linear

    def __init__(self, grid: Grid, order: Tensor | None, attends: bool, width: int) -> None:
        super().__init__(attends=attends)
        self.lines, self.width = RowLayout.of(grid, order, type(self).__name__), width

    def step(self, h: Tensor, order: Tensor, t: int, cache: LineCache) -> Tensor:  # type: ignore[override]
        with torch.no_grad():
            found = []
            for run in self.lines.runs(t, h.shape[1]):
                if run.pixel == 0 and not run.entry:
                    cache.begin()
                x = h[:, run.steps]
                found.append(self.told(cache.one(x[:, 0], run)[:, None] if x.shape[1] == 1 else cache.several(x, run)))
            return found[0] if len(found) == 1 else torch.cat(found, 1)

    def told(self, x: Tensor) -> Tensor:
        """What the last layer makes of (..., C)."""
        return F.relu(self.out(F.relu(x)))
