"""Dropout whose masks come from a seed that the training loop sets, not from the global generator.

A mask is a hash of (seed, call, entry), as all random numbers are; the hash is here, since nets lie below distributions.

Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, Dropout: a simple way to prevent neural networks from
overfitting, 2014 / https://jmlr.org/papers/v15/srivastava14a.html
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Dropout", "GOLDEN", "mixed_", "seed_dropout", "wrapped"]


def wrapped(number: int) -> int:
    """The number that has the same last 64 bits and fits an int64."""
    return (number + 2**63) % 2**64 - 2**63


GOLDEN = wrapped(0x9E3779B97F4A7C15)  # from one counter to the next
_FIRST, _SECOND = wrapped(0xBF58476D1CE4E5B9), wrapped(0x94D049BB133111EB)


def mixed_(z: Tensor) -> Tensor:
    """A hash of int64 counters, in place; the higher bits are the better ones.

    It is the output function of SplitMix64 by signed shifts and without its last one, which leaves the 52 higher bits as good:
    a third of the passes over memory less.

    Source: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014 /
    https://doi.org/10.1145/2714064.2660195
    """
    z.bitwise_xor_(z >> 30).mul_(_FIRST)
    return z.bitwise_xor_(z >> 27).mul_(_SECOND)


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
        counters = torch.arange(-(-h.numel() // 4), device=h.device).mul_(GOLDEN)
        bits = mixed_(counters.add_(hash((self.seed, self.calls)))).view(torch.int16)[: h.numel()].view(h.shape)
        self.calls += 1
        keep = (bits >= round(self.p * 2**16) - 2**15).to(h.dtype)
        return h * keep.mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def seed_dropout(parts: Sequence[Dropout], *seed: int) -> None:
    """Give each a seed of its own, made from `seed` and its place."""
    for place, part in enumerate(parts):
        part.seed, part.calls = hash((*seed, place)), 0
