"""Entries: a batch of values of a space, with masks `seen`, `valid` and, in a piece of something longer, `context`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from given.variables.spaces import Finite, Product, Space

__all__ = ["Entries", "Observed"]

Values = Tensor | dict[str, Tensor]

_CONSTANT = {default: torch.tensor(default) for default in (False, True)}  # masks that are the same everywhere


def _each(function: Callable[..., Tensor], first: Values, *rest: Values) -> Values:
    """Apply a function of tensors to tensors, or column by column to dicts of them."""
    if isinstance(first, dict):
        return {name: function(first[name], *(other[name] for other in rest)) for name in first}  # type: ignore[index]
    return function(first, *rest)


def _mask(mask: Values | None, values: Values, default: bool) -> Values:
    """A mask of the shape of values; the same everywhere where there is none."""
    if mask is None:
        return _each(lambda v: (_CONSTANT[default] if v.device.type == "cpu" else torch.full(
            (), default, dtype=torch.bool, device=v.device)).expand(v.shape), values)
    return _each(lambda m, v: m if m.shape == v.shape else m.expand(v.shape), mask, values)


@dataclass
class _Told:
    """What masks are known to say without a look at them, which on an accelerator would wait for it; None of what is not.

    Attributes:
        complete: every valid entry is seen.
        plain: every entry is seen, valid and no context.
        reach: where, along the grid, what is readable comes first: of how many places some row has it; -1 where it does not.
        extent: beyond how many places along the grid all is padding, where it comes last.
    """

    complete: bool | None = None
    plain: bool | None = None
    reach: int | None = None
    extent: int | None = None


class Entries:
    """A batch of values of a space, with masks of the same shape.

    Args:
        values: (*draws, B, *grid) whole numbers for `Finite`, floating for `Real`, of the type they come in; for `Product` a
            dict with one such tensor a column.
        seen: False where the entry is unknown, to be marginalised or drawn. Default: all True.
        valid: False where there is no entry but padding, never scored and never attended to. Default: all True.
        context: True where the entry is read but not scored here, such as the text before a piece of a long text. A
            distribution that cannot read it leaves it out as it does the unseen. Default: all False.
    """

    __slots__ = ("context", "seen", "told", "valid", "values")

    def __init__(self, values: Values, seen: Values | None = None, valid: Values | None = None,
                 context: Values | None = None) -> None:
        self.values = values
        self.seen, self.valid = _mask(seen, values, True), _mask(valid, values, True)
        self.context = _mask(context, values, False)
        plain = (seen is valid is context is None) or None
        self.told = _Told(plain, plain)

    @property
    def tensor(self) -> Tensor:
        """The values of a space that is not a product, as they are read: symbols as int64, whatever type they are kept in."""
        assert isinstance(self.values, Tensor), "a block has one tensor a column: use column(name)"
        return self.values if self.values.is_floating_point() else self.values.long()

    @property
    def device(self) -> torch.device:
        """Where the values are."""
        return (next(iter(self.values.values())) if isinstance(self.values, dict) else self.values).device

    @property
    def scored(self) -> Tensor:
        """Where entries are seen, valid and no context: what a log-probability scores (not for a product)."""
        assert isinstance(self.context, Tensor)
        return self.readable & ~self.context

    @property
    def readable(self) -> Tensor:
        """Where entries are seen and valid: what may be read, context too (not for a product)."""
        assert isinstance(self.seen, Tensor) and isinstance(self.valid, Tensor)
        return self.seen & self.valid

    @property
    def occupied(self) -> Tensor:
        """(B, L) where along the first axis of the grid there is an entry, seen or not (not for a product)."""
        assert isinstance(self.valid, Tensor)
        return self.valid[..., None].flatten(2).any(-1)

    @property
    def begins(self) -> Tensor:
        """(*draws, B) whether the first entry is the first there is, and no context (of flat entries)."""
        assert isinstance(self.context, Tensor)
        return ~self.context[..., 0]

    @property
    def columns(self) -> dict[str, Entries]:
        """One `Entries` a column of a product."""
        assert isinstance(self.values, dict) and isinstance(self.seen, dict) and isinstance(self.valid, dict)
        assert isinstance(self.context, dict)
        told = self.told
        return {name: Entries(self.values[name], self.seen[name], self.valid[name], self.context[name])._knowing(
            _Told(told.complete or None, told.plain or None)) for name in self.values}

    @staticmethod
    def block(columns: Mapping[str, Entries]) -> Entries:
        """The entries of a product, from those of its columns."""
        return Entries(
            {name: e.values for name, e in columns.items()},  # type: ignore[misc]
            {name: e.seen for name, e in columns.items()},  # type: ignore[misc]
            {name: e.valid for name, e in columns.items()},  # type: ignore[misc]
            {name: e.context for name, e in columns.items()},  # type: ignore[misc]
        )._knowing(_Told(*(all(each) or None for each in ([e.told.complete for e in columns.values()],
                                                          [e.told.plain for e in columns.values()]))))

    def flat(self, space: Space) -> Entries:
        """The entries of a space, a block too, end to end: (*draws, B, D) float64, which holds symbols exactly."""
        columns = self.columns if isinstance(space, Product) else {"": self}
        flat = []
        for name, part in space.parts:
            axes = len(part.axes)
            flat.append(columns[name].map(lambda t, axes=axes: t.reshape(*t.shape[: t.dim() - axes], -1)))  # type: ignore[misc]
        if len(flat) == 1:
            return flat[0].of(flat[0].tensor.double())._knowing(self.told)
        found = Entries.cat([e.of(e.tensor.double()) for e in flat], -1)
        return found._knowing(_Told(self.told.complete, self.told.plain))

    def shaped(self, space: Space) -> Entries:
        """What `flat` made, back on the grid of the space."""
        sizes = [part.dimensions for _, part in space.parts]
        columns = {}
        for i, (name, part) in enumerate(space.parts):
            first = sum(sizes[:i])
            e = self.map(lambda t, a=first, b=first + sizes[i], s=part.shape: t[..., a:b].reshape(*t.shape[:-1],
                                                                                                  *s))  # type: ignore[misc]
            columns[name] = e.of(e.tensor.long()) if isinstance(part, Finite) else e
        return Entries.block(columns)._knowing(self.told) if isinstance(space, Product) else columns[""]._knowing(self.told)

    def of(self, values: Tensor) -> Entries:
        """Other values of the same entries, masks kept (not for a product)."""
        return Entries(values, self.seen, self.valid, self.context)._knowing(self.told)

    def map(self, function: Callable[[Tensor], Tensor]) -> Entries:
        """Values and masks through one function of tensors that moves entries about without changing them or adding to them."""
        if self.told.plain:
            return Entries(_each(function, self.values))
        moved = Entries(*(_each(function, part) for part in (self.values, self.seen, self.valid, self.context)))
        return moved._knowing(_Told(self.told.complete or None, self.told.plain or None))

    def _knowing(self, told: _Told) -> Entries:
        self.told = told
        return self

    def rows(self, index: Tensor | slice) -> Entries:
        """The rows `index` of the first axis."""
        return self.map(lambda t: t[index])

    def with_rows(self, index: Tensor, other: Entries) -> Entries:
        """The same entries with the rows `index` replaced by those of another (not for a product)."""
        parts = ((getattr(self, what), getattr(other, what)) for what in ("values", "seen", "valid", "context"))
        return Entries(*(mine.to(its.dtype).index_copy(0, index, its) for mine, its in parts))

    @staticmethod
    def cat(parts: Sequence[Entries], axis: int = 0) -> Entries:
        """Parts end to end along an axis."""
        joined = Entries(*(_each(lambda *each: torch.cat(each, axis), *(getattr(part, what) for part in parts))
                           for what in ("values", "seen", "valid", "context")))
        return joined._knowing(_Told(all(part.told.complete for part in parts) or None,
                                     all(part.told.plain for part in parts) or None))

    def to(self, device: torch.device | str) -> Entries:
        """The same entries on a device, to which goes along what their masks say."""
        if self.device == torch.device(device):
            return self
        if self.device.type == "cpu":
            _ = self.complete, self.plain, isinstance(self.values, dict) or self.reach
        return self.map(lambda t: t.to(device))._knowing(self.told)

    @staticmethod
    def unseen(space: Space, n: int) -> Entries:
        """n rows of a space that is no product, nothing of them seen."""
        dtype = space.dtype if isinstance(space, Finite) else torch.float64
        return Entries(torch.zeros(n, *space.shape, dtype=dtype)).hide()

    def read_only(self) -> Entries:
        """The same entries where nothing is unseen: what was is read as it stands, as context (not for a product)."""
        return Entries(self.values, None, self.valid, self.context | ~self.seen)  # type: ignore[operator]

    def without_context(self) -> Entries:
        """The same entries, none of them context."""
        told = self.told
        return Entries(self.values, self.seen, self.valid)._knowing(_Told(told.complete, told.plain or None, told.reach))

    def hide(self, rows: Tensor | None = None) -> Entries:
        """The same grid with nothing seen, or nothing of some rows (B,) bool."""
        def hidden(seen: Tensor) -> Tensor:
            kept = torch.zeros((), dtype=torch.bool) if rows is None else ~rows.reshape(-1, *[1] * (seen.dim() - 1))
            return seen & kept.to(seen.device)

        return Entries(self.values, _each(hidden, self.seen), self.valid)._knowing(_Told(extent=self.extent))

    @property
    def extent(self) -> int | None:
        """Beyond how many places all is padding, of what is or was seen whole; None where that takes a look."""
        if isinstance(self.values, dict):
            return None
        if self.told.plain or (self.told.complete and (self.told.reach or -1) >= 0):
            return self.reach
        return self.told.extent

    def or_else(self, other: Entries) -> Entries:
        """What is seen here, and where nothing is, what is seen in the other; what is padding in one is (not for a product)."""
        assert isinstance(self.valid, Tensor) and isinstance(other.valid, Tensor)
        values = torch.where(self.scored, self.tensor, other.tensor)
        return Entries(values, self.scored | other.scored, self.valid & other.valid)

    def __len__(self) -> int:
        first = next(iter(self.values.values())) if isinstance(self.values, dict) else self.values
        return first.shape[0]

    @property
    def complete(self) -> bool:
        """Whether every valid entry is seen."""
        if self.told.complete is None:
            whole = _each(lambda seen, valid: seen | ~valid, self.seen, self.valid)
            self.told.complete = all(bool(m.all()) for m in _masks(whole))
        return self.told.complete

    @property
    def plain(self) -> bool:
        """Whether every entry is seen, valid and no context."""
        if self.told.plain is None:
            whole = _each(lambda *m: m[0] & m[1] & ~m[2], self.seen, self.valid, self.context)
            self.told.plain = all(bool(m.all()) for m in _masks(whole))
        return self.told.plain

    @property
    def reach(self) -> int:
        """Where what is readable comes first along the grid: up to which place some row has it; else -1 (not for a product)."""
        if self.told.plain:
            return self.tensor.shape[1:].numel()
        if self.told.reach is None:
            readable = self.readable.reshape(-1, max(1, self.readable[0].numel()) if len(self) else 1)
            first = not bool((readable[:, 1:] & ~readable[:, :-1]).any())
            self.told.reach = int(readable.sum(1).amax()) if first and len(readable) else -1
        return self.told.reach

    @property
    def hidden(self) -> bool:
        """Whether no entry is seen."""
        return not self.told.plain and not any(bool(mask.any()) for mask in _masks(self.seen))


def _masks(masks: Values) -> list[Tensor]:
    return list(masks.values()) if isinstance(masks, dict) else [masks]


class Observed(Mapping[str, Entries]):
    """y: parent name -> Entries, masks kept. It knows its n, so that an empty y still has B rows.

    Args:
        entries: one `Entries` of B rows a parent.
        n: B; may be left out where there is a parent to read it off.
        device: of the entries; of what is made beside them where there are none.
    """

    def __init__(self, entries: Mapping[str, Entries] | None = None, n: int | None = None,
                 device: torch.device | str = "cpu") -> None:
        self._entries = dict(entries or {})
        lengths = {len(e) for e in self._entries.values()} | ({n} if n is not None else set())
        assert len(lengths) == 1, f"expected parents of one length, got {lengths}"
        self.n = lengths.pop()
        self.device = next((e.device for e in self._entries.values()), torch.device(device))

    def __getitem__(self, name: str) -> Entries:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def rows(self, index: Tensor) -> Observed:
        """The rows `index`, as a y of its own."""
        return Observed({k: e.rows(index) for k, e in self._entries.items()}, len(index), self.device)

    def to(self, device: torch.device | str) -> Observed:
        """The same entries on a device."""
        return Observed({k: e.to(device) for k, e in self._entries.items()}, self.n, device)
