"""Query: the joint given whatever was observed: a parent, a child, or part of one variable.

With e the evidence and h the unobserved columns above it in the graph, p(rest | e) = sum_h p(h | e) p(rest | h, e), where
`posterior` weighs h.

A question is a pair, what is asked and what is given. Of every factor what is given comes first, then h, then what is asked:
each is scored by the distribution conditioned on those before it, and drawn from the same distribution. So scores sum to one
and draws follow them even where a distribution's conditionals are no ratios of its joint, as those of a net that learned every
order. This file works on entries; raw data is the business of `verbs`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Set
from functools import cached_property

import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import (
    Categorical,
    Distribution,
    Factorized,
    How,
    Intractable,
    Kind,
    Noise,
    Point,
    Sequential,
    inverse_cdf_sample,
)
from given.infer.cumulative import Cumulative
from given.infer.entry import single_entries
from given.infer.posterior import Enumeration, Posterior
from given.infer.windows import cut, joined, over, reach, written
from given.joint import Joint
from given.variables import Axis, Entries, Finite, UserError
from given.ways import way

__all__ = ["Query"]

Columns = dict[str, Entries]


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
        self.bayes = Enumeration(joint, self.evidence, n, self.prior, first_row)
        self._bound = dict[str, Distribution | None]()

    @cached_property
    def weighed(self) -> Posterior:
        """`posterior`, weighed once for all draws."""
        return self.bayes.posterior()

    def _distribution(self, factor: Conditional, seen: Columns, n: int) -> Distribution | None:
        """The distribution of a factor's x given what is seen; None where that is everything."""
        if _whole(factor, seen):
            return None
        distribution = self.joint.distribution(factor, seen, n)
        return distribution.condition(self.joint.x(factor, seen)) if set(factor.x.columns) & set(seen) else distribution

    def _named(self, factor: Conditional, value: Callable[[], Entries]) -> Columns:
        """The columns of a distribution's mode or mean; an error names the factor."""
        try:
            return factor.x.split(value().to("cpu"))
        except Intractable as error:
            raise error.at(str(factor)) from None

    def sample(self, draws: int, *, seed: int = 0, how: How | None = None, length: int | None = None,
               asked: Set[str] | None = None, first_draw: int = 0) -> Columns:
        """Draws of every column, evidence untouched: (draws, n, *grid) each.

        Args:
            length: of items in windows, one window by default.
            asked: of these columns and those above them only, the others left out; by default of all.
            first_draw: the number of the first draw in the whole call.
        """
        seen, noise = self._begun(draws, seed, first_draw)
        factors, parents = self.bayes.above(asked or self.joint.columns.keys())
        for name in (asked or set()) & set(self.joint.conditions) - seen.keys():
            self.bayes.log_prior(name)  # says what is missing
        for factor in factors:
            longer = self._length(factor, seen, length)
            if not _whole(factor, seen) or (longer is not None and not over(
                    [seen[name] for name in factor.x.columns], self._beside(factor, seen).values())):
                x = joined([*self._drawn(factor, seen, draws, noise, how, longer, asked and asked | parents,
                                         first_draw=first_draw)], longer).to("cpu")
                seen |= self._ending(factor, factor.x.split(x), seen)
        return {name: e.map(lambda t: t.reshape(draws, self.n, *t.shape[1:])) for name, e in seen.items()}

    def stream(self, name: str, *, seed: int = 0, how: How | None = None, length: int | None = None) -> Iterator[Entries]:
        """One draw of what has a length in blocks (n, k, *rest): what is given, then what is drawn, entry by entry where its
        distribution draws so."""
        seen, noise = self._begun(1, seed)
        for factor in self.joint:
            if factor.x.name == name:
                blocks = self._drawn(factor, seen, 1, noise, how, self._length(factor, seen, length), in_blocks=True)
                yield from (block.to("cpu") for block in blocks)
                return
            if not _whole(factor, seen):
                seen |= factor.x.split(next(self._drawn(factor, seen, 1, noise, how, None)).to("cpu"))

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
               asked: Set[str] | None = None, in_blocks: bool = False, first_draw: int = 0) -> Iterator[Entries]:
        """Draws of a factor's x, (draws n, *grid): at once, or of what has a length block by block, to that length."""
        noise = noise.fold(factor.x.name)
        axis = factor.x.codec.along
        W = factor.x.space.dimensions if axis is None else axis.size

        def at(first: int, some: Columns) -> Columns:
            """The window from there of columns that may be longer."""
            return {name: cut(e, first, first + W) if name in self.joint.windowed else e for name, e in some.items()}

        def asking(distribution: Distribution | None, some: Columns, more: int, goes_on: bool = False) -> Distribution | None:
            if distribution is not None:
                distribution = distribution if length is None or in_blocks or goes_on else distribution.of_length(length)
                distribution = distribution if asked is None else distribution.asking(asked)
            if isinstance(distribution, Sequential) and (more or goes_on):
                distribution = distribution._but(more=more, goes_on=goes_on)
            if distribution is None or how is None:
                return distribution
            return distribution.by(how.of(factor.x, self.joint.y(factor, some, distribution.n)) if isinstance(how, How)
                                   else how)

        distribution, whole, more = None, _whole(factor, seen), 0 if length is None else length - W
        shared = {*factor.x.columns, *(v.name for v in factor.parents)} & seen.keys() <= self.evidence.keys()
        if length is not None:
            self._check_begun(factor, seen, length)
        if shared and not whole:  # what is given is read once for all draws, whenever they are asked for
            some = at(0, self.evidence)
            distribution = asking(self._once(factor, some), some, more)
        if not whole and (distribution is None or (draws > 1 and not distribution.draws_together)):
            some = at(0, seen)
            distribution = asking(self._distribution(factor, some, draws * self.n), some, more)
        if (length is None or (distribution is not None and distribution.sized)) and not in_blocks:
            assert distribution is not None
            if distribution.closed and shared and first_draw:  # what a search finds next
                yield distribution.sample((first_draw + draws,), seed=noise).map(lambda t: t[first_draw:].flatten(0, 1))
            elif len(noise.keys) == distribution.n:
                yield distribution.sample(seed=noise)
            else:
                yield distribution.sample((draws,), seed=noise).map(lambda t: t.flatten(0, 1))
            return

        def later(before: Entries, first: int, more: int) -> Distribution:
            some = at(first, seen)
            found = asking(self.joint.distribution(factor, some, len(before)).condition(before), some, more, True)
            assert found is not None
            return found

        begun = self.joint.x(factor, seen) if whole else None
        yield from written(distribution, begun, later, noise, axis or Axis("", W), length)

    def _once(self, factor: Conditional, given: Columns) -> Distribution | None:
        """`_distribution` of a factor of which nothing is drawn but what it has: bound once, for all draws."""
        if factor.x.name not in self._bound:
            self._bound[factor.x.name] = self._distribution(factor, given, self.n)
        return self._bound[factor.x.name]

    def _length(self, factor: Conditional, seen: Columns, length: int | None) -> int | None:
        """How many entries along its axis a factor's x is to have, where its length is given: as many as a parent on the axis
        has, or as many as are asked for; None for one window, and where x is no such thing."""
        axis = factor.x.codec.along
        if axis is None:
            return None
        given = {name: reach(e) for name, e in self._beside(factor, seen).items()}
        for name, L in given.items():
            if length not in (None, L):
                raise UserError(f"{name}: has {L} entries along {axis.called!r}, got {way('length=', '--length ')}{length}; "
                                f"leave the length out, or give as many of {name}")
        if len(set(given.values())) > 1:
            raise UserError(f"given: expected as many entries along {axis.called!r} of each, got {given}")
        length = next(iter(given.values()), length)
        if length is None:
            return None
        entries = factor.x.codec.entries_of(length)
        if axis.stride is None and entries > axis.size:
            windows = any("window" in self.joint.columns[name].codec.arguments for name in factor.x.columns)
            raise UserError(f"{factor.x.name}: {way('length=', '--length ')}{length}; expected at most "
                            f"{axis.size + length - entries} along {axis.called!r}, as what was learned from"
                            f"{'; learn in windows (Series(..., window=...)) to go beyond' * windows}")
        return entries

    def _beside(self, factor: Conditional, seen: Columns) -> Columns:
        """What is given of a factor's parents on the axis that its x goes on along."""
        along = {v.name: v.codec.along for v in factor.parents if v.name in seen} if (axis := factor.x.codec.along) else {}
        return {name: seen[name] for name, own in along.items() if own is not None and axis and own.shares(axis)}

    def _ending(self, factor: Conditional, drawn: Columns, seen: Columns) -> Columns:
        """The columns of a factor's x, padding where what is given along its axis has ended."""
        for e in self._beside(factor, seen).values():
            for name, x in drawn.items():
                there = e.occupied[:, :x.tensor.shape[1]]
                valid = x.valid & there.reshape(*there.shape, *[1] * (x.tensor.dim() - 2))  # type: ignore[operator]
                drawn = drawn | {name: Entries(x.tensor, x.seen, valid)}
        return drawn

    def _check_begun(self, factor: Conditional, seen: Columns, length: int) -> None:
        """Raise where what is known of a factor's x is no beginning of one of a length."""
        for name in set(factor.x.columns) & seen.keys():
            begun = seen[name]
            known = begun.scored.reshape(*begun.tensor.shape[:2], -1).all(-1).sum(-1)
            if not bool(begun.valid.all()) or int(known.max()) > length:  # type: ignore[union-attr]
                raise UserError(f"{name}: {int(known.max())} entries are given; go on from them by "
                                f"{way('prefix(...) and a length above', 'a --length above')}")

    def log_prob(self, x: Mapping[str, Entries], *, seed: int = 0) -> tuple[Tensor, Kind]:
        """log p(x | e), unmentioned columns summed out: (n,) float64, and its kind.

        Of a column that is given in part x may hold the part too, as a text holds its prefix: what was unseen is scored.
        """
        asked = dict(x)
        for name in x.keys() & self.joint.windowed:
            if x[name].tensor.shape[1] > (W := self.joint.columns[name].space.shape[0]):
                raise UserError(f"{name}: got {x[name].tensor.shape[1]} entries, more than its window of {W}; score rows that "
                                f"long by {way('model.score(...)', 'given score')}")
        for name in x.keys() & self.evidence.keys():
            given = self.evidence[name]
            self._check_agrees(name, x[name], given)
            rest = x[name].seen & ~given.scored  # type: ignore[operator]
            asked[name] = Entries(x[name].values, rest, x[name].valid, x[name].context)
        _, top, kind = self.bayes.weigh(asked, seed)
        for name in x:
            if name in self.joint.conditions:
                top = top + self.bayes.log_prior(name)[x[name].tensor][:, None]
        _, bottom, below = self.bayes.weigh({}, seed)
        return torch.logsumexp(top, -1) - self.bayes.possible(bottom), kind if below == "exact" else "estimate"

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
        if name not in self.bayes.above(self.evidence.keys())[1]:  # nothing that is given depends on it
            with contextlib.suppress(Intractable):
                return self._stepped(name)
        posterior = self.bayes.posterior({name})
        p = torch.zeros(self.n, space.size, dtype=torch.float64)
        return p.index_add_(1, posterior.values[name].flatten(), posterior.log_weights.exp())

    def _stepped(self, name: str) -> Tensor:
        """`probabilities` by the steps that draw it. Raises `Intractable` where it is not drawn by steps."""
        total = torch.zeros((), dtype=torch.float64)
        for weight, distribution in self.mixture(name):
            for share, entry in single_entries(weight, distribution, name):
                if not isinstance(entry, Factorized):
                    raise Intractable(f"{name}: is not drawn by a step")
                total = total + share[:, None] * entry.log_probs.exp().cpu()
        return total

    def mode(self) -> Columns:
        """The most probable joint value of the columns summed over, and the modes of distributions below it: (n, *grid)
        each."""
        posterior = self.bayes.posterior()
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
        posterior = self.bayes.posterior({v.name for v in factor.parents})
        if name in posterior.drawn:
            for value, weight in zip(posterior.values[name], posterior.log_weights.exp().unbind(1), strict=True):
                yield weight, Point(value, self.joint.columns[name].space)
            return
        for k, weight in enumerate(posterior.log_weights.exp().unbind(1)):
            distribution = self._distribution(factor, {**self.evidence, **posterior.pick(torch.full((self.n,), k))}, self.n)
            assert distribution is not None
            yield weight, distribution

    def cumulative(self, name: str) -> Cumulative:
        """The distribution function of an unknown real column. Raises as `mixture`, and where it has no closed form."""
        return Cumulative(self.mixture(name), name)

    def entropy(self) -> Tensor:
        """Entropy in nats of the columns summed over: (n,) float64."""
        posterior = self.bayes.posterior()
        if not posterior.values:
            raise Intractable(f"{self.joint}: entropy is that of finite columns above what is given; none is unknown")
        p = posterior.log_weights.exp()
        return -torch.where(p > 0, p * posterior.log_weights, 0.0).sum(-1)


def _whole(factor: Conditional, seen: Columns) -> bool:
    return all(name in seen and seen[name].complete for name in factor.x.columns)
