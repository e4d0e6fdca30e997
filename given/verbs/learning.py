"""Learning: the lessons of all factors, stage by stage and in order; in the end, how good the model is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from given.conditional import Conditional
from given.distributions import Intractable
from given.families import Autoregressive
from given.joint import Joint
from given.lessons import Deadline, Descend, Lesson, Solve, Weigh
from given.sources import Source, read
from given.train import (
    Batches,
    Budget,
    FactorBatches,
    FitResult,
    Judge,
    Trainer,
    coded,
    encoded,
    expectation,
    fit,
    made_with,
    maximise_expectation,
    split,
)
from given.variables import Observed
from given.verbs.checks import ENTRIES_AT_ONCE, check_known, count_rows
from given.verbs.watching import Watch

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
        watch: the folder that sheets of draws are written to, if any.
        training: of `train.Trainer`.
        threads: to learn with; chosen by the net's size when left out.
        device: where gradients are worked out and held-out rows scored; what is counted or solved is on the processor.
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
    device: torch.device = torch.device("cpu")  # noqa: RUF009
    watch: str | os.PathLike[str] | None = None
    began: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))

    def __post_init__(self) -> None:
        self.counted, self.cut = 0.0, False  # seconds of counting and solving; whether it ended for want of more
        if self.weight is not None:
            check_known([self.weight], self.source.names, "weight")
        self.source = self.source.only(wanted := {*self.joint.columns, self.weight or ""})
        self.shared = isinstance(self.held_out, int | float)
        self.train, self.valid = (split(self.source, self.held_out, self.seed, self.joint) if self.shared
                                  else (self.source, read(self.held_out).only(wanted)))
        self.size = _default_batch(self.joint) if self.batch is None else self.batch
        self.batches = Batches(self.joint, self.train, self.size, self.seed, self.weight)
        self.ended = self.began
        self.watching = None if self.watch is None else Watch(self.joint, self.watch, self.valid or self.train, self.seed)

    def run(self, beside: Beside) -> tuple[FitResult, dict[str, Any]]:
        """Learn; the result, and the facts of the fit that a model keeps."""
        before = torch.get_num_threads()
        small = sum(p.numel() for p in self.joint.parameters()) <= _SMALL
        torch.set_num_threads(self.threads or (1 if small else before))
        try:
            done, judge = self._learned()
            if self.watching is not None:
                self.watching.conclude()
            self.joint.to(self.device).eval()
            done = self._concluded(done, judge, beside)
            counted = self._counted_on_all()
        finally:
            torch.set_num_threads(before)
        return done, {"seed": self.seed, "batch": self.size, "lr": self.lr, "rows": count_rows(self.source),
                      "share": self.held_out if self.shared else 0, "weight": self.weight, "counted_on_all": counted,
                      "cut_short": self.cut,
                      "coherence_gap": coherence_gap(self.joint, self.train if self.valid is None else self.valid, self.seed)}

    def _learned(self) -> tuple[FitResult | None, Judge | None]:
        """All lessons, stage by stage and in order, each descent with an equal part of the budget. The last descent's result
        and its judge, where there are any."""
        done, judge, since, anew = None, None, self.began, list[Callable[[], None]]()
        runs = self.joint.lessons()
        descents = sum(isinstance(run[0][1], Descend) for run in runs)
        budget = self.budget.times(1.0 if self.valid is None else 1 - _FOR_THE_END).shared(max(1, descents))
        if not descents:
            self._descend([], budget, None, [], since, "")  # which checks its options
        number, again = 0, self._counts_again
        for run in runs:
            stage = self._stage(runs, run[0][1].stage)
            if descending := [(f, lesson) for f, lesson in run if isinstance(lesson, Descend)]:
                judge = self._judge(stage, descending)
                left = budget.without(*self._elapsed(since)) if again else budget
                then = self._descend(descending, left, judge, anew, since, str(number) if descents > 1 else "")
                done = then if done is None else then and _both(done, then)
                since, number, anew = (time.perf_counter(), time.process_time()), number + 1, []
            elif weighing := [(f, lesson) for f, lesson in run if isinstance(lesson, Weigh)]:
                judge = self._weigh(stage, weighing, judge)
            else:
                deadline = self._deadline(budget.times(0.5) if again else budget, since)
                solving = [(f, lesson) for f, lesson in run if isinstance(lesson, Solve)]
                anew += self._solve(solving, deadline, number < descents)
        return done, judge

    def _stage(self, runs: Sequence[Sequence[tuple[Conditional, Lesson]]], stage: int) -> list[Conditional]:
        """Who learns in a stage, and what learns nothing beside it."""
        learning = {f for run in runs for f, lesson in run if lesson.stage == stage}
        return [f for f in self.joint if f in learning or (not f.lessons() and self.joint.stage[f] == stage)]

    def _solve(self, run: Sequence[tuple[Conditional, Solve]], deadline: Deadline, more: bool) -> list[Callable[[], None]]:
        """Count and solve, by expectation maximisation behind a latent that is summed out; in equal parts of the time that is
        left, one of them for what descends after it, if anything does. Returns what is solved anew every epoch."""
        self.batches.deadline, before = deadline, deadline.left
        todo: list[Callable[[], object]] = [partial(self._learn, f, lesson, self.train, deadline) for f, lesson in run
                                            if not self.joint.touches_latent(f)]
        if len(todo) < len(run):
            self.joint.to("cpu")
            todo.append(partial(maximise_expectation, self.batches, seed=self.seed))
        for k, each in enumerate(todo):
            with deadline.part(1 / (len(todo) - k + more)):
                each()
        self.counted += before - deadline.left
        self.cut |= deadline.met
        return [partial(self._learn, f, lesson, self.train, deadline) for f, lesson in run if lesson.every_epoch]

    def _learn(self, factor: Conditional, lesson: Solve | Weigh, data: Source, deadline: Deadline | None = None,
               most: int | None = None) -> None:
        """A factor's lesson of some rows: by responsibility behind a latent that is summed out."""
        device, shares = self.joint.device, None
        self.joint.to("cpu")
        if self.joint.touches_latent(factor):
            shares = expectation(Batches(self.joint, data, self.size, self.seed, self.weight))[0]
        lesson.learn(FactorBatches(self.joint, data, self.size, self.weight, factor, most=most, shares=shares, seed=self.seed,
                                   deadline=deadline))
        self.joint.to(device)

    def _descend(self, run: Sequence[tuple[Conditional, Descend]], budget: Budget, judge: Judge | None,
                 anew: Sequence[Callable[[], None]], since: tuple[float, float], name: str) -> FitResult | None:
        """Learn by gradient; `name` is of its checkpoint where there are several."""
        self.joint.to(self.device)
        later = [f for f, lesson in run if lesson.stage]
        batches = coded(self.batches, later) if later else self.batches
        trainer = Trainer(self.joint, batches, budget, lessons=run, seed=self.seed, lr=self.lr, anew=anew, since=since,
                          **self.training)
        if not run:
            return None
        options, made = dict(self.options), None
        if (place := options.get("checkpoint")) is not None:
            made = made_with(self.joint, self.source, {
                "seed": self.seed, "batch": self.size, "lr": self.lr, "weight": self.weight,
                "held_out": self.held_out if self.shared else "rows of its own", **self.training})
            options["checkpoint"] = f"{os.fspath(place)}-{name}" if name else place
        watch = None if self.watching is None else partial(self.watching, part=name)
        return fit(trainer, judge, made_with=made, watch=watch, **options)

    def _judge(self, stage: Sequence[Conditional], run: Sequence[tuple[Conditional, Descend]]) -> Judge | None:
        """Who selects the weights of a descent: the held-out loss of its lessons, and of the stage's factors that have none."""
        selecting = [(f, lesson.loss) for f, lesson in run if lesson.selects]
        if self.valid is None or not selecting:
            return None
        solved = [(f, f.loss) for f in stage if f not in {f for f, _ in run}]
        return Judge(self.joint, self.valid, self.weight, [*selecting, *solved], first=self.size)

    def _weigh(self, stage: Sequence[Conditional], run: Sequence[tuple[Conditional, Weigh]],
               judge: Judge | None) -> Judge | None:
        """Weigh on held-out rows, if there are any, as many as the stage is judged by; and its judge."""
        if self.valid is None:
            return None
        if judge is None:
            judge = Judge(self.joint, self.valid, self.weight, [(f, f.loss) for f in stage if f.judged])
            self._score(judge)
        some = judge.rows if judge.long else judge.rows.rows(slice(max(judge.size or 0, _WEIGHED)))
        for factor, lesson in run:
            self._learn(factor, lesson, some, most=_PIECES)
        return judge

    def _score(self, judge: Judge) -> float:
        """Of as many rows as there is time for."""
        end = self._deadline(self.budget.times(1 - _FOR_THE_END / 2), self.began)
        before = end.left
        return judge.score(lambda rows: end.left >= before - end.left)

    def _deadline(self, budget: Budget, since: tuple[float, float]) -> Deadline:
        """When its time will be spent."""
        return Deadline(lambda: budget.left(*self._elapsed(since)))

    def _elapsed(self, since: tuple[float, float]) -> tuple[float, float]:
        """Seconds of wall and of processor time since then."""
        return time.perf_counter() - since[0], time.process_time() - since[1]

    @property
    def _counts_again(self) -> bool:
        """Whether what is counted is counted once more, on all rows, after held-out rows have weighed it."""
        return self.shared and self.valid is not None and any(map(_weighed, self.joint))

    def _concluded(self, done: FitResult | None, judge: Judge | None, beside: Beside) -> FitResult:
        """The score of what is weighed or was only solved, and the model set beside its baseline on held-out rows."""
        judged, final = all(f.judged for f in self.joint), done is None or any(map(_weighed, self.joint))
        if done is None:
            done = FitResult(0, *self._elapsed(self.began), "budget" if self.cut else "closed form", None, ())
        if self.valid is None or not judged:  # without a density there is no score, and no baseline to set beside it
            return replace(done, held_out=None)
        again = Judge(self.joint, self.valid if judge is None else judge.rows, self.weight, first=self.size,
                      size=None if judge is None else judge.size)
        if final:
            try:
                done = replace(done, held_out=self._score(again))
            except Intractable:  # of rows with holes that the family does not marginalise
                return replace(done, held_out=None)
        minutes, cpu_seconds = self.budget.minutes, self.budget.cpu_seconds
        clock = time.perf_counter if minutes is not None else time.process_time
        allowed = max(1.0, _FOR_THE_END * (done.seconds if minutes is not None else done.cpu_seconds))
        until = clock() + min([allowed, *(_FOR_THE_END * s for s in ((minutes or 0) * 60, cpu_seconds) if s)])
        end = self._deadline(self.budget, self.began)
        return beside(done, self.train, again if judge is None else judge, lambda: min(until - clock(), end.left))

    def _counted_on_all(self) -> bool:
        """Solve once more, from all, what the held-out ones have weighed and scored, if there is time; whether that is."""
        if not self._counts_again or self.cut or not self._deadline(self.budget, self.began).allows(self.counted):
            return False
        again = [(f, lesson) for f in self.joint if _weighed(f) for lesson in f.lessons()
                 if isinstance(lesson, Solve) and lesson.again]
        for f, lesson in again:
            self._learn(f, lesson, self.source)
        return bool(again)


def _both(first: FitResult, then: FitResult) -> FitResult:
    """What the later of two descents came to, in the time and the steps of both."""
    return replace(then, steps=first.steps + then.steps, seconds=first.seconds + then.seconds,
                   cpu_seconds=first.cpu_seconds + then.cpu_seconds)


def _weighed(factor: Conditional) -> bool:
    """Whether a factor is weighed on held-out rows."""
    return any(isinstance(lesson, Weigh) for lesson in factor.lessons())


@torch.no_grad()
def coherence_gap(joint: Joint, data: Source, seed: int) -> float | None:
    """`Autoregressive.coherence_gap` of the factors that learned every order by a causal net, summed; None where there are
    none."""
    found = list[float]()
    for factor in joint:
        if isinstance(factor, Autoregressive) and factor.any_order and not factor.masked and not joint.touches_latent(factor):
            n = min(_MOST_GAPS, max(_FEW_GAPS, _GAP_ENTRIES // factor.x.space.dimensions))
            names = [v.name for v in factor.parents]
            batch = next(encoded(joint, data, n, names=names)) if names else None
            y = Observed(n=n, device=joint.device) if batch is None else joint.y(factor, batch.entries, batch.n)
            found.append(factor.coherence_gap(y, seed=seed))
    return sum(found) if found else None


def _default_batch(joint: Joint) -> int:
    """Rows a step: 32, up to 64 of some 1,024 entries, fewer of more than 65,536; or as many windows as hold 2,048 entries
    along their axis."""
    D = joint.dimensions
    return max(1, min(32, ENTRIES_AT_ONCE // D), min(64, 1024 // D)) if joint.axis is None else max(1, 2048 // joint.axis.size)
