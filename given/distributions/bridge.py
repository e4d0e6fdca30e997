"""Bridge: a linear chain given values anywhere, before the unknown ones, after them and between them.

All innovations are linear in what is unknown, n(x) = e + A x. Were they independent normals of variances 1/d, so would it be:

    Q = A' diag(d) A,   q(x) = N(-Q^-1 A' d e, Q^-1)

Where innovations are normal and always alike this is all, and every answer is exact. Elsewhere d is what is expected of their
components and sizes given what is seen (mean-field variational Bayes), and q proposes: draws are what Metropolis takes of some
proposals, so that they follow the chain's own density, sizes and all; the log-probability of what is seen is the logarithm of
the mean of p(seen, x) / q(x), whose mean over seeds is below the truth. Of some unknown entries with others summed out it is of
a mixture, over draws, of what is left unknown once the components and sizes of a draw are known. Both are estimates.

Cost: M unknown of T C entries take O(T C M^2) a row, in products of matrices.

Source: Tierney, Markov chains for exploring posterior distributions, 1994 / https://doi.org/10.1214/aos/1176325750
Bishop, Pattern recognition and machine learning, 2006, section 10.1
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.ladder import Ladder
from given.distributions.noise import Noise
from given.distributions.normal_mixture import NormalMixture
from given.variables import Entries, Real, Space

__all__ = ["Bridge"]

_PROPOSALS = 16  # of which a draw is taken
_DRAWS = 16  # in an estimate of a part
_WEIGHED = 64  # in one of all that is seen
_MOST = 1 << 13  # entries of a window
_AT_ONCE = 1 << 24  # numbers of matrices, 128 MB


@dataclass
class _Path:
    """What is unknown of N rows given components and sizes: the mean (N, M) and the Cholesky factor of Q (N, M, M)."""

    mean: Tensor
    root: Tensor

    def draw(self, z: Tensor) -> Tensor:
        """Of standard normals (S, N, M)."""
        return self.mean + torch.linalg.solve_triangular(self.root.mT, z.permute(1, 2, 0), upper=True).permute(2, 0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """(S, N) of all that is unknown (S, N, M)."""
        off = self.root.mT @ (x - self.mean).permute(1, 2, 0)
        log_root = self.root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_root - 0.5 * (off**2).sum(1).T - 0.5 * x.shape[-1] * math.log(2 * math.pi)

    @cached_property
    def covariance(self) -> Tensor:
        """(N, M, M)."""
        return torch.cholesky_inverse(self.root)


class _Gap:
    """Rows of which the same entries are unknown.

    Args:
        ladder: of the chain.
        A: (T C, M), of the unknown entries.
        series: (N, T, C), 0 where unknown.
        covariates: (N, T, F).
        unknown: (T C,) bool.
    """

    def __init__(self, ladder: Ladder, A: Tensor, series: Tensor, covariates: Tensor, unknown: Tensor) -> None:
        self.ladder, self.A, self.unknown, self.e = ladder, A, unknown, ladder.innovations(series, covariates)
        self.exact = ladder.normal
        self.which = torch.tensor([ladder.at(t) for t in range(series.shape[1])], device=series.device)

    def path(self, precision: Tensor) -> _Path:
        """Given d (N or 1, T, C)."""
        d = precision.flatten(1)
        Q = (self.A * d[..., None]).mT @ self.A
        root = torch.linalg.cholesky_ex(Q)[0].expand(len(self.e), -1, -1)
        pull = -(d * self.e.flatten(1)) @ self.A
        return _Path(torch.cholesky_solve(pull[..., None], root)[..., 0], root)

    def innovations(self, x: Tensor) -> Tensor:
        """n (..., N, T, C) of what is unknown (..., N, M)."""
        return self.e + (x @ self.A.mT).unflatten(-1, self.e.shape[1:])

    def proposed(self, turns: int = 4) -> _Path:
        """q: of normal innovations first, then of the components and sizes that it makes probable."""
        L = self.ladder
        path = self.path((1 / (L.logits.softmax(-1) * L.scales**2).sum(-1))[self.which].expand(1, *self.e.shape[1:]))
        for _ in range(0 if self.exact else turns):
            spread = torch.linalg.solve_triangular(path.root, self.A.mT.expand(len(path.root), -1, -1), upper=False)
            square = self.innovations(path.mean) ** 2 + (spread**2).sum(1).unflatten(-1, self.e.shape[1:])
            sizes = L.sizes(square.sqrt())
            share = self._components(square.sqrt() / sizes).softmax(-1)
            path = self.path((share / L.scales[self.which] ** 2).sum(-1) / sizes**2)
        return path

    def given_draw(self, x: Tensor, u: Tensor) -> _Path:
        """Once the components and sizes of a path (N, M) are known, by uniform numbers (N, T, C)."""
        L, n = self.ladder, self.innovations(x)
        sizes = L.sizes(n)
        cumulative = self._components(n / sizes).softmax(-1).cumsum(-1)
        first = torch.arange(n.shape[-1], device=n.device) // L.group * L.group  # channels of a group share a component
        k = (cumulative < u[..., first, None]).sum(-1, keepdim=True).clamp(max=cumulative.shape[-1] - 1)
        scale = L.scales[self.which].expand(*n.shape, -1).gather(-1, k)[..., 0]
        return self.path((scale * sizes) ** -2)

    def _components(self, n: Tensor) -> Tensor:
        """(N, T, C, K) logits given all innovations of a group, in units of their sizes."""
        L, found = self.ladder, list[Tensor]()
        for c in range(n.shape[-1]):
            last = c - c % L.group + L.group - 1
            scale = L.scales[self.which, last]
            found.append(L.components(self.which, last, n) - scale.log() - 0.5 * (n[..., last, None] / scale) ** 2)
        return torch.stack(found, 2)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p (S, N) of what is seen and what is unknown (S, N, M) together."""
        n = self.innovations(x).flatten(0, 1)
        logits, scales = self.ladder.mixtures(n)
        return NormalMixture(logits, torch.zeros_like(scales), scales, Real()).each(n).flatten(1).sum(1).reshape(x.shape[:2])

    def weighed(self, path: _Path, noise: Noise) -> tuple[Tensor, Tensor]:
        """Draws of a path (S, N, M), of as many streams, and their log weights (S, N)."""
        x = path.draw(noise.normal((), (self.A.shape[1],)).reshape(-1, *path.mean.shape))
        return x, self.log_prob(x) - path.log_prob(x)

    def draw(self, path: _Path, noise: Noise) -> Tensor:
        """(S, N, M) of as many streams: what Metropolis takes of draws of a path."""
        x, weight = self.weighed(path, noise)
        for turn in range(1, 1 if self.exact else _PROPOSALS):
            other, its = self.weighed(path, noise.fold(turn))
            taken = noise.fold("taken").fold(turn).uniform().reshape(weight.shape).log() < its - weight
            x, weight = torch.where(taken[..., None], other, x), torch.where(taken, its, weight)
        return x


class Bridge(Distribution):
    """A linear chain given values anywhere.

    Args:
        space: real, of T x C entries.
        at: (T, C) int64, the entries moment by moment.
        ladder: the chain's parameters.
        covariates: (B, T, F) float64.
        evidence: (B, D) what is known.
    """

    draws_together = True

    def __init__(self, space: Space, at: Tensor, ladder: Ladder, covariates: Tensor, evidence: Entries) -> None:
        super().__init__(space, len(covariates), covariates.device)
        if at.numel() > _MOST:
            raise Intractable(f"values of a window are given between unknown ones; expected a window of at most {_MOST} "
                              f"entries, got {at.numel()}; learn in shorter ones, Series(..., window=...)")
        self.at, self.ladder, self.covariates, self.evidence = at, ladder, covariates, evidence

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return "exact" if self.ladder.normal else "estimate"

    @property
    def order(self) -> Tensor:
        """(D,) the entries moment by moment."""
        return self.at.flatten()

    def _gaps(self) -> Iterator[tuple[Tensor, _Gap, _Path]]:
        """Rows of which the same is unknown, so many at a time that their matrices fit; and q."""
        assert self.evidence is not None
        known, T = self.evidence.scored[:, self.order], self.at.shape[0]
        values = torch.where(known, self.evidence.tensor[:, self.order].double(), 0.0)
        matrix = self.ladder.matrix(T)
        patterns, which = known.unique(dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            if bool(pattern.all()):
                continue
            A = matrix[:, ~pattern]
            for rows in (which == number).nonzero()[:, 0].split(max(1, _AT_ONCE // A.numel())):
                series = values[rows].reshape(len(rows), *self.at.shape)
                gap = _Gap(self.ladder, A, series, self.covariates[rows], ~pattern)
                yield rows, gap, gap.proposed()

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws = torch.Size(shape).numel()
        noise = noise if len(noise.keys) == draws * self.n and draws > 1 else noise.repeat(draws) if shape else noise
        assert self.evidence is not None
        found = self.evidence.tensor.double().repeat(draws, 1)
        for rows, gap, path in self._gaps():
            entries = self.order[gap.unknown]
            every = torch.arange(draws, device=self.device)[:, None] * self.n + rows
            for some in every.split(max(1, _AT_ONCE // (8 * gap.e.numel()))):
                found[some[..., None], entries] = gap.draw(path, noise.rows(some.flatten()))
        return Entries(found.reshape(*shape, self.n, -1)).shaped(self.space)

    def _paths(self, gap: _Gap, path: _Path, noise: Noise) -> Iterator[_Path]:
        """Given the components and sizes of every one of some draws; the one there is where they are known."""
        for number in range(0 if gap.exact else _DRAWS):
            own = noise.fold(number)
            yield gap.given_draw(gap.draw(path, own)[0], own.fold("components").uniform((), gap.e.shape[1:]))
        if gap.exact:
            yield path

    @cached_property
    def each_entry(self) -> tuple[Tensor, Tensor]:
        """Means and standard deviations (draws, B, D) of every entry by itself, a mixture of normals of equal weights; 0 of
        what is known."""
        assert self.evidence is not None
        K = 1 if self.ladder.normal else _DRAWS
        mean = self.evidence.tensor.double().expand(K, -1, -1).clone()
        deviation = torch.zeros_like(mean)
        for rows, gap, proposed in self._gaps():
            entries, noise = self.order[gap.unknown], Noise.of(0, self.n, device=self.device).rows(rows)
            for k, path in enumerate(self._paths(gap, proposed, noise)):
                mean[k, rows[:, None], entries] = path.mean
                deviation[k, rows[:, None], entries] = path.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        return mean, deviation

    def mean(self) -> Entries:
        """The mean given what is known: (B, *grid)."""
        return Entries(self.each_entry[0].mean(0)).shaped(self.space)

    def deviation(self) -> Entries:
        """The standard deviation given what is known, 0 of that: (B, *grid)."""
        mean, deviation = self.each_entry
        return Entries((deviation**2 + (mean - mean.mean(0)) ** 2).mean(0).sqrt()).shaped(self.space)

    def cdf(self, x: Entries) -> Tensor:
        flat = x.flat(self.space)
        mean, deviation = self.each_entry
        below = torch.stack([torch.special.ndtr((flat.tensor - m) / s) for m, s in zip(mean, deviation, strict=True)]).mean(0)
        return torch.where(self._scored(flat), below, 0.0).sum(-1)

    def condition(self, evidence: Entries) -> Distribution:
        flat = evidence.flat(self.space)
        assert self.evidence is not None
        return Bridge(self.space, self.at, self.ladder, self.covariates,
                      self.evidence.or_else(Entries(flat.tensor, flat.readable)))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        flat, shape = x.flat(self.space), x.flat(self.space).tensor.shape[:-1]
        values, asked = (t.reshape(-1, self.n, len(self.order))[..., self.order]
                         for t in (flat.tensor, self._scored(flat)))
        total = values.new_zeros(values.shape[:2])
        own = Noise.of(seed, self.n, device=self.device) if isinstance(seed, int) or len(seed.keys) == self.n else (
            Noise(seed.to(self.device).keys[:self.n]))
        for rows, gap, path in self._gaps():
            wanted, drawn = asked[:, rows][..., gap.unknown], values[:, rows][..., gap.unknown]
            if bool(wanted.all()):
                total[:, rows] = gap.log_prob(drawn) - self._weight(gap, path, own.rows(rows))
                continue
            each = [_of_part(one, drawn, wanted) for one in self._paths(gap, path, own.rows(rows))]
            total[:, rows] = torch.stack(each).logsumexp(0) - math.log(len(each))
        return total.reshape(shape)

    def evidence_log_prob(self, noise: Noise) -> Tensor:
        """log p of what is known, (B,): exact where innovations are normal, else an estimate."""
        found = torch.zeros(self.n, dtype=torch.float64, device=self.device)
        for rows, gap, path in self._gaps():
            found[rows] = self._weight(gap, path, noise.rows(rows))
        return found

    @staticmethod
    def _weight(gap: _Gap, path: _Path, noise: Noise) -> Tensor:
        """log p of what is seen (N,)."""
        draws = 1 if gap.exact else _WEIGHED
        return gap.weighed(path, noise.repeat(draws))[1].logsumexp(0) - math.log(draws)


def _of_part(path: _Path, x: Tensor, asked: Tensor) -> Tensor:
    """log p of the entries asked (S, N, M) of x, the others summed out: (S, N)."""
    found = x.new_zeros(x.shape[:2])
    for s, row in asked.any(-1).nonzero().tolist():
        some = asked[s, row]
        root = torch.linalg.cholesky_ex(path.covariance[row][some][:, some])[0]
        off = torch.linalg.solve_triangular(root, (x[s, row, some] - path.mean[row, some])[:, None], upper=False)
        found[s, row] = -0.5 * (off**2).sum() - root.diagonal().log().sum() - 0.5 * len(root) * math.log(2 * math.pi)
    return found
