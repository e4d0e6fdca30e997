"""Linked: what `given fit`, `sample` and `score` do of linked tables and models of them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from given.app.data import observations, once
from given.app.listing import facts
from given.app.output import rows
from given.app.plan import place_of
from given.sources import LinkedTables
from given.train import check_place
from given.variables import Codec, UserError
from given.verbs import LinkedModel
from given.verbs.linked import LINKED_FILES
from given.verbs.literals import codec_of

__all__ = ["fit", "sample", "score"]

_READING = ("format", "delimiter", "header", "decimal", "dayfirst", "by", "time", "size", "crop", "flip", "skip_bad")
_LEARNING = ("formula", "task", "rows", "weight", "checkpoint", "resume", "watch")
_DRAWING = ("matching", "schema", "repetition_penalty", "temperature", "top_k", "top_p", "min_p", "stop", "longest", "beam",
            "length", "stream")


def fit(a: argparse.Namespace) -> int:
    """`given fit` of linked tables."""
    _check_unset(a, (*_READING, *_LEARNING), a.data)
    tables = LinkedTables.read(a.data, a.key)
    codecs: dict[str, Codec] = {name: codec_of(text) for name, text in once(a.codecs, "--as").items()}
    model = LinkedModel(tables, codecs=codecs, families=once(a.family, "--family"), seed=a.seed)
    if a.dry_run:
        facts(dict(_plan(a, tables, model)), a.json)
        return 0
    print("".join(f"{note}\n" for note in model.notes), end="", file=sys.stderr)
    path = place_of(a)
    check_place(path, LINKED_FILES)  # before the time is spent
    done = model.fit(tables, held_out=a.held_out, minutes=a.minutes, cpu_seconds=a.cpu_seconds, steps=a.steps, seed=a.seed,
                     device=a.device, bfloat16=a.bfloat16, muon=a.muon)
    model.save(path)
    facts({"model": path, **{f"formula of {name}": str(each) for name, each in model.items()},
           **{f"steps of {name}": f"{each.steps}, {each.stopped}" for name, each in done.items()},
           "cpu-seconds": round(sum(each.cpu_seconds for each in done.values()), 1), **model.facts.get("scores", {})}, a.json)
    return 130 if any(each.stopped == "interrupted" for each in done.values()) else 0


def _plan(a: argparse.Namespace, tables: LinkedTables, model: LinkedModel) -> Iterator[tuple[str, str]]:
    """What was inferred, line by line."""
    for name, columns in tables.items():
        named = f", named by {tables.ids[name]}" if name in tables.ids else ""
        yield f"table {name}", f"{columns.n:,} rows{named}"
        if (key := tables.links.get(name)) is not None:
            owners = tables.owners[name]
            counts = np.bincount(owners[owners >= 0], minlength=tables[key.of].n)
            yield f"key {name}.{key.column}", (f"{key.of}.{key.id}: {counts.min()} to {counts.max():,} rows each, "
                                               f"{counts.mean():.3g} on average")
        yield f"formula of {name}", str(model[name]) if name in model else "nothing to learn but how many rows there are"
        for column, variable in model[name].joint.columns.items() if name in model else ():
            if column in model.plans[name].left:
                yield f"column {name}.{column}", repr(variable.codec)
    for note in model.notes:
        subject, _, what = note.partition(": ")
        kind = "column" if "." in subject else "rows of" if "rows" in what or "siblings" in what else "table"
        yield f"{kind} {subject}", what


def sample(a: argparse.Namespace) -> None:
    """`given sample` of a model of linked tables."""
    _check_unset(a, _DRAWING, a.model)
    model = LinkedModel.load(a.model, device=a.device)
    drawn = model.sample(a.n or 16, seed=a.seed, **observations(a.given, model[model.root]))
    if a.output:
        drawn.save(a.output)
        print(f"wrote {a.output}", file=sys.stderr)
    elif a.json:
        print(json.dumps({name: list(columns.records()) for name, columns in drawn.items()}))
    else:
        for name, columns in drawn.items():
            print(f"[{name}]")
            rows(columns, False)


def score(a: argparse.Namespace) -> None:
    """`given score` of a model of linked tables."""
    _check_unset(a, (*_READING, "draws"), a.model)
    model = LinkedModel.load(a.model, device=a.device)
    found = model.score(a.data, seed=a.seed)
    order = np.argsort(found.items, kind="stable")[:a.anomalies] if a.anomalies else np.arange(len(found.items))
    if found.new:
        each = ", ".join(f"{name} {int(counts.sum()):,}" for name, counts in found.new.items())
        print(f"values that were never learned, each scored with the mass kept for such: {each}", file=sys.stderr)
    if a.json:
        print(json.dumps({"value": found.value, "error": found.error if len(found.items) > 1 else None, "unit": found.unit,
                          "kind": found.kind, "measure": found.measure,
                          "items": [[int(i), float(found.items[i])] for i in order]}))
        return
    print("row,log_prob")
    print("\n".join(f"{i},{found.items[i]:.6f}" for i in order))
    print(f"rows of {model.root}, each with all that belongs to it: {found}", file=sys.stderr)


def _check_unset(a: argparse.Namespace, options: Sequence[str], where: str) -> None:
    """Raise where an option is passed that says nothing about linked tables."""
    for name in options:
        if getattr(a, name, None) not in (None, False):
            said = "a formula, which follows from the keys," if name == "formula" else f"--{name.replace('_', '-')}"
            raise UserError(f"{os.fspath(where)}: is of linked tables, about which {said} says nothing; leave it out")
