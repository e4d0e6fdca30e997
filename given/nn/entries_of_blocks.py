"""EntriesOfBlocks: features of every entry of a block, from what is known of the block and the entries before it in the block.

Units have degrees, as of a masked autoencoder: one of degree d reads what is known and the first d entries, and is read by the
features of entries from d on.

Source: Germain, Gregor, Murray, Larochelle, MADE: masked autoencoder for distribution estimation, 2015 /
https://arxiv.org/abs/1502.03509
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.linear import Linear
from given.nn.precision import in_sixteen_bits

__all__ = ["EntriesOfBlocks"]


class EntriesOfBlocks(nn.Module):
    """A layer of masked units for blocks of K entries.

    Args:
        width: C, of what is known of a block.
        entries: K.
        features: of an entry, which start at 0.
        hidden: how many units.
    """

    def __init__(self, width: int, entries: int, features: int, *, hidden: int = 128) -> None:
        super().__init__()
        self.entries, self.features = entries, features
        self.known, self.before = Linear(width, hidden), Linear(entries - 1, hidden, bias=False) if entries > 1 else None
        self.lift, self.leave = Linear(width, entries * features), Linear(hidden, entries * features, bias=False)
        degree = torch.arange(hidden) * entries // hidden
        self.reads: Tensor
        self.read: Tensor
        self.register_buffer("reads", torch.arange(entries - 1)[:, None] < degree, persistent=False)
        read = degree[:, None] <= torch.arange(entries)
        self.register_buffer("read", read.repeat_interleave(features, 1), persistent=False)
        for start_at_nothing in (self.lift.weight, self.lift.bias, self.leave.weight):
            nn.init.zeros_(start_at_nothing)  # type: ignore[arg-type]

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        """What is known (..., C) and the entries (..., K) -> (..., K, features), in 32 bits: their last digits count."""
        with in_sixteen_bits(h.device, enabled=False):
            h, x = h.to(self.lift.weight.dtype), x.to(self.lift.weight.dtype)
            units = self.known(h)
            if self.before is not None:
                units = units + x[..., :-1] @ (self.before.weight * self.reads)
            units = F.gelu(units)
            return (self.lift(h) + units @ (self.leave.weight * self.read)).unflatten(-1, (self.entries, self.features))

    def start(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """What is known (..., C) -> what `entry` goes on from: units without entries, and features without units."""
        return self.known(h), self.lift(h).unflatten(-1, (self.entries, self.features))

    def entry(self, k: int, x: Tensor, started: tuple[Tensor, Tensor]) -> Tensor:
        """The features (..., features) of entry k, from the k entries (..., k) before it."""
        units, lifted = started
        if k and self.before is not None:
            units = units + x @ (self.before.weight[:k] * self.reads[:k])
        at = slice(k * self.features, (k + 1) * self.features)
        return lifted[..., k, :] + F.gelu(units) @ (self.leave.weight[:, at] * self.read[:, at])
