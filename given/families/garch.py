"""GARCH: series whose scale follows from what came before, by maximum likelihood.

    r_t = m + phi (r_t-1 - m) + sigma_t z_t
    sigma_t^2 = omega + (alpha + gamma [e_t-1 < 0]) e_t-1^2 + beta sigma_t-1^2

e = sigma z, and z has Student's distribution of variance 1, skewed or not. All numbers are learned together by BFGS over all
items, in free coordinates that keep the recursion stationary: p = (alpha + (alpha + gamma)) / 2 + beta < 1 is split between its
three terms, none below 0, and omega = v (1 - p) for the variance v of long ago. A normal prior of variance 100 on these
coordinates holds those that data say nothing of. `log_prob` is exact, of whatever part of a series comes first. A pass costs
O(N T log T), without a loop over time.

Source: Bollerslev, A conditionally heteroskedastic time series model for speculative prices and rates of return, 1987
Glosten, Jagannathan, Runkle, On the relation between the expected value and the volatility of the nominal excess return on
stocks, 1993
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Flattened, Timeline, Volatility
from given.lessons import Batch, Lesson, Solve, deadline_of, quasi_newton
from given.variables import Observed, UserError, Variable

__all__ = ["GARCH"]

_LEAST_DF = 2.05
_PRIOR = 100.0  # the variance of the free coordinates
_START = {"mean": 0.0, "phi": 0.0, "level": 0.0, "first": 0.0, "persistence": 2.5, "up": -2.5, "down": -2.5, "tail": 1.5,
          "skew": 0.0}


class GARCH(Conditional):
    """A series of numbers with a scale that follows; each channel by itself.

    Args:
        x: a series of numbers: one column, or several on one axis.
        leverage: whether what falls moves the scale otherwise than what rises (GJR); else gamma is 0.
        skewed: whether the innovations may lean to one side.
        autoregression: whether the mean follows too; else phi is 0.
        most_steps: of BFGS.

    Raises:
        UserError: it has parents, or x is no series of numbers.
    """

    remembers = False
    waits = "its quantiles are looked up by the host"

    on_lines = True

    def __init__(self, x: Variable, parents: tuple[()] = (), *, leverage: bool = True, skewed: bool = True,
                 autoregression: bool = True, most_steps: int = 200) -> None:
        super().__init__(x, parents)
        Flattened.check_real(x, "GARCH")
        self.timeline = Timeline(x, "GARCH")
        if self.parents:
            raise UserError(f"{self}: GARCH takes no parents; make them part of the block, or use Autoregressive")
        self.most_steps = most_steps
        self.free: Tensor
        self.learned = [name for name in _START if (leverage or name != "down") and (skewed or name != "skew") and (
            autoregression or name != "phi")]
        self.leverage = leverage
        start = torch.tensor(list(_START.values()), dtype=torch.float64)
        self.register_buffer("free", start[:, None].repeat(1, self.timeline.channels))

    @property
    def numbers(self) -> Volatility:
        """Of the recursion and the innovations, (C,) float64 each."""
        return self._numbers(dict(zip(_START, self.free, strict=True)))

    def _numbers(self, free: dict[str, Tensor]) -> Volatility:
        up, down = free["up"], free["down"] if self.leverage else free["up"]
        share = torch.stack([up, down, torch.zeros_like(up)]).softmax(0)
        persistence, variance = free["persistence"].sigmoid(), free["level"].exp()
        alpha, below = 2 * persistence * share[0], 2 * persistence * share[1]
        return Volatility(free["mean"], free["phi"].tanh(), variance * (1 - persistence), alpha, below - alpha,
                          persistence * share[2], variance * free["first"].exp(), _LEAST_DF + free["tail"].exp(),
                          free["skew"].tanh())

    def forward(self, y: Observed) -> distributions.GARCH:
        return distributions.GARCH(self.x.space, y.n, self.timeline, self.numbers)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]

    def _solve(self, batches: Iterable[Batch]) -> None:
        values, there, weight = self._series(batches)
        amount = weight[:, None, None] * there
        total = amount.sum((0, 1))
        if not bool((total > 0).all()):
            raise UserError(f"{self}: no row of weight above 0 with a value that is known; expected at least one")
        mean = (amount * values).sum((0, 1)) / total
        variance = (amount * (values - mean) ** 2).sum((0, 1)) / total
        start = torch.tensor(list(_START.values()), dtype=torch.float64)[:, None].repeat(1, self.timeline.channels)
        names = list(_START)
        start[names.index("mean")], start[names.index("level")] = mean, variance.clamp(min=1e-12).log()
        rows = [names.index(name) for name in self.learned]
        moved = torch.zeros(len(rows), start.shape[1], dtype=torch.float64, requires_grad=True)

        def loss() -> Tensor:
            numbers = self._numbers(dict(zip(names, start.index_add(0, torch.tensor(rows), moved), strict=True)))
            log_p = numbers.law(*numbers.scales(values)).log_prob(values)
            return ((moved**2).sum() / (2 * _PRIOR) - (amount * log_p).sum()) / total.sum()

        quasi_newton([moved], loss, deadline_of(batches), self.most_steps)
        self.free.copy_(start.index_add(0, torch.tensor(rows), moved.detach()))

    def _series(self, batches: Iterable[Batch]) -> tuple[Tensor, Tensor, Tensor]:
        """Values (N, T, C), where they are scored, and the weights (N,) of all items; context is read alone."""
        parts = list[tuple[Tensor, Tensor, Tensor]]()
        for x, _, weight in batches:
            flat = x.flat(self.x.space)
            known, scored = (mask[:, self.timeline.order] for mask in (flat.readable, flat.scored))
            if bool((known[:, 1:] & ~known[:, :-1]).any()):
                raise UserError(f"{self}: GARCH learns from series without holes, got one that is missing values within; fill "
                                "them, or use HiddenMarkov or StateSpace, which leave them out")
            values = torch.where(known, flat.tensor.double()[:, self.timeline.order], 0.0)
            parts.append((values.reshape(-1, *self.timeline.shape), scored.reshape(-1, *self.timeline.shape), weight.double()))
        values, there, weight = (torch.cat(each) for each in zip(*parts, strict=True))
        return values, there, weight
