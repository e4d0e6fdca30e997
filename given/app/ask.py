"""Ask: commands that ask a model."""

from __future__ import annotations

import argparse
import operator
import shlex
import sys
from collections.abc import Iterator
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
import torch

import given
from given.app import linked
from given.app.data import NewValues, live, need, observations, of_text, read, say_on_terminal, say_skipped, show
from given.app.listing import facts
from given.app.output import rows, shown
from given.app.reading import of_model
from given.app.where import events
from given.codecs import Label, Set, Text
from given.formula import Term, parse
from given.infer import Event, Part, Rows, prefix
from given.sources import Columns, Live, Source, write_file
from given.variables import Entries, Finite, UserError, nearest
from given.verbs import Answer, LinkedModel, Model, Query
from given.verbs.checks import count_rows
from given.verbs.holes import present, valueless

__all__ = ["complete", "compress", "decompress", "encode", "query", "rank", "sample"]

_AT_ONCE = 1 << 12  # rows that are asked about together


def sample(a: argparse.Namespace) -> None:
    """`given sample`"""
    if LinkedModel.fits(a.model):
        linked.sample(a)
        return
    model, how = given.load(a.model, device=a.device), _how(a)
    observed = observations(a.given, model)
    for name, variable in model.joint.columns.items() if observed.keys() >= model.joint.columns.keys() else ():
        if (isinstance(variable.codec, Text) or variable.codec.along is not None) and name not in model.joint.conditions:
            observed[name] = prefix(observed[name])  # given whole, nothing would be left to draw
    asked = model.do(observations(a.do, model, "--do"), given=observed) if a.do else model.given(observed)
    if not a.stream:
        drawn = asked.draws(a.n or 16, seed=a.seed, how=how, length=a.length, where=a.where)
        show(drawn, a, model)
        print(drawn.about, file=sys.stderr) if drawn.about else None
        return
    if a.n not in (None, 1) or a.output or a.json or a.where:
        raise UserError("sample: --stream prints one text, or series, as it is drawn; leave out -n, -o, --json and --where")
    text, begun = True, [value.values for value in observed.values() if isinstance(value, Part)]
    for block in chain(begun, asked.stream(seed=a.seed, how=how, length=a.length)):
        text = not np.ndim(block)
        print(block if text else "".join(f"{shown(value)}\n" for value in block), end="", flush=True)
    print(end="\n" if text else "")


def _how(a: argparse.Namespace) -> Any:
    """How to draw, as the options say; None where none does."""
    asked = [(a.matching, given.Regex), (a.schema, _schema), (a.repetition_penalty, given.RepetitionPenalty),
             (a.temperature, given.Temperature), (a.top_k, given.TopK), (a.top_p, given.TopP), (a.min_p, given.MinP),
             (a.stop, given.Stop), (a.longest, given.MaxLength), (a.beam, given.Beam),
             (a.symmetry, given.distributions.Symmetry),
             (a.distinct or None, lambda _: given.distributions.Distinct())]
    hows = [made(value) for value, made in asked if value is not None]
    return reduce(operator.or_, hows) if hows else None


def _schema(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return given.JSONSchema(file.read())


def query(a: argparse.Namespace) -> None:
    """`given query`"""
    model = given.load(a.model, device=a.device)
    terms = parse(a.question)
    if len(terms) > 1:
        raise UserError(f"query: expected one conditional such as 'label | image', got {a.question!r}")
    term = terms[0]
    unknown = [name for name in (*term.left, *term.parents) if name not in model.joint.columns]
    if unknown:
        raise UserError(f"query: unknown name {unknown[0]!r}; {nearest(unknown[0], model.joint.columns)}")
    where = events(a.where, model)
    if both := [name for name in where if name in term.left]:
        raise UserError(f"query: {both[0]} is asked for and given by --where; ask for something else")
    rest = tuple(name for name in term.parents if name not in where)
    if rest and a.data is None:
        raise UserError(f"query: expected data with {', '.join(rest)}, or what is known of it by --where")
    term = Term(term.left, rest)
    how = dict[str, list[Answer]]()
    if not term.parents:
        show(_answered(a, model, term, dict(where), 0, how), a, model)
        _say_how(how)
        return
    data = live(a, model) or of_model(a, model, term.parents, f"to answer {a.question!r}")
    need(term.parents, data.names, f"{a.data}, to answer {a.question!r}")
    answers = _answers(a, model, term, data, where, how)
    if a.output or a.n > 1:  # draw after draw, of all rows
        parts = list(answers)
        whole = {name: np.concatenate([part[name] for part in parts], parts[0].axes - 1) for name in parts[0]}
        show(Columns(whole, parts[0].axes, parts[0].dtypes), a, model)
        _say_how(how)
        return
    first = 0
    for part in answers:
        rows(part.flat(first), a.json, header=first == 0)
        first += part.shape[-1]
    _say_how(how)


def _answers(a: argparse.Namespace, model: Model, term: Term, data: Source, where: dict[str, Event],
             how: dict[str, list[Answer]]) -> Iterator[Columns]:
    """What is asked, of some thousand rows at a time.

    Raises:
        UserError: there is no row.
    """
    first, new = 0, NewValues(model)
    for batch in data.batches(_AT_ONCE):
        yield _answered(a, model, term, {name: Rows(batch[name]) for name in term.parents} | where, first, how)
        first += batch.n
        new.see({name: batch[name] for name in term.parents})
        if a.output:
            say_on_terminal(f"{first:,} rows answered", end="")
    say_on_terminal("", end="\n") if a.output else None
    new.say()
    say_skipped(data) if isinstance(data, Live) else None
    if not first:
        raise UserError(f"{'stdin' if a.data == '-' else a.data}: expected at least one row after the header, got none")


def _answered(a: argparse.Namespace, model: Model, term: Term, observed: dict[str, Any], first: int,
              how: dict[str, list[Answer]]) -> Columns:
    """The most probable category and the probabilities of all, or draws, of the rows from `first` on."""
    asked = model.given(observed)
    asked.first_row = first
    if a.mean or a.quantile or a.interval is not None:
        return _summarised(a, asked, term, how)
    space = model.joint.columns[term.left[0]].space
    if len(term.left) == 1 and isinstance(space, Finite) and space.dimensions == 1:
        p = asked.probabilities(term.left[0])
        symbols = torch.from_numpy(np.argmax(np.stack(list(p.values())), 0))
        best = model.joint.columns[term.left[0]].decode(Entries(symbols))[term.left[0]]
        return Columns({term.left[0]: best, **{f"p({value})": shares.round(6) for value, shares in p.items()}},
                       dtypes=asked.dtypes)
    drawn = asked.sample(a.n, columns=term.left, seed=a.seed, length=a.length)
    return Columns({name: drawn[name] for name in term.left}, drawn.axes, drawn.dtypes)


def _summarised(a: argparse.Namespace, asked: Query, term: Term, how: dict[str, list[Answer]]) -> Columns:
    """The means, quantiles and intervals of the columns asked, a column each; `how` keeps how they were found."""
    found, levels = dict[str, Any](), dict.fromkeys(a.quantile)
    if a.interval is not None:
        if not 0 < a.interval < 1:
            raise UserError(f"query: --interval {a.interval:g}; expected a probability between 0 and 1, as 0.9")
        levels |= dict.fromkeys([(1 - a.interval) / 2, (1 + a.interval) / 2])
    for name in term.left:
        for level in [*[None] * a.mean, *levels]:
            title = f"mean({name})" if level is None else f"q{level:.6g}({name})"
            answer = asked.answer(name, level, seed=a.seed)
            found[title] = np.atleast_1d(answer.value)
            how.setdefault(title, []).append(answer)
    return Columns(found)


def _say_how(how: dict[str, list[Answer]]) -> None:
    """How answers were found, on standard error: exactly, or of how many draws, with their standard error."""
    for title, answers in how.items():
        print(f"{title}: {Answer.joined(answers).how}", file=sys.stderr)


def rank(a: argparse.Namespace) -> None:
    """`given rank`"""
    model = given.load(a.model, device=a.device)
    observed = observations(a.given, model)
    if a.by is None and (a.format == "text" or a.data.removesuffix(".gz").endswith(".txt")):
        a.by = "line"
    found = next(read(a.data, a, model, piped=None).batches(1 << 60))
    asked = [name for name in model.joint.columns if name not in observed]
    values = {name: found[name] for name in found.names}
    if found.names == ("text",) and len(asked) == 1:
        values = {asked[0]: found["text"]}
    pmi = True if a.pmi == "self" else given.load(a.pmi) if a.pmi else False
    show(model.given(observed).rank(values, pmi=pmi), a, model)


def complete(a: argparse.Namespace) -> None:
    """`given complete`"""
    model = given.load(a.model, device=a.device)
    data = read(a.data, a, model)
    for line in model.unfillable(data):
        print(line, file=sys.stderr)
    for name, kind in data.kinds.items():
        if kind.form is not None:  # what is there keeps its value, and holes beside it are drawn in one spelling with it
            print(f"{name}: {kind.note}, and written so", file=sys.stderr)
    whole, new = model.complete(data, n=a.n, seed=a.seed, length=a.length), NewValues(model)
    holes = False
    for batch in data.runs():
        holes |= any(name not in batch or (v.codec.ragged and not isinstance(v.codec, Set)) or not present(batch[name]).all()
                     for name, v in model.joint.of_data.items())  # a text, or a series, goes on
        new.see({name: batch[name] for name, variable in model.joint.columns.items() if name in batch and isinstance(
            variable.codec, Label)})
    new.say()
    if not holes:
        print(f"{a.data}: nothing was missing; its rows are as they were", file=sys.stderr)
    for name in whole.names:
        left = int((~present(whole[name])).sum()) if name in model.joint.columns else 0
        if left and not valueless(model.joint.columns[name]):
            print(f"{name}: {left:,} holes stay: given the rest of their rows the model draws nothing but missing values, or "
                  '"(other)"', file=sys.stderr)
    show(whole, a, model)


def encode(a: argparse.Namespace) -> None:
    """`given encode`"""
    model = given.load(a.model, device=a.device)
    show(model.encode(of_model(a, model, (), "to be encoded")), a, model)


def compress(a: argparse.Namespace) -> None:
    """`given compress`"""
    model = given.load(a.model)
    reals = [name for name, v in model.joint.columns.items() if not isinstance(v.space, Finite)]
    if reals:
        each = " ".join(f"--as {shlex.quote(f'{name}=label')}" for name in reals)
        raise UserError(f"{a.model}: {', '.join(reals)}: expected finitely many values to code, got reals; learn again, with "
                        f"each a symbol: given fit {shlex.quote(a.data)} {each}")
    data = read(a.data, a, model)
    again = "" if a.no_verify else ", and reading them again to verify that they come back (--no-verify leaves this out)"
    say_on_terminal(f"coding {count_rows(data):,} rows entry by entry{again}")
    found = model.compress(data, batch=a.batch, span=a.span, verify=not a.no_verify)
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
    if not of_text(model) or found.n > 1 or not (a.output or ".txt").endswith(".txt"):
        show(found, a, model)
        return
    text = str(next(iter(found.values()))[0])
    if a.output:
        write_file(a.output, lambda file: file.write(text.encode()))
        print(f"wrote {a.output}", file=sys.stderr)
    else:
        print(text, end="")
