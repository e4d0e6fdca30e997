"""Query: the joint given whatever was observed: a parent, a child, or part of one variable.

With e the evidence and h the unobserved columns above it in the graph,

    p(rest | e) = sum_h p(h | e) p(rest | h, e),    p(h | e) = p(h, e) / sum_h' p(h', e).

The sum runs over every value of h, which must be finite and few: Bayes' rule by enumeration, exact where the factors
are. What lies below the evidence, or has none below it, is drawn or left out: it adds nothing to p(h, e).

A question is a pair, what is asked and what is given. Of every factor what is given comes first, then h, then what is asked:
each is scored by the distribution conditioned on those before it, and drawn from the same distribution. So scores sum to one
and draws follow them even where a distribution's conditionals are no ratios of its joint, as those of a net that learned every
order. This file works on entries; raw data is the business of `verbs`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import (
    Categorical,
    Distribution,
    How,
    Intractable,
    Kind,
    Noise,
    Sequential,
    inverse_cdf_sample,
    weakest,
)
from given.infer.windows import in_windows, joined, written
from given.joint import Joint
from given.variables import Entries, Finite, UserError

__all__ = ["Posterior", "Query"]

_MOST_VALUES = 10_000
_ENTRIES_AT_ONCE = 1 << 16

Columns = dict[str, Entries]


@dataclass(frozen=True)
class Posterior:
    """p(h | e) over every joint value of the enumerated columns h.

    Attributes:
        values: column of h -> (K, *grid) symbols, its value in each of the K joint values.
        log_weights: (n, K) float64, normalised.
    """

    values: dict[str, Tensor]
    log_weights: Tensor

    def pick(self, k: Tensor) -> Columns:
        """The joint values k (N,): (N, *grid) a column."""
        return {name: Entries(value[k]) for name, value in self.values.items()}


class Query:
    """The distribution of what is unknown, given evidence.

    Args:
        joint: the model.
        evidence: column -> entries of n rows; an unseen entry is unknown.
        n: the number of rows.
        prior: column -> (V,) log-probabilities, for conditions that have no factor.
        first_row: the number of the first row in the whole call, or of every row (n,): on it depends the noise of draws and
            estimates.
    """

    def __init__(self, joint: Joint, evidence: Mapping[str, Entries], n: int,
                 prior: Mapping[str, Tensor] | None = None, first_row: int | Tensor = 0) -> None:
        self.joint, self.n, self.first_row = joint, n, first_row
        self.evidence = {k: e for k, e in evidence.items() if not e.hidden}
        self.prior = dict(prior or {})

    @cached_property
    def weighed(self) -> Posterior:
        """`posterior`, weighed once for all draws."""
        return self.posterior()

    def posterior(self, wanted: Set[str] = frozenset()) -> Posterior:
        """p(h | e) by enumeration, h the columns wanted and those above them and above the evidence, where they are unknown.

        Raises:
            UserError: a condition has neither a factor nor a prior, or the evidence has probability zero.
            Intractable: a column to sum over is not finite, or takes too many values.
        """
        if not self._hidden(self.evidence, wanted)[0]:  # nothing to weigh: not even whether the evidence is possible
            return Posterior({}, torch.zeros(self.n, 1, dtype=torch.float64))
        values, total, _ = self._weigh({}, 0, wanted)
        return Posterior(values, total - self._possible(total, values)[:, None])

    def _hidden(self, evidence: Mapping[str, Entries],
                wanted: Set[str] = frozenset()) -> tuple[list[str], list[Conditional]]:
        """The columns to sum over, and the factors in the sum: those with evidence or columns wanted, and all above them."""
        factors, parents = self._above(wanted | evidence.keys())
        hidden = [name for name in self.joint.columns if name in wanted | parents
                  and (name not in evidence or not evidence[name].complete)]
        return hidden, factors

    def _above(self, columns: Set[str]) -> tuple[list[Conditional], set[str]]:
        """The factors of some columns and of all above them, parents first; and their parents."""
        factors, parents = list[Conditional](), set[str]()
        for factor in reversed(list(self.joint)):
            if set(factor.x.columns) & (columns | parents):
                factors.append(factor)
                parents |= {v.name for v in factor.parents}
        return factors[::-1], parents

    def _possible(self, total: Tensor, names: Iterable[str] = ()) -> Tensor:
        """log p(evidence) (n,) of log p(h, evidence) (n, K), where it is not minus infinity."""
        log_p = torch.logsumexp(total, -1)
        if bool((log_p == -torch.inf).any()):
            under = f" under every value of {', '.join(names)}" if names else ""
            raise UserError(f"what is given has probability zero{under}; give something else",
                            int((log_p == -torch.inf).nonzero()[0])).at(str(self.joint))
        return log_p

    def _weigh(self, asked: Mapping[str, Entries], seed: int,
               wanted: Set[str] = frozenset()) -> tuple[dict[str, Tensor], Tensor, Kind]:
        """The joint values h of the columns to sum over, log p(h, asked, evidence) (n, K), and its kind."""
        evidence = {**self.evidence, **{name: e.or_else(self.evidence[name]) if name in self.evidence else e
                                        for name, e in asked.items()}}
        hidden, factors = self._hidden(evidence, wanted)
        above = set(self._hidden(self.evidence)[0])  # what weighs the evidence comes before what else is asked
        K, values = self._enumerate(hidden, evidence)
        noise = Noise.of(seed, self.n, first_row=self.first_row)
        total = torch.zeros(self.n, K, dtype=torch.float64)
        for name in hidden:
            if name in self.joint.conditions:
                total += self._log_prior(name)[values[name]]
        kinds: list[Kind] = []
        pairs = torch.cartesian_prod(torch.arange(self.n), torch.arange(K)).reshape(-1, 2)
        size = max(1, _ENTRIES_AT_ONCE // max((f.x.space.dimensions for f in factors), default=1))
        for part in pairs.split(size) if factors else ():
            row, k = part.unbind(1)
            unknown = {h: Entries(v[k]) for h, v in values.items()}
            seen = {name: e.rows(row) for name, e in evidence.items()} | unknown
            unknown |= {name: e.rows(row) for name, e in asked.items()}
            turns = [{name: e.rows(row) for name, e in self.evidence.items()},
                     {name: e for name, e in unknown.items() if name in above},
                     {name: e for name, e in unknown.items() if name not in above}]
            for factor in factors:
                log_p, kind = self._in_turn(factor, seen, turns, Noise(noise.keys[row.numpy()]).fold(factor.x.name))
                total[row, k] += log_p
                kinds.append(kind)
        return values, total, weakest(kinds)

    def _in_turn(self, factor: Conditional, seen: Columns, turns: Sequence[Columns], noise: Noise) -> tuple[Tensor, Kind]:
        """log p of a factor's columns, those of every turn given those of the turns before: (N,), and its kind.

        Args:
            factor: of the joint.
            seen: all that is known of N rows.
            turns: the same columns by the turn they have. A distribution that cannot condition on them scores them at once.
            noise: of estimates.
        """
        distribution, whole = self.joint.distribution(factor, seen, len(noise.keys)), self.joint.x(factor, seen)
        parts = [self.joint.x(factor, columns) for columns in turns if set(factor.x.columns) & set(columns)]
        chain = [distribution]
        try:
            for part in parts[:-1]:
                chain.append(chain[-1].condition(part))
        except Intractable:
            chain, parts = [distribution], [whole]
        kinds = [distribution.kind_of_part for distribution in chain[:-1]] + [chain[-1].kind if whole.complete
                                                                              else chain[-1].kind_of_part]
        each = [distribution.log_prob(part, seed=noise).cpu() for distribution, part in zip(chain, parts, strict=True)]
        return torch.stack(each).sum(0), weakest(kinds)

    def _log_prior(self, name: str) -> Tensor:
        """(V,) log p of a condition that no factor declares."""
        if name not in self.prior:
            raise UserError(f"{self.joint}: {name} is not given and nothing says p({name}); declare it, "
                            f'p({name}) {self.joint}, or pass prior={{"{name}": "uniform"}}')
        return self.prior[name]

    def _enumerate(self, hidden: list[str], evidence: Mapping[str, Entries]) -> tuple[int, dict[str, Tensor]]:
        """The joint values of the hidden columns: K, and (K, *grid) a column."""
        sizes = []
        for name in hidden:
            space = self.joint.columns[name].space
            if name in self.joint.conditions:
                self._log_prior(name)
            if name in evidence:
                raise Intractable(f"{name}: is seen in part and others depend on it; give it whole or not at all")
            if not isinstance(space, Finite) or space.dimensions != 1:
                raise Intractable(f"{name}: summing it out needs a single finite entry, got {space}; give it, or make it "
                                  "a block with what depends on it (Gaussian sums reals out)")
            sizes.append(space.size)
        if math.prod(sizes) > _MOST_VALUES:
            raise Intractable(f"{', '.join(hidden)}: {math.prod(sizes)} joint values are too many to sum over; give some")
        return self.joint.values(hidden)

    def _distribution(self, factor: Conditional, seen: Columns, n: int) -> Distribution | None:
        """The distribution of a factor's x given what is seen; None where that is everything."""
        if _whole(factor, seen):
            return None
        distribution = self.joint.distribution(factor, seen, n)
        return distribution.condition(self.joint.x(factor, seen)) if set(factor.x.columns) & set(seen) else distribution

    def _named(self, factor: Conditional, value: Callable[[], Entries]) -> Columns:
        """The columns of a distribution's mode or mean; an error names the factor."""
        try:
            return factor.x.split(value())
        except Intractable as error:
            raise error.at(str(factor)) from None

    def sample(self, draws: int, *, seed: int = 0, how: How | None = None, length: int | None = None,
               asked: Set[str] | None = None, first_draw: int = 0) -> Columns:
        """Draws of every column, evidence untouched: (draws, n, *grid) each.

        Args:
            length: of texts in windows, one window by default.
            asked: of these columns and those above them only, the others left out; by default of all.
            first_draw: the number of the first draw in the whole call.
        """
        seen, noise = self._begun(draws, seed, first_draw)
        factors, parents = self._above(asked or self.joint.columns.keys())
        for name in (asked or set()) & set(self.joint.conditions) - seen.keys():
            self._log_prior(name)  # says what is missing
        for factor in factors:
            longer = length if in_windows(factor) else None
            if longer is not None or not _whole(factor, seen):
                seen |= factor.x.split(joined([*self._drawn(factor, seen, draws, noise, how, longer,
                                                            asked and asked | parents)], longer))
        return {name: e.map(lambda t: t.reshape(draws, self.n, *t.shape[1:])) for name, e in seen.items()}

    def stream(self, name: str, *, seed: int = 0, how: How | None = None, length: int | None = None) -> Iterator[Entries]:
        """One draw of a text in blocks (n, k): what is given, then what is drawn, symbol by symbol where its distribution draws
        so."""
        seen, noise = self._begun(1, seed)
        for factor in self.joint:
            if factor.x.name == name:
                yield from self._drawn(factor, seen, 1, noise, how, length if in_windows(factor) else None,
                                       in_blocks=True)
                return
            if not _whole(factor, seen):
                seen |= factor.x.split(next(self._drawn(factor, seen, 1, noise, how, None)))

    def _begun(self, draws: int, seed: int, first_draw: int = 0) -> tuple[Columns, Noise]:
        """What is given and what is drawn of the rest by Bayes' rule, (draws n, *grid) each; and the noise of every draw."""
        noise = Noise.of(seed, self.n, first_row=self.first_row, draws=draws, first_draw=first_draw)
        row = torch.arange(self.n).repeat(draws)
        posterior = self.weighed
        seen = {name: e.rows(row) for name, e in self.evidence.items()}
        seen |= posterior.pick(inverse_cdf_sample(posterior.log_weights.exp()[row], noise.fold(0).uniform()))
        for name, log_p in self.prior.items():
            if name not in seen:
                seen[name] = Categorical(log_p.expand(len(row), -1)).sample(seed=noise.fold(name))
        return seen, noise

    def _drawn(self, factor: Conditional, seen: Columns, draws: int, noise: Noise, how: How | None, length: int | None,
               asked: Set[str] | None = None, in_blocks: bool = False) -> Iterator[Entries]:
        """Draws of a factor's x, (draws n, *grid): at once, or of a text block by block, to a length if there is one."""
        noise, space = noise.fold(factor.x.name), factor.x.space

        def told(distribution: Distribution | None, some: Columns, more: int, goes_on: bool = False) -> Distribution | None:
            if distribution is not None and asked is not None:
                distribution = distribution.asking(asked)
            if isinstance(distribution, Sequential) and (more or goes_on):
                distribution = distribution._but(more=more, goes_on=goes_on)
            if distribution is None or how is None:
                return distribution
            return distribution.by(how.of(factor.x, self.joint.y(factor, some, distribution.n)) if isinstance(how, How)
                                   else how)

        distribution, more = None, 0 if length is None else length - space.dimensions
        names = {*factor.x.columns, *(v.name for v in factor.parents)} & seen.keys()
        if draws > 1 and names <= self.evidence.keys():  # what is given is read once for all draws
            distribution = told(self._distribution(factor, self.evidence, self.n), self.evidence, more)
        if distribution is None or not distribution.draws_together:
            distribution = told(self._distribution(factor, seen, draws * self.n), seen, more)
        if length is None and not in_blocks:
            assert distribution is not None
            if len(noise.keys) == distribution.n:
                yield distribution.sample(seed=noise)
            else:
                yield distribution.sample((draws,), seed=noise).map(lambda t: t.flatten(0, 1))
            return
        begun = seen.get(factor.x.name)
        if length is not None and begun is not None:
            known = int(begun.scored.sum(-1).max())
            if not bool(begun.valid.all()) or known > length:  # type: ignore[union-attr]
                raise UserError(f"{factor.x.name}: {known} symbols are given; go on from them by prefix(...) "
                                "and a length above")

        def later(before: Entries, more: int) -> Distribution:
            distribution = told(self.joint.distribution(factor, seen, len(before)).condition(before), seen, more, True)
            assert distribution is not None
            return distribution

        yield from written(distribution, begun, later, noise, space.dimensions, getattr(factor.x.codec, "stride", 0), length)

    def log_prob(self, x: Mapping[str, Entries], *, seed: int = 0) -> tuple[Tensor, Kind]:
        """log p(x | e), unmentioned columns summed out: (n,) float64, and its kind.

        Of a column that is given in part x may hold the part too, as a text holds its prefix: what was unseen is scored.
        """
        asked = dict(x)
        for name in x.keys() & self.evidence.keys():
            given = self.evidence[name]
            self._check_agrees(name, x[name], given)
            rest = x[name].seen & ~given.scored  # type: ignore[operator]
            asked[name] = Entries(x[name].values, rest, x[name].valid, x[name].context)
        _, top, kind = self._weigh(asked, seed)
        for name in x:
            if name in self.joint.conditions:
                top = top + self._log_prior(name)[x[name].tensor][:, None]
        _, bottom, below = self._weigh({}, seed)
        return torch.logsumexp(top, -1) - self._possible(bottom), kind if below == "exact" else "estimate"

    def _check_agrees(self, name: str, x: Entries, given: Entries) -> None:
        """Raise where a value is not what is given of it, or all of it is given."""
        if given.complete:
            raise UserError(f"{name}: is given and scored at once; score it, or give it")
        wrong = given.scored & x.seen & (~x.valid | (x.tensor != given.tensor))  # type: ignore[operator]
        wrong = wrong.reshape(len(x), -1).any(1)
        if bool(wrong.any()):
            raise UserError("is not what is given of it; expected a value that holds that, as a text its prefix",
                            int(wrong.nonzero()[0])).at(name)

    def probabilities(self, name: str) -> Tensor:
        """p(name = v | e) of a single finite column: (n, V) float64."""
        space = self.joint.columns[name].space
        if not isinstance(space, Finite) or space.dimensions != 1:
            raise Intractable(f"{name}: expected a single finite entry, got {space}; use sample or log_prob")
        if name in self.evidence:
            raise UserError(f"{name}: is given; ask for something else")
        posterior = self.posterior({name})
        p = torch.zeros(self.n, space.size, dtype=torch.float64)
        return p.index_add_(1, posterior.values[name].flatten(), posterior.log_weights.exp())

    def mode(self) -> Columns:
        """The most probable joint value of the columns summed over, and the modes of distributions below it: (n, *grid)
        each."""
        posterior = self.posterior()
        found = posterior.pick(posterior.log_weights.argmax(-1))
        seen = {**self.evidence, **found}
        for factor in self.joint:
            if all(v.name in seen for v in factor.parents) and (distribution := self._distribution(factor, seen, self.n)):
                found |= self._named(factor, distribution.mode)
                seen |= found
        if not found:
            raise UserError(f"{self.joint}: has no mode to give; everything is given, or what is not lacks its conditions")
        return found

    def mixture(self, name: str) -> Iterator[tuple[Tensor, Distribution]]:
        """The distribution of the factor with an unknown column, under every value of the finite ones above it: weights (n,),
        distributions.

        Raises:
            UserError: no factor has the column, or it is given.
            Intractable: what stands above it cannot be summed out, or the factor cannot be conditioned.
        """
        factor = next((f for f in self.joint if name in f.x.columns), None)
        if factor is None or (name in self.evidence and self.evidence[name].complete):
            raise UserError(f"{name}: is given, or has no factor in {self.joint}; ask for something else")
        posterior = self.posterior({v.name for v in factor.parents})
        for k, weight in enumerate(posterior.log_weights.exp().unbind(1)):
            distribution = self._distribution(factor, {**self.evidence, **posterior.pick(torch.full((self.n,), k))}, self.n)
            assert distribution is not None
            yield weight, distribution

    def entropy(self) -> Tensor:
        """Entropy in nats of the columns summed over: (n,) float64."""
        posterior = self.posterior()
        if not posterior.values:
            raise Intractable(f"{self.joint}: entropy is that of finite columns above what is given; none is unknown")
        p = posterior.log_weights.exp()
        return -torch.where(p > 0, p * posterior.log_weights, 0.0).sum(-1)


def _whole(factor: Conditional, seen: Columns) -> bool:
    return all(name in seen and seen[name].complete for name in factor.x.columns)
