"""Regression: every entry by itself, its distribution computed from y by a net.

    p(x | y) = prod_d p(x_d | h_d(y)),    h = net(y)

h_d is a mean and a log-scale for reals (a heteroscedastic regression), logits or a mixture of logistics for symbols (a
multinomial one), and the parameters of a head for reals with atoms. Learned by maximum likelihood. `log_prob` is exact, and so
are all marginals and conditionals: given y, the entries are independent. The likelihood and the posterior of a variational
autoencoder are such regressions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from given import distributions
from given.conditional import Conditional
from given.nn import MLP, Context
from given.variables import Finite, Observed, Product, UserError, Variable

__all__ = ["Regression"]


class Regression(Conditional):
    """Independent entries, given what a net makes of y.

    Args:
        x: reals or symbols on a grid.
        parents: of any space.
        net: builds the net from the number of inputs and outputs.
        head: builds the distribution of a symbol, or of a real with atoms, from space and width; as of Autoregressive.
        width: C of the context, and of the features of a symbol.
        floor: the least scale of a real entry, so that a likelihood stays finite.
        context: builds the network that reads y from parents and width.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, net: Callable[..., nn.Module] = MLP,
                 head: Callable[..., nn.Module] | None = None, width: int = 32, floor: float = 1e-3,
                 context: Callable[..., nn.Module] = Context) -> None:
        super().__init__(x, parents)
        if isinstance(x.space, Product):
            raise UserError(f"Regression: expected reals or symbols on a grid, got the block {x.name}; use Independent")
        self.space, self.floor, self.width = x.space, floor, width
        counted = isinstance(x.space, Finite) or bool(x.space.atoms)  # type: ignore[attr-defined]
        self.context = context(self.parents, width)
        self.head = (head or distributions.default_head(x.space))(x.space, width) if counted else None
        self.net = net(width, x.space.dimensions * (2 if self.head is None else width))

    def forward(self, y: Observed) -> distributions.Distribution:
        h = self.net(self.context(y))
        if self.head is not None:
            return self.head(h.reshape(y.n, *self.space.shape, self.width))
        mean, log_scale = h.reshape(y.n, *self.space.shape, 2).unbind(-1)
        # Its draws carry gradients to mean and scale (the reparametrisation trick).
        scale = nn.functional.softplus(log_scale) + self.floor
        return distributions.Torch(torch.distributions.Normal(mean, scale, validate_args=False), self.space)
