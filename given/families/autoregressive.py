"""Autoregressive: the chain rule, with one net for all its conditionals.

    p(x | y) = prod_t p(x_{o(t)} | x_{o(0)}, ..., x_{o(t-1)}, y)

Three objects: an *order* o of the entries, a causal *net* that at every step reads the entries before it and y, and a
*head* that turns its features into the law of one entry. Learned by maximum likelihood, all steps at once; drawn step by
step with a cache. `log_prob` is exact, under counting measure. Entries can be conditioned on and marginalised exactly
where the order puts what is known first.

Source: Larochelle, Murray, The neural autoregressive distribution estimator, 2011 /
https://proceedings.mlr.press/v15/larochelle11a.html
Parmar et al., Image transformer, 2018 / https://arxiv.org/abs/1802.05751
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from given import laws
from given.conditional import Conditional
from given.nn import Context, Neighbours, Order, Raster, Transformer
from given.nn.order import coordinates
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["Autoregressive"]

_ROWS = Raster()


class Autoregressive(Conditional):
    """An order, a causal net and a head.

    Args:
        x: finite entries on a grid.
        parents: of any space.
        order: of the entries; rows from the top by default.
        net: builds the causal net from the steps' places on the grid (T, axes).
        head: builds the head from space and width; by default a mixture of logistics on ordered levels, one logit a
            symbol on others.
        embed: builds the tokens' network from space, order and width.
        context: builds the network that reads y from parents and width.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, order: Order = _ROWS,
                 net: Callable[..., nn.Module] = Transformer, head: Callable[..., nn.Module] | None = None,
                 embed: Callable[..., nn.Module] = Neighbours, context: Callable[..., nn.Module] = Context) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite):
            raise UserError(f"Autoregressive: expected finite entries, got {x.name}: {x.space}; use Gaussian for reals")
        space = x.space
        self.order: Tensor
        self.register_buffer("order", order.permutation(space.shape), persistent=False)
        self.net = net(coordinates(space.shape, self.order))
        width: int = self.net.width  # type: ignore[assignment]
        self.head = (head or laws.default_head(space))(space, width)
        self.embed = embed(space, self.order, width)
        self.context = context(self.parents, width)

    def forward(self, y: Observed) -> laws.Chain:
        return laws.Chain(self.x.space, self.order, self.embed, self.net, self.head, self.context(y))
