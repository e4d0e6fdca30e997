"""PixelResNet: residual convolutions over whole pixels, first those of the lines above, then those of the line so far.

    v <- v + W relu(V * relu(v))     down from the line above, three pixels wide: all that stands above, without a blind spot
    h <- h + U relu(T * relu(h))     from the left, over what v knows and the line up to the pixel before

A pixel's entries share d C features, which know no entry of their pixel. What an entry's token knows of those before it in its
pixel joins in the last layer. So no kernel needs a mask, and where a processor multiplies matrices of 16 bits nearly all the
work is in large ones.

Step by step v is worked out once a line and h once a pixel.

Source: Salimans, Karpathy, Chen, Kingma, PixelCNN++, 2017 / https://arxiv.org/abs/1701.05517
van den Oord et al., Conditional image generation with PixelCNN decoders, 2016 / https://arxiv.org/abs/1606.05328
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.dropout import Dropout
from given.nn.line_net import LineNet
from given.nn.linear import Linear
from given.nn.order import Grid
from given.nn.row_layout import Run
from given.variables import UserError

__all__ = ["PixelResNet"]

# Shapes: B rows, L lines of W pixels of d entries, C width, P = d C features of a pixel.
_REACH = 1, 2  # pixels to the side that a convolution of the lines above reads, and to the left one of the line so far


class PixelResNet(LineNet):
    """Blocks of two convolutions, of the lines above and of the line so far.

    Args:
        grid, attends: as of every net.
        order: line by line, as `Raster`, `Reverse` or `ColumnMajor` draw.
        width: C, of the features of an entry; a pixel has as many for each of its entries.
        layers: blocks of each kind.
        dropout: probability, while training.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 32, layers: int = 3,
                 dropout: float = 0.0) -> None:
        super().__init__(grid, order, attends, width)
        if layers < 1:
            raise UserError(f"PixelResNet: layers={layers}; expected 1 or more")
        P = self.lines.depth * width
        side, left = _REACH
        self.above = nn.ModuleList(_Block(P, 2, 2 * side + 1, dropout) for _ in range(layers))
        self.beside = nn.ModuleList(_Block(P, 1, left + 1, dropout) for _ in range(layers))
        self.enter, self.before, self.first = Linear(P, P), Linear(P, P, bias=False), Linear(width, P)
        self.condition = Linear(width, 2 * P)
        self.out = Linear(width, width)

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        x = self.lines.laid(h)
        of_v, of_h = self.condition(y.pooled)[:, None, None].chunk(2, -1)
        v = self.enter(F.pad(x[:, :-1], (0, 0, 0, 0, 1, 0))) + of_v
        v = _blocks(self.above, v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        pixel = self._begun(x[..., :self.width], F.pad(x[:, :, :-1], (0, 0, 1, 0)), v) + of_h
        pixel = _blocks(self.beside, pixel.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.told(self.lines.taken(pixel) + h)

    def _begun(self, first: Tensor, before: Tensor, v: Tensor) -> Tensor:
        """Features of pixels from the tokens of their first entries (..., C), those of the pixels before and v (..., P)."""
        return self.first(first) + self.before(before) + v

    def start(self, y: Condition) -> Pixels:
        with torch.no_grad():
            return Pixels(self, y)


class _Block(nn.Module):
    """Two convolutions of a kernel that ends at its place, beside a shortcut."""

    def __init__(self, width: int, height: int, length: int, dropout: float) -> None:
        super().__init__()
        sides = length // 2 if height > 1 else length - 1  # of a single line only to the left
        self.pad = sides, sides if height > 1 else 0, height - 1, 0
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, (height, length)) for _ in range(2))
        for part, size in zip(self.convolutions, (1.0, 0.3), strict=True):
            nn.init.normal_(part.weight, std=size * (2 / (width * height * length)) ** 0.5)  # type: ignore[arg-type]
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, P, lines, pixels) -> the same."""
        h = x
        for part in self.convolutions:
            h = part(F.pad(F.relu(h), self.pad))
        return x + self.drop(h)


def _blocks(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x


class Pixels:
    """The cache of a `PixelResNet`: of every convolution what it still reads of the lines above, or of its line so far; the
    tokens of the present line, and what v knows there.

    Args:
        net: whose steps are taken.
        y: the condition, B rows.
    """

    def __init__(self, net: PixelResNet, y: Condition) -> None:
        B, (W, d), C = len(y.pooled), (net.lines.length, net.lines.depth), net.width
        self.net, self.W, self.d, self.C = net, W, d, C
        side, left = _REACH
        new, n = y.pooled.new_zeros, 2 * len(net.above)
        self.of_v, self.of_h = net.condition(y.pooled)[:, None].chunk(2, -1)
        self.line = new(B, 1 + W, d * C)  # tokens, the pixel before the first being nothing
        self.above, self.left = new(B, n, d * C, W + 2 * side), new(B, n, W + left, d * C)
        self.v, self.pixel = new(B, W, d * C), new(B, d * C)

    def rows(self, index: Tensor) -> Pixels:
        """The rows `index`, copied."""
        some = copy.copy(self)
        for name in ("of_v", "of_h", "line", "above", "left", "v", "pixel"):
            setattr(some, name, getattr(self, name)[index])
        return some

    def begin(self) -> None:
        """v of the next line, from the tokens of the present one."""
        side, v = _REACH[0], (self.net.enter(self.line[:, 1:]) + self.of_v).mT
        for i, block in enumerate(self.net.above):
            h = v
            for j, part in enumerate(block.convolutions):  # type: ignore[arg-type]
                now = F.pad(F.relu(h), (side, side))
                h = part(torch.stack([self.above[:, 2 * i + j], now], 2))[:, :, 0]
                self.above[:, 2 * i + j] = now
            v = v + h
        self.v = v.mT

    def one(self, h: Tensor, run: Run) -> Tensor:
        """Tokens (B, C) of one step -> (B, C)."""
        i = run.entry or 0
        self.line[:, 1 + run.pixel, i * self.C:(i + 1) * self.C] = h
        if i == 0:
            self.pixel = self._beside(run.pixel, 1)[:, 0]
        return self.pixel[:, i * self.C:(i + 1) * self.C] + h

    def several(self, x: Tensor, run: Run) -> Tensor:
        """Tokens (B, n, C) of the whole pixels of a run -> (B, n, C)."""
        self.line[:, 1 + run.pixel:1 + run.pixel + run.pixels] = x.reshape(len(x), run.pixels, -1)
        return self._beside(run.pixel, run.pixels).reshape(x.shape) + x

    def _beside(self, pixel: int, n: int) -> Tensor:
        """Features (B, n, P) of pixels of the present line."""
        left, tokens = _REACH[1], self.line[:, pixel:pixel + n + 1]
        x = self.net._begun(tokens[:, 1:, :self.C], tokens[:, :-1], self.v[:, pixel:pixel + n]) + self.of_h
        for i, block in enumerate(self.net.beside):
            h = x
            for j, part in enumerate(block.convolutions):  # type: ignore[arg-type]
                kept = self.left[:, 2 * i + j]
                kept[:, pixel + left:pixel + left + n] = F.relu(h)
                windows = kept[:, pixel:pixel + left + n].unfold(1, left + 1, 1)  # (B, n, P, left + 1)
                h = windows.flatten(2) @ part.weight.flatten(1).mT + part.bias
            x = x + h
        return x
