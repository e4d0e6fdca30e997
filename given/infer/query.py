"""Query: the joint given whatever was observed: a parent, a child, or part of one variable.

With e the evidence and h the unobserved columns above it in the graph,

    p(rest | e) = sum_h p(h | e) p(rest | h, e),    p(h | e) = p(h, e) / sum_h' p(h', e).

The sum runs over every value of h, which must be finite and few: Bayes' rule by enumeration, exact where the factors
are. What lies below the evidence, or has none below it, is drawn or left out: it adds nothing to p(h, e). Part of a
variable is conditioned on by its law. This file works on entries; raw data is the business of `verbs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from given.conditional import Conditional
from given.joint import Joint
from given.laws import Averaged, Categorical, How, Intractable, Kind, Modal, Noise, weakest
from given.variables import Entries, Finite, Real, UserError

__all__ = ["Posterior", "Query"]

_MOST_VALUES = 10_000
_ENTRIES_AT_ONCE = 1 << 16

Columns = dict[str, Entries]


@dataclass(frozen=True)
class Posterior:
    """p(h | e) over every joint value of the enumerated columns h.

    Attributes:
        names: of the columns h.
        values: (K, *grid) symbols a column: its value in each of the K joint values.
        log_weights: (n, K) float64, normalised.
        log_evidence: (n,) float64, log p(e) up to factors that do not depend on h.
        kind: of these numbers.
    """

    names: tuple[str, ...]
    values: dict[str, Tensor]
    log_weights: Tensor
    log_evidence: Tensor
    kind: Kind


class Query:
    """The law of what is unknown, given evidence.

    Args:
        joint: the model.
        evidence: column -> entries of n rows; an unseen entry is unknown.
        n: the number of rows.
        prior: column -> (V,) log-probabilities, for conditions that have no factor.
        first_row: the number of the first row in the whole call, on which the noise of draws and estimates depends.
    """

    def __init__(self, joint: Joint, evidence: Mapping[str, Entries], n: int,
                 prior: Mapping[str, Tensor] | None = None, first_row: int = 0) -> None:
        self.joint, self.n, self.first_row = joint, n, first_row
        self.evidence = {k: e for k, e in evidence.items() if not e.hidden}
        self.prior = dict(prior or {})

    # What is known of a factor's columns

    def _some(self, factor: Conditional, seen: Mapping[str, Entries]) -> bool:
        return any(name in seen for name in factor.x.columns)

    def _whole(self, factor: Conditional, seen: Mapping[str, Entries]) -> bool:
        return all(name in seen and seen[name].complete for name in factor.x.columns)

    def _hidden(self, evidence: Mapping[str, Entries], above: Sequence[str] = ()) -> tuple[list[str], list[Conditional]]:
        """The columns to sum over, and the factors in the sum: those with evidence, and all above them or above columns
        named."""
        wanted = {v.name for f in self.joint if set(above) & set(f.x.columns) for v in f.parents}
        factors = []
        for factor in reversed(list(self.joint)):
            if self._some(factor, evidence) or wanted & set(factor.x.columns):
                factors.append(factor)
                wanted |= {v.name for v in factor.parents}
        hidden = [name for name in self.joint.columns if name in wanted
                  and (name not in evidence or not evidence[name].complete)]
        return hidden, factors[::-1]

    def posterior(self, above: Sequence[str] = ()) -> Posterior:
        """p(h | e) by enumeration, h the unknown columns above the evidence and above the columns named.

        Raises:
            UserError: a condition has neither a factor nor a prior, or the evidence has probability zero.
            Intractable: a column to sum over is not finite, or takes too many values.
        """
        if not self._hidden(self.evidence, above)[0]:  # nothing to weigh: not even whether the evidence is possible
            nothing = torch.zeros(self.n, 1, dtype=torch.float64)
            return Posterior((), {}, nothing, nothing[:, 0], "exact")
        values, total, kind = self._weigh(self.evidence, 0, above)
        log_evidence = torch.logsumexp(total, -1)
        self._check_possible(log_evidence, tuple(values))
        return Posterior(tuple(values), values, total - log_evidence[:, None], log_evidence, kind)

    def _check_possible(self, log_p: Tensor, names: tuple[str, ...]) -> None:
        if bool((log_p == -torch.inf).any()):
            row = int((log_p == -torch.inf).nonzero()[0])
            under = f" under every value of {', '.join(names)}" if names else ""
            raise UserError(f"what is given has probability zero{under}; give something else", row).at(str(self.joint))

    def _weigh(self, evidence: Mapping[str, Entries], seed: int,
               above: Sequence[str] = ()) -> tuple[dict[str, Tensor], Tensor, Kind]:
        """The joint values h of the columns to sum over, log p(h, evidence) (n, K), and its kind."""
        hidden, factors = self._hidden(evidence, above)
        values = self._enumerate(hidden, evidence)
        K = len(next(iter(values.values()))) if values else 1
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
            seen = {name: e.rows(row) for name, e in evidence.items()} | {h: Entries(v[k]) for h, v in values.items()}
            own = Noise(noise.keys[row.numpy()])
            for factor in factors:
                law = self.joint.law(factor, seen, len(row))
                kinds.append(law.kind if self._whole(factor, seen) else law.kind_of_part)
                term = law.log_prob(self.joint.x(factor, seen), seed=own.fold(factor.x.name))
                total[row, k] += term.cpu()
        return values, total, weakest(kinds)

    def _log_prior(self, name: str) -> Tensor:
        """(V,) log p of a condition that no factor declares."""
        if name not in self.prior:
            raise UserError(f"{self.joint}: {name} is not given and nothing says p({name}); declare it, "
                            f'p({name}) {self.joint}, or pass prior={{"{name}": "uniform"}}')
        return self.prior[name]

    def _enumerate(self, hidden: list[str], evidence: Mapping[str, Entries]) -> dict[str, Tensor]:
        """column -> (K, *grid): every joint value of the hidden columns."""
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
        every = torch.cartesian_prod(*(torch.arange(s) for s in sizes)).reshape(-1, len(sizes)) if sizes else torch.zeros(1, 0)
        return {name: every[:, i].reshape(-1, *self.joint.columns[name].space.shape) for i, name in enumerate(hidden)}

    def sample(self, draws: int, *, seed: int = 0, how: How | None = None) -> Columns:
        """Draws of every column that is not a given condition, evidence untouched: (draws, n, *grid) each."""
        noise = Noise.of(seed, self.n, first_row=self.first_row, draws=draws)
        N = draws * self.n
        row = torch.arange(self.n).repeat(draws)
        seen = {name: e.rows(row) for name, e in self.evidence.items()}
        posterior = self.posterior()
        if posterior.names:
            cumulative = posterior.log_weights.exp().cumsum(-1)
            cumulative = torch.where(cumulative >= cumulative[:, -1:], 1.0, cumulative)[row]
            k = (cumulative < noise.fold(0).uniform()[:, None]).sum(-1)
            seen |= {name: Entries(value[k]) for name, value in posterior.values.items()}
        for name, log_p in self.prior.items():
            if name not in seen:
                seen[name] = Categorical(log_p.expand(N, -1)).sample(seed=noise.fold(name))
        for factor in self.joint:
            if self._whole(factor, seen):
                continue
            absent = [v.name for v in factor.parents if v.name not in seen]
            if absent:
                raise UserError(f"{factor}: {absent[0]} is not given; pass {absent[0]}=..., declare p({absent[0]}), "
                                f'or pass prior={{"{absent[0]}": "uniform"}}')
            law = self.joint.law(factor, seen, N)
            if self._some(factor, seen):
                law = law.condition(self.joint.x(factor, seen))
            drawn = law.sample(seed=noise.fold(factor.x.name), how=how)
            seen |= drawn.columns if factor.x.codec.columns else {factor.x.name: drawn}
        return {name: e.map(lambda t: t.reshape(draws, self.n, *t.shape[1:])) for name, e in seen.items()
                if name not in self.joint.conditions or name not in self.evidence}

    def log_prob(self, x: Mapping[str, Entries], *, seed: int = 0) -> tuple[Tensor, Kind]:
        """log p(x | e), unmentioned columns summed out: (n,) float64, and its kind."""
        again = [name for name in x if name in self.evidence and bool((x[name].known & self.evidence[name].known).any())]
        if again:
            raise UserError(f"{again[0]}: is given and scored at once; score it, or give it")
        both = {name: _union(x.get(name), self.evidence.get(name)) for name in {**self.evidence, **x}}
        _, top, kind = self._weigh(both, seed)
        for name in x:
            if name in self.joint.conditions:
                top = top + self._log_prior(name)[x[name].tensor][:, None]
        _, bottom, below = self._weigh(self.evidence, seed)
        log_evidence = torch.logsumexp(bottom, -1)
        self._check_possible(log_evidence, ())
        return torch.logsumexp(top, -1) - log_evidence, kind if below == "exact" else "estimate"

    def probabilities(self, name: str) -> Tensor:
        """p(name = v | e) of a single finite column: (n, V) float64."""
        space = self.joint.columns[name].space
        if not isinstance(space, Finite) or space.dimensions != 1:
            raise Intractable(f"{name}: expected a single finite entry, got {space}; use sample or log_prob")
        if name in self.evidence:
            raise UserError(f"{name}: is given; ask for something else")
        each = []
        for symbol in range(space.size):
            value = Entries(torch.full((self.n, *space.shape), symbol))
            _, total, _ = self._weigh({**self.evidence, name: value}, 0)
            if name in self.joint.conditions:
                total = total + self._log_prior(name)[symbol]
            each.append(torch.logsumexp(total, -1))
        log_p = torch.stack(each, -1)
        self._check_possible(torch.logsumexp(log_p, -1), (name,))
        return log_p.softmax(-1)

    def mode(self) -> Columns:
        """The most probable joint value of the columns summed over, and the modes of laws below it: (n, *grid) each."""
        posterior = self.posterior()
        best = posterior.log_weights.argmax(-1)
        seen = {**self.evidence, **{name: Entries(value[best]) for name, value in posterior.values.items()}}
        found = {name: seen[name] for name in posterior.names}
        for factor in self.joint:
            if self._whole(factor, seen) or any(v.name not in seen for v in factor.parents):
                continue
            law = self.joint.law(factor, seen, self.n)
            law = law.condition(self.joint.x(factor, seen)) if self._some(factor, seen) else law
            if not isinstance(law, Modal):
                raise Intractable(f"{factor}: its mode has no closed form; use sample, or mode of fewer columns")
            value = law.mode()
            columns = value.columns if factor.x.codec.columns else {factor.x.name: value}
            found |= columns
            seen |= columns
        if not found:
            raise UserError(f"{self.joint}: has no mode to give; everything is given, or what is not lacks its conditions")
        return found

    def mean(self) -> Columns:
        """The mean of real columns, over every value of the finite ones above them: (n, *grid) each."""
        real = [name for name, v in self.joint.columns.items() if isinstance(v.space, Real) and not (
            name in self.evidence and self.evidence[name].complete) and name not in self.joint.conditions]
        if not real:
            raise Intractable(f"{self.joint}: no real column is left to average; use mode or probabilities")
        posterior = self.posterior(above=real)
        means: dict[str, Tensor] = {}
        for k, weight in enumerate(posterior.log_weights.exp().unbind(1)):
            seen = {**self.evidence, **{h: Entries(v[k].expand(self.n, *v.shape[1:])) for h, v in posterior.values.items()}}
            for factor in self.joint:
                if not set(factor.x.columns) & set(real):
                    continue
                law = self.joint.law(factor, seen, self.n)
                law = law.condition(self.joint.x(factor, seen)) if self._some(factor, seen) else law
                if not isinstance(law, Averaged):
                    raise Intractable(f"{factor}: its mean has no closed form; average draws of sample")
                value = law.mean()
                for name, e in (value.columns if factor.x.codec.columns else {factor.x.name: value}).items():
                    if name in real:
                        shaped = weight.reshape(-1, *[1] * (e.tensor.dim() - 1))
                        means[name] = means.get(name, torch.zeros_like(e.tensor)) + shaped * e.tensor
        return {name: Entries(value) for name, value in means.items()}

    def entropy(self) -> Tensor:
        """Entropy in nats of the columns summed over: (n,) float64."""
        posterior = self.posterior()
        if not posterior.names:
            raise Intractable(f"{self.joint}: entropy is that of finite columns above what is given; none is unknown")
        p = posterior.log_weights.exp()
        return -torch.where(p > 0, p * posterior.log_weights, 0.0).sum(-1)



def _union(a: Entries | None, b: Entries | None) -> Entries:
    """What is seen in either."""
    return a.or_else(b) if a is not None and b is not None else a or b  # type: ignore[return-value]
