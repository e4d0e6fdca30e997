"""Symbols: a sequence of varying length, such as a word's letters. Its end is an entry, so its length is modelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from given.variables import Axis, Codec, Entries, Finite, UserError

__all__ = ["Symbols"]


class Symbols(Codec):
    """Text, one item a row, as its characters and an end.

    Args:
        alphabet: the characters; learned (sorted) when left out.
        longest: the most characters an item has; learned when left out.

    A character or a length that was not learned is an error.
    """

    def __init__(self, alphabet: Sequence[str] | None = None, longest: int | None = None) -> None:
        self.alphabet = None if alphabet is None else "".join(alphabet)
        self.longest = longest
        self._stated = alphabet is not None, longest is not None

    @property
    def space(self) -> Finite:
        alphabet, longest = self._learned()
        return Finite(len(alphabet) + 1, end=len(alphabet), axes=(Axis("place", longest + 1, "modelled"),))

    @property
    def measure(self) -> str:
        return "counting"

    @property
    def item_axes(self) -> int:
        return 0

    def learn(self, raw: np.ndarray) -> None:
        items = _texts(raw)
        if not self._stated[0]:
            self.alphabet = "".join(sorted({*(self.alphabet or ""), *(c for item in items for c in item)}))
        if not self._stated[1]:
            self.longest = max([self.longest or 0, *map(len, items)])

    def encode(self, raw: np.ndarray) -> Entries:
        alphabet, longest = self._learned()
        items, place = _texts(raw), {c: i for i, c in enumerate(alphabet)}
        values = torch.zeros(len(items), longest + 1, dtype=torch.int64)
        for row, item in enumerate(items):
            if len(item) > longest:
                raise UserError(f"{len(item)} characters; expected at most {longest}; pass Symbols(longest=...)", row)
            unknown = [c for c in item if c not in place]
            if unknown:
                raise UserError(f"unseen character {unknown[0]!r}; expected one of {alphabet!r}", row)
            values[row, : len(item) + 1] = torch.tensor([*(place[c] for c in item), len(alphabet)])
        lengths = torch.tensor([len(item) for item in items])
        return Entries(values, valid=torch.arange(longest + 1) <= lengths[:, None])

    def decode(self, x: Entries) -> np.ndarray:
        alphabet, _ = self._learned()
        values, valid = x.tensor.numpy(), x.valid.numpy()  # type: ignore[union-attr]
        flat = [("".join(alphabet[v] for v, there in zip(row, mask, strict=True) if there and v < len(alphabet)))
                for row, mask in zip(values.reshape(-1, values.shape[-1]), valid.reshape(-1, values.shape[-1]), strict=True)]
        return np.array(flat).reshape(values.shape[:-1])

    def state(self) -> dict[str, Any]:
        alphabet, longest = self._learned()
        return {"alphabet": alphabet, "longest": longest}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.alphabet, self.longest = state["alphabet"], int(state["longest"])

    def _learned(self) -> tuple[str, int]:
        if self.alphabet is None or self.longest is None:
            raise UserError("Symbols() has not seen data yet; let it learn, or pass Symbols(alphabet=..., longest=...)")
        return self.alphabet, self.longest

    def __repr__(self) -> str:
        known = self.alphabet is not None and self.longest is not None
        return f"Symbols({len(self.alphabet or '')} characters, at most {self.longest})" if known else "Symbols()"


def _texts(raw: np.ndarray) -> list[str]:
    if raw.ndim != 1:
        raise UserError(f"expected one text a row, (B,), got shape {raw.shape}")
    for row, item in enumerate(raw.tolist()):
        if not isinstance(item, str):
            raise UserError(f"expected text, got {item!r}", row)
    return raw.tolist()
