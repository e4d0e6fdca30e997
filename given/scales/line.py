"""Line: a mean and a scale, z = (r - mean) / scale, straight everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.variables import UserError

__all__ = ["Line"]


class Line:
    """A mean and a scale for every entry of a grid; an entry that never varies keeps its unit scale.

    Args:
        tied: whether all entries along the last axis share one scale.
    """

    atoms: tuple[float, ...] = ()

    def __init__(self, tied: bool = False) -> None:
        self.tied = tied
        self.mean: np.ndarray | None = None
        self.scale: np.ndarray | None = None
        self._count: Any = 0
        self._squares: Any = 0.0

    def learn(self, r: np.ndarray) -> None:
        # Running mean and squared deviations: Chan, Golub, LeVeque, Algorithms for computing the sample variance, 1983.
        if self.mean is not None and r.shape[1:] != self.mean.shape:
            raise UserError(f"expected rows of shape {self.mean.shape}, got {r.shape[1:]}", row=0)
        seen: Any = ~np.isnan(r)
        if seen.all():
            n, seen = np.full(r.shape[1:], len(r)), True
        else:
            n, r = seen.sum(0), np.where(seen, r, 0)
        m = r.sum(0) / np.maximum(n, 1)
        off = np.where(seen, r - m, 0) if seen is not True else r - m
        s = np.multiply(off, off, out=off).sum(0)
        old = 0.0 if self.mean is None else self.mean
        both = np.maximum(self._count + n, 1)
        self._squares = self._squares + s + (m - old) ** 2 * self._count * n / both
        self.mean = np.asarray(old + (m - old) * n / both, dtype=np.float64)
        self._count = self._count + n
        variance = np.asarray(self._squares / both, dtype=np.float64)
        size = self.mean
        if self.tied:
            variance, size = (np.broadcast_to(np.mean(v, -1, keepdims=True), v.shape) for v in (variance, np.abs(size)))
        # What is left of a constant is the rounding of its mean.
        self.scale = np.where(variance > (1e-14 * size) ** 2, np.sqrt(variance), 1.0)

    @property
    def learned(self) -> tuple[np.ndarray, np.ndarray] | None:
        return None if self.mean is None or self.scale is None else (self.mean, self.scale)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._both()[0].shape

    def z(self, r: np.ndarray) -> np.ndarray:
        mean, scale = self._both()
        return (r - mean) / scale

    place = z
    ends = -np.inf, np.inf

    def r(self, z: np.ndarray) -> np.ndarray:
        mean, scale = self._both()
        return z * scale + mean

    def log_slope(self, z: np.ndarray) -> np.ndarray:
        return -np.log(self._both()[1]) + 0 * z

    def state(self) -> dict[str, Any]:
        mean, scale = self._both()
        return {"mean": mean.tolist(), "scale": scale.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.mean, self.scale = np.array(state["mean"], dtype=np.float64), np.array(state["scale"], dtype=np.float64)

    def _both(self) -> tuple[np.ndarray, np.ndarray]:
        assert self.mean is not None and self.scale is not None
        return self.mean, self.scale
