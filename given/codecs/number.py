"""Number: a real number, or a vector of them, standardised.

An entry is z = (r - mean) / scale, so a density in raw units is p(r) = p(z) / scale and `log_volume` is -log(scale) an
entry. The statistics are those of the data it learned from, in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.variables import Axis, Codec, Entries, Real, UserError

__all__ = ["Number"]

_LARGEST = 1e150


class Number(Codec):
    """A real number (B,) or a grid of them (B, ...), standardised entry by entry.

    Args:
        missing: what NaN means. `error` (default), or `unknown`: the entry is unseen, to be marginalised.

    An entry that never varies keeps its unit scale. Infinity is always an error.
    """

    def __init__(self, *, missing: str = "error") -> None:
        if missing not in ("error", "unknown"):
            raise UserError(f"Number: missing={missing!r}; expected 'error' or 'unknown'")
        self.missing = missing
        self.mean: np.ndarray | None = None
        self.scale: np.ndarray | None = None
        self._count: Any = 0
        self._squares: Any = 0.0

    @property
    def space(self) -> Real:
        mean, _ = self._learned()
        names = ("entry",) if mean.ndim == 1 else tuple(f"axis{i}" for i in range(mean.ndim))
        return Real(axes=tuple(Axis(name, size) for name, size in zip(names, mean.shape, strict=True)))

    @property
    def measure(self) -> str:
        return "length in raw units"

    def learn(self, raw: np.ndarray) -> None:
        r = self._reals(raw)
        if self.mean is not None and r.shape[1:] != self.mean.shape:
            raise UserError(f"expected rows of shape {self.mean.shape}, got {r.shape[1:]}", row=0)
        # Running mean and squared deviations: Chan, Golub, LeVeque, Algorithms for computing the sample variance, 1983.
        if r.size and np.nanmax(np.abs(r), initial=0) > _LARGEST:
            row = int(np.argwhere(np.abs(r) > _LARGEST)[0][0])
            raise UserError(f"a value beyond {_LARGEST:g}; expected numbers whose squares are finite; rescale them", row)
        seen = ~np.isnan(r)
        n = seen.sum(0)
        m = np.where(seen, r, 0).sum(0) / np.maximum(n, 1)
        s = (np.where(seen, r - m, 0) ** 2).sum(0)
        old = 0.0 if self.mean is None else self.mean
        both = np.maximum(self._count + n, 1)
        self._squares = self._squares + s + (m - old) ** 2 * self._count * n / both
        self.mean = np.asarray(old + (m - old) * n / both, dtype=np.float64)
        self._count = self._count + n
        variance = np.asarray(self._squares / both, dtype=np.float64)
        # What is left of a constant is the rounding of its mean.
        varies = variance > (1e-14 * self.mean) ** 2
        self.scale = np.where(varies, np.sqrt(variance), 1.0)

    def encode(self, raw: np.ndarray) -> Entries:
        mean, scale = self._learned()
        r = self._reals(raw)
        if r.shape[1:] != mean.shape:
            raise UserError(f"expected (B, {', '.join(map(str, mean.shape))}), got {r.shape}" if mean.ndim else
                            f"expected one number a row, (B,), got {r.shape}")
        seen = torch.from_numpy(~np.isnan(r))
        return Entries(torch.from_numpy(np.nan_to_num((r - mean) / scale)), seen)

    def decode(self, x: Entries) -> np.ndarray:
        mean, scale = self._learned()
        return np.where(x.known.cpu(), x.tensor.detach().cpu().double().numpy() * scale + mean, np.nan)

    def log_volume(self, x: Entries) -> Tensor:
        _, scale = self._learned()
        each = torch.where(x.known.cpu(), -torch.as_tensor(np.log(scale)), 0.0)
        return each.flatten(each.dim() - scale.ndim).sum(-1) if scale.ndim else each

    def state(self) -> dict[str, Any]:
        mean, scale = self._learned()
        return {"mean": mean.tolist(), "scale": scale.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.mean, self.scale = np.array(state["mean"], dtype=np.float64), np.array(state["scale"], dtype=np.float64)

    def _learned(self) -> tuple[np.ndarray, np.ndarray]:
        if self.mean is None or self.scale is None:
            raise UserError("Number() has not seen data yet; let it learn first")
        return self.mean, self.scale

    def _reals(self, raw: np.ndarray) -> np.ndarray:
        """(B, ...) as float64, with NaN only where that is allowed."""
        if raw.dtype.kind in "OUS":
            raw = np.array([_real(value, row) for row, value in enumerate(raw.tolist())]) if raw.ndim == 1 else raw
        if raw.dtype.kind not in "biuf":
            raise UserError(f"expected numbers, got {raw.dtype}")
        r = raw.astype(np.float64)
        bad = np.isinf(r) if self.missing == "unknown" else ~np.isfinite(r)
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            hint = "" if np.isinf(r[bad][0]) else "; drop the row, or pass Number(missing='unknown')"
            raise UserError(f"got {r[bad][0]}; expected a finite number{hint}", row)
        return r

    def __repr__(self) -> str:
        return "Number()" if self.missing == "error" else f"Number(missing={self.missing!r})"


def _real(value: Any, row: int) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"got {value!r}; expected a number", row) from None
