"""Convolutions from a grid to few cells, and from few cells to a grid: encoders, critics, decoders, generators.

Every resolution is half the one before it, by convolutions of four places along every axis, transposed on the way up. At the
coarsest stand blocks of two convolutions beside a shortcut; the second begins at nothing, so that no norm is needed.

What reads a grid is called with x (N, *grid, F) and a vector of y (N, C), what makes one with a vector (N, C); either may have
cells of its own where the other has a vector. Nets of (inputs, outputs), such as `MLP`, serve the same with all numbers end to
end.

Source: Radford, Metz, Chintala, Unsupervised representation learning with deep convolutional generative adversarial networks,
2015 / https://arxiv.org/abs/1511.06434
He, Zhang, Ren, Sun, Identity mappings in deep residual networks, 2016 / https://arxiv.org/abs/1603.05027
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.grid_cut import CONVOLUTIONS, axes_of
from given.variables import Space, UserError

__all__ = ["ConvolutionalDecoder", "ConvolutionalEncoder", "built_decoder", "built_encoder", "convolves", "makes_grids"]

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_CELLS = 49  # at most, that are left of a grid
_LARGE = 16  # places along each of two axes, from which convolutions are a default


class _Resolutions(nn.Module):
    """The places of a grid at every resolution, the finest first, and the way between entries and planes."""

    def __init__(self, space: Space, width: int, blocks: int, cells: Sequence[int] | None) -> None:
        super().__init__()
        who = type(self).__name__
        self.shape = space.shape
        self.rest, self.channels = axes_of(space)
        if not 1 <= len(self.rest) <= 3:
            raise UserError(f"{who}: expected a grid of 1 to 3 axes beside channels, got {space}; use MLP")
        if width < 1 or blocks < 0:
            raise UserError(f"{who}: width={width!r}, blocks={blocks!r}; expected a width from 1, and blocks from 0")
        self.depth = math.prod(self.shape[i] for i in self.channels)
        self.sizes = [tuple(self.shape[i] for i in self.rest)]
        while max(self.sizes[-1]) > 1 and (self.sizes[-1] != tuple(cells) if cells else math.prod(self.sizes[-1]) > _CELLS):
            self.sizes.append(tuple(-(-n // 2) for n in self.sizes[-1]))
        if cells and self.sizes[-1] != tuple(cells):
            raise UserError(f"{who}: halving {space} gives no {_by(cells)} cells; expected one of "
                            + ", ".join(map(_by, self.sizes)))
        self.widths = [width * min(2**level, 4) for level in range(max(1, len(self.sizes) - 1))]  # of all but the finest
        self.whole = not cells
        self.numbers = self.widths[-1] * (math.prod(self.sizes[-1]) if self.whole else 1)
        kind = len(self.rest) - 1
        self.blocks = nn.Sequential(*(_Block(CONVOLUTIONS[kind], self.widths[-1]) for _ in range(blocks)))

    def _layers(self, kinds: Sequence[type[nn.Module]], widths: Sequence[int]) -> nn.ModuleList:
        """A layer from every resolution to the next; of a single one, along it."""
        size = {"kernel_size": 4, "stride": 2} if len(self.sizes) > 1 else {"kernel_size": 3}
        return nn.ModuleList(kinds[len(self.rest) - 1](a, b, padding=1, **size) for a, b in itertools.pairwise(widths))

    def _planes(self, x: Tensor) -> Tensor:
        """(N, *grid, F) -> (N, channels F, *places)."""
        order = [0, *(i + 1 for i in self.channels), x.dim() - 1, *(i + 1 for i in self.rest)]
        return x.permute(order).flatten(1, len(self.channels) + 1)

    def _entries(self, h: Tensor) -> Tensor:
        """(N, channels F, *places) -> (N, *grid, F)."""
        h = h.reshape(len(h), *(self.shape[i] for i in self.channels), -1, *self.sizes[0])
        K = len(self.channels)
        stands = {i: 1 + k for k, i in enumerate(self.channels)} | {i: 2 + K + k for k, i in enumerate(self.rest)}
        return h.permute(0, *(stands[i] for i in range(len(self.shape))), 1 + K)

    def _start(self) -> None:
        """Weights that keep the size of what they read, but those of the second of every block, which are nothing."""
        for part in self.modules():
            if isinstance(part, (*CONVOLUTIONS, *_TRANSPOSED, nn.Linear)):
                nn.init.normal_(part.weight, std=(2 / _read_by_one(part)) ** 0.5)
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]
        for block in self.blocks:
            nn.init.zeros_(block.second.weight)  # type: ignore[union-attr,arg-type]


class ConvolutionalEncoder(_Resolutions):
    """A grid -> one vector, or one for each of a few cells.

    Args:
        space: of x, one to three axes beside channels.
        features: F, how many numbers are read at every entry.
        context: C, of the vector of y by which what is found is scaled; 0 without.
        outputs: how many numbers, in all or a cell.
        cells: the grid of the cells; by default one vector of all.
        width: channels at half the resolution; 2 and then 4 times as many at those below.
        blocks: at the coarsest.
    """

    def __init__(self, space: Space, features: int, context: int, outputs: int, *, cells: Sequence[int] | None = None,
                 width: int = 32, blocks: int = 1) -> None:
        super().__init__(space, width, blocks, cells)
        self.shrink = self._layers(CONVOLUTIONS, [features * self.depth, *self.widths])
        self.scale = nn.Linear(context, self.widths[-1]) if context else None
        self.leave = nn.Linear(self.numbers, outputs)
        self._start()

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """x (N, *grid, F), y (N, C) -> (N, outputs), or (N, *cells, outputs)."""
        h = self._planes(x)
        for level, layer in enumerate(self.shrink):
            odd = [n % 2 * (len(self.sizes) > 1) for n in reversed(h.shape[2:])]
            h = layer(F.pad(_bent(h) if level else h, [v for spare in odd for v in (0, spare)]))
        h = _bent(self.blocks(h)).movedim(1, -1)
        if self.scale is not None and y is not None:
            h = h * (1 + self.scale(y)).reshape(len(y), *[1] * len(self.rest), -1)
        return self.leave(h.flatten(1) if self.whole else h)


class ConvolutionalDecoder(_Resolutions):
    """One vector, or one for each of a few cells -> a grid.

    Args:
        space: of x, one to three axes beside channels.
        inputs: how many numbers are read, in all or a cell.
        features: F, how many numbers an entry of x takes.
        cells: the grid of the cells; by default one vector is read.
        width: channels at half the resolution; 2 and then 4 times as many at those below.
        blocks: at the coarsest.
    """

    def __init__(self, space: Space, inputs: int, features: int, *, cells: Sequence[int] | None = None, width: int = 32,
                 blocks: int = 1) -> None:
        super().__init__(space, width, blocks, cells)
        self.enter = nn.Linear(inputs, self.numbers)
        kinds = _TRANSPOSED if len(self.sizes) > 1 else CONVOLUTIONS
        self.grow = self._layers(kinds, [*reversed(self.widths), features * self.depth])
        self._start()

    def forward(self, h: Tensor) -> Tensor:
        """(N, inputs), or (N, *cells, inputs) -> (N, *grid, F)."""
        h = self.blocks(self.enter(h).reshape(len(h), *self.sizes[-1], -1).movedim(-1, 1))
        for level, layer in zip(reversed(range(len(self.grow))), self.grow, strict=True):
            h = layer(_bent(h))
            for axis, size in enumerate(self.sizes[level]):
                h = h.narrow(axis + 2, 0, size)
        return self._entries(h)


def _bent(h: Tensor) -> Tensor:
    """Straight but for a bend at nothing: a third of the time of smooth units, and no curvature where a slope is penalised."""
    return F.leaky_relu(h, 0.2)


def _read_by_one(layer: nn.Module) -> float:
    """How many numbers one output of a layer reads."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    if isinstance(layer, _TRANSPOSED):  # a place is made by every stride-th of the kernel's, along each axis
        return weight.shape[0] * math.prod(k / s for k, s in zip(layer.kernel_size, layer.stride, strict=True))
    return weight[0].numel()


class _Block(nn.Module):
    def __init__(self, conv: type[nn.Module], width: int) -> None:
        super().__init__()
        self.first, self.second = (conv(width, width, kernel_size=3, padding=1) for _ in range(2))

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(_bent(self.first(_bent(h))))


class _EndToEnd(nn.Module):
    """A net of vectors in the place of an encoder or a decoder."""

    def __init__(self, net: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.net, self.shape = net, tuple(shape)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """x (N, *grid, F) and y (N, C), or a vector -> (N, *shape)."""
        flat = x.flatten(1)
        return self.net(flat if y is None else torch.cat([flat, y], 1)).reshape(len(x), *self.shape)


def built_encoder(net: Callable[..., nn.Module], space: Space, features: int, context: int, outputs: int, *,
                  cells: Sequence[int] | None = None) -> nn.Module:
    """What `net` builds: a `ConvolutionalEncoder`, or a net of (inputs, outputs) that reads all numbers end to end."""
    if makes_grids(net):
        return net(space, features, context, outputs, **({"cells": cells} if cells else {}))
    places = math.prod(cells or ())
    made = net(space.dimensions * features + context, places * outputs)
    return _EndToEnd(made, (*(cells or ()), outputs))


def built_decoder(net: Callable[..., nn.Module], space: Space, inputs: int, features: int, *,
                  cells: Sequence[int] | None = None) -> nn.Module:
    """What `net` builds: a `ConvolutionalDecoder`, or a net of (inputs, outputs) that makes all numbers end to end."""
    if makes_grids(net):
        return net(space, inputs, features, **({"cells": cells} if cells else {}))
    made = net(math.prod(cells or ()) * inputs, space.dimensions * features)
    return _EndToEnd(made, (*space.shape, features))


def convolves(space: Space) -> bool:
    """Whether convolutions are a default: for two axes of 16 places and more."""
    places = [axis for axis in space.axes if axis.role != "channel"]
    return len(places) == 2 and all(axis.role == "place" and axis.length == "fixed" and axis.size >= _LARGE for axis in places)


def makes_grids(net: Callable[..., nn.Module]) -> bool:
    """Whether `net` builds convolutions from a space; else it builds a net of (inputs, outputs)."""
    made = net.func if isinstance(net, functools.partial) else net
    return inspect.isclass(made) and issubclass(made, _Resolutions)


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))
