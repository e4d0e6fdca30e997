"""Sequential distributions: entries drawn one after another, each given those before.

    log p(x | y) = sum_t log p(x_{o(t)} | x_{o(0)}, ..., x_{o(t-1)}, y)

Three methods carry every algorithm that draws, ranks or codes step by step: `start` gives the state before the first
entry, `next` the distribution of the entry to come, `advance` the state once it is known. `Chain` is the sequential
distribution of an order, a causal net and heads.
"""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from given.distributions.atomic import Atomic
from given.distributions.categorical import Categorical
from given.distributions.distribution import Distribution, Intractable
from given.distributions.factorized import Factorized
from given.distributions.noise import Noise
from given.nn import Condition
from given.variables import Entries, Finite, Space
from given.ways import way

__all__ = ["LOOKS", "SamplerState", "Sequential", "State"]

LOOKS = 16  # how many steps an accelerator goes on before the host asks whether all rows are over
_AT_ONCE = 1 << 21  # numbers of distributions of symbols, 16 MB


@dataclass
class State:
    """Where a draw stands.

    Attributes:
        t: entries drawn.
        values: (B, D) float64, the entries so far, zero where still to come.
        condition: y as a net reads it, or None.
        cache: what the distribution remembers. `next` writes into it: keep a copy with `rows`.
        read: how many entries' tokens the net has read into its cache.
    """

    t: int
    values: Tensor
    condition: Condition | None
    cache: Any
    read: int = 0

    def rows(self, index: Tensor) -> State:
        """The rows `index`, copied: repeated for several draws, reordered for a beam."""
        condition = None if self.condition is None else self.condition.rows(index)
        return State(self.t, self.values[index], condition, self.cache.rows(index), self.read)


@dataclass
class SamplerState:
    """Where the draws of a distribution stand: N = draws B rows, the rows of one draw together.

    Attributes:
        t: steps taken.
        state: of N rows.
        over: (N,) whether nothing more is to come.
        valid: (N, D) whether an entry is one, and no padding.
    """

    t: int
    state: State
    over: Tensor
    valid: Tensor


class Sequential(Distribution):
    """A distribution that draws its entries in an order.

    Attributes:
        order: (D,) int64, the entries as they are drawn: numbered row by row, the columns of a block one after another.
        ends: for every place in the order, where the group of entries drawn with it ends: one further, unless several entries
            are drawn at once.
        entries: the order as a list.
        evidence: (B, D) entries already known, returned by draws and not scored.
        any_order: whether what is known may stand anywhere, not only first in the order.
        one_at_a_time: whether a step is one entry, and not a group of several.
        more: how many entries follow after these D, in a text longer than its window.
        goes_on: whether this is a later window of a text, whose evidence was drawn in the windows before.
        upto: how many entries of the order are drawn; those after it are left out, and come back as zeros.
    """

    any_order = False
    one_at_a_time = True
    draws_together = True
    more = 0
    goes_on = False

    def __init__(self, space: Space, n: int, order: Tensor | list[int], device: torch.device | str = "cpu") -> None:
        super().__init__(space, n, device)
        entries = order.tolist() if isinstance(order, Tensor) else order
        self.order = torch.tensor(entries, dtype=torch.int64, device=device)
        self.ends, self.entries, self.upto = list(range(1, len(entries) + 1)), entries, len(entries)
        self.evidence: Entries | None = None
        self.end = space.end
        self.possible = space.possible(device) if isinstance(space, Finite) and space.pattern else None

    @abc.abstractmethod
    def each(self, x: Entries) -> Tensor:
        """log p of every entry given those before it: (*shape, B, D) float64, undefined where an entry is not readable.

        Raises:
            Intractable: what is readable is not what the order draws first.
        """

    @abc.abstractmethod
    def start(self) -> State:
        """The state of B rows before the first step."""

    @abc.abstractmethod
    def next(self, state: State) -> Factorized:
        """The distribution of the next entry of each row, or of the next group of entries, on a grid of one axis."""

    @abc.abstractmethod
    def advance(self, state: State, entries: Tensor) -> State:
        """The state once the next entry (B,), or group (B, G), is known. Consumes the state it is given."""

    def condition(self, evidence: Entries) -> Distribution:
        """The distribution of the rest once what the order draws first is known.

        Raises:
            Intractable: what is known is not that.
        """
        known = self._known(evidence)
        self._check_first(known.scored)
        return self._but(evidence=known)

    def read(self, state: State, values: Tensor, upto: int) -> State:
        """The state once the entries of the order up to `upto` are known, as (B, D) in that order say. Consumes the state."""
        while state.t < upto:
            state = self.advance(state, self._at(values, state.t))
        return state

    def all_log_probs(self, x: Entries) -> Iterator[Tensor]:
        """log p of every symbol (finite spaces) at every entry given those before it: blocks (M, D, V) float64 of x's rows.

        Raises:
            Intractable: as `each`.
        """
        flat, row = self._whole(x)
        self._check_first(flat.readable)
        values = torch.where(flat.readable, flat.tensor, 0.0)
        for rows in self.blocks(len(row)):
            state, found, drawn = self.start().rows(row[rows]), [], values[rows][:, self.order]
            while state.t < len(self.order):
                log_p = self.next(state).log_probs
                found.append(log_p if log_p.dim() == 3 else log_p[:, None])
                state = self.advance(state, self._at(drawn, state.t))
            yield torch.cat(found, 1)[:, self.order.argsort()]

    def blocks(self, n: int) -> Iterator[slice]:
        """n rows, so many at a time that their distributions fit: alike for all distributions of a space."""
        assert isinstance(self.space, Finite)
        size = max(1, _AT_ONCE // (self.space.dimensions * self.space.size))
        return (slice(first, first + size) for first in range(0, n, size))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        scored = x.flat(self.space).scored
        if self.evidence is not None:
            scored = scored & ~self.evidence.scored
        return torch.where(scored, self.each(x), 0.0).sum(-1)

    def over(self, state: State) -> Tensor:
        """(B,) whether the entry just written is a row's last, where the grid does not determine it."""
        last = state.values[:, self.entries[state.t - 1]]
        return last == self.end if self.end is not None else torch.zeros(len(last), dtype=torch.bool, device=self.device)

    @property
    def may_end(self) -> bool:
        """Whether a row may be over before all D entries are drawn."""
        return self.end is not None

    def after(self, state: State) -> Sequential:
        """The same distribution, for what is drawn after this state in a window of its own."""
        return self

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws, D = torch.Size(shape).numel(), len(self.order)
        own = not shape or len(noise.keys) != self.n  # a stream of noise for every draw
        u = noise.uniform((), (D,)) if own else noise.uniform(shape, (D,)).reshape(draws * self.n, D)
        # A step is small: what a call costs is what it takes a processor.
        with torch.inference_mode() if self.device.type == "cpu" else torch.no_grad():
            drawn = deque(self.run(u), maxlen=1).pop()
        lead = (*shape, self.n, D)
        return Entries(drawn.state.values.clone().reshape(lead), valid=drawn.valid.clone().reshape(lead)).shaped(self.space)

    def run(self, u: Tensor, over: Tensor | None = None) -> Iterator[SamplerState]:
        """Draws step by step, from uniform numbers (N, D): where they stand once what all rows know is written, and after
        every step from there until all are over, as those in `over` (B,) are before. What is known is read once for all draws
        of a row.
        """
        draws, D, order, ends = len(u) // self.n, len(self.order), self.entries, self.may_end
        state, first, last = self.start(), 0, 0
        over = torch.zeros(self.n, dtype=torch.bool, device=self.device) if over is None else over
        valid = torch.full((self.n, D), not ends, device=self.device)
        if self.evidence is not None:
            known, values = self.evidence.scored[:, self.order], self.evidence.tensor[:, self.order].double()
            every = [*known.all(0).tolist(), False]
            first = every.index(False)
            last = max((place + 1 for place, some in enumerate(known.any(0).tolist()) if some), default=0)
            first = max(end for end in (0, *self.ends) if end <= first)  # a group that is known in part is drawn
            while ends and state.t < first:
                valid[:, order[state.t]] = ~over
                state = self.advance(state, self._at(values, state.t))
                over = over | self.over(state)
            state = self.read(state, values, first)
        distribution = self.next(state) if first < D else None
        if draws > 1:
            row = torch.arange(self.n, device=self.device).repeat(draws)
            state, over, valid = state.rows(row), over[row], valid[row]
            if last > first:
                known, values = known[row], values[row]
        yield SamplerState(first, state, over, valid)
        numbers = u.T.contiguous().unbind(0) if self.one_at_a_time else None
        while (t := state.t) < self.upto:
            if ends and (self.device.type == "cpu" or t % LOOKS == 0) and bool(over.all()):
                break
            each = numbers[t] if numbers else self._at(u, t)
            if distribution is None:
                value = self.next(state).pick(each).double()
            else:  # of B rows still
                value = distribution.pick(each.reshape(draws, self.n, *each.shape[1:])).flatten(0, 1).double()
                distribution = None
            if t < last:
                value = torch.where(self._at(known, t), self._at(values, t), value)
            if ends:
                valid[:, order[t]] = ~over
                value = value.masked_fill(over, 0.0)
            state = self.advance(state, value)
            if ends:
                over = over | self.over(state)
            yield SamplerState(state.t, state, over, valid)

    def _at(self, drawn: Tensor, t: int) -> Tensor:
        """What (B, D) in the order of drawing holds of the entry or the group at t: (B,) or (B, G)."""
        return drawn[:, t] if self.ends[t] == t + 1 else drawn[:, t:self.ends[t]]

    def _whole(self, x: Entries) -> tuple[Entries, Tensor]:
        """x with the evidence in its place, (N, D) each, and which of the B rows each belongs to."""
        flat = x.flat(self.space)
        flat = flat if flat.tensor.dim() == 2 else flat.map(lambda t: t.reshape(-1, t.shape[-1]))
        row = torch.arange(self.n, device=self.device).repeat(len(flat) // self.n)
        if self.evidence is not None:
            e = self.evidence.rows(row)
            values = torch.where(e.scored, e.tensor, flat.tensor)
            flat = Entries(values, flat.seen | e.scored, flat.valid | e.scored, flat.context)  # type: ignore[operator]
        return flat, row

    def _known(self, evidence: Entries) -> Entries:
        """All that is known once this is, (B, D)."""
        flat = evidence.flat(self.space)
        flat = flat if flat.told.plain else Entries(flat.tensor, flat.readable)
        return flat if self.evidence is None else self.evidence.or_else(flat)

    def _comes_first(self, known: Tensor, order: Tensor) -> bool:
        in_order = known[:, order]
        return not bool((in_order[:, 1:] & ~in_order[:, :-1]).any())

    def _check_first(self, known: Tensor) -> None:
        if not self._comes_first(known, self.order):
            choose = way("(order=Reverse(), FixedOrder(...)) or learns all (order=AnyOrder())",
                         "or learns all (Autoregressive(order=AnyOrder()) by --family)")
            raise Intractable("what is seen is not what this order draws first; fill what is missing within, choose an order "
                              f"that begins with it {choose}, or a family that marginalises: Gaussian, Independent, "
                              "Empirical, and of series StateSpace")

    def _ending(self, distribution: Factorized, place: int | slice | Tensor, ends: Tensor | None = None) -> Factorized:
        """On an axis whose length is modelled, the last entry is the end and nothing else; where a parent on the axis has the
        place of the end, `ends` (B,), that entry is and no other. Where it has a pattern, only what that allows is possible."""
        if self.end is None or (ends is None and distribution.space == self.space):  # of the whole grid, it knows
            return distribution
        D = self.space.dimensions
        if ends is None and isinstance(place, int) and place != D - 1 and self.possible is None:
            return distribution
        at = torch.arange(D, device=self.device)[place]
        ends = ends if ends is None else ends.reshape(-1, *[1] * at.dim())
        last = at == (D - 1 if ends is None else ends)
        if not isinstance(distribution, Categorical | Atomic):
            assert isinstance(distribution.space, Finite)
            distribution = Categorical(distribution.log_probs, distribution.space)
        distribution.end_at(last, self.end, None if ends is None else at < ends)
        if self.possible is not None and isinstance(distribution, Categorical):
            distribution.keep(self.possible[place])
        return distribution
