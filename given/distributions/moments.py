"""Moments: what normal models are learned from, row by row, holes included.

The weighted moments of [1, r, x] a state, in one pass: r regressors, x the entries. Where entries of x are unseen their
expectation under the current model stands in, and its covariance is added: the E-step of expectation maximisation.

Source: Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977
"""

from __future__ import annotations

import torch
from torch import Tensor

from given.distributions.normal import Normal
from given.variables import Entries, UserError

__all__ = ["Moments", "check_positive_definite", "shrink_covariance"]


class Moments:
    """Weighted moments (S, M, M) float64 of [1, r, x], M = 1 + R + D.

    Args:
        states: S, how many are kept apart.
        regressors: 1 + R.
        entries: D.
        origin: (D,) what is taken from the entries before they are squared, so that rounding is of their spread and not of
            their size; the mean of what is seen of the first rows when left out.
    """

    def __init__(self, states: int, regressors: int, entries: int, origin: Tensor | None = None) -> None:
        self.sums = torch.zeros(states, regressors + entries, regressors + entries, dtype=torch.float64)
        self.regressors, self.origin = regressors, origin
        self.complete = True
        self._known = torch.zeros(3, entries, dtype=torch.float64)  # of what is seen: weights, values, squares

    def add(self, state: Tensor | int, regressors: Tensor, x: Entries, weight: Tensor, distribution: Normal) -> None:
        """Add rows.

        Args:
            state: (B,) int64, or the one of all rows.
            regressors: (B, 1 + R), the first column ones.
            x: (B, D) entries.
            weight: (B,).
            distribution: of x under the current model, read where entries are unseen.
        """
        value, P = x.tensor.double(), self.regressors
        spread = None
        if not x.complete:
            self.complete = False
            seen = distribution.condition(x)
            value, spread = seen.mean_BD, seen.covariance
        if self.origin is None:
            self.origin = _mean(x, value)
        value, amount = value - self.origin, weight.double()
        row = torch.cat([regressors.double(), value], 1)
        if isinstance(state, int) or len(self.sums) == 1:  # one product of matrices, with no outer product a row
            products = ((amount[:, None] * row).T @ row)[None]
            if spread is not None:
                products[0, P:, P:] += torch.einsum("b,bde->de", amount, spread)
            self.sums[state if isinstance(state, int) else 0] += products[0]
        else:
            outer = row[:, :, None] * row[:, None, :]
            if spread is not None:
                outer[:, P:, P:] += spread
            products = amount[:, None, None] * outer
            self.sums.index_add_(0, state, products)
        if x.plain:
            self._count_whole(products)
            return
        known = torch.where(x.scored, amount[:, None], 0.0)
        for sums, term in zip(self._known, (known, known * value, known * value**2), strict=True):
            sums += term.sum(0)

    def _count_whole(self, products: Tensor) -> None:
        every, P = products.sum(0), self.regressors
        self._known += torch.stack([every[0, 0].expand(len(every) - P), every[0, P:], every.diagonal()[P:]])

    def add_products(self, states: slice, products: Tensor) -> None:
        """Add the weighted sums (n, 1 + D, 1 + D) of the products of whole rows [1, x - origin] of n states."""
        self.sums[states] += products
        self._count_whole(products)

    @property
    def seen(self) -> Tensor:
        """(D,) bool: the entries that some row of weight above 0 sees."""
        return self._known[0] > 0

    @property
    def variances(self) -> Tensor:
        """(D,) of what is seen of every entry, whatever the model makes of the rest; 0 of one that never varies."""
        _, mean, square = self._known / self._known[0].clamp(min=1e-300)
        left = square - mean**2
        return torch.where(left > 1e-14 * square, left, 0.0)

    def count(self, state: int) -> float:
        """The summed weight of a state."""
        return float(self.sums[state, 0, 0])

    def normals(self, states: slice) -> tuple[Tensor, Tensor, Tensor]:
        """The weights (n,), means (n, D) and covariances (n, D, D) of n states without regressors; those of a state without
        rows are no numbers. An entry that never varies has no covariance with any."""
        M = self.sums[states]
        count, mean, square = M[:, 0, 0], M[:, 0, 1:] / M[:, :1, 0], M[:, 1:, 1:] / M[:, :1, :1]
        left = square - mean[:, :, None] * mean[:, None, :]
        varies = left.diagonal(dim1=1, dim2=2) > 1e-14 * square.diagonal(dim1=1, dim2=2)  # the rest is rounding of its moments
        left = torch.where(varies[:, :, None] & varies[:, None, :], left, 0.0)
        return count, mean + (self.origin if self.origin is not None else 0), left

    def regression(self, state: int) -> tuple[Tensor, Tensor]:
        """The slope (1 + R, D) of x on the regressors, and the covariance (D, D) of what it leaves. An entry that never varies
        has no covariance with any.

        Raises:
            UserError: the state has no row, no row sees anything, or the squares overflow.
        """
        M, P = self.sums[state], self.regressors
        if not bool(self.seen.any()):
            raise UserError("no row of weight above 0 with an entry that is known; expected at least one")
        if not M[0, 0] > 0:
            raise UserError("no row has one of the parents' values; drop it, or pool it with others")
        if not bool(M.isfinite().all()):
            raise UserError("the squares of its numbers overflow; scale them, as Number() does")
        # A ridge of one part in a million of the regressors' own size lets constant regressors pass.
        size = M[:P, :P].diagonal()
        ridge = torch.diag(torch.where(size > 0, 1e-6 * size, 1.0))
        ridge[0, 0] = 0
        slope = torch.linalg.solve(M[:P, :P] + ridge, M[:P, P:])
        left = M[P:, P:] - M[P:, :P] @ slope - slope.T @ M[:P, P:] + slope.T @ M[:P, :P] @ slope
        never = left.diagonal() <= 1e-14 * M[P:, P:].diagonal()  # what is left of a constant is the rounding of its moments
        left[never], left[:, never] = 0, 0
        slope[0] += self.origin if self.origin is not None else 0
        return slope, left / M[0, 0]


def _mean(x: Entries, value: Tensor) -> Tensor:
    """(D,) of what is seen."""
    return value.mean(0) if x.plain else torch.where(x.scored, value, 0.0).sum(0) / x.scored.sum(0).clamp(min=1)


def check_positive_definite(C: Tensor) -> Tensor:
    """A covariance (D, D), once it is known to have a density.

    Raises:
        UserError: it is singular to rounding.
    """
    if not bool(C.any()):
        raise UserError("no entry varies, so there is no density; pass more rows, or use GaussianMixture(components=1), "
                        "whose ridge is a floor")
    rounding = 1e-14 * float(C.diagonal().max())
    if torch.linalg.cholesky_ex(C - rounding * torch.eye(len(C), dtype=C.dtype)).info:
        raise UserError("the covariance is singular, so there is no density: an entry never varies, or follows from others; "
                        "leave it out, or pass shrinkage above 0")
    return C


def shrink_covariance(C: Tensor, n: float, rho: float | None) -> Tensor:
    """(1 - rho) C + rho tr(C)/D I, with rho by the oracle approximating formula where it is None.

    Source: Chen, Wiesel, Eldar, Hero, Shrinkage algorithms for MMSE covariance estimation, 2010 /
    https://arxiv.org/abs/0907.4698
    """
    D = len(C)
    trace, square = C.trace(), (C * C).sum()
    if rho is None:
        spread = square - trace**2 / D
        top, bottom = (1 - 2 / D) * square + trace**2, (n + 1 - 2 / D) * spread
        rho = 1.0 if bottom <= top else float(top / bottom)
    return (1 - rho) * C + rho * trace / D * torch.eye(D, dtype=C.dtype)
