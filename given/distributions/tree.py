"""Tree: finite entries, each given one other, so that nothing goes in a circle.

    p(x) = prod_d p(x_d | x_pa(d))

Every marginal and conditional is a pass of messages from the leaves to the root, m_d(u) = sum_v p(x_d = v | x_pa(d) = u)
e_d(v) prod_{children c} m_c(v), where e_d is 1 for the values entry d may have. A draw goes back from the root to the leaves,
and the most probable value likewise, by maxima instead of sums. Entries equally far from the root are taken together.

Source: Pearl, Probabilistic reasoning in intelligent systems, 1988, chapter 4
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution
from given.distributions.noise import Noise, inverse_cdf_sample
from given.variables import Entries, Space

__all__ = ["Tree"]


class Tree(Distribution):
    """The distribution of B rows of D finite entries, a block's columns end to end.

    Args:
        space: finite, or a block of finite columns.
        parent: (D,) int64, -1 of roots, a plan of the host.
        tables: (S, D, V, V) float64, log p of an entry's value (last) given its parent's (any, of a root); -inf of values that
            the entry has not.
        state: (B,) int64 below S, which tables are a row's.
    """

    def __init__(self, space: Space, parent: Tensor, tables: Tensor, state: Tensor) -> None:
        super().__init__(space, len(state), state.device)
        self.parent, self.tables, self.state, self.V = parent.to(state.device), tables, state, tables.shape[-1]
        depth = torch.zeros_like(parent)
        up = parent
        while bool((up >= 0).any()):
            depth, up = depth + (up >= 0), torch.where(up >= 0, parent[up.clamp(min=0)], -1)
        self.by_depth = [(depth == k).nonzero()[:, 0].to(state.device) for k in range(int(depth.max()) + 1)]

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        flat = x.flat(self.space)
        known = flat.scored if self.evidence is None else flat.scored & ~self.evidence.scored
        rows = flat.map(lambda t: t.reshape(-1, t.shape[-1]))
        known, row = known.reshape(rows.tensor.shape), torch.arange(self.n, device=self.device).repeat(len(rows) // self.n)
        if self.evidence is None:
            found = self._total(rows.tensor, known, row)
        else:
            e = self.evidence.rows(row)
            both = torch.where(e.scored, e.tensor, rows.tensor)
            found = self._total(both, known | e.scored, row) - self._total(e.tensor, e.scored, row)
            found = torch.where(known.any(1), found, 0.0)
        return found.reshape(flat.tensor.shape[:-1])

    def condition(self, evidence: Entries) -> Tree:
        flat = evidence.flat(self.space)
        return self._but(evidence=self._and(Entries(flat.tensor, flat.scored)))

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        u = noise.uniform(shape, (len(self.parent),)).reshape(-1, len(self.parent))
        row = torch.arange(self.n, device=self.device).repeat(len(u) // self.n)
        values = self._down(row, torch.logsumexp, lambda log_p, some: inverse_cdf_sample(log_p.softmax(-1), u[:, some]))
        return Entries(values.double().reshape(*shape, self.n, -1)).shaped(self.space)

    def mode(self) -> Entries:
        """The most probable value: (B, *grid)."""
        def most(log_p: Tensor, dim: int) -> Tensor:
            return log_p.amax(dim)

        values = self._down(torch.arange(self.n, device=self.device), most, lambda log_p, _: log_p.argmax(-1))
        return Entries(values.double()).shaped(self.space)

    def _total(self, values: Tensor, known: Tensor, row: Tensor) -> Tensor:
        """log p of what is known (N, D) of values (N, D): (N,)."""
        if bool(known.all()):
            up = torch.where(self.parent >= 0, values[:, self.parent.clamp(min=0)], 0.0).long()
            every = torch.arange(len(self.parent), device=self.device)
            return self.tables[self.state[row][:, None], every, up, values.long()].sum(1)
        log_p, _ = self._up(values, known, row, torch.logsumexp)
        roots = self.by_depth[0]
        return (self.tables[self.state[row]][:, roots, 0] + log_p[:, roots]).logsumexp(-1).sum(-1)

    def _up(self, values: Tensor, known: Tensor, row: Tensor, gather: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        """log of what is known of every entry and below it, by its value: (N, D, V); and of tables for it (N, D, V, V)."""
        below = torch.zeros(*values.shape, self.V, dtype=torch.float64, device=self.device)
        other = torch.arange(self.V, device=self.device) != values.long()[..., None]
        below = below.masked_fill(known[..., None] & other, -torch.inf)
        tables = self.tables[self.state[row]] if len(self.tables) > 1 else self.tables
        for some in reversed(self.by_depth[1:]):
            message = gather(tables[:, some] + below[:, some, None], -1)  # (N, d, V) by the parent's value
            below = below.index_add(1, self.parent[some], message)
        return below, tables

    def _down(self, row: Tensor, gather: Callable[..., Tensor], pick: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Values (N, D) from the root on, each picked from its log distribution (N, d, V) given its parent's and the
        evidence."""
        values = torch.zeros(len(row), len(self.parent), dtype=torch.int64, device=self.device)
        e = None if self.evidence is None else self.evidence.rows(row)
        known = torch.zeros(values.shape, dtype=torch.bool, device=self.device) if e is None else e.scored
        below, tables = self._up(values if e is None else e.tensor, known, row, gather)
        for some in self.by_depth:
            up = values[:, self.parent[some].clamp(min=0)] * (self.parent[some] >= 0)
            own = tables[:, some].expand(len(row), -1, -1, -1).gather(2, up[..., None, None].expand(-1, -1, 1, self.V))[:, :, 0]
            values[:, some] = pick(own + below[:, some], some)
        return values
