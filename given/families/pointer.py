"""Pointer: one of the items of a set, given the set and whatever else is known.

    p(x | set, y) = sum_k softmax(s(item k; set, y))_k [x = item k]

x is a set of one item of the same fields, and the probability of all that are in the set is one. Items and y become tokens that
attend to one another; a score is made of what became of an item. In whatever order the items come, each has the same
probability. `log_prob` is exact; of an item outside the set it is minus infinity.

Source: Vinyals, Fortunato, Jaitly, Pointer networks, 2015 / https://arxiv.org/abs/1506.03134
Vinyals, Bengio, Kudlur, Order matters: sequence to sequence for sets, 2015 / https://arxiv.org/abs/1511.06391
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.distributions import Intractable
from given.nn import Context, Items, ItemScores
from given.nn.context import Readers, built_context
from given.variables import Entries, Finite, Observed, UserError, Variable, counted, most_items

__all__ = ["Pointer"]


class Pointer(Conditional):
    """A choice among the items of a parent.

    Args:
        x: a set of one item, as the codec `Set(most=1)` has.
        parents: the first that is a set of items of x's fields is what is chosen from; of any other space.
        net: builds what scores items, from the width.
        width: C.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"text": Convolutions(halve=0)}`, in place of those that their spaces ask for; the
            set is read by `Items(layers=2)`.

    Raises:
        UserError: x is no set of one item, or no parent is a set of items of its fields.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, net: Callable[..., nn.Module] = ItemScores,
                 width: int = 64, context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        space = x.space
        if not isinstance(space, Finite) or not space.pattern or most_items(space) != 1:
            raise UserError(f"Pointer: expected a set of one item, got {x.name}: {space}; use the codec Set(most=1)")
        fit = [v for v in self.parents if isinstance(v.space, Finite) and v.space.pattern == space.pattern]
        if not fit:
            got = ", ".join(v.name for v in self.parents) or "none"
            raise UserError(f"Pointer: {x.name}: expected a parent that is a set of items of its fields, got {got}; give both "
                            "codecs the same ranges and categories")
        self.chosen_from, self.items = fit[0].name, most_items(fit[0].space)  # type: ignore[arg-type]
        ordered = [fit[0], *(v for v in self.parents if v is not fit[0])]
        self.context = built_context(context, ordered, width, {self.chosen_from: Items(layers=2, role="tokens"),
                                                               **(readers or {})}, space)
        self.net = net(width)

    def forward(self, y: Observed) -> distributions.Pointer:
        known, space = y[self.chosen_from], self.x.space
        assert isinstance(space, Finite)
        if not known.complete:
            raise Intractable(f"{self.x.name}: nothing is known of {self.chosen_from}, which it is chosen from; give it whole")
        found = self.context.condition(y)
        scores = self.net(found.tokens, found.there, found.pooled, slice(1, 1 + self.items))  # the first token is the whole set
        return distributions.Pointer(scores, *self._of(known), space)

    def _of(self, known: Entries) -> tuple[Tensor, Tensor]:
        """The symbols of items (B, K, k), and which places have one (B, K)."""
        space = self.x.space
        assert isinstance(space, Finite)
        symbols = known.tensor[:, :-1].unflatten(1, (-1, len(space.pattern)))
        places = torch.arange(self.items, device=symbols.device)
        return symbols, places < counted(known, space)[:, None]

    def supported(self, x: Entries, y: Observed) -> Entries:
        """For any x a value that has a probability: an item of each row's set."""
        symbols, there = self._of(y[self.chosen_from])
        turn = x.tensor.sum(-1, keepdim=True) + torch.arange(self.items, device=symbols.device)
        return distributions.Pointer((turn % self.items).double(), symbols, there, self.x.space).mode()  # type: ignore[arg-type]
