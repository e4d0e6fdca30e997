"""Words, marks and line ends, those of the data met most."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from given.tokenizers.tokenizer import REPLACED, Tokenizer
from given.variables import NewValue, UserError, nearest, shown

__all__ = ["Words", "words_of"]

_LONG = 200  # characters of a list of words
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]|\n")
_CLOSING = re.compile(r"[.,;:!?)\]}]$")
_BEFORE, _AFTER = re.compile(r" ([.,;:!?)\]}\n])"), re.compile(r"([(\[{\n]) ")


class Words(Tokenizer):
    """Words, marks and line ends, those of the data met most, any other being one symbol, written \ufffd; what is blank
    between them is not kept.

    Args:
        most: of them, from 2, the symbol for all others included.
        strict: whether a word that was not learned, and a text without words, is an error. One that was learned in lower case
            alone is read so.
    """

    unit = "words"

    def __init__(self, most: int, strict: bool = False) -> None:
        if most < 2:
            raise UserError(f"Text: size={most}; expected two words or more, one of them that of all others")
        self._most, self._strict = most, strict
        self._counts: Counter[str] = Counter()
        self._words: dict[str, int] = {}

    @property
    def size(self) -> int:
        return len(self._words)

    @property
    def words(self) -> list[str]:
        """The word of every symbol; the first stands for all that are none of them."""
        return list(self._words)

    def learn(self, texts: list[str]) -> None:
        each = [words_of(text) for text in texts]
        self._counts.update(word for words in each for word in words)
        self._met(list(map(len, each)))
        kept = sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))[: self._most - 1]
        self._words = {word: i for i, word in enumerate([REPLACED, *(word for word, _ in kept)])}

    def encode(self, text: str, row: int) -> np.ndarray:
        words = words_of(text)
        if self._strict:
            words = [word if word in self._words else word.lower() for word in words]
            if new := [word for word in words if word not in self._words]:
                way = nearest(new[0], self.words[1:])
                way = way if len(way) < _LONG else f"expected words such as {', '.join(self.words[1:9])}"
                room = f"; pass a size above {self._most:,} to learn more" if len(self._words) == self._most else ""
                raise NewValue(f"got {shown(new[0])}, a word that was not learned; {way}{room}", [row])
            if not words:
                raise NewValue(f"got {shown(text)}, without a word; expected words such as {', '.join(self.words[1:5])}", [row])
        return np.array([self._words.get(word, 0) for word in words], dtype=np.min_scalar_type(self._most))

    def decode(self, symbols: np.ndarray) -> str:
        text = " ".join(map(self.words.__getitem__, symbols.tolist()))
        return _AFTER.sub(r"\1", _BEFORE.sub(r"\1", text))  # with the blanks that writing puts between words

    def spelled(self) -> list[bytes]:
        return [(word if word == "\n" or _CLOSING.match(word) else f" {word}").encode() for word in self._words]

    def as_tokenizer(self) -> Any:
        raise UserError("a text in words has no tokenizer, which keeps blanks; expected characters, bytes or pieces")

    def state(self) -> dict[str, Any]:
        return {"words": self.words}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._words = {word: i for i, word in enumerate(state["words"])}


def words_of(text: str) -> list[str]:
    """A text's words, marks and line ends, in order."""
    return _WORD.findall(text)
