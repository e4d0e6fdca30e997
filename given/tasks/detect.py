"""Detect: p(boxes | picture), which things are where in a picture. Any pictures of one size with a set of boxes each.

A box is what is in it, and its left, top, right and bottom edge in pixels: a list in that order, or a mapping by those names.
Boxes are a set, drawn edge by edge, box after box, by a transformer that attends to the cells of convolutions. The answer is
the set of the likeliest symbols; draws are sets that may be, and how they differ says how sure they are. What is measured is
the *mean IoU*: found and true boxes of one name are matched, the most alike first, and a box without a partner, found or true,
has 0; and the share of pictures in which as many boxes are found as there are. Trivial baselines are the boxes of the training
picture that is nearest in pixels, and one set for all pictures.

Source: Chen, Saxena, Li, Fleet, Hinton, Pix2seq: a language modeling framework for object detection, 2021 /
https://arxiv.org/abs/2109.10852
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from given.codecs import Image, Set, infer
from given.conditional import quoted
from given.sources import Columns, Source
from given.sources import read as read_data
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.pictures import EDGES, box_fields, iou, nearest_pictures, sets_of

__all__ = ["TRAINING", "baselines", "columns_of", "found", "iou", "mean_iou", "measure", "model", "read"]

TRAINING: Mapping[str, Any] = {"batch": 32, "lr": 2e-3, "patience": None, "held_out": 0}
_ROWS, _NEAR, _TRIED = 500, 16_384, 64  # pictures that are measured; that a nearest one is looked for in; sets for all


def read(*paths: str | os.PathLike[str]) -> Source:
    """Pictures, each with its boxes.

    Raises:
        UserError: other data.
    """
    if len(paths) != 1:
        raise UserError(f"detect: expected one file or folder, got {len(paths)}")
    data = read_data(paths[0])
    try:
        return data.only(columns_of(data))
    except UserError as error:
        raise error.at(str(paths[0])) from None


def columns_of(data: Source, of: str | None = None) -> tuple[str, str]:
    """The first columns of pictures and of boxes, or `of`.

    Raises:
        UserError: there are none.
    """
    first = next(data.batches(256))
    pictures = [name for name, raw in first.items() if raw.ndim in (3, 4) and isinstance(infer(raw), Image)]
    boxes = [name for name, raw in first.items() if name == of or (of is None and box_fields(raw))]
    if not pictures or not boxes:
        raise UserError("detect: expected columns of pictures and of boxes, as [[name, left, top, right, bottom], ...]; got "
                        + ", ".join(first))
    return pictures[0], boxes[0]


def model(data: Source, *, seed: int = 0, of: str | None = None, width: int = 64, layers: int = 3,
          bins: int = 128) -> Model:
    """A model of boxes given a picture, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        of: the column of sets, where it is not one of boxes.
        width: of the nets.
        layers: of the transformer.
        bins: of a number; intervals are no finer.
    """
    picture, boxes = columns_of(data, of)
    return model_of(f"p({quoted(boxes)} | {quoted(picture)})", data, codecs={boxes: Set(bins=bins)},
                    families={boxes: sets_of(picture, width=width, layers=layers)}, seed=seed)


def found(model: Model, pictures: Any) -> list[list[tuple[Any, ...]]]:
    """The boxes of pictures (n, height, width[, 3]), by the likeliest symbols: (name, left, top, right, bottom) each."""
    (factor,) = model.joint
    return plain(model.given({factor.parents[0].name: pictures}).mode()[factor.x.name])


def plain(rows: Any) -> list[list[tuple[Any, ...]]]:
    """Rows of boxes as (name, left, top, right, bottom)."""
    def box(item: Any) -> tuple[Any, ...]:
        if isinstance(item, Mapping):
            return next(v for k, v in item.items() if k not in EDGES), *(item[k] for k in EDGES)
        return tuple(item)

    return [[box(item) for item in row] for row in rows]


def mean_iou(true: Sequence[Sequence[Any]], given: Sequence[Sequence[Any]]) -> float:
    """Over all boxes of all pictures, matched by name and the most alike first; 0 for whoever has no partner."""
    each = list[float]()
    for a, b in zip(true, given, strict=True):
        pairs = sorted(((iou(p, q), i, j) for i, p in enumerate(a) for j, q in enumerate(b) if p[0] == q[0]), reverse=True)
        mine, its, matched = set[int](), set[int](), list[float]()
        for share, i, j in pairs:
            if share > 0 and i not in mine and j not in its:
                mine, its, matched = mine | {i}, its | {j}, [*matched, share]
        each += matched + [0.0] * (len(a) + len(b) - 2 * len(matched))
    return float(np.mean(each)) if each else 1.0


def measure(model: Model, test: Source) -> dict[str, float]:
    """Mean IoU and share of right counts of the boxes found in held-out pictures."""
    rows = next(test.batches(_ROWS))
    (factor,) = model.joint
    return _beside(rows, factor.x.name, found(model, rows[factor.parents[0].name]))


def _beside(rows: Columns, boxes: str, given: Sequence[Sequence[Any]]) -> dict[str, float]:
    true = plain(rows[boxes])
    return {"mean IoU": mean_iou(true, given),
            "right counts": float(np.mean([len(a) == len(b) for a, b in zip(true, given, strict=True)]))}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The boxes of the nearest picture, and one set for all."""
    picture, boxes = columns_of(train)
    some, rows = next(train.batches(_NEAR)), next(test.batches(_ROWS))
    sets = plain(some[boxes])
    one = max(sets[:_TRIED], key=lambda each: mean_iou(sets[:8 * _TRIED], [each] * len(sets[:8 * _TRIED])))
    near = nearest_pictures(rows[picture], some[picture])
    return {"boxes of the nearest picture": _beside(rows, boxes, [sets[i] for i in near]),
            "one set for all": _beside(rows, boxes, [one] * rows.n)}
