"""Number and Time: reals, straightened. What many rows share is an atom; the rest follows a line or a curve.

On a line an entry is z = (r - mean) / scale. On a curve z is piecewise linear in r through knots (quantile of the column,
quantile of the standard normal), so that a single column's entries are nearly normal; beyond the outer knots it goes on
straight. A density in raw units is p(r) = p(z) dz/dr, and `log_volume` is log dz/dr. An atom is an entry of its own with
a probability instead: volume 0. All in float64.
"""

from __future__ import annotations

import abc
import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.variables import Axis, Codec, Entries, Real, UserError

__all__ = ["Number", "Time"]

_LARGEST = 1e150
_WHOLE = 2**53  # whole numbers up to here are exact
_HELD = 1 << 16  # rows a curve is drawn through
_DISTINCT = 100_000  # values counted exactly
_SHARE, _LEAST, _MOST = 0.01, 10, 100  # of an atom: share of rows, rows; atoms a column


class _Line:
    """A mean and a scale for every entry of a grid; an entry that never varies keeps its unit scale."""

    atoms: tuple[float, ...] = ()

    def __init__(self) -> None:
        self.mean: np.ndarray | None = None
        self.scale: np.ndarray | None = None
        self._count: Any = 0
        self._squares: Any = 0.0

    def learn(self, r: np.ndarray) -> None:
        # Running mean and squared deviations: Chan, Golub, LeVeque, Algorithms for computing the sample variance, 1983.
        if self.mean is not None and r.shape[1:] != self.mean.shape:
            raise UserError(f"expected rows of shape {self.mean.shape}, got {r.shape[1:]}", row=0)
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
        self.scale = np.where(variance > (1e-14 * self.mean) ** 2, np.sqrt(variance), 1.0)

    @property
    def learned(self) -> tuple[np.ndarray, np.ndarray] | None:
        return None if self.mean is None or self.scale is None else (self.mean, self.scale)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._both()[0].shape

    def z(self, r: np.ndarray) -> np.ndarray:
        mean, scale = self._both()
        return (r - mean) / scale

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


class _Curve:
    """One column: its atoms, and a curve through the quantiles of the rest.

    An atom is a value of at least 10 rows and 1 % of the rows that no more frequent atom holds, 100 at most: 1 % of the
    rows alone would leave the ties of a few rows beside one value of nearly all to a density. Values are counted exactly up
    to 100,000 distinct ones; from there each count is low by at most a 100,000th of the rows (Misra, Gries, Finding
    repeated elements, 1982). The curve is drawn through 65,536 rows at most, chosen by a hash of their number.
    """

    def __init__(self, stated: Sequence[float] | None, straight: bool, missing: bool) -> None:
        self.stated, self.straight, self.missing = stated, straight, missing
        self.any_missing, self.rows, self.seen = False, 0, 0
        self.keys, self.held = np.empty(0, np.uint64), np.empty(0)
        self.values: np.ndarray = np.empty(0)
        self.counts: np.ndarray = np.empty(0)
        self.learned: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None  # knots r, z; atoms r, z
        self._current = True

    shape = ()

    def learn(self, r: np.ndarray) -> None:
        if r.ndim != 1:
            raise UserError(f"expected one number a row, (B,), got {r.shape}; a grid has Number(), without atoms or curve")
        present = r[~np.isnan(r)]
        self.any_missing |= len(present) < len(r)
        keys = _hash(np.arange(self.rows, self.rows + len(r), dtype=np.uint64))
        self.keys, self.held = np.concatenate([self.keys, keys]), np.concatenate([self.held, r])
        if len(self.keys) > _HELD:
            kept = np.argpartition(self.keys, _HELD)[:_HELD]
            self.keys, self.held = self.keys[kept], self.held[kept]
        self.rows, self.seen = self.rows + len(r), self.seen + len(present)
        if self.stated is None:
            new, times = np.unique(present, return_counts=True)
            self.values, where = np.unique(np.concatenate([self.values, new]), return_inverse=True)
            self.counts = np.bincount(where, np.concatenate([self.counts, times]), len(self.values))
            if len(self.values) > _DISTINCT:
                self.counts = self.counts - np.partition(self.counts, -_DISTINCT - 1)[-_DISTINCT - 1]
                self.values, self.counts = self.values[self.counts > 0], self.counts[self.counts > 0]
        self.learned, self._current = None, False

    def settle(self) -> None:
        """Make atoms and knots of what was counted and held."""
        if self._current:
            return
        atoms = np.sort(np.array(self._frequent() if self.stated is None else self.stated, dtype=np.float64))
        present = self.held[~np.isnan(self.held)]
        rest = present[~np.isin(present, atoms)]
        r, z = _knots(rest if len(rest) else present, self.straight)
        self._take(r, z, atoms)

    def _frequent(self) -> list[float]:
        atoms, left = list[float](), float(self.seen)
        for i in np.argsort(-self.counts, kind="stable")[:_MOST]:
            if self.counts[i] < max(_LEAST, _SHARE * left):
                break
            atoms.append(float(self.values[i]))
            left -= self.counts[i]
        return atoms

    def _take(self, r: np.ndarray, z: np.ndarray, atoms: np.ndarray) -> None:
        at = _along(atoms, r, z)
        at = np.sign(at) * np.where(np.abs(at) > 4, 4 + np.log1p(np.abs(np.abs(at) - 4)), np.abs(at))  # a net reads these
        for i in range(1, len(at)):  # atoms far closer than the rest is wide
            at[i] = max(at[i], at[i - 1] + 1e-6 * max(1, abs(at[i - 1])))
        if self.missing and self.any_missing:
            atoms, at = np.append(np.nan, atoms), np.append(min(at.min(initial=-4), -4) - 1, at)
        self.learned, self._current = (r, z, atoms, at), True

    @property
    def atoms(self) -> tuple[float, ...]:
        return tuple(self._all()[3].tolist())

    def z(self, r: np.ndarray) -> np.ndarray:
        knots, heights, atoms, at = self._all()
        z = _along(np.nan_to_num(r), knots, heights)
        z = np.where(np.isin(z, at), np.nextafter(z, np.inf), z)  # a neighbour of an atom, by rounding, is not the atom
        for value, entry in zip(atoms, at, strict=True):
            z[(r == value) | (np.isnan(r) & np.isnan(value))] = entry
        return z

    def r(self, z: np.ndarray) -> np.ndarray:
        knots, heights, atoms, at = self._all()
        r = _along(z, heights, knots)
        for value, entry in zip(atoms, at, strict=True):
            r = np.where(z == entry, value, r)
        return r

    def log_slope(self, z: np.ndarray) -> np.ndarray:
        knots, heights, _, at = self._all()
        slope = np.diff(heights) / np.diff(knots)
        return np.where(np.isin(z, at), 0.0, np.log(slope[_between(z, heights)]))

    def state(self) -> dict[str, Any]:
        r, z, atoms, _ = self._all()
        return {"knots": [r.tolist(), z.tolist()], "atoms": atoms[~np.isnan(atoms)].tolist(), "missing": self.any_missing}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.any_missing = bool(state["missing"])
        r, z = (np.array(side, dtype=np.float64) for side in state["knots"])
        self._take(r, z, np.array(state["atoms"], dtype=np.float64))

    def _all(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        self.settle()
        assert self.learned is not None
        return self.learned


def _hash(rows: np.ndarray) -> np.ndarray:
    """SplitMix64 of the rows' numbers: held rows are spread without a rhythm, which data may have too."""
    z = (rows + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _knots(r: np.ndarray, straight: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two or more points (r, z), both rising: 2 n^(1/3) intervals of z, the outer ones with some five rows beyond them."""
    mean, scale = (float(r.mean()), float(r.std())) if len(r) else (0.0, 1.0)
    scale = scale if scale > 1e-14 * abs(mean) else 1.0
    line = np.array([mean, mean + scale]), np.array([0.0, 1.0])
    if straight or len(r) < 2 * _LEAST:
        return line
    top = torch.special.ndtri(torch.tensor(1 - 5 / len(r), dtype=torch.float64))
    z = torch.linspace(-1, 1, min(64, round(2 * len(r) ** (1 / 3))) + 1, dtype=torch.float64) * top
    quantiles = np.quantile(r, torch.special.ndtr(z).numpy())
    # Knots that tie, to rounding, are one at the mean of their heights.
    which = np.append(0, np.diff(quantiles) > 1e-9 * np.abs(quantiles).max()).cumsum()
    times = np.bincount(which)
    knots, heights = np.bincount(which, quantiles) / times, np.bincount(which, z.numpy()) / times
    return (knots, heights) if len(knots) > 1 else line


def _between(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Which interval between knots each x is in, the outer ones reaching to infinity."""
    return np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)


def _along(x: np.ndarray, knots: np.ndarray, heights: np.ndarray) -> np.ndarray:
    i = _between(x, knots)
    return heights[i] + (x - knots[i]) * (np.diff(heights) / np.diff(knots))[i]


class _Measured(Codec):
    """What Number and Time share: reals on a line or a curve. `_reals` reads raw values, `_raw` writes them."""

    def __init__(self, missing: str, atoms: str | Sequence[float], curve: str) -> None:
        name = type(self).__name__
        if missing not in ("error", "unknown", "symbol"):
            raise UserError(f"{name}: missing={missing!r}; expected 'error', 'unknown' or 'symbol'")
        if curve not in ("linear", "quantile"):
            raise UserError(f"{name}: curve={curve!r}; expected 'linear' or 'quantile'")
        if isinstance(atoms, str) and atoms != "auto":
            raise UserError(f"{name}: atoms={atoms!r}; expected 'auto' or a list of values")
        self.missing, self.curve = missing, curve
        grid = atoms != "auto" and not len(atoms) and curve == "linear" and missing != "symbol"
        stated = None if isinstance(atoms, str) else self._atoms(atoms)
        self.scale_of: _Line | _Curve = _Line() if grid else _Curve(stated, curve == "linear", missing == "symbol")

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
    def affine(self) -> bool:
        scale = self._learned()
        return isinstance(scale, _Line) or (scale.straight and not scale.atoms)

    def learn(self, raw: np.ndarray) -> None:
        r = self._checked(raw)
        if r.size and np.nanmax(np.abs(r), initial=0) > _LARGEST:
            row = int(np.argwhere(np.abs(r) > _LARGEST)[0][0])
            raise UserError(f"a value beyond {_LARGEST:g}; expected numbers whose squares are finite; rescale them", row)
        self.scale_of.learn(r)

    def encode(self, raw: np.ndarray) -> Entries:
        scale = self._learned()
        r = self._checked(raw)
        if r.shape[1:] != scale.shape:
            raise UserError(f"expected (B, {', '.join(map(str, scale.shape))}), got {r.shape}" if scale.shape else
                            f"expected one number a row, (B,), got {r.shape}")
        if np.isnan(r).any() and self.missing == "symbol" and not self._gaps:
            raise self._absent(r)
        seen = torch.from_numpy(~np.isnan(r) | (self._gaps and self.missing == "symbol"))
        return Entries(torch.from_numpy(np.nan_to_num(scale.z(r))), seen)

    def decode(self, x: Entries) -> np.ndarray:
        return self._raw(np.where(x.scored.cpu(), self._learned().r(x.tensor.detach().cpu().double().numpy()), np.nan))

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
        return self.missing == "unknown" or (isinstance(scale, _Curve) and scale.missing and scale.any_missing)

    def _learned(self) -> _Line | _Curve:
        if isinstance(self.scale_of, _Curve):
            self.scale_of.settle()
        if self.scale_of.learned is None:
            raise UserError(f"{type(self).__name__}() has not seen data yet; let it learn first")
        return self.scale_of

    def _checked(self, raw: np.ndarray) -> np.ndarray:
        """Real values, with NaN only where that is allowed."""
        r = self._reals(raw)
        if np.isinf(r).any() or (self.missing == "error" and np.isnan(r).any()):
            raise self._absent(r)
        return r

    def _absent(self, r: np.ndarray) -> UserError:
        row = int(np.argwhere(~np.isfinite(r))[0][0])
        got = r[~np.isfinite(r)][0]
        hint = "" if np.isinf(got) else f"; drop the row, or pass {type(self).__name__}(missing='unknown') or 'symbol'"
        return UserError(f"got {got}; expected a finite number{hint}", row)


class Number(_Measured):
    """A real number (B,), or a grid of them (B, ...), each entry on a line of its own.

    Args:
        missing: what NaN means. `error` (default); `unknown`: the entry is unseen, to be marginalised; `symbol`: one more
            atom, where a value was missing while learning.
        atoms: values, in raw units, with a mass of their own; or `auto`: those of at least 10 rows and 1 % of the rows
            that no more frequent atom holds, 100 at most.
        curve: `linear` (default), or `quantile` for a column whose entries should be nearly normal.
        whole: whether values are whole numbers, and drawn as such: int64, or float64 where they may be missing (`unknown`,
            or a symbol); by default whether all learned were, for a single number a row. Densities remain per unit of length.

    Atoms, a curve and `symbol` are for single numbers. Infinity is always an error, and so is a whole number beyond 2**53,
    which float64 would round.
    """

    def __init__(self, *, missing: str = "error", atoms: str | Sequence[float] = (), curve: str = "linear",
                 whole: bool | None = None) -> None:
        self.whole, self._stated = bool(whole), whole is not None
        super().__init__(missing, atoms, curve)

    def learn(self, raw: np.ndarray) -> None:
        first = self.scale_of.learned is None and not getattr(self.scale_of, "rows", 0)
        super().learn(raw)
        if not self._stated:
            r = self._reals(raw)
            self.whole = (first or self.whole) and r.ndim == 1 and bool(_is_whole(r).all())

    def encode(self, raw: np.ndarray) -> Entries:
        x = super().encode(raw)
        if self.whole:
            wrong = ~_is_whole(r := self._reals(raw))
            if wrong.any():
                row = int(np.argwhere(wrong)[0][0])
                raise UserError(f"got {r[row]}; expected a whole number; pass Number(whole=False)", row)
        return x

    def state(self) -> dict[str, Any]:
        return {**super().state(), "whole": self.whole}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.whole = bool(state["whole"])

    def _reals(self, raw: np.ndarray) -> np.ndarray:
        if raw.dtype.kind in "OUS":
            raw = np.array([_real(value, row) for row, value in enumerate(raw.tolist())]) if raw.ndim == 1 else raw
        if raw.dtype.kind not in "biuf":
            raise UserError(f"expected numbers, got {raw.dtype}")
        if raw.dtype.kind in "iu" and (large := (raw > _WHOLE) | (raw < -_WHOLE)).any():
            raise _too_large(raw[large][0], int(np.argwhere(large)[0][0]))
        return raw.astype(np.float64)

    def _raw(self, r: np.ndarray) -> np.ndarray:
        if not self.whole:
            return r
        whole = np.rint(r)
        if self._gaps:
            return whole
        if (wrong := ~(np.abs(whole) < 2.0**63)).any():
            raise UserError(f"drew {whole[wrong][0]:g}; expected whole numbers of 64 bits; fit for longer, or pass "
                            "Number(whole=False)")
        return whole.astype(np.int64)

    def __repr__(self) -> str:
        said = [f"{k}={v!r}" for k, v in self.arguments.items()
                if v not in ((), "error", "linear") and (k != "missing" or self._gaps)]
        return f"Number({', '.join(said)})"


def _is_whole(r: np.ndarray) -> np.ndarray:
    return np.isnan(r) | ((r == np.rint(r)) & (np.abs(r) <= _WHOLE))


def _real(value: Any, row: int) -> float:
    if value is None:
        return float("nan")
    try:
        r = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"got {value!r}; expected a number", row) from None
    if abs(r) >= _WHOLE and str(value).lstrip("+-").isdecimal() and abs(int(value)) > _WHOLE:
        raise _too_large(value, row)
    return r


def _too_large(value: Any, row: int) -> UserError:
    return UserError(f"got {value}; expected whole numbers up to 2**53, beyond which float64 rounds them; take them as "
                     "categories, Label(), or divide them", row)


_FORM = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)?(?P<mark>[T ])?(?P<clock>\d\d:\d\d(?P<seconds>:\d\d(?P<part>\.\d{1,6})?)?)?")
_UNITS = {"W": 1 / 7, "D": 1.0, "h": 1 / 3600, "m": 1 / 60, "s": 1.0, "ms": 1e3, "us": 1e6}  # how many make a day, a second
_YEARS = "0001-01-01", "9999-12-31T23:59:59.999999"
_YEARS_OF_NS = "1677-09-21T00:12:43.145225", "2262-04-11T23:47:16.854775"


class Time(_Measured):
    """Dates, datetimes and times of day: ISO 8601 text of one form and without a zone, or datetime64 of weeks or finer.

    Args:
        missing, atoms, curve: as of Number; None and NaT are missing.

    Dates are counted in days from the first and densities are per day; all else in seconds, per second. Values come back in
    the form they had, text as objects, rounded to the form's resolution, microseconds at the finest; times of day are taken
    modulo a day. Years are 1 to 9999 (those that datetime64[ns] holds, 1677 to 2262): a draw out of them is no time, and comes
    back as None or NaT. Where a far date stands for never, name it among the atoms.
    """

    def __init__(self, *, missing: str = "error", atoms: str | Sequence[Any] = "auto", curve: str = "quantile") -> None:
        self.form = ""  # what was learned: an example of the text, or the dtype
        self.origin: int | None = None  # the first value, in units since 1970: float64 keeps microseconds for a century from it
        super().__init__(missing, atoms, curve)

    @property
    def _length(self) -> str:  # type: ignore[override]
        return "length in days" if self._unit() in "WD" else "length in seconds"

    def _unit(self) -> str:
        """The resolution."""
        if self.form.startswith("<M8"):
            return "us" if self.form == "<M8[ns]" else self.form[4:-1]
        digits = len(self.form.partition(".")[2])
        return ("us" if digits > 3 else "ms") if digits else ["D", "m", "s"][min(self.form.count(":"), 2)]

    def _reals(self, raw: np.ndarray) -> np.ndarray:
        if raw.dtype.kind == "O" and any(isinstance(v, datetime.date) for v in raw.tolist()):
            raw = np.array([None if v is None or v != v else v for v in raw.tolist()], dtype="M8[us]")
        form = np.dtype(raw.dtype).newbyteorder("<").str if raw.dtype.kind == "M" else self._text_form(raw)
        self.form = self.form or form
        # Dates are dates, learned as text and asked about as datetime64 or the other way round.
        dates = form.startswith("<M8") != self.form.startswith("<M8") and ("-" in form or "-" in self.form)
        if form and not dates and _shape(form) != _shape(self.form):
            raise UserError(f"got {form!r}; expected the form of {self.form!r}", row=0)
        unit = self._unit()
        if unit not in _UNITS:
            raise UserError(f"got {raw.dtype}; expected times in {', '.join(_UNITS)} or ns; convert with astype('M8[D]')")
        if raw.dtype.kind == "M":
            fine = raw.astype(f"M8[{unit}]")
            if (fine.astype(raw.dtype)[~np.isnat(raw)] != raw[~np.isnat(raw)]).any():
                whole = "of whole microseconds" if self.form.startswith("<M8") else f"in the form of {self.form!r}"
                raise UserError(f"expected times {whole}, got finer ones; round them")
        else:
            day = "" if "-" in self.form or "-" in form else "1970-01-01T"
            texts = ["NaT" if v is None or v != v else day + v for v in raw.tolist()]
            try:
                fine = np.array(texts, dtype=f"M8[{unit}]")
            except ValueError as error:
                raise UserError(f"{error}; expected ISO 8601") from None
        count, there, (least, most) = fine.astype(np.int64), ~np.isnat(fine), self._ends()
        if (wrong := there & ((count < least) | (count > most))).any():
            raise UserError(f"got {fine[wrong][0]}; expected years from 1 to 9999", int(np.argwhere(wrong)[0][0]))
        if self.origin is None and there.any():
            self.origin = int(count[there][0])
        return np.where(there, count - (self.origin or 0), np.nan) / _UNITS[unit]

    def _ends(self) -> tuple[int, int]:
        """The first and the last time that the form can say, in units since 1970."""
        least, most = (_YEARS_OF_NS if self.form == "<M8[ns]" else _YEARS)
        return tuple(np.array([least, most], "M8[us]").astype(f"M8[{self._unit()}]").astype(np.int64).tolist())

    def _text_form(self, raw: np.ndarray) -> str:
        form = ""
        for row, value in enumerate(raw.tolist()):
            if value is None or value != value:
                continue
            if not isinstance(value, str) or not _is_time(value):
                raise UserError(f"got {value!r}; expected a date or time such as 2024-12-31, 2024-12-31T18:30:00 or 18:30", row)
            form = form or value
            if _shape(value) != _shape(form):
                raise UserError(f"got {value!r}; expected the form of {form!r}", row)
        return form

    def _raw(self, r: np.ndarray) -> np.ndarray:
        unit, (least, most), origin = self._unit(), self._ends(), self.origin or 0
        count = np.rint(r * _UNITS[unit])
        if not self.form.startswith("<M8") and "-" not in self.form:
            day = round(86_400 * _UNITS[unit])
            count = (count + origin) % day - origin
        there = (count >= least - origin) & (count <= most - origin)
        fine = (np.where(there, count, 0).astype(np.int64) + origin).astype(f"M8[{unit}]")
        fine[~there] = np.datetime64("NaT")
        if self.form.startswith("<M8"):
            return fine.astype(self.form)
        said = np.datetime_as_string(fine).astype(object)
        start = 0 if "-" in self.form else 11
        cut = np.frompyfunc(lambda s: None if s == "NaT" else s.replace("T", " " if " " in self.form else "T")[
            start:start + len(self.form)], 1, 1)(said)
        return np.asarray(cut, dtype=object)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "form": self.form, "origin": self.origin}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.form, self.origin = state["form"], state["origin"]

    def __repr__(self) -> str:
        return f"Time({self.form!r})" if self.form else "Time()"


def _is_time(text: str) -> bool:
    """Whether a text is a date, a datetime or a time of day."""
    match = _FORM.fullmatch(text)
    return bool(match and (match["date"] or match["clock"]) and bool(match["mark"]) == bool(match["date"] and match["clock"]))


def _shape(form: str) -> str:
    return re.sub(r"\d", "0", form) if not form.startswith("<M8") else form
