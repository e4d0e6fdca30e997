"""Within: a query some of whose columns are given by an event: a range, a set of values, that they are missing or not.

It answers what `Query` answers. Where the probability of the events is a closed sum, answers are ratios,

    p(x | A, e) = p(x, A | e) / p(A | e),

as exact as their terms; elsewhere they are means over `Weighing`'s particles, estimates.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property

import torch
from torch import Tensor

from given.distributions import Distribution, How, Intractable, Kind, weakest
from given.infer.cumulative import Cumulative
from given.infer.events import Region
from given.infer.query import Query
from given.infer.weighing import Kept, Weighing, repeated
from given.joint import Joint
from given.variables import Entries, Finite, UserError

__all__ = ["Within", "below_reals", "taken_as_events"]

Columns = dict[str, Entries]

_ROWS = 1 << 14  # asked about together


def below_reals(joint: Joint, given: Set[str]) -> list[str]:
    """Columns given, each a single symbol and a factor of its own, that depend on columns which are neither given nor can be
    enumerated: as events their values are kept, or not, of whole draws."""
    def closed(name: str) -> bool:
        space = joint.columns[name].space
        return isinstance(space, Finite) and space.dimensions == 1

    return [f.x.name for f in joint if f.x.columns == (f.x.name,) and f.x.name in given and closed(f.x.name) and any(
        v.name not in given and v.name not in joint.conditions and not closed(v.name) for v in f.parents)]


def taken_as_events(joint: Joint, evidence: Columns, names: Sequence[str]) -> dict[str, Region]:
    """The values of some columns, the same in all rows, taken out of the evidence where they are known: as events."""
    return {name: Region.of(joint.columns[name].space, evidence.pop(name).tensor[:1]) for name in names
            if evidence[name].complete}


class Within:
    """The distribution of what is unknown, given evidence and events.

    Args:
        query: what is given by its value, of n rows.
        regions: column -> where it lies. None of them is in the evidence.
    """

    def __init__(self, query: Query, regions: Mapping[str, Region]) -> None:
        self.query, self.regions = query, dict(regions)
        self.joint, self.evidence, self.n = query.joint, query.evidence, query.n
        self._kept = dict[object, Kept]()

    @cached_property
    def weighing(self) -> Weighing:
        """The events, weighed once for all that is asked."""
        return Weighing(self.query, self.regions)

    @property
    def effective(self) -> Tensor | None:
        """(n,) how many draws the sums over the events' columns are worth; None where they are closed."""
        weighing = self.weighing
        return None if weighing.exact and weighing.kind == "exact" else weighing.particles(0).effective

    def sample(self, draws: int, *, seed: int = 0, how: How | None = None, length: int | None = None,
               asked: Set[str] | None = None, first_draw: int = 0) -> Columns:
        """As of `Query`. A way to draw changes what is drawn given the columns with events, and not these."""
        asked = None if asked is None else asked | self.regions.keys()

        def drawn(first: int, size: int) -> Columns:
            return self.query.sample(size, seed=seed, how=how, length=length, asked=asked, first_draw=first)

        kept = self._taken((seed, how, length, None if asked is None else frozenset(asked)), seed, drawn)
        values = kept.take(first_draw, draws)
        if self.weighing.by_draws:
            return values
        query = repeated(self.query, draws, {name: e.tensor for name, e in values.items()}, first_draw)
        found = query.sample(1, seed=seed, how=how, length=length, asked=asked)
        return {name: e.map(lambda t: t.reshape(draws, self.n, *t.shape[2:])) for name, e in found.items()}

    def _taken(self, key: object, seed: int, drawn: object) -> Kept:
        """The draws that are accepted, by what they depend on: the last such are remembered."""
        key = key if self.weighing.by_draws else seed
        if key not in self._kept:
            self._kept = {key: Kept(self.weighing, seed, drawn)}  # type: ignore[arg-type]
        return self._kept[key]

    def stream(self, name: str, *, seed: int = 0, how: How | None = None, length: int | None = None) -> Iterator[Entries]:
        """As of `Query`."""
        if self.weighing.by_draws:
            raise Intractable(f"stream: {', '.join(self.regions)} cannot be drawn before {name}; use sample")
        values = self._taken(seed, seed, None).take(0, 1)
        yield from repeated(self.query, 1, {k: e.tensor for k, e in values.items()}).stream(name, seed=seed, how=how,
                                                                                             length=length)

    def log_prob(self, x: Mapping[str, Entries], *, seed: int = 0) -> tuple[Tensor, Kind]:
        """As of `Query`: -inf of values outside a region."""
        mine = {name: e for name, e in x.items() if name in self.regions}
        inside = torch.ones(self.n, dtype=torch.bool)
        for name, e in mine.items():
            if not e.complete:
                raise UserError(f"{name}: has an event and a value that is unknown; score its value, or leave it out")
            inside &= self.regions[name].holds(e.tensor)
        log_p, kind = self._log_prob(x, mine, seed)
        return torch.where(inside, log_p, -torch.inf), kind

    def _log_prob(self, x: Mapping[str, Entries], mine: Columns, seed: int) -> tuple[Tensor, Kind]:
        if self.weighing.by_draws:  # what is asked may tell the events, where nothing else does
            with contextlib.suppress(Intractable):
                return self._with_events(x, seed)[0] - self.weighing.log_prob(seed), "estimate"
        if self.weighing.exact and self.weighing.kind == "exact":
            top, kind = self._with_events(x, seed)
            if kind == "exact":
                return top - self.weighing.log_prob(seed), kind
        total, kinds = torch.zeros(self.n, dtype=torch.float64), list[Kind]()
        if mine:
            top, kind = self._with_events(mine, seed)
            total, kinds = top - self.weighing.log_prob(seed), [kind, self.weighing.kind]
        rest = {name: e for name, e in x.items() if name not in mine}
        if rest:
            given = Query(self.joint, self.evidence | mine, self.n, self.query.prior, self.query.first_row)
            left = {name: region for name, region in self.regions.items() if name not in mine}
            found, kind = Within(given, left)._over_particles(rest, seed) if left else given.log_prob(rest, seed=seed)
            total, kinds = total + found, [*kinds, kind]
        return total, kinds[0] if len(kinds) == 1 else weakest([*kinds, "estimate"]) if mine and rest else weakest(kinds)

    def _with_events(self, x: Mapping[str, Entries], seed: int) -> tuple[Tensor, Kind]:
        """log p(x, A | e): (n,), and its kind; x is taken to be within its regions."""
        log_p, kind = self.query.log_prob(x, seed=seed)
        left = {name: region for name, region in self.regions.items() if name not in x}
        if not left:
            return log_p, kind
        known = self.evidence | {name: e.or_else(self.evidence[name]) if name in self.evidence else e for name, e in x.items()}
        weighing = Weighing(Query(self.joint, known, self.n, self.query.prior, self.query.first_row), left)
        return log_p + weighing.log_prob(seed), weakest([kind, weighing.kind])

    def _over_particles(self, x: Columns, seed: int) -> tuple[Tensor, Kind]:
        """log of the mean of p(x | x_J, e) over the particles of x_J: (n,), and its kind."""
        particles, found, kind = self.weighing.particles(seed), list[Tensor](), self.weighing.kind
        K = len(particles.log_weights)
        for some in torch.arange(K).split(max(1, _ROWS // self.n)):
            query = repeated(self.query, len(some), {name: v[some] for name, v in particles.values.items()})
            row = torch.arange(self.n).repeat(len(some))
            log_p, kind = query.log_prob({name: e.rows(row) for name, e in x.items()}, seed=seed)
            found.append(log_p.reshape(len(some), self.n))
        return (particles.log_weights + torch.cat(found)).logsumexp(0), weakest([kind, particles.kind])

    def probabilities(self, name: str) -> Tensor:
        """As of `Query`: (n, V) float64."""
        space = self.joint.columns[name].space
        if not isinstance(space, Finite) or space.dimensions != 1 or name in self.evidence:
            return self.query.probabilities(name)  # which raises
        closed = self.weighing.exact and (self.weighing.kind == "exact" or name in self.regions)
        weighing = self._whole(name) if closed else self.weighing
        if closed and weighing.exact and (weighing.kind == "exact" or name in self.regions):
            p = torch.zeros(space.size, self.n, dtype=torch.float64)
            return p.index_add_(0, weighing.values[name], (weighing.log_weights - weighing.log_prob(0)).exp()).T
        particles = self.weighing.particles(0)
        if name in self.regions:
            p = torch.zeros(space.size, self.n, dtype=torch.float64)
            return p.scatter_add_(0, particles.values[name].long(), particles.log_weights.exp()).T
        p = torch.zeros(self.n, space.size, dtype=torch.float64)
        for some in torch.arange(len(particles.log_weights)).split(max(1, _ROWS // self.n)):
            query = repeated(self.query, len(some), {k: v[some] for k, v in particles.values.items()})
            each = query.probabilities(name).reshape(len(some), self.n, -1)
            p += (particles.log_weights[some].exp()[..., None] * each).sum(0)
        return p

    def _whole(self, name: str) -> Weighing:
        """The events, and that a finite column has any of its values."""
        if name in self.regions:
            return self.weighing
        space = self.joint.columns[name].space
        assert isinstance(space, Finite)
        return Weighing(self.query, {**self.regions, name: Region(torch.ones(space.size, dtype=torch.bool))})

    def mixture(self, name: str, within: bool = False) -> Iterator[tuple[Tensor, Distribution]]:
        """As of `Query`, where the columns with events are listed; `within`: of a column's own event by itself."""
        weighing = self.weighing
        if not weighing.exact or weighing.lines != [name] * within:
            raise Intractable(f"{name}: under a range of {', '.join(weighing.lines or self.regions)} it has no closed form")
        if name in weighing.listed:
            raise Intractable(f"{name}: is one of several values")
        log_w = weighing.log_weights
        if within:  # without the range's own probability
            log_w = Weighing(self.query, {k: r for k, r in self.regions.items() if k != name}).log_weights
        for k, weight in enumerate((log_w - log_w.logsumexp(0)).exp()):
            query = repeated(self.query, 1, {c: v[k].expand(1, self.n) for c, v in weighing.values.items()})
            for inner, distribution in query.mixture(name):
                yield weight * inner, distribution

    def cumulative(self, name: str) -> Cumulative:
        """As of `Query`: of a column with a range, the part within it."""
        region = self.regions.get(name)
        return Cumulative(self.mixture(name, region is not None), name, region)

    def mode(self) -> Columns:
        """Raises `UserError`: of all columns together there is none under events."""
        raise UserError(f"mode: {', '.join(self.regions)} is given by a range or several values; ask for the mode of one "
                        "column, mode(name)")

    def entropy(self) -> Tensor:
        """Raises `UserError`: it is asked under values."""
        raise UserError(f"entropy: {', '.join(self.regions)} is given by a range or several values; expected values; "
                        "probabilities(name) has those of a column")
