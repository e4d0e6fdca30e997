"""Conditional: the learnable p(x | y). THE abstraction; everything below serves it, everything above combines it.

A family is a subclass. One that learns by maximum likelihood writes `forward` alone. Others add `loss` (a bound, a
regression), `estimate` (counting, closed forms, EM) or `players` (games); the training loop asks nothing else.
"""

from __future__ import annotations

import abc
import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from given.distributions import Distribution, Noise
from given.variables import Entries, Finite, Observed, UserError, Variable, built_with, check_pickles

__all__ = ["Batch", "Conditional", "Deadline", "Encodes", "MappedBatches", "Player", "deadline_of", "factor_name", "quoted",
           "seed_of", "state_of", "states"]

Batch = tuple[Entries, Observed, Tensor]
"""x, y and the rows' weights (B,)."""

_T = TypeVar("_T")
_MOST_STATES = 100_000
_NEVER = 1e12  # seconds


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


@dataclass(frozen=True)
class Player:
    """One side of the learning: its parameters, its loss, its steps a round, and how Adam remembers gradients.

    The loss of a conditional's player maps (x, y, seed) to (B,); that of a joint's maps (entries, n, seed) to one such
    tensor a factor.
    """

    name: str
    parameters: list[nn.Parameter]
    loss: Callable[..., Any]
    steps: int = 1
    betas: tuple[float, float] = (0.9, 0.98)


class Conditional(nn.Module, abc.ABC):
    """A learnable conditional p(x | y).

    Args:
        x: the variable left of the bar.
        parents: the variable or variables right of it.

    Options of a family are keyword-only. What a conditional was built with is kept in `arguments`, for saving.
    """

    arguments: Mapping[str, Any]
    adaptive: float | bool | None = False
    """Whether scoring an item also learns from it; a score of such a family is marked adaptive."""
    on_lines = False
    """Whether its name promises a distribution of the numbers themselves, so that a codec inferred for it bends none."""

    def __new__(cls, *args: Any, **options: Any) -> Conditional:
        return built_with(super().__new__(cls), args, options)

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = ()) -> None:
        super().__init__()
        self.x = x
        self.parents = (parents,) if isinstance(parents, Variable) else tuple(parents)
        names = [x.name, *(v.name for v in self.parents)]
        if len(set(names)) < len(names):
            raise UserError(f"{factor_name(x.name, names[1:])}: a name is used twice; a variable has one place in a factor")

    def __deepcopy__(self, memo: dict[int, Any]) -> Conditional:
        """A copy with weights of its own; its variables are the same."""
        memo |= {id(v): v for v in (self.x, *self.parents)}
        twin = nn.Module.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """By its arguments and its weights, as it is saved."""
        check_pickles(self.arguments, str(self))
        return _conditional, (type(self), dict(self.arguments), self.state_dict(), self.training)

    @abc.abstractmethod
    def forward(self, y: Observed) -> Distribution:
        """p(x | y): a distribution of B rows, one for each row of y."""

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        """(B,) what learning minimises, never reduced; -log p(x | y) unless the family says otherwise.

        `seed` is of the noise an estimate draws; the loop hands in a new one at every step.
        """
        return -self(y).log_prob(x, seed=seed)

    def estimate(self, batches: Iterable[Batch]) -> None:
        """Learn without gradients from re-iterable batches; by default there is nothing of the kind to learn.

        What takes several passes makes as many as `deadline_of(batches)` allows, and ends with what it has.
        """

    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Learn from held-out batches what training rows would overfit, such as the weights of a mixture. Called once, after
        learning; does nothing by default."""

    @property
    def calibrates(self) -> bool:
        """Whether `calibrate` has anything to set."""
        return type(self).calibrate is not Conditional.calibrate

    def players(self) -> list[Player]:
        """The players that learn by gradient, in order. By default one with all parameters, or none where there are none."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        return [Player("model", parameters, self.loss)] if parameters else []

    def __str__(self) -> str:
        return factor_name(", ".join(map(quoted, self.x.columns)), [v.name for v in self.parents])


def _conditional(cls: type[Conditional], arguments: Mapping[str, Any], weights: Mapping[str, Tensor],
                 training: bool) -> Conditional:
    with torch.random.fork_rng(devices=[]):
        conditional = cls(**arguments)
    conditional.load_state_dict(weights)
    return conditional.train(training)


@runtime_checkable
class Encodes(Protocol):
    """A conditional that finds the value of a latent parent for x."""

    def encode(self, x: Entries, y: Observed) -> Entries:
        """(B, *grid of the latent)."""


def factor_name(left: str, parents: Sequence[str] = ()) -> str:
    """`p(left | parents)` as it is printed.

    >>> factor_name("image", ["label"])
    'p(image | label)'
    """
    return f"p({left} | {', '.join(map(quoted, parents))})" if parents else f"p({left})"


def quoted(name: str) -> str:
    """A name as a formula writes it: in backticks unless it is an identifier."""
    return name if name.isidentifier() else f"`{name}`"


def states(parents: Sequence[Variable], who: str) -> int:
    """How many values finite parents take together; 1 without parents.

    Raises:
        UserError: a parent is not finite, or there are too many values to count apart.
    """
    for v in parents:
        if not isinstance(v.space, Finite):
            raise UserError(f"{who}: expected parents with finitely many values, got {v.name}: {v.space}; "
                            "use a family with a net, such as Autoregressive")
    number = math.prod(v.space.size ** v.space.dimensions for v in parents)  # type: ignore[attr-defined]
    if number > _MOST_STATES:
        raise UserError(f"{who}: its parents take {number:.3g} values, too many to count apart; use a family with a net")
    return number


def seed_of(batches: Iterable[Batch]) -> int:
    """The seed of the fit that a pass over its data belongs to; 0 of any other batches."""
    return int(getattr(batches, "seed", 0))


def deadline_of(batches: Iterable[Batch]) -> Deadline:
    """The deadline of the fit that a pass over its data belongs to; of any other batches one that never comes."""
    return getattr(batches, "deadline", None) or Deadline()


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


def state_of(parents: Sequence[Variable], y: Observed) -> Tensor:
    """(B,) int64: the value of finite parents as one number below `states(parents)`."""
    state = torch.zeros(y.n, dtype=torch.int64)
    for v in parents:
        x = y[v.name]
        if not x.complete:
            raise UserError(f"{v.name}: a parent has unseen entries; give it whole, or ask with given(...) and a factor for it")
        assert isinstance(v.space, Finite)
        for entry in torch.where(x.readable, x.tensor, 0).reshape(y.n, -1).unbind(1):  # padding is no value
            state = state.to(entry.device) * v.space.size + entry
    return state
