"""GARCH: series whose scale follows from what came before, by maximum likelihood.

    r_t = m + phi (r_t-1 - m) + sigma_t z_t
    sigma_t^2 = omega + (alpha + gamma [e_t-1 < 0]) e_t-1^2 + beta sigma_t-1^2

e = sigma z, and z has Student's distribution of variance 1, skewed or not. All numbers are learned together by BFGS over all
items, in free coordinates that keep the recursion stationary: p = (alpha + (alpha + gamma)) / 2 + beta < 1 is split between its
three terms, none below 0, and omega = v (1 - p) for the variance v of long ago. A normal prior of variance 100 on these
coordinates holds those that data say nothing of. `log_prob` is exact, of whatever part of a series comes first. A pass costs
O(N T log T), without a loop over time.

`RealizedGARCH` reads a second series beside the returns, a measure of the scale, and draws it too: log sigma_t^2 is linear in
its own past and in the measure's (see `RealizedVolatility`).

Source: Bollerslev, A conditionally heteroskedastic time series model for speculative prices and rates of return, 1987
Glosten, Jagannathan, Runkle, On the relation between the expected value and the volatility of the nominal excess return on
stocks, 1993
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Flattened, RealizedVolatility, Recursion, Timeline, Volatility
from given.lessons import Batch, Lesson, Solve, deadline_of, quasi_newton
from given.variables import Observed, UserError, Variable

__all__ = ["GARCH", "RealizedGARCH"]

_LEAST_DF = 2.05
_PRIOR = 100.0  # the variance of the free coordinates


class _Scaled(Conditional):
    """What both are: free coordinates (K, C) of a recursion, moved from a start until all items are likeliest.

    Args:
        start: coordinate -> where it begins.
        fixed: the coordinates that do not move.
        most_steps: of BFGS.
        measured: whether the second of two series measures the scale of the first; else each channel has its own.
    """

    waits = "its quantiles are looked up by the host"
    remembers, on_lines = False, True

    def __init__(self, x: Variable, parents: tuple[()], start: Mapping[str, float], fixed: Iterable[str], most_steps: int,
                 measured: bool = False) -> None:
        super().__init__(x, parents)
        who = type(self).__name__
        Flattened.check_real(x, who)
        self.timeline = Timeline(x, who)
        if measured and self.timeline.channels != 2:
            raise UserError(f"{who}: {x.name}: expected two series, returns and a measure of their scale, got "
                            f"{self.timeline.channels}; use GARCH")
        if self.parents:
            raise UserError(f"{self}: {who} takes no parents; make them part of the block, or use Autoregressive")
        self.start, self.learned, self.most_steps = start, [name for name in start if name not in set(fixed)], most_steps
        self.free: Tensor
        self.register_buffer("free", self._begun(1 if measured else self.timeline.channels))

    def _begun(self, columns: int) -> Tensor:
        return torch.tensor(list(self.start.values()), dtype=torch.float64)[:, None].repeat(1, columns)

    @property
    def numbers(self) -> Recursion:
        """Of the recursion and the innovations, float64 each."""
        return self._numbers(dict(zip(self.start, self.free, strict=True)))

    @abc.abstractmethod
    def _numbers(self, free: dict[str, Tensor]) -> Recursion:
        """Of coordinates."""

    @abc.abstractmethod
    def _beginning(self, mean: Tensor, variance: Tensor) -> dict[str, Tensor]:
        """Coordinates that begin elsewhere, where the numbers of C channels have these means and variances."""

    def forward(self, y: Observed) -> distributions.GARCH:
        return distributions.GARCH(self.x.space, y.n, self.timeline, self.numbers, self.free.device)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]

    def _solve(self, batches: Iterable[Batch]) -> None:
        values, there, weight = self._series(batches)
        amount = weight[:, None, None] * there
        total = amount.sum((0, 1))
        if not bool((total > 0).all()):
            raise UserError(f"{self}: no row of weight above 0 with a value that is known; expected at least one")
        mean = (amount * values).sum((0, 1)) / total
        variance = ((amount * (values - mean) ** 2).sum((0, 1)) / total).clamp(min=1e-12)
        start, names = self._begun(self.free.shape[1]), list(self.start)
        for name, each in self._beginning(mean, variance).items():
            start[names.index(name)] = each
        rows = [names.index(name) for name in self.learned]
        moved = torch.zeros(len(rows), start.shape[1], dtype=torch.float64, requires_grad=True)

        def loss() -> Tensor:
            numbers = self._numbers(dict(zip(names, start.index_add(0, torch.tensor(rows), moved), strict=True)))
            return ((moved**2).sum() / (2 * _PRIOR) - (amount * numbers.each(values)).sum()) / total.sum()

        quasi_newton([moved], loss, deadline_of(batches), self.most_steps)
        self.free.copy_(start.index_add(0, torch.tensor(rows), moved.detach()))

    def _series(self, batches: Iterable[Batch]) -> tuple[Tensor, Tensor, Tensor]:
        """Values (N, T, C), where they are scored, and the weights (N,) of all items; context is read alone."""
        parts = list[tuple[Tensor, Tensor, Tensor]]()
        for x, _, weight in batches:
            flat = x.flat(self.x.space)
            known, scored = (mask[:, self.timeline.order] for mask in (flat.readable, flat.scored))
            if bool((known[:, 1:] & ~known[:, :-1]).any()):
                raise UserError(f"{self}: {type(self).__name__} learns from series without holes, got one that is missing "
                                "values within; fill them, or use HiddenMarkov or StateSpace, which leave them out")
            values = torch.where(known, flat.tensor.double()[:, self.timeline.order], 0.0)
            parts.append((values.reshape(-1, *self.timeline.shape), scored.reshape(-1, *self.timeline.shape), weight.double()))
        values, there, weight = (torch.cat(each) for each in zip(*parts, strict=True))
        return values, there, weight


class GARCH(_Scaled):
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

    def __init__(self, x: Variable, parents: tuple[()] = (), *, leverage: bool = True, skewed: bool = True,
                 autoregression: bool = True, most_steps: int = 200) -> None:
        start = {"mean": 0.0, "phi": 0.0, "level": 0.0, "first": 0.0, "persistence": 2.5, "up": -2.5, "down": -2.5,
                 "tail": 1.5, "skew": 0.0}
        fixed = [name for name, moves in (("down", leverage), ("skew", skewed), ("phi", autoregression)) if not moves]
        self.leverage = leverage
        super().__init__(x, parents, start, fixed, most_steps)

    def _numbers(self, free: dict[str, Tensor]) -> Volatility:
        up, down = free["up"], free["down"] if self.leverage else free["up"]
        share = torch.stack([up, down, torch.zeros_like(up)]).softmax(0)
        persistence, variance = free["persistence"].sigmoid(), free["level"].exp()
        alpha, below = 2 * persistence * share[0], 2 * persistence * share[1]
        return Volatility(free["mean"], free["phi"].tanh(), variance * (1 - persistence), alpha, below - alpha,
                          persistence * share[2], variance * free["first"].exp(), _LEAST_DF + free["tail"].exp(),
                          free["skew"].tanh())

    def _beginning(self, mean: Tensor, variance: Tensor) -> dict[str, Tensor]:
        return {"mean": mean, "level": variance.log()}


class RealizedGARCH(_Scaled):
    """Returns, and beside them a measure of the scale that each moment shows, by their joint likelihood.

    Args:
        x: a block of two series on one axis: the returns, and the logarithm of the squared measure, in the returns' unit
            squared, such as log((high - low)^2 / (4 log 2)) of log prices. Codecs that leave numbers as they are, such as
            `Series(IdentityCodec(Real()))`, keep that unit; of others the leverage has another form.
        most_steps: of BFGS.

    Raises:
        UserError: it has parents, or x is no such block.
    """

    def __init__(self, x: Variable, parents: tuple[()] = (), *, most_steps: int = 200) -> None:
        start = {"mean": 0.0, "phi": 0.0, "level": 0.0, "first": 0.0, "persistence": 3.5, "beta": 1.5, "leverage": 0.0,
                 "tail": 1.5, "skew": 0.0, "offset": 0.0, "slope": 0.0, "lean": 0.0, "bend": 0.5, "spread": -0.5}
        super().__init__(x, parents, start, (), most_steps, measured=True)

    def _numbers(self, free: dict[str, Tensor]) -> RealizedVolatility:
        persistence, slope = free["persistence"].sigmoid(), free["slope"].exp()
        beta = persistence * free["beta"].sigmoid()
        return RealizedVolatility(
            free["mean"], free["phi"].tanh(), free["level"], beta, (persistence - beta) / slope, free["leverage"],
            free["level"] + free["first"], _LEAST_DF + free["tail"].exp(), free["skew"].tanh(), free["offset"], slope,
            free["lean"], free["bend"], free["spread"].exp())

    def _beginning(self, mean: Tensor, variance: Tensor) -> dict[str, Tensor]:
        level = variance[:1].log()
        return {"mean": mean[:1], "level": level, "offset": mean[1:] - level}
