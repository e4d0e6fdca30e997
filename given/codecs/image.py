"""Image: a grid of ordered levels, grey (height, width) or with channels (height, width, channel). Counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from given.variables import Axis, Codec, Entries, Finite, UserError
from given.ways import way

__all__ = ["Image"]

_MOST_LEVELS = 1 << 16


class Image(Codec):
    """Images of one size with whole levels 0 ... levels - 1, raw as uint8 (uint16 above 256 levels).

    Args:
        height, width: in pixels; read off the data when left out.
        channels: None for grey, raw (B, height, width); else raw (B, height, width, channels).
        levels: how many levels a pixel has; read off the data when left out (the largest level + 1, and 256 for data
            that passes 127).
        missing: what NaN means. `error` (default), or `unknown`: the entry is unseen, as in the hole of a photograph.
    """

    def __init__(self, height: int | None = None, width: int | None = None, *, channels: int | None = None,
                 levels: int | None = None, missing: str = "error") -> None:
        if missing not in ("error", "unknown"):
            raise UserError(f"Image: missing={missing!r}; expected 'error' or 'unknown'")
        self.missing = missing
        self.shape: tuple[int, ...] | None = None
        if (height is None) != (width is None) or (height is None and channels is not None):
            raise UserError(f"Image: expected height and width, or neither, got height={height}, width={width}")
        if any(size is not None and size < 1 for size in (height, width, channels)):
            raise UserError(f"Image: expected sizes of at least 1, got {height} x {width}, channels={channels}")
        if levels is not None and not 1 <= levels <= _MOST_LEVELS:
            raise UserError(f"Image: expected 1 to {_MOST_LEVELS} levels, got {levels}")
        if height is not None and width is not None:
            self.shape = (height, width) if channels is None else (height, width, channels)
        self.levels = self._stated = levels
        self._largest = -1

    @property
    def space(self) -> Finite:
        shape, levels = self._learned()
        named = zip(("height", "width", "channel"), ("place", "place", "channel"), shape, strict=False)
        axes = tuple(Axis(name, size, role=role) for name, role, size in named)  # type: ignore[arg-type]
        return Finite(levels, ordered=True, axes=axes)

    @property
    def measure(self) -> str:
        return "counting"

    def learn(self, raw: np.ndarray) -> None:
        pixels, _ = self._pixels(raw)
        if self.shape is None:
            if pixels.ndim not in (3, 4):
                raise UserError(f"expected (B, height, width) or (B, height, width, channel), got {pixels.shape}; "
                                "reshape or pass Image(height, width)")
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
            raise UserError("Image() has not seen data yet; let it learn, or pass Image(height, width, levels=...)")
        return self.shape, self.levels

    def _check_shape(self, pixels: np.ndarray) -> None:
        assert self.shape is not None
        if pixels.shape[1:] != self.shape:
            expected = ", ".join(map(str, self.shape))
            raise UserError(f"expected (B, {expected}), got {pixels.shape}; reshape or pass Image({expected})")

    @staticmethod
    def _check_levels(pixels: np.ndarray, levels: int) -> None:
        if pixels.size and int(pixels.max()) >= levels:
            row = int(np.argwhere(pixels >= levels)[0][0])
            raise UserError(f"level {int(pixels[row].max())}; expected 0 to {levels - 1}; "
                            f"pass Image(levels=...) with enough levels{way('', ' by --as')}", row)

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
            return "Image()"
        return f"Image({' x '.join(map(str, self.shape))}, {self.levels} levels)"
