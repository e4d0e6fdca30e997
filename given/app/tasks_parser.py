"""The parser of the commands of tasks: what is asked of the models that `given fit --task` saves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from given.app.options import DATA, count, number, pair, positive, size

__all__ = ["TASKS"]

Add = Callable[..., Any]


def _translate(add: Add) -> None:
    command = add("translate", "texts in another language, a line each", "given translate de-en.given letter.txt",
                  "echo 'Ein Hund rennt.' | given translate de-en.given --attention hund.svg", model=True, seed=False)
    command.add_argument("data", metavar="FILE", nargs="?", default="-", help="a text a line (default: standard input)")
    command.add_argument("--beam", type=count, default=5, metavar="WIDTH", help="how many beams search (default 5)")
    command.add_argument("--attention", metavar="SVG", help="draw which words of the first line each word was taken from")


def _chat(add: Add) -> None:
    command = add("chat", "talk with a model of dialogues: it replies to every line, of the tasks it learned alone",
                  "given chat dialogues.given", "given chat dialogues.given --temperature 0.5 --seed 1", model=True)
    command.add_argument("--temperature", type=number, default=0.5, metavar="T", help="of replies (default 0.5); at 0 greedy")


def _keyboard(add: Add) -> None:
    command = add("keyboard", "the next words of a text, with their probabilities",
                  'given keyboard book.given "To be or "',
                  'given keyboard book.given "To be or n" -n 5', model=True, seed=False)
    command.add_argument("text", metavar="TEXT", help="so far; a last word without a blank after it is being typed")
    command.add_argument("-n", type=count, default=3, help="how many words (default 3)")


def _fill(add: Add) -> None:
    command = add("fill", "what stands in a hole of a picture, or between two parts of a source file",
                  "given fill photo.jpg --mask hole.png -o filled.png    # from the photograph itself",
                  "given fill photos.given fox.png --mask hole.png -n 4 -o filled.png",
                  "given fill digits.given half.png label=3 --hide bottom -o filled/",
                  r"printf 'def add(a, b):\n    \f\n' | given fill src.given", "given fill src.given holed.py -n 3",
                  model=True)
    command.add_argument("data", metavar="FILE", nargs="?", default="-",
                         help="a picture; or source code, a form feed where it has a hole (default: standard input)")
    command.add_argument("given", nargs="*", type=pair, metavar="NAME=VALUE", help="what else is known of a picture")
    command.add_argument("--mask", metavar="FILE", help="a picture of the same size, white where it is to be filled")
    command.add_argument("--hide", choices=("top", "bottom", "left", "right"), help="fill this half of the picture")
    command.add_argument("-n", type=count, default=1, help="how many draws (default 1)")
    command.add_argument("-o", "--output", metavar="FILE", help="write pictures as .png, or FOLDER/ with a file each")
    command.add_argument("--temperature", type=number, metavar="T", help="of draws of code (default 0.5); at 0 greedy")


def _texture(add: Add) -> None:
    command = add("texture", "as much of a texture as is asked for, from one picture of it",
                  "given texture brick.png --size 256 -o wall.png",
                  "given texture grass.jpg --size 96x128 --method efros-leung --seed 1 -o grass.png")
    command.add_argument("data", metavar="FILE", help="a picture of it, grey or in colour")
    command.add_argument("--size", type=size, required=True, metavar="HxW", help="of what is drawn, in pixels")
    command.add_argument("--method", choices=("quilting", "efros-leung"), default="quilting",
                         help="patch by patch (default), or pixel by pixel, which takes twenty times as long")
    command.add_argument("--patch", type=count, metavar="K", help="of K x K pixels, as large as what repeats (default 24), or "
                                                                  "the window about a pixel, odd (default 11)")
    command.add_argument("--longest", type=count, metavar="K",
                         help="with --method efros-leung: copy no larger square than K x K as it stands (default: any)")
    command.add_argument("-n", type=count, default=1, help="how many draws (default 1)")
    command.add_argument("-o", "--output", metavar="FILE", required=True,
                         help="write a picture, or several draws as a sheet .png, or FOLDER/ with a file each")


def _picture(add: Add) -> None:
    command = add("picture", "whole pictures of a label, or of every label", "given picture digits.given -o all.png",
                  "given picture digits.given label=3 -n 16 --guidance 2 -o threes.png",
                  "given picture photos.given -o page.html", model=True)
    command.add_argument("given", nargs="*", type=pair, metavar="NAME=VALUE", help="the label (default: every one)")
    command.add_argument("-n", type=count, default=8, help="draws of every label (default 8)")
    command.add_argument("--guidance", type=positive, metavar="WEIGHT",
                         help="how much the label weighs, 1 as learned (default 1.5 of fields, else 1); of more, draws are "
                              "more alike")
    command.add_argument("-o", "--output", metavar="FILE", required=True,
                         help="where to write them: .png, FOLDER/ with a file each, .npz, or a page .html")


def _molecules(add: Add) -> None:
    command = add("molecules", "molecules, or what completes a scaffold, and how good they are",
                  "given molecules qm9.given -n 1000",
                  "given molecules qm9.given logp=2 --scaffold 'c1cc(*)c[nH]1' -n 20",
                  "given molecules qm9.given -n 2000 --beside qm9.smi.gz -o drawn.csv", model=True)
    command.add_argument("given", nargs="*", type=pair, metavar="NAME=VALUE", help="the property, where one was learned")
    command.add_argument("--scaffold", metavar="SMILES", help="that all have, a * where something is attached to it")
    command.add_argument("-n", type=count, default=16, help="how many draws (default 16); those of no molecule are left out")
    command.add_argument("--beside", metavar="DATA", help="molecules: how many draws are none of these, and how far off "
                                                          "properties are, by Kolmogorov-Smirnov distances")
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def _upscale(add: Add) -> None:
    command = add("upscale", "a picture with twice as many places along both axes",
                  "given upscale photos.given small.png -o large.png",
                  "given upscale photos.given small.png --draw --seed 1 -o large.png", model=True)
    command.add_argument("data", metavar="FILE", help="a picture of any size, grey or in colour")
    command.add_argument("--draw", action="store_true", help="a draw that shows the picture, in place of the mean of all")
    command.add_argument("-o", "--output", metavar="FILE", required=True, help="where to write it, as .png")


def _speak(add: Add) -> None:
    command = add("speak", "a sound of what is to be said", 'given speak digits.given "seven" -o seven.wav',
                  'given speak digits.given "seven" -n 8 --guidance 3 -o sevens/', model=True)
    command.add_argument("text", metavar="TEXT", help="what is to be said, in words that were learned")
    command.add_argument("-n", type=count, default=1, help="how many draws (default 1)")
    command.add_argument("--guidance", type=positive, metavar="WEIGHT",
                         help="how much the text weighs; 1 as learned (default 2)")
    command.add_argument("--length", type=count, metavar="N", help="samples, of a model of single samples")
    command.add_argument("-o", "--output", metavar="FILE", required=True, help="write a .wav, or FOLDER/ with one a draw")


def _hear(add: Add) -> None:
    command = add("hear", "what is said in a sound", "given hear digits.given seven.wav",
                  "given hear digits.given monday.wav tuesday.wav --json", model=True, seed=False)
    command.add_argument("data", metavar="FILE", nargs="+", help="a sound, of as many samples a second as those learned from")


def _risk(add: Add) -> None:
    command = add("risk", "what prices may lose, and what an option on them is worth, by simulated paths",
                  "given risk prices.given prices.csv --days 10",
                  "given risk prices.given prices.csv --days 63 --strike 2500 --rate 0.02 --put", model=True)
    command.add_argument("data", metavar="FILE", help="a table of prices, to the end of which the paths go on")
    command.add_argument("--days", type=count, default=1, metavar="N", help="how many days ahead (default 1)")
    command.add_argument("-n", type=count, default=10_000, help="how many paths (default 10000)")
    command.add_argument("--strike", type=positive, metavar="PRICE", help="price an option that ends then, with this strike")
    command.add_argument("--put", action="store_true", help="the right to sell, in place of the right to buy")
    command.add_argument("--rate", type=number, default=0.0, metavar="RATE", help="of a riskless year, as 0.02 (default 0)")


def _health(add: Add) -> None:
    command = add("health", "the life that machines have left, in cycles, with its interval",
                  "given health engines.given running.csv",
                  "given health engines.given running.csv --interval 0.5 -o left.csv", model=True)
    command.add_argument("data", metavar="FILE", help="a table as learned from: a machine, a cycle, sensors; asked is what is "
                                                      "left after every machine's last cycle there")
    command.add_argument("--interval", metavar="SHARE", type=float, default=0.9, help="central (default: 0.9)")
    command.add_argument("-n", type=int, default=1000, help="draws a machine (default: 1000)")
    command.add_argument("-o", "--output", metavar="FILE", help="where to write it, as .csv or another table")


def _anomalies(add: Add) -> None:
    command = add("anomalies", "rows that are unlike all that is normal, and why, as they come",
                  "given anomalies log.given new.csv --flagged",
                  "tail -n +1 -f log.csv | given anomalies log.given - --false-alarms 0.001", model=True, data=DATA)
    command.add_argument("--false-alarms", type=number, default=0.01, metavar="RATE",
                         help="the share of normal rows that may be flagged (default 0.01)")
    command.add_argument("--flagged", action="store_true", help="print rows that are flagged alone")
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def _impute(add: Add) -> None:
    command = add("impute", "the holes of a table, a line each: what stands there, and the interval it lies in",
                  "given impute people.given holes.csv", "given impute people.given holes.csv --interval 0.5 -o found.csv",
                  model=True, data=DATA)
    command.add_argument("--interval", metavar="SHARE", type=number, default=0.9, help="central (default 0.9)")
    command.add_argument("-n", type=count, default=100, help="draws a row (default 100)")
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def _predict(add: Add) -> None:
    command = add("predict", "the target of every row, with its probabilities or its interval, and how well they hold",
                  "given predict people.given new.csv", "given predict people.given new.csv --interval 0.5 -o told.csv",
                  model=True, data=DATA)
    command.add_argument("--interval", metavar="SHARE", type=number, default=0.9, help="central, of a number (default 0.9)")
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def _recognise(add: Add) -> None:
    command = add("recognise", "which of some classes every picture is of, by an example of each",
                  "given recognise signs.given new-signs/ photos/ -o told.csv",
                  "given recognise letters.given greek/ page/ --size 28x28", model=True, seed=False,
                  data="examples with a label, one of each class or several: a folder with a sub-folder a class, or a table")
    command.add_argument("pictures", metavar="PICTURES", help="a folder of pictures, or another table of them")
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


TASKS: tuple[Callable[[Add], None], ...] = (
    _translate, _chat, _keyboard, _picture, _fill, _texture, _molecules, _recognise, _upscale, _speak, _hear, _risk,
    _health, _anomalies, _impute, _predict)
