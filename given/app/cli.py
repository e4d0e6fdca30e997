"""The command `given`: the verbs of the library over files, and thin.

Results go to standard output, progress and remarks to standard error. Exit status: 0 done, 1 failed, 2 wrong usage, 130
interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from given.verbs import Model

__all__ = ["main"]

_EXAMPLES = """examples:
  given demo
  given fit digits "p(label) p(image | label)" -o digits.given --minutes 1
  given sample digits.given label=3 -n 16 -o threes.png
  given score digits.given digits --anomalies 5
  given query digits.given "label | image" digits
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
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
        print(f"given: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    from given import __version__

    parser = argparse.ArgumentParser(prog="given", description="Learn p(x | y) for any data x and any condition y, then ask.",
                                     epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"given {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=f"example:\n  {example}",
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.set_defaults(run=run)
        return sub

    def seeded(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--seed", type=_seed, default=0, help="of everything random (default 0)")
        sub.add_argument("--json", action="store_true", help="print JSON")

    demo = command("demo", _demo, "learn handwritten digits, and ask questions nothing was trained for", "given demo")
    demo.add_argument("-o", "--output", default="demo", metavar="FOLDER", help="where to write (default demo/)")
    demo.add_argument("--cpu-seconds", type=_positive, default=80.0, help="of training (default 80)")
    demo.add_argument("--seed", type=_seed, default=0, help="of everything random (default 0)")

    fit = command("fit", _fit, "learn a model of a formula from data",
                  'given fit digits "p(label) p(image | label)" -o digits.given')
    fit.add_argument("data", metavar="DATA",
                     help="a .csv, .npz or .npy file, or a sample: digits, breast_cancer, wine, diabetes")
    fit.add_argument("formula", nargs="?", help='such as "p(label) p(image | label)"; without one, a block of all columns')
    fit.add_argument("-o", "--output", metavar="FOLDER", help="where to save the model (default: after the data, .given)")
    fit.add_argument("--family", action="append", default=[], type=_pair, metavar="NAME=FAMILY",
                     help="the family of a factor by its left side, as image=Memory or image=Dequantised(Gaussian)")
    fit.add_argument("--minutes", type=_positive, help="budget of wall time (default 2, or 100 epochs if they come first)")
    fit.add_argument("--steps", type=_count, help="budget of steps")
    fit.add_argument("--checkpoint", metavar="FOLDER", help="write checkpoints here while learning")
    fit.add_argument("--resume", action="store_true", help="go on from the checkpoint if there is one")
    fit.add_argument("--dry-run", action="store_true", help="print what was inferred, and learn nothing")
    seeded(fit)

    sample = command("sample", _sample, "draw from a model", "given sample digits.given label=3 -n 16 -o threes.png")
    sample.add_argument("model", metavar="MODEL")
    sample.add_argument("given", nargs="*", type=_pair, metavar="NAME=VALUE", help="what is observed")
    sample.add_argument("-n", type=_count, default=16, help="how many draws (default 16)")
    sample.add_argument("-o", "--output", metavar="FILE", help="write .npz, .csv, or .png for images")
    seeded(sample)

    score = command("score", _score, "log p of every item, and its mean", "given score digits.given digits --anomalies 5")
    score.add_argument("model", metavar="MODEL")
    score.add_argument("data", metavar="DATA")
    score.add_argument("--anomalies", type=_count, metavar="N", help="print only the N least probable items, worst first")
    seeded(score)

    query = command("query", _query, "any conditional of the model, for every row of data",
                    'given query digits.given "label | image" digits')
    query.add_argument("model", metavar="MODEL")
    query.add_argument("question", metavar="QUESTION", help='such as "label | image"')
    query.add_argument("data", metavar="DATA", nargs="?", help="the columns right of the bar")
    query.add_argument("-n", type=_count, default=1, help="draws a row, where the answer is drawn (default 1)")
    query.add_argument("-o", "--output", metavar="FILE", help="write the answer: .npz or .csv")
    seeded(query)

    families = command("families", _families, "the families, a line each", "given families")
    families.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {text}")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected name=value, got {text!r}")
    return name, value


def _demo(a: argparse.Namespace) -> None:
    from given.app.demo import demo

    demo(a.output, cpu_seconds=a.cpu_seconds, seed=a.seed)


def _fit(a: argparse.Namespace) -> int:
    import given
    from given.train import MODEL_FILES, check_place

    data = given.read(a.data)
    families = {name: _family(text) for name, text in _once(a.family, "--family").items()}
    model = given.model(a.formula, data, families=families, seed=a.seed)
    if a.dry_run:
        _emit(_plan(model), a.json)
        return 0
    path = f"{os.path.splitext(os.path.basename(a.data))[0]}.given" if a.output is None else a.output
    check_place(path, MODEL_FILES)  # before the time is spent
    fit = model.fit(data, minutes=a.minutes, steps=a.steps, seed=a.seed, checkpoint=a.checkpoint, resume=a.resume)
    model.save(path)
    held = "" if fit.held_out is None else f"{fit.held_out:.4f}"
    _emit({"model": path, "formula": str(model), "steps": fit.steps, "stopped": fit.stopped,
           "held-out nats an item (entries' units)": held}, a.json)
    return 130 if fit.stopped == "interrupted" else 0


def _plan(model: Model) -> dict[str, str]:
    lines = {"formula": str(model)}
    for name, variable in model.joint.columns.items():
        lines[f"column {name}"] = repr(variable.codec)
    for factor in model.joint.declared:
        size = sum(p.numel() for p in factor.parameters())
        lines[str(factor)] = f"{type(factor).__name__}, {size:,} parameters learned by gradient"
    return lines


def _family(text: str) -> Any:
    from functools import partial

    from given import families
    from given.variables import UserError

    name, _, inner = text.partition("(")
    if name not in families.__all__ or (inner and not inner.endswith(")")):
        raise UserError(f"--family: unknown family {text!r}; there are {', '.join(families.__all__)}, "
                        "and Dequantised(Gaussian)")
    family = getattr(families, name)
    return partial(family, family=_family(inner[:-1])) if inner else family


def _sample(a: argparse.Namespace) -> None:
    import given

    model = given.load(a.model)
    drawn = model.given(_once(a.given, "NAME=VALUE")).sample(a.n, seed=a.seed)
    if a.output:
        _write(drawn, a.output, model)
    else:
        _table(drawn, a.json)


def _score(a: argparse.Namespace) -> None:
    import math

    import numpy as np

    import given

    model, data = given.load(a.model), given.read(a.data)
    _need(model.joint.columns, data.names, f"{a.data}, to score {model}")
    score = model.score(data, seed=a.seed)
    order = np.argsort(score.items)[: a.anomalies] if a.anomalies else np.arange(len(score.items))
    if a.json:
        error = None if math.isnan(score.error) else score.error
        print(json.dumps({"value": score.value, "error": error, "unit": score.unit, "kind": score.kind,
                          "measure": score.measure, "items": [[int(i), float(score.items[i])] for i in order]}))
    else:
        print("row,log_prob")
        print("\n".join(f"{i},{score.items[i]:.6f}" for i in order))
        print(score, file=sys.stderr)


def _query(a: argparse.Namespace) -> None:
    import given
    from given.joint import parse
    from given.variables import Finite, UserError

    model = given.load(a.model)
    terms = parse(a.question)
    if len(terms) > 1:
        raise UserError(f"query: expected one conditional such as 'label | image', got {a.question!r}")
    term = terms[0]
    unknown = [name for name in (*term.left, *term.parents) if name not in model.joint.columns]
    if unknown:
        raise UserError(f"query: unknown name {unknown[0]!r}; there are {', '.join(model.joint.columns)}")
    if term.parents and a.data is None:
        raise UserError(f"query: expected data with {', '.join(term.parents)}")
    rows: Any = {}
    if term.parents:
        data = given.read(a.data)
        _need(term.parents, data.names, f"{a.data}, to answer {a.question!r}")
        rows = next(data.batches(1 << 60))
    query = model.given({name: rows[name] for name in term.parents})
    space = model.joint.columns[term.left[0]].space
    if len(term.left) == 1 and isinstance(space, Finite) and space.dimensions == 1:
        p = query.probabilities(term.left[0])
        each = {f"p({value})": shares.round(6) for value, shares in p.items()}
        answer = given.Columns({term.left[0]: _best(model, term.left[0], p), **each})
    else:
        drawn = query.sample(a.n, seed=a.seed)
        answer = given.Columns({name: drawn[name] for name in term.left}, drawn.axes)
    if a.output:
        _write(answer, a.output, model)
    else:
        _table(answer, a.json)


def _need(names: Any, there: Sequence[str], where: str) -> None:
    from given.variables import UserError

    absent = [name for name in names if name not in there]
    if absent:
        raise UserError(f"{where}: no column {absent[0]}; there are {', '.join(there)}")


def _best(model: Model, name: str, p: Any) -> Any:
    """The most probable category of every item, as the data has it."""
    import numpy as np
    import torch

    from given.variables import Entries

    symbols = torch.from_numpy(np.argmax(np.stack(list(p.values())), 0))
    return model.joint.columns[name].decode(Entries(symbols))[name]


def _families(a: argparse.Namespace) -> None:
    from given import families

    rows = {name: (getattr(families, name).__init__.__module__, sys.modules[getattr(families, name).__module__].__doc__)
            for name in families.__all__}
    first = {name: (doc or "").partition(": ")[2].partition("\n\n")[0].replace("\n", " ") for name, (_, doc) in rows.items()}
    _emit(first, a.json)


def _once(pairs: Sequence[tuple[str, str]], what: str) -> dict[str, str]:
    from given.variables import UserError

    names = [name for name, _ in pairs]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise UserError(f"{what}: {twice[0]} is said twice; say it once")
    return dict(pairs)


def _emit(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
    else:
        width = min(40, max(map(len, facts)))
        print("\n".join(f"{k.ljust(width)}  {v}".rstrip() for k, v in facts.items()))


def _write(columns: Any, path: str, model: Model) -> None:
    """Columns as .npz or .csv, or their one column of images as a sheet .png."""
    if not path.endswith(".png"):
        columns.save(path)
    else:
        from given.app.output import sheet
        from given.sources.columns import write_file

        image = sheet(model, columns)
        write_file(path, lambda file: file.write(image))
    print(f"wrote {path}", file=sys.stderr)


def _table(columns: Any, as_json: bool) -> None:
    """Rows on standard output: JSON lines, or comma-separated with grids named by their shape."""
    import csv

    flat = columns.flat()
    if as_json:
        lists = {name: values.tolist() for name, values in flat.items()}
        print("\n".join(json.dumps(dict(zip(lists, row, strict=True))) for row in zip(*lists.values(), strict=True)))
        return
    cells = [v.tolist() if v.ndim == 1 else [f"[{' x '.join(map(str, v.shape[1:]))}]"] * len(v) for v in flat.values()]
    csv.writer(sys.stdout, lineterminator="\n").writerows([list(flat), *zip(*cells, strict=True)])
    if any(v.ndim > 1 for v in flat.values()):
        print("grids are written with -o FILE.npz or FILE.png, or --json", file=sys.stderr)
