"""Label few: p(label) p(all others | label), learned from many rows of which few have a label. Any table.

Where the label is missing it is unknown, and summed out: expectation maximisation, from the labelled rows on. Numbers are
normal for each label, amounts by log(1 + x) where that fits better, words counted. Bayes' rule then names every row, by `given
predict` as of the task predict. What is told of the unlabelled rows helps where kinds of rows are as the family takes them;
held-out rows that have a label say whether it did, beside the most frequent label and the model of the labelled rows alone.

Source: Nigam, McCallum, Thrun, Mitchell, Text classification from labeled and unlabeled documents using EM, 2000 /
https://doi.org/10.1023/A:1007692713085
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Label
from given.conditional import quoted
from given.families import Categorical, Gaussian, Independent
from given.infer import Rows
from given.sources import Columns, Source
from given.sources import read as read_data
from given.variables import UserError, nearest
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.holes import present
from given.verbs.numbers_and_words import numbers_and_words

__all__ = ["TRAINING", "baselines", "measure", "model", "read"]

TRAINING: Mapping[str, Any] = {"held_out": 0}


def read(data: Any, *, target: str | None = None) -> Source:
    """The rows of a table, the label last.

    Raises:
        UserError: no target, or one that no column is, or that no row has a value of.
    """
    rows = next((source := read_data(data)).batches(1 << 60))
    if target is None or target not in rows:
        wrong = (f"label-few: expected --target, the column of labels; there are {', '.join(rows)}" if target is None else
                 f"--target: no column {target}; {nearest(target, list(rows))}")
        raise UserError(wrong)
    if not present(rows[target]).any():
        raise UserError(f"--target: no row has a value of {target}; label a few of every kind")
    found = Columns({**{k: v for k, v in rows.items() if k != target}, target: rows[target]}, dtypes=rows.dtypes)
    found.kinds = source.kinds
    return found


def model(data: Source, *, seed: int = 0) -> Model:
    """A model of a table whose last column is the label, nothing of it learned yet.

    Raises:
        UserError: no other column of numbers or words.
    """
    target = data.names[-1]
    numbers, words, left = numbers_and_words(data)
    numbers.pop(target, None)
    words.pop(target, None)
    if not numbers and not words:
        raise UserError(f"label-few: no column is left to name {target} by ({'; '.join(left)})")
    family = {", ".join(map(quoted, block)): made for block, made in (
        (numbers, partial(Gaussian, pooled=10.0)), (words, Independent)) if block}
    name = quoted(target)
    formula = f"p({name}) " + " ".join(f"p({block} | {name})" for block in family)
    codecs = {**numbers, **words, target: Label(missing="unknown")}
    found = model_of(formula, data, codecs=codecs, families={name: Categorical, **family}, seed=seed)
    found.facts |= {"notes": left, "target": target}
    return found


def measure(model: Model, test: Source) -> dict[str, float]:
    """How many rows that have a label are named rightly; without such rows, log p of a row."""
    rows, target = next(test.batches(1 << 60)), str(model.facts["target"])
    some = rows.rows(np.flatnonzero(present(rows[target])))
    if not some.n:
        return {"nats/row": float(model.score(rows).value)}
    known = {name: Rows(some[name]) for name in model.joint.columns if name != target}
    p = model.given(known).probabilities(target)
    said = np.stack([np.broadcast_to(shares, some.n) for shares in p.values()], 1).argmax(1)
    truth = model.joint.columns[target].encode_new({target: some[target]})[0].tensor.numpy()
    return {f"accuracy of {some.n} labelled": float((said == truth).mean())}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The most frequent label, and the model of the labelled rows alone."""
    rows, target = next(train.batches(1 << 60)), train.names[-1]
    some = rows.rows(np.flatnonzero(present(rows[target])))
    if not some.n:
        raise UserError(f"label-few: no row that is learned from has a value of {target}; label more, or pass --held-out 0")
    some = Columns(dict(some), dtypes=rows.dtypes)
    plain = model_of(f"p({quoted(target)})", some, codecs={target: Label(missing="unknown")}, families={target: Independent})
    alone = model(some)
    for each in (plain, alone):
        each.fit(some, held_out=0, progress=False)
    plain.facts["target"] = target
    return {"the most frequent label": measure(plain, test), "labelled rows alone": measure(alone, test)}
