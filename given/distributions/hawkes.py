"""Hawkes: marked arrivals, each of which makes those to come likelier for a while.

    lambda_k(t) = mu_k + sum_{i: t_i < t} sum_j a_j[m_i, k] b_j exp(-b_j (t - t_i))

is the intensity of mark k at time t. An item is a sequence of waits w_n = t_n - t_n-1 and marks m_n, each given all before:

    p(w_n) = lambda(t_n) exp(-int_{t_n-1}^{t_n} lambda(t) dt),     p(m_n = k | w_n) = lambda_k(t_n) / lambda(t_n)

with lambda the sum over k. What was excited by each memory j decays exponentially: a linear recurrence, so that one scan scores
all arrivals, and the integral is in closed form. A wait is drawn by inverting its distribution function. What is
missing within is not marginalised. Of how many arrivals there are, and of the time after the last, nothing is scored.

Source: Hawkes, Spectra of some self-exciting and mutually exciting point processes, 1971
Ozaki, Maximum likelihood estimation of Hawkes' self-exciting point processes, 1979
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.categorical import Categorical
from given.distributions.factorized import Factorized
from given.distributions.linear_scan import linear_scan
from given.distributions.sequential import Sequential, State
from given.variables import Entries, Finite, Real, Space

__all__ = ["Excitation", "Hawkes", "Wait"]

_NEWTON = 40  # steps, of which some 10 are needed but where what was excited is almost over


class Wait(Factorized):
    """Waits (B,) until the next arrival, with an intensity that decays towards its base.

    Args:
        base: a number, or (B,), above 0.
        excited: (B, J) what is added to it at first, from 0.
        rate: (J,) at which that decays.
        space: the real space of a single number.
    """

    def __init__(self, base: Tensor, excited: Tensor, rate: Tensor, space: Real) -> None:
        super().__init__(space, len(excited), excited.device)
        self.base, self.excited, self.rate = base, excited, rate

    def hazard(self, wait: Tensor) -> tuple[Tensor, Tensor]:
        """The intensity after waits (*shape, B), and its integral until then."""
        gone = -torch.expm1(-self.rate * wait[..., None])  # without the cancellation of 1 - exp
        return (self.base + (self.excited * (1 - gone)).sum(-1), self.base * wait + (self.excited / self.rate * gone).sum(-1))

    def each(self, values: Tensor) -> Tensor:
        values = values.double()
        now, total = self.hazard(values.clamp(min=0))
        return torch.where(values >= 0, now.log() - total, -torch.inf)

    def cdf(self, x: Entries) -> Tensor:
        total = self.hazard(x.tensor.double().clamp(min=0))[1]
        return torch.where(self._scored(x), -torch.expm1(-total), 0.0)

    def pick(self, u: Tensor) -> Tensor:
        # The integral is concave: from two bounds below the root, Newton's steps stay below it and never fall.
        aim = -torch.log1p(-u)
        wait = torch.maximum(aim / (self.base + self.excited.sum(-1)),
                             (aim - (self.excited / self.rate).sum(-1)) / self.base).clamp(min=0)
        for _ in range(_NEWTON):
            now, total = self.hazard(wait)
            wait = wait + (aim - total).clamp(min=0) / now
        return wait


@dataclass(frozen=True)
class Excitation:
    """The numbers of the process, float64, per unit of time.

    Attributes:
        base: mu (K,), above 0.
        children: a (J, K, K), how many arrivals of each mark one of a mark excites, in all, by each memory.
        rate: b (J,), one over the memory.
        first: (J, K) what is excited before the first arrival.
    """

    base: Tensor
    children: Tensor
    rate: Tensor
    first: Tensor

    def moved(self, excited: Tensor, wait: Tensor, mark: Tensor) -> Tensor:
        """What is excited (N, J, K) after a wait (N,) and an arrival of a mark (N,)."""
        decay = (-wait[:, None] * self.rate).exp()[..., None]
        return decay * excited + (self.children * self.rate[:, None, None])[:, mark].transpose(0, 1)

    def excited(self, waits: Tensor, marks: Tensor) -> Tensor:
        """What is excited at the beginning of each of the waits (N, T), of marks (N, T): (N, T, J, K)."""
        marked = F.one_hot(marks[:, :-1], len(self.base)).double()
        jumps = torch.einsum("ntm,jmk->ntjk", marked, self.children * self.rate[:, None, None])
        decay = (-F.pad(waits[:, :-1], (1, 0))[..., None] * self.rate).exp()[..., None]
        return linear_scan(torch.cat([self.first.expand(len(waits), 1, -1, -1), jumps], 1), decay)

    def wait(self, excited: Tensor, space: Real) -> Wait:
        """The wait that begins with so much (..., J, K) excited, of rows end to end."""
        return Wait(self.base.sum(), excited.sum(-1).flatten(0, -2), self.rate, space)

    def intensities(self, excited: Tensor, wait: Tensor) -> Tensor:
        """lambda_k (..., K) after waits (...) that began with so much (..., J, K) excited."""
        return self.base + ((-wait[..., None] * self.rate).exp()[..., None] * excited).sum(-2)


@dataclass
class _Now:
    """What is excited at the beginning of a wait (N, J, K), and the wait (N,) once it is known."""

    excited: Tensor
    wait: Tensor

    def rows(self, index: Tensor) -> _Now:
        return _Now(self.excited[index], self.wait[index])


class Hawkes(Sequential):
    """Waits and marks, of each arrival the wait first.

    Args:
        space: of T waits, and of T marks where there are any.
        n: B rows.
        waits: the numbers (T,) of the entries that are waits.
        marks: those that are marks, or None.
        numbers: of the process.
    """

    def __init__(self, space: Space, n: int, waits: list[int], marks: list[int] | None, numbers: Excitation) -> None:
        columns = [waits] if marks is None else [waits, marks]
        super().__init__(space, n, [entry for each in zip(*columns, strict=True) for entry in each], numbers.base.device)
        self.channels, self.numbers = len(columns), numbers
        self.mark_space = Finite(len(numbers.base))

    def log_p(self, waits: Tensor, marks: Tensor) -> Tensor:
        """log p of waits (N, T) and marks (N, T), each given those before: (N, T, channels)."""
        excited = self.numbers.excited(waits, marks)
        wait = self.numbers.wait(excited, Real()).each(waits.flatten()).view_as(waits)
        if self.channels == 1:
            return wait[..., None]
        mark = Categorical(self.numbers.intensities(excited, waits).log(), self.mark_space).log_probs
        return torch.stack([wait, mark.gather(-1, marks[..., None])[..., 0]], -1)

    def each(self, x: Entries) -> Tensor:
        flat, _ = self._whole(x)
        self._check_first(flat.readable)
        values = torch.where(flat.readable, flat.tensor, 0.0).double()[:, self.order].unflatten(1, (-1, self.channels))
        marks = values[..., 1].long() if self.channels > 1 else torch.zeros_like(values[..., 0], dtype=torch.int64)
        found = torch.empty_like(flat.tensor, dtype=torch.float64)
        found[:, self.order] = self.log_p(values[..., 0], marks).flatten(1)
        return found.reshape(x.flat(self.space).tensor.shape)

    def start(self) -> State:
        values = torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)
        return State(0, values, None, _Now(self.numbers.first.expand(self.n, -1, -1), values.new_zeros(self.n)))

    def next(self, state: State) -> Factorized:
        now = state.cache
        if state.t % self.channels == 0:
            return self.numbers.wait(now.excited, Real())
        return Categorical(self.numbers.intensities(now.excited, now.wait).log(), self.mark_space)

    def advance(self, state: State, entries: Tensor) -> State:
        now, value = state.cache, entries.double()
        state.values[:, self.entries[state.t]] = value
        c = state.t % self.channels
        now = replace(now, wait=value) if c == 0 else now
        if c + 1 == self.channels:
            mark = value.long() if self.channels > 1 else torch.zeros_like(value, dtype=torch.int64)
            now = _Now(self.numbers.moved(now.excited, now.wait, mark), now.wait)
        return replace(state, t=state.t + 1, cache=now)
