"""Entry: the distribution of a column's single entry, among those of a block or by itself.

A net that draws entry after entry gives it in one step once what is known has been read: its symbols' probabilities, or its
distribution function, come at once, and no value of it is tried by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from given.distributions import Distribution, Intractable, Mixture, Sequential

__all__ = ["single_entries"]


def single_entries(weight: Tensor, distribution: Distribution, name: str) -> Iterator[tuple[Tensor, Distribution]]:
    """Weights (n,), and what has a column's single entry, given what is known of the others: the distribution itself, of one
    that is drawn step by step that of the step, of a mixture those of its parts.

    Raises:
        Intractable: of one that is drawn step by step, others come before it or with it.
    """
    if isinstance(distribution, Mixture):
        for own, part in zip(distribution.log_weights.exp().cpu().unbind(1), distribution.parts, strict=True):
            yield from single_entries(weight * own, part, name)
    else:
        yield weight, _step(distribution, name) if isinstance(distribution, Sequential) else distribution


def _step(distribution: Sequential, name: str) -> Distribution:
    asked = distribution.asking({name})
    if not isinstance(asked, Sequential):
        raise Intractable(f"{name}: rows know different columns; ask for them apart")
    entry = _place(asked, name)
    known = torch.zeros(asked.n, len(asked.entries), dtype=torch.bool) if asked.evidence is None else asked.evidence.scored
    before = asked.entries[:asked.entries.index(entry)]
    if not bool(known[:, before].all()) or bool(known[:, entry].any()):
        raise Intractable(f"{name}: others come before it in the order of drawing; it has no distribution of its own")
    with torch.no_grad():
        state = asked.start()
        while asked.entries[state.t] != entry:
            first, last = state.t, asked.ends[state.t]
            if last > first + 1:
                raise Intractable(f"{name}: several entries are drawn at once before it")
            state = asked.advance(state, asked.evidence.tensor[:, asked.entries[first]].double())  # type: ignore[union-attr]
        if asked.ends[state.t] > state.t + 1:
            raise Intractable(f"{name}: is drawn at once with others")
        law = asked.next(state)
    law.kind = asked.kind_of_part
    return law


def _place(distribution: Sequential, name: str) -> int:
    """The number of a column's entry among those of the block."""
    at = 0
    for column, space in distribution.space.parts:
        if column in (name, ""):
            return at
        at += space.dimensions
    raise AssertionError(name)
