"""Transformer: a causal net over the steps of an order, with a cache.

Token t may attend to tokens 0 ... t, and no token holds the value of its own entry, so output t depends on the entries
before t alone. Attention adds a learned bias for the offset on the grid between the two entries. What y holds is added to what
every layer reads; where y has tokens, every layer attends to them as well.

Source: Vaswani et al., Attention is all you need, 2017 / https://arxiv.org/abs/1706.03762
Shaw, Uszkoreit, Vaswani, Self-attention with relative position representations, 2018 / https://arxiv.org/abs/1803.02155
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.dropout import Dropout

__all__ = ["Transformer"]

# Shapes: B rows, T steps, S steps attended to, M tokens of y, C width, H heads, K width of a head.


@dataclass
class Cache:
    """What the steps so far left behind, a layer: keys and values (B, T, H, K)."""

    memory: list[tuple[Tensor, Tensor]]

    def rows(self, index: Tensor) -> Cache:
        """The rows `index`, copied."""
        return Cache([(k[index], v[index]) for k, v in self.memory])


class Transformer(nn.Module):
    """A causal transformer.

    Args:
        places: (D, axes) int64, the place of every entry on the grid.
        attends: whether y has tokens to attend to.
        width: C.
        layers: how many.
        heads: H; divides C.
        expansion: width of the hidden layer in units of C.
        dropout: probability, while training.
    """

    def __init__(self, places: Tensor, *, attends: bool = False, width: int = 64, layers: int = 2, heads: int = 4,
                 expansion: int = 4, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        self.drop = Dropout(dropout)
        # The offset between two entries' places, axis by axis, as one number.
        span = 2 * places.amax(0) + 1
        stride = torch.cat([span.flip(0).cumprod(0).flip(0)[1:], torch.ones(1, dtype=torch.int64)])[: len(span)]
        self.offset: Tensor
        self.register_buffer("offset", ((places[:, None] - places[None] + places.amax(0)) * stride).sum(-1), persistent=False)
        self.layers = nn.ModuleList(_Layer(width, heads, expansion, dropout, int(span.prod()), attends) for _ in range(layers))
        self.norm = nn.RMSNorm(width)

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        """All steps at once: tokens (B, T, C), order (1 or B, T) -> features (B, T, C)."""
        return self.step(self.drop(h), y, order, 0, None)

    def start(self, n: int) -> Cache:
        """An empty cache for n rows."""
        return Cache([layer.memory(n, len(self.offset)) for layer in self.layers])  # type: ignore[operator]

    def step(self, h: Tensor, y: Condition, order: Tensor, t: int, cache: Cache | None) -> Tensor:
        """Steps t ... t + s - 1 after those in the cache, which is filled: tokens (B, s, C) -> features (B, s, C)."""
        now, so_far = order[:, t:t + h.shape[1]], order[:, :t + h.shape[1]]
        offset = self.offset[now[:, :, None], so_far[:, None, :]]  # (1 or B, s, S)
        later = torch.ones(offset.shape[1:], dtype=torch.bool, device=h.device).triu(t + 1)
        for i, layer in enumerate(self.layers):
            h = layer(h, y, t, offset, later, cache.memory[i] if cache is not None else None)
        return self.norm(h)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, expansion: int, dropout: float, offsets: int, attends: bool) -> None:
        super().__init__()
        self.heads = heads
        self.condition = nn.Linear(width, width)
        self.read, self.read_more = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.bias = nn.Parameter(torch.zeros(heads, offsets))
        self.drop = Dropout(dropout)
        for start_at_nothing in (self.out.weight, self.down.weight, self.down.bias, self.condition.bias):
            nn.init.zeros_(start_at_nothing)
        if attends:
            self.read_y, self.ask = nn.RMSNorm(width), nn.Linear(width, width, bias=False)
            self.answers, self.take = nn.Linear(width, 2 * width, bias=False), nn.Linear(width, width, bias=False)

    def memory(self, n: int, T: int) -> tuple[Tensor, Tensor]:
        C = self.out.in_features
        empty = self.qkv.weight.new_zeros(2, n, T, self.heads, C // self.heads)
        return empty[0], empty[1]

    def forward(self, h: Tensor, y: Condition, t: int, offset: Tensor, later: Tensor,
                memory: tuple[Tensor, Tensor] | None) -> Tensor:
        B, T, C = h.shape
        h = h + self.condition(y.pooled)[:, None]
        q, k, v = self.qkv(self.read(h)).view(B, T, 3, self.heads, -1).unbind(2)
        if memory is not None:
            memory[0][:, t:t + T], memory[1][:, t:t + T] = k, v
            k, v = memory[0][:, :t + T], memory[1][:, :t + T]
        bias = self.bias[:, offset].transpose(0, 1).masked_fill(later, -torch.inf)
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=bias)
        h = h + self.drop(self.out(mixed.transpose(1, 2).reshape(B, T, C)))
        if y.tokens is not None and y.there is not None:
            q = self.ask(self.read_y(h)).view(B, T, self.heads, -1).transpose(1, 2)
            k, v = self.answers(y.tokens).view(B, -1, 2, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=y.there[:, None, None])
            h = h + self.drop(self.take(mixed.transpose(1, 2).reshape(B, T, C)))
        return h + self.drop(self.down(F.gelu(self.up(self.read_more(h)))))
