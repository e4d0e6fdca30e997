"""RowGroups: rows of several distributions, put back in their order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, How, weakest
from given.distributions.noise import Noise
from given.variables import Entries, Space

__all__ = ["RowGroups"]


class RowGroups(Distribution):
    """B rows, each from one of several distributions.

    Args:
        groups: the rows (N,) of each distribution, and the distribution of those N rows; every row once.
        space: that of all.
    """

    def __init__(self, groups: Sequence[tuple[Tensor, Distribution]], space: Space) -> None:
        super().__init__(space, sum(distribution.n for _, distribution in groups), groups[0][1].device)
        self.groups = list(groups)
        self.back = torch.cat([rows for rows, _ in groups]).argsort()
        self.kind = weakest(distribution.kind for _, distribution in groups)
        self.adaptive = any(distribution.adaptive for _, distribution in groups)

    def _by(self, how: How) -> RowGroups:
        return RowGroups([(rows, distribution._by(how)) for rows, distribution in self.groups], self.space)

    def asking(self, columns: Collection[str]) -> RowGroups:
        return RowGroups([(rows, distribution.asking(columns)) for rows, distribution in self.groups], self.space)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        lead = len(shape)
        drawn = [distribution.sample(shape, seed=noise.rows(rows)).flat(self.space)
                 for rows, distribution in self.groups]
        return Entries.cat(drawn, lead).map(lambda t: t.index_select(lead, self.back)).shaped(self.space)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        noise, flat = Noise.of(seed, self.n, device=self.device), x.flat(self.space)
        axis = flat.tensor.dim() - 2
        each = [part.log_prob(flat.map(lambda t, r=rows: t.index_select(axis, r)).shaped(self.space),  # type: ignore[misc]
                              seed=noise.rows(rows)) for rows, part in self.groups]
        return torch.cat(each, axis).index_select(axis, self.back)

    def condition(self, evidence: Entries) -> RowGroups:
        flat = evidence.flat(self.space)
        return RowGroups([(rows, distribution.condition(flat.rows(rows).shaped(self.space)))
                          for rows, distribution in self.groups], self.space)
