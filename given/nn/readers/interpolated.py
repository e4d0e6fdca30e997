"""Interpolated: a map of x's places at another resolution, read between its entries as a smooth surface through them.

The entries of a parent are weighed by cubic curves of reach two, as pictures are commonly enlarged; where there are to be
fewer, the curves are as much wider. What stands beyond an edge counts as the edge.

Source: Keys, Cubic convolution interpolation for digital image processing, 1981
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from given.nn.grid_cut import axes_of
from given.nn.precision import in_sixteen_bits
from given.nn.readers.features import Features
from given.nn.readers.reader import Cells, Read, Reader, Role
from given.variables import Entries, Product, Space, UserError

__all__ = ["Interpolated", "cubic"]


@dataclass(frozen=True)
class Interpolated(Reader):
    """Levels or numbers between their places, each a straight line of what stands there.

    Args:
        times: how many places x has for one of the parent's, along every axis of places.
    """

    times: int = 2
    reads: ClassVar[str] = "levels and numbers on a grid of one to three axes beside channels"
    natural: ClassVar[Role] = "aligned"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.times, int) or self.times < 1:
            raise UserError(f"Interpolated: times={self.times!r}; expected a whole number from 1")

    def fits(self, space: Space) -> bool:
        return not isinstance(space, Product) and getattr(space, "ordered", True) and 1 <= len(axes_of(space)[0]) <= 3

    def build(self, space: Space, width: int, role: Role) -> Read:
        return _Interpolated(space, width, self.times)


class _Interpolated(Read):
    def __init__(self, space: Space, width: int, times: int) -> None:
        super().__init__()
        self.features, self.times = Features(space), times
        self.rest, self.channels = axes_of(space)
        self.cells = tuple(times * space.shape[i] for i in self.rest)
        depth = math.prod(space.shape[i] for i in self.channels)
        self.layer = nn.Linear(depth * self.features.size, width)

    def forward(self, x: Entries) -> Cells:
        K = len(self.rest)
        h = self.features(x)
        h = h.permute(0, *(i + 1 for i in self.rest), *(i + 1 for i in self.channels), h.dim() - 1).flatten(K + 1)
        with in_sixteen_bits(h.device, enabled=False):  # levels are finer
            for axis, size in enumerate(self.cells):
                weights = cubic(size // self.times, size).to(h)
                h = torch.tensordot(h, weights, dims=([axis + 1], [1])).movedim(-1, axis + 1)
            return Cells(self.layer(h))


def cubic(here: int, there: int) -> Tensor:
    """(there, here) float64: how much each of `here` places of a line weighs at each of `there` equal places of it.

    Rows sum to one. Where there are fewer, the curve is as much wider, so that nothing falls between them.
    """
    scale = there / here
    reach = max(1.0, 1 / scale)
    middle = (torch.arange(there, dtype=torch.float64) + 0.5) / scale - 0.5
    first = (middle - 2 * reach).ceil().long()
    at = first[:, None] + torch.arange(math.ceil(4 * reach) + 1)
    z = ((at - middle[:, None]) / reach).abs()
    near, far = 1.5 * z**3 - 2.5 * z**2 + 1, -0.5 * z**3 + 2.5 * z**2 - 4 * z + 2
    weight = torch.where(z <= 1, near, torch.where(z < 2, far, 0.0))
    weight = weight / weight.sum(1, keepdim=True)
    return torch.zeros(there, here, dtype=torch.float64).scatter_add_(1, at.clamp(0, here - 1), weight)
