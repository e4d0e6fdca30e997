"""FusedStep: one step of a transformer, one entry a row, in as few calls as it takes.

At one row the net's arithmetic is small beside the cost of calling it, so every result has its place in memory, made once, and
what could be reshaped at every step is a view made once. Keys and values grow into ever larger windows on their memory; what
lies beyond the present step in a window is masked. Equal to the net's own forward to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.attention import KeyValues, KVCache
from given.nn.feedforward import GELU, SwiGLU
from given.nn.linear import RMSNorm
from given.nn.positions import LearnedPositions, RelativeBias, Rotary

__all__ = ["FusedStep"]

_MOST_ROWS = 64  # beyond them arithmetic is what costs
_FIRST = 32  # steps of the first window


class Net(Protocol):
    """What is read of a transformer."""

    layers: nn.ModuleList
    positions: nn.Module
    norm: RMSNorm
    width: int
    window: int | None


class FusedStep:
    """The steps of B rows.

    Args:
        net: a transformer without y's tokens, whose order is one for all rows.
        memory: of each layer, written to.
        added: (B, C) of each layer.
    """

    def __init__(self, net: Net, memory: list[KVCache], added: list[Tensor]) -> None:
        first: Any = net.layers[0]
        B, C, (H, G, K) = len(added[0]), net.width, (first.attend.heads, first.attend.key_heads, first.attend.size)
        new = added[0].new_empty
        self.net, self.steps, self.alone, self.heads_of = net, memory[0].kept.shape[3], B == 1, (B, H, G, K)
        self.h, self.x, self.mean, self.ones = new(B, C), new(B, C), new(B, 1), new(C, 1).fill_(1 / C)
        self.epsilon, self.tiny = new(B, 1).fill_(first.read.epsilon), first.read.epsilon
        self.row = self.h[0]
        self.qkv = new(B, (H + 2 * G) * K)
        self.q = self.qkv[:, :H * K].view(B * G, H // G, K) if B == 1 else None
        self.turned = torch.view_as_complex(self.qkv[:, :(H + G) * K].view(B, H + G, K // 2, 2)) if K % 2 == 0 else None
        self.kv = self.qkv[:, H * K:].view(B, 2, G, K).transpose(0, 1)
        self.mixed = new(B * G, H // G, K)
        self.together = self.mixed.view(B, C)
        self.layers = [_One(layer, m.kept, self) for layer, m in zip(net.layers, memory, strict=True)]
        # What each layer adds of y, with what the layer below adds always.
        below = [added[0], *(a if (bias := one.down_bias) is None else a + bias
                             for a, one in zip(added[1:], self.layers, strict=False))]
        self.added, self.last = below, self.layers[-1].down_bias
        self.window, self.biased = 0, isinstance(net.positions, RelativeBias)
        self.turns: tuple[Tensor, ...] = ()

    @staticmethod
    def can(net: Net, memory: Sequence[KVCache], added: Sequence[Tensor], asked: Sequence[KeyValues | None]) -> bool:
        """Whether it knows how."""
        return (added[0].device.type == "cpu" and len(added[0]) <= _MOST_ROWS and not memory[0].prefix and asked[0] is None
                and type(net.layers[0].more) in (GELU, SwiGLU)
                and type(net.positions) in (RelativeBias, Rotary, LearnedPositions))

    def step(self, h: Tensor, order: Tensor, t: int) -> Tensor:
        """Tokens (B, C) of step t -> features (B, C)."""
        positions: Any = self.net.positions
        if t >= self.window:
            self._widen(t)
            self.turns = positions.turn[order[0, :self.window]].unbind(0) if isinstance(positions, Rotary) else ()
        if isinstance(positions, LearnedPositions):
            h = positions.added(h[:, None], order, t)[:, 0]
        self.h.copy_(h)
        turn = self.turns[t] if self.turns else None
        for i, (one, added) in enumerate(zip(self.layers, self.added, strict=True)):
            self.h += added
            one.step(self, turn, self._biased(positions.bias(i, order, t, 1), t) if self.biased else self.masks[t], t)
        if self.last is not None:
            self.h += self.last
        x, scale = self.norm()
        return x * (self.net.norm.weight * scale)

    def norm(self) -> tuple[Tensor, float]:
        """h over the root of its mean square, as what is to be multiplied and a factor."""
        if self.alone:
            return self.h, (self.row.dot(self.row).item() / len(self.row) + self.tiny) ** -0.5
        torch.mul(self.h, self.h, out=self.x)
        torch.addmm(self.epsilon, self.x, self.ones, out=self.mean)
        torch.mul(self.h, self.mean.rsqrt_(), out=self.x)
        return self.x, 1.0

    def _widen(self, t: int) -> None:
        """A window on the memory that holds step t, and the masks of the steps in it."""
        B, H, G, _ = self.heads_of
        self.window = min(max(_FIRST, 2 ** math.ceil(math.log2(t + 1))), self.steps)
        back = torch.arange(self.window)[:, None] - torch.arange(self.window)
        hidden = (back < 0) if self.net.window is None else (back < 0) | (back >= self.net.window)
        mask = torch.zeros(self.window, 1, 1, self.window).masked_fill(hidden[:, None, None], -torch.inf)
        self.masks = mask.expand(-1, B * G, H // G, -1).unbind(0)
        for one in self.layers:
            one.look(self.window)

    def _biased(self, bias: Tensor, t: int) -> Tensor:
        B, H, G, _ = self.heads_of
        wide = F.pad(bias, (0, self.window - t - 1)).expand(B, H, 1, -1).reshape(B * G, H // G, -1)
        return wide + self.masks[t]


class _One:
    """One layer: its matrices with the norms' weights taken in, and its memory."""

    def __init__(self, layer: Any, kept: Tensor, of: FusedStep) -> None:
        B, H, G, K = of.heads_of
        self.qkv = layer.read.weight[:, None] * layer.attend.qkv.weight
        self.qkv[:, : H * K] *= K**-0.5
        self.out = layer.attend.out.weight
        self.up, self.down = layer.read_more.weight[:, None] * layer.more.up.weight, layer.more.down.weight
        self.up_bias, self.down_bias = layer.more.up.bias, layer.more.down.bias
        self.between = kept.new_empty(B, self.up.shape[1])
        self.gated = self.up.shape[1] != self.down.shape[0]
        if self.gated:
            self.gate, self.value = self.between.chunk(2, -1)
        self.kept, self.flat = kept, kept.view(2, B * G, *kept.shape[3:])

    def look(self, window: int) -> None:
        """Attend to so many steps at most."""
        self.keys, self.values = self.flat[0, :, :window].mT, self.flat[1, :, :window]

    def step(self, of: FusedStep, turn: Tensor | None, mask: Tensor, t: int) -> None:
        """Of.h -> of.h."""
        x, scale = of.norm()
        torch.addmm(of.qkv, x, self.qkv, beta=0, alpha=scale, out=of.qkv)
        if turn is not None:
            torch.mul(of.turned, turn, out=of.turned)  # type: ignore[arg-type]
        self.kept.select(3, t).copy_(of.kv)
        q = of.q
        if q is None:
            B, H, G, K = of.heads_of
            q = of.qkv[:, : H * K].reshape(B * G, H // G, K)
        torch.bmm(torch.baddbmm(mask, q, self.keys).softmax(-1), self.values, out=of.mixed)
        of.h.addmm_(of.together, self.out)
        x, scale = of.norm()
        if self.gated:
            torch.addmm(self.between, x, self.up, beta=0, alpha=scale, out=self.between)
            of.h.addmm_(F.silu(self.gate).mul_(self.value), self.down)
        else:
            torch.addmm(self.up_bias, x, self.up, alpha=scale, out=self.between)
            of.h.addmm_(F.gelu(self.between, approximate="tanh"), self.down)
