"""Holes: which cells of raw columns hold a value, and which were filled."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from given.distributions import Intractable
from given.joint import Joint
from given.variables import MISSING, Codec, Entries, Finite, Real, Variable

__all__ = ["any_cell", "beginnings", "begun", "broken_row", "broken_within", "continued", "each_apart", "filled",
           "fills_within", "gone_on", "kept_or_drawn", "mended", "no_values", "present", "valueless"]


def present(values: np.ndarray) -> np.ndarray:
    """Where a cell is not None, NaN or NaT: bool, as the values."""
    if values.dtype.kind == "O":
        return np.array([v is not None and (isinstance(v, np.ndarray) or v == v) for v in values.ravel()],
                        dtype=bool).reshape(values.shape)
    return ~np.isnan(values) if values.dtype.kind in "fM" else np.ones(values.shape, dtype=bool)


def any_cell(cells: np.ndarray) -> np.ndarray:
    """(rows,) whether any cell of a row is true."""
    return np.asarray(cells.reshape(len(cells), -1).any(1))


def filled(values: np.ndarray) -> np.ndarray:
    """(draws, rows) where all cells drawn are values of the data's, not missing and not "(other)"."""
    there = present(values)
    if values.dtype.kind in "OU":
        there = there & (values != "(other)")
    return np.asarray(there.reshape(*values.shape[:2], -1).all(-1))


def valueless(variable: Variable) -> bool:
    """Whether a column never had a value to learn: all it can be is missing."""
    single = isinstance(variable.space, Finite) and not variable.space.axes
    return single and set(variable.codec.names()) <= {MISSING, "(other)"}


def broken_row(series: np.ndarray) -> int | None:
    """The first row of series (rows,) or (rows, length, ...) that has a hole within; None where no row has one."""
    return next((row for row, item in enumerate(series) if item is not None and not present(np.asarray(item)).all()), None)


def broken_within(series: np.ndarray) -> bool:
    """Whether a hole of series (rows,) or (rows, length, ...) stands before a value."""
    each = (present(np.asarray(item)) for item in series if isinstance(item, np.ndarray | list))
    return any(bool((~any_cell(~there)[1:] & any_cell(~there)[:-1]).any()) for there in each if len(there))


@torch.no_grad()
def fills_within(joint: Joint, name: str) -> bool:
    """Whether what is missing within an item of a column can be drawn given the rest, before it and after it."""
    factor = next((f for f in joint if name in f.x.columns), None)
    if factor is None:
        return False
    space = joint.columns[name].space
    known = torch.arange(space.dimensions).reshape(1, *space.shape) != space.dimensions // 2
    blank = {v.name: Entries.unseen(v.space, 1) for v in (*factor.parents, joint.columns[name])}
    most = Entries(blank[name].tensor, known)
    try:
        joint.distribution(factor, blank, 1).condition(joint.x(factor, {name: most}))
    except Intractable:
        return False
    return True


def no_values(variable: Variable) -> Tensor | None:
    """The entries of a column of single values that stand for none, or for "(other)": (K,), or None where there are none."""
    space = variable.space
    if space.axes or not isinstance(space, Finite | Real) or (isinstance(space, Real) and not space.atoms):
        return None
    entries = torch.arange(space.size) if isinstance(space, Finite) else torch.tensor(space.atoms, dtype=torch.float64)
    found = entries[torch.from_numpy(~filled(variable.codec.decode(Entries(entries))[None])[0])]
    return found if len(found) else None


def kept_or_drawn(values: np.ndarray, seen: np.ndarray, drawn: np.ndarray | None, n: int) -> np.ndarray:
    """(n, rows, ...) what was there, and elsewhere what was drawn; whole numbers stay so."""
    if drawn is None or seen.all():
        return np.stack([values] * n)
    if not seen.any() and drawn.dtype.kind == "O":
        return drawn
    both = np.where(seen, values.astype(object), drawn.astype(object))
    if values.dtype.kind == "f" and (there := present(both)).any():
        reals = both.astype(np.float64)
        if not (reals[there] == np.rint(reals[there])).all() or np.abs(reals[there]).max() > 2**53:
            return reals
        if there.all():
            return reals.astype(np.int64)
        return np.array([int(v) if v == v else None for v in reals.ravel()], dtype=object).reshape(reals.shape)
    return both if values.dtype.kind == "O" else both.astype(np.result_type(values, drawn))


def begun(texts: np.ndarray, codec: Codec) -> np.ndarray:
    """What texts (rows,) begin with, as the codec reads it: new symbols stand as some that were learned; nothing of a hole."""
    return codec.known(np.array(["" if text is None else text for text in texts.tolist()], dtype=object))[0]


def continued(texts: np.ndarray, codec: Codec, drawn: np.ndarray) -> np.ndarray:
    """(n, rows) texts as they were, new symbols too, and after them what was drawn to follow what `begun` made of them."""
    pairs = [(row, was, read) for row, (was, read) in enumerate(zip(texts.tolist(), begun(texts, codec).tolist(), strict=True))
             if was and was != read]
    both = drawn.astype(object)
    for row, was, read in pairs:
        both[:, row] = [was + text[len(read):] for text in both[:, row]]
    return both if pairs else drawn


def beginnings(series: np.ndarray) -> np.ndarray:
    """Series (rows,) or (rows, length, ...) as items (rows,); an empty one for one that is missing."""
    found, there = np.empty(len(series), dtype=object), [item for item in series if item is not None]
    none = there[0][:0] if there else np.zeros(0)
    found[:] = [none if item is None else item for item in series]
    return found


def each_apart(values: list[np.ndarray]) -> np.ndarray:
    """Arrays as items (rows,), of one length too."""
    found = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        found[row] = value
    return found


def gone_on(series: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(n, rows) what was there of series as it was, and after it what was drawn."""
    found, begins = np.empty(drawn.shape[:2], dtype=object), beginnings(series)
    for draw, row in np.ndindex(found.shape):
        begin = begins[row]
        found[draw, row] = np.concatenate([begin, drawn[draw, row][len(begin):]]) if len(begin) else drawn[draw, row]
    return found


def mended(series: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(n, rows) series as they were, and what was drawn where a value within is missing."""
    found = np.empty(drawn.shape[:2], dtype=object)
    for row, item in enumerate(beginnings(series)):
        values, more = np.asarray(item), [drawn[draw, row][:len(item)] for draw in range(len(drawn))]
        for draw, each in enumerate(kept_or_drawn(values, present(values), np.stack(more), len(drawn))):
            found[draw, row] = each
    return found
