"""GaussianMixture: p(x | y) a mixture of K normal laws, by expectation maximisation.

    p(x | y) = sum_k w_sk N(x; m_sk, C_sk),    s the value of the finite parents

E-step: r_ik = w_k N(x_i; m_k, C_k) / sum_j w_j N(x_i; m_j, C_j) over what is seen of x_i, and the expected moments of what
is not. M-step: w_k, m_k, C_k from the moments weighted by r_ik and the row's weight. The likelihood never falls. `ridge` is
added to every variance in the M-step, as one imagined deviation. `log_prob` is exact, and so are all marginals and
conditionals.

Without a K several mixtures are stacked: K from 1 to 16, each also with its covariances times 2 and 6, as a heavy tail.
Their weights maximise the likelihood of rows left out of learning in three folds; the whole is one mixture again.

Source: Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977
Smyth, Wolpert, Linearly combining density estimators via stacking, 1999 / https://doi.org/10.1023/A:1007511322260
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from given import laws
from given.conditional import Batch, Conditional, state_of, states
from given.laws import Moments, Noise, far_apart
from given.variables import Observed, UserError, Variable

__all__ = ["GaussianMixture"]

_SIZES, _BREADTHS, _FOLDS = (1, 2, 3, 4, 6, 8, 12, 16), (1.0, 2.0, 6.0), 3
_HELD = 20_000  # rows that weigh the mixtures of a stack


class GaussianMixture(Conditional):
    """A mixture of normal laws for each value of finite parents.

    Args:
        x: real, or a block of real columns.
        parents: finite.
        components: K; None for a stack, which takes no parents.
        ridge: added to every variance, in the entries' units squared.
        tolerance: stop when the mean log-likelihood of a row rises by less.
        most_passes: over the data.
        seed: of the rows the means start at.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, components: int | None = 8,
                 ridge: float = 1e-6, tolerance: float = 1e-4, most_passes: int = 200, seed: int = 0) -> None:
        super().__init__(x, parents)
        laws.Stacked.check_real(x, "GaussianMixture")
        if components is not None and components < 1:
            raise UserError(f"GaussianMixture {x.name}: components={components}; expected at least 1")
        if components is None and parents:
            raise UserError(f"GaussianMixture {x.name}: a stack takes no parents; pass components")
        self.stacked, self.ridge = components is None, ridge
        self.components = components or sum(_SIZES) * len(_BREADTHS)
        self.tolerance, self.most_passes, self.seed = tolerance, most_passes, seed
        S, K, D = states(self.parents, f"GaussianMixture {x.name}"), self.components, x.space.dimensions
        self.weights: Tensor
        self.means: Tensor
        self.covariances: Tensor
        self.register_buffer("weights", torch.full((S, K), 1 / K, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(S, K, D, dtype=torch.float64))
        self.register_buffer("covariances", torch.eye(D, dtype=torch.float64).repeat(S, K, 1, 1))
        self.likelihoods: list[float] = []

    def forward(self, y: Observed) -> laws.Law:
        return laws.Stacked.of(self._mixture(state_of(self.parents, y)), self.x.space)

    def _mixture(self, state: Tensor) -> laws.Mixture:
        space = laws.Stacked.real(self.x.space)
        used = (self.weights > 0).any(0).nonzero()[:, 0]
        one, n = len(self.weights) == 1, len(state)  # one covariance for all rows is factored once
        parts = [laws.Normal(self.means[0, k].expand(n, -1), self.covariances[0, k].expand(n, -1, -1), space) if one else
                 laws.Normal(self.means[state, k], self.covariances[state, k], space) for k in used.tolist()]
        return laws.Mixture(self.weights[state][:, used].log(), parts)

    def estimate(self, batches: Iterable[Batch]) -> None:
        if self.stacked:
            self._stack(batches)
        else:
            self._climb(batches)

    def _stack(self, batches: Iterable[Batch]) -> None:
        held: list[Batch] = []
        for batch in batches:
            held.append(batch)
            if sum(len(weight) for _, _, weight in held) >= _HELD:
                break
        weight = torch.cat([w.double() for _, _, w in held])
        # Rows that are alike are in one fold: a copy among the rows learned from would praise what remembers.
        rows = torch.cat([x.flat(self.x.space).tensor for x, _, _ in held]).numpy()
        fold = torch.tensor([zlib.crc32(row.tobytes()) % _FOLDS for row in rows])
        folds = fold.split([len(w) for _, _, w in held])
        sizes = [K for K in _SIZES if 10 * K <= float(weight.sum())] or [1]
        models = [GaussianMixture(self.x, components=K, ridge=self.ridge, tolerance=self.tolerance,
                                  most_passes=self.most_passes, seed=self.seed) for K in sizes]
        scores = torch.zeros(len(rows), len(models), len(_BREADTHS), dtype=torch.float64)
        for i, model in enumerate(models):
            for f in fold.unique().tolist():
                model.estimate([(x, y, w * (own != f)) for (x, y, w), own in zip(held, folds, strict=True)])
                for b, breadth in enumerate(_BREADTHS):
                    model.covariances *= breadth
                    each = torch.cat([model(y).log_prob(x) for x, y, _ in held])
                    model.covariances /= breadth
                    scores[:, i, b] = torch.where(fold == f, each, scores[:, i, b])
        share = _stacking(scores.flatten(1), weight).reshape(len(models), -1)
        self.weights.zero_()
        first = 0
        for i, model in enumerate(models):
            if share[i].any():
                model.estimate(batches)
            for b, breadth in enumerate(_BREADTHS):
                mine, first = slice(first, first + sizes[i]), first + sizes[i]
                self.weights[:, mine] = share[i, b] * model.weights
                self.means[:, mine], self.covariances[:, mine] = model.means, breadth * model.covariances

    def _climb(self, batches: Iterable[Batch]) -> None:
        self._start(batches)
        self.likelihoods = []
        for _ in range(self.most_passes):
            moments, likelihood = self._expect(batches)
            self._maximise(moments)
            self.likelihoods.append(likelihood)
            if len(self.likelihoods) > 1 and likelihood - self.likelihoods[-2] < self.tolerance:
                return

    def _start(self, batches: Iterable[Batch]) -> None:
        """Means at rows far from one another (k-means++ over the first batches' rows), everybody's covariance."""
        S, K, D = self.means.shape
        everybody = Moments(S, 1, D)
        rows: list[Tensor] = []
        for x, y, weight in batches:
            flat, state = x.flat(self.x.space), state_of(self.parents, y)
            everybody.add(state, torch.ones(y.n, 1), flat, weight, self._mixture(state).parts[0])  # type: ignore[arg-type]
            if sum(map(len, rows)) < 5000:
                value = torch.where(flat.known, flat.tensor.double(), 0.0)
                rows.append(torch.cat([state[:, None].double(), weight[:, None].double(), value], 1))
        held = torch.cat(rows)
        for s in range(S):
            if everybody.count(s) <= 0:
                raise UserError(f"{self}: no row to learn from where the parents have their value {s}; drop it or pool it")
            mean, spread = everybody.regression(s)
            own, mine = held[held[:, 0] == s].split([2, D], 1)
            u = Noise.of(self.seed, 1).fold(s).uniform((), (K,))[0]
            self.means[s] = mine[far_apart(mine / spread.diagonal().sqrt(), u, own[:, 1])] if K > 1 else mean
            self.covariances[s] = spread + self.ridge * torch.eye(D, dtype=torch.float64)
            self.weights[s] = 1 / K

    def _expect(self, batches: Iterable[Batch]) -> tuple[list[Moments], float]:
        S, K, D = self.means.shape
        moments = [Moments(S, 1, D) for _ in range(K)]
        total = rows = 0.0
        for x, y, weight in batches:
            flat, state = x.flat(self.x.space), state_of(self.parents, y)
            rows += float(weight.sum())
            if flat.complete:
                for s in state.unique().tolist():
                    total += self._add(moments, s, flat.tensor[state == s], weight[state == s].double())
                continue
            mixture = self._mixture(state)
            joint = mixture.joint_log_prob(flat)
            share = joint.softmax(-1)
            used = (self.weights > 0).any(0).nonzero()[:, 0].tolist()
            total += float((weight * joint.logsumexp(-1)).sum())
            for k, part in enumerate(mixture.parts):
                moments[used[k]].add(state, torch.ones(y.n, 1), flat, weight * share[:, k], part)
        return moments, total / rows

    def _add(self, moments: list[Moments], s: int, x: Tensor, weight: Tensor) -> float:
        """Add the moments of whole rows (n, D) of one state, all components at once; the weighted log-likelihood."""
        root = torch.linalg.cholesky(self.covariances[s])
        white = torch.linalg.solve_triangular(root, (x - self.means[s][:, None]).mT, upper=False)
        log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1) + x.shape[1] / 2 * math.log(2 * math.pi)
        joint = (self.weights[s].log() - log_det)[:, None] - 0.5 * (white**2).sum(1)  # (K, n)
        row = torch.cat([torch.ones(len(x), 1, dtype=torch.float64), x], 1)
        for k, sums in enumerate((weight * joint.softmax(0))[:, None] * row.T @ row):
            moments[k].sums[s] += sums
        return float((weight * joint.logsumexp(0)).sum())

    def _maximise(self, moments: list[Moments]) -> None:
        S, K, D = self.means.shape
        for s in range(S):
            counts = torch.tensor([m.count(s) for m in moments], dtype=torch.float64)
            self.weights[s] = counts / counts.sum()
            for k in range(K):
                if counts[k] > 1e-9 * counts.sum():  # a component nobody belongs to stays where it is, with weight 0
                    mean, spread = moments[k].regression(s)
                    self.means[s, k], self.covariances[s, k] = mean[0], spread + self.ridge * torch.eye(D, dtype=torch.float64)


def _stacking(scores: Tensor, weight: Tensor) -> Tensor:
    """The shares (C,) of models that maximise the likelihood of rows from their scores (N, C), none below a hundredth."""
    share = torch.full_like(scores[0], 1 / scores.shape[1])
    for _ in range(300):
        share = (weight[:, None] * (scores + share.log()).softmax(1)).sum(0) / weight.sum()
    share = torch.where(share < 0.01, 0.0, share)
    return share / share.sum()
