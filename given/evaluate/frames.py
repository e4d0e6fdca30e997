"""Pictures and frames of films, levels from 0 to 255: how far from the true ones they are, and how sharp."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["mean_squared_error", "psnr", "sharpness"]

_TOP = 255


def mean_squared_error(true: np.ndarray, found: np.ndarray) -> float:
    """Of arrays whose shapes broadcast."""
    return float(((true.astype(np.float64) - found) ** 2).mean())


def psnr(true: np.ndarray, found: np.ndarray) -> float:
    """10 log10(255^2 / mean squared error) of levels of any shape."""
    error = mean_squared_error(true, found)
    return 10 * math.log10(_TOP**2 / error) if error else math.inf


def sharpness(frames: np.ndarray) -> float:
    """The mean difference of neighbouring pixels, along both axes, of frames (..., frames, height, width[, 3])."""
    levels = frames.astype(np.float64)
    levels = levels if levels.shape[-1] == 3 else levels[..., None]
    return float(np.mean([np.abs(np.diff(levels, axis=axis)).mean() for axis in (-3, -2)]))
