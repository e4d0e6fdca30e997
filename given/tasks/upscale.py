"""Upscale: p(high | low), a picture of twice as many places along both axes, given the small one. Any folder of pictures of any
sizes; the small ones are made of them by bicubic curves.

What is learned is luma, in tiles: independent normal entries about a mean that convolutions add to the enlarged picture, all
with one scale, so that the mean is that of least squares. Nothing in the net is of a place, so what learned tiles enlarges
pictures of any size at once. Chroma is enlarged by curves. A draw is brought back to what shows the small picture, by the
pseudoinverse of how that is made. The metric is PSNR of luma, two places at every edge left out; the trivial baseline is the
bicubic curve.

Source: Kim, Lee, Lee, Accurate image super-resolution using very deep convolutional networks, 2016 / https://arxiv.org/abs/1511.04587
Irani, Peleg, Improving resolution by image registration, 1991 (back-projection)
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from given.codecs import IdentityCodec
from given.families import Regression
from given.nn import ConvolutionalMap, Interpolated
from given.nn.readers.interpolated import cubic
from given.sources import Source, photographs
from given.sources import read as read_data
from given.variables import Axis, Observed, Real, UserError, Variable
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TIMES", "TRAINING", "baselines", "enlarge", "enlarged", "luma", "measure", "model", "psnr", "read", "smaller"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 2e-3, "patience": None}
TIMES = 2  # places of the large picture for one of the small, along both axes
_TILE = 48
_EDGE = TIMES  # places that a score leaves out
# Rec. 601: what red, green and blue of 0 to 255 weigh in luma and chroma
_YCC = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
_ZERO = np.array([16.0, 128.0, 128.0])


def read(*paths: str | os.PathLike[str]) -> Source:
    """Tiles of every picture of a folder, turned and mirrored at random: luma `high`, and `low`, in [-1, 1].

    Raises:
        UserError: no folder of pictures, or one that is smaller than a tile.
    """
    if len(paths) != 1:
        raise UserError(f"upscale: expected one folder of pictures, got {len(paths)}")
    rng, high, low = np.random.default_rng(0), list[np.ndarray](), list[np.ndarray]()
    for path, picture in photographs(paths[0]):
        light = luma(picture)
        if min(light.shape) < _TILE:
            raise UserError(f"{path}: {light.shape[0]} x {light.shape[1]} places; expected at least {_TILE} x {_TILE}, which "
                            "is a tile; leave it out")
        small, side = smaller(light), _TILE // TIMES
        for i in range(0, small.shape[0] - side + 1, side):
            for j in range(0, small.shape[1] - side + 1, side):
                turn, mirror = int(rng.integers(4)), int(rng.integers(2))
                for kept, whole, n in ((high, light, TIMES), (low, small, 1)):
                    tile = np.rot90(whole[n * i:n * (i + side), n * j:n * (j + side)], turn)
                    kept.append((tile[:, ::-1] if mirror else tile).astype(np.float32) / 127.5 - 1)
    return read_data(high=np.stack(high), low=np.stack(low))


def model(data: Source, *, seed: int = 0, width: int = 64, blocks: int = 4) -> Model:
    """A model of tiles, nothing of it learned yet.

    Args:
        data: the columns high and low.
        seed: of the initial weights.
        width, blocks: of the convolutions.
    """
    family = partial(Regression, net=partial(ConvolutionalMap, width=width, blocks=blocks, patch=TIMES),
                     readers={"low": Interpolated(TIMES)}, width=4, homoscedastic=True)
    codecs = {"high": _codec(_TILE, _TILE), "low": _codec(_TILE // TIMES, _TILE // TIMES)}
    return model_of("p(high | low)", data, codecs=codecs, families={"high": family}, seed=seed)


@torch.no_grad()
def enlarge(model: Model, picture: np.ndarray, *, draw: bool = False, seed: int = 0) -> np.ndarray:
    """A picture with twice as many places: (2 height, 2 width) or (2 height, 2 width, 3) uint8.

    Args:
        model: that learned tiles.
        picture: (height, width) or (height, width, 3) uint8.
        draw: one of p(high | low), brought back to show the picture, in place of its mean.
        seed: of the draw.

    Raises:
        UserError: no such picture.
    """
    planes = _planes(picture)
    h, w = picture.shape[:2]
    whole = _sized(model, TIMES * h, TIMES * w)
    y = Observed({"low": whole.parents[0].encode({"low": planes[:1].astype(np.float32) / 127.5 - 1})}, n=1)
    p = whole(y)
    found = (p.sample((), seed=seed) if draw else p.mean()).tensor.double().numpy().reshape(TIMES * h, TIMES * w)
    light = (found + 1) * 127.5
    if draw:
        light = _shown(light, planes[0])
    if picture.ndim == 2:
        return _levels(light)
    rest = [enlarged(plane) for plane in planes[1:]]
    return _levels((np.stack([light, *rest], -1) - _ZERO) @ np.linalg.inv(_YCC).T)


def measure(model: Model, test: Source) -> dict[str, float]:
    """PSNR of the predictive mean of tiles."""
    rows = next(test.batches(1 << 60))
    means = [model.given(low=rows["low"][i:i + 64]).mean("high") for i in range(0, rows.n, 64)]
    return {"PSNR": psnr(_raw(rows["high"]), _raw(np.concatenate(means)))}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The bicubic curve."""
    rows = next(test.batches(1 << 60))
    return {"bicubic": {"PSNR": psnr(_raw(rows["high"]), np.stack([enlarged(low) for low in _raw(rows["low"])]))}}


def luma(picture: np.ndarray) -> np.ndarray:
    """Luma of a picture, whole levels, cut to an even number of places: (height, width) float64."""
    light = _planes(picture)[0]
    return np.round(light[:light.shape[0] // TIMES * TIMES, :light.shape[1] // TIMES * TIMES])


def smaller(light: np.ndarray) -> np.ndarray:
    """Half as many places along both axes, by bicubic curves: whole levels."""
    h, w = light.shape
    return np.round(cubic(h, h // TIMES).numpy() @ light @ cubic(w, w // TIMES).numpy().T).clip(0, 255)


def enlarged(light: np.ndarray) -> np.ndarray:
    """Twice as many places along both axes, by bicubic curves."""
    h, w = light.shape
    return cubic(h, TIMES * h).numpy() @ light @ cubic(w, TIMES * w).numpy().T


def psnr(true: np.ndarray, found: np.ndarray) -> float:
    """10 log10(255^2 / mean squared error) of whole levels (..., height, width), edges left out."""
    found = np.round(found).clip(0, 255)
    error = ((true - found)[..., _EDGE:-_EDGE, _EDGE:-_EDGE] ** 2).mean()
    return 10 * math.log10(255**2 / error) if error else math.inf


def _shown(light: np.ndarray, small: np.ndarray) -> np.ndarray:
    """What is nearest to a large picture among those whose small one is this, but for levels beyond 0 and 255."""
    ways = [cubic(n, n // TIMES).numpy() for n in light.shape]
    back = [np.linalg.pinv(way) for way in ways]
    for _ in range(4):  # what is cut off at 0 and 255 is made up for
        light = light + back[0] @ (small - ways[0] @ light.clip(0, 255) @ ways[1].T) @ back[1].T
    return light.clip(0, 255)


def _sized(model: Model, height: int, width: int) -> Regression:
    """What was learned, of pictures of a size."""
    learned = model.joint.declared[0]
    assert isinstance(learned, Regression)
    options = {k: v for k, v in learned.arguments.items() if k not in ("x", "parents")}
    high, low = (Variable(name, _codec(height // n, width // n)) for name, n in (("high", 1), ("low", TIMES)))
    whole = Regression(high, low, **options)
    whole.load_state_dict(learned.state_dict())
    return whole.eval()


def _planes(picture: np.ndarray) -> np.ndarray:
    """Luma, and of colour two planes of chroma: (1 or 3, height, width)."""
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,)) or 0 in picture.shape:
        raise UserError(f"upscale: expected a picture (height, width) or (height, width, 3) of levels 0 to 255, got "
                        f"{picture.shape} {picture.dtype}")
    if picture.ndim == 2:
        return picture[None].astype(np.float64)
    return np.moveaxis(picture @ _YCC.T + _ZERO, -1, 0)


def _codec(height: int, width: int) -> IdentityCodec:
    return IdentityCodec(Real(axes=(Axis("height", height), Axis("width", width))))


def _raw(tiles: np.ndarray) -> np.ndarray:
    return (np.asarray(tiles, dtype=np.float64) + 1) * 127.5


def _levels(light: np.ndarray) -> np.ndarray:
    return np.round(light).clip(0, 255).astype(np.uint8)
