"""Single: one step of a transformer, one entry a row, in as few calls as it takes.

At one row the net's arithmetic is small beside the cost of calling it, so every result has its place in memory, made once, and
what could be reshaped at every step is a view made once. Keys and values grow into ever larger windows on their memory; what
lies beyond the present step in a window is masked. Equal to the net's own forward to rounding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from given.nn.feedforward import GELU, SwiGLU
from given.nn.positions import Rotary, Summed

if TYPE_CHECKING:
    from given.nn.attention import Memory
    from given.nn.transformer import Stepping, Transformer

__all__ = ["Single"]

_MOST_ROWS = 64  # beyond them arithmetic is what costs
_FIRST = 32  # steps of the first window


class Single:
    """The steps of B rows.

    Args:
        net: a transformer without y's tokens, whose order is one for all rows.
        memory: of each layer, written to.
        added: (B, C) of each layer.
    """

    def __init__(self, net: Transformer, memory: list[Memory], added: list[Tensor]) -> None:
        first: Any = net.layers[0]
        B, C, (H, G, K) = len(added[0]), net.width, (first.attend.heads, first.attend.key_heads, first.attend.size)
        new = added[0].new_empty
        self.net, self.layers, self.H, self.steps = net, list[_One](), H, memory[0].kept.shape[3]
        self.h, self.x, self.mean, self.ones = new(B, C), new(B, C), new(B, 1), new(C, 1).fill_(1 / C)
        self.epsilon = new(B, 1).fill_(first.read.epsilon)
        self.qkv, self.heads_of = new(B, (H + 2 * G) * K), (B, H, G, K)
        self.q = self.qkv[:, :H * K].view(B * G, H // G, K) if B == 1 else None
        self.turned = torch.view_as_complex(self.qkv[:, :(H + G) * K].view(B, H + G, K // 2, 2)) if K % 2 == 0 else None
        self.kv = self.qkv[:, H * K:].view(B, 2, G, K).transpose(0, 1)
        self.mixed = new(B * G, H // G, K)
        self.together = self.mixed.view(B, C)
        for layer, m, a in zip(net.layers, memory, added, strict=True):
            self.layers.append(_One(layer, m.kept, a, self))
        self.window = 0

    @staticmethod
    def can(net: Transformer, cache: Stepping) -> bool:
        """Whether it knows how."""
        return (len(cache.added[0]) <= _MOST_ROWS and not cache.memory[0].prefix and cache.asked[0] is None
                and isinstance(net.layers[0].more, GELU | SwiGLU))  # type: ignore[union-attr]

    def step(self, h: Tensor, order: Tensor, t: int) -> Tensor:
        """Tokens (B, C) of step t -> features (B, C)."""
        if t >= self.window:
            self.window = min(max(_FIRST, 2 ** math.ceil(math.log2(t + 1))), self.steps)
            back = torch.arange(self.steps)[:, None] - torch.arange(self.window)
            hidden = (back < 0) if self.net.window is None else (back < 0) | (back >= self.net.window)
            self.mask = torch.zeros(1, 1, 1).expand(self.steps, 1, self.window).masked_fill(hidden[:, None], -torch.inf)
            for one in self.layers:
                one.look(self.window)
        positions: Any = self.net.positions
        self.h.copy_(positions.added(h[:, None], order, t)[:, 0] if isinstance(positions, Summed) else h)
        turn = positions.turn[order[0, t]] if isinstance(positions, Rotary) else None
        for i, one in enumerate(self.layers):
            bias = positions.bias(i, order, t, 1)
            if bias is None:
                mask = self.mask[t]
            else:
                B, H, G, _ = self.heads_of
                mask = F.pad(bias, (0, self.window - t - 1), value=-torch.inf).expand(B, H, 1, -1).reshape(
                    B * G, H // G, -1) + self.mask[t]
            one.step(self, turn, mask, t)
        self.norm(self.h)
        return self.x * self.net.norm.weight

    def norm(self, h: Tensor) -> None:
        """x = h over the root of its mean square."""
        torch.mul(h, h, out=self.x)
        torch.addmm(self.epsilon, self.x, self.ones, out=self.mean)
        torch.mul(h, self.mean.rsqrt_(), out=self.x)


class _One:
    """One layer: its matrices with the norms' weights taken in, its memory, what is known of y."""

    def __init__(self, layer: Any, kept: Tensor, added: Tensor, of: Single) -> None:
        B, H, G, K = of.heads_of
        self.added, self.scale = added, K**-0.5
        self.qkv = layer.read.weight[:, None] * layer.attend.qkv.weight
        self.qkv[:, : H * K] *= self.scale
        self.out = layer.attend.out.weight
        self.up, self.down = layer.read_more.weight[:, None] * layer.more.up.weight, layer.more.down.weight
        self.up_bias, self.down_bias = layer.more.up.bias, layer.more.down.bias
        self.between = added.new_empty(B, self.up.shape[1])
        self.gated = self.up.shape[1] != self.down.shape[0]
        if self.gated:
            self.gate, self.value = self.between.chunk(2, -1)
        self.kept, self.flat = kept, kept.view(2, B * G, *kept.shape[3:])

    def look(self, window: int) -> None:
        """Attend to so many steps at most."""
        self.keys, self.values = self.flat[0, :, :window].mT, self.flat[1, :, :window]
        self.scores = self.flat.new_empty(0)

    def step(self, of: Single, turn: Tensor | None, mask: Tensor, t: int) -> None:
        """Of.h -> of.h."""
        h, x = of.h, of.x
        h += self.added
        of.norm(h)
        torch.mm(x, self.qkv, out=of.qkv)
        if turn is not None:
            torch.mul(of.turned, turn, out=of.turned)
        self.kept.select(3, t).copy_(of.kv)
        q = of.q
        if q is None:
            B, H, G, K = of.heads_of
            q = of.qkv[:, : H * K].reshape(B * G, H // G, K)
        scores = torch.baddbmm(mask.expand(len(q), q.shape[1], -1), q, self.keys)
        torch.bmm(scores.softmax(-1), self.values, out=of.mixed)
        h.addmm_(of.together, self.out)
        of.norm(h)
        if self.gated:
            torch.mm(x, self.up, out=self.between)
            h.addmm_(F.silu(self.gate).mul_(self.value), self.down)
        else:
            torch.addmm(self.up_bias, x, self.up, out=self.between)
            h.addmm_(F.gelu(self.between, approximate="tanh"), self.down)
            h += self.down_bias
