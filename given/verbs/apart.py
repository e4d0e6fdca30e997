"""apart: the factors of a product, learned one after another, each at a pace of its own.

Factors of a product of conditionals share no weights, and the log p of the product is the sum of theirs. So each may learn by
itself, in batches and at a rate that suit its net, for a share of the budget: a transformer of words wants many rows a step, a
field few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from given.sources import Source
from given.train import FitResult
from given.variables import UserError
from given.verbs.models import Model

__all__ = ["fit_apart"]


def fit_apart(model: Model, data: Source, parts: Mapping[str, Mapping[str, Any]], *, minutes: float | None = None,
              cpu_seconds: float | None = None, steps: int | None = None, checkpoint: str | None = None,
              **options: Any) -> FitResult:
    """Learn the factors of a model in their order.

    Args:
        model: a product of one factor a variable.
        data: as of `Model.fit`.
        parts: the name of a factor's variable -> its `share` of the budget, and options of `Model.fit`; those that are not
            among them divide what is left, by `options`.
        minutes, cpu_seconds, steps: the budget of all; two minutes where none is given.
        checkpoint: a folder, with one of each factor.
        options: of `Model.fit`, of every factor.

    Returns:
        The steps and times of all, and all else as it was of the last.

    Raises:
        UserError: shares of more than the whole, and whatever `Model.fit` raises.
    """
    factors = model.joint.declared
    left = 1 - sum(part["share"] for part in parts.values())
    others = [f for f in factors if f.x.name not in parts]
    if left < 0 or (others and left == 0):
        raise UserError(f"shares of {', '.join(parts)}: expected at most 1 in all, and some for the rest, got {1 - left:g}")
    if minutes is cpu_seconds is steps is None:
        minutes = 2
    done = list[FitResult]()
    for factor in factors:
        own = {"share": left / max(len(others), 1), **parts.get(factor.x.name, {})}
        share = own.pop("share")
        budget: dict[str, Any] = {name: value * share for name, value in (("minutes", minutes), ("cpu_seconds", cpu_seconds))
                                  if value is not None}
        budget |= {} if steps is None else {"steps": max(1, round(steps * share))}
        budget |= {} if checkpoint is None else {"checkpoint": f"{checkpoint}/{factor.x.name}"}
        one = Model(factor)
        done.append(one.fit(data, **{**options, **own, **budget}))
        if done[-1].stopped == "interrupted":
            break
    whole = replace(done[-1], steps=sum(each.steps for each in done), seconds=sum(each.seconds for each in done),
                    cpu_seconds=sum(each.cpu_seconds for each in done))
    model.facts |= {"fitted": True, "fit": {**one.facts["fit"], **asdict(whole)}}
    return whole
