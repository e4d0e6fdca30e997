"""Lessons: how a conditional is learned, in order, and the batches it is learned from.

A lesson solves (counts, closed forms, EM), descends by gradient, or weighs on held-out rows. What is counted or solved from
batches ends at their deadline. A wrapper maps the lessons of what it wraps, and keeps their order. No lesson knows a family.
A lesson of a later stage begins when all of the earlier ones are over.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from given.distributions import Noise
from given.variables import Entries, Observed, UserError

__all__ = ["Batch", "Deadline", "Descend", "Lesson", "Loss", "Mapped", "MappedBatches", "Solve", "Weigh", "deadline_of",
           "in_parts", "quasi_newton", "seed_of", "select", "side_by_side"]

Batch = tuple[Entries, Observed, Tensor]
"""x, y and the rows' weights (B,)."""

Mapped = Callable[[Entries, Observed, Noise], tuple[Entries, Observed]]
"""What a wrapper's rows are to the conditional it wraps: x, y and the rows' noise -> its x and y."""

Loss = Callable[..., Tensor]
"""(x, y, seed=noise) -> (B,), never reduced."""

_T = TypeVar("_T")
_NEVER = 1e12  # seconds
_BISECTIONS = 30


class Deadline:
    """When what is counted or solved ends with what it has.

    Args:
        left: the seconds left; when left out it never ends.

    Attributes:
        met: whether something ended for it.
    """

    def __init__(self, left: Callable[[], float] = lambda: math.inf) -> None:
        self._left, self._kept, self.met = left, 0.0, False

    @property
    def left(self) -> float:
        """Seconds, below 0 once it has passed."""
        return min(self._left(), _NEVER) - self._kept

    def allows(self, seconds: float) -> bool:
        """Whether so many are left for what would follow."""
        self.met |= self.left < seconds
        return self.left >= seconds

    def within(self, iterations: Iterable[_T]) -> Iterator[_T]:
        """The first, and as many more as there is time for, if each takes as long as the one before."""
        began = None
        for each in iterations:
            if began is not None and not self.allows(began - self.left):
                return
            began = self.left
            yield each

    @contextmanager
    def part(self, share: float) -> Iterator[None]:
        """In its block, it comes after a share of the time that is left."""
        kept = self._kept
        self._kept += (1 - share) * max(0.0, self.left)
        try:
            yield
        finally:
            self._kept = kept


def seed_of(batches: Iterable[Batch]) -> int:
    """The seed of the fit that a pass over its data belongs to; 0 of any other batches."""
    return int(getattr(batches, "seed", 0))


def deadline_of(batches: Iterable[Any]) -> Deadline:
    """The deadline of the fit that a pass over its data belongs to; of any other batches one that never comes."""
    return getattr(batches, "deadline", None) or Deadline()


def in_parts(moved: Sequence[Tensor], parts: Iterable[Callable[[], Tensor]]) -> Tensor:
    """A sum of losses, with its slopes: one part's graph is kept at a time, so that memory does not grow with their number.

    Args:
        moved: leaves with gradients.
        parts: of them, a single number each.
    """
    total, slopes = torch.zeros((), dtype=torch.float64), [torch.zeros_like(each) for each in moved]
    for part in parts:
        loss = part()
        slopes = [slope + more for slope, more in zip(slopes, torch.autograd.grad(loss, list(moved)), strict=True)]
        total = total + loss.detach()
    return total + sum(((each - each.detach()) * slope).sum() for each, slope in zip(moved, slopes, strict=True))


def quasi_newton(moved: Sequence[Tensor], loss: Callable[[], Tensor], deadline: Deadline, most_steps: int) -> None:
    """Lower a loss of all data by BFGS, in place, until it falls by less than 1e-11 of itself or the time is over.

    Steps satisfy Wolfe's conditions, by bisection. torch.optim loads the compiler torch._dynamo, which takes longer than torch.

    Args:
        moved: float64 leaves with gradients, few.
        loss: of them, a single number.

    Source: Lewis, Overton, Nonsmooth optimization via quasi-Newton methods, 2013 / https://doi.org/10.1007/s10107-012-0514-2
    """
    def at(place: Tensor) -> tuple[float, Tensor]:
        with torch.no_grad():
            for each, part in zip(moved, place.split([each.numel() for each in moved]), strict=True):
                each.copy_(part.view_as(each))
        with torch.enable_grad():
            value = loss()
            slopes = torch.autograd.grad(value, list(moved))
        return float(value.detach()), torch.cat([each.flatten() for each in slopes])

    place = torch.cat([each.detach().flatten() for each in moved])
    value, slope = at(place)
    inverse = torch.eye(len(place), dtype=place.dtype) / max(1.0, float(slope.norm()))
    for k in deadline.within(range(most_steps)):
        ahead = -inverse @ slope
        step, low, high, falls = 1.0, 0.0, math.inf, float(ahead @ slope)
        for _ in range(_BISECTIONS):
            now, then = at(place + step * ahead)
            if not now <= value + 1e-4 * step * falls:
                high = step
            elif float(then @ ahead) < 0.9 * falls:
                low = step
            else:
                break
            step = (low + high) / 2 if high < math.inf else 2 * step
        if not now < value:
            at(place)
            return
        s, y = step * ahead, then - slope
        if (curved := float(s @ y)) > 0:
            inverse = inverse * (curved / float(y @ y) / float(inverse.diagonal().mean())) if k == 0 else inverse
            left = torch.eye(len(s), dtype=s.dtype) - torch.outer(s, y) / curved
            inverse = left @ inverse @ left.T + torch.outer(s, s) / curved
        fell, place, value, slope = value - now, place + s, now, then
        if fell < 1e-11 * max(1.0, abs(now)):
            return


@dataclass(frozen=True)
class MappedBatches:
    """Re-iterable batches made of others at every pass; they belong to the same fit.

    Args:
        batches: the others.
        function: of all of them, in order.
    """

    batches: Iterable[Batch]
    function: Callable[[Iterable[Batch]], Iterable[Batch]]

    def __iter__(self) -> Iterator[Batch]:
        yield from self.function(self.batches)

    @property
    def seed(self) -> int:
        """Of the fit."""
        return seed_of(self.batches)

    @property
    def deadline(self) -> Deadline:
        """Of the fit."""
        return deadline_of(self.batches)


def _each(f: Mapped, batches: Iterable[Batch]) -> Iterator[Batch]:
    """Every batch as a wrapper maps it; the same in every pass, so that EM climbs one hill."""
    first = 0
    for x, y, weight in batches:
        yield *f(x, y, Noise.of(0, y.n, first_row=first, device=y.device)), weight
        first += y.n


@dataclass(frozen=True)
class _FromBatches(abc.ABC):
    """What takes re-iterable batches, whose weights may be responsibilities of a latent."""

    learn: Callable[[Iterable[Batch]], None]
    stage: int = field(default=0, kw_only=True)

    def later(self, stages: int) -> Self:
        """The same lesson so many stages later."""
        return replace(self, stage=self.stage + stages)

    def mapped(self, f: Mapped) -> Self:
        """The same lesson of a wrapper, whose batches `f` turns into the inner conditional's."""
        return replace(self, learn=lambda batches: self.learn(MappedBatches(batches, partial(_each, f))))


@dataclass(frozen=True)
class Solve(_FromBatches):
    """Learn without gradients: count, solve, store.

    Args:
        learn: takes the batches.
        again: whether it may be solved once more from all rows, held-out ones too, once these have weighed something; not where
            a descent only starts from it.
        every_epoch: whether it is solved anew as every epoch of the descent after it begins, on whose weights it depends.
    """

    again: bool = True
    every_epoch: bool = False


@dataclass(frozen=True)
class Weigh(_FromBatches):
    """Learn from held-out batches what training rows would overfit, such as the weights of a mixture; left out without any."""


@dataclass(frozen=True)
class Descend:
    """Learn by gradient. Lessons of the default name take their steps together, as one; others in turns, in the order listed.

    Args:
        parameters: what moves.
        loss: of x and y.
        name: of one side of a game.
        steps: a round.
        betas: how Adam remembers gradients.
        selects: whether the weights whose loss on held-out rows is least are kept; else the last ones are, as a game's losses
            say nothing of its draws.
        stage: of a later one, it begins when all lessons of the stages before are over.
        progress: is called before every step with the share of its budget that is spent, for a loss that changes with it.
    """

    parameters: Sequence[nn.Parameter]
    loss: Loss
    name: str = "model"
    steps: int = 1
    betas: tuple[float, float] = (0.9, 0.98)
    selects: bool = True
    stage: int = 0
    progress: Callable[[float], None] | None = None

    def later(self, stages: int) -> Descend:
        """The same lesson so many stages later."""
        return replace(self, stage=self.stage + stages)

    def mapped(self, f: Mapped) -> Descend:
        """The same lesson of a wrapper, whose rows `f` turns into the inner conditional's."""
        def loss(x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
            noise = Noise.of(seed, y.n, device=y.device)
            return self.loss(*f(x, y, noise), seed=noise)

        return replace(self, loss=loss)


Lesson = Solve | Descend | Weigh


@dataclass(frozen=True)
class select:  # noqa: N801 - written where a number stands, as `slice` is
    """An option that is a number, as the one of a range under which rows held out are likeliest: see `given.selection`.

        partial(GaussianMixture, components=select(1, 30))

    Args:
        first, last: both are in the range: whole numbers, or reals where one of them is.

    Raises:
        UserError: no numbers, or no range.
    """

    first: float
    last: float

    def __post_init__(self) -> None:
        if not all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in (
                self.first, self.last)) or self.first > self.last:
            raise UserError(f"{self}: expected two numbers, the least first, as in select(1, 30)")

    def __repr__(self) -> str:
        return f"select({self.first!r}, {self.last!r})"

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.first, int) and isinstance(self.last, int)

    def spread(self, most: int = 10) -> list[float]:
        """So many numbers over the range, at most, rising: in equal ratios where all are above 0, else in equal steps."""
        shares = [k / (most - 1) for k in range(most)]
        if self.first > 0:
            numbers = [self.first * (self.last / self.first) ** share for share in shares]
        else:
            numbers = [self.first + (self.last - self.first) * share for share in shares]
        return sorted({round(each) for each in numbers} if self.whole else {self.first, *numbers[1:-1], self.last})

    def middle(self, low: float, high: float) -> float:
        """A number between two."""
        if self.whole:
            return int(low + high) // 2
        return math.sqrt(low * high) if self.first > 0 else (low + high) / 2


def side_by_side(each: Iterable[Sequence[Lesson]]) -> list[tuple[int, Lesson]]:
    """Several lists of lessons as one, every lesson with the number of its list: each list in its own order, and of what could
    come next the earliest stage first, of it what is solved first, what is weighed last."""
    left, found = [list(lessons) for lessons in each], list[tuple[int, Lesson]]()

    def turn(lesson: Lesson) -> tuple[int, int]:
        return lesson.stage, (Solve, Descend, Weigh).index(type(lesson))

    while any(left):
        now = min(turn(lessons[0]) for lessons in left if lessons)
        for i, lessons in enumerate(left):
            while lessons and turn(lessons[0]) == now:
                found.append((i, lessons.pop(0)))
    return found
