"""Conditional: the learnable p(x | y). THE abstraction; everything below serves it, everything above combines it.

A family is a subclass. One that learns by maximum likelihood writes `forward` alone. Others write `loss` (a bound, a
regression), or list their `lessons` in order: what is solved (counts, closed forms, EM), what descends (a game has two), what
is weighed on held-out rows. Whatever teaches a conditional asks nothing else.
"""

from __future__ import annotations

import abc
import copy
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.distributions import Distribution, Noise
from given.lessons import Batch, Descend, Lesson, Solve, Weigh, select
from given.variables import Entries, Finite, Observed, Space, UserError, Variable, built_with, check_pickles

__all__ = ["Chooses", "Conditional", "Decodes", "Encodes", "device_of", "factor_name", "free_name", "indicators", "quoted",
           "state_of", "states", "teach", "vectors_of"]

_MOST_STATES = 100_000


class Conditional(nn.Module, abc.ABC):
    """A learnable conditional p(x | y).

    Args:
        x: the variable left of the bar.
        parents: the variable or variables right of it.

    Options of a family are keyword-only. What a conditional was built with is kept in `arguments`, for saving.
    """

    arguments: Mapping[str, Any]
    on_lines = False
    """Whether its name promises a distribution of the numbers themselves, so that a codec inferred for it bends none."""

    in_own_units = False
    """Whether it is of numbers in their own units, so that a codec inferred for it leaves them as they are."""

    plans: tuple[str, ...] = ()
    """Buffers that the host reads, and that stay with it when the rest moves to another device."""
    remembers = True
    """Whether a draw remembers what a net made of every entry; where not, many more are drawn at once."""
    waits = ""
    """Why its steps or draws wait for the host, wherever its rows are; nothing where they do not."""
    never = ""
    """What has no probability under it and can stand in data, with the way out; nothing where all has some."""
    selectable: tuple[str, ...] = ()
    """Options that rows held out may choose, by `select`."""

    def __new__(cls, *args: Any, **options: Any) -> Conditional:
        return built_with(super().__new__(cls), args, options)

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = ()) -> None:
        super().__init__()
        self.x = x
        self.parents = (parents,) if isinstance(parents, Variable) else tuple(parents)
        names = [x.name, *(v.name for v in self.parents)]
        if len(set(names)) < len(names):
            raise UserError(f"{factor_name(x.name, names[1:])}: a name is used twice; a variable has one place in a factor")
        for name, value in self.arguments.items():
            if isinstance(value, select) and name not in self.selectable:
                raise UserError(f"{type(self).__name__} {x.name}: {name}={value}: rows held out choose {name} of no "
                                f"{type(self).__name__}; pass a value, or choose components of GaussianMixture or KMeans, or "
                                "factors of ProbabilisticPCA or FactorAnalysis")

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

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        kept = {name: self._buffers[name] for name in self.plans}
        super()._apply(*args, **kwargs)
        self._buffers.update(kept)
        return self

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return device_of(self)

    @property
    def curve(self) -> list[tuple[float, ...]]:
        """What was tried of an option that rows left out of learning chose, each with their mean log p; else nothing."""
        tried = self._buffers.get("tried")
        return [] if tried is None else [tuple(each) for each in tried.tolist()]

    @abc.abstractmethod
    def forward(self, y: Observed) -> Distribution:
        """p(x | y): a distribution of B rows, one for each row of y."""

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        """(B,) what descends unless `lessons` list another loss, never reduced; -log p(x | y) unless the family says otherwise.

        `seed` is of the noise an estimate draws; a step's is keyed by its rows' numbers in the whole batch.
        """
        return -self(y).log_prob(x, seed=seed)

    def lessons(self) -> Sequence[Lesson]:
        """How it is learned, in order. By default all parameters descend on `loss`; nothing where there are none."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        return [Descend(parameters, self.loss)] if parameters else []

    @property
    def judged(self) -> bool:
        """Whether held-out losses say how good it is; not of a game."""
        return all(lesson.selects for lesson in self.lessons() if isinstance(lesson, Descend))

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
    """A conditional with a representation: of its own, or of a latent parent."""

    def encode(self, x: Entries, y: Observed) -> Distribution:
        """The distribution of the latent, B rows; a `Point` where the encoder has no noise."""


@runtime_checkable
class Decodes(Encodes, Protocol):
    """A conditional whose representation is a latent of its own: it has p(z | y), and makes x of z."""

    def latent(self, y: Observed) -> Distribution:
        """p(z | y), B rows: where the codes of data lie."""

    def decode(self, z: Entries, y: Observed) -> Entries:
        """The x that z stands for: (B, *grid)."""


@runtime_checkable
class Chooses(Protocol):
    """A conditional that knows how candidates for x compare, and nothing of all that x might be."""

    def among(self, x: Variable) -> Conditional:
        """The same conditional of other candidates, all that x may be."""


def device_of(module: nn.Module) -> torch.device:
    """Where a module's weights are; plans apart, which stay with the host."""
    for part in module.modules():
        plans = getattr(part, "plans", ())
        for name, t in itertools.chain(part._parameters.items(), part._buffers.items()):
            if t is not None and name not in plans:
                return t.device
    return torch.device("cpu")


def factor_name(left: str, parents: Sequence[str] = ()) -> str:
    """`p(left | parents)` as it is printed.

    >>> factor_name("image", ["label"])
    'p(image | label)'
    """
    return f"p({left} | {', '.join(map(quoted, parents))})" if parents else f"p({left})"


def quoted(name: str) -> str:
    """A name as a formula writes it: in backticks unless it is an identifier."""
    return name if name.isidentifier() else f"`{name}`"


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """A name that no variable has: the one wanted, with as many `_` behind as it takes."""
    return wanted if wanted not in taken else free_name(f"{wanted}_", taken)


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


def teach(conditional: Conditional, batches: Iterable[Batch], kind: type[Solve] | type[Weigh] = Solve, *,
          again: bool = False) -> None:
    """Let a conditional learn all its lessons of one kind from re-iterable batches; `again`, those that may be solved anew."""
    for lesson in conditional.lessons():
        if isinstance(lesson, kind) and not (again and isinstance(lesson, Solve) and not lesson.again):
            lesson.learn(batches)


def state_of(parents: Sequence[Variable], y: Observed) -> Tensor:
    """(B,) int64: the value of finite parents as one number below `states(parents)`."""
    state = torch.zeros(y.n, dtype=torch.int64, device=y.device)
    for v in parents:
        x = y[v.name]
        if not x.complete:
            raise UserError(f"{v.name}: a parent has unseen entries; give it whole, or ask with given(...) and a factor for it")
        assert isinstance(v.space, Finite)
        for entry in torch.where(x.readable, x.tensor, 0).reshape(y.n, -1).unbind(1):  # padding is no value
            state = state * v.space.size + entry
    return state


def vectors_of(parents: Sequence[Variable], y: Observed) -> Tensor:
    """(B, F) float64 numbers of all parents, NaN where they are unseen; a symbol without order is its indicators."""
    found = list[Tensor]()
    for v in parents:
        flat = y[v.name].flat(v.space)
        value = torch.where(flat.readable, flat.tensor, torch.nan)
        for (_, part), piece in zip(v.space.parts, value.split([part.dimensions for _, part in v.space.parts], 1), strict=True):
            if (V := indicators(part)) > 1:
                hot = F.one_hot(piece.nan_to_num().long(), V).double()
                piece = torch.where(piece.isnan()[..., None], torch.nan, hot).flatten(1)
            found.append(piece)
    return torch.cat(found, 1)


def indicators(part: Space) -> int:
    """Numbers an entry of a space takes in `vectors_of`: its indicators where it is a symbol without order."""
    return part.size if isinstance(part, Finite) and not part.ordered else 1
