"""Embedding: what a step of an autoregressive net is told of the entries drawn before it.

The token of step t describes the entry about to be drawn, never its value: which entry it is; which entry was drawn just
before, and its value; and the values of the nearest entries on the grid that came earlier, each offset with weights of its
own. One table of indices serves all steps at once and a single step alike, in any order, a row's own order too.

Values travel as (B, D) float64, symbols and reals alike, the columns of a block end to end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.variables import Finite, Real, Space

__all__ = ["Embedding"]

_KNOTS = (-0.5, 0.0, 0.5, 0.9)  # where the curve of a level bends; levels run from -1 to 1


class Embedding(nn.Module):
    """Tokens (B, T, C) from the values of earlier entries.

    Args:
        space: of D entries in all.
        width: C.
        order: (D,) the one order it will be asked for, or None for any.
        offsets: how many nearest offsets on a grid a token sees, beside the entry drawn just before; by default 12 on grids
            of two axes and more, none on sequences.
    """

    def __init__(self, space: Space, width: int, *, order: Tensor | None = None, offsets: int | None = None) -> None:
        super().__init__()
        D = space.dimensions
        self.place = nn.Parameter(torch.randn(D, width) * 0.02)
        self.before = nn.Parameter(torch.randn(D + 1, width) * 0.02) if order is None else None
        self.values = nn.ModuleList()
        self.near = nn.ModuleList()
        tables, part_of, first = [], [], 0
        for i, (_, part) in enumerate(space.parts):
            wanted = offsets if offsets is not None else 12 * (len(part.axes) > 1)
            table = _neighbours(part.shape, order if len(space.parts) == 1 else None, wanted)
            tables.append(torch.where(table < 0, D, table + first))
            part_of += [i] * part.dimensions
            first += part.dimensions
            self.values.append(_Value(part, 1, width))
            self.near.append(_Value(part, table.shape[1], width) if table.shape[1] else nn.Identity())
        K = max(t.shape[1] for t in tables)
        self.table: Tensor
        self.part_of: Tensor
        self.register_buffer("table", torch.cat([F.pad(t, (0, K - t.shape[1]), value=D) for t in tables]), persistent=False)
        self.register_buffer("part_of", torch.tensor([*part_of, -1]), persistent=False)

    def forward(self, values: Tensor, order: Tensor, steps: slice = slice(None)) -> Tensor:
        """(B, D) values, of which only those before each step are read; order (1 or B, D) -> tokens (B, len(steps), C)."""
        R, D = order.shape
        everything = F.pad(order, (0, 1), value=D)
        rank = torch.empty_like(everything).scatter_(1, everything, torch.arange(D + 1).expand(R, -1))
        padded = F.pad(values, (0, 1))
        entry = order[:, steps]
        last = F.pad(order[:, :-1], (1, 0), value=D)[:, steps]
        tokens = self.place[entry] + self._told(self.values, last, _pick(padded, last)[..., None], (last == D)[..., None])
        if self.before is not None:
            tokens = tokens + self.before[last]
        if self.table.shape[1]:
            near = self.table[entry]  # (R, T, K)
            none = _pick(rank, near) >= torch.arange(D)[steps][:, None]
            tokens = tokens + self._told(self.near, entry, _pick(padded, near), none)
        return tokens

    def _told(self, parts: nn.ModuleList, entry: Tensor, values: Tensor, none: Tensor) -> Tensor:
        """Values (B, T, K) of the part each entry is in, absent where `none`, as vectors (B, T, C)."""
        if len(parts) == 1:
            return parts[0](values, none)
        part = self.part_of[entry][..., None]
        each = [torch.where(part == i, module(torch.where(part == i, values, 0), none | (part != i)), 0)
                for i, module in enumerate(parts) if not isinstance(module, nn.Identity)]
        return torch.stack(each).sum(0)


class _Value(nn.Module):
    """K values (B, T, K) -> (B, T, C), each of the K with weights of its own.

    Unordered symbols have a vector each, and so have atoms. Levels and reals share a curve, piecewise linear: with a vector a
    level, few images teach little.
    """

    def __init__(self, space: Space, K: int, width: int) -> None:
        super().__init__()
        self.symbols = space.size if isinstance(space, Finite) and not space.ordered else 0
        self.top = max(space.size - 1, 1) if isinstance(space, Finite) else None
        self.atoms = space.atoms if isinstance(space, Real) else ()
        rows = K * (self.symbols + 1) if self.symbols else (2 + len(_KNOTS) + len(self.atoms)) * K
        self.weight = nn.Parameter(torch.randn(rows, width) * (0.02 if self.symbols else 0.1))

    def forward(self, values: Tensor, none: Tensor) -> Tensor:
        B, T, K = values.shape
        none = none.expand(values.shape)
        if self.symbols:
            symbol = torch.where(none, self.symbols, values).long() + torch.arange(K) * (self.symbols + 1)
            return F.embedding_bag(symbol.reshape(B * T, K), self.weight, mode="sum").view(B, T, -1)
        level = torch.where(none, 0.0, values * (2 / self.top) - 1 if self.top else values).to(self.weight.dtype)
        present = (~none).to(level.dtype)
        at = [(values == atom) * present for atom in self.atoms]
        return torch.cat([level, *(F.relu(level - knot) * present for knot in _KNOTS), present, *at], -1) @ self.weight


def _pick(rows: Tensor, index: Tensor) -> Tensor:
    """rows (B or 1, N) at index (1 or B, ...): (B, ...)."""
    if len(index) == 1:
        return rows[:, index[0]]
    return rows.expand(len(index), -1).gather(1, index.flatten(1)).view(index.shape)


def _neighbours(shape: Sequence[int], order: Tensor | None, offsets: int) -> Tensor:
    """(D, K) entries at the nearest offsets of every entry, -1 outside the grid. With one order, only offsets that lead to an
    earlier entry from a third of the entries at least."""
    D = math.prod(shape)
    place = torch.cartesian_prod(*(torch.arange(n) for n in shape)).reshape(D, -1) if shape else torch.zeros(1, 0).long()
    size = torch.tensor(list(shape), dtype=torch.int64)
    stride = torch.tensor([math.prod(shape[i + 1:]) for i in range(len(shape))], dtype=torch.int64)
    rank = torch.empty(D, dtype=torch.int64).scatter_(0, order, torch.arange(D)) if order is not None else None
    radius = math.isqrt(2 * offsets) + 1
    around = itertools.product(*(range(-min(radius, n - 1), min(radius, n - 1) + 1) for n in shape))
    columns: list[Tensor] = []
    for offset in sorted(around, key=lambda o: (sum(v * v for v in o), tuple(map(abs, o)), o)):
        if len(columns) == offsets:
            break
        there = place + torch.tensor(offset, dtype=torch.int64)
        inside = ((there >= 0) & (there < size)).all(-1)
        entry = torch.where(inside, (there * stride).sum(-1), -1)
        useful = inside if rank is None else inside & (rank[entry] < rank)
        if any(offset) and 3 * int(useful.sum()) >= D:
            columns.append(entry)
    return torch.stack(columns, -1) if columns else torch.zeros(D, 0, dtype=torch.int64)
