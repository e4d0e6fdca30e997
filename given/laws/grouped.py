"""Grouped: rows of several laws, put back in their order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.laws.law import How, Law, weakest
from given.laws.noise import Noise
from given.variables import Entries, Space

__all__ = ["Grouped"]


class Grouped(Law):
    """B rows, each from one of several laws.

    Args:
        groups: the rows (N,) of each law, and the law of those N rows; every row once.
        space: that of all.
    """

    def __init__(self, groups: Sequence[tuple[Tensor, Law]], space: Space) -> None:
        super().__init__(space, sum(law.n for _, law in groups))
        self.groups = list(groups)
        self.back = torch.cat([rows for rows, _ in groups]).argsort()
        self.kind = weakest(law.kind for _, law in groups)

    def by(self, how: How) -> Grouped:
        return Grouped([(rows, law.by(how)) for rows, law in self.groups], self.space)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        lead = len(shape)
        drawn = [law.sample(shape, seed=Noise(noise.keys[rows.numpy()])).flat(self.space) for rows, law in self.groups]
        return Entries.cat(drawn, lead).map(lambda t: t.index_select(lead, self.back)).shaped(self.space)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        noise, flat = Noise.of(seed, self.n), x.flat(self.space)
        axis = flat.tensor.dim() - 2
        each = [law.log_prob(flat.map(lambda t, r=rows: t.index_select(axis, r)).shaped(self.space),  # type: ignore[misc]
                             seed=Noise(noise.keys[rows.numpy()])) for rows, law in self.groups]
        return torch.cat(each, axis).index_select(axis, self.back)

    def condition(self, evidence: Entries) -> Grouped:
        flat = evidence.flat(self.space)
        return Grouped([(rows, law.condition(flat.rows(rows).shaped(self.space))) for rows, law in self.groups], self.space)
