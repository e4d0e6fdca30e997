"""The parser of the commands that describe: what is in data, and what a model found in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from given.app.options import DATA, column, count, pair, positive

__all__ = ["DESCRIBE"]

Add = Callable[..., Any]


def _map(add: Add) -> None:
    command = add("map", "rows of any data laid on a plane, alike ones side by side, as a drawing",
                  "given map wine --color cultivar",
                  "given map people.csv --method neighbours --color income -o people.svg", data=DATA)
    command.add_argument("--method", choices=("pca", "factors", "vae", "neighbours"), default="pca",
                         help="principal components (default), factor analysis, a VAE's latent, or t-SNE")
    command.add_argument("--color", type=column, metavar="COLUMN",
                         help="the column that points are coloured by; rows are not laid by it")
    command.add_argument("--column", dest="columns", action="append", type=column, metavar="COLUMN",
                         help="lay rows by this column; may be said again (default: by all)")
    command.add_argument("-o", "--output", metavar="FILE", help="the drawing .svg (default map.svg), or the numbers .csv")


def _prototypes(add: Add) -> None:
    command = add("prototypes", "the most probable rows of every value of a column",
                  "given prototypes digits.given digits label",
                  "given prototypes digits.given digits label -n 8 -o digits.png", model=True, data=DATA)
    command.add_argument("column", type=column, metavar="COLUMN", help="such as label")
    command.add_argument("-n", type=count, default=8, help="rows a value (default 8)")
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz; of images .png")


def _segments(add: Add) -> None:
    command = add("segments", "what tells the rows of every value of a column from all rows",
                  "given segments people.given people.csv city",
                  "given segments groups.given people.csv --assign with_segments.csv", model=True, data=DATA)
    command.add_argument("column", type=column, metavar="COLUMN", nargs="?", default="segment",
                         help="of the data, or a latent of the model (default: segment, of given fit --task segments)")
    command.add_argument("--assign", metavar="FILE", help="write the table with the most probable segment of every row")
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def _traverse(add: Add) -> None:
    command = add("traverse", "items along the latent of a model: each of its numbers moved alone, or from one row to another",
                  "given traverse digits.given image label=3 -o along.png",
                  "given traverse digits.given image --between two.npz -o from_to.png", model=True, seed=False)
    command.add_argument("column", type=column, metavar="COLUMN", help="whose latent it is, such as image")
    command.add_argument("given", nargs="*", type=pair, metavar="NAME=VALUE", help="conditions of the model, such as label=3")
    command.add_argument("--between", metavar="DATA", help="two rows: go from the one to the other")
    command.add_argument("-n", type=count, default=8, help="items from the one row to the other (default 8)")
    command.add_argument("-o", "--output", metavar="FILE",
                         help="write .csv, .tsv, .jsonl, .parquet or .npz; of images .png, a row for each number of the latent")


def _strip(add: Add) -> None:
    command = add("strip", "one picture with one number of its latent exaggerated at a time, those first that move it most",
                  "given strip faces.given photo.png -o strip.png",
                  "given strip digits.given digits label=3 --row 13 --most 4 -o strip.png", model=True,
                  data="a picture, or " + DATA, seed=False)
    command.add_argument("given", nargs="*", type=pair, metavar="NAME=VALUE", help="conditions of the model, such as label=3")
    command.add_argument("--row", type=int, default=0, metavar="N", help="of data of several rows, which, from 0 (default 0)")
    command.add_argument("--column", type=column, metavar="COLUMN", help="of pictures (default: the one that has a latent)")
    command.add_argument("--reach", type=positive, default=3.0, metavar="S",
                         help="how far to either side, in standard deviations of a latent's prior (default 3)")
    command.add_argument("--steps", type=count, default=7, help="pictures a row (default 7)")
    command.add_argument("--most", type=count, default=10, help="rows, a number of the latent each (default 10)")
    command.add_argument("-o", "--output", metavar="FILE", default="strip.png", help="the sheet (default strip.png)")


DESCRIBE: tuple[Callable[[Add], None], ...] = (_map, _prototypes, _segments, _traverse, _strip)
