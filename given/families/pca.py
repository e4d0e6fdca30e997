"""PCA: x as its projection on the K directions in which it varies most. Deterministic: it encodes, decodes, and has no density.

    z = U_K' (x - m),    x^ = m + U_K z,    E |x - x^|^2 = l_{K+1} + ... + l_D

with l_1 >= ... >= l_D the eigenvalues of the covariance and U its eigenvectors, each with its largest coordinate positive.
Where entries are unseen, mean and covariance are those under which the rest is likeliest, by EM, and they are encoded by their
expectation. A draw decodes z ~ N(0, L_K): it lies on the plane. `ProbabilisticPCA` is the same plane with noise, and a density.

Source: Pearson, On lines and planes of closest fit to systems of points in space, 1901 /
https://doi.org/10.1080/14786440109462720
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Moments
from given.lessons import Batch, Lesson, Solve, deadline_of
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

__all__ = ["PCA"]

_RIDGE = 1e-9  # of the mean variance: what an unseen entry is given where the covariance is singular


class PCA(Conditional):
    """A plane through the data.

    Args:
        x: real, or a block of real columns.
        components: K, at most D.
        tolerance: of EM, where rows have unseen entries, on any entry of the covariance, in units of the mean variance.
        most_passes: of EM.

    An entry that never varies, or that no row sees, has variance 0: directions past the others hold it, where K reaches them.

    Raises:
        UserError: while learning, where no row of weight above 0 sees anything.

    Attributes:
        center: m (D,).
        variances: l (D,) float64, falling.
        directions: U (D, D), a column a direction.
    """

    def __init__(self, x: Variable, parents: tuple[()] = (), *, components: int = 2, tolerance: float = 1e-6,
                 most_passes: int = 500) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "PCA")
        D = x.space.dimensions
        if self.parents:
            raise UserError(f"{self}: PCA takes no parents; make them part of the block, or use Gaussian")
        if not 0 < components <= D:
            raise UserError(f"PCA {x.name}: components={components}; expected 1 to {D}")
        self.components, self.tolerance, self.most_passes = components, tolerance, most_passes
        self.center: Tensor
        self.variances: Tensor
        self.directions: Tensor
        self.register_buffer("center", torch.zeros(D, dtype=torch.float64))
        self.register_buffer("variances", torch.ones(D, dtype=torch.float64))
        self.register_buffer("directions", torch.eye(D, dtype=torch.float64))

    def forward(self, y: Observed) -> distributions.Distribution:
        K, scale = self.components, self.variances[:self.components].sqrt()
        law = distributions.Implicit(lambda z, rows: self.center + (z.double() * scale) @ self.directions[:, :K].T, y.n, K,
                                     distributions.Flattened.real(self.x.space), self.device)
        return distributions.Flattened.of(law, self.x.space)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]

    @property
    def judged(self) -> bool:
        """No: it has no density."""
        return False

    def _solve(self, batches: Iterable[Batch]) -> None:
        D = len(self.center)
        covariance = torch.eye(D, dtype=torch.float64)
        for _ in deadline_of(batches).within(range(self.most_passes)):
            moments, before = Moments(1, 1, D), covariance
            for x, y, weight in batches:
                zero, one = torch.zeros(y.n, dtype=torch.int64), torch.ones(y.n, 1, dtype=torch.float64)
                moments.add(zero, one, x.flat(self.x.space), weight, self._normal(covariance, y.n))
            try:
                mean, covariance = moments.regression(0)
            except UserError as error:
                raise error.at(str(self)) from None
            self.center.copy_(mean[0])
            moved = float((covariance - before).abs().max())
            if moments.complete or moved <= self.tolerance * float(covariance.diagonal().mean()):
                break
        covariance[~moments.seen], covariance[:, ~moments.seen] = 0, 0
        values, vectors = torch.linalg.eigh(covariance)
        vectors = vectors.flip(1)
        sign = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
        self.variances.copy_(values.flip(0).clamp(min=0))
        self.directions.copy_(vectors * sign)

    def _normal(self, covariance: Tensor, n: int) -> distributions.Normal:
        ridge = _RIDGE * covariance.diagonal().mean().clamp(min=1e-300) * torch.eye(len(covariance), device=covariance.device)
        return distributions.Normal(self.center.expand(n, -1), (covariance + ridge).expand(n, -1, -1),
                                    distributions.Flattened.real(self.x.space))

    @property
    def explained(self) -> Tensor:
        """(D,) the share of the variance along each direction."""
        return self.variances / self.variances.sum()

    def latent(self, y: Observed) -> distributions.Normal:
        """N(0, L_K): (B, K)."""
        K = self.components
        mean = torch.zeros(y.n, K, dtype=torch.float64, device=self.device)
        return distributions.Normal(mean, self.variances[:K].diag().expand(y.n, -1, -1), Real(axes=(Axis("latent", K),)))

    def encode(self, x: Entries, y: Observed | None = None) -> distributions.Point:
        """z, (B, K) float64, as the point it is."""
        flat = x.flat(self.x.space)
        filled = flat.tensor
        if not flat.plain:
            covariance = (self.directions * self.variances) @ self.directions.T
            filled = self._normal(covariance, len(flat)).condition(flat).mean_BD
        z = (filled - self.center) @ self.directions[:, :self.components]
        return distributions.Point(z, Real(axes=(Axis("latent", self.components),)))

    def decode(self, z: Entries, y: Observed | None = None) -> Entries:
        """m + U_K z: (B, *grid) float64."""
        return Entries(self.center + z.tensor.double() @ self.directions[:, :self.components].T).shaped(self.x.space)

    def reconstruction_error(self, x: Entries) -> Tensor:
        """|x - x^|^2 over what is seen of x: (B,) float64, in the entries' units squared."""
        flat, back = x.flat(self.x.space), self.decode(self.encode(x).mean()).flat(self.x.space)
        return torch.where(flat.scored, (flat.tensor - back.tensor) ** 2, 0.0).sum(1)
