"""Context: y as a network can use it.

Every parent is read by an object of its own, chosen by its space or named in `readers`, and becomes one of three things: a
vector (`pooled`, summed over parents, with one that is always there); a vector an entry of x (`aligned`: covariates, label
maps, a picture at another resolution); vectors an entry or a piece of its own, for a net that attends (`tokens`, with the mask
of those that are there). An unseen entry becomes its learned null, so any condition may be dropped.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from given.nn.grid_cut import axes_of
from given.nn.order import together
from given.nn.readers.convolutions import Convolutions
from given.nn.readers.cuts import Patches, Windows
from given.nn.readers.features import Features
from given.nn.readers.items import Items
from given.nn.readers.reader import Cells, MeanOfCells, Pooled, Read, Reader, Role, spread
from given.nn.readers.tokens import Tokens
from given.nn.readers.vectors import Flat, Numbers, Places, Symbols
from given.variables import Entries, Finite, Observed, Product, Space, UserError, Variable, nearest

__all__ = ["Condition", "Context", "Readers", "attends", "built_context", "check_readers", "roles_of"]

Readers = Mapping[str, Reader]

_FLAT = 2048  # numbers that a net reads end to end
_CELLS = 64  # that a picture or a series takes


@dataclass(frozen=True)
class Condition:
    """y as a network reads it.

    Attributes:
        pooled: (B, C).
        aligned: (B, D, C), a vector for every entry of x, or None.
        tokens: (B, M, C), or None.
        there: (B, M) bool, which tokens are no padding; None where there are none.
        ends: (B,) the place of the end on an axis of x whose length is modelled, where a parent on that axis has it, or how
            many entries a field has along its first axis, where some rows have fewer than others; or None.
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
        readers: of parents by name, in place of those that their spaces ask for.
        sums_tokens: whether what becomes tokens is summed up in the pooled vector, too: its mean through a layer, which a net
            reads everywhere, and from which it learns sooner what it has to look for.

    Raises:
        UserError: a reader is of no parent, does not fit its parent, or has a role that its net does not read.
    """

    def __init__(self, parents: Sequence[Variable], width: int, *, grid: Space | None = None, layers: int = 1,
                 dropout: float = 0.1, readers: Readers | None = None, sums_tokens: bool = False) -> None:
        super().__init__()
        self.parents, self.width, self.grid = tuple(parents), width, grid
        self.always = nn.Parameter(torch.zeros(width))
        self.parts, self.sums = nn.ModuleDict(), nn.ModuleDict()
        self.roles: list[Role] = []
        self.leading: list[bool] = []
        for i, (v, reader, role) in enumerate(_read_by(parents, grid, readers)):
            if v.name not in (readers or {}) and isinstance(reader, Tokens | Patches | Windows):
                reader = replace(reader, layers=layers, dropout=dropout)
            part = reader.build(v.space, width, role)
            self.leading.append(grid is not None and role == "aligned" and _leads(v, reader, part, grid))
            self.roles.append(role)
            self.parts[str(i)] = Pooled(part, width) if role == "pooled" else part
            if sums_tokens and role == "tokens":
                self.sums[str(i)] = MeanOfCells(width)

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
        pooled = self(y)
        tokens: list[Tensor] = []
        there: list[Tensor] = []
        for i, (role, v) in enumerate(zip(self.roles, self.parents, strict=True)):
            if role == "pooled":
                continue
            x = y[v.name].to(self.always.device)
            cells = self.parts[str(i)](x)
            if role == "aligned" and self.grid is not None:
                found = _laid(cells.vectors, self.grid, leading=self.leading[i])
                aligned = found if aligned is None else aligned + found
                if ends is None and v.space.may_end and len(v.space.axes) == 1:
                    ends = (torch.eq(x.tensor, v.space.end) & x.valid).long().argmax(1)  # type: ignore[arg-type,operator]
            else:
                pooled = pooled + self.sums[str(i)](cells) if str(i) in self.sums else pooled
                vectors, which = _flat(cells)
                tokens.append(vectors)
                there.append(which)
        every = torch.cat(tokens, 1) if tokens else None, torch.cat(there, 1) if there else None
        return Condition(pooled, aligned, *every, ends)


def built_context(context: Callable[..., nn.Module], parents: Sequence[Variable], width: int, readers: Readers | None,
                  grid: Space | None = None) -> Any:
    """What `context` builds, with readers where there are any."""
    options: dict[str, Any] = {} if grid is None else {"grid": grid}
    return context(parents, width, **options, **({"readers": named} if (named := _named(context, readers)) else {}))


def roles_of(parents: Sequence[Variable], grid: Space | None, readers: Readers | None = None,
             context: Callable[..., nn.Module] | None = None) -> frozenset[str]:
    """What parents of an x on a grid become: some of `pooled`, `aligned`, `tokens`."""
    return frozenset(role for _, _, role in _read_by(parents, grid, _named(context, readers)))


def attends(parents: Sequence[Variable], grid: Space, readers: Readers | None = None,
            context: Callable[..., nn.Module] | None = None) -> bool:
    """Whether parents of an x on a grid become tokens to attend to."""
    return "tokens" in roles_of(parents, grid, readers, context)


def _named(context: Any, readers: Readers | None) -> Readers:
    """Readers by name, those of a partial of a context first."""
    check_readers(readers)
    return {**(getattr(context, "keywords", {}).get("readers") or {}), **(readers or {})}


def _read_by(parents: Sequence[Variable], grid: Space | None, readers: Readers | None) -> list[tuple[Variable, Reader, Role]]:
    """Every parent with its reader and what it becomes."""
    readers = readers or {}
    check_readers(readers, parents)
    found = list[tuple[Variable, Reader, Role]]()
    for v in parents:
        usual = _usual(v.space, grid)
        reader = readers.get(v.name, usual)
        if not reader.fits(v.space):
            raise UserError(f"{v.name}: {type(reader).__name__} reads {reader.reads}, got {v.space}; use {_short(usual)}")
        natural: Role = "pooled" if grid is None else reader.natural
        if natural == "aligned" and not (_shared(v.space, grid) or _scaled(v.space, grid)):  # type: ignore[arg-type]
            natural = "tokens"
        role = reader.role or natural
        if grid is None and role != "pooled":
            raise UserError(f"{v.name}: {type(reader).__name__} with role={role!r}, but the net reads one vector of all "
                            "parents; leave role= out, or use a net that reads more, such as UNet")
        found.append((v, reader, role))
    return found


def check_readers(readers: Readers | None, parents: Sequence[Variable] | None = None) -> None:
    """Raise `UserError` at what is no reader, and at one of none of the variables."""
    names = list(readers or {}) if parents is None and isinstance(readers, Mapping) else [v.name for v in parents or ()]
    if readers is not None and not isinstance(readers, Mapping):
        raise UserError(f"readers: expected a mapping such as {{'image': Patches(4)}}, got {_said(readers)}")
    for name, reader in (readers or {}).items():
        if name not in names:
            raise UserError(f"readers: {name!r} is no parent; {nearest(name, names) if names else 'there are none'}")
        if not isinstance(reader, Reader):
            raise UserError(f"readers: {name}: expected a reader such as Patches(4), got {_said(reader)}")


def _said(value: Any) -> str:
    """A value that is no reader, in a message."""
    return f"the class {value.__name__}; write {value.__name__}()" if inspect.isclass(value) else repr(value)


def _short(reader: Reader) -> str:
    return f"{type(reader).__name__}({reader.side})" if isinstance(reader, Patches) else f"{type(reader).__name__}()"


def _usual(space: Space, grid: Space | None) -> Reader:
    """The reader that a space asks for."""
    if isinstance(space, Product):
        return _Columns()
    ordered = not isinstance(space, Finite) or space.ordered
    if not space.axes:
        return Numbers() if ordered else Symbols()
    if isinstance(space, Finite) and space.pattern:
        return Items()
    if grid is None and space.dimensions * Features.count(space) <= _FLAT:
        return Flat()
    if grid is not None and (shared := _shared(space, grid)):
        return Places(shared)
    if grid is not None and _scaled(space, grid):
        return Convolutions(role="aligned")
    rest, channels = axes_of(space)
    if len(rest) > 1:
        side = 1
        while math.prod(-(-space.shape[i] // side) for i in rest) > _CELLS:
            side += 1
        return Patches(side)
    if len(rest) == 1 and ordered and (channels or space.dimensions > _CELLS):
        stride = -(-space.shape[rest[0]] // _CELLS)
        return Windows(2 * stride if stride > 1 else 1, stride)
    return Tokens()


def _shared(space: Space, grid: Space) -> int:
    """How many leading axes a parent has in common with x, if all of the one or of the other are. An axis without a name is in
    common with none: the n-th word of a sentence is not that of its translation."""
    if isinstance(space, Product):
        return 0
    if isinstance(grid, Product):
        first = together(grid)
        return int(first is not None and len(space.axes) == 1 and first.shares(space.axes[0]))
    same = 0
    for a, b in zip(space.axes, grid.axes, strict=False):
        if not a.shares(b):
            break
        same += 1
    return same if same in (len(space.axes), len(grid.axes)) else 0


def _scaled(space: Space, grid: Space) -> bool:
    """Whether a parent is a map of x's places, two axes of them or three, at another resolution."""
    if isinstance(space, Product) or isinstance(grid, Product):
        return False
    ours, its = ([s.axes[i] for i in axes_of(s)[0]] for s in (space, grid))
    return len(ours) in (2, 3) and len(ours) == len(its) and all(
        a.name and a.name == b.name and a.role == b.role == "place" for a, b in zip(ours, its, strict=True))


def _leads(v: Variable, reader: Reader, part: Read, grid: Space) -> bool:
    """Whether cells stand on x's leading axes; else they are laid onto as many as it has, or `UserError`."""
    if 0 < len(part.cells) <= _shared(v.space, grid) and part.cells == v.space.shape[:len(part.cells)]:
        return True
    if isinstance(grid, Product) or len(part.cells) not in (0, len(axes_of(grid)[0])):
        raise UserError(f"{v.name}: {type(reader).__name__} with role='aligned' gives {len(part.cells)} axes of cells, which "
                        f"have no place on {grid}; use role='tokens' or role='pooled'")
    return False


def _laid(h: Tensor, grid: Space, *, leading: bool) -> Tensor:
    """Cells (B, *cells, C) at x's entries (B, D, C): `leading`, on x's leading axes, or on as many others."""
    if h.dim() == 2:
        return h[:, None].expand(-1, grid.dimensions, -1)
    if leading:
        h = h.flatten(1, -2)
        return torch.cat([h.repeat_interleave(part.dimensions // h.shape[1], 1) for _, part in grid.parts], 1)
    return spread(h, grid)


def _flat(cells: Cells) -> tuple[Tensor, Tensor]:
    """Cells as tokens (B, M, C), and which are there (B, M)."""
    h = cells.vectors[:, None] if cells.vectors.dim() == 2 else cells.vectors.flatten(1, -2)
    there = torch.ones(h.shape[:2], dtype=torch.bool, device=h.device) if cells.there is None else cells.there.flatten(1)
    return h, there


@dataclass(frozen=True)
class _Columns(Reader):
    """A block: its columns' vectors, summed."""

    reads: ClassVar[str] = "a block of columns"
    natural: ClassVar[Role] = "pooled"

    def fits(self, space: Space) -> bool:
        return isinstance(space, Product)

    def build(self, space: Space, width: int, role: Role) -> Read:
        assert isinstance(space, Product)
        return _Summed({name: Pooled(_usual(column, None).build(column, width, "pooled"), width)
                        for name, column in space.columns})


class _Summed(Read):
    def __init__(self, columns: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = list(columns)
        self.parts = nn.ModuleList(columns.values())

    def forward(self, x: Entries) -> Cells:
        columns = x.columns
        return Cells(torch.stack([part(columns[name]) for name, part in zip(self.names, self.parts, strict=True)]).sum(0))
