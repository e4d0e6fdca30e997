"""Regression: every entry by itself, its distribution computed from y by a net.

    p(x | y) = prod_d p(x_d | h_d(y)),    h = net(y)

h_d is a mean and a log-scale for reals (a heteroscedastic regression), logits or a mixture of logistics for symbols (a
multinomial one), and the parameters of a head for reals with atoms; each column of a block has its own. Learned by maximum
likelihood. `log_prob` is exact, and so are all marginals and conditionals: given y, the entries are independent. The
likelihood and the posterior of a variational autoencoder are such regressions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from given import distributions
from given.conditional import Conditional
from given.nn import MLP, Context, makes_grids, reads_map, roles_of
from given.nn.context import Readers, built_context
from given.variables import Observed, Variable

__all__ = ["Regression"]


class Regression(Conditional):
    """Independent entries, given what a net makes of y.

    Args:
        x: of any space, a block too.
        parents: of any space.
        net: builds the net from the number of inputs and outputs; of a grid it may be a `ConvolutionalDecoder`, or a
            `ConvolutionalMap`, which reads parents at x's entries, such as a picture at another resolution.
        head: builds the distribution of a symbol, or of a real with atoms, from space and width; as of Autoregressive.
        width: C of the context, and of the features of a symbol.
        homoscedastic: whether the reals of a column have one scale, whatever y is. Their mean is then that of least squares,
            which a likelihood that knows where it is sure does not fit as well where it is not.
        floor: the least scale of a real entry, so that a likelihood stays finite.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, net: Callable[..., nn.Module] = MLP,
                 head: Callable[..., nn.Module] | None = None, width: int = 32,
                 homoscedastic: bool = False, floor: float = 1e-3,
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        self.head = distributions.FactorizedHead(x.space, width, head=head, homoscedastic=homoscedastic, floor=floor)
        self.mapped = reads_map(net)
        grid = x.space if self.mapped else None
        self.context = built_context(context, self.parents, width, readers, grid)
        inputs, each = self.head.inputs, self.head.inputs // x.space.dimensions
        if self.mapped:
            self.net = net(x.space, width, each, roles_of(self.parents, grid, readers, context))
        else:
            self.net = net(x.space, width, each) if makes_grids(net) else net(width, inputs)

    def forward(self, y: Observed) -> distributions.Distribution:
        return self.head(self.net(self.context.condition(y) if self.mapped else self.context(y)).flatten(1))
