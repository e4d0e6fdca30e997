"""PatchTransformer: a field whose tokens are patches of any grid.

The time and the pooled condition scale, shift and gate every layer (adaptive norm); y's tokens are attended to beside the
patches. A grid that patches do not fill is filled up with zeros, and what stands there is thrown away.

Source: Peebles, Xie, Scalable diffusion models with transformers, 2023 / https://arxiv.org/abs/2212.09748
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.dot_product import attention
from given.nn.field import Field, TimeFeatures
from given.nn.mlp import MLP
from given.nn.unet import planes
from given.variables import Real, UserError

__all__ = ["PatchTransformer", "default_field"]

_ALONG = 4  # patches along an axis, of a field nobody chose
_FEW = 256  # entries, as those of a picture for which a PixelCNN is not worth while either


class PatchTransformer(Field):
    """A field by attention among patches.

    Args:
        space, features, context, roles: as of any field.
        patch: its side along every axis of places, or one number for all.
        width: C of a patch.
        layers: how many.
        heads: H; divides C.
        frequencies: of t.
    """

    def __init__(self, space: Real, features: int, context: int, roles: Collection[str] = (), *, patch: int | Sequence[int] = 4,
                 width: int = 64, layers: int = 4, heads: int = 4, frequencies: int = 8) -> None:
        super().__init__()
        self.rest, self.channels = planes(space, "PatchTransformer", 8)
        sides = [patch] * len(self.rest) if isinstance(patch, int) else list(patch)
        size = [space.shape[i] for i in self.rest]
        if len(sides) != len(size) or min(sides) < 1:
            raise UserError(f"PatchTransformer: patch={patch!r}; expected a side for each of the {len(size)} axes of {space}")
        if width % heads:
            raise UserError(f"PatchTransformer: width={width}, heads={heads}; expected a width that the heads divide")
        self.sides = [min(p, s) for p, s in zip(sides, size, strict=True)]
        self.counts = [-(-s // p) for s, p in zip(size, self.sides, strict=True)]
        held = math.prod(self.sides) * math.prod(space.shape[i] for i in self.channels)
        self.enter = nn.Linear(held * features, width)
        self.aligned = nn.Linear(held * context, width) if "aligned" in roles else None
        self.places = nn.ParameterList([nn.Parameter(torch.randn(n, width) * 0.5) for n in self.counts])
        self.time = nn.Sequential(TimeFeatures(frequencies), nn.Linear(2 * frequencies, width), nn.SiLU(),
                                  nn.Linear(width, width))
        self.condition = nn.Linear(context, width)
        self.layers = nn.ModuleList(_Layer(width, heads, context if "tokens" in roles else 0) for _ in range(layers))
        self.last = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, held)

    def forward(self, x: Tensor, t: Tensor, y: Condition) -> Tensor:
        places = x.shape[1:-1]
        h = self.enter(self._cut(x)) + self._positions()
        if self.aligned is not None and y.aligned is not None:
            h = h + self.aligned(self._cut(y.aligned.reshape(len(x), *places, -1)))
        e = F.silu(self.time(t) + self.condition(y.pooled))
        for layer in self.layers:
            h = layer(h, e, y)
        scale, shift = self.last(e)[:, None].chunk(2, -1)
        return self._whole(self.leave(_normed(h) * (1 + scale) + shift), places)

    def _positions(self) -> Tensor:
        """(P, C): a vector for the place on every axis, summed."""
        total: Tensor = self.places[0]
        for axis in list(self.places)[1:]:
            total = (total[:, None] + axis[None]).flatten(0, 1)
        return total

    def _cut(self, x: Tensor) -> Tensor:
        """(N, *grid, F) -> (N, P, numbers of a patch)."""
        x = x.permute(0, *(i + 1 for i in self.rest), *(i + 1 for i in self.channels), x.dim() - 1)
        K = len(self.rest)
        spare = [n * p - s for n, p, s in zip(self.counts, self.sides, x.shape[1:], strict=False)]
        x = F.pad(x.flatten(K + 1), [0, 0, *(v for s in reversed(spare) for v in (0, s))])
        x = x.reshape(len(x), *(v for pair in zip(self.counts, self.sides, strict=True) for v in pair), -1)
        x = x.permute(0, *range(1, 2 * K, 2), *range(2, 2 * K + 1, 2), 2 * K + 1)
        return x.reshape(len(x), math.prod(self.counts), -1)

    def _whole(self, h: Tensor, places: Sequence[int]) -> Tensor:
        """(N, P, numbers of a patch) -> (N, *grid)."""
        K, N = len(self.rest), len(h)
        h = h.reshape(N, *self.counts, *self.sides, -1)
        h = h.permute(0, *(v for i in range(K) for v in (1 + i, 1 + K + i)), 2 * K + 1)
        h = h.reshape(N, *(n * p for n, p in zip(self.counts, self.sides, strict=True)), -1)
        for axis, i in enumerate(self.rest):
            h = h.narrow(axis + 1, 0, places[i])
        h = h.reshape(N, *(places[i] for i in self.rest), *(places[i] for i in self.channels))
        stands = [*self.rest, *self.channels]
        return h.permute(0, *(stands.index(i) + 1 for i in range(len(places))))


def default_field(space: Real) -> Callable[..., nn.Module]:
    """The net of a field nobody chose one for: a `PatchTransformer` with four patches along each axis where a grid has two axes
    of places or times and more than 256 entries, a number up to which an `MLP` learns faster; an `MLP` elsewhere."""
    rest = [axis for axis in space.axes if axis.role != "channel"]
    if len(rest) < 2 or space.dimensions <= _FEW or any(axis.role not in ("place", "time") for axis in rest):
        return MLP
    return functools.partial(PatchTransformer, patch=tuple(-(-axis.size // _ALONG) for axis in rest), width=128)


def _normed(h: Tensor) -> Tensor:
    return F.layer_norm(h, h.shape[-1:])


class _Layer(nn.Module):
    """Attention and a feedforward, each scaled, shifted and gated by e."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads = heads
        self.adapt = nn.Linear(width, 6 * width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.tokens = nn.Linear(context, 2 * width, bias=False) if context else None
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h: Tensor, e: Tensor, y: Condition) -> Tensor:
        """h (N, P, C), e (N, C)."""
        a, b, gate, c, d, way = self.adapt(e)[:, None].chunk(6, -1)
        q, k, v = (self._split(part) for part in self.qkv(_normed(h) * (1 + a) + b).chunk(3, -1))
        mask = None
        if self.tokens is not None and y.tokens is not None and y.there is not None:
            ours = torch.ones(h.shape[:2], dtype=torch.bool, device=h.device)
            keys, values = (self._split(part) for part in self.tokens(y.tokens).chunk(2, -1))
            k, v = torch.cat([k, keys], 2), torch.cat([v, values], 2)
            mask = torch.cat([ours, y.there], 1)[:, None, None]
        h = h + (1 + gate) * self.out(attention(q, k, v, mask).transpose(1, 2).flatten(2))
        return h + (1 + way) * self.feed(_normed(h) * (1 + c) + d)

    def _split(self, part: Tensor) -> Tensor:
        return part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
