"""ContinuousFlow: noise carried to data along a path by what a field predicts.

A path says how noise mixes with data and what the net gives, a field is the net, a solver follows it from noise at t = 0 to
data at t = 1. Scores solve the equation of the flow backward, an estimate: ask at two numbers of steps, `RungeKutta(16)`
and `RungeKutta(32)`, and believe what they agree on. Where `terms` are named, a score is the bound of the chain that removes
noise.

Given part of x: a field that learned to read what is known (`reads_known`) answers up to learning. Another one answers
approximately, by `ReconstructionGuidance`, the default, or by `Replacement` of what is known on its way; and so does any field
given a linear `View` of x. What is known is in either case a projection of x, and the value of that.

Source: Chen, Rubanova, Bettencourt, Duvenaud, Neural ordinary differential equations, 2018 /
https://arxiv.org/abs/1806.07366
Song et al., Score-based generative modeling through stochastic differential equations, 2021 /
https://arxiv.org/abs/2011.13456
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.flow_density import Estimate, Predict, bound, by_equation
from given.distributions.noise import Noise
from given.distributions.path import Path, Reading, over
from given.nn import ChainField, Condition, ring, ringed
from given.solve import Denoising, RungeKutta, Sampler, Solver
from given.variables import Entries, Real

__all__ = ["ContinuousFlow", "Known"]

Field = Callable[[Tensor, Tensor, Condition], Tensor]


@dataclass(frozen=True)
class Known:
    """What is known of x (N, *grid).

    Attributes:
        of: x -> its projection that is known; entries, or a view spread back over them.
        value: of that projection, (N, *grid).
        where: (N, *grid) bool, which entries are known as they are.
    """

    of: Callable[[Tensor], Tensor]
    value: Tensor
    where: Tensor

    def put(self, x: Tensor) -> Tensor:
        """x with what is known in its place."""
        return x - self.of(x) + self.value


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
        copies: of a chain, each a turn of the one before.
        ends: (N,) entries of rows that are shorter than others, while they are scored; else None.
        equation: the solver of scores.
        weight: of y, as `Guidance` has it.
        levels: of how many levels, whose middles are learned, a score is the mass; 0 where it is a density.
        view: a linear view of x that is known: its projection (D, D), and the value of that (n, D); or None.
        guided_by: the weight of what is known where it is not read, as `ReconstructionGuidance` has it; 0 where it is replaced.
    """

    def __init__(self, field: Field, path: Path, condition: Condition, null: Condition | None, space: Real,
                 solver: Solver | Sampler = RungeKutta(16), *, terms: int = 0, reads_known: bool = False) -> None:  # noqa: B008
        super().__init__(space, len(condition.pooled), condition.pooled.device)
        self.field, self.path, self.y, self.null, self.solver = field, path, condition, null, solver
        self.terms, self.features, self.reads_known = terms, 1 + reads_known, reads_known
        self.equation: Solver = solver if isinstance(solver, Solver) else RungeKutta(16)
        self.weight, self.guided_by = 1.0, 0.0 if reads_known else 1.0
        self.levels, self.copies = 0, 1
        self.ends: Tensor | None = None
        self.view: tuple[Tensor, Tensor] | None = None

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """By the equation an estimate; none of what a part that is replaced or guides leaves, and none of what is guided and
        drawn with noise, since a guided field is the score of no process of noise."""
        if self.copies > 1:
            return "none"
        if not self.reads_known and (self.evidence is not None or self.view is not None):
            return "none"
        if self.weight not in (0, 1):
            noisy = isinstance(self.solver, Sampler) and self.solver.stochastic
            return "none" if noisy or self.levels else "estimate"
        return "bound" if self.terms else "none" if self.levels else "estimate"

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

    def of_levels(self, levels: int) -> ContinuousFlow:
        """The same distribution, that of the middles of so many levels of [-1, 1], scored by the bound of their masses."""
        return self._but(levels=levels)

    def of_length(self, entries: int) -> ContinuousFlow:
        if not isinstance(self.field, ChainField) or self.copies > 1:
            return self
        first, *rest = self.space.axes
        return self._but(space=replace(self.space, axes=(replace(first, size=entries), *rest)), sized=True)

    def symmetric(self, copies: int) -> ContinuousFlow:
        """The distribution of as many chains, each a turn of the one before about the third axis, one after another: as the
        field turns with the chains, what begins symmetric ends so."""
        assert isinstance(self.field, ChainField)
        chains = self.of_length(copies * (self.space.shape[0] + 1) - 1)
        return chains._but(copies=copies, field=self.field.of_copies(copies))

    def seen_through(self, projection: Tensor, value: Tensor) -> ContinuousFlow:
        """The distribution given a linear view: its projection (D, D), and the value of that (n, D). Approximate."""
        if self.evidence is not None or self.view is not None:
            raise Intractable("expected one view of x, and no part of it beside; give the part alone, or the view alone")
        return self._but(view=(projection, value), guided_by=1.0, reads_known=False)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws = torch.Size(shape).numel()
        z = self._noise(noise, shape)
        known = self._known(draws)
        with torch.no_grad():
            predict = self._predict(draws, known, z)
            if isinstance(self.solver, Sampler):
                def fresh(step: int) -> Tensor:
                    return self._noise(noise.fold("step").fold(step), shape)

                def data(x: Tensor, t: float) -> Tensor:
                    return predict(x, torch.full((len(x),), t, device=x.device)).data

                x = self.solver.run(Denoising(data, self.path.at, self.path.slopes, fresh), z)
            else:
                x = self.solver.solve(
                    lambda x, t: predict(x, torch.full((len(x),), t, device=x.device)).velocity, z, 0.0, 1.0)
        x = ringed(x.double(), self.copies) if self.copies > 1 else x
        x = x.double() if known is None or self.evidence is not None else known.put(x.double())
        return self._kept(x.reshape(*shape, self.n, *self.space.shape))

    def _noise(self, noise: Noise, shape: Sequence[int]) -> Tensor:
        """(draws B, *grid) what a path begins at, symmetric where that is asked for."""
        if self.copies == 1:
            return self.path.base.draw(noise, tuple(shape), self.space.shape).reshape(-1, *self.space.shape).float()
        one = self.path.base.draw(noise, tuple(shape), ((self.space.shape[0] + 1) // self.copies, 3))
        return ring(one.reshape(-1, *one.shape[-2:]), self.copies).float()

    def pick(self, u: Tensor) -> Tensor:
        """The values (*shape, B, *grid) that as many uniform numbers in (0, 1) pick: the equation's solver carries them from
        their place under the normal distribution that the path begins at."""
        z = torch.special.ndtri(u).float().reshape(-1, *self.space.shape)
        predict = self._predict(len(z) // self.n, None, z)
        return self.equation.solve(lambda x, t: predict(x, torch.full((len(x),), t, device=x.device)).velocity, z, 0.0,
                                   1.0).double().reshape(u.shape)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return self.estimate(x, seed=seed, probes=1).value  # rows differ by ten times what more would take from its error

    def estimate(self, x: Entries, *, seed: int | Noise = 0, probes: int = 4) -> Estimate:
        """log p, or its bound, and the standard error of what is drawn for it, (*shape, B) each.

        Args:
            x: values.
            seed: of what is drawn.
            probes: vectors of signs, where the divergence is estimated; of one the error is not known, and 0.
        """
        lead = x.tensor.shape[:x.tensor.dim() - len(self.space.axes)]
        self._check_scored()
        draws = lead[:-1].numel()
        if isinstance(self.field, ChainField):
            flat = x.map(lambda t: t.reshape(-1, *self.space.shape))
            self = self if flat.plain else self._but(ends=flat.occupied.sum(1))
        known = self._known(draws)
        free = self._free(x, draws, known)
        if not bool(free.any()):
            nothing = torch.zeros(lead, dtype=torch.float64, device=self.device)
            return Estimate(nothing, nothing)
        values = torch.where(free, x.tensor.reshape(free.shape), 0.0 if known is None else known.value.to(x.tensor))
        noise = Noise.of(seed, self.n, device=self.device)
        noise = noise.repeat(draws) if draws > 1 else noise
        predict = self._predict(draws, known, None)
        if self.kind == "bound":
            found = bound(predict, self.path, values, free, noise, self.terms, self.levels)
        else:
            found = by_equation(predict, self.path, self.equation, values, free, noise, probes)
        return Estimate(found.value.reshape(lead), found.error.reshape(lead))

    def _check_scored(self) -> None:
        if self.kind != "none":
            return
        if self.copies > 1:
            raise Intractable("chains that are turns of one another have no density; score one of them")
        if self.weight not in (0, 1) and not self.levels:
            raise Intractable(f"what is guided and drawn by {self.solver} has no density; draw it by an equation, as "
                              f"how=Guidance({self.weight:g}) | Heun(64)")
        if self.reads_known or self.evidence is self.view is None:
            raise Intractable("levels at the last noise have a bound alone, of what is drawn unguided by removing noise; leave "
                              "how out, or use Dequantised without last_noise=True")
        raise Intractable("what replaces or guides has no density; learn it with known= parts, or use Gaussian, "
                          "GaussianMixture, FactorAnalysis")

    def _free(self, x: Entries, draws: int, known: Known | None) -> Tensor:
        """(N, *grid) the entries to score: of a row all that are not known, or none where it has nothing of them.

        Raises:
            Intractable: a row has some of them.
        """
        free = torch.ones(draws * self.n, *self.space.shape, dtype=torch.bool, device=self.device)
        free = free if known is None else free & ~known.where
        asked = x.scored.reshape(free.shape) & free
        if self.ends is not None:
            free = free & x.valid.reshape(free.shape)  # type: ignore[union-attr]
        some = asked.flatten(1).any(1)
        if bool((asked != free).flatten(1).any(1).logical_and(some).any()):
            raise Intractable("an equation scores whole items only; Gaussian, GaussianMixture, FactorAnalysis score any part")
        return asked

    def condition(self, evidence: Entries) -> ContinuousFlow:
        return self._but(evidence=self._and(evidence))

    def _known(self, draws: int) -> Known | None:
        """What is known of all draws."""
        shape, spread = (draws * self.n, *self.space.shape), [draws, *[1] * len(self.space.axes)]
        if self.view is not None:
            projection, value = (t.to(self.device) for t in self.view)
            return Known(lambda x: (x.flatten(1) @ projection.to(x)).reshape(x.shape),
                         value.float().repeat(draws, 1).reshape(shape),
                         torch.zeros(shape, dtype=torch.bool, device=self.device))
        if self.evidence is None:
            return None
        where = self.evidence.scored.repeat(spread)
        return Known(lambda x: x.masked_fill(~where, 0.0),
                     self.evidence.tensor.float().repeat(spread).masked_fill(~where, 0.0), where)

    def _predict(self, draws: int, known: Known | None, start: Tensor | None) -> Predict:
        """x (N, *grid), t (N,) -> what the field, and what is known, say there."""
        rows = torch.arange(self.n, device=self.device).repeat(draws)
        y = self.y.rows(rows) if draws > 1 else self.y
        null = None if self.null is None or self.weight == 1 else self.null.rows(rows)
        if self.ends is not None:
            y, null = replace(y, ends=self.ends), None if null is None else replace(null, ends=self.ends)

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
            if self.guided_by and not self.reads_known:
                return self._towards(output, x, t, known)
            if not self.reads_known:
                assert start is not None
                alpha, sigma = (over(v, x) for v in self.path.mix(t))
                x = x - known.of(x) + alpha * known.value + sigma * known.of(start)
            found = self.path.read(output(x, t), x, t)
            return Reading(known.put(found.data), found.noise, found.velocity - known.of(found.velocity))

        return predict

    def _inputs(self, x: Tensor, known: Known | None) -> Tensor:
        """(N, *grid, F)."""
        if self.features == 1:
            return x[..., None]
        if known is None or not self.reads_known:
            return torch.stack([x, torch.zeros_like(x)], -1)
        return torch.stack([torch.where(known.where, known.value, x), known.where.to(x)], -1)

    def _towards(self, output: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor,
                 known: Known) -> Reading:
        """The prediction moved by the gradient of how well it predicts what is known, taken for normal with the variance that
        data of unit variance would leave."""
        with torch.enable_grad():
            point = x.detach().requires_grad_(True)
            found = self.path.read(output(point, t), point, t)
            alpha, sigma = (over(v, x) for v in self.path.mix(t))
            misfit = (known.value - known.of(found.data)).square().flatten(1).sum(1)
            slope = -0.5 * torch.autograd.grad(misfit.sum(), point)[0]
        # sigma^2 / alpha times the slope over sigma^2 / (alpha^2 + sigma^2); the gradient has a factor alpha where alpha is 0
        moved = self.guided_by * (alpha**2 + sigma**2) * slope / alpha.clamp(min=1e-6)
        a, s, pace = (over(v, x) for v in self.path.direction(t))
        noise = found.noise - alpha / sigma.clamp(min=1e-6) * moved
        return Reading(found.data.detach() + moved, noise.detach(),
                       found.velocity.detach() + pace * (a - s * alpha / sigma.clamp(min=1e-6)) * moved)
