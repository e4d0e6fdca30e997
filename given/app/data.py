"""Data and answers of commands: files as the options say, answers on the screen or in a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import given
from given.app.output import rows, write
from given.codecs import Text
from given.sources import Columns, Source
from given.variables import UserError
from given.verbs import Model

__all__ = ["need", "of_text", "once", "read", "say_skipped", "show"]

_SKIPPED = 10  # bad rows that are named


def read(source: str, a: argparse.Namespace, model: Model | None = None) -> Source:
    """DATA as its options say; what was skipped is said. What is piped to a model of one text is text."""
    piped = "text" if source == "-" and model is not None and of_text(model) else None
    options = {"format": a.format or piped, "delimiter": a.delimiter,
               "header": None if a.header is None else a.header == "yes", "decimal": a.decimal,
               "dayfirst": None if a.dayfirst is None else a.dayfirst == "yes", "by": a.by, "size": a.size,
               "skip_bad": a.skip_bad or None}
    data = given.read(source, **{name: value for name, value in options.items() if value is not None})
    say_skipped(data)
    return data


def of_text(model: Model) -> bool:
    """Whether a model is of one text."""
    return [isinstance(v.codec, Text) for v in model.joint.columns.values()] == [True]


def say_skipped(data: Source) -> None:
    """Say what was skipped."""
    if data.skipped:
        more = f"\n  ... and {len(data.skipped) - _SKIPPED:,} more" if len(data.skipped) > _SKIPPED else ""
        print(f"skipped {len(data.skipped):,} bad:\n  " + "\n  ".join(data.skipped[:_SKIPPED]) + more, file=sys.stderr)


def show(columns: Columns, a: argparse.Namespace, model: Model) -> None:
    """Columns in the file that the options name, or on the screen."""
    if a.output:
        write(columns, a.output, model)
    else:
        rows(columns, a.json)


def need(names: Any, there: Sequence[str], where: str) -> None:
    """Raise where a column is not there."""
    absent = [name for name in names if name not in there]
    if absent:
        raise UserError(f"{where}: no column {absent[0]}; there are {', '.join(there)}")


def once(pairs: Sequence[tuple[str, str]], what: str) -> dict[str, str]:
    """Names and values, each name once."""
    names = [name for name, _ in pairs]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise UserError(f"{what}: {twice[0]} is said twice; say it once")
    return dict(pairs)
