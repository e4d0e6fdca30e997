"""Stack: causal nets one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from given.nn.causal import Cache, Causal
from given.nn.context import Condition
from given.nn.order import Grid
from given.variables import UserError

__all__ = ["Stack"]


@dataclass(frozen=True)
class Caches:
    """One of each net."""

    each: list[Cache]

    def rows(self, index: Tensor) -> Caches:
        """The rows `index`."""
        return Caches([cache.rows(index) for cache in self.each])


class Stack(Causal):
    """Nets one after another: `Stack(nets=(GRU, CrossAttention))` is a sequence-to-sequence net with attention.

    Args:
        grid, order, attends: as of every net.
        nets: one or more of one width, or partials of them, built here. Those that cannot read y's tokens do not get them;
            one that can must be among them where y has some.
        width: C.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False,
                 nets: Sequence[Callable[..., nn.Module]], width: int = 64) -> None:
        super().__init__()
        if not nets:
            raise UserError("Stack: expected one net or more, got none")
        built, told = list[nn.Module](), False
        for net in nets:
            try:
                built.append(net(grid, order=order, attends=attends, width=width))
                told = True
            except UserError:
                if not attends:
                    raise
                built.append(net(grid, order=order, attends=False, width=width))
        if attends and not told:
            raise UserError("Stack: none of its nets reads the tokens of y; add CrossAttention")
        self.nets, self.width = nn.ModuleList(built), width

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        for net in self.nets:
            h = net(h, y, order)
        return h

    def start(self, y: Condition) -> Caches:
        return Caches([net.start(y) for net in self.nets])  # type: ignore[operator]

    def step(self, h: Tensor, order: Tensor, t: int, cache: Caches) -> Tensor:  # type: ignore[override]
        for net, own in zip(self.nets, cache.each, strict=True):
            h = net.step(h, order, t, own)  # type: ignore[operator]
        return h
