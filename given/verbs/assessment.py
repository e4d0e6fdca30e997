"""Assessment of a model: scores, draws and conditionals of test rows, in a time that is given, and what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from given.distributions import Intractable
from given.evaluate import (
    Assessment,
    Calibration,
    Features,
    Score,
    Usefulness,
    classifier_two_sample,
    copies,
    coverage,
    diagnosis,
    diversity,
    mmd,
    reliability,
    support,
    usefulness,
    worst,
)
from given.sources import Columns, Source, joined, read
from given.train import nested, numbered
from given.variables import Finite, Real, UserError, Variable
from given.verbs.checks import check_unweighted, whole_seed
from given.verbs.models import Model
from given.verbs.query import Query

__all__ = ["assess"]

_ROWS = 1000  # of each side
_FIRST = 2  # rows that are answered in any case
_FEW = 20  # draws, rows and test rows that distances need
_CATEGORIES = 50
_ASKED = 200  # rows whose conditionals are asked for
_DRAWS = 49
_LEARNED = 50_000  # rows learned from, in some 128 MB, that a draw may be a copy of
_LEAST = {"score": 8, "train score": 1, "draws": 200, "calibration": 1}  # rows, where the time for all of it allows them
_SHARES = {"score": 0.3, "train score": 0.1, "draws": 0.2, "calibration": 0.15}  # of the seconds; distances take the rest
_GROWTH = 8  # times as many rows as the last, at most


def assess(model: Model, train: Any, test: Any, *, baseline: Model | None = None, seed: int | None = 0,
           seconds: float = 60.0, only_score: bool = False) -> Assessment:
    """What a fitted model is: whether it underfits, overfits, memorises or fits, with the figures behind it.

    Args:
        model: fitted to `train`.
        train: the rows it learned from, anything `read` takes; 1,000 of them are looked at.
        test: rows that it did not learn from; 1,000 at most.
        baseline: what its score is set beside; by default `model.baseline(train)`.
        seed: of draws and tests.
        only_score: of the test rows.
        seconds: after which no more rows are scored, drawn or asked about; a few of each are in any case.

    Raises:
        UserError: data that is not the model's, or test rows of unequal weights.
    """
    source = read(train, learned=model.cells)
    if baseline is None:
        baseline = _without_error(lambda: model.baseline(source)[1])
    numbers, fresh = numbered(read(test, learned=model.cells), _ROWS)
    check_unweighted(model.facts, fresh, "assess")
    assessing = _Assessing(model, source, nested(source, _ROWS), fresh, numbers, whole_seed(seed), seconds)
    return assessing.scored() if only_score else assessing.all(baseline)


@dataclass
class _Assessing:
    """One assessment, with what could not be found out."""

    model: Model
    source: Source
    train: Columns
    test: Columns
    numbers: np.ndarray  # of the test rows
    seed: int
    seconds: float
    left_out: dict[str, str] = field(default_factory=dict)
    row: float = 0.0  # seconds to score one
    spent: dict[str, float] = field(default_factory=dict)  # seconds a row, of the last rows of each
    began: float = field(default_factory=time.perf_counter)

    def scored(self) -> Assessment:
        """The score alone."""
        score = self._score("score", self.test, self.model)
        return Assessment(diagnosis(None, None), score, left_out=self.left_out)

    def all(self, baseline: Model | None) -> Assessment:
        score = self._score("score", self.test, self.model)
        self.row = self.spent.get("score", 0.0)
        # A single one is long.
        own = self._score("train score", self.train, self.model) if self.train.n > 1 and self._affords(
            "train score", _FIRST) else None
        beside = None
        if score is not None and own is not None and baseline is not None:
            beside = _without_error(lambda: tuple(baseline.score(rows.rows(slice(len(s.items)))).items
                                                  for rows, s in ((self.train, own), (self.test, score))))
        drawn = self._tried("draws", self._drawn)
        found: dict[str, Any] = {} if drawn is None else self._tried("distances", lambda: self._distances(drawn)) or {}
        said = diagnosis(found.get("copies"), found.get("classifier"), None if own is None else own.items,
                         None if score is None else score.items, beside)
        least = [] if score is None else [(int(self.numbers[i]), nats) for i, nats in worst(score.items)]
        return Assessment(said, score, own, drawn, **found, worst=tuple(least), rows=tuple(self.numbers.tolist()),
                          calibration=self._tried("calibration", lambda: self._calibration(drawn)), left_out=self.left_out)

    def _affords(self, what: str, scores: int) -> bool:
        """Whether there is time for so many scores of a row; why not is kept."""
        if self.row * scores <= self.left:
            return True
        self.left_out[what] = (f"no time: {scores} scores of a row take some {self.row * scores:.2g} s, and of "
                               f"{self.seconds:.2g} s {max(0.0, self.left):.2g} are left")
        return False

    @property
    def left(self) -> float:
        """Seconds."""
        return self.seconds - (time.perf_counter() - self.began)

    def _tried(self, what: str, find: Callable[[], Any]) -> Any:
        """What is found, or None where there is no answer, and why is kept."""
        try:
            return find()
        except (UserError, ArithmeticError) as error:
            self.left_out[what] = str(error)
            return None

    def _parts(self, what: str, rows: Columns, ask: Callable[[Columns, int], Any]) -> list[Any]:
        """Answers about rows, each time as many as there is time for by what a row cost last; of many at once it costs less."""
        out, n, size = list[Any](), 0, _FIRST
        share = _SHARES[what] * self.seconds
        while n < rows.n and size:
            start = time.perf_counter()
            out.append(ask(rows.rows(slice(n, n + size)), n))
            n, cost = n + size, time.perf_counter() - start
            self.spent[what] = cost / size
            share -= cost
            most, each = _GROWTH * size, max(cost, 1e-9) / size
            size = max(0, min(most, int(share / each)))
            if n + size < _LEAST[what]:
                size = max(0, min(most, int(self.left / each), _LEAST[what] - n))
        return out

    def _score(self, what: str, rows: Columns, model: Model) -> Score | None:
        parts = self._tried(what, lambda: self._parts(what, rows, lambda some, n: model.score(some, seed=self.seed)))
        return None if not parts else parts[0].joined(parts[1:]) if len(parts) > 1 else parts[0]

    def _drawn(self) -> Columns:
        """A draw for every test row, given its conditions."""
        names = list(self.model.joint.conditions)

        def draw(some: Columns, n: int) -> Columns:
            given = {k: some[k] for k in names}
            # Of its row's number, however many rows there was time for at once.
            flat = Query(self.model.joint, given, {}, n, n=some.n).sample(seed=self.seed).flat()
            return Columns({**{k: flat[k] for k in self.model.joint.columns if k in flat}, **given})

        return joined(self._parts("draws", self.test, draw))

    def _distances(self, drawn: Columns) -> dict[str, Any]:
        """What distances between draws and rows say."""
        columns = {k: v for k, v in self.model.joint.columns.items() if k in self.test and k in drawn}
        if min(drawn.n, self.test.n, self.train.n) < _FEW:
            raise UserError(f"expected at least {_FEW} draws, test rows and rows learned from, got {drawn.n:,}, "
                            f"{self.test.n:,} and {self.train.n:,}")
        numbers = Features(columns, self.train)
        x, y = numbers(self.test), numbers(drawn)
        some = x[:len(y)]  # as many, of the conditions that draws are given
        learned, rows = numbered(self.source, _LEARNED)  # a copy may be of any
        found = {"classifier": classifier_two_sample(some, y, seed=self.seed), "kernel": mmd(some, y, seed=self.seed),
                 "support": support(some, y), "copies": copies(numbers(rows), y, x).of_rows(learned)}
        target = self._target(columns)
        if target is not None and isinstance(target.space, Finite):
            a, b = _labels(target, self.test), _labels(target, drawn)
            found["diversity"] = diversity(x, y, a, b)
        if target is not None:
            found["usefulness"] = self._tried("usefulness", lambda: self._useful(target, columns, drawn))
        return found

    def _target(self, columns: Mapping[str, Variable]) -> Variable | None:
        """The column to tell from the others: a condition of few categories, another such column, or else a number."""
        order = sorted(columns, key=lambda name: name not in self.model.joint.conditions)
        single = [columns[name] for name in order if not columns[name].space.axes and len(columns) > 1]
        few = [v for v in single if isinstance(v.space, Finite) and 1 < v.space.size <= _CATEGORIES]
        real = [v for v in single if isinstance(v.space, Real)]
        return few[0] if few else real[-1] if real else None

    def _useful(self, target: Variable, columns: Mapping[str, Variable], drawn: Columns) -> Usefulness:
        numbers = Features({k: v for k, v in columns.items() if k != target.name}, self.train)
        if isinstance(target.space, Finite):
            sides = [(numbers(c), _labels(target, c)) for c in (drawn, self.train, self.test)]
        else:
            of = Features({target.name: target}, self.train)
            sides = [(numbers(c), of(c)[:, 0]) for c in (drawn, self.train, self.test)]
        return replace(usefulness(sides[0], sides[1], sides[2], seed=self.seed), column=target.name)

    def _calibration(self, drawn: Columns | None) -> Calibration | None:
        joint = self.model.joint
        columns = {k: v for k, v in joint.columns.items() if k in self.test}
        target, rows = self._target(columns), self.test.rows(slice(_ASKED))
        if target is not None and isinstance(target.space, Finite):
            return self._reliability(target, rows)
        numbers = [k for k, v in columns.items()
                   if k not in joint.conditions and isinstance(v.space, Real) and not v.space.axes]
        if not numbers or drawn is None:
            raise UserError("there is no single category or number to predict")
        name = numbers[-1]
        of = Features({name: columns[name]}, self.train)
        names = list(joint.conditions)
        if not names:
            draws = np.repeat(of(drawn)[:, :1], rows.n, 1)
        else:
            def ask(some: Columns, n: int) -> np.ndarray:
                found = self.model.given({k: some[k] for k in names}).sample(_DRAWS, seed=self.seed + n)
                return of(Columns({name: found[name].reshape(-1)}))[:, 0].reshape(_DRAWS, some.n)

            draws = np.concatenate(self._parts("calibration", rows, ask), 1)
        return replace(coverage(draws, of(rows)[:draws.shape[1], 0], self.seed), column=name)

    def _reliability(self, target: Variable, rows: Columns) -> Calibration | None:
        """Of a category given all else; of a condition by Bayes' rule, with its frequencies among rows learned from."""
        if not self._affords("calibration", _FIRST * target.space.size):  # type: ignore[attr-defined]
            return None
        joint, truth = self.model.joint, _labels(target, rows)
        others = [k for k in joint.columns if k != target.name and k in rows]
        prior = {}
        if target.name in joint.conditions:
            counts = np.bincount(_labels(target, self.train), minlength=target.space.size) + 0.5  # type: ignore[attr-defined]
            prior = {target.name: dict(zip(target.codec.names(), (counts / counts.sum()).tolist(), strict=True))}

        def ask(some: Columns, n: int) -> np.ndarray:
            found = self.model.given({k: some[k] for k in others}, prior=prior).probabilities(target.name)
            return np.stack(list(found.values()), 1)

        p = np.concatenate(self._parts("calibration", rows, ask))
        return replace(reliability(p, truth[:len(p)]), column=target.name)


def _labels(variable: Variable, columns: Columns) -> np.ndarray:
    return variable.encode_new(columns)[0].tensor.numpy().astype(np.int64)


def _without_error(find: Callable[[], Any]) -> Any:
    try:
        return find()
    except (UserError, Intractable):
        return None
