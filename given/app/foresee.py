"""Foresee: the command that goes on from the ends of series."""

from __future__ import annotations

import argparse
import sys

import given
from given import tasks
from given.app.data import read, show
from given.sources import write_file
from given.variables import UserError

__all__ = ["forecast"]


def forecast(a: argparse.Namespace) -> None:
    """`given forecast`"""
    model = given.load(a.model, device=a.device)
    finance = model.facts.get("task") == "finance"  # whose returns are read from prices
    data = tasks.finance.goes_on(model, a.data) if finance else read(a.data, a, model)
    future = None if a.future is None else read(a.future, a, model)
    found = model.forecast(data, a.horizon, n=a.n, future=future, seed=a.seed)
    for note in found.notes:
        print(note, file=sys.stderr)
    if a.item >= len(found.names[1]):
        raise UserError(f"forecast: --item {a.item}; expected one of {len(found.names[1])}, from 0")
    asked = a.mean or a.interval is not None
    if found.words and (asked or a.chart):
        print(f"left out: {', '.join(found.words)}: words have no mean and no interval; without --mean, --interval and --chart "
              "their paths are drawn", file=sys.stderr)
    if a.chart:
        content = found.chart(a.item).encode()
        write_file(a.chart, lambda file: file.write(content))
    show(found.summary(mean=a.mean, interval=a.interval) if asked else found.table(), a, model)
