"""LinearPrediction: where an entry is expected, as a linear function of those near it that are drawn before.

    m_i = sum_j (a_cj + b_j(h_i)) v_j

v_j are the values of the nearest places drawn before, of all their channels, and of the entry's own place those of earlier
channels; a has weights of its own for every channel c, and b moves them by the net's features, which start at nothing. A net
rounds levels to the 8 bits of its products; here they keep all of theirs. Neighbours that lie outside the grid are replaced by
the nearest there are. Lossless coders of photographs predict like this and code what is left.

Source: Weinberger, Seroussi, Sapiro, The LOCO-I lossless image compression algorithm, 2000 /
https://doi.org/10.1109/83.855427
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from given.nn.linear import Linear
from given.variables import Finite, Product, Real, Space, UserError

__all__ = ["LinearPrediction"]


class LinearPrediction(nn.Module):
    """Features and values before -> where entries are expected, in the units of heads: levels from -1 to 1, reals their own.

    Args:
        space: ordered levels, or reals without atoms, on a grid.
        width: C, of the features.
        steps: (D,) the step at which each entry is drawn, an order that draws the channels of a place one after another.
        near: how many places around an entry's own are read.

    Raises:
        UserError: another space, or order.
    """

    table: Tensor
    none: Tensor
    channel: Tensor

    def __init__(self, space: Space, width: int, *, steps: Tensor | None, near: int = 6) -> None:
        super().__init__()
        ordered = isinstance(space, Finite) and space.ordered and space.size > 1
        lasts = not isinstance(space, Product) and bool(space.axes) and all(axis.length != "modelled" for axis in space.axes)
        if not lasts or not (ordered or (isinstance(space, Real) and not space.atoms)):
            raise UserError("LinearPrediction: expected ordered levels or reals without atoms on a grid without an end, got "
                            f"{space}")
        if not isinstance(near, int) or isinstance(near, bool) or near < 1:
            raise UserError(f"LinearPrediction: near={near!r}; expected a whole number from 1")
        if steps is None:
            raise UserError("LinearPrediction: needs one order, such as Raster()")
        self.top = space.size - 1 if isinstance(space, Finite) else None
        entries, sizes = _entries(space, steps)
        places, nearest = _near(sizes, steps[entries[:, 0]], near)
        (N, d), D = entries.shape, space.dimensions
        around = torch.where(places[..., None] < 0, D, entries[places.clamp(min=0)]).reshape(N, 1, -1).expand(N, d, -1)
        own = torch.where(torch.ones(d, d).tril(-1).bool(), entries[:, None].expand(N, d, d), D)[..., :-1]
        back = entries.flatten().argsort()
        table = torch.cat([around, own], 2).flatten(0, 1)[back]  # (D, J) entries, D for none
        channel = torch.arange(d).repeat(N)[back]
        for name, plan in (("table", table.clamp(max=D - 1)), ("none", table == D), ("channel", channel)):
            self.register_buffer(name, plan, persistent=False)
        self.weight = nn.Parameter(_start(d, places.shape[1], nearest))
        self.moves = Linear(width, self.table.shape[1])
        nn.init.zeros_(self.moves.weight)
        nn.init.zeros_(self.moves.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, values: Tensor, place: slice | Tensor = slice(None)) -> Tensor:
        """(B, n, C) of the entries at some places of D, values (B, D), of which those before each are read -> (B, n)."""
        near = values[:, self.table[place]]  # (B, n, J)
        near = near if self.top is None else near * (2 / self.top) - 1
        near = near.masked_fill(self.none[place], 0.0).to(features.dtype)
        return torch.linalg.vecdot(self.moves(features) + self.weight[self.channel[place]], near)


def _entries(space: Space, steps: Tensor) -> tuple[Tensor, list[int]]:
    """(N, d) the entries of every place, channel by channel, and how many places there are along each axis.

    Raises:
        UserError: the order does not draw the channels of a place one after another.
    """
    along = [i for i, axis in enumerate(space.axes) if axis.role != "channel"]
    channels = [i for i in range(len(space.axes)) if i not in along]
    entries = torch.arange(space.dimensions).reshape(space.shape).permute(*along, *channels)
    entries = entries.reshape(math.prod(space.shape[i] for i in along), -1)
    if bool((steps[entries].diff(dim=1) != 1).any()):
        raise UserError("LinearPrediction: expected an order that draws the channels of a place one after another, as Raster")
    return entries, [space.shape[i] for i in along]


def _near(sizes: list[int], drawn: Tensor, near: int) -> tuple[Tensor, int]:
    """(N, K) places near every place that are drawn before, (N,) when; where there is none at an offset, the nearest there is,
    and -1 where there is none at all. How many of the K lie nearest."""
    at = torch.cartesian_prod(*map(torch.arange, sizes)).reshape(len(drawn), -1)
    stride = torch.tensor([math.prod(sizes[i + 1:]) for i in range(len(sizes))])
    around = itertools.product(*(range(-min(near, n - 1), min(near, n - 1) + 1) for n in sizes))
    found, off = list[Tensor](), list[int]()
    for offset in sorted(around, key=lambda o: (sum(v * v for v in o), o)):
        there = at + torch.tensor(offset)
        number = (there * stride).sum(1)
        inside = ((there >= 0) & (there < torch.tensor(sizes))).all(1)
        before = inside & (drawn[torch.where(inside, number, 0)] < drawn)
        if len(found) < near and 3 * int(before.sum()) >= len(drawn):
            found.append(torch.where(before, number, -1))
            off.append(sum(v * v for v in offset))
    if not found:
        raise UserError("LinearPrediction: expected places that have one near them drawn before")
    places = torch.stack(found, 1)
    nearest = places.gather(1, (places >= 0).long().argmax(1, keepdim=True))
    return torch.where(places < 0, nearest, places), off.count(off[0])


def _start(channels: int, K: int, nearest: int) -> Tensor:
    """(d, J) weights to begin with: the mean of the nearest places, and by how much the channel before was off from its own."""
    near, own = torch.zeros(channels, K, channels), torch.zeros(channels, channels - 1)
    for c in range(channels):
        near[c, :nearest, c] = 1 / nearest
        if c:
            near[c, :nearest, c - 1], own[c, c - 1] = -1 / nearest, 1.0
    return torch.cat([near.flatten(1), own], 1)
