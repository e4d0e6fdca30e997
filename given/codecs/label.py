"""Label and Integer: one of finitely many values, unordered or ordered. Counted, not measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from given.variables import MISSING, Codec, Entries, Finite, NewValue, UserError, shown
from given.ways import way

__all__ = ["Integer", "Label"]

_OTHER = "(other)"
_WIDEST = 10_000
_EXACT = 2.0**53  # whole numbers up to here are exact among reals
_SHORT = 256  # characters up to which categories are an array of text, each cell as wide as the longest


class Label(Codec):
    """One of finitely many categories: text, whole numbers, reals with few values, or booleans.

    Args:
        categories: the categories in the order of their symbols, all of one type; learned (sorted) when left out.
        rare: categories of fewer rows are not learned as such; above 0 it takes `unseen="other"`.
        unseen: what a category that was not learned means. `error` (default), or `other`: one more symbol for whatever is
            rare or unseen, which comes back as "(other)" and is read as such.
        missing: what None or NaN means. `error` (default); `symbol`: one more category, where a value was missing while
            learning or the categories are stated, which comes back as None (NaN among reals); or `unknown`: the category is
            unseen, to be summed out while learning and scoring, as the label of a row that nobody labelled.

    A category may not be the text of such a symbol, "(other)" or "(missing)".
    """

    def __init__(self, categories: Sequence[Any] | None = None, *, rare: int = 0, unseen: str = "error",
                 missing: str = "error") -> None:
        for name, value, expected in (("unseen", unseen, ("error", "other")),
                                      ("missing", missing, ("error", "symbol", "unknown"))):
            if value not in expected:
                raise UserError(f"Label: {name}={value!r}; expected {' or '.join(map(repr, expected))}")
        if rare < 0 or (rare and (unseen != "other" or categories is not None)):
            raise UserError(f"Label: rare={rare}; expected 0, or with unseen='other' and categories to learn, a number of rows")
        self.rare, self.unseen, self.missing = rare, unseen, missing
        self.categories: np.ndarray | None = None
        self._stated = categories is not None
        self._any_missing = self._stated and missing == "symbol"
        self._counts = Counter[Any]()
        self._places = dict[Any, int]()
        if categories is not None:
            stated = np.array([*categories], dtype=object)
            if isinstance(categories, str) or not len(stated) or len(set(stated)) < len(stated):
                raise UserError(f"Label: expected a list of distinct categories, got {shown(categories)}")
            self._take(_plain(stated, np.arange(len(stated))).tolist())

    @property
    def space(self) -> Finite:
        return Finite(len(self._learned()) + (self.unseen == "other") + self._any_missing)

    @property
    def measure(self) -> str:
        return "counting"

    def learn(self, raw: np.ndarray) -> None:
        absent = _absent(raw)
        self._any_missing |= self.missing == "symbol" and bool(absent.any())
        if self._stated:
            self.encode(raw)
            return
        values = _plain(raw, np.flatnonzero(~absent | (self.missing == "error"))).tolist()
        if values and self._counts and isinstance(values[0], str) != isinstance(next(iter(self._counts)), str):
            raise UserError("expected categories of one type, got text and numbers; make them all text", row=0)
        self._counts.update(values)
        self._take(sorted(v for v, times in self._counts.items() if times >= self.rare))

    def _take(self, categories: list[Any]) -> None:
        for symbol, there, why in ((_OTHER, self.unseen == "other", "what is rare or unseen"),
                                   (MISSING, self._any_missing, "missing values")):
            if there and symbol in categories:
                raise UserError(f"got the category {symbol!r}, which stands for {why}; rename it, or pass a Label() without")
        self.categories, self._places = _array(categories), {v: i for i, v in enumerate(categories)}

    def encode(self, raw: np.ndarray) -> Entries:
        categories = self._learned()
        symbols = np.full(len(raw), self.space.size - 1, dtype=np.int64)
        holes = (self._any_missing or self.missing == "unknown") and raw.ndim == 1
        plain = ~_absent(raw) if holes else np.ones(len(raw), dtype=bool)
        seen = torch.from_numpy(plain.copy()) if self.missing == "unknown" else None
        if self.unseen == "other" and raw.ndim == 1 and raw.dtype.kind in "OU":  # a draw of it, among numbers too
            other = np.array([v == _OTHER for v in raw.tolist()], dtype=bool)
            symbols[other], plain = len(categories), plain & ~other
        rows = np.flatnonzero(plain)
        values = _plain(raw, rows).tolist()
        like = categories.tolist()[0] if len(categories) else ""
        if values and isinstance(values[0], str) and not isinstance(like, str):
            # A command line passes everything as text: read it as the categories are.
            values = [_said(value, type(like)) for value in values]
        found = np.array([self._places.get(value, -1) for value in values], dtype=np.int64)
        if self.unseen == "error" and (found < 0).any():
            wrong = np.flatnonzero(found < 0)
            raise NewValue(f"unseen category {shown(values[wrong[0]])}; expected one of {_listing(categories)}", rows[wrong])
        symbols[rows] = np.where(found < 0, len(categories), found)
        return Entries(self.space.narrow(symbols), seen)

    def decode(self, x: Entries) -> np.ndarray:
        values = self._learned()
        if self.unseen == "other":
            values = np.append(values if values.dtype.kind == "U" else values.astype(object), _OTHER)
        if self._any_missing:
            nan: Any = np.nan if values.dtype.kind == "f" else None
            values = np.append(values if nan else values.astype(object), nan)
        return values[x.tensor.cpu().numpy()]

    def state(self) -> dict[str, Any]:
        return {"categories": self._learned().tolist(), "missing": self._any_missing}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._any_missing = bool(state["missing"])
        self._take(state["categories"])

    def _learned(self) -> np.ndarray:
        if self.categories is None:
            raise UserError("Label() has no categories yet; let it learn from data or pass Label(categories=[...])")
        return self.categories

    def __repr__(self) -> str:
        if self.categories is None:
            return "Label()"
        more = ["other"] * (self.unseen == "other") + ["missing"] * self._any_missing
        return f"Label({' and '.join([f'{len(self.categories)} categories', *more])})"


class Integer(Codec):
    """A whole number in a range, such as an age: counted, each number beside its neighbours.

    Args:
        least, most: the range; learned when left out. Numbers in it that were not seen are possible too.
        missing: what None or NaN means. `error` (default), or `symbol`: one more level above the largest, where a value
            was missing while learning or the range is stated.

    A number out of the range is an error.
    """

    def __init__(self, least: int | None = None, most: int | None = None, *, missing: str = "error") -> None:
        if missing not in ("error", "symbol"):
            raise UserError(f"Integer: missing={missing!r}; expected 'error' or 'symbol'")
        if (least is None) != (most is None) or (least is not None and most is not None and least > most):
            raise UserError(f"Integer: expected a range from least to most, or neither, got {least} and {most}")
        self.least, self.most, self.missing = least, most, missing
        self._stated = least is not None
        self._any_missing = self._stated and missing == "symbol"

    @property
    def space(self) -> Finite:
        least, most = self._learned()
        return Finite(most - least + 1 + self._any_missing, ordered=True)

    @property
    def measure(self) -> str:
        return "counting"

    def learn(self, raw: np.ndarray) -> None:
        r = self._numbers(raw)
        self._any_missing |= bool(np.isnan(r).any())
        if self._stated or np.isnan(r).all():
            return
        self.least = min(int(np.nanmin(r)), int(np.nanmin(r)) if self.least is None else self.least)
        self.most = max(int(np.nanmax(r)), int(np.nanmax(r)) if self.most is None else self.most)
        if self.most - self.least >= _WIDEST:
            raise UserError(f"got {self.least} to {self.most}; expected at most {_WIDEST} whole numbers; use Number()")

    def encode(self, raw: np.ndarray) -> Entries:
        (least, most), r = self._learned(), self._numbers(raw)
        out = (r < least) | (r > most) | (np.isnan(r) & (not self._any_missing))
        if out.any():
            rows = np.flatnonzero(out)
            if np.isnan(r[rows[0]]):
                raise NewValue(f"is missing, and no value was where it was learned; expected {least} to {most}", rows)
            raise NewValue(f"got {r[rows[0]]:g}; expected {least} to {most}; "
                           + way("pass Integer(least, most), or use Number()", "learn it by --as NAME=Number()"), rows)
        return Entries(self.space.narrow(np.where(np.isnan(r), most - least + 1, r - least)))

    def decode(self, x: Entries) -> np.ndarray:
        least, most = self._learned()
        r = x.tensor.cpu().numpy() + least
        return np.where(r > most, np.nan, r) if self._any_missing else r

    def state(self) -> dict[str, Any]:
        return {"range": list(self._learned()), "missing": self._any_missing}

    def restore(self, state: Mapping[str, Any]) -> None:
        (self.least, self.most), self._any_missing = state["range"], bool(state["missing"])

    def _learned(self) -> tuple[int, int]:
        if self.least is None or self.most is None:
            raise UserError("Integer() has not seen data yet; let it learn, or pass Integer(least, most)")
        return self.least, self.most

    def _numbers(self, raw: np.ndarray) -> np.ndarray:
        """(B,) float64, whole or NaN where that is allowed."""
        if raw.ndim != 1:
            raise UserError(f"expected one whole number a row, (B,), got shape {raw.shape}")
        try:
            r = np.array([np.nan if v is None else v for v in raw.tolist()], dtype=np.float64)
        except (TypeError, ValueError):
            odd = [row for row, v in enumerate(raw.tolist()) if v is not None and not _reads_as(v, float)]
            raise NewValue(f"got {raw.tolist()[odd[0]]!r}; expected whole numbers; "
                           + way("use Label() for text", "learn text by --as NAME=label"), odd) from None
        wrong = (np.abs(r) > _EXACT) | (r != np.rint(r)) & ~(np.isnan(r) & (self.missing == "symbol"))
        if wrong.any():
            rows = np.flatnonzero(wrong)
            bounded = " up to 2**53; use Label()" if np.abs(r[rows[0]]) > _EXACT else ""
            got = "is missing" if np.isnan(r[rows[0]]) else f"got {r[rows[0]]}"
            raise NewValue(f"{got}; expected a whole number{bounded}", rows)
        return r

    def __repr__(self) -> str:
        return "Integer()" if self.least is None else f"Integer({self.least} to {self.most}{' or missing' * self._any_missing})"


def _absent(raw: np.ndarray) -> np.ndarray:
    """Where a value is None or NaN."""
    if raw.dtype.kind == "O":
        return np.array([v is None or (isinstance(v, float) and v != v) for v in raw.ravel().tolist()]).reshape(raw.shape)
    return np.isnan(raw) if raw.dtype.kind == "f" else np.zeros(raw.shape, dtype=bool)


def _plain(raw: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Raw values of some rows (B,) as text, whole numbers, reals or booleans; errors for anything else."""
    if raw.ndim != 1:
        raise UserError(f"expected one category a row, (B,), got shape {raw.shape}; a grid of symbols wants another codec")
    raw = raw[rows]
    if raw.dtype.kind == "O":
        if (absent := _absent(raw)).any():
            raise NewValue("missing value; expected a category", rows[absent])
        values = raw.tolist()
        if all(isinstance(value, str) for value in values):
            return raw  # as objects: an array of text gives every cell the width of the longest
        types = {type(value).__name__ for value in values}
        if len(types) > 1:
            raise UserError(f"expected categories of one type, got {', '.join(sorted(types))}; make them all text")
        raw = np.array(values)
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        wrong = ~np.isfinite(raw)
        raise NewValue(f"got {raw[wrong][0]}; expected a category", rows[wrong])
    if raw.dtype.kind not in "biufU":
        got = type(raw.flat[0]).__name__ if raw.size else raw.dtype
        raise UserError(f"expected text, numbers or booleans, got {got}")
    return raw


def _array(categories: list[Any]) -> np.ndarray:
    long = not categories or (isinstance(categories[0], str) and (
        max(map(len, categories)) > _SHORT or any(c.endswith("\0") for c in categories)))
    return np.array(categories, dtype=object if long else None)


def _said(text: str, kind: type) -> Any:
    """Text read as a number or boolean where it is one; as it was where it is not."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text


def _reads_as(value: Any, kind: type) -> bool:
    try:
        kind(value)
    except (TypeError, ValueError):
        return False
    return True


def _listing(categories: np.ndarray) -> str:
    some = ", ".join(shown(c) for c in categories[:8].tolist())
    return some + (f", ... ({len(categories)} in all)" if len(categories) > 8 else "")
