"""Attention: every step asks steps before it, or the tokens of y.

Source: Vaswani et al., Attention is all you need, 2017 / https://arxiv.org/abs/1706.03762
Ainslie et al., GQA: training generalized multi-query transformer models from multi-head checkpoints, 2023 /
https://arxiv.org/abs/2305.13245
Bahdanau, Cho, Bengio, Neural machine translation by jointly learning to align and translate, 2015 /
https://arxiv.org/abs/1409.0473
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.causal import Causal
from given.nn.context import Condition
from given.nn.dot_product import attention
from given.nn.linear import Linear, RMSNorm
from given.nn.order import Grid
from given.nn.positions import Positions
from given.variables import UserError

__all__ = ["Attention", "CrossAttention", "CrossAttentionLayer", "KVCache", "KeyValues"]

# Shapes: B rows, s steps now, S steps attended to, M tokens of y, C width, H heads, G heads of keys, K width of a head.


@dataclass
class KVCache:
    """Keys and values (2, B, G, M + T, K) of a prefix of M tokens and of T steps; `there` (B, M) marks the tokens that are
    no padding."""

    kept: Tensor
    prefix: int = 0
    there: Tensor | None = None

    def rows(self, index: Tensor) -> KVCache:
        """The rows `index`, copied."""
        return KVCache(self.kept[:, index], self.prefix, None if self.there is None else self.there[index])


class Attention(nn.Module):
    """A step asks itself and the steps before it, and a prefix.

    Args:
        width: C.
        heads: H.
        key_heads: G, each of which answers H / G heads.
    """

    def __init__(self, width: int, heads: int, key_heads: int) -> None:
        super().__init__()
        self.heads, self.key_heads, self.size = heads, key_heads, width // heads
        self.qkv = Linear(width, (heads + 2 * key_heads) * self.size, bias=False)
        self.out = Linear(width, width, bias=False)

    def memory(self, n: int, steps: int) -> KVCache:
        """An empty one for n rows."""
        return KVCache(self.qkv.weight.new_zeros(2, n, self.key_heads, steps, self.size))

    def forward(self, h: Tensor, seen: Tensor | None, order: Tensor, t: int, memory: KVCache, positions: Positions) -> Tensor:
        """(B, s, C) -> (B, s, C), the steps t ...; a memory with room is written to."""
        q, k, v = self._asked(h)
        q, k, v = (part.transpose(1, 2) for part in (positions.turned(q, order, t), positions.turned(k, order, t), v))
        M, end = memory.prefix, memory.prefix + t + h.shape[1]
        if memory.kept.shape[3] > M:
            memory.kept[0, :, :, M + t:end], memory.kept[1, :, :, M + t:end] = k, v
            k, v = memory.kept[0, :, :, :end], memory.kept[1, :, :, :end]
        elif M:
            k, v = torch.cat([memory.kept[0], k], 2), torch.cat([memory.kept[1], v], 2)
        if M and memory.there is not None:
            if seen is None:
                seen = h.new_zeros(1, 1, h.shape[1], t + h.shape[1]).masked_fill(
                    torch.ones(h.shape[1], t + h.shape[1], dtype=torch.bool, device=h.device).triu(t + 1), -torch.inf)
            padding = torch.zeros(memory.there.shape, dtype=h.dtype, device=h.device).masked_fill(~memory.there, -torch.inf)
            lead = (len(h), seen.shape[1], h.shape[1], -1)
            seen = torch.cat([padding[:, None, None].expand(lead), seen.expand(lead)], -1)
        found = attention(q, k, v, seen, causal=seen is None and h.shape[1] > 1)
        return self.out(found.transpose(1, 2).flatten(2))

    def prefix(self, h: Tensor, there: Tensor | None, steps: int) -> tuple[Tensor, KVCache]:
        """Tokens (B, M, C) ask one another, padding left out: (B, M, C), and a memory of them with room for so many steps."""
        q, k, v = (part.transpose(1, 2) for part in self._asked(h))
        mask = None if there is None else there[:, None, None]
        found = attention(q, k, v, mask)
        kept = F.pad(torch.stack([k, v]), (0, 0, 0, steps))
        return self.out(found.transpose(1, 2).flatten(2)), KVCache(kept, h.shape[1], there)

    def _asked(self, h: Tensor) -> tuple[Tensor, ...]:
        """(B, s, H, K) queries, (B, s, G, K) keys and values."""
        return self.qkv(h).unflatten(-1, (-1, self.size)).split([self.heads, self.key_heads, self.key_heads], 2)


@dataclass(frozen=True)
class KeyValues:
    """Keys and values (B, H, M, K) of y's tokens, and which are no padding (B, 1, 1, M)."""

    keys: Tensor
    values: Tensor
    there: Tensor

    def rows(self, index: Tensor) -> KeyValues:
        """The rows `index`."""
        return KeyValues(self.keys[index], self.values[index], self.there[index])


class CrossAttentionLayer(nn.Module):
    """Steps ask the tokens of y.

    Args:
        width: C.
        heads: H.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.read, self.ask = RMSNorm(width), Linear(width, width, bias=False)
        self.keys, self.take = Linear(width, 2 * width, bias=False), Linear(width, width, bias=False)

    def answers(self, y: Condition) -> KeyValues:
        """What y's tokens answer."""
        assert y.tokens is not None and y.there is not None
        k, v = self.keys(y.tokens).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return KeyValues(k, v, y.there[:, None, None])

    def forward(self, h: Tensor, y: KeyValues) -> Tensor:
        """(B, s, C) -> (B, s, C)."""
        q = self.ask(self.read(h)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        found = attention(q, y.keys, y.values, y.there)
        return self.take(found.transpose(1, 2).flatten(2))

    def weights(self, h: Tensor, y: KeyValues) -> Tensor:
        """(B, s, M) how much each step takes of each token, the mean over heads."""
        q = self.ask(self.read(h)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        scores = (q @ y.keys.mT / q.shape[-1] ** 0.5).masked_fill(~y.there, -torch.inf)
        return scores.softmax(-1).mean(1)


class CrossAttention(Causal):
    """Every step asks the tokens of y, and nothing of its own past: what makes of a recurrent net before it in a `Sequence` a
    sequence-to-sequence net with attention.

    Args:
        grid, order: as of every net; not used.
        attends: whether y has tokens; it passes its tokens on where not.
        width: C.
        heads: H; divides C.
    """


    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 64,
                 heads: int = 4) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"CrossAttention: width={width}, heads={heads}; expected heads that divide the width")
        self.width = width
        self.ask = CrossAttentionLayer(width, heads) if attends else None

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        return h if self.ask is None else h + self.ask(h, self.ask.answers(y))

    def start(self, y: Condition) -> Answered:
        return Answered(None if self.ask is None else self.ask.answers(y))

    @torch.no_grad()
    def step(self, h: Tensor, order: Tensor, t: int, cache: Answered) -> Tensor:  # type: ignore[override]
        return h if self.ask is None or cache.answers is None else h + self.ask(h, cache.answers)


@dataclass(frozen=True)
class Answered:
    """The cache of a `CrossAttention`."""

    answers: KeyValues | None

    def rows(self, index: Tensor) -> Answered:
        """The rows `index`."""
        return Answered(None if self.answers is None else self.answers.rows(index))
