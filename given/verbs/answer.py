"""Answer: a mean or a quantile of one column, and how it was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from given.distributions import Intractable, Kind, weakest
from given.infer import Within
from given.infer.summary import DRAWS, Summary
from given.variables import UserError, Variable, shown
from given.verbs.checks import check_known, draws_at_once, whole_seed

__all__ = ["Answer", "answered", "plain", "probabilities"]


@dataclass(frozen=True)
class Answer:
    """What was asked of one column.

    Attributes:
        value: of one item a value; of several (items,).
        kind: exact where it follows from the model in closed form, else estimate.
        draws: how many draws it was taken from, or how many its weighted draws are worth, the fewest of all items; None of what
            is exact.
        error: the standard error, in units of the column, of dates a timedelta; of the value's shape. Of the mean of whole
            numbers under a range it is an upper bound. None where there is none.
    """

    value: Any
    kind: Kind
    draws: int | None = None
    error: Any = None

    def __str__(self) -> str:
        return f"{self.value} ({self.how})"

    @staticmethod
    def joined(parts: Sequence[Answer]) -> Answer:
        """Answers of several items each, as one of all."""
        draws = [part.draws for part in parts if part.draws is not None]
        errors = [np.atleast_1d(part.error) for part in parts if part.error is not None]
        return Answer(np.concatenate([np.atleast_1d(part.value) for part in parts]), weakest(part.kind for part in parts),
                      min(draws, default=None), np.concatenate(errors) if errors else None)

    @property
    def how(self) -> str:
        """How it was found, in words."""
        if self.draws is None:
            return "exact"
        found = "" if self.error is None or not np.size(self.error) else ", standard error " + " to ".join(
            dict.fromkeys(_short(e) for e in (np.min(self.error), np.max(self.error))))
        return f"of {self.draws:,} draws{found}"


def answered(query: Any, name: str, ask: Callable[[Variable], Summary], seed: int | None) -> Answer:
    """What is asked of one column, (items, ...): exactly, or of draws, some items at a time."""
    check_known([name], list(query.joint.columns), "column")
    variable, seed = query.joint.columns[name], whole_seed(seed)
    summary, worth, error = ask(variable), list[int](), list[np.ndarray]()
    try:
        parts = list[tuple[torch.Tensor, np.ndarray]]()
        for rows, some in query._parts(query.n):
            parts.append((rows, summary.exact(some)))
            effective = some.effective if isinstance(some, Within) else None
            if effective is not None:
                worth.append(int(effective.min()))
                error += [] if summary.deviation is None else [summary.deviation(some) / np.sqrt(effective.numpy())]
    except Intractable:
        if name in query.joint.conditions:
            raise
        parts, worth, error = [], [DRAWS], []
        for rows, some in query._parts(query.n, max(1, draws_at_once(query.joint) // DRAWS)):
            drawn = variable.codec.decode(some.sample(DRAWS, seed=seed, asked={name})[name])
            parts.append((rows, summary.drawn(drawn)))
            error += [] if summary.error is None else [summary.error(drawn)]
    order = torch.cat([rows for rows, _ in parts]).argsort().numpy()

    def whole(each: list[np.ndarray]) -> Any:
        found = np.concatenate(each)[order]
        return plain(found[0]) if query._single else found

    errors = variable.codec.differences(whole(error)) if len(error) == len(parts) else None
    return Answer(whole([value for _, value in parts]), "estimate" if worth else "exact", min(worth, default=None), errors)


def plain(value: Any) -> Any:
    """A single number or text as a plain one; an array as it is."""
    value = value if np.ndim(value) else np.asarray(value)[()]
    known = isinstance(value, np.number | np.bool_ | np.str_) and not isinstance(value, np.timedelta64)
    return value.item() if known else value


def _short(value: Any) -> str:
    """A standard error to two digits, of times in the longest unit that it fills."""
    if isinstance(value, np.timedelta64):
        seconds = value / np.timedelta64(1, "s")
        units = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
        unit, size = next((each for each in units.items() if seconds >= each[1]), ("seconds", 1))
        return f"{_short(seconds / size)} {unit}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def probabilities(levels: Any, verb: str) -> np.ndarray:
    """A probability between 0 and 1, or several, as (levels,)."""
    try:
        each = np.asarray(levels, dtype=np.float64)
    except (TypeError, ValueError):
        each = np.full((1, 1), np.nan)
    if each.ndim > 1 or not each.size or not ((each > 0) & (each < 1)).all():
        raise UserError(f"{verb}: levels={shown(levels)}; expected probabilities between 0 and 1, as 0.5 or [0.1, 0.5, 0.9]")
    return np.atleast_1d(each)
