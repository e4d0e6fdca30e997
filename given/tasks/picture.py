"""Picture: p(a whole picture | its label), or p(a picture) where there are none. Any pictures of one size.

The family is a field along a path, as that of `fill`, but no part of a picture is ever known, so that all it learns is of
whole ones; the label is dropped now and then, so that draws can be guided, as they are by 1.5 unless asked otherwise. Draws
of the labels of held-out pictures are judged beside these: *named rightly* is the share whose nearest held-out picture has
the label asked for, and *coverage* the share of held-out pictures that have a draw within the distance of their own fifth
neighbour, .97 where both are alike, so that one good picture a label, again and again, does not pass. The trivial baseline is
independent pixels, counted for every label.

Source: Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2022 / https://arxiv.org/abs/2210.02747
Naeem, Oh, Uh, Choi, Yoo, Reliable fidelity and diversity metrics for generative models, 2020 / https://arxiv.org/abs/2002.09797
"""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from given.codecs import Image, Label
from given.distributions import Guidance, How
from given.evaluate import support
from given.families import Dequantised, Diffusion, FlowMatching, Independent
from given.solve import DPMSolver
from given.sources import Source
from given.variables import UserError
from given.verbs import Model
from given.verbs.pictures import field, labelled_pictures, lonely_label, picture_model, picture_names
from given.ways import way

__all__ = ["GUIDANCE", "TRAINING", "baselines", "draw", "labels_of", "measure", "model", "read", "weight_of"]

# Held-out pictures judge draws alone: a density by the equation would take longer than small budgets.
TRAINING: Mapping[str, Any] = {"batch": 64, "lr": 2e-3, "patience": None, "held_out": 0}
GUIDANCE = 1.5  # what the label weighs
_ROWS = 500  # held-out pictures that draws stand beside
_NEIGHBOUR = 5  # whose distance a draw is within
_STEPS = 16


def read(*paths: str | os.PathLike[str]) -> Source:
    """Pictures, with a label or without.

    Raises:
        UserError: data of another kind, or a label of one picture.
    """
    data = labelled_pictures("picture", paths, "rows of a table are drawn by given sample")
    if (label := lonely_label(data)) is not None:
        raise UserError(f"{paths[0]}: one picture alone has the label {label!r}; expected two or more, to learn what differs; "
                        "add some, or leave it out")
    return data


def model(data: Source, *, seed: int = 0, width: int = 64) -> Model:
    """A model of whole pictures, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width: of the vector that a label becomes.
    """
    return picture_model(data, field(data, width=width, known=0.0), seed=seed)


def draw(model: Model, n: int = 1, *, guidance: float | None = None, seed: int = 0, **given: Any) -> dict[str, np.ndarray]:
    """Pictures of a label, or of every label: its name -> (n, height, width[, 3]); "" where there are no labels.

    Args:
        model: of pictures.
        n: of every label.
        guidance: how much the label weighs; 1 as learned, by default 1.5 of fields and 1 of other families.
        seed: of the draws.
        given: the label, such as label=3; every one where it is left out.

    Raises:
        UserError: a label that was not learned, or guidance where there are none.
    """
    name, label = labels_of(model)
    if label is None and guidance is not None:
        raise UserError(f"{way('guidance', '--guidance')}: {model} has no label to weigh; leave it out")
    each = [given]
    if label is not None and not given:
        each = [{label: value} for value in model.joint.columns[label].codec.categories]  # type: ignore[attr-defined]
    how = _how(model, guidance)
    return {str(next(iter(y.values()), "")): np.asarray(model.given(**y).sample(n, seed=seed, how=how)[name]) for y in each}


def weight_of(model: Model, guidance: float | None = None) -> float:
    """How much the label weighs in draws, as it was asked for or by default: 1.5 of fields, 1 of other families."""
    return guidance or (GUIDANCE if labels_of(model)[1] and _by_field(model) else 1.0)


def labels_of(model: Model) -> tuple[str, str | None]:
    """The column of pictures, and that of labels if there is one.

    Raises:
        UserError: other columns.
    """
    columns = model.joint.of_data
    kinds = {kind: [name for name, v in columns.items() if isinstance(v.codec, kind)] for kind in (Image, Label)}
    if len(kinds[Image]) != 1 or len(kinds[Image] + kinds[Label]) < len(columns) or len(kinds[Label]) > 1:
        raise UserError(f"is a model {model}; expected one of pictures, with a label or without, as learned by given "
                        "fit ... --task picture")
    return kinds[Image][0], next(iter(kinds[Label]), None)


def measure(model: Model, test: Source) -> dict[str, float]:
    """How draws of the labels of held-out pictures stand beside these."""
    return _beside(model, test, _how(model, None))


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """Independent pixels."""
    counted = picture_model(train, Independent, seed=0)
    counted.fit(train, held_out=0, progress=False)
    return {"independent pixels": _beside(counted, test, None)}


def _how(model: Model, guidance: float | None) -> Any:
    """Fields by the task's solver and weight; other families as they are, but for a weight that was asked for."""
    weight = weight_of(model, guidance)
    parts: list[How] = [Guidance(weight)] * (weight != 1) + [DPMSolver(_STEPS)] * _by_field(model)
    return reduce(operator.or_, parts) if parts else None


def _by_field(model: Model) -> bool:
    name, _ = labels_of(model)
    factor = next(f for f in model.joint if name in f.x.columns)
    return isinstance(factor.inner if isinstance(factor, Dequantised) else factor, FlowMatching | Diffusion)


def _beside(model: Model, test: Source, how: Any) -> dict[str, float]:
    rows = next(test.batches(_ROWS))
    name, labels = picture_names(test)
    y = {label: rows[label] for label in labels}
    drawn = model.given(y).sample(1 if y else rows.n, seed=0, how=how)[name]
    true, found = (np.asarray(x, dtype=np.float64).reshape(rows.n, -1) for x in (rows[name], drawn))
    covered = {"coverage": support(true, found).coverage} if rows.n > _NEIGHBOUR else {}
    if not labels:
        return covered
    nearest = ((true**2).sum(1) - 2 * found @ true.T).argmin(1)
    return {"named rightly": float((rows[labels[0]][nearest] == rows[labels[0]]).mean()), **covered}
