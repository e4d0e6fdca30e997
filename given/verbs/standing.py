"""Standing: how much better than its baseline a fitted model is, on as many held-out rows as say it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from given.codecs import Time
from given.distributions import Intractable
from given.evaluate import Score, weighted_mean
from given.joint import Joint
from given.sources import Columns, Source

__all__ = ["Standing", "beginning", "order_ignored"]

_FIRST = 32  # rows that are scored in any case, unless two of them take longer than a moment
_MOMENT = 1.0  # seconds
_ENOUGH = 256  # rows that may be, at least, if they decide

Scorer = Callable[[Columns], Score]


@dataclass
class Standing:
    """A model's score of rows and its baseline's, of the same ones.

    Attributes:
        n: rows that were scored.
        margin: how much more log p they have than under the baseline, in nats an item; nan without a baseline.
        error: its standard error, of the paired differences; nan where it is not known.
        own, other: the scores; `other` is None without a baseline.
    """

    n: int = 0
    margin: float = math.nan
    error: float = math.nan
    own: list[Score] = field(default_factory=list)
    other: list[Score] = field(default_factory=list)

    @classmethod
    def of(cls, joint: Joint, rows: Columns, score: Scorer, baseline: Scorer | None, left: Callable[[], float],
           weight: str | None = None) -> Standing | None:
        """Rows are doubled until the margin is four times its standard error and precise, or no time is left; None where the
        model has no density.

        Args:
            joint: what was fitted.
            rows: held-out rows, the first of which are a sample of all.
            score, baseline: what scores them.
            left: the seconds left.
            weight: the column of the rows' weights.
        """
        found = cls()
        while found.n < rows.n:
            size, began = max(found.n, 2 if found.n == 0 else _FIRST - 2), left()
            some = rows.rows(slice(found.n, found.n + size))
            try:
                weights = None if weight is None else some[weight].astype(np.float64)
                found.own.append(replace(score(some), weights=weights))
                found.other += [replace(baseline(some), weights=weights)] if baseline is not None else []
            except Intractable:
                return None
            found._add(some.n)
            enough = found.n >= _ENOUGH and found.error <= 0.01 * joint.dimensions and 4 * found.error <= abs(found.margin)
            cost = began - left()
            if enough or (left() < 2 * cost and (found.n >= _FIRST or cost > _MOMENT)):
                break
        return found

    def _add(self, rows: int) -> None:
        self.n += rows
        mine, its = (np.concatenate([s.items for s in each]) if each else np.zeros(self.n) for each in (self.own, self.other))
        with np.errstate(invalid="ignore"):  # what is impossible under both says nothing
            apart = np.where(mine == its, 0.0, mine - its)
        self.margin, self.error = weighted_mean(apart, self.own[0].joined(self.own[1:]).weights)

    def scores(self, baseline: str) -> dict[str, Score]:
        """The score of all rows, and the baseline's under its name."""
        mine = _joined(self.own)
        its = {baseline: replace(_joined(self.other), conditioned_on=mine.conditioned_on)} if self.other else {}
        return {"this model": mine, **its}


def _joined(scores: list[Score]) -> Score:
    return scores[0].joined(scores[1:]) if len(scores) > 1 else scores[0]


def beginning(joint: Joint, rows: Columns, score: Scorer, left: Callable[[], float]) -> Columns:
    """As much of the start of a single long item as there is time to score."""
    def first(share: float) -> Columns:
        return Columns({**rows, **{name: joint.columns[name].codec.part(rows[name], 0, share) for name in joint.windowed}})

    probe, began = min(1.0, (1 << 12) / max(len(rows[name][0]) for name in joint.windowed)), left()
    score(first(probe))
    share = max(1.0, left() / max(1e-6, began - left()) / 2) * probe
    return rows if share >= 1 else first(share)


def order_ignored(joint: Joint, source: Source) -> str:
    """A line that says so where rows stand in the order of a column of times: they are learned as independent."""
    times = [name for name, v in joint.columns.items() if isinstance(v.codec, Time) and name in source.names]
    last, first = dict.fromkeys(times, -math.inf), 0
    for batch in source.runs() if times else ():
        for name in list(last):
            x = joint.columns[name].encode(batch, first)
            t = x.tensor[x.scored].double()
            if (t.diff(prepend=torch.tensor([last[name]], dtype=torch.float64)) < 0).any():
                del last[name]
            elif len(t):
                last[name] = float(t[-1])
        first += batch.n
    if not last or first < 3:
        return ""
    name = next(iter(last))
    return (f"{name}: the rows stand in its order, which is ignored: rows are learned as independent, and those held out "
            "are drawn at random; to be judged on what comes later, fit without the last rows and score those")
