"""LateAttention: a causal net, and beside its features what they ask of the tokens of y.

What is known of y moves few of the things that are said. Inside a net, where all features share a few channels, the gradient of
these is lost among that of all others; here the head reads what was found in y as numbers of its own, so that a symbol that has
to do with y learns so by itself, and soon.

Source: Gulcehre et al., On using monolingual corpora in neural machine translation, 2015 / https://arxiv.org/abs/1503.03535
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from given.nn.attention import CrossAttentionLayer, KeyValues
from given.nn.causal import Cache, Causal
from given.nn.context import Condition
from given.nn.linear import RMSNorm
from given.nn.order import Grid

__all__ = ["LateAttention"]


class LateAttention(Causal):
    """A net whose features (B, T, C) are followed by as many of what they find in y's tokens, (B, T, 2 C); the net's alone
    where y has none.

    Args:
        grid, order, attends: as of every net.
        net: a causal net or a partial of one, built here.
        heads: of attention; divides C.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, net: Callable[..., nn.Module],
                 heads: int = 4) -> None:
        super().__init__()
        self.net = net(grid, order=order, attends=attends)
        width: int = self.net.width  # type: ignore[assignment]
        self.width, self.late = width, width if attends else 0
        self.read = RMSNorm(width) if attends else None
        self.ask = CrossAttentionLayer(width, heads) if attends else None

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        return self._with(self.net(h, y, order), self._answers(y))

    def start(self, y: Condition) -> Late:
        with torch.no_grad():
            return Late(self.net.start(y), self._answers(y))  # type: ignore[operator]

    @torch.no_grad()
    def step(self, h: Tensor, order: Tensor, t: int, cache: Late) -> Tensor:  # type: ignore[override]
        return self._with(self.net.step(h, order, t, cache.net), cache.answers)  # type: ignore[operator]

    def _answers(self, y: Condition) -> KeyValues | None:
        if self.read is None or self.ask is None or y.tokens is None:
            return None
        return self.ask.answers(replace(y, tokens=self.read(y.tokens)))

    def _with(self, h: Tensor, answers: KeyValues | None) -> Tensor:
        return h if self.ask is None or answers is None else torch.cat([h, self.ask(h, answers)], -1)


@dataclass(frozen=True)
class Late:
    """The cache of the net, and what y's tokens answer."""

    net: Cache
    answers: KeyValues | None

    def rows(self, index: Tensor) -> Late:
        """The rows `index`."""
        return Late(self.net.rows(index), None if self.answers is None else self.answers.rows(index))
