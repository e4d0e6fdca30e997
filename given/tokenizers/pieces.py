"""Pieces: byte-pair encoding learned from the data, and the pieces of a pretrained language model.

Source: Sennrich, Haddow, Birch, Neural machine translation of rare words with subword units, 2016 /
https://arxiv.org/abs/1508.07909
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np

from given.tokenizers.folder import read_tokenizer, spelled, uncovered, unknown
from given.tokenizers.package import tokenizers
from given.tokenizers.tokenizer import REPLACED, Tokenizer
from given.variables import UserError

__all__ = ["BytePairs", "Pretrained"]


class _Packaged(Tokenizer):
    """What a tokenizer of the package tokenizers makes of a text, in pieces."""

    unit = "pieces"

    @abc.abstractmethod
    def _made(self) -> Any:
        """That tokenizer, learned or read when it is first asked for."""

    def decode(self, symbols: np.ndarray) -> str:
        return self._made().decode(symbols.tolist())

    def spelled(self) -> list[bytes]:
        return spelled(self._made(), self.size)

    def as_tokenizer(self) -> Any:
        return tokenizers().Tokenizer.from_str(self._made().to_str())


class BytePairs(_Packaged):
    """Pieces of at most so many kinds, all 256 bytes among them, which write any text. They are learned from all texts
    together, when they are first asked for.

    Args:
        most: of them, from 257.
    """

    def __init__(self, most: int) -> None:
        if most <= 256:
            raise UserError(f"Text: size={most}; expected more than the 256 bytes that pieces are made of")
        self._most = most
        self._corpus: list[str] = []
        self._tokenizer: Any = None
        self._longest: int | None = None

    @property
    def longest(self) -> int | None:
        self._made()
        return self._longest

    @longest.setter
    def longest(self, longest: int | None) -> None:
        self._longest = longest

    @property
    def size(self) -> int:
        return self._made().get_vocab_size()

    def learn(self, texts: list[str]) -> None:
        self._corpus += texts
        self._tokenizer = None

    def encode(self, text: str, row: int) -> np.ndarray:
        return np.array(self._made().encode(text).ids, dtype=np.min_scalar_type(self._most))

    def fewest(self, text: str) -> np.ndarray:
        # A byte that is in no text, 255, is read as the replacement character, which has three of its own.
        content = text.encode(errors="surrogatepass").replace(REPLACED.encode(), b"\xff")
        number = {piece: v for v, piece in enumerate(self.spelled()) if piece}
        widest = max(map(len, number))
        best: list[tuple[int, int]] = [(0, 0)]  # of every beginning: how many pieces, and where the last begins
        for end in range(1, len(content) + 1):
            best.append(min((best[begin][0] + 1, begin) for begin in range(max(0, end - widest), end)
                            if content[begin:end] in number))
        symbols, end = list[int](), len(content)
        while end:
            symbols, end = [number[content[best[end][1]:end]], *symbols], best[end][1]
        return np.array(symbols, dtype=np.min_scalar_type(self._most))

    def state(self) -> dict[str, Any]:
        return {"tokenizer": self._made().to_str()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizers().Tokenizer.from_str(state["tokenizer"])

    def _made(self) -> Any:
        if self._tokenizer is None and self._corpus:
            self._tokenizer = _trained(self._corpus, self._most)
            self._longest = max(len(self._tokenizer.encode(text).ids) for text in self._corpus)
        return self._tokenizer


class Pretrained(_Packaged):
    """The pieces of a pretrained language model, read when they are first asked for.

    Args:
        path: a folder with `tokenizer.json`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._tokenizer: Any = None
        self._end: int | None = None
        self._unknown: int | None = None
        self._pieces = 0

    @property
    def end(self) -> int | None:  # type: ignore[override]
        self._made()
        return self._end

    @property
    def size(self) -> int:
        self._made()
        return self._pieces

    def learn(self, texts: list[str]) -> None:
        self._met([len(self.encode(text, row)) for row, text in enumerate(texts)])

    def encode(self, text: str, row: int) -> np.ndarray:
        encoding = self._made().encode(text, add_special_tokens=False)
        if (at := uncovered(encoding, text, self._unknown)) is not None:
            raise UserError(f"{text[at]!r} at {at}: the tokenizer of {self.path} has no symbol for it; leave it out, or take a "
                            "tokenizer that writes all bytes", row)
        if self._end in encoding.ids:
            end = self._tokenizer.id_to_token(self._end)
            raise UserError(f"holds {end!r}, which to its tokenizer is the end of a text; expected text alone; cut it there",
                            row)
        return np.array(encoding.ids, dtype=np.uint32)

    def state(self) -> dict[str, Any]:
        return {"tokenizer": self._made().to_str(), "end": self._end}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._take(tokenizers().Tokenizer.from_str(state["tokenizer"]), state.get("end"))

    def _made(self) -> Any:
        if self._tokenizer is None:
            self._take(*read_tokenizer(self.path))
        return self._tokenizer

    def _take(self, tokenizer: Any, end: int | None) -> None:
        self._tokenizer, self._end, self._unknown = tokenizer, end, unknown(tokenizer)
        self._pieces = max(tokenizer.get_vocab().values()) + 1  # numbers may have gaps


def _trained(corpus: list[str], size: int) -> Any:
    """Byte-pair encoding of at most `size` pieces, all 256 bytes among them."""
    t = tokenizers()
    tokenizer = t.Tokenizer(t.models.BPE())
    tokenizer.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = t.decoders.ByteLevel()
    alphabet = t.pre_tokenizers.ByteLevel.alphabet()
    trainer = t.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer
