"""Mixed: several families of one variable, mixed.

    p(x | y) = sum_k w_k p_k(x | y)

Where all are sequential laws of symbols in one order they are mixed at every step instead: p(x_t | x_<t, y) = sum_k w_k
p_k(x_t | x_<t, y). The parts learn apart, each as it does alone; the weights are those of greatest likelihood on held-out rows,
by expectation maximisation, and even until there were some; a ten-thousandth is always shared evenly, so that no part is lost.
`log_prob` is of its weakest part's kind.

Source: Jelinek, Mercer, Interpolated estimation of Markov source parameters from sparse data, 1980
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from given import laws
from given.conditional import Batch, Conditional
from given.laws import Noise
from given.variables import Entries, Finite, Observed, UserError, Variable

__all__ = ["Mixed"]

_EVEN = 1e-4


class Mixed(Conditional):
    """A mixture of families.

    Args:
        x: what every family takes.
        parents: the same.
        families: two or more, or partials of them, built here.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 families: Sequence[Callable[..., Conditional]]) -> None:
        super().__init__(x, parents)
        if len(families) < 2:
            raise UserError(f"Mixed {x.name}: expected two families or more, got {len(families)}")
        self.parts = nn.ModuleList(family(x, parents) for family in families)
        for part in self.parts:
            if not isinstance(part, Conditional) or len(part.players()) > 1:
                raise UserError(f"Mixed {x.name}: expected families with one loss or none, got {part!r}")
        self.weights: Tensor
        self.register_buffer("weights", torch.full((len(families),), 1 / len(families), dtype=torch.float64))

    def forward(self, y: Observed) -> laws.Law:
        parts = [part(y) for part in self.parts]
        sequential = [p for p in parts if isinstance(p, laws.Sequential) and not p.any_order]
        if isinstance(self.x.space, Finite) and len(sequential) == len(parts) and all(
                torch.equal(p.order, sequential[0].order) for p in sequential):
            return laws.Blend(self.weights.log(), sequential)
        return laws.Mixture(self.weights.log().expand(y.n, -1), parts)

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        """While training, the sum of the losses of the parts that learn by gradient; else -log p of the mixture."""
        learning = [part for part in self.parts if part.players()]  # type: ignore[operator]
        if not learning or not self.training:
            return super().loss(x, y, seed=seed)
        noise = Noise.of(seed, y.n)
        return torch.stack([part.loss(x, y, seed=noise.fold(k)) for k, part in enumerate(learning)]).sum(0)  # type: ignore[operator]

    def estimate(self, batches: Iterable[Batch]) -> None:
        for part in self.parts:
            part.estimate(batches)  # type: ignore[operator]

    def calibrate(self, batches: Iterable[Batch]) -> None:
        each, amount = [], []  # log p of entries or items under every part (N, K), and their weights (N,)
        with torch.no_grad():
            for x, y, weight in batches:
                law = self(y)
                if isinstance(law, laws.Blend):
                    known = x.flat(self.x.space).known
                    each.append(torch.stack([part.each(x)[known] for part in law.parts], -1))
                    amount.append(weight[:, None].expand(known.shape)[known])
                else:
                    each.append(law.each(x))
                    amount.append(weight)
        try:
            best = laws.best_weights(torch.cat(each), torch.cat(amount))
        except UserError as error:
            raise error.at(str(self)) from None
        self.weights.copy_((1 - _EVEN) * best + _EVEN / len(best))
