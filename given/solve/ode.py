"""Solvers of dx/dt = f(x, t): one `step` each, the loop written once.

A solver is a `How` too: it sets how a distribution defined by an equation solves it.

Source: Hairer, Norsett, Wanner, Solving ordinary differential equations I, 1993
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from given.solve.how import How
from given.variables import UserError

__all__ = ["DormandPrince", "Euler", "Heun", "RungeKutta", "Solvable", "Solver"]

Field = Callable[[Tensor, float], Tensor]


@runtime_checkable
class Solvable(Protocol):
    """A distribution that is drawn by solving an equation."""

    def solved_by(self, solver: Any) -> Any:
        """The same distribution with another solver."""


class Solver(How):
    """How to go from x(start) to x(end)."""

    concerns = "distributions that are drawn by solving an equation, as those of FlowMatching"

    def __call__(self, distribution: Any) -> Any:
        return distribution.solved_by(self) if isinstance(distribution, Solvable) else distribution

    @abc.abstractmethod
    def solve(self, field: Field, x: Tensor, start: float, end: float) -> Tensor:
        """x(end), of x's shape, from x(start) = x (N, D) and dx/dt = field(x, t)."""


class _Fixed(Solver):
    """Steps of one length."""

    steps: int

    @abc.abstractmethod
    def step(self, field: Field, x: Tensor, t: float, h: float) -> Tensor:
        """x(t + h)."""

    def solve(self, field: Field, x: Tensor, start: float, end: float) -> Tensor:
        h = (end - start) / self.steps
        for i in range(self.steps):
            x = self.step(field, x, start + i * h, h)
        return x


@dataclass(frozen=True)
class Euler(_Fixed):
    """Order 1, one evaluation a step."""

    steps: int = 64

    def step(self, field: Field, x: Tensor, t: float, h: float) -> Tensor:
        return x + h * field(x, t)


@dataclass(frozen=True)
class Heun(_Fixed):
    """Order 2, two evaluations a step."""

    steps: int = 32

    def step(self, field: Field, x: Tensor, t: float, h: float) -> Tensor:
        k = field(x, t)
        return x + h / 2 * (k + field(x + h * k, t + h))


@dataclass(frozen=True)
class RungeKutta(_Fixed):
    """Order 4, four evaluations a step."""

    steps: int = 16

    def step(self, field: Field, x: Tensor, t: float, h: float) -> Tensor:
        a = field(x, t)
        b = field(x + h / 2 * a, t + h / 2)
        c = field(x + h / 2 * b, t + h / 2)
        return x + h / 6 * (a + 2 * b + 2 * c + field(x + h * c, t + h))


@dataclass(frozen=True)
class DormandPrince(Solver):
    """Order 5 with steps chosen so that the error of each, against order 4, stays below `tolerance`; row by row the worst
    decides, so a row's result depends on its batch within the tolerance."""

    tolerance: float = 1e-5
    most_steps: int = 10_000

    def solve(self, field: Field, x: Tensor, start: float, end: float) -> Tensor:
        sign, t, h = (1.0 if end > start else -1.0), start, (end - start) / 20
        for _ in range(self.most_steps):
            if sign * (end - t) <= 1e-12:
                return x
            h = sign * min(abs(h), abs(end - t))
            k: list[Tensor] = []
            for c, row in zip(_NODES, _TABLE, strict=True):
                k.append(field(x + h * _combine(row, k, x), t + c * h))
            new = x + h * _combine(_FIFTH, k, x)
            scale = self.tolerance * (1 + torch.maximum(x.abs(), new.abs()))
            error = float((h * _combine(_ERROR, k, x) / scale).square().mean(-1).sqrt().max())
            if error <= 1:
                x, t = new, t + h
            h *= min(5.0, max(0.2, 0.9 * max(error, 1e-10) ** -0.2))
        raise UserError(f"DormandPrince: {self.most_steps} steps were not enough; raise tolerance={self.tolerance}")


def _combine(weights: tuple[float, ...], k: list[Tensor], like: Tensor) -> Tensor:
    return sum((w * v for w, v in zip(weights, k, strict=False) if w), torch.zeros_like(like))


_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_TABLE: tuple[tuple[float, ...], ...] = (
    (), (1 / 5,), (3 / 40, 9 / 40), (44 / 45, -56 / 15, 32 / 9), (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84))
_FIFTH = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0)
_FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
_ERROR = tuple(a - b for a, b in zip(_FIFTH, _FOURTH, strict=True))
