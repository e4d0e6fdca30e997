"""A law of lessons: what is wrapped learns what it learns alone."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence

import torch

from given.codecs import IdentityCodec
from given.conditional import Conditional
from given.distributions import Noise
from given.families import Dequantised, Ensemble
from given.lessons import Batch, Descend, Weigh
from given.testing.cases import DoesNotApply, conditions, related_entries
from given.variables import Entries, Finite, Observed, Real, Variable

__all__ = ["LESSON_LAWS"]

_LEVELS = 1 << 60  # cells so narrow that all points of one are one number
_ROWS = 24
_ROUNDS, _RATE = 3, 0.05


def wrapped_learns_as_bare(c: Conditional) -> None:
    """Two in an Ensemble, and one in Dequantised where it is of reals, learn what it learns alone: every lesson, in its order,
    by the rows' weights."""
    if not c.lessons():
        raise DoesNotApply("it does not learn")
    y = conditions(c, _ROWS, seed=2)
    x, wrapped = related_entries(c, y), list[tuple[Conditional, Entries, list[Conditional]]]()
    if isinstance(c.x.space, Real) and not c.x.space.atoms:
        twin = copy.deepcopy(c)
        levels = Entries((x.tensor.tanh() * 0.99 + 1).mul(_LEVELS / 2).long())
        x = Entries(levels.tensor.double() * (2 / _LEVELS) - 1)
        v = Variable(c.x.name, IdentityCodec(Finite(_LEVELS, ordered=True, axes=c.x.space.axes)))
        wrapped.append((Dequantised(v, c.parents, family=lambda x, y: twin, samples=1), levels, [twin]))
    if c.judged:
        twins = [copy.deepcopy(c) for _ in range(2)]
        ensemble = Ensemble(c.x, c.parents, families=[lambda x, y: twins[0], lambda x, y: twins[1]])
        wrapped.append((ensemble, x, twins))
    if not wrapped:
        raise DoesNotApply("it has no density to be weighed by, and is not of reals")
    c = copy.deepcopy(c)
    _teach(c, _batches(x, y))
    for wrapper, seen, inner in wrapped:
        _teach(wrapper, _batches(seen, y))
        for twin in inner:
            for (name, mine), its in zip(twin.state_dict().items(), c.state_dict().values(), strict=True):
                assert mine.shape == its.shape and torch.allclose(mine, its, rtol=1e-6, atol=1e-6), (
                    f"{name} is learned otherwise in {type(wrapper).__name__} than alone")


def _batches(x: Entries, y: Observed) -> list[Batch]:
    """Three batches of weights 0, 1, 2."""
    weight = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64).repeat(_ROWS // 3)
    return [(x.rows(i), y.rows(i), weight[i]) for i in torch.arange(_ROWS).split([9, 8, 7])]


def _teach(c: Conditional, batches: Sequence[Batch]) -> None:
    """All lessons in order, a few rounds of plain steps where it descends. What is weighed by was learned too, for what stores
    its items gives no others a probability."""
    for descends, run in itertools.groupby(c.lessons(), lambda lesson: isinstance(lesson, Descend)):
        lessons = list(run)
        if descends:
            _descend(lessons, batches)  # type: ignore[arg-type]
        for lesson in lessons:
            if not isinstance(lesson, Descend):
                lesson.learn(batches[-1:] if isinstance(lesson, Weigh) else batches)


def _descend(sides: Sequence[Descend], train: Sequence[Batch]) -> None:
    for step, side in itertools.product(range(_ROUNDS), sides):
        x, y, weight = train[step % len(train)]
        for turn in range(side.steps):
            loss = (weight * side.loss(x, y, seed=Noise.of(step, y.n).fold(turn))).mean()
            slopes = torch.autograd.grad(loss, list(side.parameters), allow_unused=True)
            with torch.no_grad():
                for p, slope in zip(side.parameters, slopes, strict=True):
                    if slope is not None:
                        p.sub_(_RATE * slope)


LESSON_LAWS: dict[str, Callable[[Conditional], None]] = {"wrapped_learns_as_bare": wrapped_learns_as_bare}
