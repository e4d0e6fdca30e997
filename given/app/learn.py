"""Learn: commands that make models, and the one that writes them for others."""

from __future__ import annotations

import argparse
import sys

import given
from given.app import linked
from given.app.data import once, read
from given.app.listing import facts
from given.app.plan import place_of, plan
from given.app.reading import of_model
from given.app.tasks import fit as _fit_task
from given.codecs import Time
from given.sources import Columns, LinkedTables, Source, nearly
from given.tasks import task_named, task_of
from given.train import MODEL_FILES, check_place
from given.variables import Codec, UserError
from given.verbs import Model
from given.verbs.literals import codec_of

__all__ = ["demo", "export", "fit", "update"]


def demo(a: argparse.Namespace) -> None:
    """`given demo`"""
    from given.app.demo import demo as run

    run(a.output, cpu_seconds=a.cpu_seconds, seed=a.seed)


def fit(a: argparse.Namespace) -> int:
    """`given fit`"""
    if a.key or LinkedTables.fits(a.data):
        return linked.fit(a)
    wanted = None if a.task is None else task_named(a.task)
    if wanted is not None and wanted.own is not None:
        return _fit_task(a)
    if wanted is not None and a.formula is not None:
        raise UserError(f"fit: --task {a.task} says the formula; leave one of the two out")
    data = read(a.data, a, series=a.formula is None and not a.rows)
    codecs = {name: codec_of(text) for name, text in once(a.codecs, "--as").items()}
    formula, task, left_out = a.formula, None, list[str]()
    if formula is None:
        try:
            task, formula, left_out = task_of(data, codecs)
        except UserError as error:
            raise error.at(a.data) from None
        if wanted not in (None, task):
            raise UserError(f"{a.data}: is no data for --task {a.task}, but for {task.name} ({formula}); leave --task out, or "
                            "write the formula")
        why = nearly(data) if isinstance(data, Columns) and not a.rows else ""
        print(f"{why}; learned as rows\n" * bool(why), end="", file=sys.stderr)
        if not a.dry_run:
            print("".join(f"{note}\n" for note in left_out), end="", file=sys.stderr)
    model = _made(a, formula, data, codecs)
    model.facts["notes"] += left_out
    data = _as_series(data, model, a)
    ignored = model.order_ignored(data)
    order = {"order": ignored} if ignored else {}
    times = [name for name, v in model.joint.columns.items() if isinstance(v.codec, Time)]
    if times:
        order["dates"] = (f"{', '.join(times)}: each read as one number on a line; what recurs, as a season, a weekday or an "
                          "hour, is learned from columns of its own, such as month")
    if a.dry_run:
        asked = {"task": f"{task.name}: {task.what}"} if task else {}
        facts({"formula": str(model), **asked, "data": data.described(), **plan(model, data), **order}, a.json)
        return 0
    path = place_of(a)
    check_place(path, MODEL_FILES)  # before the time is spent
    done = model.fit(data, held_out=a.held_out, weight=a.weight, minutes=a.minutes, cpu_seconds=a.cpu_seconds, steps=a.steps,
                     seed=a.seed, checkpoint=a.checkpoint, resume=a.resume, device=a.device,
                     bfloat16=a.bfloat16, muon=a.muon, watch=a.watch)
    model.save(path)
    below = done.below("learn longer (--minutes or --steps), or choose another family (--family, see given families)")
    why = "closed form: counted or solved, without steps" if done.stopped == "closed form" and not a.json else done.stopped
    facts({"model": path, "formula": str(model), "steps": done.steps, "stopped": why,
           "cpu-seconds": round(done.cpu_seconds, 1), **model.facts.get("scores", {}), **_gap(model),
           **{name: f"{max(points, key=lambda each: each[1])[0]:.4g}" for name, points in model.curves.items()},
           **({"notice": below} if below else {}), **order}, a.json)
    return 130 if done.stopped == "interrupted" else 0


def _made(a: argparse.Namespace, formula: str, data: Source, codecs: dict[str, Codec]) -> Model:
    """A model of data, nothing of it learned yet; a row that it cannot read is named with its file."""
    try:
        return given.model(formula, data, families=once(a.family, "--family"), codecs=codecs, seed=a.seed)
    except UserError as error:
        raise error.at(a.data) if ", row " in str(error) else error from None


def update(a: argparse.Namespace) -> None:
    """`given update`"""
    model, path = given.load(a.model), a.output or a.model
    check_place(path, MODEL_FILES)  # before the time is spent
    data = of_model(a, model, model.joint.of_data, f"to update {model}")
    done = model.update(data, old=a.old, held_out=a.held_out, minutes=a.minutes, cpu_seconds=a.cpu_seconds, steps=a.steps,
                        seed=a.seed)
    model.save(path)
    scores = {} if done.before is None or done.after is None else {
        "held-out new rows, before": str(done.before), "held-out new rows, after": str(done.after)}
    left = {} if done.kept else {"notice": "held-out new rows are less probable after it, so the model is left as it was"}
    facts({"model": path, "formula": str(model), "steps": done.fit.steps, "cpu-seconds": round(done.fit.cpu_seconds, 1),
           **scores, **left}, a.json)


def _as_series(data: Source, model: Model, a: argparse.Namespace) -> Source:
    """The rows as the series that a model made of them without being asked for, which is said."""
    along = {name: each for name, each in model.cells.items() if each.along}
    if not along or a.time is not None or a.by is not None:
        return data
    found = given.read(data, learned=along)
    if isinstance(found, Columns) and (clock := found.clock) is not None:
        print(f"read as {found.n:,} series{f' by {clock.by}' if clock.by else ''}: {clock.note}"
              f"{'; --rows learns rows instead' * (a.formula is None)}", file=sys.stderr)
    return found


def _gap(model: Model) -> dict[str, str]:
    """How far answers to different questions may disagree, where a net learned every order of its columns."""
    gap = model.facts["fit"]["coherence_gap"]
    return {} if gap is None else {"coherence gap": f"{gap / len(model.joint.columns):.4f} nats a column between rows and "
                                                    "questions: 0 where all answers agree, large where near the gain over "
                                                    "independent columns"}


def export(a: argparse.Namespace) -> None:
    """`given export`"""
    given.load(a.model).export(a.output)
    print(f"wrote {a.output}", file=sys.stderr)
