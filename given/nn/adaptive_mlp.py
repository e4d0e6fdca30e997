"""AdaptiveMLP: a field over few entries, whose every layer is scaled, shifted and gated by the time and by what is given.

    h <- h + (1 + gate) MLP((1 + scale) norm(h) + shift),    gate, scale, shift linear in silu(time + condition)

A condition that scales every layer is read from the first step of learning on; one that only stands among the inputs is drowned
by the noise beside it, and what made it is hardly taught.

Source: Peebles, Xie, Scalable diffusion models with transformers, 2023 / https://arxiv.org/abs/2212.09748
Li, Tian, Li, Deng, He, Autoregressive image generation without vector quantization, 2024 / https://arxiv.org/abs/2406.11838
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.field import Field, TimeFeatures
from given.variables import Real

__all__ = ["AdaptiveMLP"]


class AdaptiveMLP(Field):
    """Residual layers over all entries end to end.

    Args:
        space, features, context, roles: as of any field.
        width: of a layer; that of the condition by default.
        layers: how many.
        frequencies: of t.
    """

    reads_grid = False

    def __init__(self, space: Real, features: int, context: int, roles: Collection[str] = (), *, width: int | None = None,
                 layers: int = 3, frequencies: int = 8) -> None:
        super().__init__()
        width = context if width is None else width
        self.enter = nn.Linear(space.dimensions * features, width)
        self.time = nn.Sequential(TimeFeatures(frequencies), nn.Linear(2 * frequencies, width))
        self.condition = nn.Linear(context, width)
        self.layers = nn.ModuleList(_Layer(width) for _ in range(layers))
        self.last = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, space.dimensions)

    def forward(self, x: Tensor, t: Tensor, y: Condition) -> Tensor:
        h = self.enter(x.flatten(1))
        e = F.silu(self.time(t) + self.condition(y.pooled))
        for layer in self.layers:
            h = layer(h, e)
        scale, shift = self.last(e).chunk(2, -1)
        return self.leave(torch.addcmul(shift, _normed(h), 1 + scale)).reshape(x.shape[:-1])


class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.adapt = nn.Linear(width, 3 * width)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """h (N, C), e (N, C)."""
        scale, shift, gate = self.adapt(e).chunk(3, -1)
        return torch.addcmul(h, 1 + gate, self.down(F.silu(self.up(torch.addcmul(shift, _normed(h), 1 + scale)))))


def _normed(h: Tensor) -> Tensor:
    return F.layer_norm(h, h.shape[-1:])
