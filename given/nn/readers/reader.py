"""Reader: what makes vectors of a parent's entries.

A reader is a value, such as `Patches(4)`; built for a space and a width, it is a network. What that makes of B rows are cells
on a grid of its own, (B, *cells, C), a single one where the grid has no axes. The role says what becomes of the cells: one
vector, their mean (`pooled`); vectors at x's entries, laid from the cells' grid onto x's (`aligned`); or tokens to attend to
(`tokens`).

Every reader has its null: an entry that is unseen or padding is read as such, whatever stands there. A row of which nothing is
seen is one cell of nulls, so that the length of what is unseen is unseen too.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from given.nn.dot_product import attention
from given.nn.dropout import Dropout
from given.nn.linear import RMSNorm
from given.variables import Entries, Space, UserError

__all__ = ["Among", "Cells", "MeanOfCells", "Pooled", "Read", "Reader", "Role", "spread"]

Role = Literal["pooled", "aligned", "tokens"]


@dataclass(frozen=True)
class Cells:
    """What a reader makes of B rows.

    Attributes:
        vectors: (B, *cells, C).
        there: (B, *cells) bool, which cells are no padding; None where all are.
    """

    vectors: Tensor
    there: Tensor | None = None


class Read(nn.Module, abc.ABC):
    """A reader that is built. Abstract."""

    cells: tuple[int, ...] = ()
    """How many cells there are at most on each of their axes."""

    @abc.abstractmethod
    def forward(self, x: Entries) -> Cells:
        """Entries of B rows as cells."""


@dataclass(frozen=True)
class Reader(abc.ABC):
    """How a parent is read. Abstract.

    Args:
        role: what becomes of the cells: `pooled`, `aligned` or `tokens`; by default what suits the parent, x and its net.
    """

    role: Role | None = field(default=None, kw_only=True)
    reads: ClassVar[str]
    """What it reads, in words."""
    natural: ClassVar[Role] = "tokens"
    """Its role for an x on a grid, where none is asked for."""

    def __post_init__(self) -> None:
        if self.role is not None and self.role not in get_args(Role):
            raise UserError(f"{type(self).__name__}: role={self.role!r}; expected 'pooled', 'aligned' or 'tokens'")

    @abc.abstractmethod
    def fits(self, space: Space) -> bool:
        """Whether it reads such a space."""

    @abc.abstractmethod
    def build(self, space: Space, width: int, role: Role) -> Read:
        """The network, of vectors of a width C."""


class Pooled(nn.Module):
    """The mean of the cells that are there, through a layer; a single cell as it is: (B, C)."""

    def __init__(self, part: Read, width: int) -> None:
        super().__init__()
        self.part = part
        self.mean = MeanOfCells(width) if part.cells else None

    def forward(self, x: Entries) -> Tensor:
        found = self.part(x)
        return found.vectors if self.mean is None else self.mean(found)


class MeanOfCells(nn.Module):
    """The mean of the cells that are there, through a layer: (B, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Sequential(RMSNorm(width), nn.Linear(width, width))

    def forward(self, found: Cells) -> Tensor:
        h = found.vectors.flatten(1, -2)
        if found.there is None:
            return self.out(h.mean(1))
        there = found.there.flatten(1)[..., None].to(h.dtype)
        return self.out((h * there).sum(1) / there.sum(1).clamp(min=1))


class Among(nn.Module):
    """Cells (B, M, C) attend to one another, padding left out, a layer after another.

    Args:
        width: C.
        layers: how many.
        dropout: probability, while training.
    """

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Attention(width, dropout=dropout) for _ in range(layers))
        self.drop = Dropout(dropout)

    def forward(self, h: Tensor, there: Tensor) -> Tensor:
        h = self.drop(h)
        for layer in self.layers:
            h = layer(h, there)
        return h


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int = 4, *, dropout: float) -> None:
        super().__init__()
        self.heads = heads if width % heads == 0 else 1
        self.read, self.read_more = RMSNorm(width), RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.more = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop = Dropout(dropout)

    def forward(self, h: Tensor, there: Tensor) -> Tensor:
        B, M, C = h.shape
        q, k, v = self.qkv(self.read(h)).view(B, M, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        found = attention(q, k, v, there[:, None, None])
        h = h + self.drop(self.out(found.transpose(1, 2).reshape(B, M, C)))
        return h + self.drop(self.more(self.read_more(h)))


def spread(h: Tensor, grid: Space) -> Tensor:
    """Cells (B, *cells, C), an axis for each of x's that is not of channels, at x's entries: (B, D, C). A place takes the mean
    of the cells that it overlaps."""
    rest = [i for i, axis in enumerate(grid.axes) if axis.role != "channel"]
    for k, i in enumerate(rest):
        here, there = grid.shape[i], h.shape[k + 1]
        if here != there:
            h = torch.tensordot(h, _overlap(here, there, h), dims=([k + 1], [1])).movedim(-1, k + 1)
    for i in range(len(grid.axes)):
        if i not in rest:
            h = h.unsqueeze(i + 1)
    return h.expand(len(h), *grid.shape, h.shape[-1]).reshape(len(h), math.prod(grid.shape), -1)


def _overlap(here: int, there: int, like: Tensor) -> Tensor:
    """(here, there): what share of the n-th of `here` equal pieces of a line lies in the m-th of `there`."""
    a, b = (torch.arange(n + 1, device=like.device, dtype=like.dtype) / n for n in (here, there))
    shared = torch.minimum(a[1:, None], b[1:]) - torch.maximum(a[:-1, None], b[:-1])
    return shared.clamp(min=0) * here


def seen_cells(there: Tensor, scored: Tensor) -> Tensor:
    """Which cells (B, M) are there: of a row of which nothing is seen, (B,), the first alone."""
    first = torch.arange(there.shape[1], device=there.device) == 0
    return torch.where(scored.flatten(1).any(1, keepdim=True), there, first)
