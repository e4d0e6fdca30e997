"""ExponentialSmoothing: series whose level, slope and season follow what was not expected, by maximum likelihood.

    y_t = l_t-1 + phi b_t-1 + s_t-m + e_t,   e_t ~ N(0, sigma^2)
    l_t = l_t-1 + phi b_t-1 + alpha e_t,   b_t = phi b_t-1 + beta e_t,   s_t = s_t-m + gamma e_t

which is simple smoothing without slope and season, Holt's with a slope, damped where phi < 1, and Holt's and Winters' with a
season of period m. Every item begins with a level, slope and season of its own, normal about those learned, with variances that
are learned too. All numbers of a channel are learned together by BFGS over all items, in free coordinates that keep
0 < alpha < 1, beta < alpha, gamma < 1 - alpha and .8 < phi < .98, under a normal prior of variance 100 on them. `log_prob` is
exact, of whatever part of a series comes first. A step of learning costs O(T^3 + N T^2), without a loop over time.

Source: Hyndman, Koehler, Ord, Snyder, Forecasting with exponential smoothing: the state space approach, 2008
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Flattened, Innovations, Timeline
from given.lessons import Batch, Lesson, Solve, deadline_of, quasi_newton
from given.variables import Observed, UserError, Variable

__all__ = ["ExponentialSmoothing"]

_PRIOR = 100.0  # the variance of the free coordinates
_LONGEST = 4096  # moments, whose covariance has 128 MB
_DAMPED = 0.8, 0.98
_START = {"alpha": -1.0, "beta": -2.0, "gamma": -2.0, "phi": 0.0, "variance": -1.0, "level": 0.0, "slope": 0.0,
          "first level": 0.0, "first slope": -6.0, "first season": -1.0}


class ExponentialSmoothing(Conditional):
    """A series of numbers, smoothed exponentially; each channel by itself.

    Args:
        x: a series of numbers: one column, or several on one axis.
        trend: whether there is a slope.
        damped: whether it fades; else phi is 1.
        period: m of the season; 1 for none.
        most_steps: of BFGS.

    Raises:
        UserError: it has parents, x is no series of numbers, or is longer than 4,096 moments.
    """

    def __init__(self, x: Variable, parents: tuple[()] = (), *, trend: bool = True, damped: bool = True, period: int = 1,
                 most_steps: int = 100) -> None:
        super().__init__(x, parents)
        Flattened.check_real(x, "ExponentialSmoothing")
        self.timeline = Timeline(x, "ExponentialSmoothing")
        if self.parents:
            raise UserError(f"{self}: ExponentialSmoothing takes no parents; make them part of the block, or use "
                            "Autoregressive")
        if not isinstance(period, int) or period < 1:
            raise UserError(f"ExponentialSmoothing {x.name}: period={period!r}; expected a whole number of moments, 1 for none")
        if self.timeline.length > _LONGEST:
            raise UserError(f"ExponentialSmoothing {x.name}: {self.timeline.length} moments; expected at most {_LONGEST:,}; "
                            "pass Series(..., window=256), or use StateSpace")
        self.trend, self.damped, self.period, self.most_steps = trend, damped, period, most_steps
        out = [*([] if trend else ["beta", "slope", "first slope"]), *([] if trend and damped else ["phi"]),
               *([] if period > 1 else ["gamma", "first season"])]
        self.learned = [name for name in _START if name not in out]
        C = self.timeline.channels
        self.center: Tensor
        self.unit: Tensor
        self.free: Tensor
        self.register_buffer("center", torch.zeros(C, dtype=torch.float64))
        self.register_buffer("unit", torch.ones(C, dtype=torch.float64))
        start = torch.tensor(list(_START.values()), dtype=torch.float64)
        self.register_buffer("free", start[:, None].repeat(1, C))

    @property
    def numbers(self) -> Innovations:
        """Of the recursion and the first states, in the entries' units."""
        return self._numbers(self.free)

    def _numbers(self, free: Tensor) -> Innovations:
        at = dict(zip(_START, free, strict=True))
        none = torch.zeros_like(self.center)
        alpha, (low, high) = at["alpha"].sigmoid(), _DAMPED
        beta = alpha * at["beta"].sigmoid() if self.trend else none
        gamma = (1 - alpha) * at["gamma"].sigmoid() if self.period > 1 else none
        phi = low + (high - low) * at["phi"].sigmoid() if self.damped and self.trend else none + 1
        first = [at["first level"].exp(), at["first slope"].exp() if self.trend else none,
                 *[at["first season"].exp() if self.period > 1 else none] * self.period]
        mean = [self.center + self.unit.sqrt() * at["level"], self.unit.sqrt() * at["slope"] if self.trend else none,
                *[none] * self.period]
        return Innovations(alpha, beta, gamma, phi, self.unit * at["variance"].exp(), torch.stack(mean, 1),
                         self.unit[:, None] * torch.stack(first, 1))

    def forward(self, y: Observed) -> distributions.ExponentialSmoothing:
        return self._law(y.n, self.numbers)

    def _law(self, n: int, numbers: Innovations) -> distributions.ExponentialSmoothing:
        return distributions.ExponentialSmoothing(self.x.space, n, self.timeline, numbers)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]

    def _solve(self, batches: Iterable[Batch]) -> None:
        values, amount = self._series(batches)
        total = amount.sum((0, 1))
        if not bool((total > 0).all()):
            raise UserError(f"{self}: no row of weight above 0 with a value that is known; expected at least one")
        self.center.copy_((amount * values).sum((0, 1)) / total)
        self.unit.copy_(((amount * (values - self.center) ** 2).sum((0, 1)) / total).clamp(min=1e-12))
        start = torch.tensor(list(_START.values()), dtype=torch.float64)[:, None].repeat(1, len(total))
        rows = torch.tensor([list(_START).index(name) for name in self.learned])
        moved = torch.zeros(len(rows), len(total), dtype=torch.float64, requires_grad=True)

        def loss() -> Tensor:
            law = self._law(len(values), self._numbers(start.index_add(0, rows, moved)))
            return ((moved**2).sum() / (2 * _PRIOR) - (amount * law.log_p(values)).sum()) / total.sum()

        quasi_newton([moved], loss, deadline_of(batches), self.most_steps)
        self.free.copy_(start.index_add(0, rows, moved.detach()))

    def _series(self, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
        """Values (N, T, C) of all items, and their weights where they are scored; context is read alone."""
        values, amounts = list[Tensor](), list[Tensor]()
        for x, _, weight in batches:
            flat = x.flat(self.x.space)
            known, scored = (mask[:, self.timeline.order] for mask in (flat.readable, flat.scored))
            if bool((known[:, 1:] & ~known[:, :-1]).any()):
                raise UserError(f"{self}: ExponentialSmoothing learns from series without holes, got one that is missing "
                                "values within; fill them, or use StateSpace or HiddenMarkov, which leave them out")
            value = torch.where(known, flat.tensor.double()[:, self.timeline.order], 0.0)
            values.append(value.reshape(-1, *self.timeline.shape))
            amounts.append(scored.reshape(-1, *self.timeline.shape) * weight.double()[:, None, None])
        return torch.cat(values), torch.cat(amounts)
