"""Moving digits, rendered on the spot from MNIST: two that bounce, one that a text moves, and maps of which digit is where.

Source: Srivastava, Mansimov, Salakhutdinov, Unsupervised learning of video representations using LSTMs, 2015 /
https://arxiv.org/abs/1502.04681
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from given.sources import Columns, Source

SIDE, DIGIT = 32, 14  # pixels of a frame and of a digit, along both axes
SPEED = 0.1  # of the room that a digit has, along its way, a frame
TOLD, PACE = 5, 3  # frames that a text is about, and pixels from one to the next
WAYS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}  # down and right a frame
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Digits:
    """Digits of 14 x 14 pixels and which they are.

    Attributes:
        images: (n, 14, 14) uint8.
        labels: (n,) uint8.
    """

    images: np.ndarray
    labels: np.ndarray


def digits(part: str) -> Digits:
    """Those of MNIST, `train` or `test`, shrunk to half by the mean of four pixels."""
    data = np.load(os.path.join(os.environ["GIVEN_DATA"], "images", "mnist.npz"))
    images = data[f"x_{part}"].reshape(-1, DIGIT, 2, DIGIT, 2).mean((2, 4)).round().astype(np.uint8)
    return Digits(images, data[f"y_{part}"])


@dataclass(frozen=True)
class Clips:
    """Clips of moving digits, and what they were rendered from.

    Attributes:
        frames: (n, frames, 32, 32) uint8; where digits overlap, the brighter is seen.
        labels: (n, digits).
        places: (n, frames, digits, 2) the upper left corner of each, top and left.
        which: (n, digits) numbers of the digits' images.
    """

    frames: np.ndarray
    labels: np.ndarray
    places: np.ndarray
    which: np.ndarray


def moving(of: Digits, n: int, frames: int, *, seed: int | list[int], count: int = 2) -> Clips:
    """Digits that go straight on at one speed and bounce off the edges: places and directions are even, the step is a tenth of
    the room, and places are cut to whole pixels."""
    rng = np.random.default_rng(seed)
    which = rng.integers(len(of.images), size=(n, count))
    at, angle = rng.random((n, count, 2)), rng.random((n, count)) * 2 * np.pi
    pace = np.stack([np.sin(angle), np.cos(angle)], -1)
    places = np.zeros((n, frames, count, 2), dtype=int)
    for t in range(frames):
        at = at + pace * SPEED
        pace = np.where(at <= 0, np.abs(pace), np.where(at >= 1, -np.abs(pace), pace))
        at = at.clip(0, 1)
        places[:, t] = (at * (SIDE - DIGIT)).astype(int)
    return Clips(rendered(of, which, places), of.labels[which], places, which)


def rendered(of: Digits, which: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(n, frames, 32, 32) uint8: digits (n, digits) at places (n, frames, digits, 2)."""
    n, frames, count, _ = places.shape
    found = np.zeros((n, frames, SIDE, SIDE), dtype=np.uint8)
    for k in range(count):
        down, across = (places[:, :, k, axis, None] + np.arange(DIGIT) for axis in (0, 1))
        at = (np.arange(n)[:, None, None, None], np.arange(frames)[None, :, None, None], down[..., None], across[..., None, :])
        found[at] = np.maximum(found[at], of.images[which[:, k]][:, None])
    return found


def told(of: Digits, n: int, *, seed: int | list[int]) -> tuple[Clips, np.ndarray]:
    """One digit that goes the way a text says, a pace of three pixels a frame in five frames, and the texts."""
    rng = np.random.default_rng(seed)
    which, way = rng.integers(len(of.images), size=(n, 1)), rng.integers(len(WAYS), size=n)
    step = np.array(list(WAYS.values()))[way]
    room, far = SIDE - DIGIT, PACE * (TOLD - 1)
    first = np.where(step == 0, rng.integers(2, room - 1, size=(n, 2)), np.where(step > 0, 0, far)
                     + rng.integers(0, room - far + 1, size=(n, 2)))
    places = (first[:, None] + PACE * step[:, None] * np.arange(TOLD)[None, :, None])[:, :, None]
    labels = of.labels[which]
    texts = np.array([f"a {NAMES[label]} moves {list(WAYS)[k]}" for label, k in zip(labels[:, 0], way, strict=True)])
    return Clips(rendered(of, which, places), labels, places, which), texts


def maps_of(of: Digits, clips: Clips) -> np.ndarray:
    """(n, frames, 32, 32) uint8 which digit is seen at a pixel, 0 to 9, and 10 where none is brighter than a quarter."""
    found = np.full(clips.frames.shape, 10, dtype=np.uint8)
    brightest = np.full(clips.frames.shape, 64, dtype=np.uint8)
    for k in range(clips.which.shape[1]):
        alone = rendered(of, clips.which[:, k:k + 1], clips.places[:, :, k:k + 1])
        found = np.where(alone > brightest, clips.labels[:, k, None, None, None], found)
        brightest = np.maximum(brightest, alone)
    return found.astype(np.uint8)


class Rendered(Source):
    """Rows that are made on the spot, others in every epoch.

    Args:
        make: the number of rows and a seed -> them.
        n: rows of an epoch.
        epoch: of learning.
    """

    def __init__(self, make: Callable[[int, list[int]], Columns], n: int, epoch: tuple[int, ...] = ()) -> None:
        self.make, self.n, self.epoch, self.skipped = make, n, epoch, []
        self._names = tuple(make(1, [0]).names)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def of_epoch(self, seed: int, number: int) -> Rendered:
        return Rendered(self.make, self.n, (seed, number))

    def batches(self, size: int) -> Iterator[Columns]:
        for first in range(0, self.n, size):
            yield self.make(min(size, self.n - first), [7, *self.epoch, first])
