"""Segment: p(map | picture), a class at every pixel of a picture.

Given the picture the pixels of the map are independent: a U-Net reads it at every pixel, and few places of it attend to one
another. Any table of pictures of one size and their maps, in columns `picture` and `map`. The metric is the mean over classes
of the intersection over the union of the most probable map and the true one, and the share of right pixels; the trivial
baselines are the most frequent class of every pixel and the map of the training picture that is nearest.

Source: Ronneberger, Fischer, Brox, U-Net: convolutional networks for biomedical image segmentation, 2015 /
https://arxiv.org/abs/1505.04597
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Image, LabelMap
from given.conditional import quoted
from given.families import Regression
from given.nn import UNetMap
from given.sources import Source
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.pictures import nearest_pictures, roles

__all__ = ["TRAINING", "baselines", "mean_iou", "measure", "model", "read", "segmented"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 4e-3, "patience": None}
_ROWS = 500  # held-out rows that are judged


def read(data: Source) -> Source:
    """The columns of pictures and maps.

    Raises:
        UserError: there are none such.
    """
    return data.only(_names(data))


def model(data: Source, *, seed: int = 0, width: int = 48) -> Model:
    """A model of maps, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width: of the convolutions at half the resolution.
    """
    label_map, picture = _names(data)
    return model_of(f"p({quoted(label_map)} | {quoted(picture)})", data, codecs={label_map: LabelMap()},
                    families={label_map: partial(Regression, net=partial(UNetMap, width=width))}, seed=seed)


def segmented(model: Model, pictures: np.ndarray) -> np.ndarray:
    """(n, height, width) the most probable map of every picture (n, height, width[, channels])."""
    (factor,) = model.joint.declared
    return np.asarray(model.given({factor.parents[0].name: pictures}).mode()[factor.x.name])


def mean_iou(true: np.ndarray, found: np.ndarray) -> float:
    """The mean of the intersection over the union of a class in all maps (n, height, width), over the classes that are true
    anywhere."""
    shares = [((true == k) & (found == k)).sum() / ((true == k) | (found == k)).sum() for k in np.unique(true)]
    return float(np.mean(shares))


def measure(model: Model, test: Source) -> dict[str, float]:
    """Of the most probable maps."""
    (factor,) = model.joint.declared
    rows = next(test.batches(_ROWS))
    return _beside(rows[factor.x.name], segmented(model, rows[factor.parents[0].name]))


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The most frequent class of every pixel; the map of the nearest picture."""
    label_map, picture = _names(train)
    rows, known = next(test.batches(_ROWS)), next(train.batches(1 << 12))
    classes = np.unique(known[label_map])
    frequent = classes[np.stack([(known[label_map] == k).sum(0) for k in classes]).argmax(0)]
    near = known[label_map][nearest_pictures(rows[picture], known[picture])]
    return {"most frequent": _beside(rows[label_map], np.broadcast_to(frequent, near.shape)),
            "of the nearest picture": _beside(rows[label_map], near)}


def _beside(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    return {"mean IoU": mean_iou(true, found), "right pixels": float((true == found).mean())}


def _names(data: Source) -> list[str]:
    return roles(data, {"map": LabelMap, "picture": Image})
