"""SplineFlow: an invertible map of x to noise, learned by maximum likelihood.

    z = f_y(x) ~ N(0, I),    log p(x | y) = log N(f_y(x)) + log |det df_y/dx|

f is a chain of coupling layers of rational-quadratic splines (passes=2), or of autoregressive ones (passes=None): zuko's
transforms. Entries beyond `bound` standard units pass unchanged. `log_prob` is exact; marginals and conditionals have no
closed form.

Source: Durkan, Bekasov, Murray, Papamakarios, Neural spline flows, 2019 / https://arxiv.org/abs/1906.04032
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from given import distributions
from given.conditional import Conditional
from given.nn import Context
from given.nn.context import Readers, built_context
from given.variables import Observed, Variable

__all__ = ["SplineFlow"]


class SplineFlow(Conditional):
    """A spline flow.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        transforms: layers of the chain.
        hidden: widths of the nets in a layer.
        bins: of a spline.
        passes: 2 for coupling layers, fast to draw; None for autoregressive ones, D times as slow to draw.
        width: C of the context.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, transforms: int = 6,
                 hidden: Sequence[int] = (64, 64), bins: int = 16, passes: int | None = 2, width: int = 16,
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        import zuko

        distributions.Flattened.check_real(x, "SplineFlow")
        D = x.space.dimensions
        self.context = built_context(context, self.parents, width, readers) if self.parents else None
        chain = zuko.flows.NSF(D, width if self.parents else 0, bins=bins, transforms=transforms, hidden_features=tuple(hidden),
                               passes=min(passes, D) if passes else None)
        self.chain = chain.transform

    def forward(self, y: Observed) -> distributions.Distribution:
        c = self.context(y) if self.context is not None else None
        space = distributions.Flattened.real(self.x.space)
        distribution = distributions.Transformed(lambda rows: self.chain(None if c is None else c[rows]), y.n, space, y.device)
        return distributions.Flattened.of(distribution, self.x.space)
