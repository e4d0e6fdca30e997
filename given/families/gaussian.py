"""Gaussian: p(x | y) jointly normal, in closed form.

    p(x | y) = N(x; B_s [1, r], C_s)

with s the value of the finite parents and r the real ones: a regression a state, whose residuals are normal. Learned
from the weighted moments M_s of [1, r, x] in one pass. Rows with unseen entries are completed by their expectation under
the model and the passes repeated: expectation maximisation.

Shrinkage, stated: the moments of all states together stand for `pooled` imagined rows in every state, and every
covariance C is then moved towards a scaled identity, (1 - rho) C + rho tr(C)/D I, by the oracle approximating rho, or by
a rho of your own. `log_prob` is exact, and so are all marginals and conditionals, whatever is unseen.

Source: Chen, Wiesel, Eldar, Hero, Shrinkage algorithms for MMSE covariance estimation, 2010 /
https://arxiv.org/abs/0907.4698
Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from given import laws
from given.conditional import Batch, Conditional, state_of, states
from given.variables import Entries, Finite, Observed, Product, Real, UserError, Variable

__all__ = ["Gaussian"]


class Gaussian(Conditional):
    """A normal law for each value of finite parents, linear in real ones.

    Args:
        x: real, or a block of real columns.
        parents: finite or real.
        pooled: how many imagined rows, moments as of all data, each value of the finite parents is given.
        shrinkage: rho in [0, 1]; None for the oracle approximating formula.
        tolerance: of EM, where rows have unseen entries: stop when no parameter moves by more.
        most_passes: of EM.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, pooled: float = 1.0,
                 shrinkage: float | None = None, tolerance: float = 1e-6, most_passes: int = 500) -> None:
        super().__init__(x, parents)
        _check_real(x)
        self.finite = tuple(v for v in self.parents if isinstance(v.space, Finite))
        self.real = tuple(v for v in self.parents if not isinstance(v.space, Finite))
        for v in self.real:
            _check_real(v)
        self.pooled, self.shrinkage = pooled, shrinkage
        self.tolerance, self.most_passes = tolerance, most_passes
        S, R, D = states(self.finite, f"Gaussian {x.name}"), sum(v.space.dimensions for v in self.real), x.space.dimensions
        self.slope: Tensor
        self.covariance: Tensor
        self.register_buffer("slope", torch.zeros(S, 1 + R, D, dtype=torch.float64))
        self.register_buffer("covariance", torch.eye(D, dtype=torch.float64).repeat(S, 1, 1))

    def forward(self, y: Observed) -> laws.Law:
        state = state_of(self.finite, y)
        mean = torch.einsum("br,brd->bd", self._regressors(y), self.slope[state])
        space = self.x.space if isinstance(self.x.space, Real) else laws.Stacked.real(self.x.space)
        law = laws.Normal(mean, self.covariance[state], space)
        return laws.Stacked(law, self.x.space) if isinstance(self.x.space, Product) else law

    def estimate(self, batches: Iterable[Batch]) -> None:
        for _ in range(self.most_passes):
            before = self.slope.clone(), self.covariance.clone()
            moments, complete = self._moments(batches)
            self._solve(moments)
            moved = max(float((now - old).abs().max()) for now, old in zip((self.slope, self.covariance), before, strict=True))
            if complete or moved < self.tolerance:
                return

    def _regressors(self, y: Observed) -> Tensor:
        """[1, r]: (B, 1 + R) float64."""
        parts = [torch.ones(y.n, 1, dtype=torch.float64, device=self.slope.device)]
        for v in self.real:
            if not y[v.name].complete:
                raise UserError(f"{v.name}: a parent has unseen entries; give it whole, or make it part of the block")
            parts.append(laws.Stacked.flatten(y[v.name], v.space).tensor.reshape(y.n, -1).double())
        return torch.cat(parts, 1)

    def _moments(self, batches: Iterable[Batch]) -> tuple[Tensor, bool]:
        """Expected weighted moments (S, M, M) of [1, r, x] given what is seen; and whether everything was."""
        S, P, D = self.slope.shape
        moments, complete = self.slope.new_zeros(S, P + D, P + D), True
        for x, y, weight in batches:
            state, flat = state_of(self.finite, y), laws.Stacked.flatten(x, self.x.space)
            if x.complete:
                value, spread = flat.tensor.reshape(y.n, D).double(), None
            else:
                complete = False
                mean = torch.einsum("br,brd->bd", self._regressors(y), self.slope[state])
                seen = laws.Normal(mean, self.covariance[state], laws.Stacked.real(self.x.space)).condition(
                    Entries(flat.tensor.reshape(y.n, D), flat.known.reshape(y.n, D)))
                value, spread = seen.mean_BD, seen.covariance
            row = torch.cat([self._regressors(y), value], 1)
            outer = row[:, :, None] * row[:, None, :]
            if spread is not None:
                outer[:, P:, P:] += spread
            moments.index_add_(0, state, weight.double()[:, None, None] * outer)
        return moments, complete

    def _solve(self, moments: Tensor) -> None:
        P = self.slope.shape[1]
        everything = moments.sum(0)
        rows = everything[0, 0]
        if len(moments) > 1:
            moments = moments + self.pooled * everything / rows
        for state, M in enumerate(moments):
            n = M[0, 0]
            if not n > 0:
                raise UserError(f"{self}: no row has one of its parents' values; pass pooled above 0")
            # A ridge of one part in a million of the regressors' own size lets constant regressors pass.
            size = M[:P, :P].diagonal()
            ridge = torch.diag(torch.where(size > 0, 1e-6 * size, 1.0))
            ridge[0, 0] = 0
            slope = torch.linalg.solve(M[:P, :P] + ridge, M[:P, P:])
            residual = M[P:, P:] - M[P:, :P] @ slope - slope.T @ M[:P, P:] + slope.T @ M[:P, :P] @ slope
            self.slope[state] = slope
            C = shrunk(residual / n, float(n), self.shrinkage)
            rounding = 1e-14 * float(M.diagonal()[P:].max() / n)
            if torch.linalg.cholesky_ex(C - rounding * torch.eye(len(C), dtype=C.dtype)).info:
                raise UserError(f"{self}: its covariance is singular, so there is no density: an entry never varies, or "
                                "follows from others; leave it out, or pass shrinkage above 0")
            self.covariance[state] = C


def shrunk(C: Tensor, n: float, rho: float | None) -> Tensor:
    """(1 - rho) C + rho tr(C)/D I, with rho by the oracle approximating formula where it is None."""
    D = len(C)
    trace, square = C.trace(), (C * C).sum()
    if rho is None:
        spread = square - trace**2 / D
        top, bottom = (1 - 2 / D) * square + trace**2, (n + 1 - 2 / D) * spread
        rho = 1.0 if bottom <= top else float(top / bottom)
    return (1 - rho) * C + rho * trace / D * torch.eye(D, dtype=C.dtype)


def _check_real(v: Variable) -> None:
    parts = [space for _, space in v.space.columns] if isinstance(v.space, Product) else [v.space]
    if not all(isinstance(space, Real) for space in parts):
        raise UserError(f"Gaussian: expected real entries, got {v.name}: {v.space}; use Dequantised for ordered levels")
