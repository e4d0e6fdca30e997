"""Pairs: two pictures of one label a row, others in every epoch of learning, each moved by chance.

Read in order, every picture stands beside the next of its label. In an epoch of learning it stands beside another, drawn anew;
both are turned by the same number of quarter turns, and mirrored or not alike, since what is so turned counts as of a label of
its own; and each is moved by itself: turned, sheared, stretched, shifted and bent a little. A label's only picture stands
beside itself, which is moved otherwise.

Source: Koch, Zemel, Salakhutdinov, Siamese neural networks for one-shot image recognition, 2015 (pairs, affine distortions)
Santoro et al., Meta-learning with memory-augmented neural networks, 2016 (quarter turns as new classes)
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator

import numpy as np
import torch
from torch.nn import functional as F

from given.sources.columns import Columns, Source, regrouped
from given.variables import UserError

__all__ = ["Pairs", "moved"]

_RUN = 256  # rows that are made at once
_TURN, _SHEAR, _STRETCH, _SHIFT, _BEND = 0.2, 0.2, 0.2, 0.1, 0.06  # at most: radians, ratios and shares of half a picture
_KNOTS = 4  # along each axis, by which a picture is bent


class Pairs(Source):
    """Columns `picture` and `example`, of one label, and the `label`.

    Args:
        pictures: (n, height, width) or (n, height, width, 3), whole levels.
        labels: (n,) of any values.

    Raises:
        UserError: fewer than two labels, between which there is nothing to tell apart.
    """

    def __init__(self, pictures: np.ndarray, labels: np.ndarray) -> None:
        self.pictures, self.labels = pictures, labels
        each, number = np.unique(labels, return_inverse=True)
        if len(each) < 2:
            raise UserError(f"label: expected two labels or more to tell apart, got {len(each)}")
        self._order = number.argsort(kind="stable")  # label after label
        count = np.bincount(number)
        first = count.cumsum() - count
        self._first, self._count, self._kinds = first[number], count[number], len(each)  # of every picture's label
        self._place = np.empty(len(labels), dtype=int)  # of every picture among those of its label
        self._place[self._order] = np.arange(len(labels)) - self._first[self._order]
        self._names: tuple[str, ...] = ("picture", "example", "label")
        self._epoch: tuple[int, int] | None = None

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def only(self, names: Collection[str]) -> Pairs:
        found = copy.copy(self)
        found._names = tuple(name for name in self._names if name in names)
        return found

    def of_epoch(self, seed: int, number: int) -> Pairs:
        found = copy.copy(self)
        found._epoch = (seed, number)
        return found

    def batches(self, size: int) -> Iterator[Columns]:
        return regrouped((self._run(first) for first in range(0, self.n, _RUN)), size)

    def _run(self, first: int) -> Columns:
        rows = np.arange(first, min(first + _RUN, self.n))
        rng = None if self._epoch is None else np.random.default_rng([*self._epoch, first])
        count, place = self._count[rows], self._place[rows]
        step = np.minimum(1, count - 1) if rng is None else 1 + (rng.random(len(rows)) * (count - 1)).astype(int)
        other = self._order[self._first[rows] + (place + step) % count]
        both = self.pictures[rows], self.pictures[other]
        if rng is not None:
            turns = rng.integers(8, size=len(rows))
            both = moved(_turned(both[0], turns), rng), moved(_turned(both[1], turns), rng)
        found = {"picture": both[0], "example": both[1], "label": self.labels[rows]}
        return Columns({name: found[name] for name in self._names})

    def described(self) -> str:
        return f"{self.n:,} pairs of pictures of {self._kinds:,} labels, others in every epoch"

    def __repr__(self) -> str:
        return f"Pairs({self.described()})"


def moved(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pictures (n, height, width[, 3]) of whole levels, each turned, sheared, stretched, shifted and bent by chance; what comes
    in at an edge is as the edge."""
    n = len(pictures)
    turn, shear, shift = (rng.uniform(-most, most, size) for most, size in (
        (_TURN, n), (_SHEAR, n), (_SHIFT, (n, 2))))
    stretch = np.exp(rng.uniform(-_STRETCH, _STRETCH, (n, 2)))
    sin, cos, one, none = np.sin(turn), np.cos(turn), np.ones(n), np.zeros(n)
    affine = (np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1) @ np.array([[one, shear], [none, one]]).transpose(2, 0, 1)
              * stretch[:, None])
    theta = torch.from_numpy(np.concatenate([affine, shift[..., None]], 2)).float()
    planes = torch.from_numpy(np.ascontiguousarray(pictures)).float()
    planes = planes[:, None] if planes.dim() == 3 else planes.movedim(3, 1)
    knots = torch.from_numpy(rng.uniform(-_BEND, _BEND, (n, 2, _KNOTS, _KNOTS))).float()
    bend = F.interpolate(knots, planes.shape[2:], mode="bicubic", align_corners=True).movedim(1, 3)
    grid = F.affine_grid(theta, list(planes.shape), align_corners=False) + bend
    found = F.grid_sample(planes, grid, padding_mode="border", align_corners=False).round()
    return (found[:, 0] if pictures.ndim == 3 else found.movedim(1, 3)).numpy().astype(pictures.dtype)


def _turned(pictures: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Each picture as one of the eight ways of a square: turns (n,) are quarter turns, mirrored from 4 on; where a picture is
    no square, half turns."""
    square = pictures.shape[1] == pictures.shape[2]
    found = np.empty_like(pictures)
    for k in range(8):
        some = pictures[turns == k]
        some = np.rot90(some, k % 4 if square else k % 2 * 2, (1, 2))
        found[turns == k] = some[:, :, ::-1] if k > 3 else some
    return found
