"""Label: one of finitely many categories. Counted, not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from given.variables import Codec, Entries, Finite, UserError

__all__ = ["Label"]


class Label(Codec):
    """One of finitely many categories: text, whole numbers, reals with few values, or booleans.

    Args:
        categories: the categories in the order of their symbols, all of one type; learned (sorted) when left out.

    A category that was not learned is an error, as is a missing value: nothing is put in its place.
    """

    def __init__(self, categories: Sequence[Any] | None = None) -> None:
        self.categories: np.ndarray | None = None
        self._stated = categories is not None
        if categories is not None:
            stated = np.array([*categories], dtype=object)
            if isinstance(categories, str) or not len(stated) or len(set(stated)) < len(stated):
                raise UserError(f"Label: expected a list of distinct categories, got {categories!r}")
            self.categories = _plain(stated)

    @property
    def space(self) -> Finite:
        return Finite(len(self._learned()))

    @property
    def measure(self) -> str:
        return "counting"

    def learn(self, raw: np.ndarray) -> None:
        if self._stated:
            self.encode(raw)
            return
        raw = _plain(raw)
        if self.categories is not None and (raw.dtype.kind == "U") != (self.categories.dtype.kind == "U"):
            raise UserError("expected categories of one type, got text and numbers; make them all text", row=0)
        self.categories = np.unique(raw) if self.categories is None else np.union1d(self.categories, raw)

    def encode(self, raw: np.ndarray) -> Entries:
        categories, raw = self._learned(), _plain(raw)
        if raw.dtype.kind in "US" and categories.dtype.kind not in "US":
            # A command line says everything in text: read it as the categories are.
            raw = _as_type(raw, categories.dtype)
        if (raw.dtype.kind in "US") != (categories.dtype.kind in "US"):
            raise UserError(f"got {raw.tolist()[0]!r}; expected one of {_listing(categories)}", row=0)
        symbols = np.searchsorted(categories, raw) if _sorted(categories) else _positions(categories, raw)
        symbols = np.minimum(symbols, len(categories) - 1)
        wrong = np.flatnonzero(categories[symbols] != raw)
        if len(wrong):
            row = int(wrong[0])
            raise UserError(f"unseen category {raw.tolist()[row]!r}; expected one of {_listing(categories)}", row)
        return Entries(torch.from_numpy(symbols.astype(np.int64)))

    def decode(self, x: Entries) -> np.ndarray:
        return self._learned()[x.tensor.cpu().numpy()]

    def state(self) -> dict[str, Any]:
        return {"categories": self._learned().tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.categories = np.array(state["categories"])

    def _learned(self) -> np.ndarray:
        if self.categories is None:
            raise UserError("Label() has no categories yet; let it learn from data or pass Label(categories=[...])")
        return self.categories

    def __repr__(self) -> str:
        return "Label()" if self.categories is None else f"Label({len(self.categories)} categories)"


def _plain(raw: np.ndarray) -> np.ndarray:
    """(B,) raw values as text, whole numbers, reals or booleans; errors for anything else."""
    if raw.ndim != 1:
        raise UserError(f"expected one category a row, (B,), got shape {raw.shape}; a grid of symbols wants another codec")
    if raw.dtype.kind == "O":
        for row, value in enumerate(raw):
            if value is None or (isinstance(value, float) and value != value):
                raise UserError("missing value; expected a category", row)
        if all(isinstance(value, str) for value in raw):
            return raw.astype(str)
        types = {type(value).__name__ for value in raw}
        if len(types) > 1:
            raise UserError(f"expected categories of one type, got {', '.join(sorted(types))}; make them all text")
        raw = np.array(raw.tolist())
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        row = int(np.flatnonzero(~np.isfinite(raw))[0])
        raise UserError(f"got {raw[row]}; expected a category", row)
    if raw.dtype.kind not in "biufU":
        got = type(raw.flat[0]).__name__ if raw.size else raw.dtype
        raise UserError(f"expected text, numbers or booleans, got {got}")
    return raw


def _as_type(raw: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Text read as numbers or booleans where it says them; as it was where it does not."""
    if dtype.kind == "b":
        lower = np.char.lower(raw)
        return lower == "true" if np.isin(lower, ["true", "false"]).all() else raw
    try:
        return raw.astype(dtype)
    except (ValueError, OverflowError):
        return raw


def _sorted(categories: np.ndarray) -> bool:
    return bool((categories[:-1] < categories[1:]).all())


def _positions(categories: np.ndarray, raw: np.ndarray) -> np.ndarray:
    where = {value: symbol for symbol, value in enumerate(categories.tolist())}
    return np.array([where.get(value, 0) for value in raw.tolist()], dtype=np.int64)


def _listing(categories: np.ndarray) -> str:
    shown = ", ".join(repr(c) for c in categories[:8].tolist())
    return shown + (f", ... ({len(categories)} in all)" if len(categories) > 8 else "")
