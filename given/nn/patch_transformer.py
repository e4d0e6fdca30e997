"""PatchTransformer: a field whose tokens are patches of any grid.

The time and the pooled condition scale, shift and gate every layer (adaptive norm); y's tokens are attended to beside the
patches. A grid that patches do not fill is filled up with zeros, and what stands there is thrown away.

Source: Peebles, Xie, Scalable diffusion models with transformers, 2023 / https://arxiv.org/abs/2212.09748
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.dot_product import attention
from given.nn.field import Field, TimeFeatures
from given.nn.grid_cut import GridCut, check_places, laid
from given.nn.mlp import MLP
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
        K = check_places(space, "PatchTransformer", 8)
        sides = [patch] * K if isinstance(patch, int) else list(patch)
        if len(sides) != K or min(sides) < 1:
            raise UserError(f"PatchTransformer: patch={patch!r}; expected a side for each of the {K} axes of {space}")
        if width % heads:
            raise UserError(f"PatchTransformer: width={width}, heads={heads}; expected a width that the heads divide")
        self.cut = GridCut(space, sides)
        held = self.cut.held
        self.enter = nn.Linear(held * features, width)
        self.aligned = nn.Linear(held * context, width) if "aligned" in roles else None
        self.places = nn.ParameterList([nn.Parameter(torch.randn(n, width) * 0.5) for n in self.cut.cells])
        self.time = nn.Sequential(TimeFeatures(frequencies), nn.Linear(2 * frequencies, width), nn.SiLU(),
                                  nn.Linear(width, width))
        self.condition = nn.Linear(context, width)
        self.layers = nn.ModuleList(_Layer(width, heads, context if "tokens" in roles else 0) for _ in range(layers))
        self.last = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, held)

    def forward(self, x: Tensor, t: Tensor, y: Condition) -> Tensor:
        places = x.shape[1:-1]
        h = self.enter(self.cut.pieces(x)) + laid(self.places)
        if self.aligned is not None and y.aligned is not None:
            h = h + self.aligned(self.cut.pieces(y.aligned.reshape(len(x), *places, -1)))
        e = F.silu(self.time(t) + self.condition(y.pooled))
        for layer in self.layers:
            h = layer(h, e, y)
        scale, shift = self.last(e)[:, None].chunk(2, -1)
        return self.cut.whole(self.leave(_normed(h) * (1 + scale) + shift), places)


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
