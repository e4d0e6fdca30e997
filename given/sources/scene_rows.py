"""Scenes: the sample `scenes`, a row a scene, others in every epoch, as many as are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from given.sources.columns import Columns, Source, regrouped
from given.sources.scene_words import answers, captions, dialogues, edits, questions
from given.sources.scenes import (
    BACKGROUNDS,
    CLASSES,
    COLOURS,
    SHAPES,
    STYLES,
    TEXTURES,
    Factors,
    drawn_factors,
    render,
    scene_boxes,
    scene_maps,
    styled,
)
from given.variables import UserError, shown

__all__ = ["Scenes"]

_RUN = 256  # scenes that are made at once
_COVERING = 1024  # in which every class and word occurs
_NAMES = ("picture", "map", "boxes", "caption", "question", "answer", "dialogue", "reply", "style", "styled", "edit", "edited",
          "edited_boxes", "things", "light", "background")


class Scenes(Source):
    """Scenes of up to three things, 32 x 32 in colour, with what is said of them.

    Columns: `picture`; `map`, a class a pixel; `boxes`, for every thing its class, left, top, right and bottom; `caption`;
    `question` and `answer`; `dialogue`, which ends in a question, and `reply`; `style`, and the scene in it, `styled`; `edit`,
    what is to be changed, and the scene after it, `edited`, with its boxes, `edited_boxes`; and what it was rendered from:
    `things`, for every one its shape, colour, x, y, radius and texture, the direction of the `light` in radians, and the
    `background`.

    Args:
        n: rows. Another epoch has other scenes.
        seed: of them.
        unseen: scenes whose stated things stand in relations that no scene to learn from has of their shape and colour.
        counts: how many things a scene may have, of 1, 2 and 3.
        columns: those that are made; by default all.

    Raises:
        UserError: a column there is not, or a number that is none.
    """

    def __init__(self, n: int = 2048, *, seed: int = 0, unseen: bool = False, counts: Sequence[int] = (1, 2, 3),
                 columns: Collection[str] = _NAMES) -> None:
        if not isinstance(n, int) or isinstance(n, bool) or min(n, seed + 1) < 1 or not counts or not {*counts} <= {1, 2, 3}:
            raise UserError(f"scenes: n={n!r}, seed={seed!r}, counts={counts!r}; expected rows from 1, a seed from 0, and "
                            "counts of 1, 2 and 3")
        if stray := [name for name in columns if name not in _NAMES]:
            raise UserError(f"scenes: no column {shown(stray[0])}; there are {', '.join(_NAMES)}")
        self.n, self.seed, self.unseen, self.counts = n, seed, unseen, tuple(counts)
        self._names, self._epoch = tuple(name for name in _NAMES if name in columns), (0, 0)
        self.dtypes = {name: "text" for name in ("caption", "question", "dialogue", "reply", "edit") if name in self._names}

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def only(self, names: Collection[str]) -> Scenes:
        return self._like(columns=[name for name in self._names if name in names])

    def of_epoch(self, seed: int, number: int) -> Scenes:
        found = self._like()
        found._epoch = (seed, number + 1)
        return found

    def covering(self) -> Scenes:
        return self if self.n >= _COVERING else self._like(n=_COVERING)

    def _like(self, columns: Collection[str] | None = None, n: int | None = None) -> Scenes:
        found = Scenes(n or self.n, seed=self.seed, unseen=self.unseen, counts=self.counts,
                       columns=self._names if columns is None else columns)
        found._epoch = self._epoch
        return found

    def batches(self, size: int) -> Iterator[Columns]:
        return regrouped((self._run(first) for first in range(0, self.n, _RUN)), size)

    def factors(self) -> Iterator[Factors]:
        """What the rows are rendered from, in runs of 256."""
        for first in range(0, self.n, _RUN):
            yield self._drawn(first)

    def _drawn(self, first: int) -> Factors:
        rng = np.random.default_rng([self.seed, int(self.unseen), *self._epoch, first])
        return drawn_factors(rng, min(_RUN, self.n - first), unseen=self.unseen, counts=self.counts)

    def _run(self, first: int) -> Columns:
        """Rows from `first` on. Every column has a generator of its own, so that each is the same whichever others are made."""
        f, wanted, found = self._drawn(first), {*self._names}, dict[str, Any]()
        rngs = {name: np.random.default_rng([self.seed, int(self.unseen), *self._epoch, first, 1 + i])
                for i, name in enumerate(_NAMES)}
        if wanted & {"picture", "styled"}:
            found["picture"] = render(f)
        if "map" in wanted:
            found["map"] = scene_maps(f)
        if "boxes" in wanted:
            found["boxes"] = _boxes(f)
        if "caption" in wanted:
            found["caption"] = captions(f, rngs["caption"])
        if wanted & {"question", "answer"}:
            found["question"] = questions(f, rngs["question"])
            found["answer"] = answers(f, found["question"])
        if wanted & {"dialogue", "reply"}:
            found["dialogue"], found["reply"] = dialogues(f, rngs["dialogue"])
        if wanted & {"style", "styled"}:
            style = rngs["style"].integers(len(STYLES), size=len(f.count))
            found["style"] = np.array(STYLES)[style]
            if "styled" in wanted:
                found["styled"] = styled(f, style, found["picture"])
        if wanted & {"edit", "edited", "edited_boxes"}:
            found["edit"], after = edits(f, rngs["edit"])
            found["edited_boxes"] = _boxes(after)
            if "edited" in wanted:
                found["edited"] = render(after)
        if "things" in wanted:
            colours = [*COLOURS]
            found["things"] = _lists(f, lambda r, i: (SHAPES[f.shape[r, i]], colours[f.colour[r, i]], float(f.x[r, i]),
                                                      float(f.y[r, i]), float(f.radius[r, i]), TEXTURES[f.texture[r, i]]))
        found["light"], found["background"] = f.light, np.array([*BACKGROUNDS])[f.background]
        return Columns({name: found[name] for name in self._names}, dtypes=dict(self.dtypes))

    def described(self) -> str:
        return f"scenes: {self.n:,} rendered, others in every epoch{', of unseen relations' * self.unseen}"

    def __repr__(self) -> str:
        return f"Scenes({self.described()})"


def _boxes(f: Factors) -> np.ndarray:
    boxes = scene_boxes(f)
    return _lists(f, lambda r, i: (CLASSES[f.kind[r, i]], *boxes[r, i].tolist()))


def _lists(f: Factors, of: Any) -> np.ndarray:
    """(B,) lists of what there is to say of every thing, a tuple each."""
    found = np.empty(len(f.count), dtype=object)
    for row, count in enumerate(f.count.tolist()):
        found[row] = [of(row, i) for i in range(count)]
    return found
