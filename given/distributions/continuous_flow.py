"""ContinuousFlow: noise carried to data by an ordinary differential equation.

    dx/dt = 2 (1 - t) v(x, t; y),  x(0) ~ N(0, I),    log p(x(1)) = log N(x(0)) - int_0^1 2 (1 - t) div v(x(t), t) dt

Noise at t = 0, data at t = 1. v points from noise to data, and noise's share of the way is (1 - t)^2, not 1 - t: equal steps
then end in small ones, where edges form. Drawing solves forward; scoring solves backward with the exact divergence. Both are
as good as the solver's steps, so a score is called an estimate: ask at two numbers of steps, `Heun(32)` and `Heun(64)`, and
believe what they agree on.

Source: Chen, Rubanova, Bettencourt, Duvenaud, Neural ordinary differential equations, 2018 /
https://arxiv.org/abs/1806.07366
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.noise import Noise
from given.solve import Heun, How, Solver
from given.variables import Entries, Real, UserError

__all__ = ["ContinuousFlow", "Guidance"]

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]


class ContinuousFlow(Distribution):
    """The distribution at t = 1 of a velocity field.

    Args:
        velocity: x (N, D), t (N,), context (N, C) -> (N, D).
        context: (B, C) y as the field reads it.
        null: (B, C) the context of a y that is not given, for `Guidance`; None where there is no y.
        space: a real vector of D entries.
        solver: of the equation.

    Draws keep the entries of evidence, on the straight path from their noise.
    """

    kind: Kind = "estimate"

    def __init__(self, velocity: Velocity, context: Tensor, null: Tensor | None, space: Real,
                 solver: Solver = Heun(32)) -> None:  # noqa: B008
        super().__init__(space, len(context), context.device)
        self.velocity, self.context, self.null, self.solver = velocity, context, null, solver

    def solved_by(self, solver: Solver) -> ContinuousFlow:
        """The same distribution with another solver."""
        return self._but(solver=solver)

    def guided(self, weight: float) -> ContinuousFlow:
        """The field (1 - weight) v(x, t; nothing) + weight v(x, t; y)."""
        assert self.null is not None
        C = self.context.shape[1]

        def velocity(x: Tensor, t: Tensor, both: Tensor) -> Tensor:
            given, null = self.velocity(x, t, both[:, :C]), self.velocity(x, t, both[:, C:])
            return null + weight * (given - null)

        both, null = torch.cat([self.context, self.null], 1), torch.cat([self.null, self.null], 1)
        return self._but(velocity=velocity, context=both, null=null)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws = torch.Size(shape).numel()
        z = noise.normal(shape, self.space.shape).reshape(draws * self.n, -1).float()
        context = self.context.repeat(draws, 1)
        known = value = None
        if self.evidence is not None:
            known, value = self.evidence.scored.repeat(draws, 1), self.evidence.tensor.float().repeat(draws, 1)

        def field(x: Tensor, t: float) -> Tensor:
            if known is not None and value is not None:
                left = (1 - t) ** 2
                x = torch.where(known, left * z + (1 - left) * value, x)
            v = self.velocity(x, torch.full((len(x),), t, device=self.device), context)
            return 2 * (1 - t) * (v if known is None or value is None else torch.where(known, value - z, v))

        with torch.no_grad():
            x = self.solver.solve(field, z, 0.0, 1.0).double()
        return self._kept(x.reshape(*shape, self.n, *self.space.shape))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        if self.evidence is not None or not x.plain:
            if x.hidden:
                return torch.zeros(x.tensor.shape[:-1], dtype=torch.float64, device=self.device)
            raise Intractable("an equation scores whole items only; Gaussian, GaussianMixture, FactorAnalysis score any part")
        lead, D = x.tensor.shape[:-1], x.tensor.shape[-1]
        flat = x.tensor.reshape(-1, D).float()
        context = self.context.repeat(len(flat) // self.n, 1).detach()

        def field(state: Tensor, t: float) -> Tensor:
            with torch.enable_grad():
                point = state[:, :D].detach().requires_grad_(True)
                v = 2 * (1 - t) * self.velocity(point, torch.full((len(point),), t, device=self.device), context)
                slopes = [torch.autograd.grad(v[:, d].sum(), point, retain_graph=d < D - 1)[0][:, d] for d in range(D)]
                divergence = torch.stack(slopes).sum(0)
            return torch.cat([v.detach(), divergence[:, None]], 1)

        end = self.solver.solve(field, torch.cat([flat, torch.zeros(len(flat), 1, device=self.device)], 1), 1.0, 0.0).double()
        z, gathered = end[:, :D], end[:, D]  # gathered is the integral from 1 to 0: minus that from 0 to 1
        return (-0.5 * (z**2).sum(1) - D / 2 * math.log(2 * math.pi) + gathered).reshape(lead)

    def condition(self, evidence: Entries) -> ContinuousFlow:
        return self._but(evidence=evidence, kind="none")


@dataclass(frozen=True)
class Guidance(How):
    """Draw as if y weighed more: v = v(nothing) + weight (v(y) - v(nothing)). 1 is the distribution itself, 0 that without y.

    Source: Ho, Salimans, Classifier-free diffusion guidance, 2022 / https://arxiv.org/abs/2207.12598
    """

    weight: float
    concerns = "velocity fields given something, as those of FlowMatching with parents"

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise UserError(f"Guidance: expected a finite weight, got {self.weight}")

    def __call__(self, distribution: Any) -> Any:
        return distribution.guided(self.weight) if isinstance(distribution,
                                                             ContinuousFlow) and distribution.null is not None else distribution
