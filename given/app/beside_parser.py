"""The parser of the commands that set new rows beside others: synthetic, of another time, or to learn further from."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from given.app.options import DATA, column, count, pair, positive, reading, share

__all__ = ["BESIDE", "UPDATE"]

Add = Callable[..., Any]


def _quality(add: Add) -> None:
    command = add("quality", "how good synthetic rows are beside real ones, and what they give away",
                  "given quality people.csv drawn.csv --held-out others.csv -o quality.html",
                  "given quality people.csv drawn.csv --held-out 0.1 --target income")
    command.add_argument("real", metavar="REAL", help="the rows that the synthetic ones were learned from: " + DATA)
    command.add_argument("synthetic", metavar="SYNTHETIC", help="rows of the same columns")
    command.add_argument("--held-out", type=_rows_or_share, metavar="HOLDOUT",
                         help="rows like REAL that nothing was learned from, or a share as 0.1: the rows of REAL that given "
                              "fit holds out by the same share and --seed; without them parts of the report are skipped")
    command.add_argument("--target", type=column, metavar="COLUMN",
                         help="what is predicted by trees that learn from either (default: the last column of two to ten "
                              "categories)")
    command.add_argument("--as", dest="codecs", action="append", default=[], type=pair, metavar="COLUMN=CODEC",
                         help="how a column is read, as of given fit")
    command.add_argument("-o", "--output", metavar="FILE", help="write one HTML page")


def _drift(add: Add) -> None:
    command = add("drift", "which columns moved from old rows to new ones, and which given all others",
                  "given drift january.csv june.csv", "given drift january.csv june.csv --cpu-seconds 300 --json")
    command.add_argument("old", metavar="OLD", help="the rows that a model learns from, but a fifth of them: " + DATA)
    command.add_argument("new", metavar="NEW", help="rows of the same columns")
    command.add_argument("--cpu-seconds", type=positive, default=60.0, help="of learning (default 60)")
    command.add_argument("--steps", type=count, help="of learning, if they come first")
    command.add_argument("--as", dest="codecs", action="append", default=[], type=pair, metavar="COLUMN=CODEC",
                         help="how a column is read, as of given fit")


def UPDATE(add: Add) -> None:  # noqa: N802
    """`given update`"""
    command = add("update", "learn further from new rows", "given update people.given july.csv --cpu-seconds 60",
                  "given update people.given july.csv --old people.csv -o people-july.given", model=True, anywhere=False)
    command.add_argument("data", metavar="NEW", help="rows of the same columns and categories: " + DATA)
    reading(command)
    command.add_argument("--old", metavar="DATA", help="the rows learned from before, to learn from with the new ones, so that "
                                                       "they are not forgotten; what is counted or solved needs them")
    command.add_argument("-o", "--output", metavar="FOLDER", help="where to save the model (default: in place of MODEL)")
    command.add_argument("--held-out", type=share, default=0.1, metavar="SHARE",
                         help="of the new rows, to stop by (default 0.1)")
    command.add_argument("--minutes", type=positive, help="budget of wall time (default 2, or 100 epochs if they come first)")
    command.add_argument("--cpu-seconds", type=positive, help="budget of processor time")
    command.add_argument("--steps", type=count, help="budget of steps")


def _rows_or_share(text: str) -> str | float:
    """A share between 0 and 1, or else what rows are in."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a file, or a share between 0 and 1, got {text}")
    return value


BESIDE: tuple[Callable[[Add], None], ...] = (_quality, _drift)
