"""Windows: items longer than their grid, cut along the axis that owns the cut.

An axis with a stride holds a window of something that may be longer. All columns on an axis of one name are cut alike. To be
scored an item is cut every stride: of each window what an earlier one scored is context, read and not scored, so that scores
of windows add up to the item's. To be learned from it is cut from any place into whole windows without context.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from given.variables.entries import Entries
from given.variables.errors import UserError
from given.variables.spaces import Axis

__all__ = ["Cut", "Pieces", "Whole", "last_window", "room"]


_ROOM = 32  # entries that an item may have more than the longest learned from, at least


def room(longest: int, window: int) -> int:
    """The most entries of an item whose length is modelled: more than of any learned from, within the window, since others are
    longer."""
    return max(longest, min(window, max(2 * longest, longest + _ROOM)))


@dataclass(frozen=True)
class Whole:
    """Items of any length along the first axis of their grid, end to end.

    Attributes:
        entries: (N, *rest) of all items, N the sum of their lengths.
        lengths: (B,) int64.
    """

    entries: Entries
    lengths: np.ndarray

    def rows(self, size: int) -> Entries:
        """(B, size, *rest), or as many as the longest has, what lies beyond an item padding."""
        L, last = max(size, int(self.lengths.max(initial=0))), max(len(self.entries), 1) - 1
        place, begin = np.arange(L), (np.cumsum(self.lengths) - self.lengths)[:, None]
        there = torch.from_numpy(place < self.lengths[:, None])
        at = torch.from_numpy(np.minimum(begin + np.minimum(place, np.maximum(self.lengths - 1, 0)[:, None]), last))
        x = self.entries.map(lambda t: t[at] if len(t) else t.new_zeros(at.shape + t.shape[1:]))
        there = there.reshape(*there.shape, *[1] * (x.tensor.dim() - 2))
        values = torch.where(there, x.values, 0)  # type: ignore[arg-type]
        return Entries(values, x.seen, x.valid & there)  # type: ignore[operator]


@dataclass(frozen=True)
class Pieces:
    """Items longer than the grid, as rows of it, made when they are asked for.

    Attributes:
        rows: numbers (M,) of rows -> those rows; each of an item's entries is scored in one of all N, and may be `context` in
            others.
        item: (N,) int64, rising: the item a row is a piece of.
    """

    rows: Callable[[Tensor], Entries]
    item: Tensor

    @property
    def x(self) -> Entries:
        """All N rows."""
        return self.rows(torch.arange(len(self.item)))


class Cut:
    """Where items are cut into windows of an axis.

    Args:
        lengths: (B,) of the items, in entries along the axis.
        axis: with a stride.
        start: cuts are there and every window's length from there, without context: pieces to learn from, others each epoch.
            By default items are cut to be scored.

    Attributes:
        item: (N,) int64, rising: the item of each window.

    Raises:
        UserError: an item without an entry.
    """

    def __init__(self, lengths: np.ndarray, axis: Axis, start: int | None = None) -> None:
        assert axis.stride is not None
        W, self.window, self.stride, self.lengths = axis.size, axis.size, axis.stride, lengths
        if len(empty := np.flatnonzero(lengths == 0)):
            raise UserError("is empty; expected at least one entry; drop the row", int(empty[0]))
        if start is None:
            firsts = [np.arange(0, max(L - W, 0) + self.stride, self.stride) for L in lengths.tolist()]
        else:  # whole windows; the outermost overlap their neighbours
            firsts = [np.unique(np.arange(start % W - W, L, W).clip(0, max(L - W, 0))) for L in lengths.tolist()]
        self.scores, self.first = start is None, np.concatenate(firsts)
        self._item = np.repeat(np.arange(len(lengths)), [len(f) for f in firsts])
        self.item = torch.from_numpy(self._item)

    def pieces(self, whole: Whole) -> Pieces:
        """The windows of a column's items, whose lengths are those of the cut."""
        begin = np.cumsum(whole.lengths) - whole.lengths

        def rows(index: Tensor) -> Entries:
            own, first = self._item[index.numpy()][:, None], self.first[index.numpy()][:, None]
            place = first + np.arange(self.window)
            at = torch.from_numpy(begin[own] + np.minimum(place, self.lengths[own] - 1))
            x = whole.entries.map(lambda t: t[at])
            before = (place < first + self.window - self.stride) & (first > 0) if self.scores else np.zeros(place.shape, bool)
            grid = (*place.shape, *[1] * (x.tensor.dim() - 2))
            there, context = (torch.from_numpy(mask).reshape(grid) for mask in (place < self.lengths[own], before))
            return Entries(x.values, x.seen, x.valid & there, context)  # type: ignore[operator]

        return Pieces(rows, self.item)


def last_window(symbols: np.ndarray, window: int) -> Entries:
    """The end of a sequence (L,), of any length, as (1, window) entries with room for a symbol more."""
    kept = symbols[max(0, len(symbols) - window + 1):]
    values = torch.zeros(1, window, dtype=torch.int64)
    values[0, :len(kept)] = torch.from_numpy(kept.astype(np.int64))
    return Entries(values, seen=torch.arange(window)[None] < len(kept))
