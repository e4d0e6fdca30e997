"""Measured: the codec of reals on a scale. How raw values are read and written is its subclasses'."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.scales.curve import Curve
from given.scales.line import Line, LogLine
from given.variables import Axis, Codec, Entries, NewValue, Real, UserError
from given.ways import way

__all__ = ["Measured"]

_LARGEST = 1e150


class Measured(Codec):
    """Reals on a line or a curve. `_reals` reads raw values, `_raw` writes them.

    Densities are per unit of length. Draws are written on the grid of what was learned, such as cents or days: that is how a
    density is presented, and changes no score.
    """

    _signed = False  # whether zero is a value like any other, so that no curve ends there

    def __init__(self, missing: str, atoms: str | Sequence[float], curve: str) -> None:
        name = type(self).__name__
        if missing not in ("error", "unknown", "symbol"):
            raise UserError(f"{name}: missing={missing!r}; expected 'error', 'unknown' or 'symbol'")
        if curve not in ("linear", "log", "log1p", "quantile"):
            raise UserError(f"{name}: curve={curve!r}; expected 'linear', 'log', 'log1p' or 'quantile'")
        logs = {"log": 0.0, "log1p": 1.0}
        if curve in logs and (len(atoms) or missing == "symbol"):
            raise UserError(f"{name}: curve={curve!r} has no atoms and no symbol; use 'quantile', or missing='unknown'")
        if isinstance(atoms, str) and atoms != "auto":
            raise UserError(f"{name}: atoms={atoms!r}; expected 'auto' or a list of values")
        self.missing, self.curve = missing, curve
        grid = atoms != "auto" and not len(atoms) and curve == "linear" and missing != "symbol"
        stated = None if isinstance(atoms, str) else self._atoms(atoms)
        self.scale_of: Line | Curve = LogLine(logs[curve]) if curve in logs else Line() if grid else Curve(
            stated, curve == "linear", missing == "symbol", self._signed)

    def _atoms(self, stated: Sequence[Any]) -> list[float]:
        values = sorted({float(v) for v in self._reals(np.asarray(list(stated)))}) if len(stated) else []
        if len(values) < len(stated) or not np.isfinite(values).all():
            raise UserError(f"{type(self).__name__}: atoms={stated!r}; expected distinct finite values")
        return values

    @abc.abstractmethod
    def _reals(self, raw: np.ndarray) -> np.ndarray:
        """(B, ...) as float64, NaN where missing."""

    @abc.abstractmethod
    def _raw(self, r: np.ndarray) -> np.ndarray:
        """float64, NaN where missing, as raw values."""

    _length = "length in raw units"

    @property
    def space(self) -> Real:
        shape = self._learned().shape
        names = ("entry",) if len(shape) == 1 else tuple(f"axis{i}" for i in range(len(shape)))
        axes = tuple(Axis(name, size) for name, size in zip(names, shape, strict=True))
        return Real(atoms=self._learned().atoms, axes=axes)

    @property
    def measure(self) -> str:
        rest = self._length
        return f"counting on atoms, {rest} elsewhere" if self._learned().atoms else rest

    @property
    def step(self) -> float:
        """The distance of two values that follow each other on the grid of what was learned, in `numbers`; 0 without one."""
        return 0.0

    def edge(self, r: float) -> float:
        """The entry where numbers reach r, whether or not an atom stands there; infinite where r is, or beyond the end of the
        column's values."""
        scale = self._learned()
        low, high = scale.ends
        return -np.inf if r <= low else np.inf if r >= high else float(scale.place(np.array([r]))[0])

    @property
    def without_atoms(self) -> str:
        name = type(self).__name__
        return f"{name}({'atoms=(), ' if name != 'Number' else ''}missing='unknown')"

    @property
    def support(self) -> str:
        """What numbers there are, for messages."""
        low, high = self._learned().ends
        return f"above {low + 0.0:g}" if np.isfinite(low) else f"below {high + 0.0:g}" if np.isfinite(high) else "any numbers"

    @property
    def affine(self) -> bool:
        scale = self._learned()
        return type(scale) is Line or (isinstance(scale, Curve) and scale.straight and not scale.atoms and not scale.tails)

    def learn(self, raw: np.ndarray) -> None:
        self._learn(self._checked(raw))

    def _learn(self, r: np.ndarray) -> None:
        """Learn from real values (B, ...), NaN where missing."""
        if not _plain(r) and np.nanmax(np.abs(r), initial=0) > _LARGEST:
            row = int(np.argwhere(np.abs(r) > _LARGEST)[0][0])
            raise UserError(f"a value beyond {_LARGEST:g}; expected numbers whose squares are finite; rescale them", row)
        self.scale_of.learn(r)

    def encode(self, raw: np.ndarray) -> Entries:
        scale = self._learned()
        r = self._checked(raw)
        if r.shape[1:] != scale.shape:
            raise UserError(f"expected (B, {', '.join(map(str, scale.shape))}), got {r.shape}" if scale.shape else
                            f"expected one number a row, (B,), got {r.shape}")
        if _plain(r) and _plain(z := scale.z(r)):
            return Entries(torch.from_numpy(z))
        if np.isnan(r).any() and self.missing == "symbol" and not self._gaps:
            raise self._absent(r)
        if (far := np.abs(r) > _LARGEST).any():
            raise NewValue(f"a value beyond {_LARGEST:g}; expected numbers whose squares are finite", np.argwhere(far)[:, 0])
        seen = torch.from_numpy(~np.isnan(r) | (self._gaps and self.missing == "symbol"))
        return Entries(torch.from_numpy(np.nan_to_num(scale.z(r))), seen)

    def decode(self, x: Entries) -> np.ndarray:
        return self._raw(self.real(x))

    def real(self, x: Entries) -> np.ndarray:
        return np.where(x.scored.cpu(), self._learned().r(x.tensor.detach().cpu().double().numpy()), np.nan)

    def log_volume(self, x: Entries) -> Tensor:
        scale = self._learned()
        each = torch.where(x.scored.cpu(), torch.as_tensor(scale.log_slope(x.tensor.detach().cpu().double().numpy())), 0.0)
        return each.flatten(each.dim() - len(scale.shape)).sum(-1) if scale.shape else each

    def state(self) -> dict[str, Any]:
        return self._learned().state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.scale_of.restore(state)

    @property
    def _gaps(self) -> bool:
        """Whether a value may be missing: where it is unknown, or a symbol that was seen while learning."""
        scale = self.scale_of
        return self.missing == "unknown" or (isinstance(scale, Curve) and scale.missing and scale.any_missing)

    def _learned(self) -> Line | Curve:
        if isinstance(self.scale_of, Curve):
            self.scale_of.settle()
        if self.scale_of.learned is None:
            raise UserError(f"{type(self).__name__}() has not seen data yet; let it learn first")
        return self.scale_of

    def _checked(self, raw: np.ndarray) -> np.ndarray:
        """Real values, with NaN only where that is allowed."""
        r = self._reals(raw)
        if not _plain(r) and (np.isinf(r).any() or (self.missing == "error" and np.isnan(r).any())):
            raise self._absent(r)
        return r

    def _absent(self, r: np.ndarray) -> UserError:
        rows = np.unique(np.argwhere(~np.isfinite(r))[:, 0])
        got = r[~np.isfinite(r)][0]
        by, drop = way("", " by --as"), way("drop the row", "leave such rows out by --skip-bad")
        hint = drop if np.isinf(got) else f"drop the row, or pass {type(self).__name__}(missing='unknown') or 'symbol'{by}"
        return NewValue(f"got {got}; expected a finite number; {hint}", rows)


def _plain(r: np.ndarray) -> bool:
    """Whether there are values, and none is missing or has an infinite square: seen at two passes, without copies."""
    return bool(r.size and r.min() >= -_LARGEST and r.max() <= _LARGEST)  # which NaN is not
