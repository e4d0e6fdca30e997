"""Predict: p(target | all other columns), one column of a table from the others, with probabilities that are frequencies.

Two models are learned, and held-out rows choose by log p: `BoostedTrees`, of the target alone, and the block of all columns,
any given any others. The block reads rows with any holes, trees only where such were learned. Of a category the answer is its
most probable value with the probabilities of all; of a number the mean, and the interval that holds it with a probability.
Probabilities are checked against frequencies by their expected calibration error, intervals by their coverage. The trivial
baseline is the target by itself.

Source: Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, 2017 / https://arxiv.org/abs/1706.04599
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.conditional import quoted
from given.evaluate import Calibration, reliability
from given.families import BoostedTrees, Independent
from given.infer import Rows
from given.sources import Columns, Source
from given.sources import read as read_data
from given.variables import Finite, UserError, nearest, shown
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.holes import present
from given.ways import way

__all__ = ["TRAINING", "baselines", "calibration", "loss", "measure", "model", "models", "predict", "read", "target_of"]

TRAINING: Mapping[str, Any] = {"held_out": 0.1}  # which say how many trees are summed, and are not those it is judged by
_JUDGED = 500


def read(data: Any, *, target: str | None = None) -> Source:
    """The rows of a table whose target is known, the target last.

    Raises:
        UserError: no target, or one that no column is.
    """
    rows = next((source := read_data(data)).batches(1 << 60))
    if target is None:
        raise UserError(f"predict: expected --target, the column to predict; there are {', '.join(rows)}")
    if target not in rows:
        raise UserError(f"--target: no column {target}; {nearest(target, list(rows))}")
    known = present(rows[target])
    if rows[target].ndim > 1 or not known.any():
        raise UserError(f"--target: {target} " + ("has no value" if not known.any() else "holds no single values"))
    some = rows.rows(np.flatnonzero(known))
    found = Columns({**{k: v for k, v in some.items() if k != target}, target: some[target]}, dtypes=rows.dtypes)
    found.kinds = source.kinds
    return found


def model(data: Source, *, seed: int = 0) -> Model:
    """Boosted trees of the last column given all others, nothing of it learned yet."""
    return models(data, seed=seed)["BoostedTrees"]


def models(data: Source, *, seed: int = 0) -> dict[str, Model]:
    """Models of which held-out rows are to choose, by name.

    Raises:
        UserError: no other column to predict by.
    """
    target = data.names[-1]
    block = model_of(None, data, seed=seed)
    others = [name for name in block.joint.columns if name != target]
    if not others or target not in block.joint.columns:
        raise UserError(f"predict: no column to predict {target} by is left ({'; '.join(block.notes)})" if not others else
                        f"--target: {target}: {next(note for note in block.notes if note.startswith(target))}")
    formula = f"p({quoted(target)} | {', '.join(map(quoted, others))})"
    trees = model_of(formula, data, families={target: BoostedTrees}, seed=seed)
    trees.facts["notes"] = block.notes
    for each in (trees, block):
        each.facts["target"] = target
    return {"BoostedTrees": trees, "any-order block": block}


def target_of(model: Model) -> str:
    """The column that a model predicts.

    Raises:
        UserError: a model of something else.
    """
    target = model.facts.get("target")
    if target is None:
        raise UserError(f"predict: {model} has no target; expected a model of given fit DATA --task predict --target COLUMN")
    return str(target)


def predict(model: Model, data: Any, *, level: float = 0.9, seed: int = 0) -> Columns:
    """What is predicted of every row: of a category its most probable value, and `p(value)` of all; of a number its mean, and
    the ends `low` and `high` of the interval that holds it with a probability.

    Args:
        model: that has learned.
        data: anything `given.read` takes, with the target or without, which is not read.
        level: of the interval.
        seed: of draws, where an interval has no closed form.
    """
    target = target_of(model)
    rows = next(read_data(data, learned=model.cells).batches(1 << 60))
    query, space = model.given(_known(model, target, rows)), model.joint.columns[target].space
    if isinstance(space, Finite):
        p = {value: np.broadcast_to(shares, rows.n) for value, shares in query.probabilities(target).items()}
        best = np.array([*p], dtype=object)[np.stack(list(p.values())).argmax(0)]
        return Columns({target: best, **{f"p({value})": shares.round(6) for value, shares in p.items()}})
    low, high = np.moveaxis(np.broadcast_to(query.interval(target, level, seed=seed), (rows.n, 2)), -1, 0)
    return Columns({target: np.broadcast_to(query.mean(target, seed=seed), rows.n), "low": low, "high": high})


def _known(model: Model, target: str, rows: Columns) -> dict[str, Any]:
    names = [name for name in model.joint.columns if name != target]
    if absent := [name for name in names if name not in rows]:
        raise UserError(f"predict: no column {absent[0]}, by which {target} is predicted; there are {', '.join(rows)}")
    for name in (name for name in names if name in model.joint.conditions):
        _, new = model.joint.columns[name].encode_new({name: rows[name]})
        if new.any():
            row = int(new.argmax())
            got = "is missing" if not present(rows[name][[row]])[0] else f"{shown(rows[name].tolist()[row])} was never seen"
            raise UserError(f"{name}, row {row}: {got}, and the trees that predict {target} learned none such; leave the row "
                            f"out, or fill it first, by {way('a model', 'given complete and a model')} of all columns")
    return {name: Rows(rows[name]) for name in names}


def calibration(model: Model, rows: Columns) -> Calibration | None:
    """How often the most probable category is right, by its probability; None of a number."""
    target = target_of(model)
    variable, known = model.joint.columns[target], present(rows[target])
    if not isinstance(variable.space, Finite):
        return None
    some = rows.rows(np.flatnonzero(known))
    p = model.given(_known(model, target, some)).probabilities(target)
    truth = variable.encode_new({target: some[target]})[0].tensor.numpy().astype(int)
    return reliability(np.stack([np.broadcast_to(shares, some.n) for shares in p.values()], 1), truth)


def measure(model: Model, test: Source) -> dict[str, float]:
    """Log p of the target; of a category how often it is named rightly, and the expected calibration error; of a number the
    error of the mean, and how many intervals of 90 % hold it."""
    rows, target = next(test.batches(_JUDGED)), target_of(model)
    scores = {"log p": -loss(model, rows)}
    found = calibration(model, rows)
    if found is not None:
        return scores | {"accuracy": found.accuracy, "calibration error": found.error}
    said = predict(model, rows)
    truth = model.joint.columns[target].codec.numbers(rows[target])
    mean, low, high = (model.joint.columns[target].codec.numbers(np.asarray(said[name])) for name in (target, "low", "high"))
    inside = (low <= truth) & (truth <= high)
    return scores | {"RMSE": float(np.sqrt(((mean - truth) ** 2).mean())), "in 90 %": float(inside.mean())}


def loss(model: Model, held: Source) -> float:
    """Mean -log p of the target given all others: what chooses among `models`."""
    rows, target = next(held.batches(1 << 60)), target_of(model)
    return -float(model.given(_known(model, target, rows)).log_prob({target: Rows(rows[target])}).mean())


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The target by itself."""
    target = train.names[-1]
    plain = model_of(f"p({quoted(target)})", train, families={target: Independent})
    plain.fit(train, held_out=0, progress=False)
    plain.facts["target"] = target
    return {f"{target} by itself": measure(plain, test)}
