"""KMeans: K centres, every row with its nearest: the hard mixture it is.

    p(x) = sum_k w_k N(x; c_k, s^2 I),    c = argmin sum_i min_k |x_i - c_k|^2

This is the limit of a mixture of normals of one variance as its responsibilities harden: rows are shared out whole, w_k is the
share of centre k, and s^2 the mean squared deviation of an entry from its row's centre. `encode` is the number of the nearest
centre. Centres start far from one another (k-means++), the best of some starts over at most 5,000 rows. What is unseen of a row
counts in no distance and in no mean. `log_prob` is exact, and so are all marginals and conditionals.

Source: Lloyd, Least squares quantization in PCM, 1982 / https://doi.org/10.1109/TIT.1982.1056489
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Noise, kmeans_plus_plus, lloyd, squared_distances
from given.lessons import Batch, Lesson, Solve, deadline_of, seed_of, select
from given.selection import begin, selecting
from given.variables import Entries, Finite, Observed, UserError, Variable

__all__ = ["KMeans"]

_STARTS = 5_000  # rows that starts are tried on
_FLOOR = 1e-12  # the least s^2, in units of the variance about the mean of all


class KMeans(Conditional):
    """A mixture of balls.

    Args:
        x: real, or a block of real columns.
        components: K, or `select(1, 30)` for the one rows held out like best.
        restarts: starts that are tried; the one of least squares is followed.
        tolerance: stop when the squares fall by less than this share of themselves.
        most_passes: over the data.
        seed: of the starts; drawn with the initial weights when left out. They also change with the seed of a fit.
    """

    selectable = ("components",)

    def __init__(self, x: Variable, parents: tuple[()] = (), *, components: int | select = 8, restarts: int = 8,
                 tolerance: float = 1e-4, most_passes: int = 200, seed: int | None = None) -> None:
        super().__init__(x, parents)
        components = begin(self, "components", components)
        seed = int(torch.randint(1 << 31, ())) if seed is None else seed
        self.arguments = {**self.arguments, "seed": seed}
        distributions.Flattened.check_real(x, "KMeans")
        if self.parents:
            raise UserError(f"{self}: KMeans takes no parents; make them part of the block, or use GaussianMixture")
        if components < 1 or restarts < 1:
            raise UserError(f"KMeans {x.name}: components={components}, restarts={restarts}; expected at least 1 of each")
        self.components, self.restarts, self.tolerance = components, restarts, tolerance
        self.most_passes, self.seed = most_passes, seed
        self.centres: Tensor
        self.weights: Tensor
        self.variance: Tensor
        self.register_buffer("centres", torch.zeros(components, x.space.dimensions, dtype=torch.float64))
        self.register_buffer("weights", torch.full((components,), 1 / components, dtype=torch.float64))
        self.register_buffer("variance", torch.ones((), dtype=torch.float64))

    def forward(self, y: Observed) -> distributions.Distribution:
        space = distributions.Flattened.real(self.x.space)
        ball = (self.variance * torch.eye(self.centres.shape[1], dtype=torch.float64, device=self.device)).expand(y.n, -1, -1)
        parts = [distributions.Normal(centre.expand(y.n, -1), ball, space) for centre in self.centres]
        return distributions.Flattened.of(distributions.Mixture(self.weights.log().expand(y.n, -1), parts), self.x.space)

    def lessons(self) -> list[Lesson]:
        return selecting(self, [Solve(self._solve)])

    def _solve(self, batches: Iterable[Batch]) -> None:
        deadline, before = deadline_of(batches), torch.inf
        with deadline.part(1 / 2):
            self._start(batches)
        for _ in deadline.within(range(self.most_passes)):
            squares, entries = self._pass(batches)
            if before - squares <= self.tolerance * squares:
                break
            before = squares
        self.variance.copy_(torch.as_tensor(max(squares / entries, self._least)))

    def _pass(self, batches: Iterable[Batch]) -> tuple[float, float]:
        """Centres to the means of their rows; the squares before it, and the weighted number of entries seen."""
        K, D = self.centres.shape
        counts, sums, rows = torch.zeros(K, D).double(), torch.zeros(K, D).double(), torch.zeros(K).double()
        squares = entries = 0.0
        for flat, seen, weight in self._rows(batches):
            least, nearest = squared_distances(flat, seen, self.centres).min(1)
            amount = weight[:, None] * seen
            counts.index_add_(0, nearest, amount)
            sums.index_add_(0, nearest, amount * flat)
            rows.index_add_(0, nearest, weight)
            squares, entries = squares + float(weight @ least), entries + float(amount.sum())
        self.centres.copy_(torch.where(counts > 0, sums / counts, self.centres))
        self.weights.copy_(rows / rows.sum())
        return squares, entries

    def _rows(self, batches: Iterable[Batch]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Rows of weight above 0: values, what is seen, weights."""
        for x, _, weight in batches:
            flat, some = x.flat(self.x.space), weight > 0
            yield torch.where(flat.scored, flat.tensor, 0.0)[some], flat.scored[some], weight[some].double()

    def _start(self, batches: Iterable[Batch]) -> None:
        """The best of some starts, over rows chosen by a hash of their number, in their order: where all are, copies of a row
        stand side by side and start what one row of their weight does."""
        chosen, first = list[tuple[Tensor, ...]](), 0
        for rows in self._rows(batches):
            chosen.append((*rows, Noise.of(self.seed, len(rows[2]), first_row=first).fold("chosen").uniform()))
            first += len(rows[2])
            if sum(len(each[-1]) for each in chosen) > 2 * _STARTS:
                chosen = [_least(chosen)]
        if not first:
            raise UserError(f"{self}: no row of weight above 0 to learn from; expected at least one")
        flat, seen, weight, _ = _least(chosen)
        K, noise = self.components, Noise.of(self.seed, 1).fold(seed_of(batches))
        mean = (weight[:, None] * flat).sum(0) / (weight[:, None] * seen).sum(0).clamp(min=1e-300)
        filled = torch.where(seen, flat, mean)
        if not bool(seen.any()):
            raise UserError(f"{self}: no row of weight above 0 with an entry that is known; expected at least one")
        if not bool((filled**2).sum().isfinite()):
            raise UserError(f"{self}: the squares of its numbers overflow; scale them, as Number() does")
        if len(filled.unique(dim=0)) < K:
            raise UserError(f"{self}: components={K}, but there are {len(filled.unique(dim=0))} different rows; pass fewer")
        self._least = _FLOOR * max(float((weight[:, None] * (filled - mean) ** 2).sum() / weight.sum()), 1e-300)
        whole, found = None if bool(seen.all()) else seen, list[tuple[float, Tensor]]()
        for i in deadline_of(batches).within(range(self.restarts)):
            u = noise.fold(i).uniform((), (K,))[0]
            centres, _ = lloyd(flat, whole, weight, filled[kmeans_plus_plus(filled, u, weight)])
            found.append((float(weight @ squared_distances(flat, whole, centres).amin(1)), centres))
        self.centres.copy_(min(found, key=lambda each: each[0])[1])

    def encode(self, x: Entries, y: Observed | None = None) -> distributions.Point:
        """The number of the nearest centre, (B,) int64, as the point it is."""
        flat = x.flat(self.x.space)
        nearest = squared_distances(flat.tensor, flat.scored, self.centres).argmin(1)
        return distributions.Point(nearest, Finite(self.components))

    def decode(self, z: Entries, y: Observed | None = None) -> Entries:
        """The centre: (B, *grid) float64."""
        return Entries(self.centres[z.tensor.long()]).shaped(self.x.space)


def _least(chosen: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """At most so many rows, those of the least keys, which stand last, in their order."""
    rows = [torch.cat(each) for each in zip(*chosen, strict=True)]
    kept = rows[-1].argsort()[:_STARTS].sort().values
    return tuple(each[kept] for each in rows)
