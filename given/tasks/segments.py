"""Segments: p(segment) p(all columns | segment), rows in a few groups that are alike. Any table.

A segment is a latent that no row has a value of, summed out exactly; within one columns are independent, words counted and
numbers normal, amounts by log(1 + x) where that fits better (latent class analysis). How many there are is the number under
which held-out rows are likeliest. Each is named by the columns that tell it most from all rows, and shown by its prototype, the
row of the data that is most probable in it. The trivial baseline is one segment.

Source: Lazarsfeld, Henry, Latent structure analysis, 1968
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.codecs import Label
from given.conditional import quoted
from given.families import Independent
from given.infer import Rows
from given.sources import Columns, Source
from given.sources import read as read_data
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.holes import present
from given.verbs.numbers_and_words import numbers_and_words

__all__ = ["LATENT", "TRAINING", "assign", "baselines", "loss", "measure", "model", "models", "prototypes", "read"]

TRAINING: Mapping[str, Any] = {"held_out": 0}
LATENT = "segment"
_SIZES, _ROWS = (2, 3, 4, 6, 8, 12), 20  # segments; rows that each has at least, on average
_SHOWN = 8  # columns of a prototype


def read(data: Any) -> Source:
    """The rows of a table.

    Raises:
        UserError: a column has the latent's name.
    """
    source = read_data(data)
    if LATENT in source.names:
        raise UserError(f"segments: a column is called {LATENT}, as what is looked for; rename it, or leave it out")
    return source


def model(data: Source, *, seed: int = 0, segments: int = 4) -> Model:
    """A model of so many segments, nothing of it learned yet.

    Raises:
        UserError: no column of numbers or words.
    """
    numbers, words, left = numbers_and_words(data)
    codecs = {name: {**numbers, **words}[name] for name in data.names if name in numbers or name in words}
    if not codecs:
        raise UserError(f"segments: expected columns of numbers or categories, got none ({'; '.join(left)})")
    block = ", ".join(map(quoted, codecs))
    found = model_of(f"p({LATENT}) p({block} | {LATENT})", data, codecs=codecs, families={block: Independent},
                     latents={LATENT: Label([*range(1, segments + 1)])}, seed=seed)
    found.facts["notes"] = left
    return found


def models(data: Source, *, seed: int = 0) -> dict[str, Model]:
    """Models of several numbers of segments, of which held-out rows are to choose."""
    n = sum(batch.n for batch in data.batches(1 << 16))
    sizes = [K for K in _SIZES if _ROWS * K <= n] or [_SIZES[0]]
    return {f"{K} segments": model(data, seed=seed, segments=K) for K in sizes}


def loss(model: Model, held: Source) -> float:
    """Mean -log p of rows: what chooses among `models`."""
    return -float(model.score(held).value)


def measure(model: Model, test: Source) -> dict[str, float]:
    """Log p of rows."""
    return {"nats/row": -loss(model, test)}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """One segment: independent columns, read in the same way."""
    _, plain = model(train).baseline(train)
    return {"one segment": measure(plain, test)}


def assign(model: Model, data: Any) -> Columns:
    """The table with the most probable `segment` of every row, and its probability `p(segment)`.

    Raises:
        UserError: a model without segments.
    """
    _check(model)
    rows = next(read_data(data, learned=model.cells).batches(1 << 60))
    p = model.given({k: Rows(v) for k, v in rows.items() if k in model.joint.columns}).probabilities(LATENT)
    shares = np.stack(list(p.values()), 1)
    return Columns({**rows, LATENT: shares.argmax(1) + 1, f"p({LATENT})": shares.max(1).round(4)}, dtypes=rows.dtypes)


def prototypes(model: Model, data: Any) -> dict[int, str]:
    """The most probable row without holes of every segment that has one, in words."""
    rows = assign(model, data)
    found = dict[int, str]()
    names = [name for name in model.joint.columns if name in rows and name != LATENT]
    whole = np.all([present(rows[name]) for name in names], 0)  # a density of fewer numbers is no smaller for it
    for k in sorted(set(rows[LATENT][whole].tolist())):
        values = model.given({LATENT: k}).log_prob({name: Rows(rows[name]) for name in names})
        best = int(np.where((rows[LATENT] == k) & whole, values, -np.inf).argmax())
        more = ", ..." * (len(names) > _SHOWN)
        found[k] = ", ".join(f"{name} {rows[name].tolist()[best]}" for name in names[:_SHOWN]) + more
    return found


def _check(model: Model) -> None:
    if LATENT not in model.joint.latents:
        raise UserError(f"segments: {model} has no {LATENT}; expected a model of given fit DATA --task segments")
