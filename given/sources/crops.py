"""Crops: pictures of any size as rows of one size, cut anew in every epoch of learning, elsewhere at fixed places.

A picture has as many rows as crops fit into it side by side, 64 at most, so that photographs of different size count about
alike. Read in order they lie evenly spread; an epoch takes as many at places drawn from (seed, epoch, picture), so that a
run taken up from a checkpoint sees what it would have seen. Which rows are held out is decided picture by picture: crops of
one picture overlap, and would tell of one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from given.sources.columns import Columns, Source, regrouped
from given.variables import UserError, shown
from given.ways import way

__all__ = ["Crops", "Pictures", "crop_of", "cropped", "smaller"]

_MOST = 64  # rows of a picture


@dataclass(frozen=True)
class Pictures:
    """Pictures of any size, of 8 bits and as many channels each.

    Args:
        name: what messages call them.
        sizes: (pictures, 2) height and width.
        load: the number of a picture -> (height, width) or (height, width, 3) uint8.
        column: what the column of pictures is called.
        columns: further columns, a row a picture.
    """

    name: str
    sizes: np.ndarray
    load: Callable[[int], np.ndarray]
    column: str = "image"
    columns: Columns | None = None


class Crops(Source):
    """Crops of pictures as rows, with the pictures' other columns.

    Args:
        pictures: that they are cut from, each at least of the crop's size.
        crop: height and width.
        flip: whether every other one, by chance, is mirrored left to right in an epoch of learning.
        chosen: the numbers of the pictures to take, by default all.
        epoch: (seed, number) of the epoch of learning whose crops these are; without it they lie at fixed places.
        covers: whether there are as many, overlapping, that every pixel is in one.
    """

    def __init__(self, pictures: Pictures, crop: tuple[int, int], flip: bool = False, chosen: np.ndarray | None = None,
                 epoch: tuple[int, int] | None = None, covers: bool = False) -> None:
        self.pictures, self.crop, self.flip, self.epoch, self.covers = pictures, crop, flip, epoch, covers
        self.chosen = np.arange(len(pictures.sizes)) if chosen is None else chosen
        self.skipped = []

    @cached_property
    def counts(self) -> np.ndarray:
        """(chosen pictures,) rows of each."""
        fitting = self._fitting(self.chosen).prod(1)
        return fitting if self.covers else np.minimum(_MOST, fitting)

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.counts.sum())

    @property
    def names(self) -> tuple[str, ...]:
        return (self.pictures.column, *(self.pictures.columns.names if self.pictures.columns is not None else ()))

    def some(self, chosen: np.ndarray) -> Crops:
        """Those of some pictures, by a mask (chosen pictures,)."""
        return Crops(self.pictures, self.crop, self.flip, self.chosen[chosen], self.epoch)

    def of_epoch(self, seed: int, number: int) -> Crops:
        return Crops(self.pictures, self.crop, self.flip, self.chosen, (seed, number))

    def covering(self) -> Crops:
        return Crops(self.pictures, self.crop, self.flip, self.chosen, covers=True)

    def _fitting(self, number: Any) -> np.ndarray:
        """(..., 2) crops from top to bottom and from left to right of pictures."""
        sizes: np.ndarray = self.pictures.sizes[number]
        return -(-sizes // self.crop) if self.covers else sizes // self.crop

    def batches(self, size: int) -> Iterator[Columns]:
        chosen = zip(self.chosen.tolist(), self.counts.tolist(), strict=True)
        return regrouped((self._rows(number, count) for number, count in chosen), size)

    def _rows(self, number: int, count: int) -> Columns:
        """The crops of a picture, and its other columns as often."""
        picture, (height, width), other = self.pictures.load(number), self.crop, self.pictures.columns
        cut = [picture[top:top + height, left:left + width] for top, left in self._places(number, count)]
        if self.flip and self.epoch is not None:
            mirrored = np.random.default_rng([*self.epoch, number, 1]).random(count) < 0.5
            cut = [crop[:, ::-1] if flipped else crop for crop, flipped in zip(cut, mirrored, strict=True)]
        columns = {} if other is None else other.rows(np.full(count, number))
        return Columns({self.pictures.column: np.stack(cut), **columns}, dtypes=None if other is None else other.dtypes)

    def _places(self, number: int, count: int) -> np.ndarray:
        """(count, 2) the upper left corners of a picture's crops."""
        room = self.pictures.sizes[number] - self.crop
        if self.epoch is not None:
            return np.random.default_rng([*self.epoch, number]).integers(0, room + 1, (count, 2))
        fitting = self._fitting(number)
        down, across = (np.linspace(0, some, k).round().astype(int) if k > 1 else np.array([some // 2])
                        for k, some in zip(fitting.tolist(), room.tolist(), strict=True))
        every = np.stack(np.meshgrid(down, across, indexing="ij"), -1).reshape(-1, 2)
        return every[((np.arange(count) + 0.5) * len(every) / count).astype(int)]

    def described(self) -> str:
        height, width = self.crop
        said = f"{len(self.chosen):,} pictures, {self.n:,} crops of {height} x {width}, at most {_MOST} a picture"
        others = self.names[1:]
        skipped = [f"{len(self.skipped):,} bad skipped"] if self.skipped else []
        return ", ".join([f"{self.pictures.name}: {said}", *(["mirrored by chance"] if self.flip else []),
                          *([f"with {', '.join(others)}"] if others else []), *skipped])

    def __repr__(self) -> str:
        return f"Crops({self.described()})"


def crop_of(crop: Any) -> tuple[int, int]:
    """Height and width of a crop, from both or one number for both.

    Raises:
        UserError: anything else.
    """
    both = (crop, crop) if isinstance(crop, int) else crop
    if not isinstance(both, tuple | list) or len(both) != 2 or not all(
            isinstance(length, int) and not isinstance(length, bool) and length > 0 for length in both):
        raise UserError(f"crop={shown(crop)}; expected a whole number of pixels from 1, or height and width, as (32, 48)")
    return both[0], both[1]


def smaller(shape: tuple[int, ...], crop: tuple[int, int]) -> str:
    """What is wrong with a picture that a crop does not fit into, or nothing."""
    if shape[0] >= crop[0] and shape[1] >= crop[1]:
        return ""
    return (f"is {shape[0]} x {shape[1]}, smaller than the crop, {crop[0]} x {crop[1]}; pass a smaller "
            f"{way('crop=', '--crop')}, or leave it out")


def cropped(columns: Mapping[str, Any], crop: tuple[int, int] | None, flip: bool, name: str = "") -> Crops:
    """Crops of the one column of pictures among columns in memory.

    Args:
        columns: name -> values; of pictures an array (rows, height, width[, 3]), or a list of arrays of any size.
        crop: height and width; without it the whole of pictures that all have one size.
        flip: as of `Crops`.
        name: what messages call the data.

    Raises:
        UserError: no column of pictures or several, other than 8 bits, or a picture smaller than the crop.
    """
    where, option = f"{name}: " if name else "", "crop=" if crop is not None else "flip="
    found = {column: pictures for column, values in columns.items() if (pictures := _pictures(values))}
    if len(found) != 1:
        what = f"got {' and '.join(found)}" if found else f"there are {', '.join(map(str, columns))}"
        raise UserError(f"{where}{option} is of one column of pictures, (height, width) or (height, width, 3); {what}")
    column, pictures = next(iter(found.items()))
    for row, picture in enumerate(pictures):
        wrong = (f"pictures of {picture.dtype}; expected 8 bits, uint8" if picture.dtype != np.uint8 else
                 "grey and RGB in one column; expected grey or RGB alike" if picture.ndim != pictures[0].ndim else
                 smaller(picture.shape, crop) if crop is not None else
                 f"is of another size than the first; pass {way('crop=', '--crop')} too"
                 if picture.shape != pictures[0].shape else "")
        if wrong:
            raise UserError(f"{where}{column}, row {row}: {wrong}")
    others = {other: values for other, values in columns.items() if other != column}
    sizes = np.array([picture.shape[:2] for picture in pictures])
    return Crops(Pictures(name or "columns", sizes, pictures.__getitem__, str(column), Columns(others) if others else None),
                 crop or pictures[0].shape[:2], flip)


def _pictures(values: Any) -> list[np.ndarray]:
    """The pictures of a column, none where it holds anything else."""
    if not isinstance(values, np.ndarray | list | tuple):
        return []
    items = list(values)
    return items if all(isinstance(v, np.ndarray) and (v.ndim == 2 or (v.ndim == 3 and v.shape[2] == 3)) for v in items) else []
