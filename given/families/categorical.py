"""Categorical: p(x | y) for one entry with V symbols.

    p(x = v | y) = softmax_v(b + W c(y))

with c a context network. Without parents there is nothing but b, the logarithm of smoothed relative frequencies, by
counting; with parents b is counted first and the rest learned by maximum likelihood (multinomial logistic regression on
c). `log_prob` is exact, under counting measure.

Smoothing: one imagined row, spread evenly over the symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.lessons import Batch, Lesson, Solve
from given.nn import Context
from given.nn.context import Readers, built_context
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["Categorical"]


class Categorical(Conditional):
    """One entry with finitely many symbols.

    Args:
        x: a variable with a single finite entry.
        parents: of any space.
        width: C of the context.
        context: builds the network from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, width: int = 64,
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite) or x.space.axes:
            raise UserError(f"Categorical: expected one finite entry, got {x.name}: {x.space}; "
                            "use Independent or Autoregressive for a grid, Gaussian for reals")
        self.bias: Tensor
        self.register_buffer("bias", torch.zeros(x.space.size, dtype=torch.float64))
        if self.parents:
            self.context = built_context(context, self.parents, width, readers)
            self.slope = nn.Linear(width, x.space.size, bias=False)

    def forward(self, y: Observed) -> distributions.Categorical:
        logits = self.bias.expand(y.n, -1)
        if self.parents:
            logits = logits + self.slope(self.context(y))
        assert isinstance(self.x.space, Finite)
        return distributions.Categorical(logits, self.x.space)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._count), *super().lessons()]

    def _count(self, batches: Iterable[Batch]) -> None:
        counts = torch.full_like(self.bias, 1 / len(self.bias))
        for x, _, weight in batches:
            counts.index_add_(0, x.tensor, torch.where(x.scored, weight, 0.0).double())
        self.bias.copy_(counts.log() - counts.sum().log())
