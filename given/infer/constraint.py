"""Constraint: only texts that match a regular expression, or hold JSON of a schema, can be drawn.

An automaton over bytes is read symbol by symbol, so that characters, bytes and pieces are constrained alike. A symbol is
allowed where from the state it leads to some allowed text still fits what is left of the grid: what is drawn always ends in a
match. Where the end is a symbol, it is allowed where what was drawn is a match; elsewhere a text is over once it matches and
nothing may follow.

Source: Willard, Louf, Efficient guided generation for large language models, 2023 / https://arxiv.org/abs/2307.09702
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.distributions import LogitsProcessor, Sequential, StepContext
from given.infer.stopping import spelled
from given.solve import How, Identity
from given.variables import UserError

__all__ = ["JSONSchema", "Regex"]

_FAR = 1 << 40


class Regex(LogitsProcessor):
    """What is drawn matches a regular expression as a whole; what was given before it does not count. Of the extra `constrain`.

    Args:
        regex: without look-around or back-references.
    """

    concerns = "texts"
    ends = True

    def __init__(self, regex: str) -> None:
        if not isinstance(regex, str):
            raise UserError(f"{type(self).__name__}: expected a regular expression as a string, got {regex!r}")
        self.regex = regex
        self.begins = 0
        self.next: Tensor | None = None  # (S, V): the state a symbol leads to; the last is that of what cannot match any more
        self.far = torch.zeros(0)  # (S,) how many symbols, an end among them, a match is away
        self.complete = torch.zeros(0, dtype=torch.bool)  # (S,) whether nothing may follow
        self.open = torch.zeros(0, dtype=torch.bool)  # (S, V) whether a match can follow, if there is room for it
        self.most = 0  # symbols that any such match takes
        _library()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.regex!r})"

    def of(self, variable: Any, y: Any = None) -> How:
        if (symbols := spelled(variable)) is None:
            return Identity()
        told = type(self).__new__(type(self))
        vars(told).update(vars(self))
        try:
            table, final, told.begins = _automaton(self.regex, symbols, variable.space.end)
        except ValueError as error:
            raise UserError(f"{self}: expected a regular expression without look-around, got one that does not compile "
                            f"({' '.join(str(error).split())[:80]})") from None
        told.next, told.far = torch.from_numpy(table), torch.from_numpy(_distance(table, final))
        told.complete = torch.from_numpy(final & (told.far[told.next] >= _FAR).all(1).numpy())
        told.complete[-1] = False
        if told.complete[told.begins]:
            raise UserError(f"{self}: matches nothing but the empty text; leave it out")
        # What is over, or cannot match any more, has been said to be so: nothing is forbidden after it.
        told.open = (told.far[told.next] < _FAR) | told.complete[:, None]
        told.open[-1] = True
        told.most = int(told.far[told.far < _FAR].max())
        return told

    def __call__(self, distribution: Any) -> Any:
        if isinstance(distribution, Sequential) and self.next is None:
            raise UserError(f"{self}: does not know what the symbols of a distribution are; say so by of(variable)")
        return super().__call__(distribution)

    def begin(self, distribution: Sequential) -> Tensor:
        told = 0 if distribution.evidence is None else int(distribution.evidence.readable.sum(1).max())
        far, left = int(self.far[self.begins]), len(distribution.order) - told + distribution.more
        if far > left and not distribution.goes_on:
            why = f"the shortest takes {far} symbols, and there is room for {left}" if far < _FAR else (
                "no text of its symbols does")
            raise UserError(f"{self}: nothing that can be drawn matches: {why}; loosen it, or give less before it")
        return torch.full((distribution.n,), self.begins, device=distribution.device)

    def steer(self, log_p: Tensor, place: StepContext) -> Tensor:
        assert self.next is not None and place.memory is not None
        allowed = self.open[place.memory]
        if place.left <= self.most:
            allowed = self.far[self.next[place.memory]] < place.left
            allowed = allowed | ~allowed.any(-1, keepdim=True)
        steered = torch.where(allowed, log_p, -torch.inf)
        if bool((steered.amax(-1) == -torch.inf).any()):
            raise UserError(f"{self}: allows nothing that is left to draw from; put it before what cuts, as in "
                            f"{type(self).__name__}(...) | TopK(...)")
        return steered

    def move(self, memory: Tensor, entries: Tensor) -> Tensor:
        assert self.next is not None
        return self.next[memory, entries]

    def done(self, memory: Tensor) -> Tensor:
        return self.complete[memory]


class JSONSchema(Regex):
    """What is drawn is JSON of a schema. Of the extra `constrain`.

    Args:
        schema: a JSON schema, as a mapping or as text.
    """

    def __init__(self, schema: Any) -> None:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        try:
            regex = _library().json_schema.build_regex_from_schema(text)
        except ValueError as error:
            said = " ".join(str(error).split())[:80]
            raise UserError(f"JSONSchema: expected a JSON schema, got one that is not understood ({said})") from None
        super().__init__(regex)
        self.schema = text

    def __repr__(self) -> str:
        return f"JSONSchema({self.schema if len(self.schema) <= 60 else self.schema[:57] + '...'})"


@functools.lru_cache(maxsize=8)
def _automaton(regex: str, symbols: tuple[bytes, ...], end: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """The table (S, V) of states, the last of which is that nothing matches; which are final (S,); and the first.

    An end leads from a final state to a final one that nothing leaves.
    """
    library, V = _library(), len(symbols)
    # Every byte is a symbol too while the automaton is built, so that no state is a dead end to the library.
    numbers: dict[bytes, list[int]] = {bytes([b]): [V + 1 + b] for b in range(256)}
    for v, symbol in enumerate(symbols):
        if symbol:
            numbers.setdefault(symbol, []).append(v)
    index = library.Index(regex, library.Vocabulary(V, numbers))
    moves, finals = index.get_transitions(), set(index.get_final_states())
    every = {index.get_initial_state(), *moves, *finals, *(to for each in moves.values() for to in each.values())}
    place = {state: i for i, state in enumerate(sorted(every))}
    ended, dead = len(place), len(place) + 1
    table = np.full((dead + 1, V), dead, dtype=np.int64)
    final = np.zeros(dead + 1, dtype=bool)
    for state, each in moves.items():
        for v, to in each.items():
            if v < V:
                table[place[state], v] = place[to]
    for state in finals:
        final[place[state]] = True
    if end is not None:
        table[:ended, end] = np.where(final[:ended], ended, dead)
        final[:] = False
        final[ended] = True
        table[ended] = dead
        table[ended, end] = ended
    return table, final, place[index.get_initial_state()]


def _distance(table: np.ndarray, final: np.ndarray) -> np.ndarray:
    """(S,) the fewest symbols from every state to a final one."""
    far = np.where(final, 0, _FAR)
    while True:
        nearer = np.minimum(far, np.minimum(far[table].min(1) + 1, _FAR))
        if (nearer == far).all():
            return far
        far = nearer


def _library() -> Any:
    try:
        import outlines_core
    except ImportError:
        raise UserError("Regex and JSONSchema need the package outlines_core; pip install 'given[constrain]'") from None
    return outlines_core
