"""GatedPixelCNN: two stacks of gated convolutions over a grid drawn line by line, without a blind spot.

    v <- tanh(W * v + W' y) sigmoid(V * v + V' y)          the vertical stack: all of the lines above
    x <- x + R tanh(U * x + M (W * v) + U' y) sigmoid(...)   the horizontal stack: the line so far, and what v knows

The vertical stack begins a line late, so that its convolutions need no mask; the horizontal one reads its own line up to
itself. The entries of a pixel stand beside one another, each with features of its own, and read one another in their order.

Step by step the vertical stack is worked out once a line; a step of the horizontal one is two small products a layer.

Source: van den Oord et al., Conditional image generation with PixelCNN decoders, 2016 / https://arxiv.org/abs/1606.05328
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.dropout import Dropout
from given.nn.line_net import LineNet
from given.nn.linear import Linear
from given.nn.order import Grid
from given.nn.row_layout import RowLayout, Run
from given.variables import UserError

__all__ = ["GatedPixelCNN"]

# Shapes: B rows, L lines of W pixels of d entries, C width, r how far a kernel reaches, K = 2 r + 1.


class GatedPixelCNN(LineNet):
    """A vertical and a horizontal stack.

    Args:
        grid, attends: as of every net.
        order: line by line, as `Raster`, `Reverse` or `ColumnMajor` draw.
        width: C, of the features of an entry.
        layers: of each stack.
        kernel: odd, how many lines and columns a layer spans.
        dropout: probability, while training.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 32, layers: int = 4,
                 kernel: int = 3, dropout: float = 0.2) -> None:
        super().__init__(grid, order, attends, width)
        if layers < 1 or kernel % 2 != 1:
            raise UserError(f"GatedPixelCNN: layers={layers}, kernel={kernel}; expected 1 layer or more and an odd kernel")
        self.reach = kernel // 2
        self.layers = nn.ModuleList(_Layer(self.lines, width, kernel // 2, dropout) for _ in range(layers))
        self.out = Linear(width, width)

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        x = self.lines.laid(h)
        v = F.pad(x[:, :-1], (0, 0, 0, 0, 1, 0))
        for layer in self.layers:
            v, x = layer(v, x, y.pooled)
        return self.told(self.lines.taken(x))

    def start(self, y: Condition) -> Stacks:
        with torch.no_grad():
            return Stacks(self, y)


class _Layer(nn.Module):
    def __init__(self, lines: RowLayout, width: int, reach: int, dropout: float) -> None:
        super().__init__()
        C, d, r = width, lines.depth, reach
        self.lines, self.reach = lines, reach
        self.vertical = _kernel(2 * d * C, d * C, r + 1, 2 * r + 1)
        self.horizontal = _kernel(2 * d * C, d * C, 1, r + 1)
        self.mask: Tensor
        mask = torch.ones(2 * d * C, d * C, 1, r + 1)
        mask[..., 0, r] = lines.mask(C, 2 * C)
        self.register_buffer("mask", mask, persistent=False)
        self.link = Linear(2 * C, 2 * C, bias=False)
        self.condition = Linear(C, 4 * C)
        self.grow = Linear(C, C)
        self.drop = Dropout(dropout)

    def forward(self, v: Tensor, x: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, W, d C) each -> the same."""
        d, r = self.lines.depth, self.reach
        of_v, of_x = self.condition(pooled)[:, None, None, None].chunk(2, -1)
        # Channels last in memory: what surrounds the convolutions are matrix products over channels.
        above = F.conv2d(F.pad(v.permute(0, 3, 1, 2), (r, r, r, 0)), self.vertical).permute(0, 2, 3, 1).unflatten(3, (d, -1))
        beside = F.conv2d(F.pad(x.permute(0, 3, 1, 2), (r, 0)), self.horizontal * self.mask).permute(0, 2, 3, 1)
        z = _gated(beside.unflatten(3, (d, -1)) + self.link(above) + of_x)
        return _gated(above + of_v).flatten(3), x + self.drop(self.grow(z)).flatten(3)


def _kernel(outputs: int, inputs: int, height: int, width: int) -> nn.Parameter:
    bound = (inputs * height * width) ** -0.5
    return nn.Parameter(torch.empty(outputs, inputs, height, width).uniform_(-bound, bound))


def _gated(pre: Tensor) -> Tensor:
    """(..., 2 C) -> (..., C)."""
    a, b = pre.chunk(2, -1)
    return a.tanh() * b.sigmoid()


class Stacks:
    """The cache of a `GatedPixelCNN`: of each layer the lines the vertical stack still reads, the present line of the
    horizontal one, and what the first adds to the second on it.

    sigmoid(b) is (1 + tanh(b / 2)) / 2, so with half the weights one tanh serves both halves of a gate.

    Args:
        net: whose weights are laid out for steps.
        y: the condition, B rows.
    """

    def __init__(self, net: GatedPixelCNN, y: Condition) -> None:
        layers: Any = net.layers
        B, (W, d), C, r, n = len(y.pooled), (net.lines.length, net.lines.depth), net.width, net.reach, len(net.layers)
        self.W, self.d, self.C, self.r = W, d, C, r
        new = y.pooled.new_zeros
        half = torch.cat([new(C).fill_(1), new(C).fill_(0.5)])
        self.vertical = [layer.vertical.permute(2, 3, 1, 0).flatten(0, 2) for layer in layers]  # (K (r + 1) d C, 2 d C)
        self.link = [layer.link.weight * half for layer in layers]
        near = [(layer.horizontal * layer.mask)[:, :, 0].permute(2, 1, 0).flatten(0, 1) * half.repeat(d) for layer in layers]
        self.near, self.near_of = near, [[m[:, 2 * i * C:2 * (i + 1) * C].contiguous() for m in near] for i in range(d)]
        self.grow = [torch.cat([layer.grow.weight / 2, layer.grow.bias[None]]) for layer in layers]
        added = [layer.condition(y.pooled).chunk(2, -1) for layer in layers]
        self.of_v, self.of_x = torch.stack([a for a, _ in added]), torch.stack([b * half for _, b in added])
        self.above = new(n, B, r + 1, (W + 2 * r) * d * C)
        self.line = new(n, B, (r + W) * d * C)
        self.base = new(n, B, W, d * 2 * C)
        self._room()

    def _room(self) -> None:
        """Room for the results of a step, and views of what it reads and writes, made as they are asked for."""
        B, C, new = self.line.shape[1], self.C, self.line.new_empty
        self.x, self.pre, self.z = new(B, C), new(B, 2 * C), new(B, C + 1).fill_(1)
        self.a, self.b, self.free = self.pre[:, :C], self.pre[:, C:], self.z[:, :C]
        self.views: dict[int, list[tuple[Tensor, ...]]] = {}

    def rows(self, index: Tensor) -> Stacks:
        """The rows `index`, copied."""
        some = copy.copy(self)
        some.of_v, some.of_x, some.above, some.line, some.base = (
            kept[:, index] for kept in (self.of_v, self.of_x, self.above, self.line, self.base))
        some._room()
        return some

    def begin(self) -> None:
        """The vertical stack on the next line, which begins from the tokens of the present one."""
        r, size, d = self.r, self.d * self.C, self.d
        v = self.line[0, :, r * size:]
        for i, kept in enumerate(self.above):
            kept[:, :r] = kept[:, 1:].clone()
            kept[:, r, r * size:(r + self.W) * size] = v
            windows = kept.unfold(2, (2 * r + 1) * size, size).transpose(1, 2).flatten(2)  # (B, W, (r + 1) K d C)
            pre = (windows @ self.vertical[i]).unflatten(2, (d, -1))
            self.base[i] = (pre @ self.link[i] + self.of_x[i][:, None, None]).flatten(2)
            v = _gated(pre + self.of_v[i][:, None, None]).flatten(1)

    def one(self, h: Tensor, run: Run) -> Tensor:
        """Tokens (B, C) of one step -> (B, C), in as few calls as it takes."""
        i = run.entry or 0
        views = self.views.get(run.pixel * self.d + i) or self._look(run.pixel, i)
        pre, a, b, z, free = self.pre, self.a, self.b, self.z, self.free
        views[0][0].copy_(h)
        for slot, window, base, near, grow, after in views:
            torch.addmm(base, window, near, out=pre)
            pre.tanh_()
            torch.addcmul(a, a, b, out=free)
            torch.addmm(slot, z, grow, out=after)
        return self.x

    def _look(self, pixel: int, i: int) -> list[tuple[Tensor, ...]]:
        """Of each layer what one step writes, reads and multiplies by."""
        r, size, C = self.r, self.d * self.C, self.C
        at = (r + pixel) * size + i * C
        slots = [*(line[:, at:at + C] for line in self.line), self.x]
        views: list[tuple[Tensor, ...]] = [
            (slots[n], line[:, pixel * size:(pixel + r + 1) * size], self.base[n, :, pixel, 2 * i * C:2 * (i + 1) * C],
             self.near_of[i][n], self.grow[n], slots[n + 1]) for n, line in enumerate(self.line)]
        self.views[pixel * self.d + i] = views
        return views

    def several(self, x: Tensor, run: Run) -> Tensor:
        """Tokens (B, n, C) of the whole pixels of a run -> (B, n, C)."""
        r, size, C = self.r, self.d * self.C, self.C
        at, pixels = (r + run.pixel) * size, slice(run.pixel, run.pixel + run.pixels)
        for n, line in enumerate(self.line):
            line[:, at:at + x.shape[1] * C] = x.flatten(1)
            pre = line.unfold(1, (r + 1) * size, size)[:, pixels] @ self.near[n] + self.base[n, :, pixels]
            a, b = pre.reshape(len(x), -1, 2 * C).tanh().chunk(2, -1)
            x = x + (a + a * b) @ self.grow[n][:C] + self.grow[n][C]
        return x
