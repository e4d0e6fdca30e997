"""Unordered: a family of rows in an order on sets, whose items have none.

    p(set | y) = sum over the orders of its items of p(items in this order | y)

The inner family learns items in an order, one of all at random every time it meets a set (or always the sorted one), and its
probabilities of all orders are summed. `log_prob` is that of the set, the same in whatever order its items come: exact for sets
of at most `exact` items, a bound for larger ones, where only some orders are looked at. An order at random costs each order
log n! nats and gives them back in the sum, and every item is learned after any others; the sorted one is one order to learn.

Source: Vinyals, Bengio, Kudlur, Order matters: sequence to sequence for sets, 2015 / https://arxiv.org/abs/1511.06391
Chen, Saxena, Li, Fleet, Hinton, Pix2seq: a language modeling framework for object detection, 2021 /
https://arxiv.org/abs/2109.10852
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from given import distributions
from given.conditional import Conditional
from given.distributions import Noise
from given.lessons import Lesson
from given.variables import Entries, Finite, Observed, UserError, Variable, counted, in_order, most_items, reordered
from given.ways import way

__all__ = ["Unordered"]


class Unordered(Conditional):
    """Sets by way of a family of rows.

    Args:
        x: sets of items, as the codec `Set` has.
        parents: whatever the inner family takes.
        family: builds the inner conditional from x and the parents.
        sorted: whether items are always learned in sorted order, and not in one at random.
        exact: up to how many items a score sums all orders.

    Raises:
        UserError: x is no set, or no family is named.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 family: Callable[..., Conditional] | None = None, sorted: bool = False, exact: int = 6) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite) or not x.space.pattern:
            raise UserError(f"Unordered: expected sets of items, got {x.name}: {x.space}; use the codec Set, or another family")
        if family is None:
            raise UserError(f"Unordered: {x.name}: expected family=, a family of rows of symbols; pass "
                            + way("partial(Unordered, family=Autoregressive)",
                                  f"--family '{x.name}=Unordered(family=Autoregressive)'"))
        self.space, self.sorted, self.exact = x.space, sorted, exact
        self.inner = family(x, self.parents)

    def forward(self, y: Observed) -> distributions.Unordered:
        return distributions.Unordered(self.inner(y), lambda rows: self.inner(y.rows(rows)), exact=self.exact)

    def lessons(self) -> list[Lesson]:
        return [lesson.mapped(self._in_an_order) for lesson in self.inner.lessons()]

    @property
    def judged(self) -> bool:
        """Whether its family is."""
        return self.inner.judged

    def _in_an_order(self, x: Entries, y: Observed, noise: Noise) -> tuple[Entries, Observed]:
        """Sets with their items in an order at random, or sorted."""
        if self.sorted:
            return in_order(x, self.space), y
        most = most_items(self.space)
        turn = noise.fold("order").uniform((), (most,))
        there = torch.arange(most, device=turn.device) < counted(x, self.space)[:, None]
        return reordered(x, torch.where(there, turn, turn + 1.0).argsort(-1), self.space), y
