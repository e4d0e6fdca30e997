"""Complex: complex numbers as pairs of reals, the real and the imaginary part, on one scale. Measured by area.

    z = (r - mean) / scale,  scale^2 = E |r - mean|^2 / 2

One scale for both parts keeps what is circular circular: a rotation of raw values is one of entries. A density is that of the
pair, per unit of each part, so p(r) = p(z) / scale^2.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from given.scales import Line, Measured
from given.variables import Axis, NewValue, Real, UserError, shown

__all__ = ["Complex", "are_complex"]

_REAL = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_WRITTEN = re.compile(rf"(?P<real>[+-]?{_REAL}(?! ?[ij]|\d|\.))?(?P<imag>(?(real) ?[+-] ?|[+-]?){_REAL}[ij])?")


class Complex(Measured):
    """A complex number (B,), or a grid of them (B, ...), each on a line of its own. Real numbers are complex ones.

    Text is read as Python and MATLAB write it, `1+2j` or `1+2i`. Draws are complex128. Entries have a last axis, "part", of a
    real and an imaginary one.

    Args:
        missing: what NaN in either part means. `error` (default), or `unknown`: the entry is unseen, to be marginalised.
    """

    def __init__(self, *, missing: str = "error") -> None:
        if missing == "symbol":
            raise UserError("Complex: missing='symbol'; expected 'error' or 'unknown'")
        super().__init__(missing, (), "linear")
        self.scale_of = Line(tied=True)

    @property
    def space(self) -> Real:
        whole = super().space
        return Real(axes=(*whole.axes[:-1], Axis("part", 2, role="channel")))

    @property
    def item_axes(self) -> int:
        return len(self.space.axes) - 1

    def numbers(self, raw: np.ndarray) -> np.ndarray:
        """(B, ..., 2) real and imaginary parts."""
        return self._reals(raw)

    def raw_of(self, numbers: np.ndarray) -> np.ndarray:
        return self._raw(numbers)

    def differences(self, numbers: Any) -> Any:
        return self._raw(numbers)

    def _reals(self, raw: np.ndarray) -> np.ndarray:
        if raw.dtype.kind in "OUS":
            raw = np.array([_complex(v, row) for row, v in enumerate(raw.tolist())], dtype=complex) if raw.ndim == 1 else raw
        if raw.dtype.kind not in "biufc":
            raise UserError(f"expected complex numbers, got {raw.dtype}")
        r = np.stack([raw.real, raw.imag], -1).astype(np.float64)
        return np.where(np.isnan(r).any(-1, keepdims=True), np.nan, r)

    def _raw(self, r: np.ndarray) -> np.ndarray:
        return r[..., 0] + 1j * r[..., 1]

    def __repr__(self) -> str:
        return f"Complex(missing={self.missing!r})" if self.missing != "error" else "Complex()"


def _complex(value: Any, row: int) -> complex:
    if value is None:
        return complex("nan")
    try:
        return complex(value.replace(" ", "").replace("i", "j") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        raise NewValue(f"got {shown(value)}; expected a complex number such as 1+2j", [row]) from None


def are_complex(raw: np.ndarray) -> bool:
    """Whether texts (B,), None among them, are complex numbers, of which some have both parts."""
    values, both = [v for v in raw.tolist() if v is not None], False
    for v in values:
        found = _WRITTEN.fullmatch(v) if isinstance(v, str) else None
        if found is None:
            return False
        both = both or (found["real"] is not None and found["imag"] is not None)
    return both
