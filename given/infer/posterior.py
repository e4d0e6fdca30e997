"""Posterior: what weighs the unknown columns above what is observed.

With e the evidence and h the unobserved columns above it in the graph,

    p(rest | e) = sum_h p(h | e) p(rest | h, e),    p(h | e) = p(h, e) / sum_h' p(h', e).

The sum runs over every value of h, which must be finite and few: Bayes' rule by enumeration, exact where the factors
are. What lies below the evidence, or has none below it, is drawn or left out: it adds nothing to p(h, e).

A latent z that a posterior finds is summed over draws of it instead, each weighed by p(h, z, e) / q(z | e): importance
sampling, an estimate. Where q reads what is not given, this is first filled by turns, z ~ q(z | x) and x ~ p(x | z) with what
is given in its place.

Source: Rezende, Mohamed, Wierstra, Stochastic backpropagation and approximate inference, 2014 /
https://arxiv.org/abs/1401.4082 (filling by turns)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import Intractable, Kind, Noise, weakest
from given.joint import Joint
from given.variables import Entries, Finite, UserError
from given.ways import way

__all__ = ["Enumeration", "Posterior"]

_MOST_VALUES = 10_000
_ENTRIES_AT_ONCE = 1 << 16
_MOST_DRAWS, _DRAWN = 256, 1 << 14  # of a latent that is found: a row, and of all rows
_TURNS = 16  # by which what a posterior reads is filled

Columns = dict[str, Entries]


@dataclass(frozen=True)
class Posterior:
    """p(h | e) over every joint value of the enumerated columns h.

    Attributes:
        values: column of h -> (K, *grid) symbols, its value in each of the K joint values; of what is drawn, (K, n, *grid).
        log_weights: (n, K) float64, normalised.
    """

    values: dict[str, Tensor]
    log_weights: Tensor
    drawn: tuple[str, ...] = ()

    def pick(self, k: Tensor) -> Columns:
        """The joint values k (N,) of the n rows in order, again and again: (N, *grid) a column."""
        row = torch.arange(len(k)) % len(self.log_weights)
        return {name: Entries(value[k, row] if name in self.drawn else value[k]) for name, value in self.values.items()}


class Enumeration:
    """Bayes' rule by enumeration, given evidence.

    Args:
        joint: the model.
        evidence: column -> entries of n rows, none of them unseen as a whole.
        n: the number of rows.
        prior: column -> (V,) log-probabilities, for conditions that have no factor.
        first_row: the number of the first row in the whole call, or of every row (n,): on it depends the noise of estimates.
    """

    def __init__(self, joint: Joint, evidence: Columns, n: int, prior: Mapping[str, Tensor], first_row: int | Tensor) -> None:
        self.joint, self.evidence, self.n, self.prior, self.first_row = joint, evidence, n, prior, first_row

    def posterior(self, wanted: Set[str] = frozenset()) -> Posterior:
        """p(h | e) by enumeration, h the columns wanted and those above them and above the evidence, where they are unknown.

        Raises:
            UserError: a condition has neither a factor nor a prior, or the evidence has probability zero.
            Intractable: a column to sum over is not finite, or takes too many values.
        """
        if not self._hidden(self.evidence, wanted)[0]:  # nothing to weigh: not even whether the evidence is possible
            return Posterior({}, torch.zeros(self.n, 1, dtype=torch.float64))
        values, total, _ = self.weigh({}, 0, wanted, max(self.joint.samples, min(_MOST_DRAWS, _DRAWN // max(1, self.n))))
        drawn = tuple(name for name in values if name in self.joint.finders)
        return Posterior(values, total - self.possible(total, values)[:, None], drawn)

    def _hidden(self, evidence: Mapping[str, Entries],
                wanted: Set[str] = frozenset()) -> tuple[list[str], list[Conditional]]:
        """The columns to sum over, and the factors in the sum: those with evidence or columns wanted, and all above them."""
        factors, parents = self.above(wanted | evidence.keys())
        hidden = [name for name in self.joint.columns if name in wanted | parents
                  and (name not in evidence or not evidence[name].complete)]
        return hidden, factors

    def above(self, columns: Set[str]) -> tuple[list[Conditional], set[str]]:
        """The factors of some columns and of all above them, parents first; and their parents."""
        factors, parents = list[Conditional](), set[str]()
        for factor in reversed(list(self.joint)):
            if set(factor.x.columns) & (columns | parents):
                factors.append(factor)
                parents |= {v.name for v in factor.parents}
        return factors[::-1], parents

    def possible(self, total: Tensor, names: Iterable[str] = ()) -> Tensor:
        """log p(evidence) (n,) of log p(h, evidence) (n, K), where it is not minus infinity."""
        log_p = torch.logsumexp(total, -1)
        if bool((log_p == -torch.inf).any()):
            under = f" under every value of {', '.join(names)}" if names else ""
            raise UserError(f"what is given has probability zero{under}; give something else",
                            int((log_p == -torch.inf).nonzero()[0])).at(str(self.joint))
        return log_p

    def weigh(self, asked: Mapping[str, Entries], seed: int, wanted: Set[str] = frozenset(),
              samples: int | None = None) -> tuple[dict[str, Tensor], Tensor, Kind]:
        """The joint values h of the columns to sum over, log p(h, asked, evidence) (n, K), and its kind.

        Of latents that are found K counts draws too, `samples` of each value, and the weight is what one adds to the sum.
        """
        evidence = {**self.evidence, **{name: e.or_else(self.evidence[name]) if name in self.evidence else e
                                        for name, e in asked.items()}}
        hidden, factors = self._hidden(evidence, wanted)
        above = set(self._hidden(self.evidence)[0])  # what weighs the evidence comes before what else is asked
        found = [name for name in self.joint.finders if name in hidden]
        K, values = self._enumerate([name for name in hidden if name not in found], evidence)
        S = (self.joint.samples if samples is None else samples) if found else 1
        values = {name: v.repeat_interleave(S, 0) for name, v in values.items()}
        noise, K = Noise.of(seed, self.n, first_row=self.first_row), K * S
        total, drawn = torch.full((self.n, K), -math.log(S), dtype=torch.float64), {name: list[Tensor]() for name in found}
        for name in hidden:
            if name in self.joint.conditions:
                total += self.log_prior(name)[values[name]]
        kinds: list[Kind] = ["bound"] if found else []
        pairs = torch.cartesian_prod(torch.arange(self.n), torch.arange(K)).reshape(-1, 2)
        size = max(1, _ENTRIES_AT_ONCE // max((f.x.space.dimensions for f in factors), default=1))
        for part in pairs.split(size) if factors else ():
            row, k = part.unbind(1)
            unknown = {h: Entries(v[k]) for h, v in values.items()}
            seen = {name: e.rows(row) for name, e in evidence.items()} | unknown
            if found:
                draws, log_q = self._found(found, seen, noise.rows(row).each(k % S))
                total[row, k] -= log_q
                unknown, seen = unknown | draws, seen | draws
                for name, e in draws.items():
                    drawn[name].append(e.tensor)
            unknown |= {name: e.rows(row) for name, e in asked.items()}
            turns = [{name: e.rows(row) for name, e in self.evidence.items()},
                     {name: e for name, e in unknown.items() if name in above},
                     {name: e for name, e in unknown.items() if name not in above}]
            for factor in factors:
                log_p, kind = self._in_turn(factor, seen, turns, noise.rows(row).fold(factor.x.name))
                total[row, k] += log_p
                kinds.append(kind)
        for name, each in drawn.items():
            z = torch.cat(each)
            values[name] = z.reshape(self.n, K, *z.shape[1:]).transpose(0, 1)
        return values, total, weakest(kinds)

    def _found(self, names: Sequence[str], seen: Columns, noise: Noise) -> tuple[Columns, Tensor]:
        """A draw of latents by what finds them, and its log q (N,), once what they are found from is filled by turns.

        Raises:
            Intractable: what is not given of it cannot be drawn given the rest, or what finds them has no noise.
        """
        joint, n = self.joint, len(noise.keys)
        read = {name for z in names for v in (joint.finders[z].by.x, *joint.finders[z].by.parents) for name in v.columns}
        read = {name for name in read - joint.finders.keys() if not (name in seen and seen[name].complete)}
        gaps = [f for f in joint if read & set(f.x.columns)]
        full = dict(seen)
        with torch.no_grad():
            for turn in range(_TURNS if gaps else 0):
                own = noise.fold("turn").fold(turn)
                for f in joint:
                    if turn == 0 and set(f.x.columns) & set(names):
                        full |= f.x.split(joint.distribution(f, full, n).sample(seed=own.fold(f.x.name)).to("cpu"))
                    elif f in gaps:
                        law = joint.distribution(f, full, n)
                        law = law.condition(joint.x(f, seen)) if set(f.x.columns) & set(seen) else law
                        full |= f.x.split(law.sample(seed=own.fold(f.x.name)).to("cpu"))
                full = {name: e for name, e in full.items() if name not in names}
                if turn < _TURNS - 1:
                    full |= joint.encoded(full, n, own, names)[0]
            full, found = joint.encoded(full, n, noise.fold("last"), names)
            log_q = joint.log_posterior(full, found, noise)[0]
        return {name: full[name].to("cpu") for name in names}, log_q

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
        kinds = [distribution.kind_of(part) for distribution, part in zip(chain, [*parts[:-1], whole], strict=True)]
        each = [distribution.log_prob(part, seed=noise).cpu() for distribution, part in zip(chain, parts, strict=True)]
        return torch.stack(each).sum(0), weakest(kinds)

    def log_prior(self, name: str) -> Tensor:
        """(V,) log p of a condition that no factor declares."""
        if name not in self.prior:
            prior = way(f', or pass prior={{"{name}": "uniform"}}', f", or give {name}=VALUE")
            raise UserError(f"{self.joint}: {name} is not given and nothing says p({name}); declare it, "
                            f"p({name}) {self.joint}{prior}")
        return self.prior[name]

    def _enumerate(self, hidden: list[str], evidence: Mapping[str, Entries]) -> tuple[int, dict[str, Tensor]]:
        """The joint values of the hidden columns: K, and (K, *grid) a column."""
        sizes = []
        for name in hidden:
            space = self.joint.columns[name].space
            if name in self.joint.conditions:
                self.log_prior(name)
            if name in evidence:
                raise Intractable(f"{name}: is seen in part and others depend on it; give it whole or not at all")
            if not isinstance(space, Finite) or space.dimensions != 1:
                raise Intractable(f"{name}: summing it out needs a single finite entry, got {space}; give it, or make it "
                                  "a block with what depends on it (Gaussian sums reals out)")
            sizes.append(space.size)
        if math.prod(sizes) > _MOST_VALUES:
            raise Intractable(f"{', '.join(hidden)}: {math.prod(sizes)} joint values are too many to sum over; give some")
        return self.joint.values(hidden)
