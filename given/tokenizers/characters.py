"""Characters and bytes: every text a symbol each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.tokenizers.folder import OTHER_BYTES, PLAIN_BYTES
from given.tokenizers.package import tokenizers
from given.tokenizers.tokenizer import REPLACED, Tokenizer
from given.variables import UserError

__all__ = ["Bytes", "Characters"]

_AT_ONCE = 1 << 20  # characters


class Characters(Tokenizer):
    """The characters of the data, another being an error.

    Args:
        alphabet: the characters; learned (sorted) when left out.
    """

    unit = "characters"

    def __init__(self, alphabet: str | None = None) -> None:
        self.alphabet, self._stated = alphabet or "", alphabet is not None

    @property
    def size(self) -> int:
        return len(self.alphabet)

    @property
    def shortest(self) -> str:  # type: ignore[override]
        return self.alphabet[:1] or " "

    def learn(self, texts: list[str]) -> None:
        if not self._stated:
            self.alphabet = "".join(sorted({*self.alphabet, *(c for text in texts for c in set(text))}))
        self._met([len(self.encode(text, row)) if self._stated else len(text) for row, text in enumerate(texts)])

    def encode(self, text: str, row: int) -> np.ndarray:
        known = _code_points(self.alphabet)
        order = known.argsort()
        symbols = np.empty(len(text), np.min_scalar_type(len(known)))
        for first in range(0, len(text), _AT_ONCE):
            codes = _code_points(text[first:first + _AT_ONCE])
            found = order[np.minimum(np.searchsorted(known, codes, sorter=order), len(known) - 1)] if len(known) else codes
            wrong = np.flatnonzero(known[found] != codes) if len(known) else np.arange(len(codes))
            if len(wrong):
                at, alphabet = first + int(wrong[0]), self.alphabet
                listed = alphabet if len(alphabet) <= 80 else f"{alphabet[:80]}..."
                raise UserError(f"unseen character {text[at]!r} at {at}; expected one of {listed!r}; Text('bytes') takes all",
                                row)
            symbols[first:first + _AT_ONCE] = found
        return symbols

    def decode(self, symbols: np.ndarray) -> str:
        return _code_points(self.alphabet)[symbols].astype("<u4").tobytes().decode("utf-32-le", errors="surrogatepass")

    def spelled(self) -> list[bytes]:
        return [c.encode(errors="surrogatepass") for c in self.alphabet]

    def as_tokenizer(self) -> Any:
        tokenizer = _one_by_one(list(self.alphabet))
        tokenizer.decoder = tokenizers().decoders.Fuse()
        return tokenizer

    def known(self, text: str) -> tuple[str, int]:
        known = set(self.alphabet)
        if known.issuperset(text):
            return text, 0
        return "".join(c if c in known else self.shortest for c in text), sum(c not in known for c in text)

    def state(self) -> dict[str, Any]:
        return {"alphabet": self.alphabet}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.alphabet = state["alphabet"]


class Bytes(Tokenizer):
    """The bytes of UTF-8, which write any text."""

    unit = "bytes"
    size = 256

    def learn(self, texts: list[str]) -> None:
        self._met([len(self.encode(text, row)) for row, text in enumerate(texts)])

    def encode(self, text: str, row: int) -> np.ndarray:
        return np.frombuffer(text.encode(errors="surrogatepass"), np.uint8)

    def decode(self, symbols: np.ndarray) -> str:
        return symbols.astype(np.uint8).tobytes().decode(errors="replace")

    def spelled(self) -> list[bytes]:
        return [bytes([v]) for v in range(256)]

    def as_tokenizer(self) -> Any:
        t = tokenizers()
        tokenizer = _one_by_one([chr(b) if b in PLAIN_BYTES else chr(256 + OTHER_BYTES.index(b)) for b in range(256)])
        tokenizer.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = t.decoders.ByteLevel()
        return tokenizer

    def fewest(self, text: str) -> np.ndarray:
        # 255 is a byte of no text, and read as a character that has three of its own.
        return np.frombuffer(text.encode(errors="surrogatepass").replace(REPLACED.encode(), b"\xff"), np.uint8)

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass


def _one_by_one(symbols: list[str]) -> Any:
    """One that cuts text into symbols of a character each."""
    t = tokenizers()
    try:
        return t.Tokenizer(t.models.BPE(vocab={symbol: v for v, symbol in enumerate(symbols)}, merges=[]))
    except (UnicodeEncodeError, TypeError):
        raise UserError("export: its characters hold half a surrogate pair, which UTF-8 does not write; use "
                        "Text('bytes')") from None


def _code_points(text: str) -> np.ndarray:
    """The code points, (L,) int64."""
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), "<u4").astype(np.int64)
