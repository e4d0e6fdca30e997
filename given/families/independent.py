"""Independent: every entry by itself given y. The baseline every other family has to beat.

    p(x | y) = prod_d p_d(x_d | y)

For each value of finite parents: a table of smoothed relative frequencies for finite entries (one imagined row, spread
evenly over the symbols), a mean and variance for real ones (one imagined row of the data's overall unit variance). Atoms are
counted as symbols are, and the mean and variance are those of the rest. In `p(label) p(a, b, c | label)` it is naive Bayes.
Learned by counting. `log_prob` is exact, and so is every marginal and every conditional.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional, state_of, states
from given.lessons import Batch, Lesson, Solve
from given.variables import Entries, Finite, Observed, Product, Real, Space, Variable

__all__ = ["Independent"]


class Independent(Conditional):
    """Independent entries, given finite parents.

    Args:
        x: of any space, a block too.
        parents: finite, few enough to count apart.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = ()) -> None:
        super().__init__(x, parents)
        S = states(self.parents, f"Independent {x.name}")
        columns = dict(x.space.columns) if isinstance(x.space, Product) else {x.name: x.space}
        self.names = list(columns)
        self.tables = nn.ModuleList(_table(space, S) for space in columns.values())

    def forward(self, y: Observed) -> distributions.Distribution:
        state = state_of(self.parents, y)
        each = {name: table(state) for name, table in zip(self.names, self.tables, strict=True)}
        return distributions.ProductDistribution(each) if isinstance(self.x.space, Product) else each[self.x.name]

    def lessons(self) -> list[Lesson]:
        return [Solve(self._count)]

    def _count(self, batches: Iterable[Batch]) -> None:
        for table in self.tables:
            table.begin()  # type: ignore[operator]
        for x, y, weight in batches:
            state = state_of(self.parents, y)
            columns = x.columns if isinstance(self.x.space, Product) else {self.x.name: x}
            for name, table in zip(self.names, self.tables, strict=True):
                table.count(columns[name], state, weight.double())  # type: ignore[operator]


def _table(space: Space, S: int) -> nn.Module:
    return _Frequencies(space, S) if isinstance(space, Finite) else _Moments(space, S)  # type: ignore[arg-type]


class _Frequencies(nn.Module):
    """Counts (S, D, V) float64 of finite entries."""

    def __init__(self, space: Finite, S: int) -> None:
        super().__init__()
        self.space = space
        self.counts: Tensor
        self.register_buffer("counts", torch.empty(S, space.dimensions, space.size, dtype=torch.float64))
        self.begin()

    def begin(self) -> None:
        self.counts.fill_(1 / self.space.size)

    def count(self, x: Entries, state: Tensor, weight: Tensor) -> None:
        _, D, V = self.counts.shape
        place = (state[:, None] * D + torch.arange(D)) * V + x.tensor.reshape(-1, D)
        amount = torch.where(x.scored.reshape(-1, D), weight[:, None], 0.0)
        self.counts.view(-1).index_add_(0, place.reshape(-1), amount.reshape(-1))

    def forward(self, state: Tensor) -> distributions.Distribution:
        log_probs = self.counts.log() - self.counts.sum(-1, keepdim=True).log()
        return distributions.Categorical(log_probs[state].reshape(len(state), *self.space.shape, self.space.size), self.space)


class _Moments(nn.Module):
    """Sums (3, S, D) float64 of real entries: of weights, values and squares, about the unit-variance imagined row."""

    def __init__(self, space: Real, S: int) -> None:
        super().__init__()
        self.space = space
        self.sums: Tensor
        self.atoms: Tensor
        self.register_buffer("sums", torch.empty(3, S, space.dimensions, dtype=torch.float64))
        self.register_buffer("atoms", torch.empty(S, space.dimensions, len(space.atoms) + 1, dtype=torch.float64))
        self.begin()

    def begin(self) -> None:
        self.sums.zero_()
        self.sums[0], self.sums[2] = 1, 1
        self.atoms.fill_(1 / self.atoms.shape[-1])

    def count(self, x: Entries, state: Tensor, weight: Tensor) -> None:
        value = x.tensor.reshape(len(state), -1).double()
        amount = torch.where(x.scored.reshape(value.shape), weight[:, None], 0.0)
        at = value[..., None] == torch.tensor(self.space.atoms, dtype=torch.float64)
        which = torch.cat([at, ~at.any(-1, keepdim=True)], -1).double() * amount[..., None]
        self.atoms.index_add_(0, state, which)
        amount = which[..., -1]
        for sums, term in zip(self.sums, (amount, amount * value, amount * value**2), strict=True):
            sums.index_add_(0, state, term)

    def forward(self, state: Tensor) -> distributions.Distribution:
        mean = self.sums[1] / self.sums[0]
        variance = self.sums[2] / self.sums[0] - mean**2
        mean, scale = (t[state].reshape(-1, *self.space.shape) for t in (mean, variance.sqrt()))
        rest = distributions.Torch(torch.distributions.Normal(mean, scale, validate_args=False), replace(self.space, atoms=()))
        logits = self.atoms[state].log().reshape(*mean.shape, -1)
        return distributions.Atomic(logits, rest, self.space) if self.space.atoms else rest
