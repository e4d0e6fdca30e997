"""Items: every item of a set a token, in no order: the sum of its fields' vectors through a layer, then self-attention. With
pairs, every ordered pair of items is a token, too: what both are, and by how much their numbers differ, through a net of two
layers; so how one stands to the other is there to be read.

Source: Lee et al., Set transformer, 2018 / https://arxiv.org/abs/1810.00825
Santoro et al., A simple neural network module for relational reasoning, 2017 / https://arxiv.org/abs/1706.01427
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

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
    """

    layers: int = 1
    dropout: float = 0.0
    pairs: bool = False
    reads: ClassVar[str] = "sets of items"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers("Items", self.layers, self.dropout)

    def fits(self, space: Space) -> bool:
        return isinstance(space, Finite) and bool(space.pattern)

    def build(self, space: Space, width: int, role: Role) -> Read:
        assert isinstance(space, Finite)
        return _Items(space, width, self.layers, self.dropout, self.pairs)


class _Items(Read):
    def __init__(self, space: Finite, width: int, layers: int, dropout: float, pairs: bool) -> None:
        super().__init__()
        self.space, self.fields = space, len(space.pattern)
        self.cells = (most_items(space) + 1,)
        self.value = Symbol(space, 2 * width)
        self.layer = nn.Sequential(nn.GELU(), nn.Linear(2 * width, width))
        self.whole = nn.Parameter(torch.randn(2, width) * 0.5)  # beside the items: of a set that is seen, and of one unseen
        self.among = Among(width, layers, dropout)
        self.pairs: _Pairs | None = _Pairs(space, width) if pairs else None
        if pairs:
            self.cells = (self.cells[0] + most_items(space) ** 2,)

    def forward(self, x: Entries) -> Cells:
        seen = x.scored.any(1)
        h = self.layer(self.value(x)[:, :-1].unflatten(1, (-1, self.fields)).sum(2))
        place = torch.arange(h.shape[1], device=h.device)
        there: Tensor = (place < counted(x, self.space)[:, None]) & seen[:, None]
        beside = self.whole[(~seen).long()][:, None]
        there = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        found = self.among(torch.cat([beside.to(h.dtype), h], 1), there)
        if self.pairs is None:
            return Cells(found, there)
        both = there[:, 1:, None] & there[:, None, 1:] & ~torch.eye(h.shape[1], dtype=torch.bool, device=h.device)
        pairs = self.pairs(x, h) * both[..., None]
        return Cells(torch.cat([found, pairs.flatten(1, 2)], 1), torch.cat([there, both.flatten(1)], 1))


class _Pairs(nn.Module):
    """Items (B, K, C) in pairs: (B, K, K, C), the first to the second."""

    def __init__(self, space: Finite, width: int) -> None:
        super().__init__()
        self.fields = len(space.pattern)
        self.numbers = [(i, *run) for i, run in enumerate(space.pattern) if run in space.levels]
        self.first, self.second = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.apart = nn.Linear(2 * len(self.numbers), 2 * width) if self.numbers else None
        self.net = nn.Sequential(nn.GELU(), nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Entries, h: Tensor) -> Tensor:
        both = self.first(h)[:, :, None] + self.second(h)[:, None]
        if self.apart is not None:
            symbols = x.tensor[:, :-1].unflatten(1, (-1, self.fields))
            each = torch.stack([(symbols[..., i] - first) / (beyond - first) for i, first, beyond in self.numbers], -1)
            off = 2 * (each[:, :, None] - each[:, None]).clamp(-1, 1)
            both = both + self.apart(torch.cat([off, off.abs()], -1).to(both.dtype))
        return self.net(both)
