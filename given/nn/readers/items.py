"""Items: every item of a set a token, in no order: the sum of its fields' vectors through a layer, then self-attention.

Source: Lee et al., Set transformer, 2018 / https://arxiv.org/abs/1810.00825
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
    """

    layers: int = 1
    dropout: float = 0.0
    reads: ClassVar[str] = "sets of items"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers("Items", self.layers, self.dropout)

    def fits(self, space: Space) -> bool:
        return isinstance(space, Finite) and bool(space.pattern)

    def build(self, space: Space, width: int, role: Role) -> Read:
        assert isinstance(space, Finite)
        return _Items(space, width, self.layers, self.dropout)


class _Items(Read):
    def __init__(self, space: Finite, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.space, self.fields = space, len(space.pattern)
        self.cells = (most_items(space) + 1,)
        self.value = Symbol(space, 2 * width)
        self.layer = nn.Sequential(nn.GELU(), nn.Linear(2 * width, width))
        self.whole = nn.Parameter(torch.randn(2, width) * 0.5)  # beside the items: of a set that is seen, and of one unseen
        self.among = Among(width, layers, dropout)

    def forward(self, x: Entries) -> Cells:
        seen = x.scored.any(1)
        h = self.layer(self.value(x)[:, :-1].unflatten(1, (-1, self.fields)).sum(2))
        place = torch.arange(h.shape[1], device=h.device)
        there: Tensor = (place < counted(x, self.space)[:, None]) & seen[:, None]
        beside = self.whole[(~seen).long()][:, None]
        there = torch.cat([torch.ones_like(there[:, :1]), there], 1)
        return Cells(self.among(torch.cat([beside.to(h.dtype), h], 1), there), there)
