"""Positions: how attention depends on where the entries stand on their grid.

Three ways behind one shape: `added` to the tokens, `turned` queries and keys, and a `bias` of the scores.

Source: Shaw, Uszkoreit, Vaswani, Self-attention with relative position representations, 2018 / https://arxiv.org/abs/1803.02155
Su et al., RoFormer: enhanced transformer with rotary position embedding, 2021 / https://arxiv.org/abs/2104.09864
"""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn

from given.variables import UserError

__all__ = ["LearnedPositions", "Positions", "RelativeBias", "Rotary"]


class Positions(nn.Module, abc.ABC):
    """Of D entries at places (D, axes), for a number of layers and H heads of width K."""

    def added(self, h: Tensor, order: Tensor, t: int = 0) -> Tensor:
        """Tokens (B, s, C) of steps t ... with their positions."""
        return h

    def turned(self, q: Tensor, order: Tensor, t: int) -> Tensor:
        """Queries or keys (B, s, heads, K) of steps t ... with their positions."""
        return q

    def bias(self, layer: int, order: Tensor, t: int, s: int) -> Tensor | None:
        """(1 or B, H, s, t + s) to add to a layer's scores of steps t ... t + s - 1."""
        return None


class RelativeBias(Positions):
    """A learned bias for every offset on the grid between the entry that asks and the one that answers, a layer and head."""

    def __init__(self, places: Tensor, layers: int, heads: int, width: int) -> None:
        super().__init__()
        # The offset between two entries' places, axis by axis, as one number.
        span = 2 * places.amax(0) + 1
        stride = torch.cat([span.flip(0).cumprod(0).flip(0)[1:], torch.ones(1, dtype=torch.int64)])[: len(span)]
        self.offset: Tensor
        offset = ((places[:, None] - places[None] + places.amax(0)) * stride).sum(-1)
        used, offset = offset.unique(return_inverse=True)  # those a grid has
        self.register_buffer("offset", offset, persistent=False)
        self.weight = nn.Parameter(torch.zeros(layers, heads, len(used)))

    def bias(self, layer: int, order: Tensor, t: int, s: int) -> Tensor:
        offset = self.offset[order[:, t:t + s, None], order[:, None, :t + s]]  # (1 or B, s, S)
        return self.weight[layer][:, offset].transpose(0, 1)


class Rotary(Positions):
    """Pairs of channels of queries and keys turned by angles that grow with the place, channels shared out among the axes."""

    def __init__(self, places: Tensor, layers: int, heads: int, width: int) -> None:
        super().__init__()
        axes = max(places.shape[1], 1)
        pairs = width // 2
        if width % 2 or pairs < axes:
            raise UserError(f"Rotary: heads of {width} channels for {axes} axes; expected an even number, and a pair an axis")
        axis = torch.arange(pairs) % axes
        rate = 10_000.0 ** -((torch.arange(pairs) // axes) / -(-pairs // axes))
        angle = places[:, axis] * rate if places.shape[1] else torch.zeros(len(places), pairs)
        self.turn: Tensor
        self.register_buffer("turn", torch.polar(torch.ones_like(angle), angle), persistent=False)  # (D, K / 2)

    def turned(self, q: Tensor, order: Tensor, t: int) -> Tensor:
        turn = self.turn[order[:, t:t + q.shape[1]]][:, :, None]
        a, b = q.unflatten(-1, (-1, 2)).unbind(-1)
        cos, sin = turn.real.to(q), turn.imag.to(q)
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


class LearnedPositions(Positions):
    """A learned vector for the place on each axis, summed, added to the tokens."""

    def __init__(self, places: Tensor, layers: int, heads: int, width: int) -> None:
        super().__init__()
        sizes = (places.amax(0) + 1).tolist() if len(places) else []
        self.places: Tensor
        self.register_buffer("places", places + torch.tensor([0, *sizes[:-1]]).cumsum(0) if sizes else places, persistent=False)
        self.weight = nn.Parameter(torch.randn(sum(sizes), heads * width) * 0.02)

    def added(self, h: Tensor, order: Tensor, t: int = 0) -> Tensor:
        return h + self.weight[self.places[order[:, t:t + h.shape[1]]]].sum(-2)
