"""Normal: the entries jointly Gaussian, with every marginal and every conditional in closed form.

With u the unknown and s the seen entries of a row,

    p(x_s) = N(mu_s, C_ss),   p(x_u | x_s) = N(mu_u + C_us C_ss^-1 (x_s - mu_s),  C_uu - C_us C_ss^-1 C_su).

Rows may differ in what they see. Rows and columns of C that are not looked at are replaced by those of the identity,
and their residual by zero: they add nothing to the determinant or to the quadratic form, so one batched Cholesky serves
all patterns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution
from given.distributions.noise import Noise
from given.variables import Entries, Real

__all__ = ["Normal"]


def _root(covariance: Tensor) -> Tensor:
    """Its Cholesky factor. On an accelerator to raise an error would be to wait: there is none where it is not a number."""
    if covariance.device.type == "cpu":
        return torch.linalg.cholesky(covariance)
    root, wrong = torch.linalg.cholesky_ex(covariance)
    return torch.where((wrong == 0)[..., None, None], root, torch.nan)


class Normal(Distribution):
    """A multivariate normal distribution.

    Args:
        mean: (B, D) float64, D the entries of the grid in row-major order.
        covariance: (B, D, D) float64, positive definite on the free entries.
        space: the real space.
    """

    def __init__(self, mean: Tensor, covariance: Tensor, space: Real) -> None:
        super().__init__(space, mean.shape[0], mean.device)
        self.mean_BD, self.covariance = mean, covariance

    def _flat(self, t: Tensor) -> Tensor:
        return t.reshape(*t.shape[: t.dim() - len(self.space.axes)], -1)

    @property
    def _free(self) -> Tensor:
        """(B, D): entries not fixed by evidence."""
        if self.evidence is None:
            return torch.ones_like(self.mean_BD, dtype=torch.bool)
        return ~self._flat(self.evidence.scored)

    def _masked(self, looked_at: Tensor) -> Tensor:
        """C where both entries are looked at, the identity elsewhere: (..., D, D)."""
        both = looked_at[..., :, None] & looked_at[..., None, :]
        eye = torch.eye(self.mean_BD.shape[1], dtype=torch.float64, device=self.mean_BD.device)
        return torch.where(both, self.covariance, eye)

    def _alike(self, looked_at: Tensor, whole: bool) -> bool:
        """Whether all rows share one covariance (expanded, not copied) and look at all entries, so that one root serves."""
        return self.n > 1 and self.covariance.stride(0) == 0 and (whole or bool(looked_at.all()))

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return Entries(self.pick(noise.uniform(shape, self.mean_BD.shape[1:])).reshape(*shape, self.n, *self.space.shape))

    def pick(self, u: Tensor) -> Tensor:
        """The values (*shape, B, D) that as many uniform numbers in (0, 1) pick."""
        free = self._free
        z = torch.special.ndtri(u)
        if self._alike(free, self.evidence is None):
            moved = self.mean_BD + z @ _root(self.covariance[0]).T
        else:
            root = _root(self._masked(free))
            moved = self.mean_BD + torch.where(free, (root @ z[..., None]).squeeze(-1), 0.0)
        return moved

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        scored = self._flat(self._scored(x))
        residual = torch.where(scored, self._flat(x.tensor).double() - self.mean_BD, 0.0)
        whole = self.evidence is None and bool(x.told.plain)
        if self._alike(scored, whole):
            root = _root(self.covariance[0])
            white = torch.linalg.solve_triangular(root, residual.flatten(0, -2).T, upper=False)
            each = -0.5 * (white**2).sum(0) - root.diagonal().log().sum() - 0.5 * math.log(2 * math.pi) * len(root)
            return each.reshape(residual.shape[:-1])
        draws = scored.reshape(-1, *scored.shape[-2:])
        # Draws that see the same entries share one factorisation a row.
        root = _root(self._masked(draws[0] if whole or bool((draws == draws[0]).all()) else scored))
        white = torch.linalg.solve_triangular(root, residual[..., None], upper=False).squeeze(-1)
        log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return -0.5 * (white**2).sum(-1) - log_det - 0.5 * math.log(2 * math.pi) * scored.sum(-1)

    def cdf(self, x: Entries) -> Tensor:
        at = self._flat(self._scored(x)).long().argmax(-1, keepdim=True)
        mean, variance = (t.expand(*at.shape[:-1], -1).gather(-1, at).squeeze(-1) for t in (
            self.mean_BD, self.covariance.diagonal(dim1=-2, dim2=-1)))
        return torch.special.ndtr((self._flat(x.tensor).double().gather(-1, at).squeeze(-1) - mean) / variance.sqrt())

    def condition(self, evidence: Entries) -> Normal:
        seen = self._flat(evidence.scored)
        free = self._free & ~seen
        value = torch.where(self._free, self._flat(evidence.tensor).double(), self.mean_BD)
        use = seen & self._free
        residual = torch.where(use, value - self.mean_BD, 0.0)
        root = _root(self._masked(use))
        across = torch.where(free[..., :, None] & use[..., None, :], self.covariance, 0.0)  # C_us
        gain = torch.cholesky_solve(across.mT, root).mT
        mean = torch.where(use, value, self.mean_BD + (gain @ residual[..., None]).squeeze(-1))
        covariance = torch.where(free[..., :, None] & free[..., None, :], self.covariance - gain @ across.mT, 0.0)
        known = (~free).reshape(self.n, *self.space.shape)
        fixed = Entries(mean.reshape(self.n, *self.space.shape), known)
        assert isinstance(self.space, Real)
        return Normal(mean, covariance, self.space)._but(evidence=fixed)

    def mean(self) -> Entries:
        """The mean: (B, *grid) float64."""
        return Entries(self.mean_BD.reshape(self.n, *self.space.shape))

    def deviation(self) -> Entries:
        """The standard deviation: (B, *grid) float64, 0 of what is known."""
        return Entries(self.covariance.diagonal(dim1=-2, dim2=-1).sqrt().reshape(self.n, *self.space.shape))

    def mode(self) -> Entries:
        """The mode, which is the mean: (B, *grid) float64."""
        return self.mean()
