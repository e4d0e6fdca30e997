"""Contrastive: a score of how well x goes with y, learned by choosing the true x of a row among those of others.

    p(x | y) = p0(x) exp s(x, y) / Z(y),    s(x, y) = e^t <f(x), g(y)>,  f and g of length one

p0, counted, knows nothing of y. f, g and t are learned by choosing among the x of a batch (InfoNCE),

    -log exp s(x_i, y_i) / sum_j exp s(x_j, y_i),

which is least where s = log p(x | y) / p(x) + c(y): the mutual information of x and y, item by item. `log_prob` is an
estimate, through Z from K draws of p0; the order of candidates for one y does not depend on Z. Made for choosing: it learns
what goes with what in a fraction of the time a net needs to learn to write it. It draws what p0 draws, only more aptly.

Source: van den Oord, Li, Vinyals, Representation learning with contrastive predictive coding, 2018 /
https://arxiv.org/abs/1807.03748
Henderson et al., Efficient natural language response suggestion for Smart Reply, 2017 / https://arxiv.org/abs/1705.00652
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional
from given.distributions import Noise
from given.lessons import Batch, Descend, Lesson, Solve, side_by_side
from given.nn import MLP, BagOfBigrams, Context
from given.nn.context import Readers, check_readers
from given.variables import Entries, Finite, Observed, Product, Space, UserError, Variable
from given.ways import way

__all__ = ["Contrastive"]


class Contrastive(Conditional):
    """A critic of pairs, on top of a distribution of x alone.

    Args:
        x: whatever the base takes.
        parents: at least one. Sequences of symbols are read as bags, all else by a context.
        base: family of p0(x), which learns without gradients: counts, or a closed form.
        width: C, of the vectors compared.
        shared: whether x and every parent are of the same symbols, which then have the same vectors.
        symmetric: whether s(x, y) = s(y, x): one net reads x and its one parent, which is of x's space. For pairs of a kind.
        draws: K.
        readers: of x and of parents by name, in place of bags and contexts' own.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 base: Callable[..., Conditional] | None = None, width: int = 128, shared: bool = False,
                 symmetric: bool = False, draws: int = 512, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        if base is None:
            raise UserError(f"Contrastive: {x.name}: expected base=, the family of p0({x.name}); pass "
                            + way("partial(Contrastive, base=Independent)",
                                  f"--family '{x.name}=Contrastive(base=Independent)'"))
        if isinstance(x.space, Product):
            raise UserError(f"Contrastive {x.name}: expected one column, got a block; write a factor for each")
        if not self.parents:
            raise UserError(f"Contrastive {x.name}: expected a parent, got none; use its base alone")
        if width < 1 or draws < 1:
            raise UserError(f"Contrastive {x.name}: width={width}, draws={draws}; expected at least 1")
        self.marginal = base(x)
        if any(isinstance(lesson, Descend) for lesson in self.marginal.lessons()):
            raise UserError(f"Contrastive {x.name}: expected a base that is counted or solved, got {self.marginal!r}; use "
                            "NGram or Independent")
        check_readers(readers, (x, *self.parents))
        if symmetric and (len(self.parents) > 1 or self.parents[0].space != x.space):
            raise UserError(f"Contrastive {x.name}: symmetric=True; expected one parent, {x.space}, got "
                            + ", ".join(f"{v.name}: {v.space}" for v in self.parents))
        if symmetric and (shared or any(v.name in (readers or {}) for v in self.parents)):
            raise UserError(f"Contrastive {x.name}: symmetric=True; one net reads both, so leave out shared= and a reader of "
                            f"{self.parents[0].name}, and name one of {x.name}")
        self.draws, self.symmetric = draws, symmetric
        self.read = nn.ModuleList(_reader(v, width, readers or {}) for v in ((x,) if symmetric else (x, *self.parents)))
        if shared:
            first = self.read[0]
            for v, reader in zip(self.parents, self.read[1:], strict=True):
                bags = isinstance(reader, BagOfBigrams) and isinstance(first, BagOfBigrams)
                if not bags or reader.table.shape != first.table.shape:
                    raise UserError(f"Contrastive {x.name}: shared=True, but {v.name} has other symbols; give both one codec")
                reader.table = first.table
        self.f = MLP(width, width, hidden=(2 * width,))
        self.g = None if symmetric else MLP(width, width, hidden=(2 * width,))
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.register_buffer("drawn", torch.zeros(0, *x.space.shape, dtype=torch.int64))
        self.register_buffer("there", torch.zeros(0, *x.space.shape, dtype=torch.bool))

    def forward(self, y: Observed) -> distributions.EnergyTilted:
        if not len(self.drawn):
            raise UserError(f"Contrastive {self.x.name}: nothing is counted yet; fit it first")
        drawn = Entries(self.drawn, valid=self.there)
        g, scale = self._given(y), self.log_scale.exp()
        return distributions.EnergyTilted(self.marginal(Observed(n=y.n, device=y.device)),
                                          lambda x, row: (self._of(x) * g[row]).sum(-1) * scale, drawn,
                           scale * g @ self._of(drawn).T)

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        """-log of the share of the row's own x among those of all rows, so it depends on what stands beside it."""
        scores = self.log_scale.exp() * self._given(y) @ self._of(x).T
        return F.cross_entropy(scores.float(), torch.arange(y.n, device=y.device), reduction="none").double()

    def pmi(self, x: Entries, y: Observed) -> Tensor:
        """(N, B) float64: log p(x | y) - log p0(x) of each of N x with every row of y."""
        return self.log_scale.exp().double() * self._of(x).double() @ self._given(y).double().T - self(y).log_z

    def lessons(self) -> list[Lesson]:
        base = [lesson.mapped(lambda x, y, noise: (x, Observed(n=y.n))) for lesson in self.marginal.lessons()]
        both = side_by_side([base, super().lessons()])
        return [*(lesson for _, lesson in both), Solve(self._propose)]

    def _propose(self, batches: Iterable[Batch]) -> None:
        """Draws of p0, by which Z is estimated."""
        drawn = self.marginal.eval()(Observed(n=1)).sample((self.draws,), seed=0).map(lambda t: t[:, 0])
        self.drawn, self.there = drawn.tensor.clone(), drawn.valid.clone()

    def _of(self, x: Entries) -> Tensor:
        """(N, C) of length one."""
        h = _vector(self.read[0], self.x, x)
        return F.normalize(h + self.f(h), dim=-1)

    def _given(self, y: Observed) -> Tensor:
        if self.g is None:
            return self._of(y[self.parents[0].name])
        h = torch.stack([_vector(reader, v, y[v.name]) for v, reader in zip(self.parents, self.read[1:], strict=True)]).sum(0)
        return F.normalize(h + self.g(h), dim=-1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("drawn", "there"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _reader(v: Variable, width: int, readers: Readers) -> nn.Module:
    if v.name in readers:
        return Context([v], width, readers={v.name: readers[v.name]})
    space: Space = v.space
    return BagOfBigrams(space, width) if isinstance(space, Finite) and space.axes and not space.ordered else Context([v], width)


def _vector(reader: nn.Module, v: Variable, x: Entries) -> Tensor:
    """(N, C)."""
    return reader(x) if isinstance(reader, BagOfBigrams) else reader(Observed({v.name: x}, len(x)))
