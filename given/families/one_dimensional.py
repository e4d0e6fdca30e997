"""One-dimensional distributions by maximum likelihood, with standard errors: every entry by itself, given finite y.

    theta = argmax sum_i w_i log p(x_i; theta),    s.e. = diag(I^-1)^(1/2),    I = -sum_i w_i d^2 log p / d theta^2 at theta

with I the observed information: a weight counts copies of its row. `Normal`, `LogNormal`, `Exponential`, `Laplace` and
`Uniform` are in closed form, `Gamma`, `Beta` and `StudentT` by Newton's method. Cells that are missing are left out
with their weights.
Two have no information to observe. A Laplace density has a kink, and its errors are those of large samples, scale / sqrt(n).
The ends of a uniform density are the least and the greatest value: they lie inside the true ends, by about range / n, with an
exponential law and not a normal one; what stands for their standard errors is the standard deviation of that gap.

They read numbers in their own units. `log_prob` is exact, and so are all marginals and conditionals.

Source: Casella, Berger, Statistical inference, 2nd edition, 2002, chapters 7 and 10
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional, state_of, states
from given.distributions import Supported, one_dimensional
from given.lessons import Batch, Lesson, Solve
from given.variables import Observed, Product, Real, UserError, Variable

__all__ = ["Beta", "Exponential", "Gamma", "Laplace", "LogNormal", "Normal", "StudentT", "Uniform"]

_STEPS = 200  # of Newton's method


class _OneDimensional(Conditional):
    """What they share: numbers a state and an entry, and their standard errors.

    Args:
        x: real: one number or a grid of them.
        parents: finite.

    Raises:
        UserError: while learning, where a value is outside the support, or where all are alike.
    """

    on_lines = in_own_units = True
    waits = "its quantiles are looked up by the host"
    made: ClassVar[Any]
    names: ClassVar[tuple[str, ...]]
    above_zero: ClassVar[tuple[str, ...]]
    start: ClassVar[tuple[float, ...]]
    bounded: ClassVar[str] = ""
    open_ends: ClassVar[tuple[float, ...]] = ()  # of the support, where the density is 0 or infinite

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = ()) -> None:
        super().__init__(x, parents)
        who = type(self).__name__
        distributions.Flattened.check_real(x, who)
        if isinstance(x.space, Product):
            raise UserError(f"{who}: expected one column, got {', '.join(x.columns)}; give each a factor of its own, or use "
                            "Independent or Gaussian")
        S, D = states(self.parents, f"{who} {x.name}"), x.space.dimensions
        self.numbers: Tensor
        self.errors: Tensor
        self.register_buffer("numbers", torch.tensor(self.start, dtype=torch.float64).repeat(S, D, 1))
        self.register_buffer("errors", torch.full((S, D, len(self.names)), torch.nan, dtype=torch.float64))

    def forward(self, y: Observed) -> distributions.Distribution:
        assert isinstance(self.x.space, Real)
        each = self.numbers[state_of(self.parents, y)].unbind(-1)
        shaped = {name: t.reshape(y.n, *self.x.space.shape) for name, t in zip(self.names, each, strict=True)}
        return Supported(self.made(**shaped, validate_args=False), self.x.space)

    @staticmethod
    def inside(values: Tensor) -> Tensor:
        """Reals, one to one, as numbers of the support: values to try it on."""
        return values

    @property
    def estimates(self) -> dict[str, Tensor]:
        """Every number by its name: (*grid) float64, with a first axis of the parents' values where there are parents."""
        return self._named(self.numbers)

    def standard_errors(self) -> dict[str, Tensor]:
        """The standard error of every number, shaped as `estimates`; infinite where the data do not tell it."""
        return self._named(self.errors)

    def _named(self, t: Tensor) -> dict[str, Tensor]:
        shape = (*([len(t)] if self.parents else []), *self.x.space.shape)
        return {name: each.reshape(shape) for name, each in zip(self.names, t.unbind(-1), strict=True)}

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]

    def _solve(self, batches: Iterable[Batch]) -> None:
        parts = list[tuple[Tensor, ...]]()
        for x, y, weight in batches:
            flat = x.flat(self.x.space)
            amount = torch.where(flat.scored, weight[:, None].double(), 0.0)
            parts.append((flat.tensor.double(), amount, state_of(self.parents, y)))
        values, weights, state = (torch.cat(each) for each in zip(*parts, strict=True))
        for s in range(len(self.numbers)):
            for d in range(values.shape[1]):
                there = (state == s) & (weights[:, d] > 0)
                self._learn(s, d, values[there, d], weights[there, d])

    def _learn(self, s: int, d: int, x: Tensor, weight: Tensor) -> None:
        where = f" where the parents have their value {s}; drop it" if self.parents else ""
        if not len(x):
            raise UserError(f"{self}: no row of weight above 0 with an entry that is known{where or '; expected at least one'}")
        at_an_end = torch.isin(x, torch.tensor(self.open_ends, dtype=torch.float64))
        outside = x[~self.made.support.check(x) | at_an_end] if self.bounded else x[:0]
        if len(outside):
            raise UserError(f"{self}: got {float(outside[0]):g}, where {type(self).__name__} is of numbers {self.bounded}; use "
                            "Gaussian, or read it in its own units by IdentityCodec(Real())")
        if len(self.names) > 1 and bool((x == x[0]).all()):
            raise UserError(f"{self}: every value is {float(x[0]):g}{where}, so there is no density; leave it out, or take it "
                            "as a category")
        self.numbers[s, d] = self._likeliest(x, weight)
        self.errors[s, d] = self._deviations(x, weight, self.numbers[s, d])

    @abc.abstractmethod
    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        """The numbers (P,) that maximise the likelihood of values (n,) of weights (n,)."""

    def _deviations(self, x: Tensor, weight: Tensor, found: Tensor) -> Tensor:
        """Standard errors (P,) from the observed information."""
        information = torch.autograd.functional.hessian(lambda numbers: self._surprise(x, weight, numbers), found.clone())
        if torch.linalg.cholesky_ex(information).info:
            return torch.full_like(found, torch.inf)
        return torch.linalg.inv(information).diagonal().sqrt()

    def _surprise(self, x: Tensor, weight: Tensor, numbers: Tensor) -> Tensor:
        made = self.made(**dict(zip(self.names, numbers, strict=True)), validate_args=False)
        return -(weight @ made.log_prob(x))

    def _climbed(self, x: Tensor, weight: Tensor, start: Tensor) -> Tensor:
        """Newton's method from a start (P,), with the logarithms of what is above zero, each step halved until it climbs."""
        log = torch.tensor([name in self.above_zero for name in self.names])

        def surprise(free: Tensor) -> Tensor:
            return self._surprise(x, weight, torch.where(log, free.exp(), free)) / weight.sum()

        free = torch.where(log, start.clamp(min=1e-300).log(), start)
        now = surprise(free)
        for _ in range(_STEPS):
            slope = torch.autograd.functional.jacobian(surprise, free)
            bend, turn = torch.linalg.eigh(torch.autograd.functional.hessian(surprise, free))
            step = turn @ ((turn.T @ slope) / bend.abs().clamp(min=1e-6))
            step = step / (step.abs().max() / 2).clamp(min=1)
            for half in range(40):
                then = surprise(free - step / 2**half)
                if then < now:
                    break
            if not then < now - 1e-11 * (1 + now.abs()):
                break
            free, now = free - step / 2**half, then
        return torch.where(log, free.exp(), free)


def _moments(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    mean = weight @ x / weight.sum()
    return mean, weight @ (x - mean) ** 2 / weight.sum()


def _median(x: Tensor, weight: Tensor) -> Tensor:
    order = x.argsort()
    upto = weight[order].cumsum(0)
    low = x[order[(upto < upto[-1] / 2 * (1 - 1e-12)).sum()]]
    return (low + x[order[(upto <= upto[-1] / 2 * (1 + 1e-12)).sum()]]) / 2


class Uniform(_OneDimensional):
    """The uniform distribution of [low, high], the least and the greatest value. A new value outside has probability zero."""

    made, names, above_zero, start = one_dimensional.Uniform, ("low", "high"), (), (-1.0, 1.0)

    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        return torch.stack([x.min(), x.max()])

    def _deviations(self, x: Tensor, weight: Tensor, found: Tensor) -> Tensor:
        n = float(weight.sum())
        return ((found[1] - found[0]) * math.sqrt(n / (n + 2)) / (n + 1)).expand(2)


class Normal(_OneDimensional):
    """The normal distribution: mean and standard deviation."""

    made, names, above_zero, start = torch.distributions.Normal, ("loc", "scale"), ("scale",), (0.0, 1.0)

    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        mean, variance = _moments(x, weight)
        return torch.stack([mean, variance.sqrt()])


class LogNormal(_OneDimensional):
    """The distribution of exp(z) for a normal z; its numbers are those of z."""

    made, names, above_zero, start = torch.distributions.LogNormal, ("loc", "scale"), ("scale",), (0.0, 1.0)
    bounded = "above 0"

    @staticmethod
    def inside(values: Tensor) -> Tensor:
        return values.exp()

    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        mean, variance = _moments(x.log(), weight)
        return torch.stack([mean, variance.sqrt()])


class Exponential(_OneDimensional):
    """The exponential distribution: one over the mean."""

    made, names, above_zero, start = torch.distributions.Exponential, ("rate",), ("rate",), (1.0,)
    bounded = "from 0 up"

    @staticmethod
    def inside(values: Tensor) -> Tensor:
        return values.exp()

    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        if not bool(x.any()):
            raise UserError(f"{self}: every value is 0, so there is no density; leave it out, or take it as a category")
        return (weight.sum() / (weight @ x))[None]


class Laplace(_OneDimensional):
    """The double exponential distribution: median and mean absolute deviation from it."""

    made, names, above_zero, start = torch.distributions.Laplace, ("loc", "scale"), ("scale",), (0.0, 1.0)

    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        middle = _median(x, weight)
        return torch.stack([middle, weight @ (x - middle).abs() / weight.sum()])

    def _deviations(self, x: Tensor, weight: Tensor, found: Tensor) -> Tensor:
        return (found[1] / weight.sum().sqrt()).expand(2)


class Gamma(_OneDimensional):
    """The gamma distribution of shape `concentration` and mean concentration / rate."""

    made, names, above_zero, start = (one_dimensional.Gamma, ("concentration", "rate"), ("concentration", "rate"), (1.0, 1.0))
    bounded, open_ends = "above 0", (0.0,)

    @staticmethod
    def inside(values: Tensor) -> Tensor:
        return values.exp()

    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        mean, variance = _moments(x, weight)
        return self._climbed(x, weight, torch.stack([mean**2 / variance, mean / variance]))


class Beta(_OneDimensional):
    """The beta distribution: density in x^(concentration1 - 1) (1 - x)^(concentration0 - 1)."""

    made, names, above_zero, start = (one_dimensional.Beta, ("concentration1", "concentration0"),
                                      ("concentration1", "concentration0"), (1.0, 1.0))
    bounded, open_ends = "between 0 and 1, without the ends", (0.0, 1.0)

    @staticmethod
    def inside(values: Tensor) -> Tensor:
        return values.sigmoid()

    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        mean, variance = _moments(x, weight)
        size = (mean * (1 - mean) / variance - 1).clamp(min=0.1)
        return self._climbed(x, weight, torch.stack([mean * size, (1 - mean) * size]))


class StudentT(_OneDimensional):
    """Student's distribution: degrees of freedom, location and scale. Of normal data `df` has no bound."""

    made, names, above_zero, start = one_dimensional.StudentT, ("df", "loc", "scale"), ("df", "scale"), (5.0, 0.0, 1.0)

    def _likeliest(self, x: Tensor, weight: Tensor) -> Tensor:
        middle = _median(x, weight)
        spread = _median((x - middle).abs(), weight) * 1.4826
        spread = spread if bool(spread > 0) else _moments(x, weight)[1].sqrt()
        return self._climbed(x, weight, torch.stack([torch.tensor(5.0).double(), middle, 0.9 * spread]))
