"""Tokenizer: cuts a text into symbols, and writes the text of symbols."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["REPLACED", "Tokenizer"]

REPLACED = "\ufffd"  # what is read where bytes are no text, and written for words that are in no vocabulary


class Tokenizer(abc.ABC):
    """Cuts a text into symbols, numbered from 0, and writes the text of symbols.

    Errors are `UserError`s with the row in the batch.
    """

    unit: str  # what a symbol is, in the plural
    end: int | None = None  # which symbol ends a text; None where none of them does
    longest: int | None = None  # how many symbols the longest text has that was learned from; None before there was any
    shortest = " "  # a text that is not empty

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many symbols there are."""

    @abc.abstractmethod
    def learn(self, texts: list[str]) -> None:
        """Learn from more texts."""

    @abc.abstractmethod
    def encode(self, text: str, row: int) -> np.ndarray:
        """The symbols of a text, (L,) unsigned, as small as they go."""

    @abc.abstractmethod
    def decode(self, symbols: np.ndarray) -> str:
        """The text of symbols (L,)."""

    @abc.abstractmethod
    def spelled(self) -> list[bytes]:
        """The bytes of UTF-8 that every symbol writes: (size,)."""

    @abc.abstractmethod
    def as_tokenizer(self) -> Any:
        """Its symbols, number by number, as an object of the package tokenizers."""

    @abc.abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learned, but for the longest, as JSON."""

    @abc.abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the state back."""

    def known(self, text: str) -> tuple[str, int]:
        """A text whose new symbols are read as one that was learned, and how many they are."""
        return text, 0

    def fewest(self, text: str) -> np.ndarray:
        """The fewest symbols that are read as a text: what is drawn in symbols that fit may be cut anew into more of them."""
        return self.encode(text, 0)

    def _met(self, lengths: list[int]) -> None:
        """Keep how long the longest text is."""
        self.longest = max([self.longest or 0, *lengths])
