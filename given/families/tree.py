"""ChowLiuTree: finite entries, each given the one other that has the most information on it.

    p(x | y) = prod_d p_y(x_d | x_pa(d)),    the tree that maximises sum_d I(x_d; x_pa(d) | y)

Of all distributions in which every entry depends on one other at most, the likeliest is the maximum spanning tree over the
pairs' mutual information. Tables are relative frequencies with one imagined row, spread evenly over the values; finite parents
have tables of their own, and one tree for all. Learned by counting pairs, of the first rows where time is short. `log_prob` is
exact, and so is every marginal and every conditional.

Source: Chow, Liu, Approximating discrete probability distributions with dependence trees, 1968 /
https://doi.org/10.1109/TIT.1968.1054142
Friedman, Geiger, Goldszmidt, Bayesian network classifiers, 1997 / https://doi.org/10.1023/A:1007465528199 (one tree given y)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional, state_of, states
from given.lessons import Batch, Lesson, Solve, deadline_of
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["ChowLiuTree"]

_MOST = 1 << 28  # pairs of values that are counted: 2 GB


class ChowLiuTree(Conditional):
    """A tree of finite entries, given finite parents.

    Args:
        x: finite entries on a grid of fixed size, or a block of finite columns.
        parents: finite, few enough to count apart.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = ()) -> None:
        super().__init__(x, parents)
        parts = [space for _, space in x.space.parts]
        if not all(isinstance(space, Finite) and space.end is None for space in parts):
            raise UserError(f"ChowLiuTree: expected finite entries of a fixed number, got {x.name}: {x.space}; use "
                            "Autoregressive, or NGram for sequences")
        S = states(self.parents, f"ChowLiuTree {x.name}")
        sizes = [space.size for space in parts for _ in range(space.dimensions)]  # type: ignore[attr-defined]
        self.V, D = max(sizes), len(sizes)
        if S * (D * self.V) ** 2 > _MOST:
            raise UserError(f"ChowLiuTree {x.name}: {D} entries of {self.V} values, given {S} states, make too many pairs to "
                            "count; use fewer levels (Image(levels=...)), fewer parents, or Autoregressive")
        self.there = torch.arange(self.V) < torch.tensor(sizes)[:, None]  # (D, V) the values an entry has
        self.parent: Tensor
        self.tables: Tensor
        self.plans = ("parent",)
        self.register_buffer("parent", torch.full((D,), -1))
        even = torch.where(self.there, 0.0, -torch.inf).double().log_softmax(-1)
        self.register_buffer("tables", even[None, :, None].repeat(S, 1, self.V, 1))

    def forward(self, y: Observed) -> distributions.Tree:
        return distributions.Tree(self.x.space, self.parent, self.tables, state_of(self.parents, y))

    def lessons(self) -> list[Lesson]:
        return [Solve(self._count)]

    def _count(self, batches: Iterable[Batch]) -> None:
        D, V, S = *self.there.shape, len(self.tables)
        pairs = torch.zeros(S, D * V, D * V, dtype=torch.float64)
        for x, y, weight in deadline_of(batches).within(batches):
            flat, state = x.flat(self.x.space), state_of(self.parents, y)
            shown = (flat.tensor.long()[..., None] == torch.arange(V)) & flat.scored[..., None]
            shown = shown.flatten(1).double()
            for s in state.unique().tolist():
                rows = state == s
                pairs[s] += shown[rows].T @ (shown[rows] * weight[rows].double()[:, None])
        # Together, a pair's values have one imagined row.
        there = self.there.double()
        values = there.sum(1)
        both = (there / values[:, None]).flatten()
        pairs += torch.outer(both, both)
        pairs = pairs.view(S, D, V, D, V)
        information = sum((_information(pair) for pair in pairs), torch.zeros(D, D, dtype=torch.float64))
        self.parent.copy_(_spanning(information))
        every, up = torch.arange(D), self.parent.clamp(min=0)
        own = pairs[:, every, :, every].transpose(0, 1).diagonal(dim1=2, dim2=3)  # (S, D, V)
        # Of an entry alone, as of a root, the imagined row is spread over its values, not over pairs of them.
        single = torch.where(self.there, own - 1 / values[:, None] ** 2 + 1 / values[:, None], 0.0)
        joint = pairs[:, up, :, every].transpose(0, 1)  # (S, D, parent's V, V)
        joint = torch.where((self.parent >= 0)[:, None, None], joint, single[:, :, None])
        total = joint.sum(-1, keepdim=True)
        even = (there / values[:, None])[:, None]  # of values that the parent has not
        self.tables.copy_(torch.where(total > 0, joint / total.clamp(min=1e-300), even).log())


def _information(pairs: Tensor) -> Tensor:
    """Weight times mutual information of every two entries, from counts (D, V, D, V) of their values: (D, D) nats."""
    rows = []
    for pair in pairs:  # (V, D, V): one entry with all
        total = pair.sum((0, 2), keepdim=True).clamp(min=1e-300)
        apart = pair.sum(2, keepdim=True) * pair.sum(0, keepdim=True) / total
        rows.append((torch.special.xlogy(pair, pair) - torch.special.xlogy(pair, apart)).sum((0, 2)))
    return torch.stack(rows)


def _spanning(weight: Tensor) -> Tensor:
    """The maximum spanning tree of weights (D, D), grown from the entry with most: every parent (D,), -1 of the root.

    Source: Prim, Shortest connection networks and some generalizations, 1957
    """
    D = len(weight)
    weight = (weight + weight.T) / 2
    parent, root = torch.full((D,), -1), int((weight.sum(1) - weight.diagonal()).argmax())
    best, toward = weight[root].clone(), torch.full((D,), root)
    inside = torch.arange(D) == root
    for _ in range(D - 1):
        new = int(best.masked_fill(inside, -torch.inf).argmax())
        parent[new], inside[new] = toward[new], True
        closer = weight[new] > best
        best, toward = torch.where(closer, weight[new], best), torch.where(closer, new, toward)
    return parent
