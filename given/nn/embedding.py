"""Embedding: what a step of an autoregressive net reads of the entries drawn before it.

The token of step t describes the entry about to be drawn, never its value: which entry it is; which entry was drawn just
before, and its value; and the values of the nearest entries on the grid that came earlier, each offset with weights of its
own. One table of indices serves all steps at once and a single step alike, in any order, a row's own order too.

Values travel as (B, D) float64, symbols and reals alike, the columns of a block end to end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.symbol_vectors import SymbolVectors
from given.variables import Finite, Real, Space

__all__ = ["Embedding"]

_KNOTS = (-0.5, 0.0, 0.5, 0.9)  # where the curve of a level bends; levels run from -1 to 1


class Embedding(nn.Module):
    """Tokens (B, T, C) from the values of earlier entries.

    Args:
        space: of D entries in all.
        width: C.
        steps: (D,) the step of every entry in the one order it will be asked for, or None for any order.
        offsets: how many nearest offsets on a grid a token sees, beside the entry drawn just before; by default 12 on grids
            of two axes and more, none on sequences.
        places: whether a token has a vector for the entry it is of; a net that reads positions otherwise, as by `Rotary`, needs
            none, and can be exported.
    """

    place: Tensor
    order: Tensor
    last: Tensor
    earlier: Tensor
    told: Tensor

    def __init__(self, space: Space, width: int, *, steps: Tensor | None = None, offsets: int | None = None,
                 places: bool = True) -> None:
        super().__init__()
        D = space.dimensions
        if places:
            self.place = nn.Parameter(torch.randn(D, width) * 0.02)
        else:
            self.register_buffer("place", torch.zeros(D, width), persistent=False)
        self.before = nn.Parameter(torch.randn(D + 1, width) * 0.02) if steps is None else None
        self.values = nn.ModuleList()
        self.near = nn.ModuleList()
        tables, part_of, first = [], [], 0
        for i, (_, part) in enumerate(space.parts):
            wanted = offsets if offsets is not None else 12 * (len(part.axes) > 1)
            table, found = _neighbours(part.shape, steps if len(space.parts) == 1 else None, wanted)
            tables.append(torch.where(table < 0, D, table + first))
            part_of += [i] * part.dimensions
            first += part.dimensions
            smooth = isinstance(part, Finite) and part.levels
            self.values.append(_SmoothValue(part, width) if smooth else _Value(part, 1, width))
            self.near.append(_Value(part, table.shape[1], width) if table.shape[1] else nn.Identity())
        self.near_of, self.sizes = [t.shape[1] for t in tables], [part.dimensions for _, part in space.parts]
        self.value_of = [cast(_Value, self.values[i]) for i in part_of]  # of every entry
        self.only = cast(_Value, self.values[0]), self.near[0]  # of a space that is no block
        K = max(self.near_of)
        self.table: Tensor
        self.part_of: Tensor
        self.register_buffer("table", torch.cat([F.pad(t, (0, K - t.shape[1]), value=D) for t in tables]), persistent=False)
        self.register_buffer("part_of", torch.tensor([*part_of, -1]), persistent=False)
        self.planned = steps is not None
        self.grid: _Grid | None = None
        self.entries = list[tuple[int, int]]()  # of each step its entry, and the one before: a plan of the host
        self._rows = list[tuple[Tensor, Tensor, Tensor]]()
        if steps is not None:
            order = steps.argsort(stable=True)
            rank, drawn = F.pad(steps, (0, 1), value=D), steps[order]
            before = torch.searchsorted(drawn, drawn) - 1  # the last entry of the step before
            last = torch.where(before < 0, D, order[before.clamp(min=0)])
            near = torch.where(rank[self.table[order]] >= drawn[:, None], D, self.table[order])
            for name, plan in (("order", order), ("last", last), ("earlier", near)):
                self.register_buffer(name, plan[None], persistent=False)
            if len(space.parts) == 1:
                self.entries = list(zip(order.tolist(), last.tolist(), strict=True))
                self.register_buffer("told", torch.cat([last[:, None], near], 1), persistent=False)
            if len(space.parts) == 1 and len(space.axes) == 2 and K and not cast(_Value, self.near[0]).symbols and bool(
                    (near == self.table[order]).all()):
                self.grid = _Grid(found, space.shape, order)

    def forward(self, values: Tensor, order: Tensor, steps: slice = slice(None)) -> Tensor:
        """(B, D) values, of which only those before each step are read; order (1 or B, D) -> tokens (B, len(steps), C)."""
        D = order.shape[1]
        if self.entries and steps.start is not None and steps.stop == steps.start + 1:
            return self._single(values, *self.entries[steps.start], *self.rows[steps.start])
        if self.planned:
            entry, last, near = (part[:, steps] for part in (self.order, self.last, self.earlier))
        else:
            entry, last, near = self._plan(order, steps)
        if not self.table.shape[1] and len(self.values) > 1:
            if last.numel() == 1 and last.device.type == "cpu":
                return self._next(values, int(entry), int(last))
            if last.shape[1] > 1:
                return self.place[entry] + self._each(values, last)
        padded = F.pad(values, (0, 1))
        tokens = self.place[entry] + self._told(self.values, last, _pick(padded, last)[..., None], (last == D)[..., None])
        if self.before is not None:
            tokens = tokens + self.before[last]
        if not self.table.shape[1]:
            return tokens
        if self.grid is not None and entry.shape[1] == D:
            return tokens + self.grid.told(self.near[0], values)  # type: ignore[arg-type]
        return tokens + self._told(self.near, entry, _pick(padded, near), near == D)

    def _each(self, values: Tensor, last: Tensor) -> Tensor:
        """Of the columns of a block the vector of every value, once, picked where a step reads it: (B, T, C)."""
        none = torch.zeros((), dtype=torch.bool, device=values.device)
        each = F.pad(torch.cat([own(column[..., None], none) for own, column in
                                zip(self.values, values.split(self.sizes, 1), strict=True)], 1), (0, 0, 0, 1))
        if self.before is not None:
            each = each + self.before
        return each[:, last[0]] if len(last) == 1 else each.gather(1, last[..., None].expand(-1, -1, each.shape[2]))

    @property
    def rows(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Of each step the entries its token is told of, which are none, which are there as 0 or 1: where the weights are."""
        if not self._rows or self._rows[0][0].device != self.place.device:
            D, none = len(self.place), self.told == len(self.place)
            there = (~none).to(self.place.dtype)[..., None]
            self._rows = list(zip(self.told.clamp(max=D - 1).unbind(0), none.unbind(0), there.unbind(0), strict=True))
        return self._rows

    def _single(self, values: Tensor, entry: int, before: int, told: Tensor, none: Tensor, there: Tensor) -> Tensor:
        """The token (B, 1, C) of one step, in few calls: the entry drawn just before and the near ones picked together."""
        last, near = self.only
        if last.symbols and before < len(self.place):
            token = F.embedding(values[:, before, None].long(), last.weight) + self.place[entry]
            return token + near(values.index_select(1, told[1:])[:, None], none[1:]) if isinstance(near, _Value) else token
        picked = values.index_select(1, told)
        if last.symbols:
            token = self.place[entry] + last(picked[:, None, :1], none[:1])
            return token + near(picked[:, None, 1:], none[1:]) if isinstance(near, _Value) else token
        features = last.features(picked) * there  # (B, 1 + K, F)
        token = torch.addmm(self.place[entry], features[:, 0], last.weight)
        return (token.addmm(features[:, 1:].mT.flatten(1), near.weight) if isinstance(near, _Value) else token)[:, None]

    def _next(self, values: Tensor, entry: int, before: int) -> Tensor:
        """The token (B, 1, C) of one step of a block without near values, in few calls, from the column drawn just before."""
        place = self.place[entry] if self.before is None else self.place[entry] + self.before[before]
        if before == len(self.place):
            return place.expand(len(values), 1, -1)
        value = self.value_of[before]
        if value.symbols:
            return (F.embedding(values[:, before].long(), value.weight) + place)[:, None]
        return torch.addmm(place, value.features(values[:, before]), value.weight)[:, None]

    def _plan(self, order: Tensor, steps: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Of every step the entry, the entry drawn just before, and the near ones drawn earlier; D where there is none."""
        R, D = order.shape
        entry = order[:, steps]
        near = self.table[entry]  # (R, T, K)
        if near.shape[2]:
            everything = F.pad(order, (0, 1), value=D)
            rank = torch.empty_like(everything).scatter_(1, everything, torch.arange(D + 1, device=order.device).expand(R, -1))
            step = torch.arange(D, device=order.device)[steps]
            near = torch.where(_pick(rank, near) >= step[:, None], D, near)
        return entry, F.pad(order[:, :-1], (1, 0), value=D)[:, steps], near

    def _told(self, parts: nn.ModuleList, entry: Tensor, values: Tensor, none: Tensor) -> Tensor:
        """Values (B, T, K) of the part each entry is in, absent where `none`, as vectors (B, T, C)."""
        if len(parts) == 1:
            return parts[0](values, none)
        part = self.part_of[entry][..., None]
        offsets = self.near_of if parts is self.near else [1] * len(parts)
        # One order for all rows is read by the host, where it costs nothing: other parts than its own add nothing.
        own = set(part.flatten().tolist()) if len(part) == 1 and part.device.type == "cpu" else range(len(parts))
        each = [torch.where(part == i, module(torch.where(part == i, values, 0)[..., :K], (none | (part != i))[..., :K]), 0)
                for i, (module, K) in enumerate(zip(parts, offsets, strict=True))
                if i in own and not isinstance(module, nn.Identity)]
        if not each:
            return self.place.new_zeros(*values.shape[:2], self.place.shape[1])
        return torch.stack(each).sum(0) if len(each) > 1 else each[0]


class _Grid(nn.Module):
    """Near values of a whole grid at once, where every offset leads to an earlier entry or outside: a convolution.

    Args:
        offsets: K of them, (rows, columns).
        shape: of the grid.
        order: (D,) of drawing.
    """

    def __init__(self, offsets: Sequence[tuple[int, ...]], shape: Sequence[int], order: Tensor) -> None:
        super().__init__()
        self.shape, self.raster = tuple(shape), torch.equal(order, torch.arange(len(order)))
        self.order = nn.Buffer(order, persistent=False)
        rows, columns = ([o[axis] for o in offsets] for axis in (0, 1))
        self.top, self.left = min(*rows, 0), min(*columns, 0)
        self.size = max(*rows, 0) - self.top + 1, max(*columns, 0) - self.left + 1
        self.pad = -self.left, max(*columns, 0), -self.top, max(*rows, 0)
        self.at = nn.Buffer(torch.tensor([(r - self.top) * self.size[1] + c - self.left for r, c in offsets]), persistent=False)

    def told(self, value: _Value, values: Tensor) -> Tensor:
        """(B, D) values -> (B, D, C), in the order of drawing."""
        B, C = len(values), value.weight.shape[1]
        features = value.features(values.reshape(B, 1, *self.shape))  # (B, 1, *shape, F)
        F_ = features.shape[-1]
        kernel = value.weight.new_zeros(C, F_, self.size[0] * self.size[1])
        kernel = kernel.index_copy(2, self.at, value.weight.view(F_, -1, C).permute(2, 0, 1))
        planes = F.pad(features[:, 0].permute(0, 3, 1, 2), self.pad)
        told = F.conv2d(planes.contiguous(memory_format=torch.channels_last), kernel.view(C, F_, *self.size))
        told = told.permute(0, 2, 3, 1).flatten(1, 2)
        return told if self.raster else told[:, self.order]


class _Value(nn.Module):
    """K values (B, T, K) -> (B, T, C), each of the K with weights of its own.

    Unordered symbols have a vector each, and so have atoms. Levels and reals share a curve, piecewise linear: with a vector a
    level, few images teach little.
    """

    def __init__(self, space: Space, K: int, width: int) -> None:
        super().__init__()
        self.symbols = space.size if isinstance(space, Finite) and not space.ordered else 0
        self.top = max(space.size - 1, 1) if isinstance(space, Finite) else None
        self.knots = () if self.top == 1 else _KNOTS  # two levels have no curve
        self.atoms = space.atoms if isinstance(space, Real) else ()
        rows = K * (self.symbols + 1) if self.symbols else (2 + len(self.knots) + len(self.atoms)) * K
        self.weight = nn.Parameter(torch.randn(rows, width) * (0.02 if self.symbols else 0.1))

    def forward(self, values: Tensor, none: Tensor) -> Tensor:
        B, T, K = values.shape
        if self.symbols:
            symbol = torch.where(none, self.symbols, values).long()
            if K == 1:
                return F.embedding(symbol[..., 0], self.weight)
            symbol = symbol + torch.arange(K, device=symbol.device) * (self.symbols + 1)
            return F.embedding_bag(symbol.reshape(B * T, K), self.weight, mode="sum").view(B, T, -1)
        features = self.features(values) * (~none)[..., None]
        return features.mT.reshape(B, T, -1) @ self.weight

    def features(self, values: Tensor) -> Tensor:
        """Levels or reals of any shape as numbers (..., F), the last of them 1."""
        level = (values * (2 / self.top) - 1 if self.top else values).to(self.weight.dtype)
        at = [(values == atom).to(level) for atom in self.atoms]
        return torch.stack([level, *(F.relu(level - knot) for knot in self.knots), *at, torch.ones_like(level)], -1)


class _SmoothValue(_Value):
    """The vectors of symbols with levels among them."""

    def __init__(self, space: Space, width: int) -> None:
        super().__init__(space, 1, width)
        assert isinstance(space, Finite)
        free = self.weight.detach()
        del self.weight
        self.vectors = SymbolVectors(space, free, spread=0.05)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """(V + 1, C), the last of none."""
        return self.vectors()


def _pick(rows: Tensor, index: Tensor) -> Tensor:
    """rows (B or 1, N) at index (1 or B, ...): (B, ...)."""
    if len(index) == 1:
        return rows[:, index[0]]
    return rows.expand(len(index), -1).gather(1, index.flatten(1)).view(index.shape)


def _neighbours(shape: Sequence[int], rank: Tensor | None, offsets: int) -> tuple[Tensor, list[tuple[int, ...]]]:
    """(D, K) entries at the nearest offsets of every entry, -1 outside the grid, and these offsets. With one order, in which
    entries have ranks (D,), only offsets that lead to an earlier entry from a third of the entries at least."""
    D = math.prod(shape)
    place = torch.cartesian_prod(*(torch.arange(n) for n in shape)).reshape(D, -1) if shape else torch.zeros(1, 0).long()
    size = torch.tensor(list(shape), dtype=torch.int64)
    stride = torch.tensor([math.prod(shape[i + 1:]) for i in range(len(shape))], dtype=torch.int64)
    radius = math.isqrt(2 * offsets) + 1
    around = itertools.product(*(range(-min(radius, n - 1), min(radius, n - 1) + 1) for n in shape))
    columns: list[Tensor] = []
    found: list[tuple[int, ...]] = []
    for offset in sorted(around, key=lambda o: (sum(v * v for v in o), tuple(map(abs, o)), o)):
        if len(columns) == offsets:
            break
        there = place + torch.tensor(offset, dtype=torch.int64)
        inside = ((there >= 0) & (there < size)).all(-1)
        entry = torch.where(inside, (there * stride).sum(-1), -1)
        useful = inside if rank is None else inside & (rank[entry] < rank)
        if any(offset) and 3 * int(useful.sum()) >= D:
            columns.append(entry)
            found.append(offset)
    return torch.stack(columns, -1) if columns else torch.zeros(D, 0, dtype=torch.int64), found
