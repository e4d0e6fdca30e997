"""Voxels: how much two shapes share, and how they look from above a corner, as grey pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from given.variables import UserError

__all__ = ["intersection_over_union", "rendered"]

_TOP, _LEFT, _RIGHT, _EDGE = 235, 175, 120, 70  # grey of the faces and of their edges


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(...) intersection over union of grids (..., depth, height, width) of 0 and 1."""
    a, b = (x.astype(bool).reshape(*x.shape[:-3], -1) for x in (a, b))
    return (a & b).sum(-1) / np.maximum((a | b).sum(-1), 1)


def rendered(voxels: np.ndarray, *, size: int = 6) -> np.ndarray:
    """(n, pixels, pixels) uint8: filled voxels in isometric view, the furthest first, white where there are none.

    Args:
        voxels: (n, depth, height, width) of 0 and 1; height points down, as rows of a picture do.
        size: of a voxel's edge, in pixels.

    Raises:
        UserError: another shape.
    """
    if voxels.ndim != 4:
        raise UserError(f"rendered: expected (n, depth, height, width), got {voxels.shape}")
    n, depth, height, width = voxels.shape
    side = (depth + width) * size + 2 * size
    tall = (depth + width) * size // 2 + height * size + 2 * size
    found = np.full((n, max(side, tall), max(side, tall)), 255, np.uint8)
    for picture, grid in zip(found, voxels, strict=True):
        canvas = Image.new("L", (max(side, tall), max(side, tall)), 255)
        draw = ImageDraw.Draw(canvas)
        filled = np.argwhere(grid)
        for z, y, x in filled[np.argsort(filled[:, 0] + filled[:, 2] - filled[:, 1], kind="stable")].tolist():
            left, top = size + (x - z + depth) * size, size + (x + z) * size // 2 + y * size
            _voxel(draw, left, top, size)
        picture[:] = np.asarray(canvas)
    return found


def _voxel(draw: ImageDraw.ImageDraw, left: int, top: int, size: int) -> None:
    """The three faces that are seen of a voxel whose top's furthest corner is there."""
    far, near = (left, top), (left, top + size)
    west, east = (left - size, top + size // 2), (left + size, top + size // 2)
    for corners, grey in (((far, east, near, west), _TOP), ((west, near, _down(near, size), _down(west, size)), _LEFT),
                          ((east, near, _down(near, size), _down(east, size)), _RIGHT)):
        draw.polygon(corners, fill=grey, outline=_EDGE)


def _down(corner: tuple[int, int], size: int) -> tuple[int, int]:
    return corner[0], corner[1] + size
