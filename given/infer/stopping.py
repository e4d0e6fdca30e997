"""Stopping: where a text is over, by what it says or by how long it is.

Where the end of a text is a symbol, that symbol is certain from there on; elsewhere what follows is padding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.distributions import LogitsProcessor, Sequential, StepContext
from given.solve import How, Identity
from given.variables import Finite, UserError, shown

__all__ = ["MaxLength", "Stop", "spelled"]


class MaxLength(LogitsProcessor):
    """At most n symbols are drawn of what has no fixed length, such as a text.

    Args:
        n: from 1.
    """

    concerns = "what has no fixed length, such as a text"
    ends = True

    def __init__(self, n: int) -> None:
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise UserError(f"MaxLength: expected a whole number of symbols from 1, got {shown(n)}")
        self.n = n

    def __repr__(self) -> str:
        return f"MaxLength({self.n})"

    def of(self, variable: Any, y: Any = None) -> How:
        return self if any(axis.length != "fixed" for axis in variable.space.axes) else Identity()

    def begin(self, distribution: Sequential) -> Tensor:
        return torch.zeros(distribution.n, dtype=torch.int64, device=distribution.device)

    def steer(self, log_p: Tensor, place: StepContext) -> Tensor:
        return log_p

    def move(self, memory: Tensor, entries: Tensor) -> Tensor:
        return memory + 1

    def done(self, memory: Tensor) -> Tensor:
        return memory >= self.n


class Stop(LogitsProcessor):
    """A text is over once one of some strings has been drawn: it ends with that string, or with the piece of several characters
    that completed it. Strings are found in the text itself, however symbols cut it, and only in what is drawn.

    Args:
        strings: one, or several.

    Source: Aho, Corasick, Efficient string matching, 1975 / https://doi.org/10.1145/360825.360855
    """

    concerns = "texts"
    ends = True

    def __init__(self, strings: str | Sequence[str]) -> None:
        self.strings = (strings,) if isinstance(strings, str) else tuple(strings)
        for string in self.strings:
            if not isinstance(string, str) or not string:
                raise UserError(f"Stop: expected strings of at least one character, got {shown(string)}")
        if not self.strings:
            raise UserError("Stop: expected a string or several, got none")
        self.next: Tensor | None = None  # (S, V): the state that a symbol leads to; the last is where a string is complete

    def __repr__(self) -> str:
        return f"Stop({', '.join(map(repr, self.strings))})"

    def of(self, variable: Any, y: Any = None) -> How:
        if (symbols := spelled(variable)) is None:
            return Identity()
        told = Stop(self.strings)
        told.next = torch.from_numpy(_by_symbol(self.strings, symbols))
        return told

    def __call__(self, distribution: Any) -> Any:
        if isinstance(distribution, Sequential) and self.next is None:
            raise UserError(f"{self}: does not know what the symbols of a distribution are; say so by of(variable)")
        return super().__call__(distribution)

    def begin(self, distribution: Sequential) -> Tensor:
        return torch.zeros(distribution.n, dtype=torch.int64, device=distribution.device)

    def steer(self, log_p: Tensor, place: StepContext) -> Tensor:
        return log_p

    def move(self, memory: Tensor, entries: Tensor) -> Tensor:
        assert self.next is not None
        return self.next[memory, entries]

    def done(self, memory: Tensor) -> Tensor:
        assert self.next is not None
        return memory == len(self.next) - 1


def spelled(variable: Any) -> tuple[bytes, ...] | None:
    """The bytes of every symbol of a text's variable (V,), none of the end; None where symbols are not those of a text."""
    space: Finite = variable.space
    found: list[bytes] | None = variable.codec.spelled()
    return None if found is None else (*found, *[b""] * (space.size - len(found)))


def _automaton(strings: list[bytes]) -> np.ndarray:
    """(S + 1, 256) int64: where a byte leads from every state; the last state is that a string is complete, and stays."""
    children, fail, final = list[dict[int, int]]([{}]), [0], {0: False}
    for string in strings:
        node = 0
        for byte in string:
            if byte not in children[node]:
                children[node][byte] = len(children)
                children.append({})
                fail.append(0)
                final[len(children) - 1] = False
            node = children[node][byte]
        final[node] = True
    table, last = np.zeros((len(children) + 1, 256), dtype=np.int64), len(children)
    queue = [0]
    for node in queue:  # it grows: by breadth
        table[node] = table[fail[node]] if node else 0
        for byte, child in children[node].items():
            fail[child] = int(table[fail[node], byte]) if node else 0
            final[child] |= final[fail[child]]
            table[node, byte] = child
            queue.append(child)
    complete = np.array([final[node] for node in range(last)] + [True])
    table[complete] = last
    return np.where(complete[table], last, table)


@functools.lru_cache(maxsize=8)
def _by_symbol(strings: tuple[str, ...], symbols: tuple[bytes, ...]) -> np.ndarray:
    """(S, V) int64: where a symbol leads, from where its bytes lead."""
    by_byte = _automaton([string.encode(errors="surrogatepass") for string in strings])
    table = np.empty((len(by_byte), len(symbols)), dtype=np.int64)
    for v, symbol in enumerate(symbols):
        state = np.arange(len(by_byte))
        for byte in symbol:
            state = by_byte[state, byte]
        table[:, v] = state
    return table
