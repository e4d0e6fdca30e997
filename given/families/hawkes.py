"""Hawkes: marked arrivals that excite one another, by maximum likelihood.

    lambda_k(t) = mu_k + sum_{i: t_i < t} sum_j a_j[m_i, k] b_j exp(-b_j (t - t_i))

is the intensity of arrivals of mark k: a base, and what those before excite, each a_j[m, k] arrivals of mark k in all, for
memories 1 / b_j. What is excited before the first arrival is learned too. All numbers are above 0, and learned together by BFGS
over all items, under a normal prior of variance 100 on their logarithms, which holds those that data say nothing of. No memory
is shorter than the shortest wait above 0: arrivals at one time would have an infinite density otherwise.
`log_prob` is exact, of a sequence of waits and marks, each given all before: p(wait), then p(mark | wait). How many arrivals
there are comes with an item, so that of the time after the last nothing is scored. Arrivals that make others less likely
(inhibition) are not modelled. A step costs O(N T J K (K + log T)), without a loop over time.

Source: Hawkes, Spectra of some self-exciting and mutually exciting point processes, 1971
Ozaki, Maximum likelihood estimation of Hawkes' self-exciting point processes, 1979
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Excitation, Flattened, Timeline
from given.lessons import Batch, Lesson, Solve, deadline_of, in_parts, quasi_newton
from given.variables import Finite, Observed, UserError, Variable
from given.ways import way

__all__ = ["Hawkes"]

_PRIOR = 100.0  # the variance of the free coordinates
_MOST_MARKS = 32  # whose excitation of one another is K^2 numbers
_AT_ONCE = 1 << 21  # numbers of what is excited, 16 MB, of which a step keeps some fifty
_APART = 10.0  # how much longer the next memory is where learning starts


class Hawkes(Conditional):
    """Arrivals that excite those to come.

    Args:
        x: a series of waits, real numbers in their own units from 0 up, and at most one of marks beside it, symbols: the marks
            of the arrivals that the waits end with.
        memories: J, how many rates of decay, shared by all marks.
        most_steps: of BFGS.

    Raises:
        UserError: it has parents, x is no such series, or while learning, a wait below 0 or a hole within.
    """

    on_lines = in_own_units = True

    def __init__(self, x: Variable, parents: tuple[()] = (), *, memories: int = 1, most_steps: int = 200) -> None:
        super().__init__(x, parents)
        Flattened.check_no_atoms(x, "Hawkes")
        self.timeline = Timeline(x, "Hawkes")
        reals, C = self.timeline.reals, self.timeline.channels
        if len(reals) != 1 or C > 2:
            raise UserError(f"Hawkes: {x.name}: expected one column of waits, real numbers, and at most one of marks, got "
                            f"{x.space}; pass {_own_units(x.columns[0])}, or use Autoregressive")
        if self.parents:
            raise UserError(f"{self}: Hawkes takes no parents; make them part of the block, or use Autoregressive")
        if memories < 1:
            raise UserError(f"Hawkes {x.name}: memories={memories}; expected at least 1")
        marks = self.timeline.parts[1 - reals[0]] if C > 1 else Finite(1)
        assert isinstance(marks, Finite)
        if marks.size > _MOST_MARKS:
            raise UserError(f"Hawkes: {x.name}: {marks.size} marks, whose excitation of one another is {marks.size}^2 numbers; "
                            f"expected at most {_MOST_MARKS}; take the rare ones as one, or use Autoregressive")
        self.memories, self.most_steps = memories, most_steps
        self._wait = x.columns[reals[0]]
        at = torch.tensor(self.timeline.order).view(self.timeline.shape)
        self.at_waits, self.at_marks = at[:, reals[0]].tolist(), at[:, 1 - reals[0]].tolist() if C > 1 else None
        J, K = memories, marks.size
        for name, shape in {"base": (K,), "children": (J, K, K), "memory": (J,), "first": (J, K)}.items():
            self.register_buffer(f"free_{name}", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("unit", torch.ones((), dtype=torch.float64))
        self.register_buffer("least", torch.zeros((), dtype=torch.float64))
        for name, value in self._starts(torch.full((K,), 1 / K, dtype=torch.float64)).items():
            self.get_buffer(f"free_{name}").copy_(value)

    def _starts(self, shares: Tensor) -> dict[str, Tensor]:
        """Where learning starts, by the shares (K,) of marks: half of the arrivals are excited, by every memory alike."""
        J, half = self.memories, (0.5 * shares).log()
        each = half - math.log(J)
        return {"base": half, "children": each.expand(J, len(shares), -1).clone(), "first": each.expand(J, -1) - 1,
                "memory": math.log(_APART) * torch.arange(J, dtype=torch.float64)}

    @property
    def numbers(self) -> Excitation:
        """Of the process, float64, per unit of time."""
        return self._numbers({name: self.get_buffer(f"free_{name}") for name in ("base", "children", "memory", "first")})

    @property
    def branching(self) -> float:
        """How many arrivals one excites in the long run, over all marks: below 1 of a process that does not explode."""
        return float(torch.linalg.eigvals(self.numbers.children.sum(0)).abs().max())

    def _numbers(self, free: dict[str, Tensor]) -> Excitation:
        rate = 1 / (self.get_buffer("unit") * (self.get_buffer("least") + free["memory"].exp()))
        return Excitation(free["base"].exp() / self.get_buffer("unit"), free["children"].exp(), rate,
                          free["first"].exp() * rate[:, None])

    def forward(self, y: Observed) -> distributions.Hawkes:
        return self._law(y.n, self.numbers)

    def _law(self, n: int, numbers: Excitation) -> distributions.Hawkes:
        return distributions.Hawkes(self.x.space, n, self.at_waits, self.at_marks, numbers)

    @staticmethod
    def inside(values: Tensor) -> Tensor:
        """Reals, one to one, as waits: values to try it on."""
        return values.exp()

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]

    def _solve(self, batches: Iterable[Batch]) -> None:
        waits, marks, amount = self._arrivals(batches)
        total = amount.sum()
        if not bool(amount[..., 0].any() and (waits > 0).any()):
            raise UserError(f"{self}: no wait above 0 that is known in a row of weight above 0; expected at least one")
        unit = (amount[..., 0] * waits).sum() / amount[..., 0].sum()
        self.get_buffer("unit").copy_(unit)
        self.get_buffer("least").copy_(waits[(waits > 0) & (amount[..., 0] > 0)].min() / unit)
        counts = torch.zeros_like(self.get_buffer("free_base")).index_add(0, marks.flatten(), amount[..., -1].flatten())
        starts = self._starts((counts + 0.01 * counts.mean()) / (1.01 * counts.sum()))
        moved = {name: torch.zeros_like(value, requires_grad=True) for name, value in starts.items()}

        size = max(1, _AT_ONCE // (waits.shape[1] * starts["first"].numel()))

        def surprise(rows: slice) -> Tensor:
            law = self._law(len(waits[rows]), self._numbers({name: starts[name] + by for name, by in moved.items()}))
            own = amount[rows]
            return -(own * torch.where(own > 0, law.log_p(waits[rows], marks[rows]), 0.0)).sum() / total

        def loss() -> Tensor:
            parts = (slice(first, first + size) for first in range(0, len(waits), size))
            prior = torch.stack([(by**2).sum() for by in moved.values()]).sum() / (2 * _PRIOR * total)
            return prior + in_parts(list(moved.values()), (partial(surprise, part) for part in parts))

        quasi_newton(list(moved.values()), loss, deadline_of(batches), self.most_steps)
        for name, by in moved.items():
            self.get_buffer(f"free_{name}").copy_(starts[name] + by.detach())

    def _arrivals(self, batches: Iterable[Batch]) -> tuple[Tensor, Tensor, Tensor]:
        """Waits and marks (N, T) of all items, and the weights (N, T, channels) of what is scored; context is read alone."""
        parts = list[tuple[Tensor, Tensor, Tensor]]()
        order = torch.tensor(self._law(1, self.numbers).entries).view(len(self.at_waits), -1)
        for x, _, weight in batches:
            flat = x.flat(self.x.space)
            known = flat.readable[:, order.flatten()]
            if bool((known[:, 1:] & ~known[:, :-1]).any()):
                raise UserError(f"{self}: Hawkes learns from arrivals without holes, got one that is missing within; make it a "
                                "mark of its own, leave out such items, or use HiddenMarkov, which leaves out entries")
            values = torch.where(flat.readable, flat.tensor.double(), 0.0)[:, order]
            self._check_waits(values[..., 0])
            marks = values[..., 1].long() if self.at_marks else torch.zeros_like(values[..., 0], dtype=torch.int64)
            parts.append((values[..., 0], marks, flat.scored[:, order] * weight.double()[:, None, None]))
        waits, marks, amount = (torch.cat(each) for each in zip(*parts, strict=True))
        return waits, marks, amount

    def _check_waits(self, waits: Tensor) -> None:
        wrong = ~((waits >= 0) & (waits < 1e150))
        if bool(wrong.any()):
            raise UserError(f"{self}: got a wait of {float(waits[wrong][0]):g}, where Hawkes is of numbers from 0 up; order "
                            f"the arrivals, and read waits in their own units, by {_own_units(self._wait)}")


def _own_units(name: str) -> str:
    python, shell = f"codecs={{{name!r}: Series(IdentityCodec(Real()))}}", f"--as '{name}=Series(IdentityCodec(Real()))'"
    return way(python, shell)
