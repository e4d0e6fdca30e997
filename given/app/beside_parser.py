"""The parser of the commands that set one table beside another."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from given.app.options import DATA, column, pair

__all__ = ["BESIDE"]

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


def _rows_or_share(text: str) -> str | float:
    """A share between 0 and 1, or else what rows are in."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a file, or a share between 0 and 1, got {text}")
    return value


BESIDE: tuple[Callable[[Add], None], ...] = (_quality,)
