"""RowLSTM: an LSTM that runs down a grid, all of a line at once, each state reading those above it.

    i, f, o, g = K * x + M * h_above + u y        c = f c_above + i g        h = o tanh(c)        x <- x + R h

What a feature depends on is a triangle above it and as much of its own line as the kernels K of all layers span. The entries of
a pixel stand beside one another, each with a state of its own; they read the tokens of one another in their order.

Source: van den Oord, Kalchbrenner, Kavukcuoglu, Pixel recurrent neural networks, 2016 / https://arxiv.org/abs/1601.06759
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

__all__ = ["RowLSTM", "cell"]

# Shapes: B rows, L lines of W pixels of d entries, C width, r how far a kernel reaches, K = 2 r + 1.


class RowLSTM(LineNet):
    """Residual layers of an LSTM that runs down the lines.

    Args:
        grid, attends: as of every net.
        order: line by line, as `Raster`, `Reverse` or `ColumnMajor` draw.
        width: C, of the features and of the state of an entry.
        layers: how many.
        kernel: odd, how many pixels a state reads of its own line, as far as it is drawn, and of the line above.
        dropout: probability, while training.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 32, layers: int = 4,
                 kernel: int = 3, dropout: float = 0.1) -> None:
        super().__init__(grid, order, attends, width)
        if layers < 1 or kernel % 2 != 1:
            raise UserError(f"RowLSTM: layers={layers}, kernel={kernel}; expected 1 layer or more and an odd kernel")
        self.reach = kernel // 2
        self.layers = nn.ModuleList(_Layer(self.lines, width, kernel // 2, dropout) for _ in range(layers))
        self.out = Linear(width, width)

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        x = self.lines.laid(h)
        for layer in self.layers:
            x = layer(x, y.pooled)
        return self.told(self.lines.taken(x))

    def start(self, y: Condition) -> Rows:
        with torch.no_grad():
            return Rows(self, y)


def cell(pre: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """An LSTM's new state h and memory c (..., C) from its gates (..., 4 C), input, forget, output and candidate, and c."""
    gates, candidate = pre.tensor_split([3 * c.shape[-1]], -1)
    i, f, o = gates.sigmoid().chunk(3, -1)
    c = f * c + i * candidate.tanh()
    return o * c.tanh(), c


class _Layer(nn.Module):
    def __init__(self, lines: RowLayout, width: int, reach: int, dropout: float) -> None:
        super().__init__()
        C, d, r = width, lines.depth, reach
        self.lines, self.reach = lines, reach
        bound = (d * C * (3 * r + 2)) ** -0.5
        self.own = nn.Parameter(torch.empty(4 * d * C, d * C, 1, r + 1).uniform_(-bound, bound))
        self.above = nn.Parameter(torch.empty((2 * r + 1) * d * C, 4 * d * C).uniform_(-bound, bound))
        self.mask: Tensor
        mask = torch.ones(self.own.shape)
        mask[..., 0, r] = lines.mask(C, 4 * C)
        self.register_buffer("mask", mask, persistent=False)
        self.condition, self.grow = Linear(C, 4 * C), Linear(C, C, bias=False)
        nn.init.ones_(self.condition.bias[C:2 * C])  # type: ignore[index]
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, pooled: Tensor) -> Tensor:
        """(B, L, W, d C) -> (B, L, W, d C)."""
        d, r = self.lines.depth, self.reach
        own = F.conv2d(F.pad(x.permute(0, 3, 1, 2), (r, 0)), self.own * self.mask).permute(0, 2, 3, 1)
        pre = own.unflatten(3, (d, -1)) + self.condition(pooled)[:, None, None, None]
        h = x.new_zeros(x[:, 0].shape)
        c, found = h.unflatten(2, (d, -1)), []
        for line in pre.unbind(1):
            padded, W = F.pad(h, (0, 0, r, r)), h.shape[1]
            read = torch.cat([padded[:, k:k + W] for k in range(2 * r + 1)], 2)
            state, c = cell(line + (read @ self.above).unflatten(2, (d, -1)), c)
            h = state.flatten(2)
            found.append(state)
        return x + self.drop(self.grow(torch.stack(found, 1))).flatten(3)


class Rows:
    """The cache of a `RowLSTM`: of each layer the states of the last line, overwritten by those of the present one, and what
    they add to its gates.

    Args:
        net: whose weights are laid out for steps.
        y: the condition, B rows.
    """

    def __init__(self, net: RowLSTM, y: Condition) -> None:
        layers: Any = net.layers
        B, (W, d), C, r, n = len(y.pooled), (net.lines.length, net.lines.depth), net.width, net.reach, len(net.layers)
        self.W, self.d, self.C, self.r = W, d, C, r
        self.near = [(layer.own * layer.mask)[:, :, 0].permute(2, 1, 0).flatten(0, 1) for layer in layers]
        self.near_of = [[m[:, 4 * i * C:4 * (i + 1) * C].contiguous() for m in self.near] for i in range(d)]
        self.above = torch.stack([layer.above for layer in layers])  # (layers, K d C, 4 d C)
        self.grow = [layer.grow.weight for layer in layers]
        self.added = torch.stack([layer.condition(y.pooled) for layer in layers])
        new = y.pooled.new_zeros
        self.line = new(n, B, (r + W) * d * C)
        self.h, self.c = new(n, B, (W + 2 * r) * d * C), new(n, B, W * d * C)
        self.base = new(n, B, W, 4 * d * C)
        self._room()

    def _room(self) -> None:
        """Room for the results of a step, and views of what it reads and writes, made as they are asked for."""
        B, C, new = self.h.shape[1], self.C, self.h.new_empty
        self.x, self.pre, self.tanh = new(B, C), new(B, 4 * C), new(B, C)
        self.gates, self.candidate = self.pre[:, :3 * C], self.pre[:, 3 * C:]
        self.i, self.f, self.o = self.gates.chunk(3, -1)
        self.views: dict[int, list[tuple[Tensor, ...]]] = {}

    def rows(self, index: Tensor) -> Rows:
        """The rows `index`, copied."""
        some = copy.copy(self)
        some.added, some.line, some.h, some.c, some.base = (
            kept[:, index] for kept in (self.added, self.line, self.h, self.c, self.base))
        some._room()
        return some

    def begin(self) -> None:
        """What the states of the last line add to the gates of the next."""
        size = self.d * self.C
        windows = self.h.unfold(2, (2 * self.r + 1) * size, size)  # (layers, B, W, K d C)
        read = torch.bmm(windows.reshape(len(windows), -1, windows.shape[-1]), self.above)
        torch.add(read.view(self.base.shape), self.added.repeat(1, 1, self.d)[:, :, None], out=self.base)

    def one(self, h: Tensor, run: Run) -> Tensor:
        """Tokens (B, C) of one step -> (B, C), in as few calls as it takes."""
        i = run.entry or 0
        views = self.views.get(run.pixel * self.d + i) or self._look(run.pixel, i)
        views[0][0].copy_(h)
        for slot, window, base, near, state, c, grow, after in views:
            torch.addmm(base, window, near, out=self.pre)
            self.gates.sigmoid_()
            self.candidate.tanh_()
            c.mul_(self.f).addcmul_(self.i, self.candidate)
            torch.tanh(c, out=self.tanh)
            torch.mul(self.o, self.tanh, out=state)
            torch.addmm(slot, state, grow, out=after)
        return self.x

    def _look(self, pixel: int, i: int) -> list[tuple[Tensor, ...]]:
        """Of each layer what one step writes, reads and multiplies by."""
        r, size, C = self.r, self.d * self.C, self.C
        at, own = (r + pixel) * size + i * C, pixel * size + i * C
        slots = [*(line[:, at:at + C] for line in self.line), self.x]
        views: list[tuple[Tensor, ...]] = [
            (slots[n], line[:, pixel * size:(pixel + r + 1) * size], self.base[n, :, pixel, 4 * i * C:4 * (i + 1) * C],
             self.near_of[i][n], self.h[n, :, at:at + C], self.c[n, :, own:own + C], self.grow[n], slots[n + 1])
            for n, line in enumerate(self.line)]
        self.views[pixel * self.d + i] = views
        return views

    def several(self, x: Tensor, run: Run) -> Tensor:
        """Tokens (B, n, C) of the whole pixels of a run -> (B, n, C)."""
        r, size, C, N = self.r, self.d * self.C, self.C, x.shape[1]
        at, own, pixels = (r + run.pixel) * size, run.pixel * size, slice(run.pixel, run.pixel + run.pixels)
        for n, line in enumerate(self.line):
            line[:, at:at + N * C] = x.flatten(1)
            pre = line.unfold(1, (r + 1) * size, size)[:, pixels] @ self.near[n] + self.base[n, :, pixels]
            state, c = cell(pre.reshape(len(x), N, 4 * C), self.c[n, :, own:own + N * C].view(len(x), N, C))
            self.h[n, :, at:at + N * C], self.c[n, :, own:own + N * C] = state.flatten(1), c.flatten(1)
            x = x + state @ self.grow[n]
        return x
