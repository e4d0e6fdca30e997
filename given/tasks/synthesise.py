"""Synthesise: p(all columns) of a table as one block, whose draws stand in for rows that cannot be shared.

The block learns the chain rule in any order of columns, half of the time in that of whole rows, in which draws are made. Draws
are judged as those who get them would: boosted trees try to tell them from real rows that nothing was learned from. Their area
under the curve is .5 where they cannot. The trivial baseline is independent columns; real rows beside real rows say what
chance makes.
`given quality` says more of drawn rows, and of what they give away.

Source: Lopez-Paz, Oquab, Revisiting classifier two-sample tests, 2017 / https://arxiv.org/abs/1610.06545
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.evaluate import independent, matched, told_apart
from given.sources import Columns, Source
from given.sources import read as read_data
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "measure", "model", "read"]

TRAINING: Mapping[str, Any] = {}
_FIRST = 1 << 16  # rows of which some are the real ones beside
_AREA = "AUC of trees that tell rows from real ones"


def read(data: Any) -> Source:
    """A table: anything `given.read` takes."""
    return read_data(data)


def model(data: Source, *, seed: int = 0) -> Model:
    """A model of all columns in one block, nothing of it learned yet; those that number the rows are left out, with a note.

    Raises:
        UserError: no column is left.
    """
    return model_of(None, data, seed=seed)


def measure(model: Model, test: Source) -> dict[str, float]:
    """How well as many draws are told from held-out rows, and log p of these."""
    held = next(test.batches(1 << 60))
    return {_AREA: _area(held, model.sample(held.n, seed=1)), "nats/row": float(model.score(held).value)}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """Independent columns, and other real rows."""
    held, some = next(test.batches(1 << 60)), next(train.batches(_FIRST))
    some = some.rows(np.random.default_rng(0).permutation(some.n)[:held.n])
    name, plain = model(train).baseline(train)
    return {name: {_AREA: _area(held, some, shuffled=True), "nats/row": float(plain.score(held).value)},
            "real rows": {_AREA: _area(held, some)}}


def _area(held: Columns, rows: Columns, *, shuffled: bool = False) -> float:
    """The AUC at which rows, or their columns shuffled each for itself, are told from as many held-out ones."""
    found = matched({"held-out rows": held, "rows": rows})
    real, other = (found.inputs(table)[:min(held.n, rows.n)] for table in found.tables.values())
    return told_apart(real, independent(other) if shuffled else other, found.categorical).value
