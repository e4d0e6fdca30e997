"""GaussianMixture: p(x | y) a mixture of K normal distributions, by expectation maximisation.

    p(x | y) = sum_k w_sk N(x; m_sk, C_sk),    s the value of the finite parents

E-step: r_ik = w_k N(x_i; m_k, C_k) / sum_j w_j N(x_i; m_j, C_j) over what is seen of x_i, and the expected moments of what
is not. M-step: w_k, m_k, C_k from the moments weighted by r_ik and the row's weight, C_k the likeliest of its
structure. The likelihood never falls. `ridge` is
added to every variance in the M-step, as one imagined deviation. `log_prob` is exact, and so are all marginals and
conditionals.

Without a K several mixtures are stacked: K from 1 to 16, each also with its covariances times 2 and 6, as a heavy tail.
Their weights maximise the likelihood of rows left out of learning in three folds, 20,000 rows at most; the whole is one mixture
again. Rows that all fall into one fold are one normal distribution. A fit short of time tries smaller K alone.

Source: Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977
Smyth, Wolpert, Linearly combining density estimators via stacking, 1999 / https://doi.org/10.1023/A:1007511322260
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional, state_of, states
from given.distributions import Covariance, Full, Moments, Noise, kmeans_plus_plus, lloyd
from given.lessons import Batch, Lesson, MappedBatches, Solve, deadline_of, seed_of, select
from given.selection import begin, selecting
from given.variables import Entries, Observed, UserError, Variable

__all__ = ["GaussianMixture"]

_SIZES, _BREADTHS, _FOLDS = (1, 2, 3, 4, 6, 8, 12, 16), (1.0, 2.0, 6.0), 3
_HELD, _AT_ONCE, _LEAST = 20_000, 4096, 0.01  # rows that weigh a stack's mixtures; at once; the least share of a mixture
_FULL = Full()
_STARTS, _ALL_STARTS = 2_000, 64  # rows the means start at; starts of all states
_IN_CACHE = 1_000  # rows whose deviations from all components are looked at at once
_PASSES = (2, 3, 5)  # over these rows; after each round the likelier half of the starts goes on
_Start = tuple[float, Tensor, Tensor, Tensor]  # likelihood; weights, means and covariances of a state


class GaussianMixture(Conditional):
    """A mixture of normal distributions for each value of finite parents.

    Args:
        x: real, or a block of real columns.
        parents: finite.
        components: K; `select(1, 30)` for the one rows held out like best; None for a stack, which takes no parents.
        covariance: `Full()`, `Tied()`, `Diagonal()`, `Spherical()` or `LowRank(rank)`, a mixture of factor analysers.
        ridge: added to every variance, in the entries' units squared.
        tolerance: stop when the mean log-likelihood of a row rises by less.
        most_passes: over the data.
        restarts: starts that are tried over at most 2,000 rows: by k-means, then 2, 3 and 5 passes, of which the likelier half
            goes on each time. Of many states each has fewer, 64 in all and one at least.
        seed: of the starts; drawn with the initial weights when left out. They also change with the seed of a fit.
    """

    on_lines = True
    selectable = ("components",)

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, components: int | select | None = 8,
                 covariance: Covariance = _FULL, ridge: float = 1e-6, tolerance: float = 1e-4, most_passes: int = 200,
                 restarts: int = 8, seed: int | None = None) -> None:
        super().__init__(x, parents)
        components = begin(self, "components", components)
        seed = int(torch.randint(1 << 31, ())) if seed is None else seed
        self.arguments = {**self.arguments, "seed": seed}
        distributions.Flattened.check_real(x, "GaussianMixture")
        if components is not None and components < 1:
            raise UserError(f"GaussianMixture {x.name}: components={components}; expected at least 1")
        if components is None and parents:
            raise UserError(f"GaussianMixture {x.name}: a stack takes no parents; pass components")
        covariance.check(x.space.dimensions)
        self.stacked, self.ridge, self.covariance = components is None, ridge, covariance
        self.components = components or sum(_SIZES) * len(_BREADTHS)
        if restarts < 1:
            raise UserError(f"GaussianMixture {x.name}: restarts={restarts}; expected at least 1")
        self.tolerance, self.most_passes, self.restarts, self.seed = tolerance, most_passes, restarts, seed
        S, K, D = states(self.parents, f"GaussianMixture {x.name}"), self.components, x.space.dimensions
        self.weights: Tensor
        self.means: Tensor
        self.covariances: Tensor
        self.plans = ("weights",)
        self.register_buffer("weights", torch.full((S, K), 1 / K, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(S, K, D, dtype=torch.float64))
        self.register_buffer("covariances", torch.eye(D, dtype=torch.float64).repeat(S, K, 1, 1))
        self.likelihoods: list[float] = []

    def forward(self, y: Observed) -> distributions.Distribution:
        return distributions.Flattened.of(self._mixture(state_of(self.parents, y)), self.x.space)

    def _mixture(self, state: Tensor) -> distributions.Mixture:
        space = distributions.Flattened.real(self.x.space)
        used = (self.weights > 0).any(0).nonzero()[:, 0].tolist()
        one, n = len(self.weights) == 1, len(state)  # one covariance for all rows is factored once
        parts = [distributions.Normal(self.means[0, k].expand(n, -1), self.covariances[0, k].expand(n, -1, -1), space)
                 if one else
                 distributions.Normal(self.means[state, k], self.covariances[state, k], space) for k in used]
        return distributions.Mixture(self.weights[:, used].log().to(state.device)[state], parts)

    def lessons(self) -> list[Lesson]:
        return selecting(self, [Solve(self._stack if self.stacked else self._climb)])

    def _stack(self, batches: Iterable[Batch]) -> None:
        chosen = _Chosen(_HELD, self.seed, self.x.space.dimensions)
        for x, _, weight in batches:
            chosen.add(self._rows(x, weight))
        weight, rows = chosen.rows[:, 0], chosen.rows[:, 1:]
        # Rows that are alike are in one fold: a copy among the rows learned from would praise what remembers.
        each = [row.tobytes() for row in rows.numpy()]
        fold = torch.tensor([zlib.crc32(row) % _FOLDS for row in each])
        folds = fold.unique().tolist()
        # Ten different rows a component: neither the weights' scale nor copies of a row make one worth while.
        sizes = [K for K in _SIZES if 10 * K <= len(set(each)) and len(folds) > 1] or [1]
        models = [GaussianMixture(self.x, components=K, covariance=self.covariance, ridge=self.ridge, restarts=1,
                                  seed=self.seed, tolerance=self.tolerance, most_passes=self.most_passes) for K in sizes]
        share = torch.tensor([[1.0] + [0.0] * (len(_BREADTHS) - 1)], dtype=torch.float64)
        deadline, took = deadline_of(batches), list[float]()
        if len(folds) > 1:  # else nothing is left to score what is learned from the rest
            with deadline.part(2 / (2 + chosen.seen / len(rows))):  # three folds of two thirds, then learning from all rows
                scores, took = self._scores(batches, models, rows, weight, fold)
            share = distributions.best_weights(scores.flatten(1), weight)
            share = torch.where(share < _LEAST, 0.0, share)
            share = (share / share.sum()).reshape(len(took), -1)
        self.weights.zero_()
        first, used = 0, share.any(1).tolist()
        for i, model in enumerate(models[:len(share)]):
            # What there is no time for stays as two folds made it.
            if used[i] and (not took or deadline.allows(took[i])):
                with deadline.part(1 / sum(used[i:])):
                    model._climb(batches)
            for b, breadth in enumerate(_BREADTHS):
                mine, first = slice(first, first + sizes[i]), first + sizes[i]
                self.weights[:, mine] = share[i, b] * model.weights
                self.means[:, mine], self.covariances[:, mine] = model.means, breadth * model.covariances

    def _scores(self, batches: Iterable[Batch], models: Sequence[GaussianMixture], rows: Tensor, weight: Tensor,
                fold: Tensor) -> tuple[Tensor, list[float]]:
        """log p of rows (n, D) under the models there is time for, each learned from the other folds and of every breadth:
        (n, models, breadths), and the seconds each took."""
        x, deadline = Entries(rows.nan_to_num(), ~rows.isnan()).shaped(self.x.space), deadline_of(batches)
        held = [(x.rows(i), Observed(n=len(i)), weight[i], fold[i]) for i in torch.arange(len(rows)).split(_AT_ONCE)]
        scores, took = torch.zeros(len(rows), len(models), len(_BREADTHS), dtype=torch.float64), list[float]()
        for i, model in deadline.within(enumerate(models)):
            began = deadline.left
            for f in fold.unique().tolist():
                others = [(x, y, w * (own != f)) for x, y, w, own in held]
                model._climb(MappedBatches(batches, partial(_instead, others)))
                for b, breadth in enumerate(_BREADTHS):
                    model.covariances *= breadth
                    each = torch.cat([model(y).log_prob(x) for x, y, _, _ in held])
                    model.covariances /= breadth
                    scores[:, i, b] = torch.where(fold == f, each, scores[:, i, b])
            took.append(began - deadline.left)
        return scores[:, :len(took)], took

    def _climb(self, batches: Iterable[Batch]) -> None:
        deadline = deadline_of(batches)
        with deadline.part(1 / 2):
            self._start(batches)
        self.likelihoods = []
        for _ in deadline.within(range(self.most_passes)):
            moments, likelihood = self._expect((x.flat(self.x.space), state_of(self.parents, y), w) for x, y, w in batches)
            self._maximise(moments, range(len(self.weights)))
            self.likelihoods.append(likelihood)
            if len(self.likelihoods) > 1 and likelihood - self.likelihoods[-2] < self.tolerance:
                return

    def _start(self, batches: Iterable[Batch]) -> None:
        """For every state the likeliest of some starts after a few passes over some of its rows."""
        S, K, D = self.means.shape
        seed, starts = Noise.of(self.seed, 1).fold(seed_of(batches)), max(1, min(self.restarts, _ALL_STARTS // S))
        deadline, everybody = deadline_of(batches), Moments(S, 1, D)
        chosen = [_Chosen(max(_STARTS // S, 10 * K), self.seed, D) for _ in range(S)]
        for x, y, weight in batches:
            flat, state = x.flat(self.x.space), state_of(self.parents, y)
            everybody.add(state, torch.ones(y.n, 1), flat, weight, self._mixture(state).parts[0])  # type: ignore[arg-type]
            for s in state.unique().tolist() if K > 1 else ():
                chosen[s].add(self._rows(x.rows(state == s), weight[state == s]))
        for s in range(S):
            if everybody.count(s) <= 0:
                where = f" where the parents have their value {s}; drop it or pool it" if self.parents else ""
                raise UserError(f"{self}: no row of weight above 0 to learn from{where}")
            try:
                mean, spread = everybody.regression(s)
            except UserError as error:
                raise error.at(str(self)) from None
            self.covariances[s] = covariance = spread + self.ridge * torch.eye(D, dtype=torch.float64)
            self.means[s], self.weights[s] = mean, 1 / K
            if K > 1:
                if not self.parents and len(chosen[s].rows) < K:
                    raise UserError(f"{self}: components={K}, but there are {len(chosen[s].rows)} rows; pass fewer components")
                tried = [self._begun(s, chosen[s].rows, mean, covariance, seed.fold(s).fold(i))
                         for i in deadline.within(range(starts))]
                for passes in deadline.within(_PASSES if starts > 1 else ()):
                    tried = sorted((self._followed(s, chosen[s].rows, start, passes) for start in tried),
                                   key=lambda start: -start[0])[:-(-len(tried) // 2)]
                _, self.weights[s], self.means[s], self.covariances[s] = tried[0]

    def _begun(self, s: int, rows: Tensor, mean: Tensor, covariance: Tensor, noise: Noise) -> _Start:
        """A start from rows (n, 1 + D) of one state.

        Means start where k-means ends, from rows far from one another (k-means++), and all components have the covariance of
        rows about their own mean: none can begin as a spike.
        """
        S, K, D = self.means.shape
        weight, filled = rows[:, 0], torch.where(rows[:, 1:].isnan(), mean, rows[:, 1:]) / covariance.diagonal().sqrt()
        centres = filled[kmeans_plus_plus(filled, noise.uniform((), (K,))[0], weight)]
        share = torch.nn.functional.one_hot(lloyd(filled, None, weight, centres)[1], K).double() * weight[:, None]
        self.weights[s], self.means[s], self.covariances[s] = 1 / K, mean, covariance
        flat, moments = Entries(rows[:, 1:].nan_to_num(), ~rows[:, 1:].isnan()), Moments(S * K, 1, D)
        if flat.complete:
            moments.origin = mean[0]
            row = torch.cat([torch.ones(len(rows), 1, dtype=torch.float64), flat.tensor - mean], 1)
            moments.add_products(slice(s * K, s * K + K), share.T[:, None] * row.T @ row)
        else:
            everybody = self._mixture(torch.full((len(rows),), s)).parts[0]
            for k in range(K):
                moments.add(s * K + k, torch.ones(len(rows), 1), flat, share[:, k], everybody)  # type: ignore[arg-type]
        self._maximise(moments, [s])
        self.covariances[s] = (self.weights[s][:, None, None] * self.covariances[s]).sum(0)
        return self._kept(s, -math.inf)

    def _followed(self, s: int, rows: Tensor, start: _Start, passes: int) -> _Start:
        """A start after some more passes over rows (n, 1 + D) of its state."""
        self.weights[s], self.means[s], self.covariances[s] = start[1:]
        flat, likelihood = Entries(rows[:, 1:].nan_to_num(), ~rows[:, 1:].isnan()), start[0]
        for _ in range(passes):
            moments, likelihood = self._expect([(flat, torch.full((len(rows),), s), rows[:, 0])])
            self._maximise(moments, [s])
        return self._kept(s, likelihood)

    def _kept(self, s: int, likelihood: float) -> _Start:
        return likelihood, self.weights[s].clone(), self.means[s].clone(), self.covariances[s].clone()

    def _rows(self, x: Entries, weight: Tensor) -> Tensor:
        """The rows of weight above 0: weight, then entries, NaN where unknown; (n, 1 + D)."""
        flat = x.flat(self.x.space)
        rows = torch.cat([weight[:, None].double(), torch.where(flat.scored, flat.tensor, torch.nan)], 1)
        return rows[weight > 0]

    def _expect(self, batches: Iterable[tuple[Entries, Tensor, Tensor]]) -> tuple[Moments, float]:
        """The moments and the mean log-likelihood of rows, of batches of entries (n, D), states (n,) and weights (n,)."""
        S, K, D = self.means.shape
        moments = Moments(S * K, 1, D, self.means.mean((0, 1)))
        total = rows = 0.0
        for flat, state, weight in batches:
            rows += float(weight.sum())
            if flat.complete:
                for s in state.unique().tolist() if S > 1 else [0]:
                    own = state == s if S > 1 else slice(None)
                    total += self._add(moments, s, flat.tensor[own], weight[own].double())
                continue
            mixture = self._mixture(state)
            joint = mixture.joint_log_prob(flat)
            share = joint.softmax(-1)
            used = (self.weights > 0).any(0).nonzero()[:, 0].tolist()
            total += float((weight * joint.logsumexp(-1)).sum())
            for k, part in enumerate(mixture.parts):
                at = used[k] if S == 1 else state * K + used[k]
                moments.add(at, torch.ones(len(flat), 1), flat, weight * share[:, k], part)  # type: ignore[arg-type]
        return moments, total / rows

    def _add(self, moments: Moments, s: int, x: Tensor, weight: Tensor) -> float:
        """Add the moments of whole rows (n, D) of one state, all components at once; the weighted log-likelihood."""
        (K, D), origin = self.means.shape[1:], torch.as_tensor(moments.origin)
        root = torch.linalg.cholesky(self.covariances[s])
        inverse = torch.linalg.solve_triangular(root, torch.eye(D, dtype=root.dtype), upper=False)
        log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1) + D / 2 * math.log(2 * math.pi)
        still, total = (inverse @ (self.means[s] - origin)[..., None]).reshape(K * D, 1), 0.0
        for rows, amount in zip((x - origin).split(_IN_CACHE), weight.split(_IN_CACHE), strict=True):
            white = (inverse.reshape(K * D, D) @ rows.T).sub_(still).square_().reshape(K, D, -1)
            joint = torch.sub((self.weights[s].log() - log_det)[:, None], white.sum(1), alpha=0.5)  # (K, n)
            row = torch.cat([torch.ones(len(rows), 1, dtype=torch.float64), rows], 1)
            moments.add_products(slice(s * K, s * K + K), (amount * joint.softmax(0))[:, None] * row.T @ row)
            total += float(amount @ joint.logsumexp(0))
        return total

    def _maximise(self, moments: Moments, states: Iterable[int]) -> None:
        K, D = self.means.shape[1:]
        for s in states:
            counts, mean, spread = moments.normals(slice(s * K, s * K + K))
            self.weights[s] = counts / counts.sum()
            there = (counts > 1e-9 * counts.sum()).nonzero()[:, 0]  # one nobody belongs to stays where it is, with weight 0
            self.means[s, there] = mean[there]
            nearest = self.covariance.likeliest(spread[there], counts[there])
            self.covariances[s, there] = nearest + self.ridge * torch.eye(D, dtype=torch.float64)


def _instead(others: Iterable[Batch], _: Iterable[Batch]) -> Iterable[Batch]:
    return others


class _Chosen:
    """At most so many rows of a pass, chosen by a hash of their number, so that what the pass begins with is no matter.

    Args:
        most: rows kept.
        seed: of the hash.
        entries: D.

    Attributes:
        rows: (n, 1 + D), as `GaussianMixture._rows` makes them, in their order.
    """

    def __init__(self, most: int, seed: int, entries: int) -> None:
        self.most, self.seed, self.seen = most, seed, 0
        self.rows, self.keys = torch.empty(0, 1 + entries, dtype=torch.float64), torch.empty(0, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        """Take more rows of the pass into account."""
        keys = Noise.of(self.seed, len(rows), first_row=self.seen).fold("chosen").uniform()
        self.seen += len(rows)
        self.rows, self.keys = torch.cat([self.rows, rows]), torch.cat([self.keys, keys])
        if len(self.keys) > self.most:
            kept = self.keys.topk(self.most, largest=False).indices.sort().values
            self.rows, self.keys = self.rows[kept], self.keys[kept]
