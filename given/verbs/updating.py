"""Updating: what a fitted model becomes where the world moves on: learned further from new rows, or with a column set from
outside.

To set a column is another question than to observe it. `do` cuts the column's own factor, so that nothing follows for what
stands above it; `given` keeps it, and reasons back through it.

Pearl, Causality, 2009 / https://doi.org/10.1017/CBO9780511803161
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from given.conditional import quoted
from given.evaluate import Score
from given.infer import Event, Part, Rows
from given.joint import Joint
from given.lessons import Solve, Weigh
from given.sources import Columns, Source, joined, read
from given.train import FitResult, split
from given.variables import UserError, nearest, shown
from given.verbs.checks import check_known, named, spelled, whole_seed
from given.verbs.forecasting import Forecasting
from given.verbs.query import Query
from given.ways import way

__all__ = ["Updated", "Updating"]


@dataclass(frozen=True)
class Updated:
    """What an update did.

    Attributes:
        before, after: scores of the new rows that were held out; None where none was, or where the model has no density.
        kept: whether what was learned is kept; else the model is as it was, since held-out rows are less probable after.
        fit: what learning did.
    """

    before: Score | None
    after: Score | None
    kept: bool
    fit: FitResult

    def __str__(self) -> str:
        scores = "" if self.before is None or self.after is None else (
            f"held-out new rows {self.before.value:.4f} -> {self.after.value:.4f} {self.after.unit}"
            f"{'' if self.kept else ', so that the model is left as it was'}; ")
        return f"{scores}{self.fit.steps:,} steps, {self.fit.cpu_seconds:.1f} CPU-seconds"


class Updating(Forecasting):
    """What goes on from a fitted model. Abstract: `Model`."""

    @abc.abstractmethod
    def fit(self, data: Any, **options: Any) -> FitResult:
        """Learn from data."""

    @abc.abstractmethod
    def score(self, data: Any = None, /) -> Score:
        """The mean log p of items."""

    def update(self, new: Any, *, old: Any = None, held_out: float = 0.1, minutes: float | None = None,
               cpu_seconds: float | None = None, steps: int | None = None, lr: float = 1e-3, seed: int | None = 0,
               **options: Any) -> Updated:
        """Learn further from new rows, from the weights as they are and with the codecs as they are.

        What was learned from old rows alone is forgotten by and by, unless they are passed too. Where the new rows that are
        held out become less probable, the model is left as it was.

        Args:
            new: rows, anything `read` takes.
            old: those learned from before, to learn from with the new ones: what is counted or solved needs them.
            held_out: the share of new rows held out.
            minutes, cpu_seconds, steps, lr, seed, options: as of `fit`; the learning rate is lower.

        Raises:
            UserError: a value that was not learned, a column that is not there, or no old rows where a family needs them.
        """
        joint, seed = self.joint, whole_seed(seed)
        if not self.facts.get("fitted", True):
            raise UserError(f"{self}: has not learned anything yet; call fit(data) first")
        solved = [f for f in joint if any(isinstance(lesson, Solve | Weigh) for lesson in f.lessons())]
        if solved and old is None:
            raise UserError(f"update: {solved[0]} is counted or solved ({type(solved[0]).__name__}), which new rows alone "
                            f"would replace; pass the old rows too, {way('old=rows', '--old DATA')}")
        weight = self.facts.get("fit", {}).get("weight")
        tables = [read(data, learned=self.cells) for data in (new, old) if data is not None]
        for table, what in zip(tables, ("new rows", "old rows"), strict=False):
            for name in (*joint.of_data, *([weight] if weight else [])):
                if name not in table.names:
                    raise UserError(f"{what}: no column {name}, which {self} learned {'by' if name == weight else 'from'}; "
                                    f"{nearest(name, table.names)}")
            _check_learned(joint, table, what)
        train, held = split(tables[0], held_out, seed, joint)
        if old is not None:
            names = [*joint.of_data, *([weight] if weight else [])]
            train = joined([Columns({k: rows[k] for k in names}) for rows in map(_whole, (tables[1], train))])
        before, state = self._scored(held), {k: v.clone() for k, v in joint.state_dict().items()}
        facts = dict(self.facts)
        done = self.fit(train, held_out=0 if held is None else held, weight=weight, minutes=minutes, cpu_seconds=cpu_seconds,
                        steps=steps, lr=lr, seed=seed, **options)
        after = self._scored(held)
        kept = bool(solved) or before is None or after is None or after.value >= before.value
        if not kept:
            joint.load_state_dict(state)
            self.facts = facts
        return Updated(before, after, kept, done)

    def _scored(self, rows: Source | None) -> Score | None:
        return None if rows is None or not all(f.judged for f in self.joint) else self.score(rows)

    def do(self, data: Mapping[str, Any] | None = None, /, *, given: Mapping[str, Any] | None = None, **values: Any) -> Query:
        """The distribution of everything else where columns are set from outside, their own factors cut: an intervention.

        It is right where the formula is: p(price) p(sales | price) declares that sales follow from price, and nothing in data
        alone can say so.

        Args:
            data: columns and the values they are set to, a value each or one for every item; or by keyword.
            given: what is observed besides, as of `given`.

        Raises:
            UserError: a column in a block with others, where no direction is declared; a range where a value has to be.
        """
        if not self.facts.get("fitted", True):
            raise UserError(f"{self}: has not learned anything yet; call fit(data) first")
        joint, columns = self.joint, list(self.joint.columns)
        settings, seen = {**named(data, {}), **spelled(values, columns)}, named(given, {})
        check_known([*settings, *seen], columns, "do")
        if not settings:
            raise UserError("do: expected a column and what it is set to, as do(price=9)")
        for name, value in settings.items():
            factor = next((f for f in joint if name in f.x.columns), None)
            if isinstance(value, Event | Part | Rows):
                raise UserError(f"do: {name}={shown(value)}; expected a value: to set a column is to choose it, and a range or "
                                "a part of it is observed, by given=")
            if name in joint.latents or name in seen:
                raise UserError(f"do: {name} is {'a latent, which no one sets' if name in joint.latents else 'set and given'}; "
                                "set another column, or name it once")
            if factor is not None and len(factor.x.columns) > 1:
                own, others = quoted(name), ", ".join(quoted(k) for k in factor.x.columns if k != name)
                raise UserError(f"do: {own} stands in {factor} in a block with {others}, between which no direction is "
                                f"declared; learn a formula that declares one, as p({own}) p({others} | {own})")
        left = [f for f in joint.declared if f.x.name not in settings]
        if not left:
            raise UserError(f"do: {', '.join(settings)} set, nothing is left of {self} to ask")
        cut = Joint(*left, latents=joint.posteriors)
        observed = {k: v for k, v in {**seen, **settings}.items() if k in cut.columns}
        return Query(cut, observed, {}, dtypes=self.facts.get("dtypes"))


def _check_learned(joint: Joint, source: Source, what: str) -> None:
    """Raise `UserError` at the first value that was not learned."""
    first = 0
    for batch in source.runs():
        for name, variable in joint.of_data.items():
            rows = np.flatnonzero(np.asarray(variable.encode_new(batch, first)[1]) > 0)
            if len(rows):
                raise UserError(f"{what}: {name}, row {first + rows[0]}: got {shown(batch[name][rows[0]])}, which was never "
                                "learned, and codecs stay as they are; leave such rows out, or learn a new model from all "
                                "rows: " + way("given.model(formula, data).fit(data)", "given fit"))
        first += batch.n


def _whole(source: Source) -> Columns:
    return source if isinstance(source, Columns) else joined(list(source.runs()))
