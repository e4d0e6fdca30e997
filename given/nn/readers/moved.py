"""Moved: how the last of pictures in a row would change if everything moved on as it did.

A place p of the last picture a looks most like the place p - s of the one before, b: for every shift s the squared difference
a(p) - b(p - s) is averaged over a window around p, and the shifts are weighed by how small it is. Where the weights say s, the
next picture is a(p - s). Nothing of it is learned; shifts are of halves of a place. Where
all differ by much, as after a cut, nothing moves. Levels themselves are not read: what moves little is not to be drawn towards
its mean by what is learned of things that move.

    w_s(p) = softmax_s(-(mean of (a(p) - b(p - s))^2 + stay |s|^2) / spread),    moved(p) = sum_s w_s(p) a(p - s)

Source: Lucas, Kanade, An iterative image registration technique, 1981
Liu, Yeh, Tang, Liu, Agarwala, Video frame synthesis using deep voxel flow, 2017 / https://arxiv.org/abs/1702.02463
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.grid_cut import axes_of
from given.nn.precision import in_sixteen_bits
from given.nn.readers.features import Features
from given.nn.readers.reader import Cells, Read, Reader, Role
from given.variables import Entries, Product, Space, UserError

__all__ = ["Moved"]

_SPREAD, _STAY = 3e-4, 3e-5  # in squares of half the range of levels: some levels of 256, and what a shift has to gain
_LOST = 0.01  # where every shift differs by more, some 13 levels of 256, nothing moves: a cut


@dataclass(frozen=True)
class Moved(Reader):
    """Levels or numbers of pictures, the last axis from the first picture to the last, place by place, each a straight line of
    how it would change.

    Args:
        reach: of a shift, in places along both axes.
        window: places along both axes by which shifts are told apart; odd.
    """

    reach: int = 2
    window: int = 7
    reads: ClassVar[str] = "levels and numbers on two axes of places and at last one of two channels or more"
    natural: ClassVar[Role] = "aligned"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reach < 1 or self.window < 1 or not self.window % 2:
            raise UserError(f"Moved: reach={self.reach!r}, window={self.window!r}; expected a reach from 1, and an odd window")

    def fits(self, space: Space) -> bool:
        rest, channels = ([], []) if isinstance(space, Product) else axes_of(space)
        ordered = getattr(space, "ordered", True)
        return ordered and list(rest) == [0, 1] and bool(channels) and space.axes[-1].size > 1

    def build(self, space: Space, width: int, role: Role) -> Read:
        return _Moved(space, width, self.reach, self.window)


class _Moved(Read):
    def __init__(self, space: Space, width: int, reach: int, window: int) -> None:
        super().__init__()
        self.features, self.reach, self.window = Features(space), reach, window
        self.cells = space.shape[:2]
        depth = math.prod(space.shape[2:-1])
        self.layer = nn.Linear(depth * self.features.size, width)

    def forward(self, x: Entries) -> Cells:
        h = self.features(x)
        with in_sixteen_bits(h.device, enabled=False):  # levels are finer
            value = h[..., 0].flatten(3, -2) if h.dim() > 5 else h[..., 0].unsqueeze(3)
            last, before = value.movedim(3, 1)[..., -1].float(), value.movedim(3, 1)[..., -2].float()
            change = (_moved(last, before, self.reach, self.window) - last).movedim(1, -1)
            return Cells(self.layer(torch.cat([h[..., -1, 1:].flatten(3).float(), change], -1)))


@torch.no_grad()
def _moved(last: Tensor, before: Tensor, reach: int, window: int) -> Tensor:
    """(N, C, height, width) the last pictures, moved on as they moved from those before."""
    steps = range(-2 * reach, 2 * reach + 1)  # halves of a place
    shifts = [(i, j) for i in steps for j in steps]
    a, b = last.mean(1, keepdim=True), _halves(before.mean(1, keepdim=True), reach)
    size = last.shape[2:]
    costs = torch.cat([(a - _shifted(b, i, j, reach, size)) ** 2 for i, j in shifts], 1)
    cost = F.avg_pool2d(costs, window, 1, window // 2, count_include_pad=False)
    far = torch.tensor([(i * i + j * j) / 4 for i, j in shifts], dtype=cost.dtype, device=cost.device)
    each = torch.cat([cost + _STAY * far[:, None, None], torch.full_like(cost[:, :1], _LOST)], 1)
    weights = (each / -_SPREAD).softmax(1)
    whole, found = _halves(last, reach), weights[:, -1:] * last
    for k, (i, j) in enumerate(shifts):
        found = found + weights[:, k:k + 1] * _shifted(whole, i, j, reach, size)
    return found


def _halves(pictures: Tensor, reach: int) -> list[list[Tensor]]:
    """Pictures with room around, as they are and half a place further, down and across."""
    room = F.pad(pictures, [reach + 1] * 4, mode="replicate")
    down = (room + room.roll(1, 2)) / 2
    return [[each, (each + each.roll(1, 3)) / 2] for each in (room, down)]


def _shifted(halves: list[list[Tensor]], i: int, j: int, reach: int, size: Sequence[int]) -> Tensor:
    """The pictures, i halves of a place further down and j across."""
    top, left = (reach + 1 - k // 2 for k in (i, j))
    return halves[i % 2][j % 2][:, :, top:top + size[0], left:left + size[1]]
