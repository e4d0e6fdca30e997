"""Gaussian: p(x | y) jointly normal, in closed form.

    p(x | y) = N(x; B_s [1, r], C_s)

with s the value of the finite parents and r the real ones: a regression a state, whose residuals are normal. Learned
from the weighted moments M_s of [1, r, x] in one pass. Rows with unseen entries are completed by their expectation under
the model and the passes repeated: expectation maximisation.

Shrinkage, stated: the moments of all states together count as `pooled` imagined rows in every state, and every
covariance C is then moved towards a scaled identity, (1 - rho) C + rho tr(C)/D I, by the oracle approximating rho, or by
a rho of your own. Of a structure (`Diagonal()`, `Tied()` to one for all states, `LowRank(rank)`, ...) it is the likeliest to
that. `log_prob` is exact, and so are all marginals and conditionals, whatever is unseen.

Source: Chen, Wiesel, Eldar, Hero, Shrinkage algorithms for MMSE covariance estimation, 2010 /
https://arxiv.org/abs/0907.4698
Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional, state_of, states
from given.distributions import Covariance, Full, Moments, check_positive_definite, shrink_covariance
from given.lessons import Batch, Lesson, Solve, deadline_of
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["Gaussian"]

_FULL = Full()


class Gaussian(Conditional):
    """A normal distribution for each value of finite parents, linear in real ones.

    Args:
        x: real, or a block of real columns.
        parents: finite or real.
        covariance: `Full()`, `Tied()`, `Diagonal()`, `Spherical()` or `LowRank(rank)`. With a label as parent, `Diagonal()` is
            Gaussian naive Bayes, `Tied()` linear and `Full()` quadratic discriminant analysis.
        pooled: how many imagined rows, moments as of all data, each value of the finite parents is given.
        shrinkage: rho in [0, 1]; None for the oracle approximating formula, of D entries and n rows

                rho = ((1 - 2/D) tr(C^2) + tr(C)^2) / ((n + 1 - 2/D) (tr(C^2) - tr(C)^2/D)), at most 1,

            which falls as 1/n. It widens what is nearly determined: of two columns of one scale, where y = 2 x exactly, rho is
            2/n, and y given x has 2/sqrt(n) of y's standard deviation (.2 of it at 100 rows). Where columns do follow from one
            another, pass a small rho such as 1e-6; with 0 such a covariance is singular, and an error.
        tolerance: of EM, where rows have unseen entries: stop when no parameter moves by more.
        most_passes: of EM.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 covariance: Covariance = _FULL, pooled: float = 1.0, shrinkage: float | None = None,
                 tolerance: float = 1e-6, most_passes: int = 500) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "Gaussian")
        self.finite = tuple(v for v in self.parents if isinstance(v.space, Finite))
        self.real = tuple(v for v in self.parents if not isinstance(v.space, Finite))
        for v in self.real:
            distributions.Flattened.check_real(v, "Gaussian")
        covariance.check(x.space.dimensions)
        self.structure, self.pooled, self.shrinkage = covariance, pooled, shrinkage
        self.tolerance, self.most_passes = tolerance, most_passes
        S, R, D = states(self.finite, f"Gaussian {x.name}"), sum(v.space.dimensions for v in self.real), x.space.dimensions
        self.slope: Tensor
        self.covariance: Tensor
        self.register_buffer("slope", torch.zeros(S, 1 + R, D, dtype=torch.float64))
        self.register_buffer("covariance", torch.eye(D, dtype=torch.float64).repeat(S, 1, 1))

    def forward(self, y: Observed) -> distributions.Distribution:
        return distributions.Flattened.of(self._normal(y), self.x.space)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]

    def _solve(self, batches: Iterable[Batch]) -> None:
        for _ in deadline_of(batches).within(range(self.most_passes)):
            before = self.slope.clone(), self.covariance.clone()
            S, P, D = self.slope.shape
            moments = Moments(S, P, D)
            for x, y, weight in batches:
                state, flat = state_of(self.finite, y), x.flat(self.x.space)
                moments.add(state, self._regressors(y), flat, weight, self._normal(y))
            if S > 1:  # the imagined rows
                everything = moments.sums.sum(0)
                moments.sums += self.pooled * everything / everything[0, 0]
            try:
                self._maximise(moments)
            except UserError as error:
                raise error.at(str(self)) from None
            moved = max(float((now - old).abs().max()) for now, old in zip((self.slope, self.covariance), before, strict=True))
            if moments.complete or moved < self.tolerance:
                return

    def _maximise(self, moments: Moments) -> None:
        S, found = len(self.slope), list[Tensor]()
        for s in range(S):
            self.slope[s], left = moments.regression(s)
            found.append(shrink_covariance(left, moments.count(s), self.shrinkage))
        counts = torch.tensor([moments.count(s) for s in range(S)], dtype=torch.float64)
        for s, C in enumerate(self.structure.likeliest(torch.stack(found), counts)):
            self.covariance[s] = check_positive_definite(C)

    def _normal(self, y: Observed) -> distributions.Normal:
        state = state_of(self.finite, y)
        mean = torch.einsum("br,brd->bd", self._regressors(y), self.slope[state])
        return distributions.Normal(mean, self.covariance[state], distributions.Flattened.real(self.x.space))

    def _regressors(self, y: Observed) -> Tensor:
        """[1, r]: (B, 1 + R) float64."""
        parts = [torch.ones(y.n, 1, dtype=torch.float64, device=self.slope.device)]
        for v in self.real:
            if not y[v.name].complete:
                raise UserError(f"{v.name}: a parent has unseen entries; give it whole, or make it part of the block")
            parts.append(y[v.name].flat(v.space).tensor.reshape(y.n, -1).double())
        return torch.cat(parts, 1)
