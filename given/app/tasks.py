"""Tasks on the command line: `given fit --task`, and what is asked of the models it saves."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import given
from given import tasks
from given.app.data import observations, read, show
from given.app.listing import facts
from given.app.output import sheet, write
from given.app.plan import place_of, plan
from given.app.reading import apart, kept, of_task
from given.evaluate import molecule_figures, molecule_table
from given.evaluate.page import figure, page, table
from given.infer import black_scholes, european
from given.sources import Columns, photograph, write_file
from given.tasks import task_named
from given.train import MODEL_FILES, check_place
from given.variables import UserError
from given.verbs import Model, fit_apart
from given.verbs.checks import count_rows
from given.verbs.choosing import choose
from given.verbs.holes import present

__all__ = ["chat", "fill", "fit", "health", "impute", "keyboard", "molecules", "picture", "predict", "recognise", "risk",
           "texture", "translate", "upscale"]

_HELD = 1000  # rows that a task is judged by, at most


def fit(a: argparse.Namespace) -> int:
    """`given fit DATA [FILE] --task NAME`"""
    task = task_named(a.task)
    stray = [said for said, there in (("--as", a.codecs), ("--family", a.family), ("--weight", a.weight)) if there]
    if stray:
        raise UserError(f"fit: {stray[0]} is not for --task {a.task}, which says so itself; leave it out, or write a formula")
    data, header = of_task(a, task)
    if data.skipped:
        print(f"left out {len(data.skipped):,}, the first {data.skipped[0]}", file=sys.stderr)
    model = task.own.model(data, seed=a.seed)
    about = kept(a, task, header, count_rows(data))
    model.facts |= about
    told = [note for note in model.notes if re.search("left out|: holds ", note) and not a.dry_run]
    print("".join(f"{note}\n" for note in told), end="", file=sys.stderr)
    if a.dry_run:
        facts({"formula": str(model), "task": f"{task.name}: {task.what}", **plan(model, data)}, a.json)
        return 0
    path = place_of(a)
    check_place(path, MODEL_FILES)
    train, held = apart(task, data, a.held_out, a.seed, model.joint)
    whole = held
    if isinstance(held, Columns):
        some = slice(_HELD) if hasattr(task.own, "parted") else slice(None, None, -(-held.n // _HELD))
        held = held.rows(some)  # of all, where rows may be sorted
    beside = {} if held is None else _figures(task.own.baselines(train, held))
    print("".join(f"{name}: {figure}\n" for name, figure in beside.items()), end="", file=sys.stderr)
    arrange = getattr(task.own, "arranged", None)  # where what is learned from is made of the rows
    learned = train if arrange is None else arrange(train, a.seed)
    training = {"held_out": held or 0, **task.own.TRAINING, **({"muon": True} if a.muon else {}), "bfloat16": a.bfloat16}
    budget: Any = {"minutes": a.minutes, "cpu_seconds": a.cpu_seconds, "steps": a.steps}
    why = dict[str, str]()
    if task.chosen_by is not None:
        choice = choose(task.own.models(train, seed=a.seed), train, task.chosen_by, budget=budget, seed=a.seed,
                        **training | {"held_out": task.own.TRAINING.get("held_out", 0)})
        model, budget, why = choice.model, choice.left, {"family": str(choice)}
        model.facts |= {**about, "chosen": dict(choice.losses)}
        print(f"family: {choice}", file=sys.stderr)
    parts: dict[str, Any] = getattr(task.own, "parts", lambda _: {})(model)  # of products whose factors learn one by one
    each = partial(fit_apart, model, learned, parts) if parts else partial(model.fit, learned)
    done = each(seed=a.seed, checkpoint=a.checkpoint, resume=a.resume, **budget, **training)
    own = {} if held is None else _figures({"this model": task.own.measure(model, held)})
    if whole is not None and (more := getattr(task.own, "kept", None)) is not None:
        model.facts |= more(model, whole)
    model.facts["scores"] = {**own, **beside}
    model.save(path)
    facts({"model": path, "formula": str(model), **why, "steps": done.steps, "stopped": done.stopped,
           "cpu-seconds": round(done.cpu_seconds, 1), **own, **beside}, a.json)
    return 130 if done.stopped == "interrupted" else 0


def _figures(each: dict[str, dict[str, float | str]]) -> dict[str, str]:
    """What is printed of figures by name, each a number or why there is none."""
    return {f"held out, {name}": ", ".join(f"{what} {value if isinstance(value, str) else format(value, '.4g')}"
                                           for what, value in figures.items()) for name, figures in each.items()}


def translate(a: argparse.Namespace) -> None:
    """`given translate`"""
    model = _of_task(a.model, "translate", lambda m: [v for v in m.joint.columns] == ["target", "source"])
    if a.data == "-":
        lines = sys.stdin.read().splitlines()
    else:
        lines = _read(a.data).splitlines()
    said = tasks.translate.translate(model, lines, beam=a.beam)
    print(json.dumps(said) if a.json else "\n".join(said))
    if a.attention and lines:
        try:
            drawn = tasks.translate.picture(model, lines[0], said[0])
            with open(a.attention, "w", encoding="utf-8") as file:
                file.write(drawn)
            print(f"wrote {a.attention}", file=sys.stderr)
        except UserError as error:  # a model that has learned little says what no text is cut into
            print(f"given: no picture: {error}", file=sys.stderr)


def chat(a: argparse.Namespace) -> None:
    """`given chat`"""
    model = _of_task(a.model, "chat", lambda m: [v for v in m.joint.columns] == ["reply", "dialogue"])
    shown = sys.stdin.isatty()
    print(f"given: {tasks.chat.LIMITS}" + "; an empty line ends it" * shown, file=sys.stderr)
    said = list[str]()
    while True:
        print("> " * shown, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        reply = ""
        try:
            for part in tasks.chat.reply(model, [*said, line.strip()], seed=a.seed + len(said),
                                         how=given.Temperature(a.temperature)):
                reply += part
                print("" if a.json else part, end="", flush=True)
        except UserError as error:
            print(f"given: {error}", file=sys.stderr)
            continue
        print(json.dumps({"reply": reply}) if a.json else "", flush=True)
        said += [line.strip(), reply]


def keyboard(a: argparse.Namespace) -> None:
    """`given keyboard`"""
    model = _of_task(a.model, "keyboard", lambda m: getattr(next(iter(m.joint.columns.values())).codec, "unit", "") == "words")
    found = tasks.keyboard.next_words(model, a.text, a.n)
    print(json.dumps(dict(found)) if a.json else "\n".join(f"{p:.3f}  {word}" for word, p in found))


def fill(a: argparse.Namespace) -> None:
    """`given fill`"""
    if a.data == "-" and not os.path.isdir(a.model) and (a.mask or a.hide or os.path.isfile(a.model)):
        _fill_photograph(a)
        return
    model = given.load(a.model)
    if model.facts.get("task") != "code":
        _fill_picture(model, a)
        return
    if a.given or a.mask or a.hide or a.output:
        raise UserError(f"{a.model}: is a model of code, whose hole is a form feed; leave out "
                        f"{'-o' if a.output else '--mask, --hide and NAME=VALUE'}")
    text = sys.stdin.read() if a.data == "-" else _read(a.data)
    before, hole, after = text.partition("\f")
    if not hole:
        raise UserError(f"{'stdin' if a.data == '-' else a.data}: expected a form feed where the text has a hole, got none")
    how = given.Temperature(0.5 if a.temperature is None else a.temperature)
    drawn = tasks.code.fill(model, before, after, n=a.n, seed=a.seed, how=how)
    print(json.dumps(drawn) if a.json else "\n".join(drawn))


def _fill_picture(model: Model, a: argparse.Namespace) -> None:
    try:
        name = tasks.fill.name_of(model)
    except UserError:
        raise UserError(f"{a.model}: is a model {model}; given fill needs one of pictures, or of code learned by given fit ... "
                        "--task code; given complete fills holes of tables") from None
    if a.data == "-" or a.temperature is not None or bool(a.mask) == bool(a.hide):
        raise UserError("fill: of a picture, expected its FILE and what is to be filled, by --mask FILE or --hide "
                        f"{'|'.join(tasks.fill.SIDES)}, without --temperature")
    picture = photograph(a.data)
    hidden = _hidden(a, picture)
    drawn = tasks.fill.fill(model, picture, hidden, n=a.n, seed=a.seed, **observations(a.given, model))
    show(Columns({name: drawn}), a, model)


def _hidden(a: argparse.Namespace, picture: np.ndarray) -> np.ndarray:
    """(height, width) what is to be filled of a picture."""
    if a.hide:
        return tasks.fill.side_hidden(a.hide, *picture.shape[:2])
    mask = photograph(a.mask) > 127
    return np.asarray(mask.any(-1) if mask.ndim == 3 else mask)  # saved in colour


def _fill_photograph(a: argparse.Namespace) -> None:
    """From itself: no model is read."""
    if a.given or a.temperature is not None or bool(a.mask) == bool(a.hide) or not a.output:
        raise UserError("fill: of a photograph alone, expected what is to be filled, by --mask FILE or --hide "
                        f"{'|'.join(tasks.fill.SIDES)}, and -o FILE")
    _check_output(a)
    picture = photograph(a.model)
    hidden = _hidden(a, picture)
    model = tasks.fill.of_one(picture, hidden)
    _write_pictures(tasks.fill.fill(model, picture, hidden, n=a.n, seed=a.seed), a, model)


def texture(a: argparse.Namespace) -> None:
    """`given texture`"""
    _check_output(a)
    model = tasks.texture.model(photograph(a.data), *a.size, method=a.method, patch=a.patch, longest=a.longest)
    _write_pictures(np.asarray(model.sample(a.n, seed=a.seed)["image"]), a, model)


def _check_output(a: argparse.Namespace) -> None:
    """Before anything is drawn."""
    one = (".png", ".jpg", ".jpeg") if a.n == 1 else (".png",)
    if not a.output.lower().endswith((*one, "/", os.sep, ".npz")):
        raise UserError(f"{a.output}: expected {', '.join(one)}, .npz or FOLDER/")


def _write_pictures(drawn: np.ndarray, a: argparse.Namespace, model: Model) -> None:
    """One picture as it is, several as a sheet or a folder."""
    if len(drawn) > 1 or a.output.endswith(("/", os.sep, ".npz")):
        show(Columns({"image": drawn}), a, model)
        return
    from PIL import Image

    Image.fromarray(drawn[0]).save(a.output)
    facts({"picture": a.output, "height": drawn.shape[1], "width": drawn.shape[2]}, a.json)


def picture(a: argparse.Namespace) -> None:
    """`given picture`"""
    model = given.load(a.model)
    try:
        name, label = tasks.picture.labels_of(model)
    except UserError as error:
        raise error.at(a.model) from None
    drawn = tasks.picture.draw(model, a.n, guidance=a.guidance, seed=a.seed, **observations(a.given, model))
    if not a.output.endswith(".html"):
        write(Columns({name: np.concatenate([*drawn.values()])}), a.output, model)
        return
    sheets = {value: sheet(model, Columns({name: images})) for value, images in drawn.items()}
    scores = table([["judged", "figures"], *([who, figures] for who, figures in model.facts.get("scores", {}).items())])
    body = "".join(figure(png, f"{label} {value}" if label else "drawn") for value, png in sheets.items())
    weight = f", the label weighed {tasks.picture.weight_of(model, a.guidance):g} times" if label else ""
    made = page(str(model), f"{a.n} draws{' of every label' * (len(drawn) > 1)}{weight}", [
        ("What does it draw?", f'<div class="grid pictures">{body}</div>'), ("How good is it?", scores)])
    write_file(a.output, lambda file: file.write(made.encode()))
    print(f"wrote {a.output}", file=sys.stderr)


def molecules(a: argparse.Namespace) -> None:
    """`given molecules`"""
    model = _of_task(a.model, "molecules", lambda m: m.facts.get("task") == "molecules")
    observed, column = observations(a.given, model), next(reversed(model.joint.columns))
    if a.scaffold is None:
        drawn = model.sample(a.n, seed=a.seed, **observed)[column].tolist()
    else:
        drawn = tasks.molecules.complete(model, a.scaffold, a.n, seed=a.seed, **observed)
    known = None if a.beside is None else tasks.molecules.read(given.read(a.beside), skip_bad=True)
    beside = None if known is None else next(iter(known.values())).tolist()
    scores = molecule_figures(drawn, beside, beside)
    print(", ".join(f"{name} {value:.4g}" for name, value in scores.items()), file=sys.stderr)
    show(molecule_table(drawn), a, model)


def upscale(a: argparse.Namespace) -> None:
    """`given upscale`"""
    model = _of_task(a.model, "upscale", lambda m: [v for v in m.joint.columns] == ["high", "low"])
    large = tasks.upscale.enlarge(model, photograph(a.data), draw=a.draw, seed=a.seed)
    from PIL import Image

    Image.fromarray(large).save(a.output)
    facts({"picture": a.output, "height": large.shape[0], "width": large.shape[1]}, a.json)


def risk(a: argparse.Namespace) -> None:
    """`given risk`"""
    model = _of_task(a.model, "finance", lambda m: next(iter(m.joint.columns)) == "returns")
    data = tasks.finance.goes_on(model, a.data)
    lost, paths = tasks.finance.risk(model, data, a.days, n=a.n, seed=a.seed)
    found: dict[str, Any] = {"days": a.days, "paths": a.n, **{name: f"{value:.3f} %" for name, value in lost.items()}}
    if a.strike is not None:
        spot = float(data["price"][0])
        worth = european(paths, spot, a.strike, rate=a.rate, call=not a.put)
        spread = float(data["returns"][0].std()) / 100 * 252**0.5
        plain = black_scholes(spot, a.strike, a.days / 252, spread, rate=a.rate, call=not a.put)
        found |= {"price": f"{spot:g}", "put" if a.put else "call": f"{worth.price:.4g} ± {worth.error:.2g}",
                  "discounted mean price, simulated": f"{worth.before:.5f} ± {worth.before_error:.5f} of today's",
                  "discounted mean price, corrected": f"{worth.after:.5f} ± {worth.after_error:.5f} of today's",
                  "paths left out, beyond 20 % a day": f"{worth.halted:.3%}",
                  "Black-Scholes": f"{plain:.4g}, at {spread:.1%} a year"}
    facts(found, a.json)


def health(a: argparse.Namespace) -> None:
    """`given health`"""
    if not 0 < a.interval < 1:
        raise UserError(f"health: --interval {a.interval:g}; expected a probability between 0 and 1, as 0.9")
    model = given.load(a.model)
    units, lives = tasks.health.remaining(model, a.data, draws=a.n, seed=a.seed)
    low, high = np.quantile(lives, [(1 - a.interval) / 2, (1 + a.interval) / 2], axis=0)
    show(Columns({"unit": np.array(units), "life": lives.mean(0).round(1), "low": low, "high": high}), a, model)


def impute(a: argparse.Namespace) -> None:
    """`given impute`"""
    model = _of_task(a.model, "impute", lambda m: m.facts.get("task") == "impute")
    data = read(a.data, a, model)
    for line in model.unfillable(data):
        print(line, file=sys.stderr)
    found = tasks.impute.fill(model, data, level=a.interval, n=a.n, seed=a.seed)
    if not found.n:
        print(f"{a.data}: has no hole in a column of {model}", file=sys.stderr)
    show(found, a, model)


def predict(a: argparse.Namespace) -> None:
    """`given predict`"""
    model = _of_task(a.model, "predict", lambda m: "target" in m.facts)
    if not 0 < a.interval < 1:
        raise UserError(f"predict: --interval {a.interval:g}; expected a probability between 0 and 1, as 0.9")
    data = next(read(a.data, a, model).batches(1 << 60))
    show(tasks.predict.predict(model, data, level=a.interval, seed=a.seed), a, model)
    if (target := tasks.predict.target_of(model)) in data and present(data[target]).any():
        found = tasks.predict.calibration(model, data)
        lines = [] if found is None else [f"{target}: right {found.accuracy:.1%}; predicted and observed, by probability:", *(
            f"  {p:.1%}  {o:.1%} ({low:.1%} to {high:.1%})" for p, o, low, high in zip(
                found.predicted, found.observed, found.low, found.high, strict=True)),
            f"expected calibration error {found.error:.3f}"]
        print("".join(f"{line}\n" for line in lines), end="", file=sys.stderr)


def recognise(a: argparse.Namespace) -> None:
    """`given recognise`"""
    model = _of_task(a.model, "recognise", lambda m: m.facts.get("task") == "recognise")
    for name in sorted(os.listdir(a.data)) if os.path.isdir(a.data) else ():
        if os.path.isdir(path := os.path.join(a.data, name)) and not os.listdir(path):
            raise UserError(f"{path}: has no example of its class; put a picture there, or remove the folder")
    known = tasks.recognise.read(read(a.data, a))
    pictures = next(read(a.pictures, a).batches(1 << 60))
    name = next((name for name, raw in pictures.items() if raw.ndim in (3, 4)), None)
    if name is None:
        raise UserError(f"{a.pictures}: expected pictures, got columns {', '.join(pictures)}")
    examples = {value: known["picture"][known["label"] == value] for value in np.unique(known["label"]).tolist()}
    p = tasks.recognise.which(model, examples, pictures[name])
    best = np.array([*p], dtype=object)[np.stack([*p.values()]).argmax(0)]
    show(Columns({"label": best.astype(known["label"].dtype), **{f"p({value})": share.round(6) for value, share in p.items()}}),
         a, model)
    if "label" in pictures:
        print(f"right {np.mean(pictures['label'] == best):.1%}", file=sys.stderr)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def _of_task(path: str, name: str, fits: Callable[[Model], Any]) -> Model:
    model = given.load(path)
    if not fits(model):
        raise UserError(f"{path}: is a model {model}; given {name} needs one learned by given fit ... --task {name}")
    return model
