"""choosing: which of several models that answer one question goes on learning, by held-out rows.

Each learns for an equal part of a share of the budget, from the same nine tenths of the rows; the rest says which is best, by a
loss of the question itself. So models are set beside one another whose densities are of different kinds, or that have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from given.sources import Source
from given.train import split
from given.verbs.models import Model

__all__ = ["Choice", "choose"]

_SHARE, _HELD = 0.3, 0.1  # of the budget, of the rows
_DEFAULT = 2.0  # minutes, where no budget is named


@dataclass(frozen=True)
class Choice:
    """What held-out rows chose.

    Attributes:
        name: of it.
        model: that has learned for its part of the budget.
        losses: name -> held-out loss, the least first.
        left: what is left of the budget, as options of `Model.fit`.
    """

    name: str
    model: Model
    losses: Mapping[str, float]
    left: Mapping[str, Any]

    def __str__(self) -> str:
        others = ", ".join(f"{name} {loss:.4g}" for name, loss in self.losses.items() if name != self.name)
        if not others:
            return f"{self.name}, the one family here that answers whatever is known"
        return f"{self.name}, by the least loss of held-out rows, {self.losses[self.name]:.4g}; {others}"


def choose(models: Mapping[str, Model], data: Source, loss: Callable[[Model, Source], float], *,
           budget: Mapping[str, Any], seed: int = 0, **training: Any) -> Choice:
    """The model of the least held-out loss.

    Args:
        models: by name, nothing of them learned yet; where there is one, it is chosen, and nothing learned.
        data: rows.
        loss: of a model and held-out rows.
        budget: minutes, cpu_seconds, steps of `Model.fit`; None where not limited.
        seed: of the split and of learning.
        training: further options of `Model.fit`.
    """
    limits = {name: float(value) for name, value in budget.items() if value is not None} or {"minutes": _DEFAULT}
    if len(models) == 1:
        name, model = next(iter(models.items()))
        return Choice(name, model, {}, dict(budget))
    some, held = split(data, _HELD, seed, next(iter(models.values())).joint)
    parts: dict[str, Any] = {name: _whole(name, value * _SHARE / len(models)) for name, value in limits.items()}
    losses = dict[str, float]()
    for name, model in models.items():
        model.fit(some, seed=seed, progress=False, **{"held_out": 0, **training}, **parts)
        losses[name] = loss(model, some if held is None else held)
    order = sorted(losses, key=losses.__getitem__)
    left = {name: _whole(name, value * (1 - _SHARE)) for name, value in limits.items()}
    return Choice(order[0], models[order[0]], {name: losses[name] for name in order}, left)


def _whole(name: str, value: float) -> float:
    return max(1, int(value)) if name == "steps" else value
