"""Dequantised: a family of continuous distributions on ordered finite entries.

Each level becomes a cell of [-1, 1], a point is drawn evenly from the cell, and the inner family learns those points:

    log P(v | y)  >=  E_u[log p(u | y)] + D log(2 / V),   u uniform in the cell of v.

`log_prob` is an unbiased estimate of the right side, called a bound, under counting measure: comparable with families
that count. Marginals over unseen entries are bounds as well, where the inner distribution has them.

Noise of one more kind does the same: the last that a path leaves. Then the inner family learns the cells' middles, and in its
bound a level's probability given x_1 is in proportion to N(x_1; alpha middle, sigma^2): the noise is as fine as the path says,
and no uniform one stands beside it.

Source: Theis, van den Oord, Bethge, A note on the evaluation of generative models, 2016 /
https://arxiv.org/abs/1511.01844
Kingma, Salimans, Poole, Ho, Variational diffusion models, 2021 / https://arxiv.org/abs/2107.00630
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from given import distributions
from given.codecs import IdentityCodec
from given.conditional import Conditional, Decodes
from given.distributions import Noise, dequantise, levels, middles
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
        samples: how many points a score averages; by default 4, and 1 where each solves an equation, since rows differ by more.
        last_noise: whether it is a path's last noise that levels are blurred by, as `family=Diffusion` has.

    It has `encode`, `decode` and `latent` where its family has them.

    Raises:
        UserError: x is not finite and ordered, no family is named, or it has no last noise.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 family: Callable[..., Conditional] | None = None, samples: int | None = None,
                 last_noise: bool = False) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite) or not x.space.ordered:
            raise UserError(f"Dequantised: expected ordered levels, got {x.name}: {x.space}; use Categorical or Independent")
        if family is None:
            raise UserError(f"Dequantised: {x.name}: expected family=, a family of real numbers; pass "
                            + way("partial(Dequantised, family=FlowMatching)",
                                  f"--family '{x.name}=Dequantised(family=FlowMatching)'"))
        self.space = x.space
        self.samples, self.last_noise = samples, last_noise
        self.inner = family(Variable(x.name, IdentityCodec(Real(axes=x.space.axes))), self.parents)
        if isinstance(self.inner, Decodes):
            self.encode, self.decode, self.latent = self._encode, self._decode, self.inner.latent
        if last_noise and not getattr(self.inner, "terms", 0):
            raise UserError(f"Dequantised: {x.name}: last_noise=True, but {type(self.inner).__name__} leaves no noise with a "
                            "bound; use Diffusion, or leave last_noise out")

    def forward(self, y: Observed) -> distributions.Dequantised:
        return distributions.Dequantised(self.inner(y), self.space, self.samples, last_noise=self.last_noise)

    def lessons(self) -> list[Lesson]:
        return [lesson.mapped(self._points) for lesson in self.inner.lessons()]

    @property
    def judged(self) -> bool:
        """Whether its family is."""
        return self.inner.judged

    def _encode(self, x: Entries, y: Observed) -> distributions.Distribution:
        """Its family's, of the cells' middles."""
        assert isinstance(self.inner, Decodes)
        return self.inner.encode(middles(x, self.space), y)

    def _decode(self, z: Entries, y: Observed) -> Entries:
        """The levels of what its family makes of z."""
        assert isinstance(self.inner, Decodes)
        return levels(self.inner.decode(z, y), self.space)

    def _points(self, x: Entries, y: Observed, noise: Noise) -> tuple[Entries, Observed]:
        """Points drawn from the levels' cells; their middles, where a path adds the noise."""
        if self.last_noise:
            return middles(x, self.space), y
        return dequantise(x, self.space, noise.fold("cell")), y
