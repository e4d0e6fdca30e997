"""CTC: a text given something that is read along an axis, whatever the alignment (connectionist temporal classification).

    p(x | y) = sum over paths a that collapse to x of prod_t p_t(a_t | y)

y becomes tokens, as of frames of a sound, and each has a symbol or a blank, independent of the others given y. Such a path
collapses to the text that is left when of neighbours that are alike one is kept, and blanks fall away. So where in y a symbol
stands need not be known: all places are summed over. `log_prob` is exact; that of a text with more symbols than y has tokens,
counting one more between two that are alike, is minus infinity.

Source: Graves, Fernandez, Gomez, Schmidhuber, Connectionist temporal classification, 2006 /
https://www.cs.toronto.edu/~graves/icml_2006.pdf
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from given import distributions
from given.conditional import Conditional
from given.nn import Context
from given.nn.context import Readers, attends, built_context
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["CTC"]


class CTC(Conditional):
    """Symbols whose number is modelled, in the order in which they stand in y.

    Args:
        x: symbols on one axis whose length is modelled, as the codec Text has.
        parents: one or more that become tokens, read end to end; of any other space.
        width: C, of the tokens.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"sound": Convolutions(halve=2, places=False)}`, in place of those that their
            spaces ask for.

    Raises:
        UserError: x is no such text, or no parent becomes tokens.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, width: int = 96,
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        space = x.space
        if not isinstance(space, Finite) or not space.may_end or len(space.axes) != 1 or space.pattern:
            raise UserError(f"CTC: {x.name}: expected symbols whose number is modelled, as of Text, got {space}; use "
                            "Autoregressive")
        if not attends(self.parents, space, readers, context):
            raise UserError(f"CTC: {x.name}: expected a parent that is read along an axis, as a sound is, got "
                            f"{', '.join(v.name for v in self.parents) or 'none'}; use Autoregressive")
        self.never = (f"a row of {x.name} has more symbols than there are tokens for, one each and one between two that are "
                      "alike; leave it out, or let a reader halve less")
        self.context = built_context(context, self.parents, width, readers, space)
        self.leave = nn.Linear(width, space.size)
        with torch.no_grad():  # half of the tokens blank at first: else all become so, and little else is learned for long
            self.leave.weight.mul_(0.1)
            self.leave.bias.zero_()[int(space.end)] = math.log(max(2, space.size - 1))  # type: ignore[arg-type]

    def forward(self, y: Observed) -> distributions.CTC:
        found = self.context.condition(y)
        order = (~found.there).to(torch.uint8).argsort(dim=1, stable=True)  # what is padding comes last
        tokens = found.tokens.gather(1, order[..., None].expand_as(found.tokens)) + found.pooled[:, None]
        return distributions.CTC(self.leave(tokens), found.there.sum(1), self.x.space)  # type: ignore[arg-type]
