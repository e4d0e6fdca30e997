"""Linked models: p(customer) p(orders | customer) p(items | order), of tables whose rows name one another by keys.

A row is a block of its columns, and of how many rows of every table that refers to it belong to it: numbers of children are
whole numbers like any other, which depend on the row and can be asked about. A child is drawn given the row that it belongs to,
those above that, and its previous sibling. Every table has a model of its own, of the formula that says so: nothing but the
rows is new here. A score is the log p of a row of the root with all that belongs to it, siblings in their order.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

import numpy as np
import torch

from given import __version__
from given.conditional import Conditional
from given.distributions import weakest
from given.evaluate import Comparison, Score
from given.families import Independent
from given.formula import Term
from given.infer import Rows
from given.sources import Columns, Key, LinkedTables
from given.train import LINKED_INDEX, Budget, FitResult, check_place, joint_files, replace_folder, whole_folder
from given.variables import Codec, UserError, shown
from given.verbs.building import load, model
from given.verbs.checks import check_known, whole_seed
from given.verbs.linked_rows import PlainRows, TableRows, absent, inferred, plain_rows, planned, stated_codecs
from given.verbs.models import Model
from given.verbs.scoring import score_rows

__all__ = ["LINKED_FILES", "LinkedModel"]

_JUDGED = 1000  # rows of the root that a model is judged by in the end, at most
_Arrays = dict[str, np.ndarray]
LINKED_FILES = ("README.md", LINKED_INDEX, "tables")


class LinkedModel(Mapping[str, Model]):
    """A model of linked tables: table -> the model of its rows, those that have anything to learn.

    Args:
        data: anything `LinkedTables.read` takes. Codecs learn from it; nothing else is learned yet.
        keys: as of `LinkedTables`.
        codecs: "table.column" -> codec, for columns that should not be inferred.
        families: table -> family, as of `given.model`.
        seed: of the initial weights.

    Attributes:
        plans: table -> what its rows are learned from, the root first.
        notes: what was left out and why, a line each.
        facts: what is known of it, kept in the folder it is saved to.

    Raises:
        UserError: what is wrong, with table, column and row.
    """

    def __init__(self, data: Any, *, keys: Sequence[str | Key] = (), codecs: Mapping[str, Codec] | None = None,
                 families: Mapping[str, Callable[..., Conditional] | str] | None = None, seed: int | None = 0) -> None:
        tables = LinkedTables.read(data, keys)
        stated, families = _by_table(tables, codecs or {}), families or {}
        check_known(families, list(tables), "families")
        found, notes = inferred(tables, stated)
        self.plans = planned(tables, found)
        rows = plain_rows(tables, self.plans)
        conditions = stated_codecs(tables, self.plans, found, rows)
        self._models = dict[str, Model]()
        for name, plan in self.plans.items():
            if plan.formula and rows[name].number.size:
                family = {Term(plan.left).name: families[name]} if name in families else None
                with _of(name):
                    self._models[name] = model(plan.formula, rows[name].columns, codecs=stated[name] | conditions[name],
                                               families=family, seed=seed)
        self.notes = [*tables.notes, *(f"{name}.{note}" for name, each in notes.items() for note in each)]
        self.notes += [f"{name}: {n:,} rows whose {plan.key.column} is empty, or that belong to such, are left out"
                       for name, plan in self.plans.items() if plan.key and (n := tables[name].n - rows[name].columns.n)]
        self.notes += [f"{name}: siblings in the order of {plan.order or 'the file'}" for name, plan in self.plans.items()
                       if plan.previous]
        self.facts: dict[str, Any] = {"notes": self.notes, "fitted": False}

    def __getitem__(self, table: str) -> Model:
        check_known([table], list(self._models), "tables")
        return self._models[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, table: object) -> bool:
        return table in self._models

    def __str__(self) -> str:
        return "\n".join(f"{name}: {each}" for name, each in self.items())

    __repr__ = __str__

    @property
    def root(self) -> str:
        """The table that refers to none."""
        return next(iter(self.plans))

    @property
    def links(self) -> list[Key]:
        """The foreign keys."""
        return [plan.key for plan in self.plans.values() if plan.key is not None]

    def read(self, data: Any) -> LinkedTables:
        """New data as that learned from is: the same tables and keys, cells read alike.

        Raises:
            UserError: a table or column is not there, or its keys do not hold.
        """
        cells = {name: {column: each for column, each in self._models[name].cells.items() if column in plan.columns}
                 for name, plan in self.plans.items() if name in self._models}
        tables = LinkedTables.read(data, self.links, cells)
        for name, plan in self.plans.items():
            if name not in tables:
                raise UserError(f"data: no table {name}, which the model has; there are {', '.join(tables)}")
            check_known(plan.columns, list(tables[name]), f"{name}, to ask the model")
        return tables

    def fit(self, data: Any, *, held_out: float = 0.1, minutes: float | None = None, cpu_seconds: float | None = None,
            steps: int | None = None, seed: int | None = 0, progress: bool | None = None,
            **training: Any) -> dict[str, FitResult]:
        """Learn from tables, one after the other.

        Args:
            data: what the model was made from, or the like.
            held_out: the share of rows of the root held out, each with all that belongs to it.
            minutes, cpu_seconds: for all tables together, an equal part each; what one leaves is for those after it. Two
                minutes, or 100 epochs a table, where no budget is given.
            steps: for all tables together, an equal part each.
            seed, progress, training: as of `Model.fit`.

        Returns:
            table -> what learning did.
        """
        tables, seed = self.read(data), whole_seed(seed)
        epochs = 100 if minutes is cpu_seconds is steps is None else None
        budget = Budget(minutes=2 if epochs else minutes, cpu_seconds=cpu_seconds)
        began, done = (time.perf_counter(), time.process_time()), dict[str, FitResult]()
        each_steps = None if steps is None else max(1, steps // len(self))
        rows, kept = plain_rows(tables, self.plans), _held_out(tables[self.root].n, held_out, seed)
        for i, (name, each) in enumerate(self.items()):
            apart = kept[self._roots(rows, name)]
            part = budget.without(time.perf_counter() - began[0], time.process_time() - began[1]).shared(len(self) - i)
            train, valid = (rows[name].columns.rows(chosen) for chosen in (~apart, apart))
            both = bool(train.n and valid.n)
            if any(before.stopped == "interrupted" for before in done.values()):
                raise KeyboardInterrupt  # a table is left that nothing was learned of
            with _of(name):
                done[name] = each.fit(train if both else rows[name].columns, held_out=valid if both else 0, epochs=epochs,
                                      minutes=part.minutes, cpu_seconds=part.cpu_seconds, steps=each_steps, seed=seed,
                                      progress=progress, **training)
        self.facts |= {"fitted": True, "fit": {name: asdict(each) | {"history": []} for name, each in done.items()}}
        if kept.any():
            some = np.flatnonzero(kept)
            some = some[np.random.default_rng(seed).permutation(len(some))[:_JUDGED]]
            found = self.evaluate(tables.rows_of(some), train=tables.rows_of(np.flatnonzero(~kept)), seed=seed)
            self.facts["scores"] = {f"held-out rows of {self.root}, {who}": str(score) for who, score in found.scores.items()}
        return done

    def evaluate(self, data: Any, *, train: Any, seed: int | None = 0) -> Comparison:
        """The model's score of `data` beside that of independent columns: those of `train`, counted without regard to keys."""
        tables, others, baseline = self.read(data), self.read(train), dict[str, Model]()
        rows = plain_rows(others, self.plans)
        for name, each in self.items():
            baseline[name] = Model(*(Independent(factor.x) for factor in each.joint))
            own = Columns({column: rows[name].columns[column] for column in self.plans[name].left})
            if own.n:
                baseline[name].fit(own, held_out=0, device="cpu", progress=False)
        return Comparison({"this model": self.score(tables, seed=seed),
                           "independent columns": self._scored(tables, baseline, whole_seed(seed))})

    def sample(self, n: int = 1, *, seed: int | None = 0, **observed: Any) -> LinkedTables:
        """n rows of the root with all that belongs to them: fresh keys, numbered from 1, which hold.

        Rows of the root are drawn together, then all first children of a table, all second ones, and so on. The first rows of
        many are those of few.

        Args:
            n: rows of the root.
            seed: the same one draws the same rows; None fresh ones.
            observed: columns of the root, numbers of children among them, a value each.

        Raises:
            UserError: an unknown column, or several values of one.
        """
        self._check_fitted()
        seed, root = whole_seed(seed), self.root
        drawn = self[root].given(observed).sample(n, seed=_mixed(seed, 0, 0))
        if drawn.axes != 1:
            raise UserError(f"sample: expected one value of every column observed, got {drawn.shape[-1]}")
        raw, up = {root: dict(drawn)}, dict[str, dict[str, np.ndarray]]({root: {}})
        for i, (name, plan) in enumerate(self.plans.items()):
            if plan.key is not None:
                raw[name], up[name] = self._children(plan, raw, up, _mixed(seed, i, 0))
        return self._linked(raw, up)

    def _children(self, plan: TableRows, raw: Mapping[str, _Arrays], up: Mapping[str, _Arrays],
                  seed: int) -> tuple[_Arrays, _Arrays]:
        """The rows of a table that belong to rows drawn of that above, all first ones together, then all second ones, ...;
        and the rows above that each belongs to."""
        assert plan.key is not None
        of = plan.key.of
        counts = raw[of][self.plans[of].counts[plan.name]].astype(np.int64)
        parts, owners, before = list[Columns](), list[np.ndarray](), np.zeros(0, dtype=np.int64)
        for number in range(counts.max(initial=0)) if plan.left else ():
            rows = np.flatnonzero(counts > number)
            given = {condition: raw[table][column][rows if table == of else up[of][table][rows]]
                     for condition, (table, column) in plan.above.items()}
            at = np.searchsorted(before, rows)
            given |= {condition: parts[-1][column][at] if number else absent(len(rows))
                      for condition, column in plan.previous.items()}
            query = self[plan.name].given({condition: Rows(values) for condition, values in given.items()})
            query.first_row = torch.from_numpy(rows)
            drawn = query.sample(1, columns=plan.left, seed=_mixed(seed, number, 1))
            parts.append(Columns({column: drawn[column][0] for column in plan.left}))
            owners.append(rows)
            before = rows
        owner = np.concatenate(owners) if owners else np.repeat(np.arange(len(counts)), 0 if plan.left else counts)
        order = np.argsort(owner, kind="stable")
        columns = {column: np.concatenate([part[column] for part in parts])[order] if parts else np.zeros(0)
                   for column in plan.left}
        owner = owner[order]
        return columns, {of: owner, **{table: rows[owner] for table, rows in up[of].items()}}

    def _linked(self, raw: Mapping[str, _Arrays], up: Mapping[str, _Arrays]) -> LinkedTables:
        """Rows drawn as tables, with their keys."""
        tables = dict[str, Columns]()
        for name, plan in self.plans.items():
            n = len(up[name][plan.key.of]) if plan.key else len(next(iter(raw[name].values())))
            names = {plan.id: np.arange(1, n + 1)} if plan.id is not None else {}
            if plan.key is not None:
                names[plan.key.column] = up[name][plan.key.of] + 1
            dtypes = self[name].facts.get("dtypes") if name in self else None
            tables[name] = Columns({column: names[column] if column in names else raw[name][column] for column in plan.drawn},
                                   dtypes=dtypes)
        return LinkedTables.of_parts(tables, self.links, {name: plan.id for name, plan in self.plans.items() if plan.id},
                                     {name: above[self.plans[name].key.of] for name, above in up.items()  # type: ignore[union-attr]
                                      if name != self.root})

    def score(self, data: Any, *, seed: int | None = 0) -> Score:
        """The mean log p of a row of the root with all that belongs to it, with its standard error and kind; each in `items`.

        Args:
            data: anything `LinkedTables.read` takes, with all tables of the model.
            seed: of the noise of estimates.
        """
        self._check_fitted()
        return self._scored(self.read(data), self._models, whole_seed(seed))

    def _scored(self, tables: LinkedTables, models: Mapping[str, Model], seed: int) -> Score:
        """Rows of the root with all that belongs to them by the models of the tables' rows, their scores summed."""
        rows, scores = plain_rows(tables, self.plans), dict[str, Score]()
        total, new, dimensions = np.zeros(tables[self.root].n), dict[str, np.ndarray](), 0.0
        for name, each in models.items():
            if not rows[name].columns.n:
                continue
            joint, roots = each.joint, self._roots(rows, name)
            some = {column: rows[name].columns[column] for column in joint.columns}
            scores[name] = score_rows(joint, Columns(some), seed)
            total += np.bincount(roots, scores[name].items, len(total))
            dimensions += scores[name].dimensions * len(roots) / len(total)
            new |= {f"{name}.{column}": np.bincount(roots, n, len(total)).astype(np.int64)
                    for column, n in scores[name].new.items()}
        measures = {score.measure for score in scores.values()}
        measure = measures.pop() if len(measures) == 1 else "; ".join(f"{name}: {s.measure}" for name, s in scores.items())
        return replace(scores[self.root], items=total, kind=weakest(score.kind for score in scores.values()), measure=measure,
                       columns=tuple(f"{name}.{column}" for name, s in scores.items() for column in s.columns),
                       dimensions=dimensions, new=new, conditioned_on=(), characters=0, bytes=0)

    def log_prob(self, data: Any, *, seed: int | None = 0) -> np.ndarray:
        """log p of every row of the root with all that belongs to it, in nats and raw units: (n,) float64."""
        return self.score(data, seed=seed).items

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a folder, whole or not at all: in it `tables`, a saved model a table, which `given.load` loads."""
        check_place(path, LINKED_FILES)
        said = {"given": __version__, "tables": [plan.state() for plan in self.plans.values()], "facts": self.facts}
        files = {"README.md": self._card().encode(), LINKED_INDEX: (json.dumps(said, indent=1) + "\n").encode()}
        for name, each in self.items():
            files |= {f"tables/{_folder(name)}/{file}": content
                      for file, content in joint_files(each.joint, each.facts).items()}
        replace_folder(path, files)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "cpu") -> LinkedModel:
        """A saved model of linked tables. Raises `UserError` where a file is missing, changed or foreign."""
        folder = whole_folder(path)
        if folder is None or not (folder / LINKED_INDEX).is_file():
            raise UserError(f"{path}: no saved model of linked tables")
        try:
            said = json.loads((folder / LINKED_INDEX).read_text())
            plans = [TableRows.restored(state) for state in said["tables"]]
            facts = dict(said["facts"])
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise UserError(f"{folder}/{LINKED_INDEX}: cannot be read ({error}); save the model again") from None
        found = cls.__new__(cls)
        found.plans, found.facts, found.notes = {plan.name: plan for plan in plans}, facts, list(facts.get("notes", ()))
        found._models = {plan.name: load(folder / "tables" / _folder(plan.name), device=device) for plan in plans
                         if (folder / "tables" / _folder(plan.name)).is_dir()}
        return found

    @staticmethod
    def fits(path: str | os.PathLike[str]) -> bool:
        """Whether a model of linked tables is saved there."""
        folder = whole_folder(path)
        return folder is not None and (folder / LINKED_INDEX).is_file()

    def _card(self) -> str:
        lines = ["# A model of linked tables", "", "Learned with `given`; every folder in `tables` is a model by itself.", "",
                 "| table | belongs to | formula |", "|---|---|---|"]
        lines += [f"| {name} | {plan.key or ''} | {self._models.get(name, '')} |" for name, plan in self.plans.items()]
        return "\n".join([*lines, "", "```python", "import given", "", "model = given.LinkedModel.load(path_of_this_folder)",
                          "model.sample(16)", "```", ""])

    def _roots(self, rows: Mapping[str, PlainRows], name: str) -> np.ndarray:
        """(rows,) the row of the root that each row of a table belongs to."""
        return rows[name].up.get(self.root, np.arange(rows[name].columns.n))

    def _check_fitted(self) -> None:
        if not self.facts.get("fitted"):
            raise UserError("the linked tables have not been learned yet; call fit(data) first")


def _by_table(tables: LinkedTables, codecs: Mapping[str, Codec]) -> dict[str, dict[str, Codec]]:
    """Codecs of "table.column" by table and column."""
    there = {f"{name}.{column}": (name, column) for name, columns in tables.items() for column in columns}
    check_known(codecs, list(there), "codecs")
    found: dict[str, dict[str, Codec]] = {name: {} for name in tables}
    for at, codec in codecs.items():
        name, column = there[at]
        found[name][column] = codec
    return found


def _held_out(n: int, share: Any, seed: int) -> np.ndarray:
    """(n,) which rows are held out, by a seed."""
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise UserError(f"held_out={shown(share)}; expected a share of the rows of the root from 0 to 1")
    kept = np.zeros(n, dtype=bool)
    kept[np.random.default_rng(seed).permutation(n)[:round(share * n)]] = True
    return kept


@contextmanager
def _of(table: str) -> Iterator[None]:
    """Within, errors name the table."""
    try:
        yield
    except UserError as error:
        raise error.at(table) from None


def _mixed(*seed: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _folder(table: str) -> str:
    """The folder of a table's model: its name, what no file may be called written as %XX."""
    return quote(table, safe=" ").replace(".", "%2E")
