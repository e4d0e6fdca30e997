"""Tail: how a curve goes on beyond its outermost knot.

Under a normal z a tail is a power distribution, whatever the column looks like. With x the distance beyond the knot (r0, z0), b
= |z0| and s a length,

    z = z0 +- (sqrt(b^2 + 2 a t) - b),    t = log(1 + x / s),

so that exp(-z^2 / 2) falls as (1 + x / s)^-a: a length that was misjudged by a factor costs the logarithm of that factor. With
a = 3, draws have a mean and a variance.

That holds to z1, |z1| = 4 or as far out as data were seen, where t has reached t1 and its slope in z is k. A family may have
tails wider than a normal's, of which exp(t) has no mean. So from there on, with T = t - t1 and c = 3,

    z = z1 +- (T + T^2 / (2 c)) / k,    t = t1 + c (sqrt(1 + 2 k |z - z1| / c) - 1),

and values have every moment wherever z falls as exp(-|z|) or faster. One a million lengths out lies near |z| = 40.

A tail may end: before r0 +- w it has x w / (w - x) for x, which is infinite there, and a = 1, under which the density stays
about level up to the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["REACH", "Tail", "tails"]

REACH = 8.0  # |z| where a tail that ends is as good as there: a normal draw is beyond once in 10^15
_BEND, _SEEN = 3.0, 4.0  # c, least |z1|
_FARTHEST = 1e150  # the largest distance that decodes


@dataclass(frozen=True)
class Tail:
    """One tail, upward or downward.

    Args:
        sign: 1 upward, -1 downward.
        r, z: where it begins.
        length: s.
        end: the value it ends at, or None.
        turn: |z1 - z|, from where it widens more slowly, or None.
    """

    sign: int
    r: float
    z: float
    length: float
    end: float | None = None
    turn: float | None = None

    @property
    def power(self) -> float:
        """a."""
        return 3.0 if self.end is None else 1.0

    @property
    def b(self) -> float:
        """At least 1, so that the slope at the knot is finite."""
        return max(self.sign * self.z, 1.0)

    def to_z(self, r: np.ndarray) -> np.ndarray:
        """Values at or beyond `self.r`, and before the end, to entries."""
        x = np.maximum(self.sign * (r - self.r), 1e-300)
        if self.end is not None:
            x = x / ((self.end - r) / (self.end - self.r))
        t = np.logaddexp(0, np.log(x) - math.log(self.length))
        rise = 2 * self.power * t / (np.sqrt(self.b**2 + 2 * self.power * t) + self.b)
        if self.turn is not None:
            more = np.maximum(t - self._near(self.turn), 0)
            rise = np.where(more > 0, self.turn + (more + more**2 / (2 * _BEND)) / self._widens, rise)
        return self.z + self.sign * rise

    def to_r(self, z: np.ndarray) -> np.ndarray:
        """Entries at or beyond `self.z` to values."""
        x = self.length * np.expm1(np.minimum(self._t(z), math.log1p(_FARTHEST / self.length)))
        if self.end is None:
            return self.r + self.sign * x
        w = self.sign * (self.end - self.r)
        return self.end - self.sign * w / (1 + x / w)

    def log_slope(self, z: np.ndarray) -> np.ndarray:
        """log dz/dr at entries at or beyond `self.z`."""
        t, rise = self._t(z), self.sign * (z - self.z)
        near = rise if self.turn is None else np.minimum(rise, self.turn)
        slope = math.log(self.power / self.length) - np.log(self.b + near) - t
        if self.turn is not None:
            slope = slope + 0.5 * np.log1p(2 * self._widens / _BEND * np.maximum(rise - self.turn, 0))
        if self.end is None:
            return slope
        w = self.sign * (self.end - self.r)
        return slope + 2 * np.log1p(self.length * np.expm1(t) / w)

    def _t(self, z: np.ndarray) -> np.ndarray:
        rise = self.sign * (z - self.z)
        if self.turn is None:
            return self._near(rise)
        farther = np.sqrt(1 + 2 * self._widens / _BEND * np.maximum(rise - self.turn, 0)) - 1
        return self._near(np.minimum(rise, self.turn)) + _BEND * farther

    def _near(self, rise: Any) -> Any:
        """t, before it turns."""
        return rise * (2 * self.b + rise) / (2 * self.power)

    @property
    def _widens(self) -> float:
        """k."""
        return (self.b + (self.turn or 0)) / self.power


def tails(knots: np.ndarray, heights: np.ndarray, extremes: tuple[float, float], top: float,
          ends: tuple[float | None, float | None], endless: bool = True) -> list[Tail]:
    """The tails of a curve, from the lowest upward.

    A tail begins no steeper than the curve is over half a unit of z before it, and has the column's extreme at |z| <= `top`.

    Args:
        knots, heights: of the curve, rising.
        extremes: the least and the greatest value.
        top: the height that the greatest of so many normal draws has.
        ends: values that nothing is drawn beyond, or None.
        endless: whether a side that does not end, or far away, has a tail.
    """
    found: list[Tail] = []
    for sign, extreme, end in zip((-1, 1), extremes, ends, strict=True):
        r, z = (knots[::-sign], heights[::-sign])
        near = min(int(np.searchsorted(np.abs(z - z[0]), 0.5)), len(z) - 1)
        width = abs(r[near] - r[0]) / abs(z[near] - z[0])
        tail = _tail(sign, float(r[0]), float(z[0]), width, extreme, top)
        if end is not None and sign * (end - tail.r) > 0 and sign * float(tail.to_z(np.array(end))) < REACH:
            tail = _tail(sign, float(r[0]), float(z[0]), width, extreme, top, end)
            beyond = float(tail.to_r(np.array(sign * REACH)))
            found += [tail, Tail(sign, beyond, sign * REACH, abs(end - tail.r), turn=0.0)][::sign]
        elif endless:
            found.append(tail)
    return found


def _tail(sign: int, r: float, z: float, width: float, extreme: float, top: float, end: float | None = None) -> Tail:
    tail = Tail(sign, r, z, 1.0, end)
    length = tail.power * width / tail.b
    beyond = sign * (extreme - r)
    if end is not None and beyond > 0:
        beyond = beyond * (sign * (end - r)) / max(sign * (end - extreme), 1e-12 * abs(end - r))
    rise = max(top - sign * z, 0.25)
    length = max(length, beyond / math.expm1(rise * (2 * tail.b + rise) / (2 * tail.power)), 1e-12 * abs(r), 1e-150)
    return Tail(sign, r, z, length, end, None if end is not None else max(rise, _SEEN - sign * z))
