"""StepwiseTransform: a sequential distribution, the distribution of every next entry transformed. The result is sequential too.

    q(x) = prod_t q_t(x_t | x_<t),    q_t = map(p(x_t | x_<t), x_<t)

Truncation, temperature, constraints and stopping are such maps. Each q_t is normalised, so q is a distribution: it scores what
it draws, exactly, step by step. It is not p given the constraint, which would be normalised once, over whole items.

A map concerns what is drawn. Evidence given before it is not changed by it.
"""

from __future__ import annotations

import abc
import copy
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import torch
from torch import Tensor

from given.distributions.categorical import Categorical
from given.distributions.distribution import Distribution, How, Intractable
from given.distributions.factorized import Factorized
from given.distributions.sequential import Sequential, State
from given.variables import Entries, Finite, UserError

__all__ = ["LogitsProcessor", "StepContext", "StepwiseTransform", "check_one_at_a_time", "check_open", "draws_symbols"]


@dataclass(frozen=True)
class StepContext:
    """Where a draw stands.

    Attributes:
        distribution: that is steered.
        t: steps taken.
        values: (B, D) the entries of the steps before.
        memory: (B,) what the map remembers, or None.
    """

    distribution: Sequential
    t: int
    values: Tensor
    memory: Tensor | None

    @property
    def left(self) -> int:
        """How many entries are to come, this one among them."""
        return len(self.distribution.order) - self.t + self.distribution.more


class LogitsProcessor(How):
    """A how that maps the distribution of every next entry; other distributions stay as they are."""

    concerns = "symbols that are drawn one after another, as those of a text"
    ends = False  # whether `done` is ever true
    one_by_one = True  # whether it looks at entries before the next, and so at one a step

    def __call__(self, distribution: Any) -> Any:
        check_open(distribution, type(self).__name__)
        return StepwiseTransform(distribution, self._at(distribution.device)) if draws_symbols(distribution) else distribution

    def _at(self, device: torch.device) -> LogitsProcessor:
        """The same with its tables on a device."""
        tables = {name: t.to(device) for name, t in vars(self).items() if isinstance(t, Tensor) and t.device != device}
        twin = copy.copy(self) if tables else self
        vars(twin).update(tables)
        return twin

    @abc.abstractmethod
    def steer(self, log_p: Tensor, place: StepContext) -> Tensor:
        """log p (B, V) float64 of the next symbol -> that to draw it from, normalised or not."""

    def change(self, distribution: Factorized, place: StepContext) -> Factorized:
        """That to draw the next entry, or group of entries, from: of symbols by `steer`, of reals as it is."""
        if not isinstance(distribution.space, Finite):
            return distribution
        return Categorical(self.steer(distribution.log_probs, place), distribution.space)

    def begin(self, distribution: Sequential) -> Tensor | None:
        """(B,) what is remembered before the first entry is drawn; None where the map remembers nothing."""
        return None

    def move(self, memory: Tensor, entries: Tensor) -> Tensor:
        """(B,) what is remembered once the next symbol (B,) int64 is drawn."""
        return memory

    def done(self, memory: Tensor) -> Tensor:
        """(B,) whether nothing may be drawn any more: but the end, where that is a symbol."""
        return torch.zeros(len(memory), dtype=torch.bool, device=memory.device)


@dataclass(frozen=True)
class _Led:
    """The state of the distribution that is steered, what the map remembers, and what was given before it (B, D)."""

    state: State
    memory: Tensor | None
    given: Tensor | None

    def rows(self, index: Tensor) -> _Led:
        return _Led(self.state.rows(index), *(None if t is None else t[index] for t in (self.memory, self.given)))


class StepwiseTransform(Sequential):
    """A distribution of B rows.

    Args:
        distribution: that is steered.
        how: the map.
    """

    def __init__(self, distribution: Sequential, how: LogitsProcessor) -> None:
        super().__init__(distribution.space, distribution.n, distribution.entries, distribution.device)
        if how.one_by_one:
            check_one_at_a_time(distribution, type(how).__name__)
        self.distribution, self.how, self.kind, self.evidence = distribution, how, distribution.kind, distribution.evidence
        self.ends, self.entries, self.upto = distribution.ends, distribution.entries, distribution.upto
        self.one_at_a_time, self.more, self.goes_on = distribution.one_at_a_time, distribution.more, distribution.goes_on
        self.memory, self.adaptive = how.begin(distribution), distribution.adaptive
        # What is known already is not drawn; what `condition` adds is.
        self.given = distribution.evidence.readable if self.memory is not None and distribution.evidence is not None else None

    def start(self) -> State:
        inner = self.distribution.start()
        return self._state(inner, _Led(inner, self.memory, self.given))

    def next(self, state: State) -> Factorized:
        led: _Led = state.cache
        return self._map(self.distribution.next(led.state), StepContext(self, state.t, led.state.values, led.memory))

    def advance(self, state: State, entries: Tensor) -> State:
        led: _Led = state.cache
        memory = self._move(led, state.t, entries)
        inner = self.distribution.advance(led.state, entries)
        return self._state(inner, _Led(inner, memory, led.given))

    def over(self, state: State) -> Tensor:
        if not self.how.ends or self.end is not None:
            return self.distribution.over(state.cache.state)
        done = self.how.done(state.cache.memory)
        return done | self.distribution.over(state.cache.state) if self.distribution.may_end else done

    @property
    def may_end(self) -> bool:
        return self.how.ends or self.distribution.may_end

    def after(self, state: State) -> StepwiseTransform:
        distribution = copy.copy(self)
        distribution.distribution, distribution.memory = self.distribution.after(state.cache.state), state.cache.memory
        return distribution

    def each(self, x: Entries) -> Tensor:
        flat, row = self._whole(x)
        if self.distribution.any_order and not self._comes_first(flat.readable, self.order):
            raise Intractable("what is seen does not come first, and a distribution that is steered goes step by step; "
                              "condition on it, "
                              "then steer: distribution.condition(evidence).by(how)")
        self._check_first(flat.readable)
        values = torch.where(flat.readable, flat.tensor, 0.0)
        given = self.given[row] if self.given is not None else torch.zeros_like(flat.readable)
        read = given | flat.context  # type: ignore[operator]
        found, over = torch.zeros_like(values, dtype=torch.float64), torch.zeros_like(values[:, 0], dtype=torch.bool)
        state = self.start().rows(row)
        if self.memory is not None:
            state.cache = replace(state.cache, given=read)
        last = int(flat.readable[:, self.order].sum(1).max())
        while state.t < last:
            group = self.order[state.t:self.ends[state.t]]
            entry = group if len(group) > 1 else int(group)
            distribution, value = self.next(state), values[:, entry]
            each = distribution.each(value.long() if isinstance(distribution, Categorical) else value)
            # A text that is over does not go on.
            found[:, entry] = each.masked_fill(over, -torch.inf) if each.dim() == 1 else each
            state = self.advance(state, value)
            if self.may_end and self.end is None:
                over = over | self.over(state)
        return found.reshape(*x.flat(self.space).tensor.shape)

    def condition(self, evidence: Entries) -> Distribution:
        flat = self._known(evidence)
        self._check_first(flat.scored)
        inner = self.distribution.condition(evidence)
        assert isinstance(inner, Sequential)
        distribution = copy.copy(self)
        distribution.distribution, distribution.evidence = inner, flat
        distribution.order, distribution.entries = inner.order, inner.entries
        return distribution

    def _state(self, inner: State, led: _Led) -> State:
        return State(inner.t, inner.values, None, led, inner.read)

    def _map(self, distribution: Factorized, place: StepContext) -> Factorized:
        distribution = self.how.change(distribution, place)
        if self.how.ends and self.end is not None and place.memory is not None:
            log_p = distribution.log_probs
            other = torch.arange(log_p.shape[-1], device=self.device) != self.end
            certain = torch.zeros_like(log_p).masked_fill(other, -torch.inf)
            log_p = torch.where(self.how.done(place.memory)[:, None], certain, log_p)
            return Categorical(log_p, distribution.space)  # type: ignore[arg-type]
        return distribution

    def _move(self, led: _Led, t: int, entries: Tensor) -> Tensor | None:
        if led.memory is None:
            return None
        moved = self.how.move(led.memory, entries.long())
        return moved if led.given is None else torch.where(led.given[:, int(self.order[t])], led.memory, moved)


def draws_symbols(distribution: Any) -> TypeGuard[Sequential]:
    """Whether a distribution draws symbols one after another, some of its entries at least."""
    return isinstance(distribution, Sequential) and any(isinstance(space, Finite) for _, space in distribution.space.parts)


def check_open(distribution: Any, who: str) -> None:
    """Raise `UserError` where a distribution draws by a search, which nothing that comes after can reach into."""
    if isinstance(distribution, Distribution) and distribution.closed:
        raise UserError(f"{who}: comes after a search, which draws as it does; put it first, as in "
                        f"{who}(...) | Beam(...)")


def check_one_at_a_time(distribution: Sequential, who: str) -> None:
    """Raise `UserError` unless a distribution draws one entry a step."""
    if not distribution.one_at_a_time:
        raise UserError(f"{who}: expected a distribution that draws one entry a step, got one that draws several; learn with "
                        "order=Raster(), or leave it out")
