"""Data and answers of commands: files as the options say, answers on the screen or in a file."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import given
from given.app.output import rows, write
from given.codecs import Image, LabelMap, Number, Set, Text, Video
from given.sources import (
    Columns,
    Crops,
    Kind,
    Learned,
    Live,
    Source,
    Stream,
    clip_of,
    photograph,
    rate_of,
    recording,
    resampled,
)
from given.variables import UserError, Variable, nearest, shown
from given.verbs import Model
from given.verbs.holes import any_cell, present

__all__ = ["NewValues", "live", "need", "observations", "of_text", "once", "read", "say_on_terminal", "say_skipped", "show"]

_SKIPPED, _NAMED = 10, 3  # bad rows, and new values, that are named
_FEW = 24  # values of an item that are shown as an example


def read(source: str, a: argparse.Namespace, model: Model | None = None, piped: str | None = "text",
         series: bool = False) -> Source:
    """DATA as its options say, its cells read as those that the model learned; what was skipped is said. What is piped to a
    model of one text is text. Series are recognised where it is asked for, and no option says what rows are."""
    piped = piped if source == "-" and model is not None and of_text(model) else None
    options = {"format": a.format or piped, "delimiter": a.delimiter,
               "header": None if a.header is None else a.header == "yes", "decimal": a.decimal,
               "dayfirst": _dayfirst(a), "by": a.by, "time": a.time or series or None, "size": a.size,
               "frames": a.frames, "crop": a.crop, "flip": a.flip or None, "skip_bad": a.skip_bad or None,
               "learned": None if model is None else model.cells}
    data = given.read(source, **{name: value for name, value in options.items() if value is not None})
    say_skipped(data)
    if isinstance(data, Crops) and model is not None:
        print(data.described(), file=sys.stderr)
    return data


def _dayfirst(a: argparse.Namespace) -> bool | None:
    return None if a.dayfirst is None else a.dayfirst == "yes"


def live(a: argparse.Namespace, model: Model, headers: Sequence[Sequence[str]] = ()) -> Live | None:
    """Standard input as a table whose rows are taken as they come, where it may be one; `headers` are as of `Live`."""
    table = a.format in ("csv", "tsv") or (a.format is None and not of_text(model))
    table = table and not any(each.along for each in model.cells.values())
    if a.data != "-" or not table or not Live.fits(sys.stdin.buffer):
        return None
    return Live(sys.stdin.buffer, model.cells, a.delimiter, a.decimal, _dayfirst(a), a.skip_bad, headers)


def observations(pairs: Sequence[tuple[str, str]], model: Model, said: str = "NAME=VALUE") -> dict[str, Any]:
    """What NAME=VALUE say, each read as a cell of the data learned from: NA and the like are a hole, but in running text."""
    observed: dict[str, Any] = dict(once(pairs, said))
    cells = model.cells
    for name, text in observed.items():
        variable = model.joint.columns.get(name)
        if variable is None or isinstance(variable.codec, Text):
            continue
        if isinstance(variable.codec, Video):
            observed[name] = _filmed(variable, text, "size" in model.facts.get("read", {"size": None}))
            continue
        if isinstance(variable.codec, Image | LabelMap) and not text.startswith("["):
            observed[name] = _pictured(variable, text)
            continue
        rate = rate_of(model.facts.get("dtypes", {}).get(name))
        if rate is not None and not text.startswith("["):
            observed[name] = recording(text, rate)
            continue
        if variable.codec.item_axes or isinstance(variable.codec, Set):
            observed[name] = _listed(variable, text)
            continue
        try:
            raw = cells.get(name, Learned(Kind("text"))).typed([text])
        except UserError as error:
            raise error.at(name) from None
        observed[name] = raw.tolist()[0]
        if observed[name] is None or observed[name] != observed[name]:
            _check_hole(variable, raw, text)
    return observed


def _pictured(variable: Variable, path: str) -> np.ndarray:
    """A picture, or a map of classes, of a file, of the size that was learned."""
    found, size = photograph(path), variable.space.shape
    if found.shape != size:
        got, expected = (" x ".join(map(str, shape)) for shape in (found.shape, size))
        raise UserError(f"{variable.name}={path}: is {got}; expected {expected}, as what was learned; resize it")
    return found


def _filmed(variable: Variable, path: str, stretched: bool) -> np.ndarray:
    """The last frames of a video, as many as were learned and of their size, and of their proportions unless these were
    stretched too."""
    frames, height, width, *channels = variable.space.shape
    clip = clip_of(path)
    size = clip.shape[1:3]
    if not stretched and any(abs(side * max(height, width) / max(size) - own) >= 1
                             for side, own in zip(size, (height, width), strict=True)):
        raise UserError(f"{variable.name}={path}: is {size[0]} x {size[1]}; expected the proportions of {height} x {width}, as "
                        "what was learned; crop it, or learn with --size")
    clip = resampled(clip, (height, width))
    if len(clip) < frames:
        raise UserError(f"{variable.name}={path}: has {len(clip)} frames; expected at least {frames}, as what was learned")
    print(f"{variable.name}: the last {frames} of {len(clip):,} frames of {path}, at {height} x {width}", file=sys.stderr)
    return clip[-frames:] if channels else np.asarray(clip[-frames:].mean(-1).round(), dtype=np.uint8)


def _listed(variable: Variable, text: str) -> list[Any]:
    """A value of several numbers or words, such as a series, from its JSON list."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    name, items = variable.name, isinstance(variable.codec, Set)
    axes = [] if items else variable.space.axes
    size = tuple(axis.size if axis.length == "fixed" else 3 for axis in axes)  # of one value
    wrong = isinstance(variable.codec, Number) and found is not None and _shape(found) != size
    if not isinstance(found, list) or (not found and not items) or wrong:
        few = json.dumps(np.arange(1, 1 + math.prod(size)).reshape(size).tolist()) if math.prod(size) <= _FEW else ""
        many = "items, [] for none" if items else f"{' x '.join(map(str, size))} values" if wrong or not few else "values"
        raise UserError(f"{name}: got {text[:40]!r}; expected a JSON list of its {many}"
                        + f", as '{name}={few}'" * bool(few and not items))
    return found


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of nested lists, None where they are no grid."""
    try:
        return np.shape(value)
    except ValueError:
        return None


def _check_hole(variable: Variable, raw: np.ndarray, text: str) -> None:
    try:
        variable.encode({variable.name: raw})
    except UserError:
        raise UserError(f"{variable.name}={text}: no value of it was missing where it was learned; leave it out, then it is "
                        "unknown, and drawn") from None


class NewValues:
    """Counts of values that a model never learned, as rows come by. An empty cell is none."""

    def __init__(self, model: Model) -> None:
        self.model, self.rows, self.found = model, 0, dict[str, tuple[int, int, list[str]]]()

    def see(self, columns: Mapping[str, np.ndarray]) -> None:
        """Count those of some rows (rows, ...)."""
        for name, values in columns.items():
            new = self.model.joint.columns[name].encode_new({name: values}, self.rows)[1]
            new = np.flatnonzero(new & any_cell(present(values)))
            if len(new):
                n, first, named = self.found.get(name, (0, self.rows + int(new[0]), []))
                named = list(dict.fromkeys([*named, *map(_named, values[new].tolist())]))
                self.found[name] = n + len(new), first, named[:_NAMED + 1]
        self.rows += len(next(iter(columns.values()), ()))

    def say(self) -> None:
        """Say on standard error how many there are, which, and where the first is."""
        if self.found:
            each = ", ".join(f"{name} {n:,} ({', '.join(named[:_NAMED])}{', ...' if len(named) > _NAMED else ''}; first in row "
                             f"{first})" for name, (n, first, named) in self.found.items())
            print(f"values that were never learned, each taken as unknown: {each}", file=sys.stderr)


def _named(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else shown(value)


def of_text(model: Model) -> bool:
    """Whether a model is of one text."""
    return [isinstance(v.codec, Text) for v in model.joint.columns.values()] == [True]


def say_on_terminal(what: str, end: str = "\n") -> None:
    """A line of progress on standard error, where that is a terminal; with `end` "" the next one takes its place."""
    if sys.stderr.isatty():
        print(f"\r{what}", end=end, file=sys.stderr, flush=True)


def say_skipped(data: Source) -> None:
    """Say what was skipped."""
    if data.skipped:
        more = f"\n  ... and {len(data.skipped) - _SKIPPED:,} more" if len(data.skipped) > _SKIPPED else ""
        print(f"skipped {len(data.skipped):,} bad:\n  " + "\n  ".join(data.skipped[:_SKIPPED]) + more, file=sys.stderr)
        if isinstance(data, Columns | Stream) and data.n < len(data.skipped):
            print(f"only {data.n:,} of {data.n + len(data.skipped):,} could be read: is it written as it was taken to be "
                  f"({data.described()})? See --format, --delimiter and --header", file=sys.stderr)


def show(source: Source, a: argparse.Namespace, model: Model) -> None:
    """Rows in the file that the options name, or on the screen."""
    if a.output:
        write(source, a.output, model)
    else:
        rows(source, a.json)


def need(names: Any, there: Sequence[str], where: str) -> None:
    """Raise where a column is not there."""
    absent = [name for name in names if name not in there]
    if absent:
        raise UserError(f"{where}: no column {absent[0]}; {nearest(absent[0], there)}")


def once(pairs: Sequence[tuple[str, str]], what: str) -> dict[str, str]:
    """Names and values, each name once."""
    names = [name for name, _ in pairs]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise UserError(f"{what}: {twice[0]} is said twice; say it once")
    return dict(pairs)
