"""Items: every item of a set a token, in no order: the sum of its fields' vectors through a layer, then self-attention. With
pairs, every ordered pair of items is a token, too: what both are, and by how much their numbers differ, through a net of two
layers; so how one stands to the other is there to be read. Compared, an item is told how its numbers stand among those of all,
from the lowest to the highest, and takes of its pairs what attention weighs most; so what is said of it beside others, such as
the darkest of three, is there to be read in the item itself.

Source: Lee et al., Set transformer, 2018 / https://arxiv.org/abs/1810.00825
Santoro et al., A simple neural network module for relational reasoning, 2017 / https://arxiv.org/abs/1706.01427
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.readers.features import Symbol
from given.nn.readers.reader import Among, Cells, Read, Reader, Role
from given.nn.readers.tokens import check_layers
from given.variables import Entries, Finite, Space, counted, most_items

__all__ = ["Items"]


@dataclass(frozen=True)
class Items(Reader):
    """Every item a token; a set of none, or one that is unseen, is a single token of its own.

    Args:
        layers: of self-attention.
        dropout: probability, while training.
        pairs: whether ordered pairs are tokens, of sets of few items: there are as many as the square of these.
        compared: whether items are compared with one another before attention, in each of their numbers and as pairs.
    """

    layers: int = 1
    dropout: float = 0.0
    pairs: bool = False
    compared: bool = False
    reads: ClassVar[str] = "sets of items"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers("Items", self.layers, self.dropout)

    def fits(self, space: Space) -> bool:
        return isinstance(space, Finite) and bool(space.pattern)

    def build(self, space: Space, width: int, role: Role) -> Read:
        assert isinstance(space, Finite)
        return _Items(space, width, self.layers, self.dropout, self.pairs, self.compared)


class _Items(Read):
    def __init__(self, space: Finite, width: int, layers: int, dropout: float, pairs: bool, compared: bool) -> None:
        super().__init__()
        self.space, self.fields = space, len(space.pattern)
        self.cells = (most_items(space) + 1,)
        self.value = Symbol(space, 2 * width)
        self.layer = nn.Sequential(nn.GELU(), nn.Linear(2 * width, width))
        self.whole = nn.Parameter(torch.randn(2, width) * 0.5)  # beside the items: of a set that is seen, and of one unseen
        self.among = Among(width, layers, dropout)
        self.pairs: _Pairs | None = _Pairs(space, width) if pairs else None
        self.compared: _Compared | None = _Compared(space, 2 * width) if compared else None
        if pairs:
            self.cells = (self.cells[0] + most_items(space) ** 2,)

    def forward(self, x: Entries) -> Cells:
        seen = x.scored.any(1)
        h = self.value(x)[:, :-1].unflatten(1, (-1, self.fields)).sum(2)
        place = torch.arange(h.shape[1], device=h.device)
        there: Tensor = (place < counted(x, self.space)[:, None]) & seen[:, None]
        both = there[:, :, None] & there[:, None] & ~torch.eye(h.shape[1], dtype=torch.bool, device=h.device)
        if self.compared is not None:
            h = h + self.compared(x, h, both)
        h = self.layer(h)
        beside = self.whole[(~seen).long()][:, None]
        there = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        found = self.among(torch.cat([beside.to(h.dtype), h], 1), there)
        if self.pairs is None:
            return Cells(found, there)
        pairs = self.pairs(x, h) * both[..., None]
        return Cells(torch.cat([found, pairs.flatten(1, 2)], 1), torch.cat([there, both.flatten(1)], 1))


class _Apart(nn.Module):
    """Items' entries -> (B, K, K, F): by how much each number of the first is above that of the second, in halves of its
    range."""

    def __init__(self, space: Finite) -> None:
        super().__init__()
        self.fields = len(space.pattern)
        self.numbers = [(i, *run) for i, run in enumerate(space.pattern) if run in space.levels]

    def forward(self, x: Entries) -> Tensor:
        symbols = x.tensor[:, :-1].unflatten(1, (-1, self.fields))
        each = torch.stack([(symbols[..., i] - first) / (beyond - first) for i, first, beyond in self.numbers], -1)
        return 2 * (each[:, :, None] - each[:, None]).clamp(-1, 1)


class _Pairs(nn.Module):
    """Items (B, K, C) in pairs: (B, K, K, C), the first to the second."""

    def __init__(self, space: Finite, width: int) -> None:
        super().__init__()
        self.off = _Apart(space)
        n = len(self.off.numbers)
        self.first, self.second = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.apart = nn.Linear(2 * n, 2 * width) if n else None
        self.net = nn.Sequential(nn.GELU(), nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Entries, h: Tensor) -> Tensor:
        both = self.first(h)[:, :, None] + self.second(h)[:, None]
        if self.apart is not None:
            off = self.off(x)
            both = both + self.apart(torch.cat([off, off.abs()], -1).to(both.dtype))
        return self.net(both)


class _Compared(nn.Module):
    """Items (B, K, C) -> what each is beside the others (B, K, C): of each number, the share of them that it is above, less the
    share that are above it, and by how much it is above their mean; and what it takes of its pairs."""

    def __init__(self, space: Finite, width: int, heads: int = 4) -> None:
        super().__init__()
        self.off, self.heads = _Apart(space), heads if width % heads == 0 else 1
        n = len(self.off.numbers)
        self.stands = nn.Linear(2 * n, width) if n else None
        self.apart = nn.Linear(2 * n, width) if n else None
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.weigh, self.take = nn.Linear(width, self.heads, bias=False), nn.Linear(width, width)

    def forward(self, x: Entries, h: Tensor, both: Tensor) -> Tensor:
        """both (B, K, K) bool: which pairs there are."""
        pairs = self.first(h)[:, :, None] + self.second(h)[:, None]
        told = 0
        if self.stands is not None and self.apart is not None:
            off = self.off(x).to(h.dtype)
            others = both[..., None] / both.sum(2).clamp(min=1)[:, :, None, None]
            told = self.stands(torch.cat([(off.sign() * others).sum(2), (off * others).sum(2)], -1))
            pairs = pairs + self.apart(torch.cat([off, off.abs()], -1))
        pairs = F.gelu(pairs)
        weight = self.weigh(pairs).masked_fill(~both[..., None], -torch.inf).softmax(2).nan_to_num()  # (B, K, K, heads)
        taken = (weight[..., None] * pairs.unflatten(-1, (self.heads, -1))).sum(2).flatten(2)
        return told + self.take(taken)
