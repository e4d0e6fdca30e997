"""Series: items that are values in a row, of any number, each value through one codec. Counted or measured as those are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from given.sources import items
from given.variables import Axis, Codec, Entries, Finite, NewValue, Product, Real, Space, UserError, Whole, room
from given.ways import way

__all__ = ["Series", "flat_items"]

_BEYOND = 16.4375  # in the entries' units, where no value lies: what marks the end of reals


class Series(Codec):
    """Values in a row, such as measurements over time, tags of words, frames of a film; an item a row, (length, ...) each.

    Args:
        of: the codec of one value: `Number()`, `Label()`, `Image()`, one for all places.
        axis: the name of the axis they stand along. Columns whose axes have one name and window share it: their n-th values
            belong together, and they are cut into windows together.
        length: `given`: an item's length is not modelled but comes with it, or from who asks (`sample(length=)`); `modelled`:
            after the last value stands an end, which has a probability of its own, in room for twice the longest; `fixed`: all
            items have the length of the first.
        window: the most values a row holds; longer items are cut into windows.
        stride: by how many values a window moves on where an item is scored or drawn; half a window by default.
        role: what neighbours are to one another: moments of time, or places.
        season: how many values a season has, where it is known, as 24 of hours a day; families of series may read it.

    An item is an array or a list; one that is missing is an error, and so is one that is empty unless lengths are modelled.
    """

    def __init__(self, of: Codec, *, axis: str = "time", length: Literal["given", "modelled", "fixed"] = "given",
                 window: int = 256, stride: int | None = None, role: Literal["time", "place"] = "time",
                 season: int | None = None) -> None:
        if not isinstance(of, Codec) or of.columns:
            raise UserError(f"Series: of={of!r}; expected the codec of one value, such as Number()")
        if length not in ("given", "modelled", "fixed"):
            raise UserError(f"Series: length={length!r}; expected 'given', 'modelled' or 'fixed'")
        if window < 1 or (stride is not None and not 1 <= stride <= window):
            raise UserError(f"Series: window={window}, stride={stride}; expected a window from 1, and a stride from 1 to it")
        self.of, self.axis, self.length, self.window, self.role = of, axis, length, window, role
        if season is not None and not (isinstance(season, int) and season > 1):
            raise UserError(f"Series: season={season!r}; expected a whole number of values from 2")
        self.season = season
        self.stride = max(1, window // 2) if stride is None else stride
        self.lossy = of.lossy
        self._longest: int | None = None

    @property
    def space(self) -> Space:
        if self._longest is None:
            raise UserError("Series() has not seen data yet; let it learn first")
        inner = self.of.space
        assert not isinstance(inner, Product)
        if self.length == "fixed":
            axis = Axis(self.axis, self._longest, role=self.role, season=self.season)
        elif self.length == "modelled":
            return self._ending(inner, Axis(self.axis, room(self._longest, self.window) + 1, "modelled", self.role))
        elif self._longest > self.window:
            axis = Axis(self.axis, self.window, "given", self.role, self.stride, self.season)
        else:
            axis = Axis(self.axis, self._longest, "given", self.role, season=self.season)
        return replace(inner, axes=(axis, *inner.axes))

    def _ending(self, inner: Space, axis: Axis) -> Space:
        """The space with one value more, the end, on an axis whose length is modelled."""
        if inner.axes or self._longest is None or self._longest > self.window:
            raise UserError(f"Series: length='modelled', {self._longest} values of {inner}; expected single values, at most "
                            f"the window's {self.window}; pass Series(..., window={self._longest}), "
                            f"or length='given'{way('', ', by --as')}")
        if isinstance(inner, Finite):
            return Finite(inner.size + 1, end=inner.size, axes=(axis,))
        assert isinstance(inner, Real)
        end = max(_BEYOND, *(2 * abs(atom) for atom in inner.atoms)) if inner.atoms else _BEYOND
        return Real((*inner.atoms, end), end, axes=(axis,))

    @property
    def without_atoms(self) -> str:
        return f"Series({self.of.without_atoms})"

    @property
    def measure(self) -> str:
        measure = self.of.measure
        return measure if self.length != "modelled" or measure == "counting" else f"counting of lengths, {measure}"

    def learn(self, raw: np.ndarray) -> None:
        values, lengths = flat_items(raw)
        if self.length == "fixed":
            self._check_fixed(lengths)
        self._of_items(self.of.learn, values, lengths)
        self._longest = max([self._longest or 0, *lengths.tolist()])

    def _check_fixed(self, lengths: np.ndarray) -> None:
        length = int(lengths[0]) if self._longest is None else self._longest
        if len(other := np.flatnonzero(lengths != length)):
            raise UserError(f"has {lengths[other[0]]} values where others have {length}; expected as many in every row; pass "
                            "Series(..., length='given')", int(other[0]))

    def _of_items(self, do: Any, values: np.ndarray, lengths: np.ndarray) -> Any:
        """What the codec of a value does with all of them; an error names the item's row."""
        try:
            return do(values)
        except NewValue as error:
            rows = np.searchsorted(np.cumsum(lengths), np.asarray(error.rows, dtype=np.int64), side="right")
            raise NewValue(str(error), np.unique(rows)) from None
        except UserError as error:
            if error.row is None:
                raise
            row = int(np.searchsorted(np.cumsum(lengths), error.row, side="right"))
            raise UserError(str(error), row) from None

    def entire(self, raw: np.ndarray) -> Whole:
        values, lengths = flat_items(raw)
        return Whole(self._of_items(self.of.encode, values, lengths), lengths)

    def encode(self, raw: np.ndarray) -> Entries:
        whole, (axis, *_) = self.entire(raw), self.space.axes
        if self.length == "fixed":
            self._check_fixed(whole.lengths)
        if self.length != "modelled" and len(empty := np.flatnonzero(whole.lengths == 0)):
            raise UserError("is empty; expected at least one value; drop the row", int(empty[0]))
        most = int(whole.lengths.max(initial=0))
        limit = axis.size - (self.length == "modelled")
        if most > limit and axis.stride is None:
            rows = np.flatnonzero(whole.lengths > limit)
            raise NewValue(f"has {whole.lengths[rows[0]]} values; expected at most {limit}, by the longest learned from; learn "
                           "with longer ones", rows)
        x = whole.rows(axis.size)
        return self._ended(x, whole.lengths) if self.length == "modelled" else x

    def _ended(self, x: Entries, lengths: np.ndarray) -> Entries:
        """Rows of values (B, size), with the end after the last."""
        at, row = torch.from_numpy(lengths), torch.arange(len(lengths))
        values, seen, valid = x.tensor.clone(), x.seen.clone(), x.valid.clone()  # type: ignore[union-attr]
        values[row, at] = self.space.end  # type: ignore[assignment]
        seen[row, at] = valid[row, at] = True
        return Entries(values, seen, valid)

    def known(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values that were not learned read as the one before in their item, or one that was; and (B,) how many each has."""
        values, lengths = flat_items(raw)
        _, new = self.of.encode_new(values)
        if not new.any():
            return raw, np.zeros(len(raw), dtype=np.int64)
        known = values.copy()
        if new.all():
            raise UserError("no value of these rows was ever learned; expected some that were")
        before = np.maximum.accumulate(np.where(new, 0, np.arange(len(new))))
        before = np.where(new[before], np.flatnonzero(~new)[0], before)
        known[new] = known[before[new]]
        item = np.repeat(np.arange(len(lengths)), lengths)
        return items(known, lengths.tolist()), np.bincount(item, new, minlength=len(lengths)).astype(np.int64)

    def lengths(self, raw: np.ndarray) -> np.ndarray | None:
        return None if self.length == "fixed" or self.windowed is not None else flat_items(raw)[1]

    def decode(self, x: Entries) -> np.ndarray:
        """(*draws, B, any length, *rest) -> (*draws, B) items, each (length, ...); one array where all are as long."""
        grid = len(self.space.axes)
        lead, L, x = x.tensor.shape[:x.tensor.dim() - grid], x.tensor.shape[x.tensor.dim() - grid], self._unended(x)
        flat = x.map(lambda t: t.reshape(-1, *t.shape[t.dim() - grid + 1:]))
        values = self.of.decode(Entries(flat.tensor, flat.seen | ~flat.valid))  # type: ignore[operator]
        values = values.reshape(-1, L, *values.shape[1:])
        lengths = x.map(lambda t: t.reshape(-1, *t.shape[t.dim() - grid:])).occupied.sum(1).numpy()
        if self.length == "fixed" or (len(lengths) and (lengths == lengths[0]).all()):
            return values[:, :lengths[0] if len(lengths) else L].reshape(*lead, -1, *values.shape[2:])
        each = np.empty(len(values), dtype=object)
        each[:] = [value[:length] for value, length in zip(values, lengths, strict=True)]
        return each.reshape(lead)

    def _unended(self, x: Entries) -> Entries:
        """Entries with padding where the end stands."""
        if (end := self.space.end) is None:
            return x
        ends = torch.eq(x.tensor, end)
        return Entries(x.tensor.masked_fill(ends, 0), x.seen, x.valid & ~ends, x.context)  # type: ignore[operator]

    @property
    def item_axes(self) -> int:
        return 1 + self.of.item_axes

    @property
    def ragged(self) -> bool:
        return self.length != "fixed"

    def single(self, raw: np.ndarray) -> bool:
        return super().single(raw) and not (raw.dtype.kind == "O" and any(isinstance(v, np.ndarray | list) for v in raw.flat))

    @property
    def affine(self) -> bool:
        return self.of.affine

    def log_volume(self, x: Entries) -> Tensor:
        grid = len(self.space.axes)
        lead, x = x.tensor.shape[:x.tensor.dim() - grid + 1], self._unended(x)
        each = self.of.log_volume(x.map(lambda t: t.reshape(-1, *t.shape[t.dim() - grid + 1:])))
        return each.reshape(lead).sum(-1)

    def state(self) -> dict[str, Any]:
        return {"of": self.of.state(), "longest": self._longest}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.of.restore(state["of"])
        self._longest = int(state["longest"])

    def __repr__(self) -> str:
        if self._longest is None or self.length != "given":
            return f"Series({self.of!r}, {self.axis!r}, {self.length!r})"
        cut = f"at most {self._longest} long"
        if self._longest > self.window:
            cut = f"in windows of {self.window} every {self.stride}"
        return f"Series({self.of!r}, {self.axis!r}, {cut})"


def flat_items(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items (B,) of any length, or (B, length, ...), as all their values end to end, and the lengths (B,)."""
    if raw.dtype.kind != "O" or raw.ndim > 1:
        if raw.ndim < 2:
            raise UserError(f"expected a list or an array of values in every row, got one {raw.dtype} each; read a table with "
                            f"a row a moment by {way('by= and time=', '--by and --time')}")
        return raw.reshape(-1, *raw.shape[2:]), np.full(len(raw), raw.shape[1], dtype=np.int64)
    for row, item in enumerate(raw):
        if not isinstance(item, np.ndarray | list | tuple):
            got = "is missing" if item is None else f"got {type(item).__name__}"
            raise UserError(f"{got}; expected a list or an array of values", row)
    arrays = [np.asarray(item) for item in raw]
    lengths = np.array([len(item) for item in arrays], dtype=np.int64)
    there = [item for item in arrays if len(item)]
    return (np.concatenate(there) if there else np.zeros(0)), lengths
