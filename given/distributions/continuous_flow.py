"""ContinuousFlow: noise carried to data along a path by what a field predicts.

A path says how noise mixes with data and what the net gives, a field is the net, a solver follows it from noise at t = 0 to
data at t = 1. Scores solve the equation of the flow backward, an estimate: ask at two numbers of steps, `Heun(32)` and
`Heun(64)`, and believe what they agree on. Where `terms` are named, a score is the bound of the chain that removes noise.

Given part of x: a field that learned to read what is known (`reads_known`) answers up to learning. Another one answers
approximately, by `ReconstructionGuidance`, the default, or by `Replacement` of what is known on its way.

Source: Chen, Rubanova, Bettencourt, Duvenaud, Neural ordinary differential equations, 2018 /
https://arxiv.org/abs/1806.07366
Song et al., Score-based generative modeling through stochastic differential equations, 2021 /
https://arxiv.org/abs/2011.13456
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.flow_density import Estimate, Predict, bound, by_equation
from given.distributions.noise import Noise
from given.distributions.path import Path, Reading, over
from given.nn import Condition
from given.solve import Denoising, Heun, How, Sampler, Solver
from given.variables import Entries, Real, UserError

__all__ = ["ContinuousFlow", "Guidance", "ReconstructionGuidance", "Replacement"]

Field = Callable[[Tensor, Tensor, Condition], Tensor]


class ContinuousFlow(Distribution):
    """The distribution at t = 1.

    Args:
        field: x (N, *grid, F), t (N,), y -> (N, *grid); F is 2 where it reads what is known: the value there, x_t elsewhere;
            and whether it is.
        path: what the field's output is.
        condition: of B rows, y as the field reads it.
        null: that of a y that is not given, for `Guidance`; None where there is no y.
        space: real.
        solver: of draws.
        terms: of the bound's integral that are drawn; 0 scores by the equation.
        reads_known: whether the field learned to read what is known.

    Attributes:
        equation: the solver of scores.
        weight: of y, as `Guidance` has it.
        guided_by: the weight of what is known where it is not read, as `ReconstructionGuidance` has it; 0 where it is replaced.
    """

    def __init__(self, field: Field, path: Path, condition: Condition, null: Condition | None, space: Real,
                 solver: Solver | Sampler = Heun(32), *, terms: int = 0, reads_known: bool = False) -> None:  # noqa: B008
        super().__init__(space, len(condition.pooled), condition.pooled.device)
        self.field, self.path, self.y, self.null, self.solver = field, path, condition, null, solver
        self.terms, self.features, self.reads_known = terms, 1 + reads_known, reads_known
        self.equation: Solver = solver if isinstance(solver, Solver) else Heun(32)
        self.weight, self.guided_by = 1.0, 0.0 if reads_known else 1.0

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """By the equation an estimate; of what a part that is replaced or guided leaves, none."""
        if self.evidence is not None and not self.reads_known:
            return "none"
        return "bound" if self.terms and self.weight == 1 else "estimate"

    @property
    def kind_of_part(self) -> Kind:
        return "none"

    def solved_by(self, solver: Solver | Sampler) -> ContinuousFlow:
        """The same distribution drawn by another solver, and scored by it where it goes backward too."""
        return self._but(solver=solver, equation=solver, terms=0) if isinstance(solver, Solver) else self._but(solver=solver)

    def guided(self, weight: float) -> ContinuousFlow:
        """The prediction (1 - weight) of nothing + weight of y."""
        return self._but(weight=self.weight * weight)

    def completed_by(self, weight: float) -> ContinuousFlow:
        """The same distribution, known parts of which are replaced on their way (0), or guide by a weight."""
        return self._but(guided_by=weight, reads_known=False)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws = torch.Size(shape).numel()
        z = self.path.base.draw(noise, tuple(shape), self.space.shape).reshape(draws * self.n, *self.space.shape).float()
        known = self._known(draws)
        with torch.no_grad():
            predict = self._predict(draws, known, z)
            if isinstance(self.solver, Sampler):
                def fresh(step: int) -> Tensor:
                    return noise.fold("step").fold(step).normal(tuple(shape), self.space.shape).reshape(z.shape).float()

                def data(x: Tensor, t: float) -> Tensor:
                    return predict(x, torch.full((len(x),), t, device=x.device)).data

                x = self.solver.run(Denoising(data, self.path.at, self.path.slopes, fresh), z)
            else:
                x = self.solver.solve(
                    lambda x, t: predict(x, torch.full((len(x),), t, device=x.device)).velocity, z, 0.0, 1.0)
        return self._kept(x.double().reshape(*shape, self.n, *self.space.shape))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return self.estimate(x, seed=seed).value

    def estimate(self, x: Entries, *, seed: int | Noise = 0) -> Estimate:
        """log p, or its bound, and the standard error of what is drawn for it, (*shape, B) each."""
        grid = len(self.space.axes)
        lead = x.tensor.shape[:x.tensor.dim() - grid]
        if self.kind == "none":
            raise Intractable("what replaces or guides has no density; learn it with known= parts, or use Gaussian, "
                              "GaussianMixture, FactorAnalysis")
        if not x.plain:
            if x.hidden:
                nothing = torch.zeros(lead, dtype=torch.float64, device=self.device)
                return Estimate(nothing, nothing)
            raise Intractable("an equation scores whole items only; Gaussian, GaussianMixture, FactorAnalysis score any part")
        draws = lead[:-1].numel()
        values = x.tensor.reshape(draws * self.n, *self.space.shape)
        known = self._known(draws)
        free = torch.ones_like(values, dtype=torch.bool) if known is None else ~known[0]
        values = values if known is None else torch.where(free, values, known[1].to(values))
        noise = Noise.of(seed, self.n, device=self.device)
        noise = noise.repeat(draws) if draws > 1 else noise
        predict = self._predict(draws, known, None)
        if self.kind == "bound":
            found = bound(predict, self.path, values, free, noise, self.terms)
        else:
            found = by_equation(predict, self.path, self.equation, values, free, noise)
        return Estimate(found.value.reshape(lead), found.error.reshape(lead))

    def condition(self, evidence: Entries) -> ContinuousFlow:
        return self._but(evidence=self._and(evidence))

    def _known(self, draws: int) -> tuple[Tensor, Tensor] | None:
        """Where entries are known, and what they are, of all draws."""
        if self.evidence is None:
            return None
        times = [draws, *[1] * len(self.space.axes)]
        return self.evidence.scored.repeat(times), self.evidence.tensor.float().repeat(times)

    def _predict(self, draws: int, known: tuple[Tensor, Tensor] | None, start: Tensor | None) -> Predict:
        """x (N, *grid), t (N,) -> what the field, and what is known, say there."""
        rows = torch.arange(self.n, device=self.device).repeat(draws)
        y = self.y.rows(rows) if draws > 1 else self.y
        null = None if self.null is None or self.weight == 1 else self.null.rows(rows)

        def output(x: Tensor, t: Tensor) -> Tensor:
            inputs = self._inputs(x, known)
            found = self.field(inputs, t, y)
            if null is not None:
                nothing = self.field(inputs, t, null)
                found = nothing + self.weight * (found - nothing)
            return found

        def predict(x: Tensor, t: Tensor) -> Reading:
            if known is None:
                return self.path.read(output(x, t), x, t)
            where, value = known
            if self.reads_known:
                found = self.path.read(output(x, t), x, t)
            elif self.guided_by:
                found = self._towards(output, x, t, where, value)
            else:
                assert start is not None
                alpha, sigma = (over(v, x) for v in self.path.mix(t))
                x = torch.where(where, alpha * value + sigma * start, x)
                found = self.path.read(output(x, t), x, t)
            if self.guided_by:
                return found
            return Reading(torch.where(where, value, found.data), found.noise, found.velocity.masked_fill(where, 0.0))

        return predict

    def _inputs(self, x: Tensor, known: tuple[Tensor, Tensor] | None) -> Tensor:
        """(N, *grid, F)."""
        if self.features == 1:
            return x[..., None]
        if known is None or not self.reads_known:
            return torch.stack([x, torch.zeros_like(x)], -1)
        return torch.stack([torch.where(known[0], known[1], x), known[0].to(x)], -1)

    def _towards(self, output: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor, where: Tensor,
                 value: Tensor) -> Reading:
        """The prediction moved by the gradient of how well it predicts what is known, taken for normal with the variance that
        data of unit variance would leave."""
        with torch.enable_grad():
            point = x.detach().requires_grad_(True)
            found = self.path.read(output(point, t), point, t)
            alpha, sigma = (over(v, x) for v in self.path.mix(t))
            misfit = torch.where(where, value - found.data, 0.0).square().flatten(1).sum(1)
            slope = -0.5 * torch.autograd.grad(misfit.sum(), point)[0]
        # sigma^2 / alpha times the slope over sigma^2 / (alpha^2 + sigma^2); the gradient has a factor alpha where alpha is 0
        moved = self.guided_by * (alpha**2 + sigma**2) * slope / alpha.clamp(min=1e-6)
        a, s, pace = (over(v, x) for v in self.path.direction(t))
        noise = found.noise - alpha / sigma.clamp(min=1e-6) * moved
        return Reading(found.data.detach() + moved, noise.detach(),
                       found.velocity.detach() + pace * (a - s * alpha / sigma.clamp(min=1e-6)) * moved)


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


class _Completion(How):
    """A way to draw what is unknown that needs no learning. Approximate: its draws have no density."""

    concerns = "fields of FlowMatching or Diffusion given part of x"
    weight = 0.0

    def __call__(self, distribution: Any) -> Any:
        return distribution.completed_by(self.weight) if isinstance(
            distribution, ContinuousFlow) and distribution.evidence is not None else distribution


@dataclass(frozen=True)
class Replacement(_Completion):
    """What is known stands on its path from its own noise, whatever the rest does. Approximate: the rest is not that given what
    is known, for the field never learned that these entries end where they do.

    Source: Lugmayr et al., RePaint, 2022 / https://arxiv.org/abs/2201.09865, without its jumps back
    """


@dataclass(frozen=True)
class ReconstructionGuidance(_Completion):
    """What is predicted for known entries pulls x towards them, by the gradient through the net. Approximate: exact where data
    are standard normal.

    Source: Ho et al., Video diffusion models, 2022 / https://arxiv.org/abs/2204.03458
    Song, Vahdat, Mardani, Kautz, Pseudoinverse-guided diffusion models for inverse problems, 2023
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise UserError(f"ReconstructionGuidance: expected a weight above 0, got {self.weight}")
