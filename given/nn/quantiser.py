"""Quantisers: vectors to codes and back, one code for each of several places.

A `Book` of vectors takes the nearest; `FSQ` rounds every number of a vector, bounded, to one of few levels, so that there is no
book to learn and every code is in reach. Rounding has no slope: gradients pass it as if it were not there.

Source: van den Oord, Vinyals, Kavukcuoglu, Neural discrete representation learning, 2017 / https://arxiv.org/abs/1711.00937
Mentzer, Minnen, Agustsson, Tschannen, Finite scalar quantization: VQ-VAE made simple, 2023 / https://arxiv.org/abs/2309.15505
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from given.variables import UserError

__all__ = ["FSQ", "Book", "Quantiser"]

_LEVELS = range(8, 1, -1)  # of one number, where none are named


class Quantiser(nn.Module, abc.ABC):
    """Abstract.

    Args:
        size: K, how many codes.

    Attributes:
        width: W, of the vectors.
    """

    width: int

    @abc.abstractmethod
    def codes(self, e: Tensor) -> Tensor:
        """(B, P, W) -> (B, P) int64 below K."""

    @abc.abstractmethod
    def vectors(self, codes: Tensor) -> Tensor:
        """(B, P) -> (B, P, W)."""

    @abc.abstractmethod
    def forward(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, W) -> the vectors of its codes, through which gradients reach e, and (B,) what is added to a loss."""


class Book(Quantiser):
    """K vectors, of which the nearest is taken, drawn to what is encoded as that is to them.

    Args:
        size: K.
        width: W.
        commitment: how much what is encoded is drawn to the book.
    """

    def __init__(self, size: int, *, width: int = 8, commitment: float = 0.25) -> None:
        super().__init__()
        self.width, self.commitment = width, commitment
        self.book = nn.Parameter(torch.randn(size, width))

    def codes(self, e: Tensor) -> Tensor:
        return torch.cdist(e.detach().float(), self.book.detach().expand(len(e), -1, -1)).argmin(-1)

    def vectors(self, codes: Tensor) -> Tensor:
        return self.book[codes]

    def forward(self, e: Tensor) -> tuple[Tensor, Tensor]:
        b = self.vectors(self.codes(e))
        drawn = ((e.detach() - b) ** 2).sum((1, 2)) + self.commitment * ((e - b.detach()) ** 2).sum((1, 2))
        return e + (b - e).detach(), drawn


class FSQ(Quantiser):
    """Every number of a vector is bounded and rounded to one of few levels.

    Args:
        size: K, the product of the levels.
        levels: how many, one number of the vector each, W in all; by default K in factors from 8 down to 2.

    Raises:
        UserError: the levels' product is not K; K has no such factors.
    """

    def __init__(self, size: int, *, levels: Sequence[int] | None = None) -> None:
        super().__init__()
        levels = _factors(size) if levels is None else tuple(levels)
        if math.prod(levels) != size or min(levels, default=0) < 2:
            ask = "factors of 2 to 8, as 64, 512 or 1,000" if not levels else f"levels from 2, whose product is {size}"
            raise UserError(f"FSQ: {size} codes, levels={levels}; expected {ask}")
        self.width = len(levels)
        self.tops: Tensor
        self.strides: Tensor
        self.register_buffer("tops", torch.tensor([level - 1.0 for level in levels]), persistent=False)
        self.register_buffer("strides", torch.tensor([math.prod(levels[:i]) for i in range(len(levels))]), persistent=False)

    def codes(self, e: Tensor) -> Tensor:
        return (self._bounded(e).round().long() * self.strides).sum(-1)

    def vectors(self, codes: Tensor) -> Tensor:
        level = codes[..., None] // self.strides % (self.tops.long() + 1)
        return level * (2 / self.tops) - 1

    def forward(self, e: Tensor) -> tuple[Tensor, Tensor]:
        at = self._bounded(e)
        rounded = at + (at.round() - at).detach()
        return rounded * (2 / self.tops) - 1, torch.zeros(len(e), device=e.device)

    def _bounded(self, e: Tensor) -> Tensor:
        """Where e stands among the levels, from 0 to the last."""
        return (e.float().tanh() + 1) * (self.tops / 2)


def _factors(size: int) -> tuple[int, ...]:
    """Numbers from 2 to 8 whose product is `size`, the largest first; none where there are no such."""
    found = list[int]()
    while size > 1:
        factor = next((level for level in _LEVELS if size % level == 0), None)
        if factor is None:
            return ()
        found.append(factor)
        size //= factor
    return tuple(found)
