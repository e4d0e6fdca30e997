"""Reading: the rows that a task learns from, and those that a model learned for a task is asked of.

A saved model keeps its task and the options that said how its rows were read. New data are read alike, as they may need cutting
into what is given and what follows, or properties computed; data that stand as the model's columns do are taken as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from given.app.data import need, read, say_skipped
from given.joint import Joint
from given.sources import Source
from given.tasks import TASKS, Task
from given.train import split
from given.variables import UserError
from given.verbs import Model
from given.verbs.checks import count_rows

__all__ = ["apart", "halves", "kept", "of_model", "of_task"]

_ASKED = ("normal", "target", "property")  # options that some tasks have alone
_KEPT = (*_ASKED, "by", "time", "size", "frames")


def of_task(a: argparse.Namespace, task: Task) -> tuple[Source, tuple[str, ...]]:
    """The rows that a task learns from, as its options say, and the columns of the table they are of.

    Raises:
        UserError: other data, or an option that is not for it.
    """
    said = {name: value for name in _ASKED if (value := getattr(a, name, None)) is not None}
    if stray := [name for name in said if name not in (task.asks or ())]:
        raise UserError(f"fit: --{stray[0]} is not for --task {task.name}; leave it out")
    formula = getattr(a, "formula", None)
    if task.asks is None:
        options = {name: value for name in task.reads if (value := getattr(a, name)) is not None}
        found = task.own.read(*[path for path in (a.data, formula) if path is not None], **options)
        return found, found.names
    if formula is not None:
        raise UserError(f"fit: --task {task.name} says the formula; leave one of the two out")
    table = read(a.data, a)
    try:
        return task.own.read(table, **said, **({"skip_bad": a.skip_bad} if "skip_bad" in task.asks else {})), table.names
    except UserError as error:
        raise error.at(a.data) from None


def kept(a: argparse.Namespace, task: Task, header: Collection[str], rows: int) -> dict[str, Any]:
    """What a model keeps of how the rows of its task were read and held out, in JSON."""
    said = {name: value for name in _KEPT if (value := getattr(a, name)) is not None}
    return {"task": task.name, "header": list(header), "read": said,
            "apart": {"share": a.held_out, "seed": a.seed, "rows": rows}}


def of_model(a: argparse.Namespace, model: Model, wanted: Collection[str], what: str, learned: bool = False) -> Source:
    """DATA with the columns that are wanted, read as the model's task reads it where it has one.

    Args:
        a: with `data` and the options of reading; those that it leaves open are as they were where the model learned.
        model: that is asked.
        wanted: columns.
        what: they are wanted for, for messages.
        learned: whether rows are wanted as `fit` splits them, also of a task that is asked of any rows of a table.

    Raises:
        UserError: no such column, and whatever reading raises.
    """
    task, why = _task_of(model), None
    if task is not None and a.data != "-" and (learned or not task.rows):
        try:
            found, _ = of_task(_alike(a, model), task)
            if not learned:
                found = _arranged(task, found, wanted, a.seed)
                need(wanted, found.names, f"{a.data}, {what}")
            if task.asks is None:
                say_skipped(found)
            return found
        except UserError as error:
            why = error
    try:
        data = read(a.data, a, model)
        need(wanted, data.names, f"{a.data}, {what}")
    except UserError as error:
        raise why or error from None
    return data


def _alike(a: argparse.Namespace, model: Model) -> argparse.Namespace:
    """Options, those that are left open as they were where a model learned."""
    before = {name: tuple(value) if isinstance(value, list) else value for name, value in model.facts.get("read", {}).items()}
    return argparse.Namespace(**before | {name: value for name, value in vars(a).items()
                                          if value is not None or name not in before})


def _task_of(model: Model) -> Task | None:
    """The task that a model was learned for, where it reads rows of its own."""
    return next((task for task in TASKS if task.name == model.facts.get("task") and task.own is not None), None)


def _arranged(task: Task | None, rows: Source, wanted: Collection[str], seed: int) -> Source:
    """Rows with the columns that are wanted, where what is learned from is made of the rows, such as pairs of them."""
    arrange = getattr(task.own, "arranged", None) if task is not None else None
    found: Source = rows if arrange is None or {*wanted} <= {*rows.names} else arrange(rows, seed)
    return found


def apart(task: Task, data: Source, share: float, seed: int, joint: Joint) -> tuple[Source, Source | None]:
    """The rows that a task learns from, and those held out."""
    parted = getattr(task.own, "parted", None)  # where what is held out needs what comes before
    found: tuple[Source, Source | None] = (split(data, share, seed, joint, task.together) if parted is None else
                                           parted(data, share))
    return found


def halves(model: Model, data: Source) -> tuple[Source, Source]:
    """Rows that a model was fitted to, as those it learned from and those it held out.

    Raises:
        UserError: it held out none, or data of another size.
    """
    before = model.facts.get("apart")
    if before is None:
        return model.split(data)
    task = _task_of(model)
    assert task is not None
    if count_rows(data) != before["rows"]:
        raise UserError(f"expected the {before['rows']:,} rows {model} was fitted to, got {count_rows(data):,}; pass rows to "
                        "test it on, and those it learned from")
    train, held = apart(task, data, before["share"], before["seed"], model.joint)
    if held is None:
        raise UserError(f"{model}: no rows of its data were held out; pass rows to test it on, and those it learned from")
    train, held = (_arranged(task, rows, model.joint.of_data, before["seed"]) for rows in (train, held))
    return train, held
