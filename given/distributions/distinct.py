"""Distinct: draws of a row that are about different stored items.

The first draw is one of the distribution; every next one is of what is left when the items before are taken out, as a choice
without replacement goes. Items are put in order by log w_i + g_i with Gumbel numbers g_i, whose largest is a draw by w, and
whose order is such a choice. Eight draws are eight items, where independent ones come back to the likeliest.

Source: Kool, van Hoof, Welling, Stochastic beams and where to find them, 2019 / https://arxiv.org/abs/1903.06059
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.empirical import Empirical
from given.distributions.noise import Noise, inverse_cdf_sample
from given.solve import How
from given.variables import Entries, UserError
from given.ways import way

__all__ = ["Distinct"]


@dataclass(frozen=True, repr=False)
class Distinct(How):
    """Draw without replacement among stored items."""

    concerns = "stored items, as those of Retrieval and Empirical"

    def __repr__(self) -> str:
        return way("Distinct()", "--distinct")

    def __call__(self, distribution: Any) -> Any:
        return _WithoutReplacement(distribution) if isinstance(distribution, Empirical) else distribution


class _WithoutReplacement(Distribution):
    """As many draws of every row as are asked for at once, about different items."""

    kind: Kind = "none"
    draws_together = closed = True

    def __init__(self, distribution: Empirical) -> None:
        super().__init__(distribution.space, distribution.n, distribution.device)
        self.distribution, self.evidence = distribution, distribution.evidence

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        k, law = torch.Size(shape).numel(), self.distribution
        if len(noise.keys) not in (self.n, k * self.n):
            raise UserError("Distinct: too many draws of a row to be made at once; ask for fewer")
        u = Noise(noise.keys[:self.n]).fold("order").uniform((), (law.log_weights.shape[1],))
        turn = law.log_weights - (-u.log()).log()
        item = turn.argsort(1, descending=True)[:, :k]
        law.check_items(k)
        centre = law.centres[item.T].long()  # (k, B, *grid)
        event = self.space.shape
        fresh = noise.fold("entry")
        each = fresh.uniform((k,), event) if len(noise.keys) == self.n else fresh.uniform((), event).reshape(k, self.n, *event)
        values = inverse_cdf_sample(law.log_kernel.exp()[centre], each)
        return self._kept(values.reshape(*shape, self.n, *event))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        raise Intractable("draws that leave out those before have no probability of their own; score without Distinct")

    def condition(self, evidence: Entries) -> Distribution:
        return _WithoutReplacement(self.distribution.condition(evidence))
