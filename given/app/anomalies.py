"""Anomalies: rows judged by a model of those that are normal, from a file or as they come through a pipe."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np

import given
from given.app.data import live, need, read, show
from given.app.output import rows
from given.sources import Columns, Live, Source, joined
from given.tasks.anomalies import Watch
from given.variables import UserError

__all__ = ["anomalies"]

_AT_ONCE = 1 << 12  # rows


def anomalies(a: argparse.Namespace) -> None:
    """`given anomalies`"""
    model = given.load(a.model, device=a.device)
    try:
        watch = Watch(model, a.false_alarms)
    except UserError as error:
        raise error.at(a.model) from None
    a.skip_bad |= a.data == "-"  # a stream goes on
    piped = live(a, model, [model.facts.get("header", []), list(model.joint.columns)])
    data: Source = piped or read(a.data, a, model)
    need(model.joint.of_data, data.names, f"{'stdin' if a.data == '-' else a.data}, to judge by {model}")
    if piped is not None and not piped.headed:
        print(f"stdin: the first line is a row; columns are taken to be {', '.join(piped.names)}", file=sys.stderr)
    found, shown, n, flagged, bad = list[Columns](), False, 0, 0, 0
    for part in _judged(a, watch, data):
        n, flagged = n + part.n, flagged + int((part["anomaly"] == "yes").sum())
        some = part.rows(np.flatnonzero(part["anomaly"] == "yes")) if a.flagged else part
        if a.output:
            found.append(some)
        elif some.n or not shown:
            rows(some, a.json, header=not shown)
            sys.stdout.flush()
            shown = True
        bad += _named(piped)
    bad += _named(piped)
    if not n:
        raise UserError(f"{'stdin' if a.data == '-' else a.data}: expected at least one row after the header, got none")
    if a.output:
        show(joined(found), a, model)
    print(f"{flagged:,} of {n:,} rows flagged{f', {bad:,} bad rows left out' if bad else ''}; {watch.alarms}", file=sys.stderr)


def _judged(a: argparse.Namespace, watch: Watch, data: Source) -> Iterator[Columns]:
    """Rows with their numbers, some at a time."""
    first = 0
    for batch in data.batches(_AT_ONCE):
        found = watch.judge(batch, a.seed)
        yield Columns({"row": np.arange(first, first + batch.n), **found})
        first += batch.n


def _named(piped: Live | None) -> int:
    """Name the rows of a pipe that were left out since the last time, and forget them: how many."""
    if piped is None:
        return 0
    for line in piped.skipped:
        print(f"{line}; left out", file=sys.stderr, flush=True)
    count = len(piped.skipped)
    piped.skipped.clear()
    return count
