"""Tasks: what it is all for. Named formulas, and which of them data asks for where nobody wrote one.

A task that is more than a formula has a file of its own, which says how its data is read (`read`), what models it (`model`),
how that learns (`TRAINING`, options of `Model.fit`; `arranged`, where it learns from what is made of the rows), what it is set
beside (`baselines`, run first) and how it is judged
(`measure`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from given.codecs import Image, Label, Series, Set, Text, infer_table
from given.conditional import quoted
from given.formula import by_axes
from given.sources import Source
from given.tasks import (
    anomalies,
    answer,
    backbone,
    channel,
    chat,
    code,
    detect,
    fill,
    finance,
    grounded,
    health,
    hear,
    impute,
    keyboard,
    label_few,
    load,
    molecules,
    picture,
    policy,
    predict,
    recognise,
    segment,
    segments,
    shape,
    speak,
    synthesise,
    texture,
    to_picture,
    to_text,
    traffic,
    translate,
    upscale,
    video,
)
from given.variables import Codec, UserError

__all__ = ["TASKS", "Task", "anomalies", "answer", "backbone", "channel", "chat", "code", "detect", "fill", "finance",
           "grounded", "health", "hear", "impute", "keyboard", "label_few", "load", "molecules", "picture", "policy",
           "predict", "recognise", "segment", "segments", "shape", "speak", "synthesise", "task_named", "task_of", "texture",
           "to_picture", "to_text", "traffic", "translate", "upscale", "video"]

_Names = Sequence[str]
_Axes = Mapping[str, str]


@dataclass(frozen=True)
class Task:
    """A question that data of a kind is asked.

    Attributes:
        name: of it.
        what: in a line.
        baseline: what a model of it is set beside.
        unit: of its score.
        example: a command.
        formula: from the names of images, of texts, of labels, of series with their axes, and of all columns, the formula; None
            where it is another task's, or where the task has to be asked for.
        own: the module of a task with a file of its own; where it parts rows itself, by a function `parted`.
        together: a column of its data, whose rows of one value are held out together.
        asks: options of the command line that `own.read` takes, of a task whose data is a table, which is read as other options
            say; None of others.
        reads: options of the command line that `own.read` takes beside paths.
        rows: whether its rows are some of a table's as they stand, so that what is asked is any table.
        chosen_by: the held-out loss that chooses one of `own.models`, where there are several.
    """

    name: str
    what: str
    baseline: str
    unit: str
    example: str
    formula: Callable[[_Names, _Names, _Names, _Axes, _Names], str | None] = lambda *_: None
    own: Any = None
    together: str | None = None
    chosen_by: Callable[[Any, Source], float] | None = None
    asks: Sequence[str] | None = None
    reads: Sequence[str] = ()
    rows: bool = False


def _labelled_images(images: _Names, texts: _Names, labels: _Names, series: _Axes, names: _Names) -> str | None:
    if len(images) != 1 or len(labels) != 1 or len(names) != 2:
        return None
    return f"p({quoted(labels[0])}) p({quoted(images[0])} | {quoted(labels[0])})"


def _images(images: _Names, texts: _Names, labels: _Names, series: _Axes, names: _Names) -> str | None:
    return f"p({quoted(images[0])})" if len(images) == 1 and len(names) == 1 else None


def _text(images: _Names, texts: _Names, labels: _Names, series: _Axes, names: _Names) -> str | None:
    return f"p({quoted(texts[0])})" if len(texts) == 1 and len(names) == 1 else None


def _table(images: _Names, texts: _Names, labels: _Names, series: _Axes, names: _Names) -> str | None:
    return _block(names) if not images and not texts else None


def _series(images: _Names, texts: _Names, labels: _Names, series: _Axes, names: _Names) -> str | None:
    if not series or images or texts:
        return None
    return by_axes(names, series)


def _block(x: _Names) -> str:
    return f"p({', '.join(map(quoted, x))})"


TASKS = (
    Task("labelled images", "which images each label has; turned round, which label an image has", "independent pixels "
         "and labels", "nats/item", "given fit photos/", _labelled_images),
    Task("images", "what images look like: draw, score, finish them", "independent pixels", "bits/dim",
         "given fit photos/ 'p(image)'", _images),
    Task("language", "what comes next in a text: continue it, score it", "5-gram", "nats/character", "given fit book.txt",
         _text),
    Task("series", "how columns of values in a row go on together, given what an item has one of", "independent columns",
         "nats/item", "given fit sales.csv --by shop --time date", _series),
    Task("table", "any columns given any others, as one block", "independent columns", "nats/item", "given fit people.csv",
         _table),
    Task("translate", "what a text is in another language", "word by word (IBM model 1), a copy", "BLEU",
         "given fit train.de train.en --task translate", own=translate),
    Task("chat", "what is replied in a dialogue of two", "trigram", "nats/character",
         "given fit dialogues.jsonl --task chat", own=chat),
    Task("answer-by-rank", "which of some answers is that to a question", "words in common (TF-IDF)",
         "share of true answers ranked first", "given fit faq.csv --task answer-by-rank", own=answer),
    Task("keyboard", "which word comes next, while somebody types", "trigram", "share of words proposed, of keys saved",
         "given fit book.txt --task keyboard", own=keyboard),
    Task("code", "what comes next in a source file, and what stands between two parts of it", "5-gram, xz", "bits/byte",
         "given fit src/ --task code", own=code),
    Task("molecules", "which molecules there are, by their SMILES, given a property or a scaffold", "6-gram",
         "share valid, unique; r of what is asked", "given fit qm9.smi --task molecules --property logp", own=molecules,
         asks=("property", "skip_bad")),
    Task("picture", "whole pictures of a label", "independent pixels", "share named rightly, coverage",
         "given fit photos/ --task picture", own=picture),
    Task("fill", "what stands in a hole of a picture", "mean picture, nearest picture", "error, a share of the levels",
         "given fit photos/ --task fill", own=fill, chosen_by=fill.loss),
    Task("detect", "which things are where in a picture, a box each", "boxes of the nearest picture, one set for all",
         "mean IoU, share of right counts", "given fit photos.jsonl --task detect", own=detect),
    Task("traffic", "when the next arrival comes, and of what mark", "Poisson and renewal processes", "nats/arrival",
         "given fit arrivals.csv --task traffic", own=traffic, chosen_by=traffic.loss),
    Task("upscale", "what a picture is at twice the resolution", "bicubic curves", "PSNR of luma, dB",
         "given fit photos/ --task upscale", own=upscale),
    Task("finance", "what a price does next, given all days before", "one normal distribution, GARCH with Student innovations",
         "nats/day", "given fit prices.csv --task finance", own=finance),
    Task("load", "how series go on, from one moment after another", "the value a season before", "CRPS in standard deviations",
         "given fit load.csv --task load", own=load),
    Task("channel", "how a complex radio channel goes on along time or frequency", "independent complex normals, AR(1)",
         "nats/complex sample", "given fit h.npy --task channel", own=channel),
    Task("backbone", "how the chain of a protein lies in space, at a length, alone or in C_n symmetry", "random walk",
         "share of bonds of 3.8 A, clashes a chain", "given fit structures/ --task backbone", own=backbone, asks=()),
    Task("health", "how long a machine lasts, given what it has shown", "mean life, ridge", "RMSE in cycles, CRPS",
         "given fit engines.csv --task health", own=health, together="unit"),
    Task("synthesise", "rows that pass for those of a table", "independent columns, real rows", "AUC of trees",
         "given fit people.csv --task synthesise", own=synthesise, asks=(), rows=True),
    Task("anomalies", "which rows are unlike all that is normal, and why", "independent columns", "nats/row",
         "given fit log.csv --task anomalies --normal label=normal", own=anomalies, asks=("normal",), rows=True),
    Task("impute", "what stands in the holes of a table, each with its interval", "mean and mode", "nats/cell, error in "
         "standard deviations", "given fit people.csv --task impute", own=impute, asks=(), rows=True),
    Task("predict", "one column from all others, with probabilities that are frequencies", "the column by itself", "nats/row",
         "given fit people.csv --task predict --target income", own=predict, chosen_by=predict.loss, asks=("target",),
         rows=True),
    Task("label-few", "which label a row has, where few rows have one", "the most frequent label, the labelled rows alone",
         "accuracy", "given fit rows.csv --task label-few --target label", own=label_few, asks=("target",), rows=True),
    Task("recognise", "which of some classes a picture is of, of each of which one example is at hand",
         "nearest in pixels, modified Hausdorff distance", "share of errors", "given fit photos/ --task recognise",
         own=recognise, together="label", asks=()),
    Task("text-to-image", "what a caption shows", "mean picture, that of the nearest caption", "error, a share of the levels",
         "given fit scenes --task text-to-image", own=to_picture.TEXT_TO_IMAGE, asks=()),
    Task("caption", "what there is to say of a picture", "most frequent caption, that of the nearest picture",
         "share that is right", "given fit scenes --task caption", own=to_text.CAPTION, asks=()),
    Task("ask", "what the answer to a question about a picture is", "most frequent answer, that of the nearest picture",
         "share that is right", "given fit scenes --task ask", own=to_text.ASK, asks=()),
    Task("converse", "what is replied in a dialogue about a picture", "most frequent reply, that of the nearest picture",
         "share that is right", "given fit scenes --task converse", own=to_text.CONVERSE, asks=()),
    Task("segment", "which class every pixel of a picture is of", "most frequent class, map of the nearest picture",
         "mean IoU", "given fit scenes --task segment", own=segment, asks=()),
    Task("draw", "which picture has a map of classes, what is not edited staying", "mean picture, that of the nearest map",
         "error, a share of the levels", "given fit scenes --task draw", own=to_picture.DRAW, asks=()),
    Task("restyle", "what a picture is in another style", "mean picture, the picture itself",
         "error, a share of the levels", "given fit scenes --task restyle", own=to_picture.RESTYLE, asks=()),
    Task("edit", "what a picture is after a change that a text asks for", "mean picture, the picture itself",
         "error, a share of the levels", "given fit scenes --task edit", own=to_picture.EDIT, asks=()),
    Task("speak", "sounds of what is to be said", "independent normal numbers by text, held-out sounds", "share heard rightly",
         "given fit sounds/ --task speak", own=speak, asks=("target",)),
    Task("hear", "what is said in a sound", "most frequent text, logistic regression on mean frames", "share right, word error",
         "given fit sounds/ --task hear", own=hear, asks=("target",)),
    Task("policy", "the next actions, given what is observed", "actions of the nearest step, mean of all",
         "error in standard deviations", "given fit episodes.npz --task policy", own=policy, together="episode",
         asks=("skip_bad",)),
    Task("grounded", "what is said of things that are seen, and which is meant", "a thing at random, the first by a field",
         "share that is right, perplexity", "given fit dialogues.jsonl --task grounded", own=grounded, asks=()),
    Task("video", "how clips go on; what a text, or maps, show", "last frame, mean video", "error, a share of the baseline's",
         "given fit clip.mp4 --task video", own=video, chosen_by=video.loss, reads=("size", "frames", "skip_bad")),
    Task("shape", "what a part of a title looks like in space, in voxels", "the shapes of the nearest titles",
         "intersection over union", "given fit parts.npz --task shape", own=shape, asks=()),
    Task("segments", "groups of rows that are alike, and what tells each from the rest", "one segment", "nats/row",
         "given fit people.csv --task segments", own=segments, chosen_by=segments.loss, asks=(), rows=True),
)


def task_named(name: str) -> Task:
    """A task by its name.

    Raises:
        UserError: there is none.
    """
    each = {task.name: task for task in TASKS}
    if name not in each:
        raise UserError(f"--task: unknown task {name!r}; expected {', '.join(each)}")
    return each[name]


def task_of(data: Source, stated: Mapping[str, Codec]) -> tuple[Task, str, list[str]]:
    """The first task that the columns fit, its formula, and a note on every column left out of it: running text too, where more
    columns are none.

    Args:
        data: the rows.
        stated: codecs of columns that are not inferred.

    Raises:
        UserError: a formula has to be written.
    """
    codecs, notes = infer_table(data, stated)
    of = {kind: [name for name, codec in codecs.items() if isinstance(codec, kind)] for kind in (Image, Text, Label)}
    series = {name: codec.axis for name, codec in codecs.items() if isinstance(codec, Series)}
    texts = [name for name in of[Text] if name not in stated]
    others = [name for name in codecs if name not in of[Text]]
    kept = ", ".join(map(quoted, others))
    sets = [name for name in codecs if isinstance(codecs[name], Set) and not of[Image] and not of[Text]]
    sets = sets[len(sets) == len(codecs):]  # each a factor of its own, given the others
    for out in ([], texts) if len(others) > max(1, len(texts)) else ([],):
        names = [name for name in codecs if name not in (*out, *sets)]
        for task in TASKS:
            formula = task.formula(of[Image], [name for name in of[Text] if name in names], of[Label], series, names)
            if formula is not None:
                notes = [note for note in notes if note.partition(": ")[0] not in codecs]
                formula += "".join(f" p({quoted(each)} | {', '.join(map(quoted, names))})" for each in sets)
                return task, formula, notes + [f"{name}: left out: running text, which no table holds; learn it too by "
                                               f"p({kept}) p({quoted(name)} | {kept})" for name in out]
    way = f", such as p({kept}) p({', '.join(map(quoted, of[Text]))} | {kept})" if others and of[Text] else ""
    raise UserError(f"no task of `given tasks` fits columns {', '.join(data.names)}"
                    f"{', of which text is ' * bool(of[Text])}{', '.join(of[Text])}; write the formula{way}")
