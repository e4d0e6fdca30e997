"""Context: y as a network can use it.

Every parent becomes one of three things: a vector (`pooled`, summed over parents, with one that is always there); where it
shares the leading axes of x's grid, a vector an entry of x (`aligned`: covariates, label maps); where it is another grid and
the net can attend, a vector an entry of its own (`tokens`, with the mask of those that are there). An unseen entry becomes
its learned null, so any condition may be dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.dot_product import attention
from given.nn.dropout import Dropout
from given.nn.linear import RMSNorm
from given.nn.order import together
from given.variables import Entries, Finite, Observed, Product, Real, Space, Variable

__all__ = ["Condition", "Context", "attends", "last_of", "roles_of", "rounded"]

_TOGETHER = 4


@dataclass(frozen=True)
class Condition:
    """y as a network reads it.

    Attributes:
        pooled: (B, C).
        aligned: (B, D, C), a vector for every entry of x, or None.
        tokens: (B, M, C), or None.
        there: (B, M) bool, which tokens are no padding; None where there are none.
        ends: (B,) the place of the end on an axis of x whose length is modelled, where a parent on that axis has it; or None.
    """

    pooled: Tensor
    aligned: Tensor | None = None
    tokens: Tensor | None = None
    there: Tensor | None = None
    ends: Tensor | None = None

    def rows(self, index: Tensor) -> Condition:
        """The rows `index`."""
        each = (self.pooled, self.aligned, self.tokens, self.there, self.ends)
        return Condition(*(None if t is None else t[index] for t in each))  # type: ignore[arg-type]

    def ends_of(self, index: Tensor | slice) -> Tensor | None:
        """`ends` of the rows `index`."""
        return None if self.ends is None else self.ends[index]


class Context(nn.Module):
    """Parents -> (B, C), or a `Condition` where x has a grid.

    Args:
        parents: the variables of y.
        width: C.
        grid: the space of x, for a net that reads vectors an entry and attends to tokens; None for one that reads (B, C).
        layers: of self-attention among the tokens of a parent.
        dropout: probability, of what tokens take from one another, while training.
    """

    def __init__(self, parents: Sequence[Variable], width: int, *, grid: Space | None = None, layers: int = 1,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.parents, self.width, self.grid = tuple(parents), width, grid
        self.always = nn.Parameter(torch.zeros(width))
        self.parts = nn.ModuleDict()
        self.roles: list[str] = []
        for i, v in enumerate(self.parents):
            role, shared = _role(v.space, grid)
            part: nn.Module
            if role == "aligned":
                part = _Aligned(v.space, shared, width)
            elif role == "tokens":
                part = _Tokens(v.space, width, layers, dropout)
            else:
                part = _pooled(v.space, width)
            self.roles.append(role)
            self.parts[str(i)] = part

    def forward(self, y: Observed) -> Tensor:
        """(B, C): what is pooled."""
        pooled = self.always.expand(y.n, self.width)
        for i, (role, v) in enumerate(zip(self.roles, self.parents, strict=True)):
            if role == "pooled":
                pooled = pooled + self.parts[str(i)](y[v.name].to(pooled.device))
        return pooled

    def condition(self, y: Observed) -> Condition:
        """All three."""
        aligned: Tensor | None = None
        ends: Tensor | None = None
        tokens: list[Tensor] = []
        there: list[Tensor] = []
        for i, (role, v) in enumerate(zip(self.roles, self.parents, strict=True)):
            x = y[v.name].to(self.always.device)
            if role == "aligned" and self.grid is not None:
                found = self.parts[str(i)](x)  # (B, places shared, C)
                found = torch.cat([found.repeat_interleave(part.dimensions // found.shape[1], 1)
                                   for _, part in self.grid.parts], 1)
                aligned = found if aligned is None else aligned + found
                if ends is None and v.space.may_end and len(v.space.axes) == 1:
                    ends = (torch.eq(x.tensor, v.space.end) & x.valid).long().argmax(1)  # type: ignore[arg-type,operator]
            elif role == "tokens":
                told = x.valid.reshape(y.n, -1)  # type: ignore[union-attr]
                if x.extent is None and x.complete:
                    _ = x.reach
                there.append(told[:, :last_of(told) if x.extent is None else rounded(x.extent, told.shape[1])])
                tokens.append(self.parts[str(i)](x, there[-1]))
        every = torch.cat(tokens, 1) if tokens else None, torch.cat(there, 1) if there else None
        return Condition(self(y), aligned, *every, ends)


def roles_of(parents: Sequence[Variable], grid: Space | None) -> frozenset[str]:
    """What parents of an x on a grid become: some of `pooled`, `aligned`, `tokens`."""
    return frozenset(_role(v.space, grid)[0] for v in parents)


def attends(parents: Sequence[Variable], grid: Space) -> bool:
    """Whether parents of an x on a grid become tokens to attend to."""
    return "tokens" in roles_of(parents, grid)


def _role(space: Space, grid: Space | None) -> tuple[str, int]:
    """What a parent becomes, `pooled`, `aligned` or `tokens`, and how many leading axes it shares with x."""
    if grid is None or isinstance(space, Product) or not space.axes:
        return "pooled", 0
    shared = _shared(space, grid)
    return ("aligned", shared) if shared else ("tokens", 0)


def last_of(valid: Tensor) -> int:
    """How many of the places (B, D) reach to the last that holds anything in any row: what lies beyond is padding in all of
    them and need not be worked out. Rounded up, for every new shape costs the making of its kernels."""
    places = valid.any(0).nonzero()
    return rounded(int(places[-1]) + 1 if len(places) else 1, valid.shape[1])


def rounded(places: int, most: int) -> int:
    """So many places, up to a whole number of those that go together."""
    return min(-(-max(1, places) // _TOGETHER) * _TOGETHER, most)


def _shared(space: Space, grid: Space) -> int:
    """How many leading axes a parent has in common with x, if all of the one or of the other are. An axis without a name is in
    common with none: the n-th word of a sentence is not that of its translation."""
    if isinstance(grid, Product):
        first = together(grid)
        return int(first is not None and len(space.axes) == 1 and first.shares(space.axes[0]))
    same = 0
    for a, b in zip(space.axes, grid.axes, strict=False):
        if not a.shares(b):
            break
        same += 1
    return same if same in (len(space.axes), len(grid.axes)) else 0


def _pooled(space: Space, width: int) -> nn.Module:
    if isinstance(space, Product):
        return _Columns({name: _pooled(column, width) for name, column in space.columns})
    if isinstance(space, Finite) and not space.ordered and not space.axes:
        return _Symbol(space, width)
    features = _Features(space)
    return nn.Sequential(features, nn.Flatten(), nn.Linear(space.dimensions * features.size, 2 * width), nn.GELU(),
                         nn.Linear(2 * width, width))


class _Features(nn.Module):
    """Entries as numbers (B, *grid, F): one of V and unseen for symbols, level or value and whether it is seen for others,
    and which atom a real is."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.symbols = space.size if isinstance(space, Finite) and not space.ordered else 0
        self.top = max(space.size - 1, 1) if isinstance(space, Finite) else None
        self.atoms = space.atoms if isinstance(space, Real) else ()
        self.size = self.symbols + 1 if self.symbols else 2 + len(self.atoms)
        self.register_buffer("zero", torch.zeros(()), persistent=False)  # of the type of the weights beside it

    def forward(self, x: Entries) -> Tensor:
        kind = self.zero.dtype
        if self.symbols:
            return F.one_hot(torch.where(x.scored, x.tensor, self.symbols), self.symbols + 1).to(kind)  # type: ignore[arg-type]
        value = x.tensor * (2 / self.top) - 1 if self.top else x.tensor
        at = [(x.tensor == atom) & x.scored for atom in self.atoms]
        return torch.stack([t.to(kind) for t in (torch.where(x.scored, value, 0.0), x.scored, *at)], -1)  # type: ignore[arg-type]


class _Symbol(nn.Module):
    """A single symbol: a vector each, and one for the unseen."""

    def __init__(self, space: Finite, width: int) -> None:
        super().__init__()
        self.unseen = space.size
        self.table = nn.Parameter(torch.randn(space.size + 1, width) * 0.5)

    def forward(self, x: Entries) -> Tensor:
        return F.embedding(torch.where(x.scored, x.tensor, self.unseen), self.table)


class _Columns(nn.Module):
    """A block: its columns' vectors, summed."""

    def __init__(self, columns: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = list(columns)
        self.parts = nn.ModuleList(columns.values())

    def forward(self, x: Entries) -> Tensor:
        columns = x.columns
        return torch.stack([part(columns[name]) for name, part in zip(self.names, self.parts, strict=True)]).sum(0)


class _Aligned(nn.Module):
    """A parent on the leading `shared` axes of x: what it holds at a place, as a vector."""

    def __init__(self, space: Space, shared: int, width: int) -> None:
        super().__init__()
        self.features = _Features(space)
        self.places = math.prod(space.shape[:shared])
        held = space.dimensions // self.places * self.features.size
        self.layers = nn.Sequential(nn.Linear(held, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Entries) -> Tensor:
        return self.layers(self.features(x).reshape(len(x), self.places, -1))


class _Tokens(nn.Module):
    """A parent as tokens: value, place from the first and place from the last entry, then self-attention."""

    def __init__(self, space: Space, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        M = space.dimensions
        self.value: nn.Module
        if isinstance(space, Finite) and not space.ordered:
            self.value = _Symbol(space, width)
        else:
            features = _Features(space)
            self.value = nn.Sequential(features, nn.Linear(features.size, width))
        self.first, self.last = (nn.Parameter(torch.randn(M, width) * 0.5) for _ in range(2))
        self.layers = nn.ModuleList(_Attention(width, dropout=dropout) for _ in range(layers))
        self.drop = Dropout(dropout)

    def forward(self, x: Entries, there: Tensor) -> Tensor:
        """Of the first M places, those of `there` (B, M): (B, M, C)."""
        M = there.shape[1]
        from_last = (there.sum(1, keepdim=True) - 1 - torch.arange(M, device=there.device)).clamp(min=0)
        flat = x.map(lambda t: t.reshape(len(x), -1)[:, :M])
        h = self.drop(self.value(flat) + self.first[:M] + F.embedding(from_last, self.last))
        for layer in self.layers:
            h = layer(h, there)
        return h


class _Attention(nn.Module):
    """Tokens attend to one another, padding left out."""

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
