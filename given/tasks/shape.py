"""Shape: p(voxels | title), what a part of a title looks like in space.

Stored shapes are drawn by how alike they are expected to be to the one whose title is asked, which was learned from pairs of
titles and their shapes (`Retrieval`). A title is read by its words and their letters, so a word that was never learned counts
by those; one without any word that was is refused. The metric is the intersection of filled voxels over the union: of one draw,
and of the best of eight, drawn without replacement (`how=Distinct()`). The trivial baselines are the shape of the nearest title
by its words and pairs of words (TF-IDF) and the best of the eight nearest, and the mean of all shapes of the title's first
word, its class.

Source: Blattmann et al., Semi-parametric neural image synthesis, 2022 / https://arxiv.org/abs/2204.11824
Chen et al., Text2Shape: generating shapes from natural language by learning joint embeddings, 2018 /
https://arxiv.org/abs/1803.08495
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Text, Voxels
from given.conditional import quoted
from given.distributions import Distinct
from given.evaluate import intersection_over_union
from given.families import Retrieval
from given.infer import Temperature
from given.nn import TextPairs
from given.sources import Columns, Source, joined
from given.train import split
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "measure", "model", "names_of", "parted", "read", "unpacked"]

TRAINING: Mapping[str, Any] = {"held_out": 0}
_DRAWS = 8
_AT_ONCE = 64  # titles that are drawn together
_CLASS = 0.5  # share of a class in which a voxel is filled, for it to be in the class's mean


def read(data: Source) -> Columns:
    """Titles and voxels (rows, depth, height, width), unpacked where they are bits.

    Raises:
        UserError: there are none such, or several.
    """
    rows = data if isinstance(data, Columns) else joined(list(data.runs()))
    grids = {name: grid for name, raw in rows.items() if (grid := unpacked(raw)) is not None}
    titles = [name for name, raw in rows.items() if raw.ndim == 1 and raw.dtype.kind in "OU"]
    if not grids or not titles:
        raise UserError("shape: expected a column of titles and one of voxels, (depth, height, width) of 0 and 1 or their "
                        f"bits; got {', '.join(rows.names)}")
    title = "title" if "title" in titles else max(titles, key=lambda name: len(set(rows[name].tolist())))
    smallest = min(grids, key=lambda name: grids[name][0].size)
    return Columns({smallest: grids[smallest], title: rows[title], **({"group": rows["group"]} if "group" in rows else {})})


def parted(data: Columns, held_out: float) -> tuple[Source, Source | None]:
    """Rows to learn from and held-out ones; those of one `group` stay on one side."""
    return split(data, held_out, 0, together="group" if "group" in data else None)


def unpacked(raw: np.ndarray) -> np.ndarray | None:
    """Voxels (rows, depth, height, width), as they are or of bits (rows, bytes) as numpy packs a cube's; None of others."""
    if raw.ndim == 4 and raw.dtype.kind in "biuf":
        return raw
    side = round((8 * raw.shape[1]) ** (1 / 3)) if raw.ndim == 2 and raw.dtype == np.uint8 else 0
    if not side or side**3 != 8 * raw.shape[1]:
        return None
    return np.unpackbits(raw, axis=1).reshape(-1, side, side, side)


def names_of(data: Source) -> tuple[str, str]:
    """The columns of voxels and of titles."""
    first = next(data.batches(8))
    return (next(name for name, raw in first.items() if raw.ndim == 4),
            next(name for name, raw in first.items() if raw.ndim == 1 and raw.dtype.kind in "OU"))


def model(data: Source, *, seed: int = 0, trees: int = 120) -> Model:
    """A model of voxels given a title, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights, of which there are none.
        trees: that say how alike shapes are.
    """
    voxels, title = names_of(data)
    return model_of(f"p({quoted(voxels)} | {quoted(title)})", data, codecs={voxels: Voxels(), title: Text("bytes")},
                    families={voxels: partial(Retrieval, trees=trees)}, seed=seed)


def drawn(model: Model, titles: Sequence[str], n: int, how: Any, seed: int = 0) -> np.ndarray:
    """(n, titles, depth, height, width) draws."""
    (factor,) = model.joint
    voxels, title = factor.x.name, factor.parents[0].name
    return np.concatenate([model.given({title: np.asarray(titles[k:k + _AT_ONCE])}).sample(n, seed=seed, how=how)[voxels]
                           for k in range(0, len(titles), _AT_ONCE)], 1)


def measure(model: Model, test: Source) -> dict[str, float]:
    """IoU of one draw, as it comes and at a temperature of .5, of the best of eight independent ones, and of eight without
    replacement."""
    rows = test if isinstance(test, Columns) else joined(list(test.runs()))
    voxels, title = names_of(rows)
    true, titles = rows[voxels], [str(text) for text in rows[title]]
    each = (drawn(model, titles, _DRAWS, how) for how in (None, Temperature(0.5), Distinct()))
    free, sharp, apart = (intersection_over_union(found, true[None]) for found in each)
    return {"one draw": float(free.mean()), "one draw, temperature .5": float(sharp.mean()),
            "best of 8": float(free.max(0).mean()), "best of 8, distinct": float(apart.max(0).mean())}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """IoU of the shapes of the nearest titles, and of what most shapes of the class fill."""
    stored, rows = (data if isinstance(data, Columns) else joined(list(data.runs())) for data in (train, test))
    voxels, title = names_of(stored)
    own, titles = ([str(text) for text in data[title]] for data in (stored, rows))
    near = np.argsort(-TextPairs(own).cosines(titles)[0], 1, kind="stable")[:, :_DRAWS]
    each = np.stack([intersection_over_union(stored[voxels][near[:, k]], rows[voxels]) for k in range(near.shape[1])])
    kinds = np.array([text.split(" ")[0] for text in own])
    means = {kind: stored[voxels][kinds == kind].mean(0) >= _CLASS for kind in dict.fromkeys(kinds.tolist())}
    every = stored[voxels].mean(0) >= _CLASS
    classes = np.stack([means.get(text.split(" ")[0], every) for text in titles])
    return {"nearest title": {"one": float(each[0].mean())}, "eight nearest titles": {"best": float(each.max(0).mean())},
            "mean of the class": {"one": float(intersection_over_union(classes, rows[voxels]).mean())}}
