"""Windows: sequences longer than a grid, cut into its length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from given.variables.entries import Entries

__all__ = ["Pieces", "cut", "last_window"]


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


def cut(sequences: Sequence[np.ndarray], window: int, stride: int, start: int | None = None) -> Pieces:
    """Sequences (L,) of symbols, none empty, as rows of a window's length.

    Args:
        sequences: one an item.
        window: symbols a row holds.
        stride: to score, a row moves on by so many symbols, each given the window - stride before it.
        start: to learn, whole windows from here on instead, without context; the outermost overlap their neighbours.
    """
    symbols, lengths = np.concatenate(sequences), np.array([len(each) for each in sequences])
    firsts = [_firsts(L, window, stride, start) for L in lengths.tolist()]
    begin, first = np.cumsum(lengths) - lengths, np.concatenate(firsts)
    item = np.repeat(np.arange(len(lengths)), [len(f) for f in firsts])

    def rows(index: Tensor) -> Entries:
        which = index.numpy()
        own, f = item[which][:, None], first[which][:, None]
        place = f + np.arange(window)
        values = symbols[begin[own] + np.minimum(place, lengths[own] - 1)].astype(np.int64)
        before = (place < f + window - stride) & (f > 0) if start is None else np.zeros(place.shape, dtype=bool)
        valid, context = torch.from_numpy(place < lengths[own]), torch.from_numpy(before)
        return Entries(torch.from_numpy(values), valid=valid, context=context)

    return Pieces(rows, torch.from_numpy(item))


def _firsts(length: int, window: int, stride: int, start: int | None) -> np.ndarray:
    """Where the windows of a sequence begin."""
    if start is None:
        return np.arange(0, max(length - window, 0) + stride, stride)
    return np.unique(np.arange(start % window - window, length, window).clip(0, max(length - window, 0)))


def last_window(symbols: np.ndarray, window: int) -> Entries:
    """The end of a sequence (L,), of any length, as (1, window) entries with room for a symbol more."""
    kept = symbols[max(0, len(symbols) - window + 1):]
    values = torch.zeros(1, window, dtype=torch.int64)
    values[0, :len(kept)] = torch.from_numpy(kept.astype(np.int64))
    return Entries(values, seen=torch.arange(window)[None] < len(kept))
