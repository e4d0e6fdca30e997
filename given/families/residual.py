"""Residual: what the mean of one family leaves over, learned by another.

    x = m(y) + s(y) z,    log p(x | y) = log p(z | y) - sum_d log s_d(y)

m and s are the mean and the standard deviation of a first family, such as Gaussian, a linear regression, or Regression, a net.
What is left, each entry in units of its own, is learned by a second one. An entry that y all but settles, such as where a hand
will be in a tenth of a second, is then learned as finely as one that y leaves open. A first family that descends is learned
before the second, each in its share of the budget. The second may be shown m: what is expected says much of what is left.
`log_prob` is of the second family's kind.

Source: Silver, Allen, Tenenbaum, Kaelbling, Residual policy learning, 2018 / https://arxiv.org/abs/1812.06298
Mardani et al., Residual corrective diffusion modeling for km-scale atmospheric downscaling, 2023 /
https://arxiv.org/abs/2309.15214
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from given import distributions
from given.codecs import IdentityCodec
from given.conditional import Conditional, free_name
from given.distributions import Noise
from given.lessons import Descend, Lesson
from given.variables import Entries, Observed, Real, UserError, Variable
from given.ways import way

__all__ = ["Residual"]


class Residual(Conditional):
    """A family of what another leaves over.

    Args:
        x: real.
        parents: whatever both families take.
        family: builds the second conditional from x and all parents.
        base: builds the first, one with a mean and a deviation in closed form, as Gaussian and Regression.
        regressors: the parents that the first reads; by default those that are real.
        shows: whether the second reads what the first expects too, as a parent on x's axes.
        floor: the least deviation, in the entries' units.

    Raises:
        UserError: x is not real, a family is not named, or a regressor is no parent.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 family: Callable[..., Conditional] | None = None, base: Callable[..., Conditional] | None = None,
                 regressors: Sequence[str] | None = None, shows: bool = False, floor: float = 1e-3) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Real) or x.space.atoms:
            raise UserError(f"Residual: expected real numbers without atoms, got {x.name}: {x.space}; use the family alone")
        if family is None or base is None:
            raise UserError(f"Residual: {x.name}: expected base= and family=, two families of real numbers; pass "
                            + way("partial(Residual, base=Gaussian, family=Diffusion)",
                                  f"--family '{x.name}=Residual(base=Gaussian, family=Diffusion)'"))
        names = [v.name for v in self.parents]
        if odd := [name for name in regressors or () if name not in names]:
            raise UserError(f"Residual: {x.name}: regressors: {odd[0]} is no parent; there are {', '.join(names) or 'none'}")
        read = [v for v in self.parents if (v.name in regressors if regressors is not None else isinstance(v.space, Real))]
        plain = Variable(x.name, IdentityCodec(x.space))
        self.floor, self.expected = floor, free_name("expected", [x.name, *names]) if shows else None
        shown = [Variable(self.expected, IdentityCodec(x.space))] if self.expected else []
        self.base, self.inner = base(plain, read), family(plain, [*self.parents, *shown])

    def forward(self, y: Observed) -> distributions.Affine:
        mean, scale = self._line(y)
        return distributions.Affine(self.inner(self._shown(y, mean)), mean, scale)

    def lessons(self) -> list[Lesson]:
        def known(x: Entries, y: Observed, noise: Noise) -> tuple[Entries, Observed]:
            return x, self._regressors(y)

        first = [lesson.mapped(known) for lesson in self.base.lessons()]
        after = max([lesson.stage + 1 for lesson in first if isinstance(lesson, Descend)], default=0)
        return [*first, *(lesson.mapped(self._left).later(after) for lesson in self.inner.lessons())]

    @property
    def judged(self) -> bool:
        """Whether its family is."""
        return self.inner.judged

    def _regressors(self, y: Observed) -> Observed:
        return Observed({v.name: y[v.name] for v in self.base.parents}, y.n, y.device)

    def _line(self, y: Observed) -> tuple[Tensor, Tensor]:
        """The mean and the deviation (B, *grid), float64."""
        law = self.base(self._regressors(y))
        return law.mean().tensor.double(), law.deviation().tensor.double().clamp(min=self.floor)

    def _left(self, x: Entries, y: Observed, noise: Noise) -> tuple[Entries, Observed]:
        """What is left over, each entry in units of its own."""
        with torch.no_grad():
            mean, scale = self._line(y)
        return x.of((x.tensor - mean) / scale), self._shown(y, mean)

    def _shown(self, y: Observed, mean: Tensor) -> Observed:
        """What the second family is given."""
        if self.expected is None:
            return y
        return Observed({**{v.name: y[v.name] for v in self.parents}, self.expected: Entries(mean)}, y.n, y.device)
