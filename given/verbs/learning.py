"""Learning: what is counted or solved, then what learns by gradient, stage by stage; in the end, how good it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from given.conditional import Conditional, Deadline
from given.families import Autoregressive
from given.joint import Joint
from given.sources import Source, read
from given.train import (
    Batches,
    Budget,
    FactorBatches,
    FitResult,
    Judge,
    Trainer,
    encoded,
    fit,
    made_with,
    maximise_expectation,
    split,
)
from given.variables import Observed
from given.verbs.checks import ENTRIES_AT_ONCE, check_known, count_rows

__all__ = ["Learning", "coherence_gap"]

_FEW_GAPS, _MOST_GAPS, _GAP_ENTRIES = 16, 256, 1 << 12  # rows and entries drawn to see how far orders are apart
_PIECES = 256  # of long held-out items, enough to weigh families by
_FOR_THE_END = 0.08  # of a budget, for the score at its end
_WEIGHED = 512  # held-out rows that families are weighed by, at least
_SMALL = 3_000_000  # parameters up to which a net loses by sharing its work among threads

Beside = Callable[[FitResult, Source, Judge, Callable[[], float]], FitResult]
"""(what was learned, training rows, judge, seconds left) -> the same, set beside a baseline on held-out rows."""


@dataclass
class Learning:
    """One fit of a joint.

    Args:
        joint: what learns.
        source: all rows.
        held_out: a share of them, or rows of the caller's own.
        weight: the column of the rows' weights.
        budget: when to stop.
        batch: rows a step; `default_batch` when left out.
        lr: the highest learning rate.
        seed: of the split, of the order of rows, of noise and dropout.
        options: of `train.fit`: patience, checkpoint, resume, progress.
        training: of `train.Trainer`.
        threads: to learn with; chosen by the net's size when left out.
    """

    joint: Joint
    source: Source
    held_out: Any
    weight: str | None
    budget: Budget
    batch: int | None
    lr: float
    seed: int
    options: Mapping[str, Any]
    training: Mapping[str, Any]
    threads: int | None = None
    began: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))

    def __post_init__(self) -> None:
        self.counted, self.cut = 0.0, False  # seconds of counting and solving; whether it ended for want of more
        self.shared = isinstance(self.held_out, int | float)
        self.train, self.valid = (split(self.source, self.held_out, self.seed, self.joint) if self.shared
                                  else (self.source, read(self.held_out)))
        if self.weight is not None:
            check_known([self.weight], self.source.names, "weight")
        self.size = _default_batch(self.joint) if self.batch is None else self.batch
        self.batches = Batches(self.joint, self.train, self.size, self.seed, self.weight)

    def run(self, beside: Beside) -> tuple[FitResult, dict[str, Any]]:
        """Learn; the result, and the facts of the fit that a model keeps."""
        before = torch.get_num_threads()
        small = sum(p.numel() for p in self.joint.parameters()) <= _SMALL
        torch.set_num_threads(self.threads or (1 if small else before))
        try:
            done, judge = self._stages()
            self.joint.eval()
            done, recounted = self._concluded(done, judge, beside)
        finally:
            torch.set_num_threads(before)
        return done, {"seed": self.seed, "batch": self.size, "lr": self.lr, "rows": count_rows(self.source),
                      "share": self.held_out if self.shared else 0, "weight": self.weight, "recounted": recounted,
                      "cut_short": self.cut,
                      "coherence_gap": coherence_gap(self.joint, self.train if self.valid is None else self.valid, self.seed)}

    def _stages(self) -> tuple[FitResult, Judge | None]:
        """All stages of the joint in turn, each with an equal part of the budget; the last one's result and judge."""
        done, judge, stages = None, None, self.joint.stages
        budget = self.budget.times(1.0 if self.valid is None else 1 - _FOR_THE_END).shared(len(stages))
        for i in range(len(stages)):
            judge = None if self.valid is None else Judge(self.joint, self.valid, self.weight, i, first=self.size)
            done = self._stage(i, budget, judge)
        if done is not None:
            return done, judge
        judge = None if self.valid is None else Judge(self.joint, self.valid, self.weight)
        end = self._deadline(self.budget.times(1 - _FOR_THE_END / 2), self.began)
        before = end.left
        held = None if judge is None else judge.score(lambda rows: end.left >= before - end.left)
        return FitResult(0, *self._elapsed(self.began), "budget" if self.cut else "closed form", held, ()), judge

    def _stage(self, i: int, budget: Budget, judge: Judge | None) -> FitResult | None:
        """What a stage's factors count or solve, then what they learn by gradient; None where nothing is."""
        stages, since = self.joint.stages, self.began if i == 0 else (time.perf_counter(), time.process_time())
        again = self.shared and self.valid is not None and any(map(self._weighed, stages[i]))  # counting costs as much again
        self._count(i, self._deadline(budget.times(0.5) if again else budget, since))
        left = budget.without(*self._elapsed(since)) if again else budget
        trainer = Trainer(self.joint, self.batches, left, stage=i, seed=self.seed, lr=self.lr, since=since, **self.training)
        if not trainer.players:
            return None
        options = dict(self.options)
        made = None
        if (place := options.get("checkpoint")) is not None:
            made = made_with(self.joint, self.source, {
                "seed": self.seed, "batch": self.size, "lr": self.lr, "weight": self.weight,
                "held_out": self.held_out if self.shared else "rows of its own", **self.training})
            options["checkpoint"] = place if len(stages) == 1 else f"{os.fspath(place)}-{i}"
        return fit(trainer, judge, made_with=made, **options)

    def _count(self, i: int, deadline: Deadline) -> None:
        """What a stage's factors count or solve, in equal parts of the time that is left, one of them for what learns by
        gradient."""
        self.batches.deadline, before = deadline, deadline.left
        todo: list[Callable[[], object]] = [partial(factor.estimate, self.batches.pass_for(factor))
                                            for factor in self.joint.stages[i] if not self.joint.touches_latent(factor)]
        if i == 0 and self.joint.summed:
            todo.append(partial(maximise_expectation, self.batches, seed=self.seed))
        for k, each in enumerate(todo):
            with deadline.part(1 / (len(todo) - k + bool(self.joint.players(i)))):
                each()
        self.counted += before - deadline.left
        self.cut |= deadline.met

    def _deadline(self, budget: Budget, since: tuple[float, float]) -> Deadline:
        """When its time will be spent."""
        return Deadline(lambda: budget.left(*self._elapsed(since)))

    def _elapsed(self, since: tuple[float, float]) -> tuple[float, float]:
        """Seconds of wall and of processor time since then."""
        return time.perf_counter() - since[0], time.process_time() - since[1]

    def _weighed(self, factor: Conditional) -> bool:
        """Whether a factor is weighed on held-out rows, and counted once more after that."""
        return factor.calibrates and not self.joint.touches_latent(factor)

    def _concluded(self, done: FitResult, judge: Judge | None, beside: Beside) -> tuple[FitResult, bool]:
        """What is weighed on held-out rows weighed, the model set beside its baseline on them, and what may be counted on all
        rows of the source counted once more; and whether something was."""
        weighed = [f for f in self.joint if self._weighed(f)]
        if judge is None:
            return done, False
        minutes, cpu_seconds = self.budget.minutes, self.budget.cpu_seconds
        clock = time.perf_counter if minutes is not None else time.process_time
        allowed = max(1.0, _FOR_THE_END * (done.seconds if minutes is not None else done.cpu_seconds))
        until = clock() + min([allowed, *(_FOR_THE_END * s for s in ((minutes or 0) * 60, cpu_seconds) if s)])
        end = self._deadline(self.budget, self.began)
        if weighed:
            some = judge.rows if judge.long else judge.rows.rows(slice(max(judge.size or 0, _WEIGHED)))
            for factor in weighed:
                factor.calibrate(FactorBatches(self.joint, some, self.size, self.weight, factor, most=_PIECES))
            again = Judge(self.joint, judge.rows, self.weight, first=self.size, size=judge.size)
            done = replace(done, held_out=again.score())
        done = beside(done, self.train, judge, lambda: min(until - clock(), end.left))
        if not self.shared or self.cut or not end.allows(self.counted):
            return done, False
        for factor in weighed:  # now that they are weighed and scored
            factor.estimate(FactorBatches(self.joint, self.source, self.size, self.weight, factor, seed=self.seed))
        return done, bool(weighed)


@torch.no_grad()
def coherence_gap(joint: Joint, data: Source, seed: int) -> float | None:
    """`Autoregressive.coherence_gap` of the factors that learned every order, summed; None where there are none."""
    found = list[float]()
    for factor in joint:
        if isinstance(factor, Autoregressive) and factor.any_order and not joint.touches_latent(factor):
            n = min(_MOST_GAPS, max(_FEW_GAPS, _GAP_ENTRIES // factor.x.space.dimensions))
            names = [v.name for v in factor.parents]
            batch = next(encoded(joint, data, n, names=names)) if names else None
            y = Observed(n=n) if batch is None else joint.y(factor, batch.entries, batch.n)
            found.append(factor.coherence_gap(y, seed=seed))
    return sum(found) if found else None


def _default_batch(joint: Joint) -> int:
    """Rows a step: 32 of at most 65,536 entries, or as many windows as hold 2,048 entries along their axis."""
    return max(1, min(32, ENTRIES_AT_ONCE // joint.dimensions) if joint.axis is None else 2048 // joint.axis.size)
