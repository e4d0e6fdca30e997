"""Number: reals, straightened. What many rows share is an atom; the rest follows a line or a curve.

A density in raw units is p(r) = p(z) dz/dr, and `log_volume` is log dz/dr. An atom is an entry of its own with a probability
instead: volume 0. All in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from given.scales import Curve, Measured
from given.variables import Entries, NewValue, UserError, shown

__all__ = ["Number"]

_WHOLE = 2**53  # whole numbers up to here are exact
_DECIMALS = 12


class Number(Measured):
    """A real number (B,), or a grid of them (B, ...), each entry on a line of its own.

    Args:
        missing: what NaN means. `error` (default); `unknown`: the entry is unseen, to be marginalised; `symbol`: one more
            atom, where a value was missing while learning.
        atoms: values, in raw units, with a mass of their own; or `auto`: those of at least 10 rows and 1 % of the rows
            that no more frequent atom holds, 100 at most.
        curve: `linear` (default), `quantile` for a column whose entries should be nearly normal, `log` for numbers above 0 that
            change by shares of themselves, such as prices, or `log1p`, of log(1 + r), for counts and amounts from 0 up.
        whole: whether values are whole numbers, and drawn as such: int64, or float64 where they may be missing (`unknown`,
            or a symbol); by default whether all learned were, for a single number a row. Densities remain per unit of length.

    Single numbers are drawn with as many decimals as those learned have, 12 at most, and not negative where none of those is.
    The plain line of Number() alone knows no such end.

    Atoms, a curve and `symbol` are for single numbers. Infinity is always an error, and so is a whole number beyond 2**53,
    which float64 would round.
    """

    def __init__(self, *, missing: str = "error", atoms: str | Sequence[float] = (), curve: str = "linear",
                 whole: bool | None = None) -> None:
        self.whole, self._stated = bool(whole), whole is not None
        self.decimals: int | None = 0
        self._largest = 0.0
        super().__init__(missing, atoms, curve)

    def learn(self, raw: np.ndarray) -> None:
        r = self._checked(raw)
        self._learn(r)
        if r.ndim == 1:
            self._largest = max(self._largest, float(np.nanmax(np.abs(r), initial=0)))
        eps = float(np.finfo(raw.dtype if raw.dtype.kind == "f" else np.float64).eps)
        self.decimals = _decimals(r, self.decimals, self._largest, eps) if r.ndim == 1 else None
        if not self._stated:
            self.whole = self.decimals == 0
        if isinstance(self.scale_of, Curve):
            self.scale_of.step = 0.0 if self._places is None else 10.0**-self._places

    @property
    def _places(self) -> int | None:
        """The decimals that draws are rounded to, or None."""
        return 0 if self.whole else self.decimals or None

    @property
    def step(self) -> float:
        return 0.0 if self._places is None else 10.0**-self._places

    def encode(self, raw: np.ndarray) -> Entries:
        x = super().encode(raw)
        if self.whole:
            wrong = ~_is_whole(r := self._reals(raw))
            if wrong.any():
                rows = np.flatnonzero(wrong)
                raise NewValue(f"got {r[rows[0]]}; expected a whole number; pass Number(whole=False)", rows)
        return x

    def state(self) -> dict[str, Any]:
        return {**super().state(), "whole": self.whole, "decimals": self.decimals}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.whole, self.decimals = bool(state["whole"]), state["decimals"]

    def _reals(self, raw: np.ndarray) -> np.ndarray:
        if raw.dtype.kind in "OUS":
            raw = np.array([_real(value, row) for row, value in enumerate(raw.tolist())]) if raw.ndim == 1 else raw
        if raw.dtype.kind not in "biuf":
            raise UserError(f"expected numbers, got {raw.dtype}")
        if raw.dtype.kind in "iu" and (large := (raw > _WHOLE) | (raw < -_WHOLE)).any():
            raise _too_large(raw[large][0], int(np.argwhere(large)[0][0]))
        return raw.astype(np.float64, copy=False)

    def _raw(self, r: np.ndarray) -> np.ndarray:
        if not self.whole:
            return r if self._places is None else np.round(r, self._places) + 0.0  # no -0.0
        whole = np.rint(r) + 0.0
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


def _decimals(r: np.ndarray, least: int | None, largest: float, eps: float) -> int | None:
    """The fewest decimals, `least` or more, that all values (B,) have to rounding; None where they have none in common."""
    r = r[~np.isnan(r)]
    for places in range(_DECIMALS + 1 if least is None else least, _DECIMALS + 1):
        if places and largest * 10.0**places * eps > 1e-3:  # a grid this fine is that of rounding
            return None
        parts = (r[:64], r)  # most are refuted by a few
        if all((_is_whole(part) if not places else np.abs(part - np.round(part, places)) <= 4 * eps * np.abs(part)).all()
               for part in parts):
            return places
    return None


def _real(value: Any, row: int) -> float:
    if value is None:
        return float("nan")
    try:
        r = float(value)
    except (TypeError, ValueError, OverflowError):
        raise NewValue(f"got {shown(value)}; expected a number", [row]) from None
    if abs(r) >= _WHOLE and str(value).lstrip("+-").isdecimal() and abs(int(value)) > _WHOLE:
        raise _too_large(value, row)
    return r


def _too_large(value: Any, row: int) -> UserError:
    return NewValue(f"got {value}; expected whole numbers up to 2**53, beyond which float64 rounds them; take them as "
                    "categories, Label(), or divide them", [row])
