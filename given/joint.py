"""Joint: who depends on whom. A product of conditionals along a graph, written as the formula it is.

    p(label) p(image | label)

is two factors. Every factor has one variable on its left, a single column or a block of columns; what stands right of a
bar is a column of another factor, or a condition that is always given. The graph is read off the factors and must have
no cycle. The joint knows columns of entries; raw data is the business of `verbs`.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from given.conditional import Conditional, device_of
from given.distributions import Distribution, How, Intractable, Kind, Noise, Point, Weighed, weakest
from given.formula import Term, ordered
from given.latents import Finder, found_by, learns_beside
from given.lessons import Lesson, Loss, side_by_side
from given.solve import Watched
from given.variables import Axis, Entries, Finite, Observed, UserError, Variable
from given.ways import way

__all__ = ["Joint"]


class Joint(nn.Module):
    """The product of conditionals along their graph.

    Args:
        factors: in the order of the formula.
        latents: columns that no data has, each with its posterior, q(latent | columns), or None; or their names. A single
            finite entry is summed out while learning and scoring. Another is found by its posterior, or by the factor below it
            that encodes: these learn first, and p(latent) then learns draws of what they found. A score is a bound,
            E_q[log p(x, z) - log q(z | x)], from `samples` draws weighed by importance.

    Attributes:
        columns: column name -> its variable, over all factors and conditions.
        conditions: columns that no factor declares and that must always be given.
        summed: latents that are summed out, and columns that others depend on and that some rows lack, where they do.
        axis: that along which items may be longer than their grid, or None; all columns on it are cut into windows together.
        windowed: the columns on it.
        posteriors: latent -> its posterior, or None.
        finders: latent -> what finds it, of those that are not summed out, in the order in which they can be found.
        stage: factor -> that of its lessons: a factor of a latent that is found learns after those below it.
    """

    samples = 16
    how: Watched | None = None

    def __init__(self, *factors: Conditional, latents: Sequence[str] | Mapping[str, Conditional | None] = ()) -> None:
        super().__init__()
        if not factors:
            raise UserError("Joint: expected at least one factor, got none")
        for factor in factors:
            if not isinstance(factor, Conditional):
                raise UserError(f"Joint: expected conditionals such as Gaussian(x, parents), got {factor!r}")
        self.factors = nn.ModuleList(factors)
        self.terms = [Term(f.x.columns, tuple(v.name for v in f.parents)) for f in factors]
        self.order = ordered(self.terms, str(self))
        self.columns: dict[str, Variable] = {}
        for factor in factors:
            codecs = factor.x.codec.codecs if factor.x.codec.columns else {}  # type: ignore[attr-defined]
            parts = [Variable(name, codec) for name, codec in codecs.items()] or [factor.x]
            self.columns |= {v.name: v for v in (*parts, *factor.parents)}
        declared = {name for term in self.terms for name in term.left}
        self.conditions = tuple(name for name in self.columns if name not in declared)
        self.latents = tuple(latents)
        self.posteriors = dict(latents) if isinstance(latents, Mapping) else dict.fromkeys(latents)
        self.recognition = nn.ModuleList(q for q in self.posteriors.values() if q is not None)
        for name in self.latents:
            if name not in declared:
                raise UserError(f"latents: {name} has no factor in {self}; declare p({name})")
        found = {name: found_by(self.columns[name], q, self.declared) for name, q in self.posteriors.items()}
        children_first = [name for f in reversed(list(self)) for name in f.x.columns]
        self.finders: dict[str, Finder] = {name: finder for name in children_first if (finder := found.get(name)) is not None}
        holed = [v.name for f in factors for v in f.parents if v.name in declared and _may_lack(v)]
        self.summed = tuple(dict.fromkeys([*(name for name in self.latents if name not in self.finders), *holed]))
        self.stage = self._staged()
        self.axis, self.windowed = _shared_axis(self)
        for factor in factors:
            if self.touches_latent(factor) and not factor.judged:
                raise UserError(f"{factor}: {type(factor).__name__} has no density by which {self.summed[0]} could be summed "
                                "out; use FlowMatching or GaussianMixture")

    def __str__(self) -> str:
        return " ".join(map(str, self.factors))

    @property
    def declared(self) -> list[Conditional]:
        """The factors in the order of the formula."""
        return list(self.factors)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Conditional]:
        """The factors, parents before children."""
        return iter([self.declared[i] for i in self.order])

    @property
    def device(self) -> torch.device:
        """Where it is asked and learns: its factors are handed their entries there."""
        return device_of(self)

    @property
    def dimensions(self) -> int:
        """The number of entries of one item, over all factors."""
        return sum(f.x.space.dimensions for f in self)

    def x(self, factor: Conditional, entries: Mapping[str, Entries]) -> Entries:
        """A factor's entries, from those of the columns, on its device; a column that is not among them is unseen."""
        return self._of(factor.x, entries)

    def _of(self, v: Variable, entries: Mapping[str, Entries]) -> Entries:
        n = len(next(iter(entries.values())))
        columns = {name: entries[name] if name in entries else Entries.unseen(self.columns[name].space, n)
                   for name in v.columns}
        columns = {name: e.to(self.device) for name, e in columns.items()}
        return Entries.block(columns) if v.codec.columns else columns[v.name]

    def y(self, factor: Conditional, entries: Mapping[str, Entries], n: int, but: str | None = None) -> Observed:
        """A factor's conditions, but one, from the entries of the columns, on its device. Raises `UserError` where one is
        absent."""
        parents = [v for v in factor.parents if v.name != but]
        absent = [name for v in parents for name in v.columns if name not in entries]
        if absent:
            name = absent[0]
            out = way(f'pass {name}=..., declare p({name}), or pass prior={{"{name}": "uniform"}}',
                      f"give {name}=VALUE, or learn with p({name}) in the formula")
            raise UserError(f"{factor}: {name} is not given; {out}")
        # A parent is read wherever it is known: in windows it is scored elsewhere.
        return Observed({v.name: e.without_context() if v.name in self.windowed else e
                         for v in parents for e in [self._of(v, entries)]}, n, self.device)

    def distribution(self, factor: Conditional, entries: Mapping[str, Entries], n: int) -> Distribution:
        """p(factor's x | its parents among the entries)."""
        y = self.y(factor, entries, n)
        return factor(y) if self.how is None else factor(y)._by(self.how.of(factor.x, y))

    def by(self, how: How) -> Joint:
        """The same product of the same conditionals, whose distributions are scored by `how`."""
        twin = copy.copy(self)
        twin.how = Watched(how)
        twin.samples = twin.how(Weighed(self.samples)).samples if self.finders else self.samples
        return twin

    def _staged(self) -> dict[Conditional, int]:
        stage = dict[Conditional, int]()
        for f in reversed(list(self)):
            below = [stage[g] for g in stage for v in g.parents if v.name in f.x.columns and v.name in self.finders]
            stage[f] = max((s + 1 for s in below), default=0)
        last = max((s for f, s in stage.items() if self.touches_latent(f)), default=0)
        return {f: last if self.touches_latent(f) else s for f, s in stage.items()}

    def posterior(self, name: str, entries: Mapping[str, Entries], n: int) -> Distribution:
        """q of a latent that is found, given the entries of what it is found from.

        Raises:
            UserError: a column that it is found from is not among them, or what is found is none of the latent's values.
        """
        q = self.finders[name].of(lambda f: self.x(f, entries), lambda f, but: self.y(f, entries, n, but))
        space = self.columns[name].space
        if q.space.shape != space.shape or isinstance(q.space, Finite) != isinstance(space, Finite):
            raise UserError(f"latents: {name}: {self.finders[name]} finds {q.space}; expected {space}")
        return q

    def encoded(self, entries: Mapping[str, Entries], n: int, seed: int | Noise = 0,
                names: Iterable[str] | None = None) -> tuple[dict[str, Entries], dict[str, Distribution]]:
        """The entries with a draw of each latent that is found, and the posteriors they are drawn from.

        Args:
            names: those to find; all that are not among the entries when left out.
        """
        full, found = dict(entries), dict[str, Distribution]()
        if not self.finders:
            return full, found
        noise = Noise.of(seed, n, device=self.device)
        for name in self.finders if names is None else [name for name in self.finders if name in set(names)]:
            if name not in entries:
                found[name] = self.posterior(name, full, n)
                full[name] = found[name].sample(seed=noise.fold("posterior").fold(name))
        return full, found

    def lessons(self) -> list[list[tuple[Conditional, Lesson]]]:
        """Those of all factors and posteriors, each with its own: runs of one kind and stage, in order."""
        who: list[Conditional] = list(self)
        each = [[lesson.later(self.stage[f]) for lesson in f.lessons()] for f in who]
        for name, q in self.posteriors.items():
            if q is not None:
                below = [i for i, f in enumerate(self) if name in [v.name for v in f.parents]]
                for i in below:  # what is counted below depends on a posterior that descends
                    each[i] = learns_beside(each[i])
                each.append([self.finders[name].lesson(max(self.stage[who[i]] for i in below))])
                who.append(q)
        pairs = [(who[i], lesson) for i, lesson in side_by_side(each)]
        return [list(run) for _, run in itertools.groupby(pairs, lambda pair: (pair[1].stage, type(pair[1])))]

    def forward(self, losses: Sequence[tuple[Conditional, Loss]], entries: Mapping[str, Entries], n: int,
                seed: int | Noise = 0) -> dict[str, Tensor]:
        """Losses of factors, those of one factor summed: their names -> (B,). Factors with a latent that is summed out have one
        together, -log p. A posterior's is of a draw, which carries gradients, and of the posterior in y's place.

        Args:
            losses: factors, each with a loss of its x and y.
            entries: of the columns, n rows.
            n: B.
            seed: of the noise.
        """
        noise, found, learns = Noise.of(seed, n, device=self.device), dict[str, Tensor](), {f for f, _ in losses}
        with torch.set_grad_enabled(torch.is_grad_enabled() and any(q in learns for q in self.recognition)):
            entries, posteriors = self.encoded(entries, n, noise)
        for f, loss in losses:
            if f in self.recognition:
                if f.x.name in posteriors:
                    found[str(f)] = loss(entries[f.x.name], posteriors[f.x.name], seed=noise.fold(f.x.name))
            elif not self.touches_latent(f):
                each = loss(self.x(f, entries), self.y(f, entries, n), seed=noise.fold(f.x.name))
                found[str(f)] = found[str(f)] + each if str(f) in found else each
        if behind := dict.fromkeys(str(f) for f, _ in losses if self.touches_latent(f)):
            found[" ".join(behind)] = -self.log_joint(entries, n, noise)[0].logsumexp(1)
        return found

    def touches_latent(self, factor: Conditional) -> bool:
        """Whether a latent that is summed out stands left or right of a factor's bar."""
        return bool(set(self.summed) & {*factor.x.columns, *(v.name for v in factor.parents)})

    def enumerated(self, entries: Mapping[str, Entries], n: int) -> tuple[int, dict[str, Entries], Tensor]:
        """Every row once for each of the K joint values of the latents: K, the entries of n K rows, and each one's row."""
        every, values = self.values(self.summed)
        device = next((e.device for e in entries.values()), self.device)
        row = torch.arange(n, device=device)[:, None].expand(n, every).reshape(-1)
        values, k = {name: v.to(device) for name, v in values.items()}, torch.arange(every, device=device).repeat(n)
        many = {name: e.rows(row) for name, e in entries.items()} | {name: Entries(v[k]) for name, v in values.items()}
        return every, many, row

    def values(self, names: Sequence[str]) -> tuple[int, dict[str, Tensor]]:
        """The joint values of columns of a single finite entry: K, and (K, *grid) a column."""
        spaces = [self.columns[name].space for name in names]
        every = list(itertools.product(*(range(space.size) for space in spaces)))  # type: ignore[attr-defined]
        columns = torch.tensor(every, dtype=torch.int64).unbind(1)
        return len(every), {name: v.reshape(-1, *space.shape) for name, v, space in zip(names, columns, spaces, strict=True)}

    def log_joint(self, entries: Mapping[str, Entries], n: int, seed: int | Noise = 0) -> tuple[Tensor, Kind]:
        """log p of all factors with a column that is summed out, for each of its joint values: (n, K) float64, minus infinity
        where a row has another; and its kind."""
        every, many, row = self.enumerated(entries, n)
        factors = [f for f in self if self.touches_latent(f)]
        own = Noise.of(seed, n, device=row.device).rows(row)
        log_p, kind = self.log_prob(many, n * every, own, factors)
        return log_p.reshape(n, every).masked_fill(~self.agreeing(entries, n), -torch.inf), kind

    def agreeing(self, entries: Mapping[str, Entries], n: int) -> Tensor:
        """(n, K) which joint values of the columns that are summed out a row may have, by what is seen of them."""
        every, values = self.values(self.summed)
        agree = torch.ones(n, every, dtype=torch.bool)
        for name in entries.keys() & values.keys():
            x = entries[name].to("cpu")
            same = x.tensor.reshape(n, 1) == values[name].reshape(1, every)
            agree &= same | ~x.scored.reshape(n, 1)
        return agree

    @property
    def of_data(self) -> dict[str, Variable]:
        """Column name -> its variable, of those that data has: all but latents."""
        return {name: v for name, v in self.columns.items() if name not in self.latents}

    @torch.no_grad()
    def adaptive(self, names: Iterable[str]) -> bool:
        """Whether scoring an item of these columns also learns from it."""
        factors = [f for f in self if set(f.x.columns) & set(names)]
        blank = {v.name: Entries(Entries.unseen(v.space, 1).tensor) for f in factors for v in f.parents}
        return any(self.distribution(f, blank, 1).adaptive for f in factors)

    def log_prob(self, entries: Mapping[str, Entries], n: int, seed: int | Noise = 0,
                 factors: Sequence[Conditional] | None = None) -> tuple[Tensor, Kind]:
        """log p of factors, by default of those whose left side is among the entries: (n,) float64, and its kind.

        Raises:
            UserError: a parent of one is not among the entries.
        """
        noise, total, kinds = Noise.of(seed, n, device=self.device), torch.zeros(n, dtype=torch.float64), list[Kind]()
        for factor in self if factors is None else factors:
            if factors is not None or set(factor.x.columns) & set(entries):
                distribution, x = self.distribution(factor, entries, n), self.x(factor, entries)
                kinds.append(distribution.kind_of(x))
                try:
                    total = total + distribution.log_prob(x, seed=noise.fold(factor.x.name)).cpu()
                except Intractable as error:
                    raise error.at(str(factor)) from None
        return total, weakest(kinds)

    def needed(self, names: Iterable[str]) -> list[str]:
        """The latents that are found above some columns, other than these."""
        above, given = set(names), set(names)
        for f in reversed(list(self)):
            if set(f.x.columns) & above:
                above |= {v.name for v in f.parents if v.name in self.finders}
        return [name for name in self.finders if name in above - given]

    def bound(self, entries: Mapping[str, Entries], n: int, seed: int | Noise = 0) -> tuple[Tensor, Kind]:
        """`log_prob` of the factors whose left side is among the entries, latents that are found above them summed out by
        importance: log 1/K sum_k p(x, z_k) / q(z_k | x), (n,) float64, and its kind.

        Raises:
            Intractable: what finds a latent of reals has no noise.
        """
        names, noise = self.needed(entries), Noise.of(seed, n, device=self.device)
        if not names:
            return self.log_prob(entries, n, noise)
        asked = {*entries, *names}
        inner = [f for f in self if set(f.x.columns) & asked and {*f.x.columns, *(v.name for v in f.parents)} & set(names)]
        outer = [f for f in self if set(f.x.columns) & asked and f not in inner]
        total, outside = self.log_prob(entries, n, noise, outer)
        terms, kinds = list[Tensor](), list[Kind]()
        for k in range(self.samples):
            own = noise.fold(k)
            full, found = self.encoded(entries, n, own, names)
            log_q, kind = self.log_posterior(full, found, own)
            log_p, inside = self.log_prob(full, n, own, inner)
            terms.append(log_p - log_q)
            kinds += [kind, inside]
            if all(isinstance(q, Point) for q in found.values()):
                break
        return total + torch.stack(terms).logsumexp(0) - math.log(len(terms)), weakest([outside, "bound", *kinds])

    def log_posterior(self, full: Mapping[str, Entries], found: Mapping[str, Distribution],
                      noise: Noise) -> tuple[Tensor, Kind]:
        """log q of what was drawn of latents, (n,) float64; its kind, where it is not exact, makes no bound."""
        try:
            each = [q.log_prob(full[name], seed=noise.fold("entropy").fold(name)).cpu() for name, q in found.items()]
        except Intractable as error:
            raise error.at(str(self)) from None
        return torch.stack(each).sum(0), "exact" if all(q.kind == "exact" for q in found.values()) else "estimate"


def _may_lack(variable: Variable) -> bool:
    """Whether a row may lack a column, whose single symbol then is unknown."""
    return isinstance(variable.space, Finite) and variable.space.dimensions == 1 and variable.codec.missing == "unknown"


def _shared_axis(joint: Joint) -> tuple[Axis | None, frozenset[str]]:
    """The axis along which items may be longer than their grid, and the columns on it.

    Raises:
        UserError: there are two of them, or a factor would need an item whole that is cut into windows.
    """
    axes = {name: axis for name, v in joint.columns.items() if (axis := v.codec.windowed) is not None}
    if not axes:
        return None, frozenset()
    first, axis = next(iter(axes.items()))
    for name, other in axes.items():
        if name != first and not (axis.shares(other) and axis.stride == other.stride):
            raise UserError(f"{name}: its items are longer than a window of {other.size} along {other.called!r}, and those of "
                            f"{first} than {axis.size} along {axis.called!r}; give both one axis by name, with one window and "
                            f"stride, or {name} a window that holds its items whole")
    for factor in joint:
        on, parents = [name in axes for name in factor.x.columns], [v.name for v in factor.parents if v.name in axes]
        if (any(on) and not all(on)) or (parents and not all(on)):
            name = parents[0] if parents else factor.x.columns[on.index(True)]
            raise UserError(f"{name}: its items are longer than its window of {axis.size}, and {factor} would need them whole; "
                            f"give {name} a window that holds them, {_wider(joint.columns[name])}")
    if joint.latents:
        raise UserError(f"{first}: its items are longer than its window of {axis.size}, and a model with a latent cannot cut "
                        f"them; give it a window that holds them, {_wider(joint.columns[first])}")
    return axis, frozenset(axes)


def _wider(variable: Variable) -> str:
    """How a column has a longer window, as it is asked for."""
    who = type(variable.codec).__name__
    inner = "" if who == "Text" else f"{type(getattr(variable.codec, 'of', None)).__name__}(), "
    return way(f"codecs={{{variable.name!r}: {who}({inner}window=...)}}",
               f"--as '{variable.name}={who}({inner}window=LENGTH)'")
