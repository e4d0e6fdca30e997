"""Image and Video: grids of ordered levels, counted: grey (height, width), with channels (height, width, channel), and frames
of either, one after another (frame, height, width[, channel])."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch

from given.variables import Axis, Codec, Entries, Finite, UserError
from given.ways import way

__all__ = ["Image", "Video"]

_MOST_LEVELS = 1 << 16


class _Levels(Codec):
    """Whole levels 0 ... levels - 1 on a grid of one size. Abstract.

    Args:
        shape: of the grid; read off the data where it is None.
        levels: how many; read off the data where it is None.
        missing: what NaN means.
    """

    axes: ClassVar[tuple[Axis, ...]]
    """Named, in order, the last of channels, which may be absent; their sizes are a row's."""

    def __init__(self, shape: tuple[int | None, ...] | None, channels: int | None, levels: int | None, missing: str) -> None:
        who, sizes = type(self).__name__, (*(shape or ()), channels)
        if missing not in ("error", "unknown"):
            raise UserError(f"{who}: missing={missing!r}; expected 'error' or 'unknown'")
        if any(size is not None and size < 1 for size in sizes):
            raise UserError(f"{who}: expected sizes of at least 1, got {' x '.join(map(str, sizes[:-1]))}, channels={channels}")
        if levels is not None and not 1 <= levels <= _MOST_LEVELS:
            raise UserError(f"{who}: expected 1 to {_MOST_LEVELS} levels, got {levels}")
        self.missing = missing
        self.shape: tuple[int, ...] | None = None if shape is None else tuple(n for n in sizes if n is not None)
        self.levels = self._stated = levels
        self._largest = -1

    @property
    def space(self) -> Finite:
        shape, levels = self._learned()
        axes = tuple(replace(axis, size=size) for axis, size in zip(self.axes, shape, strict=False))
        return Finite(levels, ordered=True, axes=axes)

    @property
    def measure(self) -> str:
        return "counting"

    def learn(self, raw: np.ndarray) -> None:
        pixels, _ = self._pixels(raw)
        if self.shape is None:
            names = [axis.name for axis in self.axes]
            if pixels.ndim not in (len(names), len(names) + 1):
                raise UserError(f"expected (B, {', '.join(names[:-1])}) or (B, {', '.join(names)}), got {pixels.shape}; "
                                f"reshape or pass {type(self).__name__}({', '.join(names[:-1])})")
            self.shape = pixels.shape[1:]
        self._check_shape(pixels)
        self._check_levels(pixels, self._stated or _MOST_LEVELS)
        self._largest = max(self._largest, int(pixels.max()) if pixels.size else -1)
        if self._stated is None:
            self.levels = 256 if 127 < self._largest < 256 else self._largest + 1

    def encode(self, raw: np.ndarray) -> Entries:
        _, levels = self._learned()
        pixels, seen = self._pixels(raw)
        self._check_shape(pixels)
        self._check_levels(pixels, levels)
        return Entries(self.space.narrow(pixels), None if seen is None else torch.from_numpy(seen))

    def decode(self, x: Entries) -> np.ndarray:
        _, levels = self._learned()
        pixels = x.tensor.cpu().numpy().astype(np.uint8 if levels <= 256 else np.uint16)
        if self.missing == "error" or x.complete:
            return pixels
        return np.where(x.readable.cpu().numpy(), pixels, np.nan)

    def state(self) -> dict[str, Any]:
        shape, levels = self._learned()
        return {"shape": list(shape), "levels": levels}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.shape, self.levels = tuple(state["shape"]), int(state["levels"])

    def _learned(self) -> tuple[tuple[int, ...], int]:
        if self.shape is None or self.levels is None:
            raise UserError(f"{type(self).__name__}() has not seen data yet; let it learn, or pass "
                            f"{type(self).__name__}({', '.join(axis.name for axis in self.axes[:-1])}, levels=...)")
        return self.shape, self.levels

    def _check_shape(self, pixels: np.ndarray) -> None:
        assert self.shape is not None
        if pixels.shape[1:] != self.shape:
            expected = ", ".join(map(str, self.shape))
            raise UserError(f"expected (B, {expected}), got {pixels.shape}; reshape or pass {type(self).__name__}({expected})")

    def _check_levels(self, pixels: np.ndarray, levels: int) -> None:
        if pixels.size and int(pixels.max()) >= levels:
            row = int(np.argwhere(pixels >= levels)[0][0])
            raise UserError(f"level {int(pixels[row].max())}; expected 0 to {levels - 1}; "
                            f"pass {type(self).__name__}(levels=...) with enough levels{way('', ' by --as')}", row)

    def _pixels(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Whole levels, 0 where they are unknown; and what is known, None where all is."""
        if raw.dtype.kind == "b":
            raw = raw.astype(np.uint8)
        if raw.dtype.kind not in "iuf":
            raise UserError(f"expected whole levels, got {raw.dtype}")
        seen = None
        if raw.dtype.kind == "f":
            if self.missing == "unknown" and np.isnan(raw).any():
                seen = ~np.isnan(raw)
                raw = np.where(seen, raw, 0)
            whole = np.isfinite(raw) & (raw == np.floor(raw))
            if not whole.all():
                row = int(np.argwhere(~whole)[0][0])
                raise UserError(f"got {raw[~whole][0]}; expected whole levels such as 0 to 255; "
                                "multiply and round, or use Number() for a density of reals", row)
            raw = raw.astype(np.int64)
        if raw.size and raw.min() < 0:
            row = int(np.argwhere(raw < 0)[0][0])
            raise UserError(f"got {raw[row].min()}; expected levels from 0; "
                            + way("pass codecs={...} with a Number()", "read it as number by --as"), row)
        return raw, seen

    def __repr__(self) -> str:
        if self.shape is None or self.levels is None:
            return f"{type(self).__name__}()"
        return f"{type(self).__name__}({' x '.join(map(str, self.shape))}, {self.levels} levels)"


class Image(_Levels):
    """Images of one size with whole levels 0 ... levels - 1, raw as uint8 (uint16 above 256 levels).

    Args:
        height, width: in pixels; read off the data when left out.
        channels: None for grey, raw (B, height, width); else raw (B, height, width, channels).
        levels: how many levels a pixel has; read off the data when left out (the largest level + 1, and 256 for data
            that passes 127).
        missing: what NaN means. `error` (default), or `unknown`: the entry is unseen, as in the hole of a photograph.
    """

    axes = (Axis("height", 0), Axis("width", 0), Axis("channel", 0, role="channel"))

    def __init__(self, height: int | None = None, width: int | None = None, *, channels: int | None = None,
                 levels: int | None = None, missing: str = "error") -> None:
        if (height is None) != (width is None) or (height is None and channels is not None):
            raise UserError(f"Image: expected height and width, or neither, got height={height}, width={width}")
        super().__init__(None if height is None else (height, width), channels, levels, missing)


class Video(_Levels):
    """Clips of one size and as many frames each, of whole levels 0 ... levels - 1, raw as uint8 (uint16 above 256 levels).
    Frames are on an axis of time, so that maps of as many frames stand beside them.

    Args:
        frames, height, width: of a clip; read off the data when left out.
        channels: None for grey, raw (B, frames, height, width); else raw (B, frames, height, width, channels).
        levels: as of `Image`.
        missing: as of `Image`.
    """

    axes = (Axis("frame", 0, role="time"), *Image.axes)

    def __init__(self, frames: int | None = None, height: int | None = None, width: int | None = None, *,
                 channels: int | None = None, levels: int | None = None, missing: str = "error") -> None:
        sizes = (frames, height, width)
        if None in sizes and {*sizes, channels} != {None}:
            raise UserError(f"Video: expected frames, height and width, or none of them, got frames={frames}, "
                            f"height={height}, width={width}, channels={channels}")
        super().__init__(None if frames is None else sizes, channels, levels, missing)
