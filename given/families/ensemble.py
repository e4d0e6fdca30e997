"""Ensemble: several families of one variable, mixed, or the best of them.

    p(x | y) = sum_k w_k p_k(x | y)

Where all are sequential distributions of symbols in one order they are mixed at every step instead: p(x_t | x_<t, y) =
sum_k w_k(h_t) p_k(x_t | x_<t, y), with weights that depend on how sure each part is of what comes next
(`distributions.EntropyGate`). The parts learn apart, each as it does alone; the weights are those of greatest likelihood on
held-out rows, by expectation maximisation, and even until there were some; a ten-thousandth is always shared evenly, so that no
part is lost.

Of parts that differ in their order alone, a mixture is the average over orders: a distribution of its own, and none of the
chains. With `choose=True` all weight goes to the part that is likeliest on held-out rows: a search over few orders or families,
and so an order learned. `log_prob` is of its weakest part's kind.

Source: Jelinek, Mercer, Interpolated estimation of Markov source parameters from sparse data, 1980
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.lessons import Batch, Lesson, Weigh, side_by_side
from given.variables import Finite, Observed, UserError, Variable
from given.ways import way

__all__ = ["Ensemble"]

_EVEN = 1e-4


class Ensemble(Conditional):
    """A mixture of families.

    Args:
        x: what every family takes.
        parents: the same.
        families: two or more, or partials of them, built here.
        choose: give all weight to the best instead; until there were held-out rows it is a mixture.

    Raises:
        UserError: less than two families, or one that learns by a game of two losses.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 families: Sequence[Callable[..., Conditional]] = (), choose: bool = False) -> None:
        super().__init__(x, parents)
        if len(families) < 2:
            raise UserError(f"Ensemble: {x.name}: expected families=, two or more, got {len(families)}; pass "
                            + way("partial(Ensemble, families=(Independent, Autoregressive))",
                                  f"--family '{x.name}=Ensemble(families=(Independent, Autoregressive))'"))
        self.parts = nn.ModuleList(family(x, parents) for family in families)
        for part in self.parts:
            if not isinstance(part, Conditional) or not part.judged:
                raise UserError(f"Ensemble {x.name}: expected families with a density, by which they are weighed, got {part!r}")
        # Saved is how the parts stand, which may be more than what they were built from: see PretrainedLM.
        arguments: list[Any] = [part.arguments for part in self.parts]
        said = [{k: v for k, v in each.items() if k not in ("x", "parents")} for each in arguments]
        self.arguments = {**self.arguments, "families": tuple(
            partial(type(part), **each) for part, each in zip(self.parts, said, strict=True))}
        self.choose, self.plans = choose, ("weights",)
        self.weights: Tensor
        self.knots: Tensor
        self.cells: Tensor
        gate = distributions.EntropyGate.even(len(families))
        self.register_buffer("weights", gate.cells[0].clone())
        self.register_buffer("knots", gate.knots)
        self.register_buffer("cells", gate.cells)

    @property
    def chosen(self) -> int | None:
        """The number of the part that has all weight, if one has."""
        weights = self.weights.tolist()
        return weights.index(1.0) if 1.0 in weights else None

    def forward(self, y: Observed) -> distributions.Distribution:
        return self._mixture(y) if self.chosen is None else self.parts[self.chosen](y)

    def _mixture(self, y: Observed) -> distributions.Mixture | distributions.StepwiseMixture:
        parts = [part(y) for part in self.parts]
        sequential = [p for p in parts if isinstance(p, distributions.Sequential) and not p.any_order and p.one_at_a_time]
        if isinstance(self.x.space, Finite) and len(sequential) == len(parts) and all(
                p.entries == sequential[0].entries for p in sequential):
            return distributions.StepwiseMixture(distributions.EntropyGate(self.knots, self.cells), sequential)
        return distributions.Mixture(self.weights.log().to(y.device).expand(y.n, -1), parts)

    def lessons(self) -> list[Lesson]:
        each = side_by_side(part.lessons() for part in self.parts)  # type: ignore[operator]
        return [*(lesson for _, lesson in each), Weigh(self._weigh)]

    def _weigh(self, batches: Iterable[Batch]) -> None:
        # log p of entries or items under every part (N, K), the parts' entropies there (N, K), and their weights (N,)
        each, entropies, amount = list[Tensor](), list[Tensor](), list[Tensor]()
        with torch.no_grad():
            for x, y, weight in batches:
                distribution = self._mixture(y)
                if isinstance(distribution, distributions.StepwiseMixture):
                    known = x.flat(self.x.space).scored
                    found = distribution.part_log_probs(x, entropies=not self.choose)
                    each.append(found[0][known])
                    entropies.append(found[1][known])
                    amount.append(weight[:, None].expand(known.shape)[known])
                else:
                    each.append(distribution.each(x))
                    amount.append(weight)
        try:
            best = distributions.best_weights(torch.cat(each), torch.cat(amount))
        except UserError as error:
            raise error.at(str(self)) from None
        if self.choose:
            told = torch.cat(amount)[:, None] > 0
            total = torch.where(told, torch.cat(each) * torch.cat(amount)[:, None], 0.0).sum(0)
            self.weights.zero_()[total.argmax()] = 1
            return
        self.weights.copy_((1 - _EVEN) * best + _EVEN / len(best))
        if entropies:
            gate = distributions.EntropyGate.even(len(best)).fitted(torch.cat(each), torch.cat(entropies), torch.cat(amount),
                                                                    self.weights)
            self.knots.copy_(gate.knots)
            self.cells.copy_((1 - _EVEN) * gate.cells + _EVEN / len(best))
