"""Commands: what each command of the line does, by the verbs of the library."""

from __future__ import annotations

import argparse
import json
import math
import operator
import sys
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch

import given
from given import codecs as _codecs
from given import families as _families
from given.app.listing import facts
from given.app.literals import built, codec_of
from given.app.output import rows, write
from given.app.plan import place_of, plan
from given.app.report import report as _report
from given.app.tasks import chat, fill, keyboard, translate
from given.app.tasks import fit as _fit_task
from given.evaluate import Score
from given.formula import parse
from given.infer import Part, Rows, others, prefix
from given.sources import Columns, Live, Source, write_file
from given.tasks import task_named, task_of
from given.train import MODEL_FILES, check_place
from given.variables import Entries, Finite, UserError, shown
from given.verbs import Model

__all__ = ["chat", "complete", "compress", "decompress", "demo", "encode", "export", "fill", "fit", "keyboard", "query", "rank",
           "report", "sample", "score", "translate"]

_SKIPPED = 10  # bad rows that are named


def demo(a: argparse.Namespace) -> None:
    """`given demo`"""
    from given.app.demo import demo as run

    run(a.output, cpu_seconds=a.cpu_seconds, seed=a.seed)


def fit(a: argparse.Namespace) -> int:
    """`given fit`"""
    wanted = None if a.task is None else task_named(a.task)
    if wanted is not None and wanted.own is not None:
        return _fit_task(a)
    if wanted is not None and a.formula is not None:
        raise UserError(f"fit: --task {a.task} says the formula; leave one of the two out")
    data = _read(a.data, a)
    codecs = {name: codec_of(text) for name, text in _once(a.codecs, "--as").items()}
    families = {name: built(text, _families, "--family") for name, text in _once(a.family, "--family").items()}
    formula, task, left_out = a.formula, None, list[str]()
    if formula is None:
        found = task_of(data, codecs)
        if found is None:
            raise UserError(f"{a.data}: no task of `given tasks` fits columns {', '.join(data.names)}; write the formula")
        task, formula, left_out = found
        if wanted not in (None, task):
            raise UserError(f"{a.data}: is no data for --task {a.task}, but for {task.name} ({formula}); leave --task out, or "
                            "write the formula")
        if not a.dry_run:
            print("".join(f"{note}\n" for note in left_out), end="", file=sys.stderr)
    model = given.model(formula, data, families=families, codecs=codecs, seed=a.seed)
    model.facts["notes"] += left_out
    ignored = model.order_ignored(data)
    order = {"order": ignored} if ignored else {}
    if a.dry_run:
        asked = {"task": f"{task.name}: {task.what}"} if task else {}
        facts({"formula": str(model), **asked, "data": data.described(), **plan(model, data), **order}, a.json)
        return 0
    path = place_of(a)
    check_place(path, MODEL_FILES)  # before the time is spent
    done = model.fit(data, held_out=a.held_out, weight=a.weight, minutes=a.minutes, cpu_seconds=a.cpu_seconds, steps=a.steps,
                     seed=a.seed, checkpoint=a.checkpoint, resume=a.resume, bfloat16=a.bfloat16, muon=a.muon)
    model.save(path)
    below = done.below("learn longer (--minutes or --steps), or choose another family (--family, see given families)")
    facts({"model": path, "formula": str(model), "steps": done.steps, "stopped": done.stopped,
           "cpu-seconds": round(done.cpu_seconds, 1), **model.facts.get("scores", {}), **_gap(model),
           **({"notice": below} if below else {}), **order}, a.json)
    return 130 if done.stopped == "interrupted" else 0


def _gap(model: Model) -> dict[str, str]:
    """How far answers to different questions may disagree, where a net learned every order of its columns."""
    gap = model.facts["fit"]["coherence_gap"]
    return {} if gap is None else {"coherence gap": f"{gap:.4f} nats/item between whole draws and other orders of columns"}


def sample(a: argparse.Namespace) -> None:
    """`given sample`"""
    model, how = given.load(a.model), _how(a)
    observed: dict[str, Any] = dict(_once(a.given, "NAME=VALUE"))
    for name, variable in model.joint.columns.items() if observed.keys() >= model.joint.columns.keys() else ():
        if isinstance(variable.codec, _codecs.Text) and name not in model.joint.conditions:
            observed[name] = prefix(observed[name])  # given whole, nothing would be left to draw
    asked = model.given(observed)
    if not a.stream:
        _answer(asked.sample(a.n or 16, seed=a.seed, how=how, length=a.length), a, model)
        return
    if a.n not in (None, 1) or a.output or a.json:
        raise UserError("sample: --stream prints one text as it is drawn; leave out -n, -o and --json")
    said = asked.stream(seed=a.seed, how=how, length=a.length)
    print(*(begun.values for begun in observed.values() if isinstance(begun, Part)), sep="", end="", flush=True)
    for part_of_text in said:
        print(part_of_text, end="", flush=True)
    print()


def _how(a: argparse.Namespace) -> Any:
    """How to draw, as the options say; None where none does."""
    asked = [(a.matching, given.Regex), (a.schema, _schema), (a.repetition_penalty, given.RepetitionPenalty),
             (a.temperature, given.Temperature), (a.top_k, given.TopK), (a.top_p, given.TopP), (a.min_p, given.MinP),
             (a.stop, given.Stop), (a.longest, given.MaxLength), (a.beam, given.Beam)]
    hows = [made(value) for value, made in asked if value is not None]
    return reduce(operator.or_, hows) if hows else None


def _schema(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return given.JSONSchema(file.read())


def score(a: argparse.Namespace) -> None:
    """`given score`"""
    model = given.load(a.model)
    table = a.format in ("csv", "tsv") or (a.format is None and not _of_text(model))
    if a.data == "-" and table and Live.fits(sys.stdin.buffer):
        live = Live(sys.stdin.buffer, a.delimiter, a.skip_bad)
        _need(model.joint.columns, live.names, f"stdin, to score {model}")
        found, first = [], 0
        streaming = a.anomalies is None and not a.json
        if streaming:
            print("row,log_prob", flush=True)
        for part in model.scores(live, seed=a.seed):
            found.append(part)
            if streaming:
                print("\n".join(f"{first + i},{v:.6f}" for i, v in enumerate(part.items)), flush=True)
            first += len(part.items)
        _skipped(live)
        data = None
        if not found:
            raise UserError("stdin: expected at least one row after the header, got none")
        result = found[0].joined(found[1:])
        if streaming:
            _say_new(result)
            print(result, file=sys.stderr)
            return
    else:
        data = _read(a.data, a, model)
        _need(model.joint.columns, data.names, f"{a.data}, to score {model}")
        _say_others(model, data)
        result = model.score(data, seed=a.seed)
    _say_new(result)
    order = _least_probable(model, result, data)[: a.anomalies] if a.anomalies else np.arange(len(result.items))
    if a.json:
        error = None if math.isnan(result.error) else result.error
        print(json.dumps({"value": result.value, "error": error, "unit": result.unit, "kind": result.kind,
                          "measure": result.measure, "items": [[int(i), float(result.items[i])] for i in order]}))
    else:
        print("row,log_prob")
        print("\n".join(f"{i},{result.items[i]:.6f}" for i in order))
        print(result, file=sys.stderr)


def _say_new(score: Score) -> None:
    """Say how many values were never learned, column by column."""
    if score.new:
        each = ", ".join(f"{name} {int(counts.sum()):,} (first in row {int(np.flatnonzero(counts)[0])})"
                         for name, counts in score.new.items())
        print(f"values that were never learned, each scored with the mass kept for such: {each}", file=sys.stderr)


def _least_probable(model: Model, score: Score, data: Source | None) -> np.ndarray:
    """The rows, those with new values first, then the least probable; of text alone for its length, by a character."""
    new = np.zeros(len(score.items), dtype=np.int64)
    for counts in score.new.values():
        new += counts > 0
    items = score.items
    if data is not None and score.characters:
        texts = [text for batch in data.batches(1 << 16) for text in batch[score.columns[0]]]
        items = items / np.array([1 + len(text or "") for text in texts])  # the end is one too
    return np.lexsort((items, -new))


def _say_others(model: Model, data: Source) -> None:
    """Say which categories are scored as one with all that are rare or unseen."""
    for name, variable in model.joint.columns.items():
        first, found, example = 0, 0, ""
        for batch in data.batches(1 << 16) if isinstance(variable.codec, _codecs.Label) else ():
            rows = others(variable, batch[name], variable.encode_new(batch, first)[0])
            if rows and not found:
                example = f"{shown(batch[name].tolist()[rows[0]])} in row {first + rows[0]}"
            found, first = found + len(rows), first + batch.n
        if found:
            print(f'{name}: {found:,} rows hold values that were never seen, or rarely, and are scored as one, "(other)"; the '
                  f"first is {example}", file=sys.stderr)


def query(a: argparse.Namespace) -> None:
    """`given query`"""
    model = given.load(a.model)
    terms = parse(a.question)
    if len(terms) > 1:
        raise UserError(f"query: expected one conditional such as 'label | image', got {a.question!r}")
    term = terms[0]
    unknown = [name for name in (*term.left, *term.parents) if name not in model.joint.columns]
    if unknown:
        raise UserError(f"query: unknown name {unknown[0]!r}; there are {', '.join(model.joint.columns)}")
    if term.parents and a.data is None:
        raise UserError(f"query: expected data with {', '.join(term.parents)}")
    held: Any = {}
    if term.parents:
        data = _read(a.data, a)
        _need(term.parents, data.names, f"{a.data}, to answer {a.question!r}")
        held = next(data.batches(1 << 60))
    asked = model.given({name: Rows(held[name]) for name in term.parents})
    space = model.joint.columns[term.left[0]].space
    if len(term.left) == 1 and isinstance(space, Finite) and space.dimensions == 1:
        p = asked.probabilities(term.left[0])
        symbols = torch.from_numpy(np.argmax(np.stack(list(p.values())), 0))
        best = model.joint.columns[term.left[0]].decode(Entries(symbols))[term.left[0]]
        answer = Columns({term.left[0]: best, **{f"p({value})": shares.round(6) for value, shares in p.items()}})
    else:
        drawn = asked.sample(a.n, columns=term.left, seed=a.seed)
        answer = Columns({name: drawn[name] for name in term.left}, drawn.axes)
    _answer(answer, a, model)


def rank(a: argparse.Namespace) -> None:
    """`given rank`"""
    model, observed = given.load(a.model), _once(a.given, "NAME=VALUE")
    if a.by is None and (a.format == "text" or a.data.removesuffix(".gz").endswith(".txt")):
        a.by = "line"
    found = next(_read(a.data, a).batches(1 << 60))
    asked = [name for name in model.joint.columns if name not in observed]
    values = {name: found[name] for name in found.names}
    if found.names == ("text",) and len(asked) == 1:
        values = {asked[0]: found["text"]}
    pmi = True if a.pmi == "self" else given.load(a.pmi) if a.pmi else False
    _answer(model.given(observed).rank(values, pmi=pmi), a, model)


def complete(a: argparse.Namespace) -> None:
    """`given complete`"""
    model = given.load(a.model)
    data = _read(a.data, a, model)
    for line in model.unfillable(data):
        print(line, file=sys.stderr)
    _answer(model.complete(data, n=a.n, seed=a.seed), a, model)


def encode(a: argparse.Namespace) -> None:
    """`given encode`"""
    model = given.load(a.model)
    _answer(model.encode(_read(a.data, a)), a, model)


def compress(a: argparse.Namespace) -> None:
    """`given compress`"""
    model = given.load(a.model)
    found = model.compress(_read(a.data, a, model), batch=a.batch, span=a.span, verify=not a.no_verify)
    write_file(a.output, lambda file: file.write(found.content))
    size = len(found.content)
    facts({"file": a.output, "rows": found.rows, "bytes": size, "bits an entry": round(8 * size / found.entries, 4),
           "-log2 p of it": round(found.bits / found.entries, 4), "verified": "no" if a.no_verify else "yes"}, a.json)


def decompress(a: argparse.Namespace) -> None:
    """`given decompress`"""
    model = given.load(a.model)
    with open(a.file, "rb") as file:
        content = file.read()
    try:
        found = model.decompress(content)
    except UserError as error:
        raise error.at(a.file) from None
    if not _of_text(model) or found.n > 1 or not (a.output or ".txt").endswith(".txt"):
        _answer(found, a, model)
        return
    text = str(next(iter(found.values()))[0])
    if a.output:
        write_file(a.output, lambda file: file.write(text.encode()))
        print(f"wrote {a.output}", file=sys.stderr)
    else:
        print(text, end="")


def report(a: argparse.Namespace) -> None:
    """`given report`"""
    model = given.load(a.model)
    data = _read(a.data, a, model)
    _need(model.joint.columns, data.names, f"{a.data}, to report on {model}")
    try:
        train, test = (given.read(a.train), data) if a.train else model.split(data)
    except UserError as error:
        raise UserError(f"{error}: given report {a.model} NEW --train {a.data}") from None
    name = a.data if a.train else f"the rows of {a.data} that were held out"
    page = _report(model, test, train, name=name, seed=a.seed)
    write_file(a.output, lambda file: file.write(page.encode()))
    print(f"wrote {a.output}", file=sys.stderr)


def export(a: argparse.Namespace) -> None:
    """`given export`"""
    given.load(a.model).export(a.output)
    print(f"wrote {a.output}", file=sys.stderr)


# What commands share


def _read(source: str, a: argparse.Namespace, model: Model | None = None) -> Source:
    """DATA as its options say; what was skipped is said. What is piped to a model of one text is text."""
    piped = "text" if source == "-" and model is not None and _of_text(model) else None
    options = {"format": a.format or piped, "delimiter": a.delimiter,
               "header": None if a.header is None else a.header == "yes", "decimal": a.decimal,
               "dayfirst": None if a.dayfirst is None else a.dayfirst == "yes", "by": a.by, "size": a.size,
               "skip_bad": a.skip_bad or None}
    data = given.read(source, **{name: value for name, value in options.items() if value is not None})
    _skipped(data)
    return data


def _of_text(model: Model) -> bool:
    return [isinstance(v.codec, _codecs.Text) for v in model.joint.columns.values()] == [True]


def _skipped(data: Source) -> None:
    if data.skipped:
        more = f"\n  ... and {len(data.skipped) - _SKIPPED:,} more" if len(data.skipped) > _SKIPPED else ""
        print(f"skipped {len(data.skipped):,} bad:\n  " + "\n  ".join(data.skipped[:_SKIPPED]) + more, file=sys.stderr)


def _answer(columns: Columns, a: argparse.Namespace, model: Model) -> None:
    if a.output:
        write(columns, a.output, model)
    else:
        rows(columns, a.json)


def _need(names: Any, there: Sequence[str], where: str) -> None:
    absent = [name for name in names if name not in there]
    if absent:
        raise UserError(f"{where}: no column {absent[0]}; there are {', '.join(there)}")


def _once(pairs: Sequence[tuple[str, str]], what: str) -> dict[str, str]:
    names = [name for name, _ in pairs]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise UserError(f"{what}: {twice[0]} is said twice; say it once")
    return dict(pairs)
