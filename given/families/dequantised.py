"""Dequantised: a family of continuous distributions on ordered finite entries.

Each level becomes a cell of [-1, 1], a point is drawn evenly from the cell, and the inner family learns those points:

    log P(v | y)  >=  E_u[log p(u | y)] + D log(2 / V),   u uniform in the cell of v.

`log_prob` is an unbiased estimate of the right side, called a bound, under counting measure: comparable with families
that count. Marginals over unseen entries are bounds as well, where the inner distribution has them.

Source: Theis, van den Oord, Bethge, A note on the evaluation of generative models, 2016 /
https://arxiv.org/abs/1511.01844
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from given import distributions
from given.codecs import IdentityCodec
from given.conditional import Conditional
from given.distributions import Noise, dequantise
from given.lessons import Lesson
from given.variables import Entries, Finite, Observed, Real, UserError, Variable
from given.ways import way

__all__ = ["Dequantised"]


class Dequantised(Conditional):
    """Ordered levels by way of a continuous family.

    Args:
        x: finite and ordered.
        parents: whatever the inner family takes.
        family: builds the inner conditional from a real variable and the parents.
        samples: how many points a score averages.

    Raises:
        UserError: x is not finite and ordered, or no family is named.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 family: Callable[..., Conditional] | None = None, samples: int = 4) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite) or not x.space.ordered:
            raise UserError(f"Dequantised: expected ordered levels, got {x.name}: {x.space}; use Categorical or Independent")
        if family is None:
            raise UserError(f"Dequantised: {x.name}: expected family=, a family of real numbers; pass "
                            + way("partial(Dequantised, family=FlowMatching)",
                                  f"--family '{x.name}=Dequantised(family=FlowMatching)'"))
        self.space = x.space
        self.samples = samples
        self.inner = family(Variable(x.name, IdentityCodec(Real(axes=x.space.axes))), self.parents)

    def forward(self, y: Observed) -> distributions.Dequantised:
        return distributions.Dequantised(self.inner(y), self.space, self.samples)

    def lessons(self) -> list[Lesson]:
        return [lesson.mapped(self._points) for lesson in self.inner.lessons()]

    def _points(self, x: Entries, y: Observed, noise: Noise) -> tuple[Entries, Observed]:
        """Points drawn from the levels' cells."""
        return dequantise(x, self.space, noise.fold("cell")), y
