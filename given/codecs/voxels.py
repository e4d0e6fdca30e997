"""Voxels: a grid in space of what is filled and what is empty. Counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.variables import Axis, Codec, Entries, Finite, UserError

__all__ = ["Voxels", "are_voxels"]

_CHANNELS = 4  # at most, of a picture


class Voxels(Codec):
    """Grids (depth, height, width) of 0, empty, and 1, filled; raw as uint8 or bool.

    Args:
        depth, height, width: in voxels; read off the data when left out.
    """

    def __init__(self, depth: int | None = None, height: int | None = None, width: int | None = None) -> None:
        stated = (depth, height, width)
        if any(size is None for size in stated) != all(size is None for size in stated) or any(
                size is not None and size < 1 for size in stated):
            raise UserError(f"Voxels: depth={depth}, height={height}, width={width}; expected three sizes from 1, or none")
        self.shape: tuple[int, ...] | None = None if depth is None else stated  # type: ignore[assignment]

    @property
    def space(self) -> Finite:
        named = zip(("depth", "height", "width"), self._learned(), strict=True)
        return Finite(2, axes=tuple(Axis(name, size) for name, size in named))

    @property
    def measure(self) -> str:
        return "counting"

    def learn(self, raw: np.ndarray) -> None:
        if self.shape is None and raw.ndim == 4:
            self.shape = raw.shape[1:]
        self._checked(raw)

    def encode(self, raw: np.ndarray) -> Entries:
        return Entries(self.space.narrow(self._checked(raw)))

    def decode(self, x: Entries) -> np.ndarray:
        found: np.ndarray = x.tensor.cpu().numpy().astype(np.uint8)
        return found

    def state(self) -> dict[str, Any]:
        return {"shape": list(self._learned())}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.shape = tuple(state["shape"])

    def _learned(self) -> tuple[int, ...]:
        if self.shape is None:
            raise UserError("Voxels() has not seen data yet; let it learn, or pass Voxels(depth, height, width)")
        return self.shape

    def _checked(self, raw: np.ndarray) -> np.ndarray:
        """Grids of 0 and 1."""
        if raw.ndim != 4 or raw.dtype.kind not in "biuf" or (self.shape is not None and raw.shape[1:] != self.shape):
            sizes = "depth, height, width" if self.shape is None else ", ".join(map(str, self.shape))
            raise UserError(f"expected grids (B, {sizes}) of 0 and 1, got {raw.dtype} {raw.shape}; "
                            "unpack bits by numpy.unpackbits")
        wrong = (raw != 0) & (raw != 1)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0])
            raise UserError(f"got {raw[row][wrong[row]][0]}; expected 0, empty, or 1, filled; compare with a threshold, or use "
                            "Image() for levels", row)
        return raw

    def __repr__(self) -> str:
        return "Voxels()" if self.shape is None else f"Voxels({', '.join(map(str, self.shape))})"


def are_voxels(raw: np.ndarray) -> bool:
    """Whether whole numbers (B, ...) are grids of 0 and 1 along three axes, none of which may be channels of a picture."""
    return raw.ndim == 4 and min(raw.shape[1:]) > _CHANNELS and bool(raw.size) and bool((raw <= 1).all())
