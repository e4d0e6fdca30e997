"""Latents: what finds a column that no data has, and how that learns.

A latent z that is not summed out is found by a posterior of its own, q(z | what is seen around it), or by the factor below it
that encodes. A posterior and the factors below learn together, before p(z), on the bound

    E_q[log p(x | z) + log N(z; 0, I) - log q(z | x)]

whose prior is standard normal: that keeps z where any family can learn it. p(z) then learns draws of q, and takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from given.conditional import Conditional, Encodes
from given.distributions import Distribution, Noise, Point
from given.lessons import Descend, Lesson, Solve
from given.variables import Entries, Finite, Observed, Real, UserError, Variable

__all__ = ["Finder", "excess", "found_by", "learns_beside"]


@dataclass(frozen=True)
class Finder:
    """What finds a latent.

    Args:
        latent: its name.
        by: a posterior of its own, or a factor below it that encodes.
        own: whether it is a posterior of its own.
    """

    latent: str
    by: Conditional
    own: bool

    def __str__(self) -> str:
        return type(self.by).__name__

    @property
    def title(self) -> str:
        """Before the number of a dimension in the name of a column of codes."""
        return f"{self.latent if self.own else self.by.x.name}.z"

    def of(self, x: Callable[[Conditional], Entries], y: Callable[[Conditional, str | None], Observed]) -> Distribution:
        """q, of a conditional's x and of its conditions but one."""
        if self.own:
            return self.by(y(self.by, None))
        assert isinstance(self.by, Encodes)
        return self.by.encode(x(self.by), y(self.by, self.latent))

    def lesson(self, stage: int) -> Lesson:
        """A posterior's."""
        return Descend([p for p in self.by.parameters() if p.requires_grad], excess, stage=stage)


def found_by(latent: Variable, posterior: Conditional | None, factors: Sequence[Conditional]) -> Finder | None:
    """What finds a latent; None of a single finite entry, which is summed out.

    Raises:
        UserError: nothing does, or its posterior cannot learn.
    """
    name, space = latent.name, latent.space
    if posterior is not None:
        if posterior.x.name != name or not isinstance(space, Real):
            raise UserError(f"latents: {name}: a posterior is of a latent of reals, got {posterior} of {space}; a single "
                            "finite entry is summed out without one, a grid of symbols is found by VQVAE")
        if not any(isinstance(lesson, Descend) for lesson in posterior.lessons()):
            raise UserError(f"latents: {name}: expected a posterior that learns by gradient, got {type(posterior).__name__}; "
                            "use Regression")
        if not any(name == v.name for f in factors for v in f.parents):
            raise UserError(f"latents: {name}: stands right of no bar, so nothing tells it; declare p(x | {name})")
        return Finder(name, posterior, True)
    if isinstance(space, Finite) and not space.axes:
        return None  # summed out, whatever representation the family below has of its own
    below = [f for f in factors if isinstance(f, Encodes) and name in [v.name for v in f.parents]]
    if below:
        return Finder(name, below[0], False)
    if isinstance(space, Finite) and space.dimensions == 1:
        return None
    raise UserError(f"latents: {name}: nothing finds {space}; pass a posterior, latents={{'{name}': (codec, Regression)}}, or "
                    "let a family below encode it, such as VQVAE")


def excess(z: Entries, q: Distribution, *, seed: int | Noise = 0) -> Tensor:
    """(B,) log q(z) - log N(z; 0, I): what a posterior's draw adds to the loss of what stands below; of a point, which has no
    density, the second alone."""
    flat = z.tensor.double().flatten(1)
    prior = -0.5 * (flat**2).sum(1) - 0.5 * math.log(2 * math.pi) * flat.shape[1]
    return -prior if isinstance(q, Point) else q.log_prob(z, seed=seed) - prior


def learns_beside(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Lessons of a factor below a posterior that descends: what is counted is counted anew every epoch."""
    return [replace(lesson, again=False, every_epoch=True) if isinstance(lesson, Solve) else lesson for lesson in lessons]
