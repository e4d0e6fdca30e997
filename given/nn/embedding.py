"""Neighbours: what a step of an autoregressive net is told of the entries drawn before it.

The token of step t describes the entry about to be drawn, never its value: its place on the grid, the value of the entry
drawn just before, and the values of the nearest entries on the grid that come earlier in the order, each offset with
weights of its own. One table of indices serves all steps at once and a single step alike.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.order import coordinates
from given.variables import Finite, Space

__all__ = ["Neighbours"]

_KNOTS = (-0.5, 0.0, 0.5, 0.9)  # where the curve of a level bends; levels run from -1 to 1


class Neighbours(nn.Module):
    """Tokens (B, T, C) from the values of earlier entries.

    Args:
        space: a `Finite` or `Real` space of D entries.
        permutation: (D,) the order.
        width: C.
        offsets: how many nearest offsets on the grid a token sees, beside the entry drawn just before; by default 12 on
            grids of two axes and more, none on sequences.
    """

    def __init__(self, space: Space, permutation: Tensor, width: int, *, offsets: int | None = None) -> None:
        super().__init__()
        self.space = space
        if offsets is None:
            offsets = 12 if len(space.axes) > 1 else 0
        index = _earlier(space.shape, permutation, offsets)  # (T, K), D where there is none
        self.index: Tensor
        self.register_buffer("index", index, persistent=False)
        T, K = index.shape
        self.place = nn.Parameter(torch.randn(T, width) * 0.02)
        # Unordered symbols have a vector each. Levels and reals share a curve, piecewise linear: with a vector a level, few
        # images teach little.
        self.symbols = space.size if isinstance(space, Finite) and not space.ordered else 0
        rows = K * (self.symbols + 1) if self.symbols else (2 + len(_KNOTS)) * K
        self.weight = nn.Parameter(torch.randn(rows, width) * (0.02 if self.symbols else 0.1))

    def forward(self, values: Tensor, steps: slice = slice(None)) -> Tensor:
        """(B, D) values, of which only those before each step are read -> tokens (B, len(steps), C)."""
        index = self.index[steps]
        B, (T, K) = len(values), index.shape
        seen = F.pad(values, (0, 1))[:, index]  # (B, T, K)
        none = index == values.shape[1]
        if self.symbols:
            symbol = torch.where(none, self.symbols, seen) + torch.arange(K, device=seen.device) * (self.symbols + 1)
            values_of = F.embedding_bag(symbol.reshape(B * T, K), self.weight, mode="sum").view(B, T, -1)
        else:
            level = seen * (2 / max(self.space.size - 1, 1)) - 1 if isinstance(self.space, Finite) else seen
            level = torch.where(none, 0.0, level.to(self.weight.dtype))
            present = (~none).to(level.dtype).expand_as(level)
            hinges = [F.relu(level - knot) * present for knot in _KNOTS]
            values_of = torch.cat([level, *hinges, present], -1) @ self.weight
        return self.place[steps] + values_of


def _earlier(shape: Sequence[int], permutation: Tensor, offsets: int) -> Tensor:
    """(T, 1 + offsets) indices of entries before each step: the one just before, then by offset; D where there is none."""
    D = len(permutation)
    place = coordinates(shape, permutation)
    step_of = torch.empty(D, dtype=torch.int64)
    step_of[permutation] = torch.arange(D)
    columns = [torch.cat([torch.tensor([D]), permutation[:-1]])]
    radius = min(max(shape, default=1) - 1, math.isqrt(2 * offsets) + 1)
    around = itertools.product(*(range(-min(radius, size - 1), min(radius, size - 1) + 1) for size in shape))
    size = torch.tensor(list(shape), dtype=torch.int64)
    stride = torch.tensor([math.prod(shape[i + 1:]) for i in range(len(shape))], dtype=torch.int64)
    for offset in sorted(around, key=lambda o: (sum(v * v for v in o), tuple(map(abs, o)), o)):
        if len(columns) > offsets:
            break
        there = place + torch.tensor(offset, dtype=torch.int64)
        inside = ((there >= 0) & (there < size)).all(-1)
        entry = torch.where(inside, (there * stride).sum(-1), 0)
        earlier = inside & (step_of[entry] < torch.arange(D))
        if 3 * int(earlier.sum()) >= D:  # an offset that helps a third of the entries at least
            columns.append(torch.where(earlier, entry, D))
    return torch.stack(columns, -1)
