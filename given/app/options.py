"""Options that commands share, and how their values are read."""

from __future__ import annotations

import argparse
import os
import re

__all__ = ["DATA", "LINKED", "column", "count", "drawing", "key", "length", "number", "pair", "positive", "reading",
           "seed_of", "share", "size", "to_come"]

DATA = ("a file .csv, .tsv, .jsonl, .parquet, .npz, .npy, .txt or .smi, a folder of images, sounds or texts, a glob in quotes, "
        "- for standard input, or a sample: digits, breast_cancer, wine, diabetes, shakespeare, scenes")
LINKED = "; or linked tables: a folder of .csv, a file of SQLite or DuckDB, or shop"


def key(sub: argparse.ArgumentParser) -> None:
    """How linked tables refer to one another."""
    sub.add_argument("--key", action="append", default=[], metavar="TABLE.COLUMN=TABLE.COLUMN",
                     help="of linked tables, the column that refers to a row of another and the id there, as "
                          "orders.customer_id=customers.id, where neither a database nor names say it; may be said again; "
                          "tables that no key names are left out")


def drawing(sub: argparse.ArgumentParser) -> None:
    """How symbols are drawn, in the order in which the distribution of the next one is changed."""
    sub.add_argument("--matching", metavar="REGEX", help="draw only texts that match, whole, after what is given")
    sub.add_argument("--schema", metavar="FILE", help="draw only JSON of this schema")
    sub.add_argument("--repetition-penalty", type=number, metavar="STRENGTH", help="above 1: symbols come back less often")
    sub.add_argument("--temperature", type=number, metavar="T", help="below 1 sharper, above flatter; at 0 greedy")
    sub.add_argument("--top-k", type=count, metavar="K", help="only the K most probable symbols")
    sub.add_argument("--top-p", type=number, metavar="P", help="only the most probable symbols that together reach P")
    sub.add_argument("--min-p", type=number, metavar="P", help="only symbols at least P times as probable as the best")
    sub.add_argument("--stop", action="append", metavar="STRING", help="end a text after this string; may be said again")
    sub.add_argument("--longest", type=count, metavar="N", help="draw at most N symbols")
    sub.add_argument("--beam", type=count, metavar="WIDTH", help="the most probable texts that so many beams find, not draws")
    sub.add_argument("--symmetry", type=count, metavar="N", help="N chains, each a turn of the one before, of --length each")
    sub.add_argument("--distinct", action="store_true", help="stored items without replacement")
    length(sub)
    sub.add_argument("--do", action="append", default=[], type=pair, metavar="NAME=VALUE",
                     help="set a column from outside, its own factor cut, in place of observing it; may be said again")
    sub.add_argument("--where", metavar="CONDITION",
                     help="keep only draws that meet this, as \"age > 30 and city in ['Rome', 'Oslo']\" or \"city ~ 'R.*'\"; "
                          "the share that does is printed. What is known of single columns costs no draws: NAME=VALUE, or "
                          "--where of given query")
    sub.add_argument("--stream", action="store_true", help="print one text, or series, as it is drawn")


def length(sub: argparse.ArgumentParser) -> None:
    """How long items are to be."""
    sub.add_argument("--length", type=count, metavar="N",
                     help="symbols of a text in windows, values of a series (default one window, or as many as what is given)")


def reading(sub: argparse.ArgumentParser) -> None:
    """How data is read, where its ending and its first rows do not say it."""
    sub.add_argument("--format", choices=("csv", "tsv", "jsonl", "parquet", "text", "smiles", "structure", "images", "sound",
                                          "video", "npz", "npy"),
                     help="of the data, where its ending does not say it")
    sub.add_argument("--delimiter", help="of a table, where its rows do not say it")
    sub.add_argument("--header", choices=("yes", "no"), help="whether a table's first row names its columns")
    sub.add_argument("--decimal", choices=(".", ","), help="mark of a table's numbers, where they may have either")
    sub.add_argument("--dayfirst", choices=("yes", "no"), help="whether 1/2/2020 is in February, where its cells may be either")
    sub.add_argument("--by", type=column, metavar="COLUMN", help="that names the item, of a table with a row a moment; of "
                                                                 "text: what a row is, file, line or paragraph (default file)")
    sub.add_argument("--time", type=column, metavar="COLUMN", help="that an item's rows are ordered by, or its parts, as "
                                                                   "year,quarter; without --by all rows are one item")
    sub.add_argument("--size", type=size, metavar="HxW", help="resample images, or frames of video, to this size")
    sub.add_argument("--frames", type=int, metavar="N", help="frames of a row of video: of files, or of a folder whose "
                                                             "sub-folders hold the frames of a clip each")
    sub.add_argument("--crop", type=size, metavar="HxW", help="a row is a crop of this size, of pictures of any size, as of "
                                                              "photographs: other crops in every epoch of learning, fixed "
                                                              "ones elsewhere")
    sub.add_argument("--flip", action="store_true", help="mirror every other picture left to right by chance while learning")
    sub.add_argument("--skip-bad", action="store_true",
                     help="leave out files and rows that cannot be read, and say how many and which; what can be read stays: "
                          "a value that was never learned is scored with the mass kept for such, and counted")


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text}") from None


def positive(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def to_come(sub: argparse.ArgumentParser) -> None:
    """What of the values to come is written."""
    sub.add_argument("--horizon", type=count, required=True, metavar="N", help="how many values are to come")
    sub.add_argument("-n", type=count, default=100, help="paths an item (default 100)")
    sub.add_argument("--mean", action="store_true", help="the mean of every value to come, in place of paths")
    sub.add_argument("--interval", type=number, metavar="P", help="the interval that holds this probability, likewise")
    sub.add_argument("--future", metavar="DATA", help="the rows to come of what is known of them, where DATA has them not")
    sub.add_argument("--chart", metavar="FILE.svg", help="a fan chart of one item")
    sub.add_argument("--item", type=int, default=0, metavar="I", help="which item the chart is of (default 0, the first)")
    sub.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def share(text: str) -> float:
    """A share, from 0 up to 1, which is left out."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text}")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return int(text)


def seed_of(text: str) -> int:
    """A whole number from 0; a fresh one where it is "random"."""
    if text == "random":
        return int.from_bytes(os.urandom(7))
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, or random, got {text}")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Height and width in pixels, from `HxW`, or one number for both."""
    height, _, width = text.lower().partition("x")
    return count(height), count(width or height)


def column(text: str) -> str:
    """A column's name, which may stand in backticks as in a formula."""
    found = re.fullmatch("`([^`]+)`", text)
    return found[1] if found else text


def pair(text: str) -> tuple[str, str]:
    """Name and value, from `name=value`; a name in backticks may hold anything."""
    found = re.fullmatch("(`[^`]+`|[^=]+)=(.*)", text, re.DOTALL)
    if not found:
        raise argparse.ArgumentTypeError(f"expected name=value, got {text!r}")
    return column(found[1]), found[2]
