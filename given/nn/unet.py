"""UNet: convolutions down to few places and up again, for grids of one to three axes beside channels.

Every block reads the time and the pooled condition as a scale and a shift after its norm. Where few places are left, they
attend to one another and to y's tokens. What y has at x's entries is added to what is read there.

Source: Ronneberger, Fischer, Brox, U-Net: convolutional networks for biomedical image segmentation, 2015 /
https://arxiv.org/abs/1505.04597
Ho, Jain, Abbeel, Denoising diffusion probabilistic models, 2020 / https://arxiv.org/abs/2006.11239
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.dot_product import attention
from given.nn.field import Field, TimeFeatures
from given.nn.grid_cut import CONVOLUTIONS, GridCut, check_places
from given.nn.linear import RMSNorm
from given.nn.precision import in_sixteen_bits
from given.variables import Real, UserError

__all__ = ["Attend", "Levels", "UNet"]

_PLACE = 0.3  # of a place's vector, beside features of 1


class UNet(Field):
    """A field by convolutions.

    Args:
        space, features, context, roles: as of any field.
        width: channels at the first resolution.
        factors: of the width, one a resolution; each is half the one before.
        patch: entries along every axis of places that are one place of the first resolution. Of 2, a net of twice the width
            takes half the time on a picture of 28 x 28.
        attention: up to how many places all attend to one another.
        heads: of attention; fewer where the width asks for it.
        frequencies: of t.
    """

    def __init__(self, space: Real, features: int, context: int, roles: Collection[str] = (), *, width: int = 32,
                 factors: Sequence[int] = (1, 2, 2), patch: int = 1, attention: int = 64, heads: int = 4,
                 frequencies: int = 8) -> None:
        super().__init__()
        if not isinstance(patch, int) or patch < 1:
            raise UserError(f"UNet: patch={patch!r}; expected a whole number from 1")
        K = check_places(space, "UNet", 3)
        self.cut, conv = GridCut(space, [patch] * K), CONVOLUTIONS[K - 1]
        held, size, widths = self.cut.held, list(self.cut.cells), [width * f for f in factors]
        E = 4 * width
        self.time = nn.Sequential(TimeFeatures(frequencies), nn.Linear(2 * frequencies, E), nn.SiLU(), nn.Linear(E, E))
        self.condition = nn.Linear(context, E)
        self.aligned = nn.Linear(held * context, widths[0]) if "aligned" in roles else None
        self.enter = conv(held * features, widths[0], 3, padding=1)
        self.levels = Levels(conv, size, widths, E, context if "tokens" in roles else 0, attention, heads)
        self.leave = nn.Sequential(_Norm(), nn.SiLU(), conv(widths[0], held, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, y: Condition) -> Tensor:
        places = x.shape[1:-1]
        h = self.enter(self._cells(x))
        e = self.time(t) + self.condition(y.pooled)
        if self.aligned is not None and y.aligned is not None:
            there = self._cells(y.aligned.reshape(len(x), *places, -1))
            h = h + self.aligned(there.movedim(1, -1)).movedim(-1, 1)
        h = self.levels(h, e, y)
        return self.cut.whole(self.leave(h).movedim(1, -1).flatten(1, -2), places)

    def _cells(self, x: Tensor) -> Tensor:
        """(N, *grid, F) -> (N, numbers of a place, *places)."""
        return self.cut.pieces(x).unflatten(1, self.cut.cells).movedim(-1, 1)


class Levels(nn.Module):
    """Blocks at one resolution after another, down and up again: (N, C, *grid) -> (N, C, *grid).

    Args:
        conv: the convolution, of one to three axes.
        size: places along every axis of the first resolution.
        widths: channels, one a resolution; each resolution is half the one before.
        embedded: E, of what scales and shifts every block.
        context: of a token of y; 0 without tokens.
        attention: up to how many places all attend to one another.
        heads: of attention.
    """

    def __init__(self, conv: type[nn.Module], size: Sequence[int], widths: Sequence[int], embedded: int, context: int,
                 attention: int, heads: int) -> None:
        super().__init__()
        self.down, self.up, self.attend = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        before = widths[0]
        for level, w in enumerate(widths):
            self.down.append(_Block(conv, before, w, embedded))
            few = math.prod(size) <= attention or (context > 0 and level == len(widths) - 1)
            self.attend.append(Attend(w, context, heads, math.prod(size)) if few else nn.Identity())
            self.up.append(_Block(conv, 2 * w, before, embedded))
            if level < len(widths) - 1:
                self.shrink.append(conv(w, w, 3, stride=2, padding=1))
                self.grow.append(conv(w, w, 3, padding=1))
            size, before = [-(-s // 2) for s in size], w

    def forward(self, h: Tensor, e: Tensor, y: Condition) -> Tensor:
        kept = list[Tensor]()
        for level, (block, attend) in enumerate(zip(self.down, self.attend, strict=True)):
            h = self.shrink[level - 1](h) if level else h
            h = block(h, e)
            h = attend(h, y) if isinstance(attend, Attend) else h
            kept.append(h)
        for level in reversed(range(len(self.up))):
            if level < len(self.up) - 1:
                h = self.grow[level](F.interpolate(h, size=kept[level].shape[2:], mode="nearest"))
            h = self.up[level](torch.cat([h, kept[level]], 1), e)
        return h


class _Norm(nn.Module):
    """Every place has mean 0 and variance 1 over its channels."""

    def forward(self, h: Tensor) -> Tensor:
        with in_sixteen_bits(h.device, enabled=False):  # which would pass over it in 32
            return F.layer_norm(h.movedim(1, -1), h.shape[1:2]).movedim(-1, 1)


class _Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, conv: type[nn.Module], inputs: int, outputs: int, embedded: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_Norm(), nn.SiLU(), conv(inputs, outputs, 3, padding=1))
        self.norm, self.scale = _Norm(), nn.Linear(embedded, 2 * outputs)
        self.second = conv(outputs, outputs, 3, padding=1)
        self.short = conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.second.weight)  # type: ignore[arg-type]

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        scale, shift = self.scale(F.silu(e)).reshape(len(h), -1, *[1] * (h.dim() - 2)).chunk(2, 1)
        return self.short(h) + self.second(F.silu(self.norm(self.first(h)) * (1 + scale) + shift))


class Attend(nn.Module):
    """Places (N, C, *grid) attend to one another, and each by itself to y's tokens where there are any: among as many places,
    few tokens would have a small share, and learn slowly. A place knows where it is, so that it can ask for the token that says
    what is there.

    Args:
        width: C.
        context: of a token; 0 without tokens.
        heads: fewer where they do not divide the width.
        places: how many there are.
    """

    def __init__(self, width: int, context: int, heads: int, places: int) -> None:
        super().__init__()
        self.heads = heads if width % heads == 0 else 1
        self.read, self.place = RMSNorm(width), nn.Parameter(torch.randn(places, width) * _PLACE)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.tokens = _Tokens(width, context, self.heads) if context else None

    def forward(self, h: Tensor, y: Condition) -> Tensor:
        N, C = h.shape[:2]
        x = self.read(h.flatten(2).mT) + self.place
        q, k, v = (_split(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        found = self.out(attention(q, k, v).transpose(1, 2).reshape(N, -1, C))
        if self.tokens is not None and y.tokens is not None and y.there is not None:
            found = found + self.tokens(x, y.tokens, y.there)
        return h + found.mT.reshape(h.shape)


class _Tokens(nn.Module):
    """What places (N, P, C) take from y's tokens (N, M, context)."""

    def __init__(self, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads, self.read = heads, RMSNorm(context)
        self.ask, self.kv = nn.Linear(width, width, bias=False), nn.Linear(context, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, tokens: Tensor, there: Tensor) -> Tensor:
        k, v = (_split(part, self.heads) for part in self.kv(self.read(tokens)).chunk(2, -1))
        found = attention(_split(self.ask(x), self.heads), k, v, there[:, None, None])
        return self.out(found.transpose(1, 2).flatten(2))


def _split(part: Tensor, heads: int) -> Tensor:
    return part.unflatten(-1, (heads, -1)).transpose(1, 2)
