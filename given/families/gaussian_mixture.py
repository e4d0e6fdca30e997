"""GaussianMixture: p(x | y) a mixture of K normal laws, by expectation maximisation.

    p(x | y) = sum_k w_sk N(x; m_sk, C_sk),    s the value of the finite parents

E-step: r_ik = w_k N(x_i; m_k, C_k) / sum_j w_j N(x_i; m_j, C_j) over what is seen of x_i, and the expected moments of what
is not. M-step: w_k, m_k, C_k from the moments weighted by r_ik and the row's weight. The likelihood never falls. `ridge` is
added to every variance in the M-step, as one imagined deviation. `log_prob` is exact, and so are all marginals and
conditionals.

Source: Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from given import laws
from given.conditional import Batch, Conditional, state_of, states
from given.laws import Moments, Noise, far_apart
from given.variables import Observed, UserError, Variable

__all__ = ["GaussianMixture"]


class GaussianMixture(Conditional):
    """A mixture of normal laws for each value of finite parents.

    Args:
        x: real, or a block of real columns.
        parents: finite.
        components: K.
        ridge: added to every variance, in the entries' units squared.
        tolerance: stop when the mean log-likelihood of a row rises by less.
        most_passes: over the data.
        seed: of the rows the means start at.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, components: int = 8,
                 ridge: float = 1e-6, tolerance: float = 1e-4, most_passes: int = 200, seed: int = 0) -> None:
        super().__init__(x, parents)
        laws.Stacked.check_real(x, "GaussianMixture")
        if components < 1:
            raise UserError(f"GaussianMixture {x.name}: components={components}; expected at least 1")
        self.components, self.ridge = components, ridge
        self.tolerance, self.most_passes, self.seed = tolerance, most_passes, seed
        S, K, D = states(self.parents, f"GaussianMixture {x.name}"), components, x.space.dimensions
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
        parts = [laws.Normal(self.means[state, k], self.covariances[state, k], space) for k in range(self.components)]
        return laws.Mixture(self.weights[state].log(), parts)

    def estimate(self, batches: Iterable[Batch]) -> None:
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
            mixture = self._mixture(state)
            joint = mixture.joint_log_prob(flat)
            share = joint.softmax(-1)
            total += float((weight * joint.logsumexp(-1)).sum())
            rows += float(weight.sum())
            for k, part in enumerate(mixture.parts):
                moments[k].add(state, torch.ones(y.n, 1), flat, weight * share[:, k], part)  # type: ignore[arg-type]
        return moments, total / rows

    def _maximise(self, moments: list[Moments]) -> None:
        S, K, D = self.means.shape
        for s in range(S):
            counts = torch.tensor([m.count(s) for m in moments], dtype=torch.float64)
            self.weights[s] = counts / counts.sum()
            for k in range(K):
                if counts[k] > 1e-9 * counts.sum():  # a component nobody belongs to stays where it is, with weight 0
                    mean, spread = moments[k].regression(s)
                    self.means[s, k], self.covariances[s, k] = mean[0], spread + self.ridge * torch.eye(D, dtype=torch.float64)
