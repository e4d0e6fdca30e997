"""Weighing: the values that columns with an event may have, each weighted by its probability given the evidence.

With A the events of columns J and e the evidence,

    p(rest | A, e) = sum_v w_v p(rest | x_J = v, e),    w_v = p(x_J = v | e) / p(A | e)    for v in A,

so that what follows from events is a mixture of what follows from values. Columns F with finitely many values in their region
are enumerated together, which is exact, dependent or not. Of reals with a distribution function the first is weighted exactly
too, by p(F, x_1 in R_1 | e). Every further one is drawn within its region given those before, and weighted by the region's
probability there: sequential importance sampling. (To cut each column's own distribution to its region would be another law: a
range of one of two dependent columns is a condition on both.) Where a family has no distribution function, whole draws are kept
or not.

Draws are proposals that are accepted with that probability, so that each is a draw of the very law. Sums over reals take 1,000
weighted proposals, more where few count: their effective number is (sum w)^2 / sum w^2, and never below 20.

Source: Genz, Numerical computation of multivariate normal probabilities, 1992 / https://doi.org/10.1080/10618600.1992.10477010
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from given.distributions import Intractable, Kind, Noise, inverse_cdf_sample, weakest
from given.infer.cumulative import Cumulative
from given.infer.events import Region
from given.infer.query import Query
from given.variables import Entries, UserError

__all__ = ["DRAWS", "Kept", "Particles", "Weighing", "repeated"]

DRAWS = 1000  # proposals of a sum over reals
_FLOOR = 20  # effective draws, below which nothing is said
_MOST = 20_000  # proposals a row, after which the floor must be reached
_MOST_VALUES = 10_000
_ROWS = 1 << 14  # asked about together

Columns = dict[str, Entries]


@dataclass(frozen=True)
class Particles:
    """Values of the columns with an event, K for each of n rows.

    Attributes:
        values: column -> (K, n).
        log_weights: (K, n) float64, normalised over K.
        kind: of sums over them.
        effective: (n,) (sum w)^2 / sum w^2 where they are draws, else None.
    """

    values: dict[str, Tensor]
    log_weights: Tensor
    kind: Kind
    effective: Tensor | None


def repeated(query: Query, times: int, more: Mapping[str, Tensor], first_draw: int = 0) -> Query:
    """The query over times * n rows, every row so often, with values (times, n) of further columns as evidence; the noise of
    each is its own."""
    row = torch.arange(query.n).repeat(times)
    evidence = {k: e.rows(row) for k, e in query.evidence.items()} | {k: Entries(v.reshape(-1)) for k, v in more.items()}
    number = (torch.arange(query.n) + query.first_row)[row]  # a number, or one a row
    draw = first_draw + torch.arange(times).repeat_interleave(query.n)
    return Query(query.joint, evidence, len(row), query.prior, number + (draw << 40))


class Weighing:
    """Of events, given the evidence of a query.

    Args:
        query: what is given by its value, of n rows.
        regions: column -> where it lies.

    Attributes:
        exact: whether log p(A | e) is a closed sum, and no mean of draws.
        by_draws: whether whole draws are kept or not, for want of a closed form of any part.
        kind: of log p(A | e).
    """

    def __init__(self, query: Query, regions: Mapping[str, Region]) -> None:
        self.query, self.regions, self.n = query, dict(regions), query.n
        self.kind: Kind
        each = {name: region.values for name, region in regions.items()}
        self.listed = {name: values for name, values in each.items() if values is not None}
        self.lines = [name for name in regions if name not in self.listed]
        self.by_draws, self.kind = False, "exact"
        self._found = dict[int, tuple[Columns, Tensor]]()
        try:
            self.values, self.log_weights = self._enumerated()
        except Intractable:
            self.by_draws, self.kind = True, "estimate"
        if len(self.lines) > 1:
            self.kind = "estimate"
        self.exact = not self.by_draws and len(self.lines) <= 1

    def _enumerated(self) -> tuple[dict[str, Tensor], Tensor]:
        """The joint values (K,) of columns with finitely many, and log p(F = v, x_1 in R_1 | e) (K, n)."""
        if math.prod(map(len, self.listed.values())) > _MOST_VALUES:
            raise Intractable("too many values to list")
        grids = torch.meshgrid(*self.listed.values(), indexing="ij") if self.listed else ()
        values = {name: grid.reshape(-1) for name, grid in zip(self.listed, grids, strict=True)}
        K = math.prod(map(len, self.listed.values()))
        found = list[Tensor]()
        for some in torch.arange(K).split(max(1, _ROWS // self.n)):
            each = {name: v[some][:, None].expand(-1, self.n) for name, v in values.items()}
            log_p = torch.zeros(len(some), self.n, dtype=torch.float64)
            if each:
                asked = {name: Entries(v.reshape(-1)) for name, v in each.items()}
                flat, kind = repeated(self.query, len(some), {}).log_prob(asked)
                log_p, self.kind = flat.reshape(len(some), self.n), weakest([self.kind, kind])
            if self.lines:
                law = self._line(repeated(self.query, len(some), each), self.lines[0])
                log_p, self.kind = log_p + law.mass.log().reshape(log_p.shape), weakest([self.kind, law.kind])
            found.append(log_p)
        return values, torch.cat(found)

    def _line(self, query: Query, name: str) -> Cumulative:
        return Cumulative(query.mixture(name), name, self.regions[name])

    def log_prob(self, seed: int) -> Tensor:
        """log p(A | e): (n,) float64, of the weighing's kind.

        Raises:
            UserError: it is zero, or so small that too few draws fall within.
        """
        if self.exact:
            return self._possible(self.log_weights.logsumexp(0))
        _, log_w = self._proposals(seed)
        mean = log_w.logsumexp(0) - math.log(len(log_w))
        return mean if self.by_draws else mean + self._possible(self.log_weights.logsumexp(0))

    def particles(self, seed: int) -> Particles:
        """Weighted values of all columns with an event: all there are where they are listed, else at least 1,000 proposals."""
        if self.exact and not self.lines:
            log_w = self.log_weights - self._possible(self.log_weights.logsumexp(0))
            return Particles({name: v[:, None].expand(-1, self.n) for name, v in self.values.items()}, log_w, self.kind, None)
        columns, log_w = self._proposals(seed)
        return Particles({name: columns[name].tensor for name in self.regions}, log_w - log_w.logsumexp(0), "estimate",
                         _effective(log_w))

    def propose(self, first: int, size: int, seed: int, draw: Callable[[int, int], Columns]) -> tuple[Columns, Tensor]:
        """Proposals from `first` on: columns (size, n, ...), and log weights (size, n), at most 0, by which they are draws
        given the events.

        Args:
            draw: number of the first, how many -> whole draws of the query, where no part has a closed form.
        """
        if self.by_draws:
            columns = draw(first, size)
            within = [region.holds(columns[name].tensor) for name, region in self.regions.items()]
            return columns, torch.where(torch.stack(within).all(0), 0.0, -torch.inf).double()
        noise = Noise.of(seed, self.n, first_row=self.query.first_row, draws=size, first_draw=first).fold("event")
        p = (self.log_weights - self._possible(self.log_weights.logsumexp(0))).exp().T
        k = inverse_cdf_sample(p, noise.uniform().reshape(size, self.n))
        values, log_w = {name: v[k] for name, v in self.values.items()}, torch.zeros(size, self.n, dtype=torch.float64)
        for i, name in enumerate(self.lines):
            u = noise.fold(name).uniform().reshape(size, self.n)
            if not values:  # one distribution a row serves all its proposals
                values[name] = self._line(self.query, name).inverse(u)
                continue
            law = self._line(repeated(self.query, size, values, first), name)
            if i:
                log_w = log_w + law.mass.log().reshape(size, self.n)
            values[name] = law.inverse(u.reshape(1, -1))[0].reshape(size, self.n)
        return {name: Entries(v) for name, v in values.items()}, log_w

    def _proposals(self, seed: int) -> tuple[Columns, Tensor]:
        """At least 1,000 proposals, of which enough count."""
        if seed not in self._found:
            asked = set(self.regions)
            parts, tried = list[tuple[Columns, Tensor]](), 0
            while tried < DRAWS or float(_effective(torch.cat([w for _, w in parts])).min()) < _FLOOR:
                if tried >= _MOST:
                    self.refuse(torch.cat([w for _, w in parts]).exp().sum(0), tried)
                size = min(DRAWS, max(1, _ROWS // self.n))
                parts.append(self.propose(tried, size, seed, lambda first, size: self.query.sample(
                    size, seed=seed, asked=asked, first_draw=first)))
                tried += size
            columns = {name: Entries.cat([each[name] for each, _ in parts]) for name in self.regions}
            self._found = {seed: (columns, torch.cat([w for _, w in parts]))}
        return self._found[seed]

    def refuse(self, kept: Tensor, tried: int) -> None:
        """Raise: of so many draws too few fall within."""
        raise UserError(f"of {tried:,} draws {float(kept.min()):.0f} fall within what is given of {', '.join(self.regions)}, "
                        "too few to tell; give a wider range", int(kept.argmin())).at(str(self.query.joint))

    def _possible(self, total: Tensor) -> Tensor:
        if bool((total == -torch.inf).any()):
            raise UserError(f"what is given of {', '.join(self.regions)} has probability zero; give something else",
                            int((total == -torch.inf).nonzero()[0])).at(str(self.query.joint))
        return total


class Kept:
    """Draws that are accepted, one after another: the same ones however many are asked for at once.

    Args:
        weighing: of the events.
        seed: of all of them.
        draw: as of `Weighing.propose`.
    """

    def __init__(self, weighing: Weighing, seed: int, draw: Callable[[int, int], Columns]) -> None:
        self.weighing, self.seed, self.draw = weighing, seed, draw
        self.tried, self.count, self.columns = 0, torch.zeros(weighing.n, dtype=torch.int64), Columns()

    def take(self, first: int, number: int) -> Columns:
        """Draws `first` to `first + number`: columns (number, n, ...).

        Raises:
            UserError: hardly any proposal is accepted.
        """
        while (least := int(self.count.min())) < first + number:
            if self.tried >= _MOST and least < _FLOOR:
                self.weighing.refuse(self.count, self.tried)
            self._grow(first + number - least)
        return {name: e.rows(slice(first, first + number)) for name, e in self.columns.items()}

    def _grow(self, wanted: int) -> None:
        n, rate = self.weighing.n, (int(self.count.min()) + 1) / (self.tried + 1)
        size = max(1, min(round(1.2 * wanted / rate), _ROWS // n))
        columns, log_w = self.weighing.propose(self.tried, size, self.seed, self.draw)
        noise = Noise.of(self.seed, n, first_row=self.weighing.query.first_row, draws=size, first_draw=self.tried)
        accepted = noise.fold("accepted").uniform().reshape(size, n).log() < log_w
        self.tried, before = self.tried + size, self.count
        stood = torch.cat([torch.arange(len(next(iter(self.columns.values()))))[:, None] < before if self.columns
                           else accepted[:0], accepted])
        self.count = before + accepted.sum(0)
        order = (~stood).long().argsort(dim=0, stable=True)[:int(self.count.max())]
        row = torch.arange(n).expand(order.shape)
        both = {name: Entries.cat([self.columns[name], e]) if self.columns else e for name, e in columns.items()}
        self.columns = {name: e.map(lambda t: t[order, row]) for name, e in both.items()}


def _effective(log_w: Tensor) -> Tensor:
    """(n,) (sum w)^2 / sum w^2 of log weights (K, n)."""
    found = (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()
    return torch.where(log_w.amax(0) == -torch.inf, 0.0, found)
