"""Dropout whose masks come from a seed that the training loop sets, not from the global generator.

Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, Dropout: a simple way to prevent neural networks from
overfitting, 2014 / https://jmlr.org/papers/v15/srivastava14a.html
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Dropout", "seed_dropout"]


class Dropout(nn.Module):
    """Zero each entry with probability p while training, scaling the others by 1 / (1 - p).

    Args:
        p: the probability, in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.seed = 0
        self.calls = 0

    def forward(self, h: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or self.p == 0:
            return h
        # Sixteen random bits an entry: on the processor numbers one by one would cost as much as a layer.
        raw = np.random.SFC64(hash((self.seed, self.calls)) % 2**62).random_raw(-(-h.numel() // 4))
        self.calls += 1
        bits = torch.from_numpy(raw.view(np.int16))[: h.numel()].view(h.shape)
        keep = (bits >= round(self.p * 2**16) - 2**15).to(h.device, h.dtype)
        return h * keep.mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def seed_dropout(parts: Sequence[Dropout], *seed: int) -> None:
    """Give each a seed of its own, made from `seed` and its place."""
    for place, part in enumerate(parts):
        part.seed, part.calls = hash((*seed, place)), 0
