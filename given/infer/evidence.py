"""Evidence: observed values of a variable, whole or in part, as a person hands them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.codecs import Label
from given.sources import Columns
from given.sources.cells import array
from given.variables import Entries, Real, UserError, Variable, shown

__all__ = ["Part", "Rows", "observe", "part", "prefix", "rows_taken_as_other"]

_FAR = 1e15  # standard deviations or so, whose squares are finite in float32


@dataclass(frozen=True)
class Part:
    """A value of which only some entries are given; see `part` and `prefix`."""

    values: np.ndarray
    seen: np.ndarray | None  # None: the values are what comes first


@dataclass(frozen=True)
class Rows:
    """A column of rows nobody typed, as evidence: what was not learned is unknown, rare categories are "(other)"."""

    values: np.ndarray
    seen: np.ndarray | None = None  # None: all that is there


def part(values: Any, *, seen: Any) -> Part:
    """A value with unknown entries, as evidence: `model.given(image=part(half, seen=mask))`.

    Args:
        values: raw values of one item or of several; what is not seen is ignored.
        seen: booleans of the values' shape, or of one that broadcasts to it: True where the entry is given.
    """
    values, mask = array(values)[0], np.asarray(seen)
    if mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
        raise UserError(f"part: expected seen to be a mask of True and False, got {mask.dtype} values")
    try:
        return Part(values, np.broadcast_to(mask.astype(bool), values.shape))
    except ValueError:
        raise UserError(f"part: expected seen of shape {values.shape} or one that broadcasts to it, got {mask.shape}") from None


def prefix(values: Any) -> Part:
    """What comes first along the first axis, the rest unknown: `model.given(image=prefix(top_rows))`."""
    return Part(array(values)[0], None)


def observe(variable: Variable, value: Any, begun: Entries | None = None) -> tuple[Entries, bool]:
    """An observed value as entries of its rows, and whether it was a single item.

    Args:
        variable: whose value it is.
        value: raw, of one item or a list or array of several, a `Part`, or `Rows`.
        begun: what is known of it already, (1 or B, D), where it is a text that goes on from there.

    Raises:
        UserError: a value that does not fit, or one that may be meant as several rows or as one of several values, such as a
            tuple of two ages.
    """
    if isinstance(value, Tensor):  # an entry itself
        return Entries(value[None]), True
    if isinstance(value, Rows):
        x, _ = variable.encode_new({variable.name: value.values})
        hidden = None if value.seen is None else torch.from_numpy(value.seen)
        found = x if hidden is None else Entries(x.tensor, hidden & x.seen, x.valid)  # type: ignore[operator]
        return _near(variable, value.values, found, None), False
    _check_one_meaning(variable, value)
    if isinstance(value, Part) and variable.codec.ragged:
        return _begun(variable, value)
    raw, seen, single = _rows(variable, value)
    if raw.ndim and not len(raw):
        raise UserError(f"{variable.name}: expected at least one item, got none")
    if begun is not None and seen is None:
        try:
            x = variable.codec.encode_after(raw, begun)
        except UserError as error:
            raise error.at(variable.name) from None
    else:
        x = variable.encode({variable.name: raw})
    for row in rows_taken_as_other(variable, raw, x):
        if seen is None or seen[row]:
            raise UserError(f"{shown(raw.tolist()[row])} was never seen, or rarely; give a category that was, or "
                            "'(other)' for all such", row).at(variable.name)
    found = x if seen is None else Entries(x.tensor, torch.from_numpy(seen.copy()) & x.seen, x.valid)  # type: ignore[operator]
    return _near(variable, raw, found, 0), single


def _near(variable: Variable, raw: np.ndarray, x: Entries, first_row: int | None) -> Entries:
    """The entries. Raises where a number is so far from all learned that a network would read no finite number; names its row
    where the first one is known."""
    if isinstance(variable.space, Real) and bool((far := (x.tensor.abs() > _FAR) & x.scored).any()):
        row = int(far.nonzero()[0, 0])
        raise UserError(f"got {shown(raw.tolist()[row])}, farther from the values learned than can be read; expected a number "
                        "nearer to them; leave it out to have it drawn",
                        None if first_row is None else first_row + row).at(variable.name)
    return x


def _check_one_meaning(variable: Variable, value: Any) -> None:
    """Raise where a value may be meant as several rows or as one of several values: only lists and arrays are rows."""
    if isinstance(value, tuple):
        try:
            several = np.ndim(value) > variable.codec.item_axes
        except ValueError:
            several = True
    else:
        several = isinstance(value, set | frozenset | range | slice | Iterator)
    if several:
        raise UserError(f"{variable.name}: got {shown(value)}, which may mean several rows or a range; pass one value, or a "
                        "list for a row each, as [30, 40]; a range is between(30, 40), a set of values isin(30, 40)")


def rows_taken_as_other(variable: Variable, raw: np.ndarray, x: Entries) -> list[int]:
    """The rows whose category was not learned and is one with all such, "(other)"."""
    if not isinstance(variable.codec, Label) or variable.codec.unseen != "other":
        return []
    back = variable.codec.decode(x).tolist()
    return [row for row, (a, b) in enumerate(zip(raw.tolist(), back, strict=True)) if b == "(other)" != a]


def _begun(variable: Variable, value: Part) -> tuple[Entries, bool]:
    """What a text begins with: its entries but the end, all that may follow unknown."""
    single = value.values.ndim == 0 if variable.codec.item_axes == 0 else variable.codec.single(value.values)
    raw = {variable.name: value.values[None] if single else value.values}
    if value.seen is not None and variable.codec.item_axes:
        x, mask = variable.encode(raw), value.seen[None] if single else value.seen
        rest = [(0, 0), (0, x.tensor.shape[1] - mask.shape[1]), *[(0, 0)] * (mask.ndim - 2)]
        return Entries(x.tensor, torch.from_numpy(np.pad(mask, rest)) & x.seen, x.valid), single  # type: ignore[operator]
    if value.seen is not None:
        raise UserError(f"{variable.name}: expected prefix(...), since its items have no mask of their own; got part(...)")
    if variable.codec.along is not None:
        return _long(variable, raw), single
    x = variable.encode(raw)
    ends = variable.space.end is not None
    length = x.valid.sum(-1, keepdim=True) - int(ends)  # type: ignore[union-attr]
    return Entries(x.tensor, torch.arange(x.tensor.shape[-1]) < length), single


def _long(variable: Variable, raw: dict[str, np.ndarray]) -> Entries:
    """What items begin with whose length is given, which may be more than a window: (B, length or window, *rest)."""
    whole, W = variable.entire(raw), variable.space.axes[0].size
    if variable.codec.windowed is None and whole.lengths.max() > W:
        raise UserError(f"got {whole.lengths.max()} entries; expected at most {W}", int(whole.lengths.argmax())).at(
            variable.name)
    x = whole.rows(W)
    return Entries(x.tensor, x.valid & x.seen)  # type: ignore[operator]


def _rows(variable: Variable, value: Any) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """An observed value as rows, the mask of what is seen, and whether it was a single item."""
    whole, shape = not isinstance(value, Part), variable.space.shape
    value, single = variable.codec.observed(value)
    if single:
        return value, None, True
    if whole:
        values = Columns({variable.name: value}, 0)[variable.name]
        seen = np.ones(values.shape, dtype=bool)
    else:
        values, seen = value.values, value.seen
    if seen is None:  # what comes first: the rest of the grid is filled with zeros nobody sees
        if not shape:
            raise UserError(f"{variable.name}: has one entry, so no prefix; give it whole or not at all")
        axis = values.ndim - len(shape)
        if axis not in (0, 1) or values.shape[axis] > shape[0] or values.shape[axis + 1:] != shape[1:]:
            raise UserError(f"{variable.name}: expected at most {shape[0]} along the first axis of {shape}, got {values.shape}")
        rest = [(0, 0)] * values.ndim
        rest[axis] = (0, shape[0] - values.shape[axis])
        seen = np.pad(np.ones(values.shape, dtype=bool), rest)
        values = np.pad(values, rest)
    single = variable.codec.single(values)
    if single:
        values, seen = values[None], seen[None]
    if not whole:
        # What nobody sees is replaced by something that is seen, which the codec knows.
        values = np.where(seen, values, values[seen][0] if seen.any() else np.zeros((), dtype=values.dtype))
    return values, None if whole else seen, single


