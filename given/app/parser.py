"""The parser of the command `given`: a function for every command, by what commands are for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from given import __version__
from given.app.beside_parser import BESIDE, UPDATE
from given.app.describe_parser import DESCRIBE
from given.app.foresee_parser import forecast
from given.app.options import DATA, LINKED, column, count, drawing, key, length, number, pair, positive, reading, seed_of, share
from given.app.tasks_parser import TASKS

__all__ = ["parser"]

_EXAMPLES = """examples:
  given demo
  given fit people.csv
  given fit digits "p(label) p(image | label)" -o digits.given --minutes 1
  given sample digits.given label=3 -n 16 -o threes.png
  given score digits.given digits --anomalies 5
  given query digits.given "label | image" digits
  given complete people.given holes.csv -o filled.csv
"""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = _Parser(prog="given", usage="given [-h] [--version] COMMAND ...",
                                  epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"given {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command", help=argparse.SUPPRESS, prog="given",
                                  parser_class=_Command)
    parts = ["Learn p(x | y) for any data x and any condition y, then ask."]
    for group, those in _GROUPS.items():
        for described in those:
            described(partial(_add, commands))
        listed = list(commands.choices.items())[-len(those):]
        parts.append("\n".join([f"{group}:", *(f"  {name:<12}{command.summary}" for name, command in listed)]))
    top.description = "\n\n".join(parts)
    top.set_defaults(parser=top)
    return top


class _Parser(argparse.ArgumentParser):
    """A parser whose error is the line that says what is wrong, and none of those that say all that could be right."""

    def error(self, message: str) -> NoReturn:
        """As of argparse."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


class _Command(_Parser):
    """A command, whose options may stand before, between and after what they are options of."""

    summary = ""
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


_Add = Callable[..., _Command]


def _add(commands: Any, name: str, text: str, *examples: str, model: bool = False, data: str | None = None,
         seed: bool = True, anywhere: bool = True) -> _Command:
    """A command that is described by a text and examples, with the options that most have."""
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".",
                                  epilog="examples:\n" + "\n".join(f"  {e}" for e in examples),
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    command.summary = text
    if model:
        command.add_argument("model", metavar="MODEL", help="a folder that fit saved")
    if model and anywhere:
        command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="cpu",
                             help="where to ask it (default cpu); auto: an accelerator where there is one")
    if data is not None:
        command.add_argument("data", metavar="DATA", help=data)
        reading(command)
    if seed:
        command.add_argument("--seed", type=seed_of, default=0, help="of everything random (default 0); random: a fresh one")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _demo(add: _Add) -> None:
    command = add("demo", "learn handwritten digits, and ask questions nothing was trained for", "given demo",
                  "given demo -o digits --cpu-seconds 20")
    command.add_argument("-o", "--output", default="demo", metavar="FOLDER", help="where to write (default demo/)")
    command.add_argument("--cpu-seconds", type=positive, default=80.0, help="of training (default 80)")


def _fit(add: _Add) -> None:
    command = add("fit", "learn a model from data", "given fit people.csv --dry-run",
                  'given fit people.csv "p(city) p(age, income | city)" --as zip=label',
                  "given fit photos/ --minutes 10", "given fit book.txt",
                  "given fit train.de train.en --task translate", 'given fit "logs/*.jsonl" --skip-bad',
                  "given fit shop/ -o shop.given", data=DATA + LINKED)
    command.add_argument("formula", nargs="?", help='such as "p(label) p(image | label)"; without one, that of the first task '
                                                    "of `given tasks` that the columns fit. With --task translate: the file of "
                                                    "translations")
    command.add_argument("--task", metavar="NAME", help="learn for a task of `given tasks`, set beside its baseline")
    command.add_argument("--normal", type=pair, metavar="COLUMN=VALUE",
                         help="with --task anomalies: the rows to learn from (default: all)")
    command.add_argument("--target", type=column, metavar="COLUMN",
                         help="with --task predict and label-few: the column to predict")
    command.add_argument("--property", type=column, metavar="NAME",
                         help="with --task molecules: learn SMILES given this column, or given one that RDKit computes, such "
                              "as logp, weight or tpsa")
    command.add_argument("-o", "--output", metavar="FOLDER", help="where to save the model (default: after the data, .given)")
    command.add_argument("--rows", action="store_true", help="rows are rows, where rising times would make them series")
    key(command)
    command.add_argument("--as", dest="codecs", action="append", default=[], type=pair, metavar="COLUMN=CODEC",
                         help="how a column is read, as year=label, note=text, 'size=Number(atoms=[0])' or "
                              "'load=Series(Number(), window=64)'")
    command.add_argument("--family", action="append", default=[], type=pair, metavar="NAME=FAMILY",
                         help="the family of a factor by its left side, as image=Empirical or "
                              "'image=Dequantised(family=Gaussian)'")
    command.add_argument("--weight", type=column, metavar="COLUMN", help="the column of the rows' weights")
    command.add_argument("--held-out", type=share, default=0.1, metavar="SHARE", help="of the rows, to stop by (default 0.1)")
    command.add_argument("--minutes", type=positive, help="budget of wall time (default 2, or 100 epochs if they come first)")
    command.add_argument("--cpu-seconds", type=positive, help="budget of processor time")
    command.add_argument("--steps", type=count, help="budget of steps")
    command.add_argument("--bfloat16", action="store_true",
                         help="multiply matrices in 16 bits while learning: faster where the processor has units for it")
    command.add_argument("--muon", action="store_true", help="move matrices by Muon, which takes fewer steps of most nets")
    command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto",
                         help="where to learn (default auto: an accelerator where there is one)")
    command.add_argument("--checkpoint", metavar="FOLDER", help="write checkpoints here while learning")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint if there is one")
    command.add_argument("--watch", metavar="FOLDER",
                         help="write a sheet of draws of pictures here at every evaluation, in 4 %% of the time at most")
    command.add_argument("--dry-run", action="store_true", help="print what was inferred, and learn nothing")


def _export(add: _Add) -> None:
    command = add("export", "write a text model as a folder that transformers, and engines that serve its models, load",
                  "given export book.given -o book-llama", model=True, seed=False, anywhere=False)
    command.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where to write")


def _sample(add: _Add) -> None:
    command = add("sample", "draw from a model", "given sample digits.given label=3 -n 16 -o threes.png",
                  "given sample people.given city=Rome -n 1000 -o rome.csv", "given sample photos.given label=fox -o foxes/",
                  "given sample book.given 'text=To be' --length 300 --top-p 0.9 --stream",
                  "given sample sales.given 'promo=[0, 1, 1, 0]' -n 100 -o paths.csv", model=True)
    command.add_argument("given", nargs="*", type=pair, metavar="NAME=VALUE",
                         help="what is observed, written as in the data learned from, NA where it is missing; of a text or "
                              "series, what it begins with, where nothing else is left to draw")
    command.add_argument("-n", type=count, help="how many draws (default 16; with --stream one), written as they are drawn: "
                                                "memory does not grow by them")
    command.add_argument("-o", "--output", metavar="FILE",
                         help="write .csv, .tsv, .jsonl, .parquet or .npz; of images .png, or FOLDER/ with a file each; of "
                              "linked tables FOLDER/ or .sqlite")
    drawing(command)


def _query(add: _Add) -> None:
    command = add("query", "any conditional of the model, for every row of data",
                  'given query digits.given "label | image" digits', 'given query people.given "income | age" new.csv -n 5',
                  'given query people.given "income | age" --where "30 <= age <= 40" --interval 0.9', model=True)
    command.add_argument("question", metavar="QUESTION", help='such as "label | image"')
    command.add_argument("data", metavar="DATA", nargs="?", help="the columns right of the bar: " + DATA)
    reading(command)
    command.add_argument("--where", action="append", default=[], metavar="EVENT",
                         help="what is known of a column but not its value, as '30 <= age <= 40', 'age > 30', 'city in {Rome, "
                              "Oslo}', 'age is missing', 'age is not missing'; may be said again. DATA need not have it")
    command.add_argument("--quantile", action="append", type=number, default=[], metavar="P",
                         help="the quantile of each column asked, in place of draws; may be said again")
    command.add_argument("--interval", type=number, metavar="P",
                         help="the central interval that holds this probability, likewise")
    command.add_argument("--mean", action="store_true", help="the mean of each column asked, likewise")
    command.add_argument("-n", type=count, default=1, help="draws a row, where the answer is drawn (default 1)")
    length(command)
    command.add_argument("-o", "--output", metavar="FILE", help="write the answer: .csv, .tsv, .jsonl, .parquet or .npz")


def _complete(add: _Add) -> None:
    command = add("complete", "fill the holes of data with draws from p(missing | seen)",
                  "given complete people.given holes.csv -o filled.csv", "given complete book.given prompts.txt",
                  "given complete sales.given sales.csv --by shop --time date --length 60 -o next.csv", model=True,
                  data="with holes: empty cells, null in JSON lines, NaN in arrays, such as pixels in an .npz; " + DATA)
    command.add_argument("-n", type=count, default=1, help="completions of every row (default 1)")
    length(command)
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def _rank(add: _Add) -> None:
    command = add("rank", "candidates, the most probable given what is observed first",
                  "given rank faq.given answers.txt 'question=How do I get in?'",
                  "given rank digits.given few.npz label=3 --pmi self", model=True, data="the candidates: " + DATA)
    command.add_argument("given", nargs="*", type=pair, metavar="NAME=VALUE", help="what is observed")
    command.add_argument("--pmi", metavar="MODEL",
                         help="rank by what the observed tells of a candidate, log p(x | y) - log p(x), by a model that has "
                              "p(x), or `self`")
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def _encode(add: _Add) -> None:
    command = add("encode", "the representation of every row, where a family has one",
                  "given encode wine.given wine -o codes.csv", model=True, data=DATA, seed=False)
    command.add_argument("-o", "--output", metavar="FILE", help="write .csv, .tsv, .jsonl, .parquet or .npz")


def _compress(add: _Add) -> None:
    command = add("compress", "rows as a file, without loss, in some -log2 p bits each",
                  "given compress book.given book.txt -o book.gvnc", "given compress digits.given digits -o digits.gvnc",
                  model=True, data=DATA, seed=False, anywhere=False)
    command.add_argument("-o", "--output", metavar="FILE", required=True,
                         help="the file; of models of symbols: texts, pictures, categories, whole numbers that are counted, "
                              "but not reals")
    command.add_argument("--batch", type=count, metavar="N", help="rows coded side by side (default 512 or fewer)")
    command.add_argument("--span", type=count, default=1 << 13, metavar="N",
                         help="a long text is coded in lanes of N symbols, side by side: longer ones make a smaller file, and "
                              "take longer (default 8192)")
    command.add_argument("--no-verify", action="store_true", help="do not read the file again before it is written")


def _decompress(add: _Add) -> None:
    command = add("decompress", "the rows of a file that compress wrote, by the same model",
                  "given decompress book.given book.gvnc -o book.txt",
                  "given decompress digits.given digits.gvnc -o digits.npz", model=True, seed=False, anywhere=False)
    command.add_argument("file", metavar="FILE", help="that compress wrote")
    command.add_argument("-o", "--output", metavar="DATA",
                         help="write .csv, .tsv, .jsonl, .parquet or .npz; of a single text .txt; of images FOLDER/")


def _score(add: _Add) -> None:
    command = add("score", "log p of every item, and its mean", "given score people.given new.csv --anomalies 5",
                  "tail -n +1 -f log.csv | given score log.given -", model=True, data=DATA + LINKED)
    command.add_argument("--anomalies", type=count, metavar="N", help="print only the N least probable items, worst first")
    command.add_argument("--draws", type=count, metavar="K",
                         help="of a VAE, or latents that are found: weigh K draws of what is not seen (default 16); more make "
                              "the bound tighter")


def _report(add: _Add) -> None:
    command = add("report", "a page that says whether a model is any good, and where it is not",
                  "given report people.given people.csv -o people.html",
                  "given report people.given new.csv --train people.csv", model=True, data=DATA)
    command.add_argument("--train", metavar="DATA", help="the rows the baseline is counted from; without them DATA must be "
                                                         "what the model learned from, and its held-out rows are the test")
    command.add_argument("-o", "--output", metavar="FILE", default="report.html", help="the page (default report.html)")


def _compare(add: _Add) -> None:
    command = add("compare", "families side by side: the same rows, the same budget, ties called ties",
                  'given compare digits "image | label" --families Gaussian,VAE,FlowMatching --minutes 0.2 --seeds 1',
                  "given compare people.csv --families all -o people.html", data=DATA)
    command.add_argument("formula", nargs="?", help='such as "image | label"; without one, that of the first task that fits')
    command.add_argument("--families", default="all", metavar="A,B",
                         help="names of given families, or all that apply (default)")
    command.add_argument("--minutes", type=positive, default=1.0,
                         help="to learn one model (default 1); a quarter as much to judge it")
    command.add_argument("--seeds", type=count, default=3, help="models of each family (default 3)")
    command.add_argument("--as", dest="codecs", action="append", default=[], type=pair, metavar="COLUMN=CODEC",
                         help="how a column is read, as of given fit")
    command.add_argument("-o", "--output", metavar="FILE", help="write one HTML page")


def _diverge(add: _Add) -> None:
    command = add("diverge", "how far two models are apart, or a model and data: KL both ways, Jensen-Shannon, Wasserstein-2",
                  "given diverge one.given two.given", "given diverge people.csv people.given",
                  "given diverge one.given two.given --given conditions.csv")
    command.add_argument("p", metavar="P", help="a model's folder, or data: a file or folder that given reads")
    command.add_argument("q", metavar="Q", help="another model or data; one of the two is a model")
    command.add_argument("--given", metavar="DATA", help="rows of the conditions, over which divergences are means")
    command.add_argument("-n", type=count, default=2000, help="draws of each, and rows of data at most (default 2000)")


def _tasks(add: _Add) -> None:
    add("tasks", "what is modelled where no formula is given", "given tasks", seed=False)


def _families(add: _Add) -> None:
    add("families", "the families, a line each", "given families", seed=False)


def _completion(add: _Add) -> None:
    command = add("completion", "a script that completes commands and options in a shell",
                  'eval "$(given completion bash)"', "given completion fish | source", seed=False)
    command.add_argument("shell", choices=("bash", "fish", "zsh"))


_GROUPS: dict[str, tuple[Callable[[_Add], None], ...]] = {
    "learn": (_demo, _fit, UPDATE, _export),
    "ask": (_sample, _query, _complete, forecast, _rank, _encode, _compress, _decompress),
    "describe": DESCRIBE,
    "judge": (_score, _report, _compare, _diverge, *BESIDE),
    "tasks": (_tasks, *TASKS),
    "about": (_families, _completion),
}
