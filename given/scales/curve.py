"""Curve: one column's atoms, and a curve through the quantiles of the rest.

An entry z is piecewise linear in r through knots (value, normal quantile of its rank), so that the column's entries are nearly
normal. Beyond the outer knots it follows `Tail`s, which no value and no draw can lead far out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from given.scales.tail import Tail, tails
from given.variables import UserError

__all__ = ["Curve"]

_HELD = 1 << 16  # rows a curve is drawn through
_DISTINCT = 100_000  # values counted exactly
_SHARE, _LEAST, _MOST = 0.01, 10, 100  # of an atom: share of rows, rows; atoms a column
_INTERVALS = 64
_APART = 2.0**-40  # of their size: the least distance of two knots, so that rounding makes no slope
_GAP = 0.9  # an interval most of which is empty is cut at its gap


class Curve:
    """One column: its atoms, and a curve or a line through the rest.

    An atom is a value of at least 10 rows and 1 % of the rows that no more frequent atom holds, 100 at most: 1 % of the
    rows alone would leave the ties of a few rows beside one value of nearly all to a density. Values are counted exactly up
    to 100,000 distinct ones; from there each count is low by at most a 100,000th of the rows (Misra, Gries, Finding
    repeated elements, 1982). The curve is drawn through 65,536 rows at most, chosen by a hash of their number.

    Where no value is negative (or none positive), curve and line end at zero, or half a step of the column's grid beyond it.
    Values past the end lie at |z| > 8. Without a grid zero itself, which has no density there, is an atom.

    Args:
        stated: the atoms, or None to find them.
        straight: a line in place of the curve, with a tail only to such an end.
        missing: whether a missing value is an atom.
        signed: whether zero may be an end.

    Attributes:
        step: the distance of two values that follow each other on the column's grid, or 0.
    """

    shape = ()

    def __init__(self, stated: Sequence[float] | None, straight: bool, missing: bool, signed: bool) -> None:
        self.stated, self.straight, self.missing, self.signed = stated, straight, missing, signed
        self.any_missing, self.rows, self.seen, self.step = False, 0, 0, 0.0
        self.least, self.most = np.inf, -np.inf
        self.keys, self.held = np.empty(0, np.uint64), np.empty(0)
        self.values: np.ndarray = np.empty(0)
        self.counts: np.ndarray = np.empty(0)
        self.knots: np.ndarray = np.empty(0)
        self.heights: np.ndarray = np.empty(0)
        self.tails: list[Tail] = []
        self.learned: tuple[np.ndarray, np.ndarray] | None = None  # atoms r, z
        self._current = True

    def learn(self, r: np.ndarray) -> None:
        """Count and hold one more batch (B,)."""
        if r.ndim != 1:
            raise UserError(f"expected one number a row, (B,), got {r.shape}; a grid has Number(), without atoms or curve")
        present = r[~np.isnan(r)]
        self.any_missing |= len(present) < len(r)
        self.least, self.most = min(self.least, present.min(initial=np.inf)), max(self.most, present.max(initial=-np.inf))
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
        """Make atoms, knots and tails of what was counted and held."""
        if self._current:
            return
        atoms = np.sort(np.array(self._frequent() if self.stated is None else self.stated, dtype=np.float64))
        present = self.held[~np.isnan(self.held)]
        rest = present[~np.isin(present, atoms)]
        r = np.sort(rest if len(rest) else present)
        self.knots, self.heights = _line(r, present) if self.straight else _knots(r, present)
        knots, top = self.knots, _normal(1 - 0.5 / max(len(r), 2))
        if self.straight:  # over all that was learned, and beyond where there is no end
            knots = r[[0, -1]] if len(r) and r[0] < r[-1] else np.empty(0)
        heights, self.tails = _along(knots, self.knots, self.heights), []
        if len(knots):
            self.tails = tails(knots, heights, (r.min(initial=knots[0]), r.max(initial=knots[-1])), top, self._ends(),
                               not self.straight)
        self._take(atoms)

    def _ends(self) -> tuple[float | None, float | None]:
        if self.signed or self.least == self.most:
            return None, None
        return (-self.step / 2 if self.least >= 0 else None), (self.step / 2 if self.most <= 0 else None)

    def _frequent(self) -> list[float]:
        atoms, left = list[float](), float(self.seen)
        for i in np.argsort(-self.counts, kind="stable")[:_MOST]:
            if self.counts[i] < max(_LEAST, _SHARE * left):
                break
            atoms.append(float(self.values[i]))
            left -= self.counts[i]
        if not self.step and 0.0 not in atoms and 0.0 in [e for e in self._ends() if e is not None] \
                and 0.0 in (self.least, self.most):
            atoms.append(0.0)
        return atoms

    def _take(self, atoms: np.ndarray) -> None:
        at = self._to_z(atoms)
        at = np.sign(at) * np.where(np.abs(at) > 4, 4 + np.log1p(np.abs(np.abs(at) - 4)), np.abs(at))  # a net reads these
        for i in range(1, len(at)):  # atoms far closer than the rest is wide
            at[i] = max(at[i], at[i - 1] + 1e-6 * max(1, abs(at[i - 1])))
        if self.missing and self.any_missing:
            atoms, at = np.append(np.nan, atoms), np.append(min(at.min(initial=-4), -4) - 1, at)
        self.learned, self._current = (atoms, at), True

    @property
    def atoms(self) -> tuple[float, ...]:
        """The entries of the atoms, rising."""
        return tuple(self._all()[1].tolist())

    def z(self, r: np.ndarray) -> np.ndarray:
        """Values, NaN where missing, to entries."""
        atoms, at = self._all()
        z = self._to_z(np.nan_to_num(r))
        z = np.where(np.isin(z, at), np.nextafter(z, np.inf), z)  # a neighbour of an atom, by rounding, is not the atom
        for value, entry in zip(atoms, at, strict=True):
            z[(r == value) | (np.isnan(r) & np.isnan(value))] = entry
        return z

    def r(self, z: np.ndarray) -> np.ndarray:
        """Entries to values."""
        atoms, at = self._all()
        r = self._with_tails(_along(z, self.heights, self.knots), z, [tail.z for tail in self.tails], Tail.to_r)
        for value, entry in zip(atoms, at, strict=True):
            r = np.where(z == entry, value, r)
        return r

    def log_slope(self, z: np.ndarray) -> np.ndarray:
        """log dz/dr at entries, 0 at atoms."""
        _, at = self._all()
        slope = np.diff(self.heights) / np.diff(self.knots)
        found = np.log(slope[_between(z, self.heights)])
        found = self._with_tails(found, z, [tail.z for tail in self.tails], Tail.log_slope)
        return np.where(np.isin(z, at), 0.0, found)

    def place(self, r: np.ndarray) -> np.ndarray:
        """Numbers to entries, whether or not they are atoms."""
        self.settle()
        return self._to_z(r)

    @property
    def ends(self) -> tuple[float, float]:
        """Below and above which there are no values."""
        self.settle()
        low, high = ([t.end for t in self.tails if t.sign == sign and t.end is not None] for sign in (-1, 1))
        return (low[0] if low else -np.inf), (high[0] if high else np.inf)

    def _to_z(self, r: np.ndarray) -> np.ndarray:
        return self._with_tails(_along(r, self.knots, self.heights), r, [tail.r for tail in self.tails], Tail.to_z)

    def _with_tails(self, inner: np.ndarray, x: np.ndarray, starts: list[float],
                    outer: Callable[[Tail, np.ndarray], np.ndarray]) -> np.ndarray:
        """What holds of x between the knots, and where a tail has begun what holds there."""
        piece = np.searchsorted(starts, x, side="right")  # a knot has the slope to its right
        for i, tail in enumerate(self.tails):
            there = piece == (i if tail.sign < 0 else i + 1)
            inner[there] = outer(tail, x[there])
        return inner

    def state(self) -> dict[str, Any]:
        """What was learned, as JSON."""
        atoms, _ = self._all()
        return {"knots": [self.knots.tolist(), self.heights.tolist()], "atoms": atoms[~np.isnan(atoms)].tolist(),
                "tails": [[t.sign, t.r, t.z, t.length, t.end, t.turn] for t in self.tails], "missing": self.any_missing}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the state back."""
        self.any_missing = bool(state["missing"])
        self.knots, self.heights = (np.array(side, dtype=np.float64) for side in state["knots"])
        self.tails = [Tail(*tail) for tail in state["tails"]]
        self._take(np.array(state["atoms"], dtype=np.float64))

    def _all(self) -> tuple[np.ndarray, np.ndarray]:
        self.settle()
        assert self.learned is not None
        return self.learned


def _hash(rows: np.ndarray) -> np.ndarray:
    """SplitMix64 of the rows' numbers: held rows are spread without a rhythm, which data may have too."""
    z = (rows + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _normal(p: Any) -> Any:
    """The normal quantiles of probabilities."""
    return torch.special.ndtri(torch.as_tensor(p, dtype=torch.float64)).numpy()[()]


def _line(r: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A standard deviation about the mean; of the whole column, atoms too, where the rest does not vary."""
    if not len(r):
        return np.array([-1.0, 1.0]), np.array([-1.0, 1.0])
    mean = float(r.mean())
    scale = next((s for s in (float(r.std()), float(present.std())) if s > 1e-14 * np.abs(present).max()), 1.0)
    scale = max(scale, 1e-14 * abs(mean))
    return np.array([mean - scale, mean + scale]), np.array([-1.0, 1.0])


def _knots(r: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two or more points (r, z), both rising, of values (n,) in order: 2 n^(1/3) intervals of z, the outer ones with some five
    rows beyond them. A knot is a value, its height the normal quantile of its middle rank."""
    if len(r) < 2 * _LEAST:
        return _line(r, present)
    values, counts = np.unique(r, return_counts=True)
    heights = _normal((counts.cumsum() - counts / 2) / len(r))
    top = _normal(1 - 5 / len(r))
    wanted = np.linspace(-top, top, min(_INTERVALS, round(2 * len(r) ** (1 / 3))) + 1)
    picked = _cut(values, np.unique(np.searchsorted(heights, wanted).clip(max=len(values) - 1)))
    kept = picked[:1]
    for i in picked[1:]:
        if values[i] - values[kept[-1]] > _APART * max(abs(values[i]), abs(values[kept[-1]])):
            kept = np.append(kept, i)
    return (values[kept], heights[kept]) if len(kept) > 1 else _line(r, present)


def _cut(values: np.ndarray, picked: np.ndarray) -> np.ndarray:
    """More knots, at both ends of a gap that fills an interval of three values or more: two scales in one column."""
    todo, found = list(zip(picked[:-1].tolist(), picked[1:].tolist(), strict=True)), set(picked.tolist())
    while todo:
        a, b = todo.pop()
        if b - a < 4:
            continue
        gaps = np.diff(values[a:b + 1])
        widest = a + int(gaps.argmax())
        if gaps.max() > _GAP * (values[b] - values[a]):
            found |= {widest, widest + 1}
            todo += [(a, widest), (widest + 1, b)]
    return np.array(sorted(found))


def _between(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Which interval between knots each x is in, the outer ones reaching to infinity."""
    return np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)


def _along(x: np.ndarray, knots: np.ndarray, heights: np.ndarray) -> np.ndarray:
    i = _between(x, knots)
    return heights[i] + (x - knots[i]) * (np.diff(heights) / np.diff(knots))[i]
