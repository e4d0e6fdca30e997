"""FactorAnalysis and ProbabilisticPCA: a normal latent of K dimensions explains x.

    z ~ N(0, I_K),    x = m + W z + e,  e ~ N(0, P),    so    x ~ N(m, W W' + P)

with P diagonal (factor analysis) or s^2 I (probabilistic PCA). PPCA in closed form: with eigenvalues l_1 >= ... >= l_D of the
covariance, s^2 is the mean of the discarded ones and W = U_K (L_K - s^2 I)^(1/2). Factor analysis, and either with holes
in the data, by EM. `encode` is p(z | x), `decode` is E[x | z]. `log_prob` is exact, and so are all marginals and conditionals.

Source: Tipping, Bishop, Probabilistic principal component analysis, 1999 / https://doi.org/10.1111/1467-9868.00196
Rubin, Thayer, EM algorithms for ML factor analysis, 1982 / https://doi.org/10.1007/BF02293851
"""

from __future__ import annotations

import abc
from collections.abc import Iterable

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Moments, Varimax, factor_step, low_rank_plus_diagonal, principal_factors
from given.lessons import Batch, Lesson, Solve, deadline_of, select
from given.selection import begin, selecting
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

__all__ = ["FactorAnalysis", "ProbabilisticPCA"]


class _LinearGaussian(Conditional):
    """What both share: a normal distribution with covariance W W' + P.

    Args:
        x: real, or a block of real columns.
        factors: K, below D, or `select(1, 30)` for the one rows held out like best.
        tolerance: of EM, on any entry of the covariance W W' + P.
        most_passes: of EM.
        floor: the least variance of the noise, in units of the entry's own variance (of the mean one where noise is alike):
            what keeps a Heywood case finite. An entry that never varies takes the mean variance for its own; where none varies,
            the least is the floor itself, in the entries' units squared. What no row sees stays standard normal.
        rotation: `Varimax()` turns the latent once all is learned, so that every factor loads few entries; no `log_prob` moves.

    Attributes:
        mean: m (D,).
        loading: W (D, K), a column a factor.
        noise: the diagonal of P (D,), all float64.

    Raises:
        UserError: while learning, where no row of weight above 0 sees anything.
    """

    selectable = ("factors",)

    def __init__(self, x: Variable, parents: tuple[()] = (), *, factors: int | select = 2, tolerance: float = 1e-8,
                 most_passes: int = 5000, floor: float = 1e-6, rotation: Varimax | None = None) -> None:
        super().__init__(x, parents)
        factors = begin(self, "factors", factors)
        distributions.Flattened.check_real(x, type(self).__name__)
        D = x.space.dimensions
        if self.parents:
            raise UserError(f"{self}: {type(self).__name__} takes no parents; make them part of the block, or use Gaussian")
        if not 0 < factors < D:
            raise UserError(f"{type(self).__name__} {x.name}: factors={factors}; expected 1 to {D - 1}")
        self.factors, self.tolerance, self.most_passes, self.floor = factors, tolerance, most_passes, floor
        self.rotation = rotation
        self.mean: Tensor
        self.loading: Tensor
        self.noise: Tensor
        self.register_buffer("mean", torch.zeros(D, dtype=torch.float64))
        self.register_buffer("loading", torch.zeros(D, factors, dtype=torch.float64))
        self.register_buffer("noise", torch.ones(D, dtype=torch.float64))

    @property
    def covariance(self) -> Tensor:
        """W W' + P: (D, D) float64."""
        return low_rank_plus_diagonal(self.loading, self.noise)

    def forward(self, y: Observed) -> distributions.Distribution:
        return distributions.Flattened.of(self._normal(y.n), self.x.space)

    def _normal(self, n: int) -> distributions.Normal:
        return distributions.Normal(self.mean.expand(n, -1), self.covariance.expand(n, -1, -1),
                                    distributions.Flattened.real(self.x.space))

    def lessons(self) -> list[Lesson]:
        return selecting(self, [Solve(self._solve)])

    def _solve(self, batches: Iterable[Batch]) -> None:
        self._climb(batches)
        if self.rotation is not None:
            self.loading.copy_(self.rotation.turned(self.loading))

    def _climb(self, batches: Iterable[Batch]) -> None:
        deadline = deadline_of(batches)
        for k in deadline.within(range(self.most_passes)):
            moments, before = Moments(1, 1, len(self.mean)), self.covariance
            for x, y, weight in batches:
                flat = x.flat(self.x.space)
                moments.add(torch.zeros(y.n, dtype=torch.int64), torch.ones(y.n, 1), flat, weight, self._normal(y.n))
            try:
                mean, spread = moments.regression(0)
            except UserError as error:
                raise error.at(str(self)) from None
            self.mean.copy_(mean[0])
            least = self._least(moments.variances)
            if k == 0:  # the whole answer where noise is alike, else where EM starts
                self._take(*principal_factors(spread, self.factors, least))
            # Without holes one pass gives the sufficient statistics, and the steps go on without the data.
            for _ in deadline.within(range(self.most_passes if moments.complete else 1)):
                loading, left = factor_step(spread, self.loading, self.noise)
                self._take(loading, torch.maximum(self._shared(left), least))
                after = self.covariance
                if float((after - before).abs().max()) < self.tolerance:
                    return
                before = after
            if moments.complete:
                return

    def _take(self, loading: Tensor, noise: Tensor) -> None:
        self.loading.copy_(loading)
        self.noise.copy_(noise)

    def _least(self, own: Tensor) -> Tensor:
        """The least variances of the noise, from those of the entries: (D,)."""
        mean = own.mean() if bool(own.any()) else torch.ones_like(own[0])
        return self.floor * self._shared(torch.where(own > 0, own, mean))

    @abc.abstractmethod
    def _shared(self, left: Tensor) -> Tensor:
        """The variances of the noise, from those that the latent leaves: (D,) -> (D,)."""

    def latent(self, y: Observed) -> distributions.Normal:
        """N(0, I_K): (B, K)."""
        eye = torch.eye(self.factors, dtype=torch.float64, device=self.device)
        return distributions.Normal(torch.zeros_like(eye[:1]).expand(y.n, -1), eye.expand(y.n, -1, -1),
                                    Real(axes=(Axis("latent", self.factors),)))

    def encode(self, x: Entries, y: Observed | None = None) -> distributions.Normal:
        """p(z | what is seen of x), exact: B rows of K dimensions, float64."""
        flat, K = x.flat(self.x.space), self.factors
        weight = flat.scored / self.noise  # (B, D), none of what is unseen
        precision = torch.eye(K, dtype=torch.float64, device=self.device) + torch.einsum(
            "bd,dk,dl->bkl", weight, self.loading, self.loading)
        covariance = torch.linalg.inv(precision)
        off = torch.where(flat.scored, flat.tensor.double() - self.mean, 0.0)
        mean = torch.einsum("bkl,bl->bk", covariance, (weight * off) @ self.loading)
        return distributions.Normal(mean, (covariance + covariance.mT) / 2, Real(axes=(Axis("latent", K),)))

    def decode(self, z: Entries, y: Observed | None = None) -> Entries:
        """E[x | z] = m + W z: (B, *grid) float64."""
        flat = Entries(self.mean + z.tensor.double() @ self.loading.T)
        return flat.shaped(self.x.space)


class FactorAnalysis(_LinearGaussian):
    """A linear-Gaussian latent, and a variance of the noise for every entry. Arguments as of `_LinearGaussian`."""

    def _shared(self, left: Tensor) -> Tensor:
        return left


class ProbabilisticPCA(_LinearGaussian):
    """A linear-Gaussian latent, and one variance of the noise. Arguments as of `_LinearGaussian`."""

    def _shared(self, left: Tensor) -> Tensor:
        return left.mean().expand_as(left)
