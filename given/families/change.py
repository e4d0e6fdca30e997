"""Change: a grid of reals as its change from what a parent shows there.

    p(x | y) = p(d | y) / scale^D,    x = b(y) + scale d

b is the last entry along the parent's axis of channels, such as the last frame, levels as middles of their cells in [-1, 1];
zero where it is unseen. A family of d that has learned nothing stands at "as it was", which is where most of a film stays.
`log_prob`, means and marginals are of the family's kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from given import distributions
from given.codecs import IdentityCodec
from given.conditional import Conditional
from given.distributions import Noise
from given.lessons import Lesson
from given.variables import Entries, Observed, Real, UserError, Variable

__all__ = ["Change"]


class Change(Conditional):
    """A change, by another family.

    Args:
        x: real, on a grid.
        parents: of any space.
        family: builds the conditional of the change.
        of: the parent that shows what changes: reals or levels, on x's axes and a last one of channels, whose last entry it is.
        scale: of the change, in units of x; the family's reals are about 1 where it is the changes' root mean square.

    Raises:
        UserError: x is not real, no family is named, or there is no such parent.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 family: Callable[..., Conditional] | None = None, of: str = "last", scale: float = 1.0) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "Change")
        if not isinstance(x.space, Real):
            raise UserError(f"Change: {x.name}: expected a grid of reals, got {x.space}; use FlowMatching")
        if family is None or not scale > 0:
            raise UserError(f"Change: {x.name}: family={family}, scale={scale}; expected a family of reals, and a scale above "
                            f"0; pass partial(Change, family=Regression)")
        self.of, self.scale, self.shown = of, scale, distributions.showing("Change", x, self.parents, of)
        self.inner = family(Variable(x.name, IdentityCodec(x.space)), self.parents)

    def forward(self, y: Observed) -> distributions.Affine:
        base = self._base(y)
        return distributions.Affine(self.inner(y), base, torch.full_like(base, self.scale))

    def lessons(self) -> list[Lesson]:
        return [lesson.mapped(self._changes) for lesson in self.inner.lessons()]

    def _base(self, y: Observed) -> Tensor:
        """(B, *grid) float64 what the parent shows."""
        return distributions.latest(y[self.of], self.shown)

    def _changes(self, x: Entries, y: Observed, noise: Noise) -> tuple[Entries, Observed]:
        return x.of((x.tensor - self._base(y)) / self.scale), y
