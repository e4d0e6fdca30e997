"""Posterior: what weighs the unknown columns above what is observed.

With e the evidence and h the unobserved columns above it in the graph,

    p(rest | e) = sum_h p(h | e) p(rest | h, e),    p(h | e) = p(h, e) / sum_h' p(h', e).

The sum runs over every value of h, which must be finite and few: Bayes' rule by enumeration, exact where the factors
are. What lies below the evidence, or has none below it, is drawn or left out: it adds nothing to p(h, e).
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

__all__ = ["Enumeration", "Posterior"]

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
        values, total, _ = self.weigh({}, 0, wanted)
        return Posterior(values, total - self.possible(total, values)[:, None])

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

    def weigh(self, asked: Mapping[str, Entries], seed: int,
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
                total += self.log_prior(name)[values[name]]
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
                log_p, kind = self._in_turn(factor, seen, turns, noise.rows(row).fold(factor.x.name))
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

    def log_prior(self, name: str) -> Tensor:
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
