"""PixelCNN: masked convolutions over a grid drawn line by line.

A feature reads the lines above and its own line up to itself, never further: tokens hold values of earlier entries alone, so
the mask lets the centre through in every layer. What lies above to the right at more than one column a line is never reached:
the blind spot, which `GatedPixelCNN` does not have. The entries of a pixel, red, green and blue, stand beside one another,
each with features of its own; at the centre they read one another in their order.

Step by step a layer remembers the lines it still reads. What they add to the line to come is worked out once a line, for all
layers and pixels together; a step is left with three small products a block.

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

__all__ = ["PixelCNN"]

# Shapes: B rows, L lines of W pixels of d entries, C width, H = C / 2, r how far a kernel reaches, K = r + 1 pixels of a line
# that it reads, the last of them its own.


class PixelCNN(LineNet):
    """Residual blocks of masked convolutions.

    Args:
        grid, attends: as of every net.
        order: line by line, as `Raster`, `Reverse` or `ColumnMajor` draw.
        width: C, of the features of an entry; even.
        layers: how many blocks.
        kernel: odd, how many lines and columns a block spans.
        dropout: probability, while training.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 32, layers: int = 8,
                 kernel: int = 3, dropout: float = 0.1) -> None:
        super().__init__(grid, order, attends, width)
        if width % 2 or layers < 1 or kernel % 2 != 1:
            raise UserError(f"PixelCNN: width={width}, layers={layers}, kernel={kernel}; expected an even width, 1 layer or "
                            "more and an odd kernel")
        self.reach = kernel // 2
        self.layers = nn.ModuleList(_Block(self.lines, width, kernel // 2, dropout) for _ in range(layers))
        self.out = Linear(width, width)

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        x = self.lines.laid(h)
        for block in self.layers:
            x = block(x, y.pooled)
        return self.told(self.lines.taken(x))

    def start(self, y: Condition) -> PixelLines:
        with torch.no_grad():
            return PixelLines(self, y)


class _Block(nn.Module):
    def __init__(self, lines: RowLayout, width: int, reach: int, dropout: float) -> None:
        super().__init__()
        H, d, r = width // 2, lines.depth, reach
        self.lines, self.reach = lines, reach
        self.shrink, self.condition, self.grow = Linear(width, H, bias=False), Linear(width, H), Linear(H, width)
        self.mask: Tensor
        mask = torch.ones(d * H, d * H, r + 1, 2 * r + 1)
        mask[:, :, r, r + 1:] = 0
        mask[:, :, r, r] = lines.mask(H, H)
        self.register_buffer("mask", mask, persistent=False)
        bound = (d * H * (2 * r * (r + 1) + 1)) ** -0.5
        self.kernel = nn.Parameter(torch.empty(mask.shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(d * H).uniform_(-bound, bound))
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, pooled: Tensor) -> Tensor:
        """(B, L, W, d C) -> (B, L, W, d C)."""
        d, r = self.lines.depth, self.reach
        h = F.relu(x).unflatten(3, (d, -1))
        h = F.relu(self.shrink(h) + self.condition(pooled)[:, None, None, None]).flatten(3)
        # Channels last in memory: what follows and precedes the convolution are matrix products over channels.
        h = F.conv2d(F.pad(h.permute(0, 3, 1, 2), (r, r, r, 0)), self.kernel * self.mask, self.bias).permute(0, 2, 3, 1)
        return x + self.drop(self.grow(F.relu(h).unflatten(3, (d, -1)))).flatten(3)


class PixelLines:
    """The cache of a `PixelCNN`: of each block the lines it still reads, and what those above add to the present one.

    Args:
        net: whose weights are laid out for steps.
        y: the condition, B rows.
    """

    def __init__(self, net: PixelCNN, y: Condition) -> None:
        blocks: Any = net.layers
        B, (W, d), C, H, r = len(y.pooled), (net.lines.length, net.lines.depth), net.width, net.width // 2, net.reach
        self.W, self.d, self.C, self.H, self.r = W, d, C, H, r
        kernels = torch.stack([(block.kernel * block.mask).permute(2, 3, 1, 0) for block in blocks])
        self.shrink = [block.shrink.weight for block in blocks]
        self.grow = [torch.cat([block.grow.weight, block.grow.bias[None]]) for block in blocks]
        self.upper = kernels[:, :r].flatten(1, 3)
        self.bias = torch.stack([block.bias for block in blocks])[:, None]
        self.near = list(kernels[:, r, :r + 1].flatten(1, 2))
        self.near_of = [[near[:, i * H:(i + 1) * H].contiguous() for near in self.near] for i in range(d)]
        self.added = [block.condition(y.pooled) for block in blocks]
        self.kept = y.pooled.new_zeros(len(blocks), B, r + 1, (W + 2 * r) * d * H)
        self.above = self.bias.repeat(1, B * W, 1).view(len(blocks), B, W, d * H)
        self._room()

    def _room(self) -> None:
        """Room for the results of a step, and views of what it reads and writes, made as they are asked for."""
        B, new = self.kept.shape[1], self.kept.new_empty
        self.a, self.x, self.m = new(B, self.C), new(B, self.C), new(B, self.H + 1).fill_(1)
        self.free = self.m[:, :self.H]
        self.views: dict[int, list[tuple[Tensor, ...]]] = {}

    def rows(self, index: Tensor) -> PixelLines:
        """The rows `index`, copied."""
        some = copy.copy(self)
        some.added = [a[index] for a in self.added]
        some.kept, some.above = self.kept[:, index], self.above[:, index]
        some._room()
        return some

    def begin(self) -> None:
        """The present line is the last above; what the lines above add to all of the next."""
        r, size = self.r, self.d * self.H
        if not r:
            return
        self.kept[:, :, :r] = self.kept[:, :, 1:].clone()
        windows = self.kept[:, :, :r].unfold(3, (2 * r + 1) * size, size)  # (blocks, B, r, W, (2 r + 1) d H)
        blocks, B = self.kept.shape[:2]
        read = windows.transpose(2, 3).reshape(blocks, B * self.W, -1)
        torch.baddbmm(self.bias, read, self.upper, out=self.above.view(blocks, B * self.W, size))

    def one(self, h: Tensor, run: Run) -> Tensor:
        """Tokens (B, C) of one step -> (B, C), in as few calls as it takes."""
        i = run.entry or 0
        views = self.views.get(run.pixel * self.d + i) or self._look(run.pixel, i)
        a, x, m, free = self.a, self.x, self.m, self.free
        x.copy_(h)
        for slot, window, above, near, added, shrink, grow in views:
            torch.clamp_min(x, 0, out=a)
            torch.addmm(added, a, shrink, out=slot)
            slot.relu_()
            torch.addmm(above, window, near, out=free)
            free.relu_()
            x.addmm_(m, grow)
        return x

    def _look(self, pixel: int, i: int) -> list[tuple[Tensor, ...]]:
        """Of each block what one step writes, reads and multiplies by."""
        r, size, H = self.r, self.d * self.H, self.H
        views = list[tuple[Tensor, ...]]()
        for b, near in enumerate(self.near_of[i]):
            line = self.kept[b, :, r]
            at = (r + pixel) * size + i * H
            views.append((line[:, at:at + H], line[:, pixel * size:(pixel + r + 1) * size],
                          self.above[b, :, pixel, i * H:(i + 1) * H], near, self.added[b], self.shrink[b], self.grow[b]))
        self.views[pixel * self.d + i] = views
        return views

    def several(self, x: Tensor, run: Run) -> Tensor:
        """Tokens (B, n, C) of the steps of a run -> (B, n, C)."""
        r, size, H = self.r, self.d * self.H, self.H
        at = (r + run.pixel) * size
        for b, near in enumerate(self.near):
            line = self.kept[b, :, r]
            h = F.relu(F.relu(x) @ self.shrink[b] + self.added[b][:, None])
            line[:, at:at + h.shape[1] * H] = h.flatten(1)
            window = line.unfold(1, (r + 1) * size, size)[:, run.pixel:run.pixel + run.pixels]
            h = F.relu(window @ near + self.above[b, :, run.pixel:run.pixel + run.pixels])
            x = x + h.reshape(len(x), -1, H) @ self.grow[b][:H] + self.grow[b][H]
        return x
