"""Fill: p(a picture's rest | a part of it), and given its label where there are labels. Any pictures of one size.

The family is chosen: a field along a path, of which in three quarters of the rows some of a picture is known while learning,
the label dropped in half of these; or, for pictures of up to 256 entries, one entry after another in any order
(`Autoregressive`). Both fill any hole, of any form, by draws; a hole would cut patches of a MAR, and of single entries a step
takes a second. They learn for equal parts of the first three tenths of the budget; the energy score of draws of the four
halves of held-out pictures chooses one, which goes on. A field of up to 256 entries has a net of layers of units, a larger
one convolutions. The metric is the error of the mean of draws of the lower half, given the upper one, as a share of the
levels; the trivial baselines are the mean picture, and the lower half of the picture whose upper half is nearest.

Source: Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2022 / https://arxiv.org/abs/2210.02747
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Image
from given.conditional import Conditional
from given.distributions import How
from given.evaluate import energy
from given.families import Autoregressive, FlowMatching, PatchMatch
from given.infer import part
from given.nn import AnyOrder
from given.solve import DPMSolver
from given.sources import Columns, Source
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.pictures import FEW, entries_of, field, labelled_pictures, picture_model, picture_names
from given.ways import way

__all__ = ["SIDES", "TRAINING", "baselines", "checked", "fill", "loss", "measure", "model", "models", "name_of", "of_one",
           "read", "side_hidden"]

TRAINING: Mapping[str, Any] = {"batch": 64, "lr": 2e-3, "patience": None}
SIDES = ("top", "bottom", "left", "right")
_KNOWN = 0.75  # share of the rows, while learning, of which a part is known
_DRAWS, _ROWS = 8, 100  # whose mean is judged
_CHOSEN_BY = 64  # held-out pictures


def read(*paths: str | os.PathLike[str]) -> Source:
    """Pictures, with a label or without.

    Raises:
        UserError: data of another kind.
    """
    return labelled_pictures("fill", paths, "holes of a table are filled by given complete")


def model(data: Source, *, seed: int = 0, width: int = 64) -> Model:
    """A model of pictures whose parts may be known, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width: of the vector that a label becomes.
    """
    return picture_model(data, field(data, width=width, known=_KNOWN), seed=seed)


def models(data: Source, *, seed: int = 0) -> dict[str, Model]:
    """Models that fill any hole, of which held-out pictures are to choose: by the names of their families.

    Args:
        data: of `read`.
        seed: of the initial weights.
    """
    found = {"FlowMatching": model(data, seed=seed)}
    if entries_of(data) <= FEW:
        found["Autoregressive"] = picture_model(data, partial(Autoregressive, order=AnyOrder()), seed=seed)
    return found


def loss(model: Model, held: Source) -> float:
    """The energy score of draws of the four halves of pictures, a quarter of the pictures each, as a share of the levels."""
    name = name_of(model)
    rows = next(held.batches(_CHOSEN_BY))
    total = 0.0
    for i, side in enumerate(SIDES):
        some = rows.rows(slice(i, None, len(SIDES)))
        if not some.n:
            continue
        hidden = side_hidden(side, *some[name].shape[1:3])
        drawn = np.asarray(_drawn(model, some, name, hidden, 4), dtype=np.float64)[:, :, hidden].reshape(4, some.n, -1)
        true = np.asarray(some[name], dtype=np.float64)[:, hidden].reshape(some.n, -1)
        total += some.n * energy(true, drawn) / true.shape[1] ** 0.5
    return total / rows.n / max(1, int(np.max(rows[name])))


def fill(model: Model, picture: np.ndarray, hidden: np.ndarray, *, n: int = 1, seed: int = 0, how: How | None = None,
         **given: Any) -> np.ndarray:
    """Draws of a picture whose hidden places are unknown: (n, height, width[, 3]), the others as they are.

    Args:
        model: of pictures.
        picture: of the size that was learned.
        hidden: (height, width) bool, True where it is to be filled.
        n, seed, how: of the draws.
        given: what else is known, such as label=3.

    Raises:
        UserError: a picture or a mask of another size, and one that hides everything or nothing.
    """
    name, picture = name_of(model), np.asarray(picture)
    shape = model.joint.columns[name].space.shape
    if picture.shape != shape:
        raise UserError(f"{name}: got {_by(picture.shape)}; expected {_by(shape)}, as what was learned")
    hidden = checked(hidden, picture, f"draw whole ones by {way('model.sample', 'given sample')}")
    seen = np.broadcast_to(~hidden.reshape(*hidden.shape, *[1] * (len(shape) - 2)), shape)
    return np.asarray(model.given({name: part(picture, seen=seen), **given}).sample(n, seed=seed, how=how)[name])


def checked(hidden: np.ndarray, picture: np.ndarray, otherwise: str) -> np.ndarray:
    """A mask (height, width) bool of what is to be filled of a picture; `otherwise` is the way out where that is everything.

    Raises:
        UserError: it is of another size, or hides everything or nothing.
    """
    hidden = np.asarray(hidden)
    if hidden.shape != picture.shape[:2]:
        raise UserError(f"mask: got {_by(hidden.shape)}; expected {_by(picture.shape[:2])}, as the picture")
    if hidden.all() or not hidden.any():
        out = otherwise if hidden.all() else "mark what is to be filled"
        raise UserError(f"mask: hides {'everything' if hidden.all() else 'nothing'} of the picture; {out}")
    return hidden.astype(bool)


def of_one(picture: np.ndarray, hidden: np.ndarray, *, family: Callable[..., Conditional] = PatchMatch) -> Model:
    """A model of a single photograph, learned from all of it that is not hidden: `fill` fills the rest by it.

    Args:
        picture: (height, width[, 3]) uint8.
        hidden: (height, width) bool.
        family: of pictures that may have holes.

    Raises:
        UserError: as of `checked`, and a picture smaller than a patch.
    """
    hole = checked(hidden, picture, "leave some of it to fill it from").reshape(*picture.shape[:2], *[1] * (picture.ndim - 2))
    data = Columns({"image": np.where(hole, np.nan, picture)[None]})
    model = model_of("p(image)", data, codecs={"image": Image(levels=256, missing="unknown")}, families={"image": family})
    model.fit(data, held_out=0, progress=False)
    return model


def side_hidden(side: str, height: int, width: int) -> np.ndarray:
    """(height, width) bool: True in the half of a side, `top`, `bottom`, `left` or `right`."""
    i, j = np.mgrid[:height, :width]
    place, size = (i, height) if side in ("top", "bottom") else (j, width)
    return np.asarray(place < size // 2 if side in ("top", "left") else place >= size // 2)


def name_of(model: Model) -> str:
    """The column of pictures.

    Raises:
        UserError: there is none.
    """
    names = [name for name, variable in model.joint.columns.items() if isinstance(variable.codec, Image)]
    if len(names) != 1:
        raise UserError(f"fill: {model} has {'several columns' if names else 'no column'} of pictures; expected one")
    return names[0]


def measure(model: Model, test: Source) -> dict[str, float]:
    """The root mean squared error of the mean of draws of the lower half, as a share of the levels."""
    name = name_of(model)
    rows = next(test.batches(_ROWS))
    hidden = side_hidden("bottom", *rows[name].shape[1:3])
    drawn = _drawn(model, rows, name, hidden, _DRAWS)
    return {"error": _error(rows[name], np.asarray(drawn, dtype=np.float64).mean(0), hidden)}


def _drawn(model: Model, rows: Columns, name: str, hidden: np.ndarray, n: int) -> np.ndarray:
    """Draws (n, rows, ...) of pictures whose hidden places are unknown."""
    seen = np.broadcast_to(~hidden.reshape(*hidden.shape, *[1] * (rows[name].ndim - 3)), rows[name].shape)
    known = {other: rows[other] for other in rows if other != name}
    along = any(isinstance(each, FlowMatching) for each in model.joint.modules())
    drawn = model.given({name: part(rows[name], seen=seen), **known}).sample(n, seed=0, how=DPMSolver(16) if along else None)
    return np.asarray(drawn[name])


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The mean picture, and the picture whose upper half is nearest."""
    name, _ = picture_names(train)
    learned, true = (np.asarray(next(data.batches(most))[name], dtype=np.float64) for data, most in (
        (train, 10_000), (test, _ROWS)))
    hidden = side_hidden("bottom", *true.shape[1:3])
    tops = [each[:, ~hidden].reshape(len(each), -1) for each in (learned, true)]
    apart = (tops[0] ** 2).sum(1) - 2 * tops[1] @ tops[0].T
    return {"mean picture": {"error": _error(true, np.broadcast_to(learned.mean(0), true.shape), hidden)},
            "nearest picture": {"error": _error(true, learned[apart.argmin(1)], hidden)}}


def _error(true: np.ndarray, found: np.ndarray, hidden: np.ndarray) -> float:
    apart = (np.asarray(true, dtype=np.float64) - found)[:, hidden]
    return float(np.sqrt((apart**2).mean()) / max(1, int(np.max(true))))


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"
