"""Sequential laws: entries drawn one after another, each given those before.

    log p(x | y) = sum_t log p(x_{o(t)} | x_{o(0)}, ..., x_{o(t-1)}, y)

Three methods carry every algorithm that draws, ranks or codes step by step: `start` gives the state before the first
entry, `next` the law of the entry to come, `advance` the state once it is known. `Chain` is the sequential law of an
order, a causal net and a head.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from given.laws.law import How, Intractable, Law
from given.laws.noise import Noise
from given.variables import Entries, Finite, Space

__all__ = ["Chain", "Sequential", "State"]


@dataclass
class State:
    """Where a draw stands.

    Attributes:
        t: steps taken.
        values: (B, D) the entries so far, zero where still to come.
        context: (B, C) y as the net reads it.
        cache: the net's memory, tensors with B rows. `next` writes into it: keep a copy with `take`.
        read: how many steps the net has read into its cache.
    """

    t: int
    values: Tensor
    context: Tensor
    cache: Any
    read: int = 0

    def take(self, rows: Tensor) -> State:
        """The rows `rows`, copied: repeated for several draws, reordered for a beam."""
        return State(self.t, self.values[rows], self.context[rows], _take(self.cache, rows), self.read)


def _take(cache: Any, rows: Tensor) -> Any:
    return cache[rows] if isinstance(cache, Tensor) else type(cache)(_take(part, rows) for part in cache)


class Sequential(Law):
    """A law that draws its entries in an order.

    Attributes:
        order: (D,) int64, the entry (numbered row by row) of each step.
        evidence: entries already known, returned by draws and not scored.
    """

    def __init__(self, space: Space, n: int, order: Tensor, evidence: Entries | None = None) -> None:
        super().__init__(space, n)
        self.order = order
        self.evidence = evidence

    @abc.abstractmethod
    def start(self) -> State:
        """The state of B rows before the first step."""

    @abc.abstractmethod
    def next(self, state: State) -> Law:
        """The law of the next entry, of each row."""

    @abc.abstractmethod
    def advance(self, state: State, entries: Tensor) -> State:
        """The state once the next entry (B,) is known. Consumes the state it is given."""

    def sample(self, shape: Sequence[int] = (), *, seed: int | Noise = 0, how: How | None = None) -> Entries:
        draws = torch.Size(shape).numel()
        noise = Noise.of(seed, self.n)
        with torch.no_grad():
            state = self.start().take(torch.arange(self.n).repeat(draws))
            u = noise.uniform(shape, (len(self.order),)).reshape(draws * self.n, -1)
            known = values = None
            if self.evidence is not None:
                known = self.evidence.known.reshape(self.n, -1)[:, self.order].repeat(draws, 1)
                values = self.evidence.tensor.reshape(self.n, -1)[:, self.order].repeat(draws, 1)
            for t in range(len(self.order)):
                if known is not None and values is not None and bool(known[:, t].all()):
                    entry = values[:, t]
                else:
                    law = self.next(state)
                    entry = (how(law) if how else law).sample(seed=_Given(u[:, t])).tensor
                    if known is not None and values is not None:
                        entry = torch.where(known[:, t], values[:, t], entry)
                state = self.advance(state, entry)
        return Entries(state.values.reshape(*shape, self.n, *self.space.shape))

    def _scored(self, x: Entries) -> Tensor:
        """(*shape, B, *grid) entries to score. Raises `Intractable` where one follows an unseen entry."""
        known = x.known if self.evidence is None else x.known | self.evidence.known
        grid = len(self.space.axes)
        in_order = known.reshape(*known.shape[: known.dim() - grid], -1)[..., self.order]
        padding = ~x.valid.reshape(in_order.shape)[..., self.order]  # type: ignore[union-attr]
        in_order = in_order | padding
        if bool((in_order[..., 1:] & ~in_order[..., :-1]).any()):
            raise Intractable("what is seen is not what this order draws first; choose an order that begins with it "
                              "(order=Reverse(), Fixed(...)), or a family that marginalises: Gaussian, Independent, Memory")
        return x.known if self.evidence is None else x.known & ~self.evidence.known


class _Given(Noise):
    """One uniform number a row, handed in: so that a draw depends on its step and not on how it came there."""

    def __init__(self, u: Tensor) -> None:
        self.u = u
        self.keys = u.numpy()

    def uniform(self, shape: Sequence[int] = (), event: Sequence[int] = ()) -> Tensor:
        assert not shape and not event
        return self.u


class Chain(Sequential):
    """An order, a causal net and a head, with y bound.

    Args:
        space: finite, of D entries.
        order: (D,) int64.
        embed: values (B, D), steps -> tokens (B, T, C).
        net: tokens, context -> features; with `start` and `step`.
        head: features -> law of entries.
        context: (B, C).
        evidence: what comes first in the order and is known.
    """

    def __init__(self, space: Space, order: Tensor, embed: nn.Module, net: nn.Module, head: nn.Module, context: Tensor,
                 evidence: Entries | None = None) -> None:
        super().__init__(space, len(context), order, evidence)
        self.embed, self.net, self.head, self.context = embed, net, head, context

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        scored = self._scored(x)
        grid = len(self.space.axes)
        lead = x.tensor.shape[: x.tensor.dim() - grid]
        values = torch.where(x.valid, x.tensor, 0)  # type: ignore[arg-type]  # whatever padding holds, it is nothing
        if self.evidence is not None:
            values = torch.where(self.evidence.known, self.evidence.tensor, values)
        values = values.reshape(-1, len(self.order))
        context = self.context.repeat(len(values) // self.n, 1)
        features = self.net(self.embed(values), context)  # (B, T, C) in the order of drawing
        on_grid = torch.empty_like(features).index_copy(1, self.order, features)
        law = self.head(on_grid.reshape(-1, *self.space.shape, features.shape[-1]))
        flat = Entries(values.reshape(-1, *self.space.shape), scored.reshape(-1, *self.space.shape))
        return law.log_prob(flat).reshape(lead)

    def condition(self, evidence: Entries) -> Chain:
        known = evidence.known if self.evidence is None else evidence.known | self.evidence.known
        value = evidence.tensor if self.evidence is None else torch.where(self.evidence.known, self.evidence.tensor,
                                                                          evidence.tensor)
        law = Chain(self.space, self.order, self.embed, self.net, self.head, self.context, Entries(value, known))
        law._scored(Entries(value, known))
        return law

    def start(self) -> State:
        dtype = torch.int64 if isinstance(self.space, Finite) else torch.float64
        values = torch.zeros(self.n, len(self.order), dtype=dtype, device=self.context.device)
        return State(0, values, self.context, self.net.start(self.n))  # type: ignore[operator]

    def next(self, state: State) -> Law:
        # What was known and never asked for is read here, all at once.
        tokens = self.embed(state.values, slice(state.read, state.t + 1))
        features = self.net.step(tokens, state.context, state.read, state.cache)  # type: ignore[operator]
        state.read = state.t + 1
        return self.head(features[:, -1])

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, self.order[state.t]] = entries
        return replace(state, t=state.t + 1)
