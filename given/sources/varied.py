"""Varied: sounds as others might have said them elsewhere, anew in every epoch of learning.

Read in order, every sound is as it is. In an epoch of learning it is faster or slower, its pitch with it, as of a smaller or a
larger speaker; louder or quieter; dull or bright, as of another microphone; and in noise.

Source: Ko, Peddinti, Povey, Khudanpur, Audio augmentation for speech recognition, 2015 (speed)
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator

import numpy as np

from given.sources.columns import Columns, Source
from given.sources.sound_files import rate_of
from given.variables import UserError

__all__ = ["Varied", "varied"]

_SPEED, _GAIN, _TILT = 0.25, 12.0, 0.6  # at most: of a logarithm, decibels, of a sample that is added to the next
_NOISE = -60.0, -35.0  # decibels below the sound's loudest sample
_FULL = {"i": float((1 << 15) - 1), "f": 1.0}


class Varied(Source):
    """Rows with sounds that vary.

    Args:
        rows: of any source.
        column: of the sounds, items of samples, int16 or real within -1 and 1.

    Attributes:
        most: samples of the longest, than which none becomes longer.

    Raises:
        UserError: it is no column of sounds.
    """

    def __init__(self, rows: Source, column: str) -> None:
        if rate_of(rows.dtypes.get(column)) is None:
            raise UserError(f"Varied: {column}: is no column of sounds; there are {', '.join(rows.names)}")
        self.rows, self.column, self.skipped, self.dtypes, self.kinds = rows, column, rows.skipped, rows.dtypes, rows.kinds
        self.most = max((len(sound) for some in rows.runs() for sound in some[column]), default=0)
        self.epoch: tuple[int, int] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self.rows.names

    def only(self, names: Collection[str]) -> Source:
        found = copy.copy(self)
        found.rows = self.rows.only(names)
        return found if self.column in names else found.rows

    def of_epoch(self, seed: int, number: int) -> Varied:
        found = copy.copy(self)
        found.rows, found.epoch = self.rows.of_epoch(seed, number), (seed, number)
        return found

    def batches(self, size: int) -> Iterator[Columns]:
        first = 0
        for rows in self.rows.batches(size):
            yield rows if self.epoch is None else self._varied(rows, first)
            first += rows.n

    def _varied(self, rows: Columns, first: int) -> Columns:
        assert self.epoch is not None
        found = np.empty(rows.n, dtype=object)
        found[:] = [varied(np.asarray(sound), np.random.default_rng([*self.epoch, row]), self.most)
                    for row, sound in enumerate(rows[self.column], first)]
        return Columns({**rows, self.column: found}, dtypes=rows.dtypes)


def varied(sound: np.ndarray, rng: np.random.Generator, most: int) -> np.ndarray:
    """A sound (n,) as it might have been, of `most` samples at most."""
    full, n = _FULL[sound.dtype.kind], len(sound)
    (speed, gain, tilt), noise = rng.uniform(-1, 1, 3), rng.uniform(*_NOISE)
    length = max(1, min(round(n * np.exp(_SPEED * speed)), most))
    new = np.interp(np.linspace(0, n - 1, length), np.arange(n), sound)
    new[1:] += _TILT * tilt * new[:-1]
    loudest = max(float(np.abs(new).max()), full / (1 << 15))
    new += loudest * 10 ** (noise / 20) * rng.standard_normal(length, dtype=np.float32)
    new *= min(10 ** (_GAIN * gain / 20), full / max(float(np.abs(new).max()), 1e-9))
    return np.rint(new).astype(sound.dtype) if sound.dtype.kind == "i" else new.astype(sound.dtype)
