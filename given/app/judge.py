"""Judge: commands that say how good a model is, and what is unusual."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from typing import Any

import numpy as np

import given
from given.app import linked
from given.app.data import live, need, once, read, say_skipped
from given.app.reading import halves, of_model
from given.app.report import report as _report
from given.codecs import Label
from given.distributions import ImportanceWeighted
from given.evaluate import Score
from given.infer import rows_taken_as_other
from given.sources import Live, Source, write_file
from given.tasks import task_of
from given.train import MODEL_FILES, row_numbers
from given.variables import UserError, shown
from given.verbs import LinkedModel, Model
from given.verbs.checks import count_rows
from given.verbs.literals import codec_of, split_names

__all__ = ["compare", "diverge", "report", "score"]


def compare(a: argparse.Namespace) -> None:
    """`given compare`"""
    data = read(a.data, a)
    codecs = {name: codec_of(text) for name, text in once(a.codecs, "--as").items()}
    formula = task_of(data, codecs)[1] if a.formula is None else a.formula
    families: Any = "all" if a.families == "all" else split_names(a.families)
    found = given.compare(data, formula, families=families, minutes=a.minutes, seeds=a.seeds, seed=a.seed, codecs=codecs,
                          progress=not a.json)
    print(json.dumps(found.json()) if a.json else found)
    if a.output is not None:
        found.save(a.output)
        print(f"wrote {a.output}", file=sys.stderr)


def diverge(a: argparse.Namespace) -> None:
    """`given diverge`"""
    p, q = (given.load(place) if all(os.path.isfile(os.path.join(place, name)) for name in MODEL_FILES) else place
            for place in (a.p, a.q))
    if not isinstance(p, Model) and not isinstance(q, Model):
        raise UserError(f"diverge: expected a model, P or Q, got data {a.p} and {a.q}; fit one with given fit")
    rows = None if a.given is None else given.read(a.given)
    found = given.divergences(p, q, given=rows, n=a.n, seed=a.seed)
    print(json.dumps(found.json()) if a.json else found)


def score(a: argparse.Namespace) -> None:
    """`given score`"""
    if LinkedModel.fits(a.model):
        linked.score(a)
        return
    model = given.load(a.model, device=a.device)
    # What is ranked, or printed as a whole, has to be there as a whole.
    how = None if a.draws is None else ImportanceWeighted(a.draws)
    piped = live(a, model) if a.anomalies is None and not a.json and how is None else None
    if piped is not None:
        _score_live(a, model, piped)
        return
    data = of_model(a, model, model.joint.of_data, f"to score {model}")
    _say_others(model, data)
    result = model.score(data, seed=a.seed, how=how)
    _say_new(result)
    mean = model.readable(result)
    order = _least_probable(model, result, data)[: a.anomalies] if a.anomalies else np.arange(len(result.items))
    if a.json:
        error = None if math.isnan(mean.error) else mean.error
        print(json.dumps({"value": mean.value, "error": error, "unit": mean.unit, "kind": mean.kind,
                          "measure": mean.measure, "items": [[int(i), float(result.items[i])] for i in order]}))
    else:
        print("row,log_prob")
        print("\n".join(f"{i},{result.items[i]:.6f}" for i in order))
        print(mean, file=sys.stderr)


def _score_live(a: argparse.Namespace, model: Model, piped: Live) -> None:
    """The rows of a pipe scored as they come."""
    need(model.joint.of_data, piped.names, f"stdin, to score {model}")
    found, first = list[Score](), 0
    print("row,log_prob", flush=True)
    for part in model.scores(piped, seed=a.seed):
        found.append(part)
        print("\n".join(f"{first + i},{v:.6f}" for i, v in enumerate(part.items)), flush=True)
        first += len(part.items)
    say_skipped(piped)
    if not found:
        raise UserError("stdin: expected at least one row after the header, got none")
    result = found[0].joined(found[1:])
    _say_new(result)
    print(model.readable(result), file=sys.stderr)


def _say_new(score: Score) -> None:
    """Say how many values were never learned, column by column."""
    if score.new:
        each = ", ".join(f"{name} {int(counts.sum()):,} (first in row {int(np.flatnonzero(counts)[0])})"
                         for name, counts in score.new.items())
        print(f"values that were never learned, each scored with the mass kept for such: {each}", file=sys.stderr)


def _least_probable(model: Model, score: Score, data: Source) -> np.ndarray:
    """The rows, those with new values first, then the least probable; of text alone for its length, by a character."""
    new = np.zeros(len(score.items), dtype=np.int64)
    for counts in score.new.values():
        new += counts > 0
    items = score.items
    if score.characters:
        texts = [text for batch in data.batches(1 << 16) for text in batch[score.columns[0]]]
        items = items / np.array([1 + len(text or "") for text in texts])  # the end is one too
    return np.lexsort((items, -new))


def _say_others(model: Model, data: Source) -> None:
    """Say which categories are scored as one with all that are rare or unseen."""
    for name, variable in model.joint.columns.items():
        first, found, example = 0, 0, ""
        for batch in data.runs() if isinstance(variable.codec, Label) else ():
            rows = rows_taken_as_other(variable, batch[name], variable.encode_new(batch, first)[0])
            if rows and not found:
                example = f"{shown(batch[name].tolist()[rows[0]])} in row {first + rows[0]}"
            found, first = found + len(rows), first + batch.n
        if found:
            print(f'{name}: {found:,} rows hold values that were never seen, or rarely, and are scored as one, "(other)"; the '
                  f"first is {example}", file=sys.stderr)


def _at(a: argparse.Namespace, path: str) -> argparse.Namespace:
    """The options of other data."""
    return argparse.Namespace(**{**vars(a), "data": path})


def report(a: argparse.Namespace) -> None:
    """`given report`"""
    model = given.load(a.model, device=a.device)
    what = f"to report on {model}"
    data = of_model(a, model, model.joint.of_data, what, learned=not a.train)
    try:
        train, test = (of_model(_at(a, a.train), model, model.joint.of_data, what), data) if a.train else halves(model, data)
    except UserError as error:
        raise UserError(f"{error}: given report {a.model} NEW --train {a.data}") from None
    name, numbers = a.data, None
    if not a.train:
        name, n = f"the rows of {a.data} that were held out", count_rows(data)
        fit = model.facts["fit"]
        numbers = row_numbers(data, fit["share"], fit["seed"], model.joint)[1] if n > 1 and fit["share"] else None
    page = _report(model, test, train, name=name, seed=a.seed, numbers=numbers)
    write_file(a.output, lambda file: file.write(page.encode()))
    print(f"wrote {a.output}", file=sys.stderr)
