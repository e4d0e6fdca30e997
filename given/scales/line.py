"""Line: a mean and a scale, z = (r - mean) / scale, straight everywhere; LogLine: that of logarithms, of r or of 1 + r."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.variables import NewValue, UserError
from given.ways import way

__all__ = ["Line", "LogLine", "changes_by_shares", "varies_by_shares"]

_MOST = 700.0  # of a logarithm, beyond which a number is infinite


_CLEARLY, _EACH = 3.0, 0.03  # nats, of all changes and of every one, by which logarithms must be better
_LAGS = 24


def changes_by_shares(r: np.ndarray, lengths: np.ndarray) -> bool:
    """Whether numbers of series end to end (D,), which are so long, NaN where missing, change more evenly as logarithms: by the
    log-probability of changes, as if they had a Laplace distribution: the median over lags."""
    present = r[~np.isnan(r)]
    if not len(present) or present.min() <= 0 or len(r) < 2:
        return False
    item = np.repeat(np.arange(len(lengths)), lengths)
    gains = list[float]()
    for lag in range(1, max(1, min(_LAGS, int(lengths.max()) // 4)) + 1):
        inside = item[lag:] == item[:-lag]
        plain, shares = (np.abs((each[lag:] - each[:-lag])[inside]) for each in (r, np.log(r)))
        plain, shares = plain[~np.isnan(plain)], shares[~np.isnan(shares)]
        if len(plain) and plain.any():
            gains.append(len(plain) * float(np.log(plain.mean() / shares.mean()) - np.log(present).mean()))
    return bool(gains) and float(np.median(gains)) > max(_CLEARLY, _EACH * len(present))


def varies_by_shares(r: np.ndarray) -> bool:
    """Whether a normal distribution of log(1 + r) makes numbers (B,) from 0 up likelier than one of r does; NaN is left out.

    Source: Box, Cox, An analysis of transformations, 1964
    """
    r = r[~np.isnan(r)]
    if not len(r) or r.min() < 0 or r.min() == r.max():
        return False
    logs = np.log1p(r)
    return bool(np.log(r.std()) > np.log(logs.std()) + logs.mean())


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


class LogLine(Line):
    """z = (log(r + past) - mean) / scale, of numbers above -past.

    Args:
        past: 0, or 1 for numbers from 0 up, zeros among them.
    """

    def __init__(self, past: float = 0.0) -> None:
        super().__init__()
        self.past = past
        self.ends = -past + 0.0, np.inf

    def learn(self, r: np.ndarray) -> None:
        super().learn(self._log(r))

    def z(self, r: np.ndarray) -> np.ndarray:
        return super().z(self._log(r))

    place = z

    def r(self, z: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(super().r(z), _MOST)) - self.past

    def log_slope(self, z: np.ndarray) -> np.ndarray:
        return super().log_slope(z) - super().r(z)

    def _log(self, r: np.ndarray) -> np.ndarray:
        if (low := r <= -self.past).any():
            rows = np.argwhere(low)[:, 0]
            raise NewValue(f"got {r[low][0] + 0.0:g}; expected numbers above {self.ends[0]:g}, of which there is a logarithm; "
                           f"pass {way('Number()', 'Number() by --as')}", rows)
        return np.log(r + self.past)
