"""Transformer: a causal net over the steps of an order, with a cache.

Token t may attend to tokens 0 ... t, and no token holds the value of its own entry, so output t depends on the entries
before t alone. Attention adds a learned bias for the offset on the grid between the two entries, and y is added to what
every layer reads.

Source: Vaswani et al., Attention is all you need, 2017 / https://arxiv.org/abs/1706.03762
Shaw, Uszkoreit, Vaswani, Self-attention with relative position representations, 2018 / https://arxiv.org/abs/1803.02155
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.dropout import Dropout

__all__ = ["Transformer"]

# Shapes: B rows, T steps, S steps attended to, C width, H heads, K width of a head.
Cache = list[tuple[Tensor, Tensor]]


class Transformer(nn.Module):
    """A causal transformer.

    Args:
        coordinates: (T, axes) int64, the place on the grid of the entry of each step.
        width: C.
        layers: how many.
        heads: H; divides C.
        expansion: width of the hidden layer in units of C.
        dropout: probability, while training.
    """

    def __init__(self, coordinates: Tensor, *, width: int = 64, layers: int = 2, heads: int = 4, expansion: int = 4,
                 dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        self.coordinates: Tensor
        self.register_buffer("coordinates", coordinates, persistent=False)
        self.drop = Dropout(dropout)
        self.layers = nn.ModuleList(_Layer(coordinates, width, heads, expansion, dropout) for _ in range(layers))
        self.norm = nn.RMSNorm(width)

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """All steps at once: tokens (B, T, C), context (B, C) -> features (B, T, C)."""
        h = self.drop(h)
        for layer in self.layers:
            h = layer(h, y, 0, None)
        return self.norm(h)

    def start(self, n: int) -> Cache:
        """An empty cache for n rows: keys and values (B, T, H, K) a layer, filled as steps go by."""
        return [layer.cache(n) for layer in self.layers]  # type: ignore[operator]

    def step(self, h: Tensor, y: Tensor, t: int, cache: Cache) -> Tensor:
        """Steps t ... t + s - 1 after those in the cache: tokens (B, s, C) -> features (B, s, C). Fills the cache."""
        for layer, memory in zip(self.layers, cache, strict=True):
            h = layer(h, y, t, memory)
        return self.norm(h)


class _Layer(nn.Module):
    def __init__(self, coordinates: Tensor, width: int, heads: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.condition = nn.Linear(width, width)
        self.read, self.read_more = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.drop = Dropout(dropout)
        for start_at_nothing in (self.out.weight, self.down.weight, self.down.bias, self.condition.bias):
            nn.init.zeros_(start_at_nothing)
        # The offset between two places, axis by axis, as one number.
        offset = coordinates[:, None] - coordinates[None]
        span = 2 * coordinates.amax(0) + 1
        stride = torch.cat([span.flip(0).cumprod(0).flip(0)[1:], torch.ones(1, dtype=torch.int64)])[: len(span)]
        number = ((offset + coordinates.amax(0)) * stride).sum(-1)
        self.offset: Tensor
        self.register_buffer("offset", number, persistent=False)
        self.bias = nn.Parameter(torch.zeros(heads, int(span.prod())))
        later = torch.ones(len(coordinates), len(coordinates), dtype=torch.bool).triu(1)
        self.later: Tensor
        self.register_buffer("later", later, persistent=False)

    def cache(self, n: int) -> tuple[Tensor, Tensor]:
        T, C = len(self.offset), self.out.in_features
        empty = self.qkv.weight.new_zeros(2, n, T, self.heads, C // self.heads)
        return empty[0], empty[1]

    def forward(self, h: Tensor, y: Tensor, t: int, memory: tuple[Tensor, Tensor] | None) -> Tensor:
        B, T, C = h.shape
        h = h + self.condition(y)[:, None]
        q, k, v = self.qkv(self.read(h)).view(B, T, 3, self.heads, -1).unbind(2)
        if memory is not None:
            memory[0][:, t:t + T], memory[1][:, t:t + T] = k, v
            k, v = memory[0][:, :t + T], memory[1][:, :t + T]
        bias = self.bias[:, self.offset[t:t + T, :t + T]].masked_fill(self.later[t:t + T, :t + T], -torch.inf)
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=bias[None])
        h = h + self.drop(self.out(mixed.transpose(1, 2).reshape(B, T, C)))
        return h + self.drop(self.down(F.gelu(self.up(self.read_more(h)))))
