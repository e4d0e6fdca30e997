"""Rendered: what a program makes of a row and a whole number. It draws, and has no density."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.noise import Noise
from given.variables import Entries, Space

__all__ = ["Rendered"]


class Rendered(Distribution):
    """The distribution of program(row, seed), the seed a uniform whole number below 2**52.

    Args:
        program: rows (N,), of the B, and N seeds -> entries (N, *grid).
        n: B.
        space: of the entries.
        device: where they are to be.
    """

    kind: Kind = "none"

    def __init__(self, program: Callable[[Tensor, list[int]], Tensor], n: int, space: Space,
                 device: torch.device | str = "cpu") -> None:
        super().__init__(space, n, device)
        self.program = program

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        seeds = (noise.uniform(shape) * 2.0**52).long().flatten().tolist()
        x = self.program(torch.arange(self.n).repeat(math.prod(shape)), seeds).to(self.device)
        return Entries(x.reshape(*shape, self.n, *self.space.shape))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        raise Intractable("what a pretrained pipeline draws has no density here; learn FlowMatching, whose density is an "
                          "estimate, or Diffusion, whose density is a bound")
