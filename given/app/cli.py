"""The command `given`: the verbs of the library over files, and thin.

Results go to standard output, progress and remarks to standard error. Exit status: 0 done, 1 failed, 2 wrong usage, 130
interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["main", "parser"]

_EXAMPLES = """examples:
  given demo
  given fit people.csv
  given fit digits "p(label) p(image | label)" -o digits.given --minutes 1
  given sample digits.given label=3 -n 16 -o threes.png
  given score digits.given digits --anomalies 5
  given query digits.given "label | image" digits
  given complete people.given holes.csv -o filled.csv
  given compress digits.given digits -o digits.gvnc
"""
_GROUPS = {
    "learn": ("demo", "fit", "export"),
    "ask": ("sample", "query", "complete", "rank", "encode", "compress", "decompress"),
    "judge": ("score", "report"),
    "tasks": ("tasks", "translate", "chat", "keyboard", "fill"),
    "about": ("families", "completion"),
}
_LISTING = ("families", "tasks", "completion")  # need no torch
_DATA = ("a file .csv, .tsv, .jsonl, .parquet, .npz, .npy or .txt, a folder of images or texts, a glob in quotes, - for "
         "standard input, or a sample: digits, breast_cancer, wine, diabetes, shakespeare")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    top = parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        top.print_help()
        return 2
    parsed = top.parse_args(arguments)
    try:
        commands = importlib.import_module(f"given.app.{'listing' if parsed.command in _LISTING else 'commands'}")
        return getattr(commands, parsed.command)(parsed) or 0
    except KeyboardInterrupt:
        print("given: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"given: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except ValueError as error:
        from given.variables import UserError

        if not isinstance(error, UserError):
            raise
        print(f"given: {_in_shell(str(error))}", file=sys.stderr)
        return 1


def _in_shell(message: str) -> str:
    """An error's way out, written for Python, as the command line has it."""
    for python, shell in (("skip_bad=True", "--skip-bad"),):
        message = message.replace(python, shell)
    return message


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    from given import __version__

    top = argparse.ArgumentParser(prog="given", usage="given [-h] [--version] COMMAND ...",
                                  epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"given {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command", help=argparse.SUPPRESS, prog="given",
                                  parser_class=_Command)
    said = dict[str, str]()

    def command(name: str, text: str, *examples: str, model: bool = False, data: str | None = None,
                seed: bool = True) -> argparse.ArgumentParser:
        said[name] = text
        sub = commands.add_parser(name, description=text[0].upper() + text[1:] + ".",
                                  epilog="examples:\n" + "\n".join(f"  {e}" for e in examples),
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        if model:
            sub.add_argument("model", metavar="MODEL", help="a folder that fit saved")
        if data is not None:
            sub.add_argument("data", metavar="DATA", help=data)
            _reading(sub)
        if seed:
            sub.add_argument("--seed", type=_seed, default=0, help="of everything random (default 0); random: a fresh one")
        sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    demo = command("demo", "learn handwritten digits, and ask questions nothing was trained for", "given demo",
                   "given demo -o digits --cpu-seconds 20")
    demo.add_argument("-o", "--output", default="demo", metavar="FOLDER", help="where to write (default demo/)")
    demo.add_argument("--cpu-seconds", type=_positive, default=80.0, help="of training (default 80)")

    fit = command("fit", "learn a model from data", "given fit people.csv --dry-run",
                  'given fit people.csv "p(city) p(age, income | city)" --as zip=label',
                  "given fit photos/ --minutes 10", "given fit book.txt",
                  "given fit train.de train.en --task translate", 'given fit "logs/*.jsonl" --skip-bad', data=_DATA)
    fit.add_argument("formula", nargs="?", help='such as "p(label) p(image | label)"; without one, that of the first task '
                                                "of `given tasks` that the columns fit. With --task translate: the file of "
                                                "translations")
    fit.add_argument("--task", metavar="NAME", help="learn for a task of `given tasks`, set beside its baseline")
    fit.add_argument("-o", "--output", metavar="FOLDER", help="where to save the model (default: after the data, .given)")
    fit.add_argument("--as", dest="codecs", action="append", default=[], type=_pair, metavar="COLUMN=CODEC",
                     help="how a column is read, as year=label, note=text or 'size=Number(atoms=[0])'")
    fit.add_argument("--family", action="append", default=[], type=_pair, metavar="NAME=FAMILY",
                     help="the family of a factor by its left side, as image=Empirical or 'image=Dequantised(family=Gaussian)'")
    fit.add_argument("--weight", metavar="COLUMN", help="the column of the rows' weights")
    fit.add_argument("--held-out", type=_share, default=0.1, metavar="SHARE", help="of the rows, to stop by (default 0.1)")
    fit.add_argument("--minutes", type=_positive, help="budget of wall time (default 2, or 100 epochs if they come first)")
    fit.add_argument("--cpu-seconds", type=_positive, help="budget of processor time")
    fit.add_argument("--steps", type=_count, help="budget of steps")
    fit.add_argument("--bfloat16", action="store_true",
                     help="multiply matrices in 16 bits while learning: faster where the processor has units for it")
    fit.add_argument("--muon", action="store_true", help="move matrices by Muon, which takes fewer steps of most nets")
    fit.add_argument("--device", choices=("auto", "cpu"), default="auto",
                     help="where to learn (default auto: the processor; no family learns elsewhere yet)")
    fit.add_argument("--checkpoint", metavar="FOLDER", help="write checkpoints here while learning")
    fit.add_argument("--resume", action="store_true", help="go on from the checkpoint if there is one")
    fit.add_argument("--dry-run", action="store_true", help="print what was inferred, and learn nothing")

    sample = command("sample", "draw from a model", "given sample digits.given label=3 -n 16 -o threes.png",
                     "given sample people.given city=Rome -n 1000 -o rome.csv", "given sample photos.given label=fox -o foxes/",
                     "given sample book.given 'text=To be' --length 300 --top-p 0.9 --stream", model=True)
    sample.add_argument("given", nargs="*", type=_pair, metavar="NAME=VALUE",
                        help="what is observed; of a text, what it begins with, where nothing else is left to draw")
    sample.add_argument("-n", type=_count, help="how many draws (default 16; with --stream one)")
    sample.add_argument("-o", "--output", metavar="FILE",
                        help="write .csv, .tsv, .jsonl, .parquet or .npz; of images .png, or FOLDER/ with a file each")
    _drawing(sample)

    translate = command("translate", "texts in another language, a line each", "given translate de-en.given letter.txt",
                        "echo 'Ein Hund rennt.' | given translate de-en.given --attention hund.svg", model=True, seed=False)
    translate.add_argument("data", metavar="FILE", nargs="?", default="-", help="a text a line (default: standard input)")
    translate.add_argument("--beam", type=_count, default=5, metavar="WIDTH", help="how many beams search (default 5)")
    translate.add_argument("--attention", metavar="SVG", help="draw which words of the first line each word was taken from")

    chat = command("chat", "talk with a model of dialogues: it replies to every line, of the tasks it learned alone",
                   "given chat dialogues.given", "given chat dialogues.given --temperature 0.5 --seed 1", model=True)
    chat.add_argument("--temperature", type=_number, default=0.5, metavar="T", help="of replies (default 0.5); at 0 greedy")

    keyboard = command("keyboard", "the next words of a text, with their probabilities",
                       'given keyboard book.given "To be or "',
                       'given keyboard book.given "To be or n" -n 5', model=True, seed=False)
    keyboard.add_argument("text", metavar="TEXT", help="so far; a last word without a blank after it is being typed")
    keyboard.add_argument("-n", type=_count, default=3, help="how many words (default 3)")

    fill = command("fill", "what stands between two parts of a source file",
                   r"printf 'def add(a, b):\n    \f\n' | given fill src.given", "given fill src.given holed.py -n 3",
                   model=True)
    fill.add_argument("data", metavar="FILE", nargs="?", default="-",
                      help="the file, a form feed where it has a hole (default: standard input)")
    fill.add_argument("-n", type=_count, default=1, help="how many draws (default 1)")
    fill.add_argument("--temperature", type=_number, default=0.5, metavar="T", help="of draws (default 0.5); at 0 greedy")

    score = command("score", "log p of every item, and its mean", "given score people.given new.csv --anomalies 5",
                    "tail -n +1 -f log.csv | given score log.given -", model=True, data=_DATA)
    score.add_argument("--anomalies", type=_count, metavar="N", help="print only the N least probable items, worst first")

    query = command("query", "any conditional of the model, for every row of data",
                    'given query digits.given "label | image" digits', 'given query people.given "income | age" new.csv -n 5',
                    model=True)
    query.add_argument("question", metavar="QUESTION", help='such as "label | image"')
    query.add_argument("data", metavar="DATA", nargs="?", help="the columns right of the bar: " + _DATA)
    _reading(query)
    query.add_argument("-n", type=_count, default=1, help="draws a row, where the answer is drawn (default 1)")
    query.add_argument("-o", "--output", metavar="FILE", help="write the answer: .csv, .tsv, .jsonl, .parquet or .npz")

    rank = command("rank", "candidates, the most probable given what is observed first",
                   "given rank faq.given answers.txt 'question=How do I get in?'",
                   "given rank digits.given few.npz label=3 --pmi self", model=True, data="the candidates: " + _DATA)
    rank.add_argument("given", nargs="*", type=_pair, metavar="NAME=VALUE", help="what is observed")
    rank.add_argument("--pmi", metavar="MODEL", help="rank by what the observed tells of a candidate, log p(x | y) - log p(x), "
                                                     "by a model that has p(x), or `self`")
    rank.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")

    complete = command("complete", "fill the holes of data with draws from p(missing | seen)",
                       "given complete people.given holes.csv -o filled.csv", "given complete book.given prompts.txt",
                       model=True, data=_DATA)
    complete.add_argument("-n", type=_count, default=1, help="completions of every row (default 1)")
    complete.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")

    encode = command("encode", "the representation of every row, where a family has one",
                     "given encode wine.given wine -o codes.csv", model=True, data=_DATA, seed=False)
    encode.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")

    compress = command("compress", "rows as a file, without loss, in some -log2 p bits each",
                       "given compress book.given book.txt -o book.gvnc", "given compress digits.given digits -o digits.gvnc",
                       model=True, data=_DATA, seed=False)
    compress.add_argument("-o", "--output", metavar="FILE", required=True, help="the file")
    compress.add_argument("--batch", type=_count, metavar="N", help="rows coded side by side (default 512 or fewer)")
    compress.add_argument("--span", type=_count, default=1 << 13, metavar="N",
                          help="a long text is coded in lanes of N symbols, side by side: longer ones make a smaller file, and "
                               "take longer (default 8192)")
    compress.add_argument("--no-verify", action="store_true", help="do not read the file again before it is written")

    decompress = command("decompress", "the rows of a file that compress wrote, by the same model",
                         "given decompress book.given book.gvnc -o book.txt",
                         "given decompress digits.given digits.gvnc -o digits.npz", model=True, seed=False)
    decompress.add_argument("file", metavar="FILE", help="that compress wrote")
    decompress.add_argument("-o", "--output", metavar="DATA",
                            help="write .csv, .tsv, .jsonl, .parquet or .npz; of a single text .txt; of images FOLDER/")

    report = command("report", "a page that says whether a model is any good, and where it is not",
                     "given report people.given people.csv -o people.html",
                     "given report people.given new.csv --train people.csv", model=True, data=_DATA)
    report.add_argument("--train", metavar="DATA", help="the rows the baseline is counted from; without them DATA must be "
                                                        "what the model learned from, and its held-out rows are the test")
    report.add_argument("-o", "--output", metavar="FILE", default="report.html", help="the page (default report.html)")

    export = command("export", "write a text model as a folder that transformers, and engines that serve its models, load",
                     "given export book.given -o book-llama", model=True, seed=False)
    export.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where to write")

    command("families", "the families, a line each", "given families", seed=False)
    command("tasks", "what is modelled where no formula is given", "given tasks", seed=False)
    completion = command("completion", "a script that completes commands and options in a shell",
                         'eval "$(given completion bash)"', "given completion fish | source", seed=False)
    completion.add_argument("shell", choices=("bash", "fish", "zsh"))
    top.description = "Learn p(x | y) for any data x and any condition y, then ask.\n\n" + "\n\n".join(
        "\n".join([f"{group}:", *(f"  {name:<12}{said[name]}" for name in names)]) for group, names in _GROUPS.items())
    completion.set_defaults(parser=top)
    return top


class _Command(argparse.ArgumentParser):
    """A command, whose options may stand before, between and after what they are options of."""

    _within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of argparse."""
        if self._within:
            return super().parse_known_args(args, namespace)
        self._within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._within = False


def _drawing(sub: argparse.ArgumentParser) -> None:
    """How symbols are drawn, in the order in which the distribution of the next one is changed."""
    sub.add_argument("--matching", metavar="REGEX", help="draw only texts that match, whole, after what is given")
    sub.add_argument("--schema", metavar="FILE", help="draw only JSON of this schema")
    sub.add_argument("--repetition-penalty", type=_number, metavar="STRENGTH", help="above 1: symbols come back less often")
    sub.add_argument("--temperature", type=_number, metavar="T", help="below 1 sharper, above flatter; at 0 greedy")
    sub.add_argument("--top-k", type=_count, metavar="K", help="only the K most probable symbols")
    sub.add_argument("--top-p", type=_number, metavar="P", help="only the most probable symbols that together reach P")
    sub.add_argument("--min-p", type=_number, metavar="P", help="only symbols at least P times as probable as the best")
    sub.add_argument("--stop", action="append", metavar="STRING", help="end a text after this string; may be said again")
    sub.add_argument("--longest", type=_count, metavar="N", help="draw at most N symbols")
    sub.add_argument("--beam", type=_count, metavar="WIDTH", help="the most probable texts that so many beams find, not draws")
    sub.add_argument("--length", type=_count, metavar="N", help="symbols of a text in windows (default one window)")
    sub.add_argument("--stream", action="store_true", help="print one text as it is drawn")


def _reading(sub: argparse.ArgumentParser) -> None:
    """How data is read, where its ending and its first rows do not say it."""
    sub.add_argument("--format", choices=("csv", "tsv", "jsonl", "parquet", "text", "images", "npz", "npy"),
                     help="of the data, where its ending does not say it")
    sub.add_argument("--delimiter", help="of a table, where its rows do not say it")
    sub.add_argument("--header", choices=("yes", "no"), help="whether a table's first row names its columns")
    sub.add_argument("--decimal", choices=(".", ","), help="mark of a table's numbers, where they may have either")
    sub.add_argument("--dayfirst", choices=("yes", "no"), help="whether 1/2/2020 is in February, where its cells may be either")
    sub.add_argument("--by", choices=("file", "line", "paragraph"), help="what a row is of text (default file)")
    sub.add_argument("--size", type=_size, metavar="HxW", help="resample images to this size")
    sub.add_argument("--skip-bad", action="store_true", help="leave bad rows and files out, and say how many and which")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text}") from None


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return int(text)


def _seed(text: str) -> int:
    if text == "random":
        return int.from_bytes(os.urandom(7))
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, or random, got {text}")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    return _count(height), _count(width or height)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected name=value, got {text!r}")
    return name, value
