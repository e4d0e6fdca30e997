"""Anomalies: p(numbers) p(words) of rows that are normal; what is unlikely under it is an anomaly. Any table.

A row's score is -log p, in nats and raw units. It is flagged where its conformal p-value among normal rows held out is at most
the rate of false alarms that is allowed, which therefore holds whatever the model is. Each flagged row comes with the cells
that are unlikely given all others of it.

Numbers are a stack of mixtures of normal distributions with full covariances, weighed by normal rows left out, amounts by
log(1 + x) where a normal distribution fits that better; of more than 64 numbers one normal distribution. A thirtieth of every
variance is added, so that a column that hardly varies does not rule the sum. Words are a tree, each given the one other that
tells most of it; those of fewer than five rows, and new ones, are one. Times are left out: what comes is later than all that
was learned from. The trivial baseline is independent columns.

Source: Chandola, Banerjee, Kumar, Anomaly detection: a survey, 2009 / https://doi.org/10.1145/1541880.1541882
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from given.conditional import quoted
from given.evaluate import FalseAlarms
from given.families import ChowLiuTree, GaussianMixture, Independent
from given.sources import Columns, Source
from given.sources import read as read_data
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.numbers_and_words import numbers_and_words
from given.verbs.reasons import cells, reasons

__all__ = ["TRAINING", "Watch", "baselines", "kept", "measure", "model", "read"]

TRAINING: Mapping[str, Any] = {}
_RIDGE, _MANY = 0.03, 64  # of the variance of a column; numbers beyond which there is one component
_KEPT, _ASKED = 10_000, 500  # normal rows held out whose scores are kept, and of whose cells the median is


def read(data: Any, *, normal: tuple[str, str] | None = None) -> Source:
    """The normal rows of a table, without the column that says so.

    Args:
        data: anything `given.read` takes.
        normal: that column, and its value in normal rows; by default all rows are normal.

    Raises:
        UserError: no such column, or no such row.
    """
    source = read_data(data)
    if normal is None:
        return source
    (name, value), rows = normal, next(source.batches(1 << 60))
    if name not in rows:
        raise UserError(f"--normal: no column {name}; there are {', '.join(rows)}")
    texts = np.array([str(v) for v in rows[name].tolist()])
    if not (texts == value).any():
        raise UserError(f"--normal: no row has {name} {value}; there are {', '.join(sorted(set(texts))[:8])}")
    some = rows.rows(np.flatnonzero(texts == value))
    found = Columns({k: v for k, v in some.items() if k != name}, dtypes=rows.dtypes)
    found.kinds = {k: v for k, v in source.kinds.items() if k != name}
    return found


def model(data: Source, *, seed: int = 0) -> Model:
    """A model of normal rows, nothing of it learned yet.

    Raises:
        UserError: no column of numbers or words.
    """
    numbers, words, left = numbers_and_words(data)
    if not numbers and not words:
        raise UserError(f"anomalies: expected columns of numbers or categories, got none ({'; '.join(left)})")
    blocks = {", ".join(map(quoted, block)): family for block, family in (
        (numbers, partial(GaussianMixture, components=None if len(numbers) <= _MANY else 1, ridge=_RIDGE)),
        (words, ChowLiuTree if len(words) > 1 else Independent)) if block}
    formula = " ".join(f"p({block})" for block in blocks)
    found = model_of(formula, data, codecs=numbers | words, families=dict(blocks), seed=seed)
    found.facts["notes"] = left
    return found


def measure(model: Model, test: Source) -> dict[str, float]:
    """Log p of normal rows."""
    return {"nats/row": float(model.score(test).value)}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """Independent columns, read in the same way."""
    name, plain = model(train).baseline(train)
    return {name: measure(plain, test)}


def kept(model: Model, held: Source) -> dict[str, Any]:
    """What a saved model keeps of normal rows held out: their scores, and what is usual of every column's cells."""
    rows = next(held.batches(_KEPT))
    usual = cells(model, rows.rows(slice(_ASKED)))
    return {"normal": np.sort(-model.score(rows).items).tolist(), "usual": {k: float(np.median(v)) for k, v in usual.items()}}


@dataclass(frozen=True)
class Watch:
    """Rows judged as they come.

    Args:
        model: that has learned, with what `kept` says among its facts.
        rate: of false alarms.

    Raises:
        UserError: a model of something else, or too few rows held out for the rate.
    """

    model: Model
    rate: float = 0.01

    def __post_init__(self) -> None:
        if self.model.facts.get("task") != "anomalies" or "normal" not in self.model.facts:
            raise UserError(f"anomalies: {self.model} keeps no scores of normal rows held out; expected a model of given fit "
                            "DATA --task anomalies, with --held-out above 0")
        self.alarms  # noqa: B018  (raises)

    @property
    def alarms(self) -> FalseAlarms:
        """What is flagged, and how often wrongly."""
        return FalseAlarms(np.array(self.model.facts["normal"]), self.rate)

    def judge(self, rows: Columns, seed: int = 0) -> Columns:
        """Of every row its score -log p in nats, its conformal p-value, whether it is an anomaly, and why."""
        score = -self.model.score(rows, seed=seed).items
        p = self.alarms.p_values(score)
        flagged = p <= self.rate + 1e-12
        why = np.full(rows.n, "", dtype=object)
        if flagged.any():
            why[flagged] = reasons(self.model, rows.rows(np.flatnonzero(flagged)), self.model.facts["usual"])
        return Columns({"score": score.round(4), "p": p.round(6), "anomaly": np.where(flagged, "yes", "no"), "why": why})
