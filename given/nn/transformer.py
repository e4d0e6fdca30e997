"""Transformer: a causal net over the steps of an order, with a cache.

Token t may attend to tokens 0 ... t, and no token holds the value of its own entry, so output t depends on the entries
before t alone. `positions` adds where the entries stand: a learned bias for the offset on the grid between two entries
(`RelativeBias`), rotations of queries and keys by the places on its axes (`Rotary`), or a vector for the place on every axis,
summed (`LearnedPositions`). What y holds is added to what every layer reads; where y has tokens, every layer attends to them as
well (by `context="cross"`) or they stand before the first step as a prefix (`context="prefix"`).

GPT is this net over a text, Image GPT over an image, a translator with y's tokens the source sentence.

Source: Vaswani et al., Attention is all you need, 2017 / https://arxiv.org/abs/1706.03762
Shaw, Uszkoreit, Vaswani, Self-attention with relative position representations, 2018 / https://arxiv.org/abs/1803.02155
Su et al., RoFormer: enhanced transformer with rotary position embedding, 2021 / https://arxiv.org/abs/2104.09864
Shazeer, GLU variants improve transformer, 2020 / https://arxiv.org/abs/2002.05202
Ainslie et al., GQA, 2023 / https://arxiv.org/abs/2305.13245
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from given.nn.attention import Attention, CrossAttentionLayer, KeyValues, KVCache
from given.nn.causal import Causal
from given.nn.context import Condition
from given.nn.dropout import Dropout
from given.nn.feedforward import GELU
from given.nn.fused_step import FusedStep
from given.nn.linear import Linear, RMSNorm
from given.nn.order import Grid
from given.nn.positions import Positions, RelativeBias
from given.variables import UserError

__all__ = ["Transformer"]

# Shapes: B rows, T steps, S steps attended to, M tokens of y, C width, H heads, G heads of keys, K width of a head.


class Transformer(Causal):
    """A causal transformer.

    Args:
        grid: where the entries stand.
        order: of drawing, or None for any; not used.
        attends: whether y has tokens.
        width: C.
        layers: how many.
        heads: H; divides C.
        key_heads: G, how many heads of keys and values there are; divides H, H by default.
        feedforward: builds what follows attention from C, `GELU` or `SwiGLU`, or a partial of one.
        positions: builds the encoding of positions, from places, H and K: `RelativeBias`, `Rotary` or `LearnedPositions`.
        window: how many steps back a step may attend to, itself among them; all by default.
        context: how y's tokens are read, "cross" or "prefix".
        dropout: probability, while training.
    """


    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 64, layers: int = 2,
                 heads: int = 4, key_heads: int | None = None, feedforward: Callable[..., nn.Module] = GELU,
                 positions: Callable[..., nn.Module] = RelativeBias, window: int | None = None,
                 context: Literal["cross", "prefix"] = "cross", dropout: float = 0.2) -> None:
        super().__init__()
        key_heads = heads if key_heads is None else key_heads
        if min(width, layers, heads, key_heads) < 1 or width % heads or heads % key_heads:
            raise UserError(f"Transformer: width={width}, layers={layers}, heads={heads}, key_heads={key_heads}; expected 1 or "
                            "more of each, heads that divide the width, and key_heads that divide the heads")
        if window is not None and window < 1:
            raise UserError(f"Transformer: window={window}; expected 1 or more steps, or None for all")
        if context not in ("cross", "prefix"):
            raise UserError(f"Transformer: context={context!r}; expected 'cross' or 'prefix'")
        self.width, self.steps, self.window = width, len(grid.places), window
        self.prefix = attends and context == "prefix"
        self.drop = Dropout(dropout)
        self.positions = positions(grid.places, layers, heads, width // heads)
        self.layers = nn.ModuleList(_Layer(width, heads, key_heads, feedforward, dropout, attends and not self.prefix)
                                    for _ in range(layers))
        self.norm = RMSNorm(width)

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        h = self.drop(self._added(h, order, 0))
        for i, (layer, memory) in enumerate(zip(self.layers, self._prefix(y, 0), strict=True)):
            seen = self._seen(i, order, 0, h.shape[1])
            h = layer(h, layer.condition(y.pooled)[:, None], seen, order, 0, memory,  # type: ignore[operator]
                      self.positions, layer.asked(y))  # type: ignore[operator]
        return self.norm(h)

    def start(self, y: Condition) -> Stepping:
        with torch.no_grad():
            added = [layer.condition(y.pooled) for layer in self.layers]  # type: ignore[operator]
            asked = [layer.asked(y) for layer in self.layers]  # type: ignore[operator]
            return Stepping(self._prefix(y, self.steps), added, asked)

    def step(self, h: Tensor, order: Tensor, t: int, cache: Stepping) -> Tensor:  # type: ignore[override]
        with torch.no_grad():
            if h.shape[1] == 1 and (cache.alone is not None or FusedStep.can(self, cache.memory, cache.added, cache.asked)):
                return cache.single(self).step(h[:, 0], order, t)[:, None]
            h = self._added(h, order, t)
            for i, (layer, memory, added, asked) in enumerate(zip(self.layers, cache.memory, cache.added, cache.asked,
                                                                  strict=True)):
                h = layer(h, added[:, None], self._seen(i, order, t, h.shape[1]), order, t, memory, self.positions, asked)
            return self.norm(h)

    def _added(self, h: Tensor, order: Tensor, t: int) -> Tensor:
        return self.positions.added(h, order, t)  # type: ignore[operator]

    def _seen(self, layer: int, order: Tensor, t: int, s: int) -> Tensor | None:
        """(1 or B, 1 or H, s, t + s) what is added to the scores of steps t ... t + s - 1; None where all steps see all
        before them and there is no bias."""
        bias = self.positions.bias(layer, order, t, s)  # type: ignore[operator]
        if bias is None and self.window is None and (t == 0 or s == 1):
            return None
        step = torch.arange(t + s, device=order.device)
        back = step[t:, None] - step
        hidden = (back < 0) if self.window is None else (back < 0) | (back >= self.window)
        return (torch.zeros(1, 1, s, t + s, device=order.device) if bias is None else bias).masked_fill(hidden, -torch.inf)

    def _prefix(self, y: Condition, steps: int) -> list[KVCache]:
        """A memory a layer with room for so many steps, and what y's tokens leave in it where they are a prefix."""
        if not self.prefix or y.tokens is None:
            return [layer.attend.memory(len(y.pooled), steps) for layer in self.layers]  # type: ignore[union-attr,operator]
        memories, h = list[KVCache](), y.tokens
        for layer in self.layers:
            h, memory = layer.read_prefix(h, layer.condition(y.pooled)[:, None], y.there, steps)  # type: ignore[operator]
            memories.append(memory)
        return memories


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, key_heads: int, feedforward: Callable[..., nn.Module], dropout: float,
                 attends: bool) -> None:
        super().__init__()
        self.condition = Linear(width, width)
        self.read, self.read_more = RMSNorm(width), RMSNorm(width)
        self.attend, self.more = Attention(width, heads, key_heads), feedforward(width)
        self.ask = CrossAttentionLayer(width, heads) if attends else None
        self.drop = Dropout(dropout)
        zero = (self.attend.out.weight, self.more.down.weight, self.condition.bias)  # type: ignore[union-attr]
        for start_at_nothing in zero:
            nn.init.zeros_(start_at_nothing)  # type: ignore[arg-type]

    def forward(self, h: Tensor, added: Tensor, seen: Tensor | None, order: Tensor, t: int, memory: KVCache,
                positions: Positions, asked: KeyValues | None) -> Tensor:
        h = h + added
        h = h + self.drop(self.attend(self.read(h), seen, order, t, memory, positions))
        if self.ask is not None and asked is not None:
            h = h + self.drop(self.ask(h, asked))
        return h + self.drop(self.more(self.read_more(h)))

    def asked(self, y: Condition) -> KeyValues | None:
        """Keys and values of y's tokens, where the layer asks them."""
        return None if self.ask is None else self.ask.answers(y)

    def read_prefix(self, h: Tensor, added: Tensor, there: Tensor | None, steps: int) -> tuple[Tensor, KVCache]:
        """Tokens (B, M, C) that attend to one another, and the memory they leave with room for so many steps."""
        h = h + added
        mixed, memory = self.attend.prefix(self.read(h), there, steps)
        h = h + self.drop(mixed)
        return h + self.drop(self.more(self.read_more(h))), memory


class Stepping:
    """The cache of a transformer.

    Args:
        memory: keys and values, a layer.
        added: (B, C) what is known of y, a layer.
        asked: keys and values of y's tokens, a layer, where it asks them.
    """

    def __init__(self, memory: list[KVCache], added: list[Tensor], asked: list[KeyValues | None]) -> None:
        self.memory, self.added, self.asked = memory, added, asked
        self.alone: FusedStep | None = None

    def rows(self, index: Tensor) -> Stepping:
        """The rows `index`, copied."""
        return Stepping([m.rows(index) for m in self.memory], [a[index] for a in self.added],
                        [None if a is None else a.rows(index) for a in self.asked])

    def single(self, net: Transformer) -> FusedStep:
        """Steps of one entry at a time."""
        if self.alone is None:
            self.alone = FusedStep(net, self.memory, self.added)
        return self.alone
