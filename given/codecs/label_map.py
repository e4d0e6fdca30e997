"""LabelMap: a class at every pixel, in no order. Counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from given.variables import Axis, Codec, Entries, Finite, NewValue, UserError, shown

__all__ = ["LabelMap"]

_MOST = 1 << 15

_CHANNELS = 4  # of a picture, at most


class LabelMap(Codec):
    """Maps of one size, (B, height, width), or as many of every item, (B, frame, height, width), whose values are classes:
    whole numbers, or text.

    Places are those of an `Image` or a `Video` of the same size, so that a net reads the one at the other's pixels.

    Args:
        classes: in the order of their symbols; learned (sorted) when left out.

    Raises:
        UserError: no classes, or one twice.
    """

    def __init__(self, classes: Sequence[Any] | None = None) -> None:
        if classes is not None and (isinstance(classes, str) or not len(classes) or len({*classes}) < len(classes)):
            raise UserError(f"LabelMap: expected a list of distinct classes, got {shown(classes)}")
        self.classes: np.ndarray | None = None if classes is None else np.array([*classes])
        self._stated = classes is not None
        self.shape: tuple[int, ...] = ()

    @property
    def space(self) -> Finite:
        classes = self._learned()
        named = (Axis("frame", 0, role="time"), Axis("height", 0), Axis("width", 0))[-len(self.shape):]
        axes = tuple(replace(axis, size=size) for axis, size in zip(named, self.shape, strict=True))
        return Finite(len(classes), axes=axes)

    @property
    def measure(self) -> str:
        return "counting"

    def learn(self, raw: np.ndarray) -> None:
        channels = raw.ndim == 4 and raw.shape[3] <= _CHANNELS  # of a picture, which no map has
        if raw.ndim not in (3, 4) or channels or raw.dtype.kind not in "biuU":
            raise UserError("expected maps (B, height, width) or (B, frame, height, width) of whole numbers or text, got "
                            f"{raw.dtype} {raw.shape}")
        self.shape = self.shape or raw.shape[1:]
        if self._stated:
            self.encode(raw)
            return
        self._check_shape(raw)
        found = np.unique(raw)
        if self.classes is not None and (self.classes.dtype.kind == "U") != (found.dtype.kind == "U"):
            raise UserError("expected classes of one type, got text and numbers", row=0)
        self.classes = found if self.classes is None else np.union1d(self.classes, found)
        if len(self.classes) > _MOST:
            raise UserError(f"got {len(self.classes):,} classes; expected {_MOST:,} at most; use Image() for levels")

    def encode(self, raw: np.ndarray) -> Entries:
        classes = self._learned()
        self._check_shape(raw)
        order = np.argsort(classes)
        symbols = order[np.searchsorted(classes, raw, sorter=order).clip(max=len(classes) - 1)]
        wrong = classes[symbols] != raw
        if wrong.any():
            rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(1))
            at = np.argwhere(wrong[rows[0]])[0]
            raise NewValue(f"class {shown(raw[rows[0]][tuple(at)].item())} at {tuple(at.tolist())}; expected one of "
                           f"{', '.join(map(str, classes[:8].tolist()))}{', ...' * (len(classes) > 8)}; learn from maps "
                           "that have it, or pass LabelMap(classes) with it", rows)
        return Entries(self.space.narrow(symbols))

    def decode(self, x: Entries) -> np.ndarray:
        found: np.ndarray = self._learned()[x.tensor.cpu().numpy()]
        return found

    def state(self) -> dict[str, Any]:
        return {"classes": self._learned().tolist(), "shape": list(self.shape), "dtype": self._learned().dtype.str}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.classes = np.array(state["classes"], dtype=state["dtype"])
        self.shape = tuple(state["shape"])

    def _learned(self) -> np.ndarray:
        if self.classes is None or not self.shape:
            raise UserError("LabelMap() has not seen data yet; let it learn first")
        return self.classes

    def _check_shape(self, raw: np.ndarray) -> None:
        if raw.shape[1:] != self.shape:
            raise UserError(f"expected maps (B, {', '.join(map(str, self.shape))}), got {raw.shape}")

    def __repr__(self) -> str:
        if self.classes is None or not self.shape:
            return "LabelMap()"
        return f"LabelMap({' x '.join(map(str, self.shape))}, {len(self.classes)} classes)"
