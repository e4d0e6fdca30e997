"""Scenes: pictures of up to three things, rendered on the spot from known factors, with what there is to say of them.

A thing has a shape, a colour, a centre, a radius and a texture; the scene has a light and a background. Things are drawn one
over another, by signed distances, lit from one side, with a shadow on the other.

Ten of the forty combinations of shape and colour have one relation each that they stand in to no thing of a scene to learn from
(`left of`, `right of`, `above` or `below`); in scenes that are held out, both things that a caption relates are of these and
stand in theirs. So what held-out captions state shares no triple of colour, shape and relation with any scene to learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from given.variables import UserError

__all__ = ["BACKGROUNDS", "CLASSES", "COLOURS", "RELATIONS", "SHAPES", "SIDE", "STYLES", "TEXTURES", "Factors", "drawn_factors",
           "render", "scene_boxes", "scene_maps", "styled"]

SIDE = 32  # pixels of a picture, along each axis
SHAPES = ("circle", "square", "triangle", "cross", "ring")
COLOURS = {"red": (214, 40, 40), "orange": (245, 140, 30), "yellow": (245, 222, 60), "green": (50, 160, 60),
           "cyan": (60, 205, 215), "blue": (45, 85, 215), "purple": (130, 60, 170), "pink": (245, 130, 185)}
TEXTURES = ("plain", "striped", "dotted")
BACKGROUNDS = {"white": (236, 236, 232), "grey": (140, 143, 148), "black": (34, 34, 40), "sand": (206, 186, 148)}
STYLES = ("poster", "outline", "night", "mosaic")
RELATIONS = ("left of", "right of", "above", "below")
CLASSES = ("background", *(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS))

_MOST = 3  # things of a scene
_NUMBERS = (0.2, 0.45, 0.35)  # shares of scenes of one, two and three
_RADII = (4.2, 7.0)
_APART = 0.8  # of the sum of two radii, the least between centres
_CLEAR = 2.5  # by how much one offset of two centres exceeds the other, so that their relation is plain
_TRIES = 200
_EXTENT = 1.15  # radii that a shape reaches from its centre, at most
_OPPOSITE = np.array([1, 0, 3, 2])


@dataclass(frozen=True)
class Factors:
    """What B scenes are rendered from.

    Attributes:
        count: (B,) things of a scene, 1 to 3; what stands at others is void.
        shape, colour, texture: (B, 3) numbers of `SHAPES`, `COLOURS` and `TEXTURES`.
        x, y: (B, 3) centres, in pixels from the left and from the top.
        radius: (B, 3) in pixels.
        light: (B,) the direction that it comes from, in radians; 0 is from the right, a quarter of a turn from below.
        background: (B,) a number of `BACKGROUNDS`.
        stated: (B, 2) the two things that a caption relates, the first to the second.
    """

    count: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    texture: np.ndarray
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    light: np.ndarray
    background: np.ndarray
    stated: np.ndarray

    @property
    def there(self) -> np.ndarray:
        """(B, 3) bool."""
        found: np.ndarray = np.arange(_MOST) < self.count[:, None]
        return found

    @property
    def kind(self) -> np.ndarray:
        """(B, 3) the class of each thing, a number of `CLASSES`."""
        found: np.ndarray = 1 + self.shape * len(COLOURS) + self.colour
        return found

    @property
    def relations(self) -> np.ndarray:
        """(B, 3, 3) how the first thing stands to the second, a number of `RELATIONS`, along the axis that parts them more."""
        dx, dy = (v[:, None] - v[:, :, None] for v in (self.x, self.y))
        found: np.ndarray = np.where(np.abs(dx) > np.abs(dy), np.where(dx > 0, 0, 1), np.where(dy > 0, 2, 3))
        return found


def never(shape: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """The relation that a combination of shape and colour stands in in no scene to learn from, a number of `RELATIONS`; -1 of
    those that have none such."""
    chosen = (colour + 3 * shape) % 4 == 0
    found: np.ndarray = np.where(chosen, (2 * shape + colour // 4) % len(RELATIONS), -1)
    return found


def drawn_factors(rng: np.random.Generator, n: int, *, unseen: bool = False, counts: Sequence[int] = (1, 2, 3)) -> Factors:
    """Factors of n scenes.

    Args:
        rng: the generator that is drawn from.
        n: how many.
        unseen: scenes whose stated things stand in relations of which there are none to learn from; of two things or more.
        counts: how many things there may be.
    """
    share = np.array([_NUMBERS[k - 1] for k in counts]) * ([k > 1 for k in counts] if unseen else 1.0)
    if not share.sum():
        raise UserError(f"scenes: counts={counts!r}; expected two things or three, which a relation needs")
    count = np.asarray(counts)[rng.choice(len(counts), n, p=share / share.sum())]
    radius, x, y = _places(rng, count)
    first = (rng.random(n) * count).astype(int)
    second = (first + 1 + (rng.random(n) * np.maximum(count - 1, 1)).astype(int)) % count
    stated = np.stack([first, second], 1)
    zeros = np.zeros((n, _MOST), dtype=int)
    bare = Factors(count, zeros, zeros, zeros, x, y, radius, zeros[:, 0], zeros[:, 0], stated)
    kind = _kinds(rng, bare, unseen)
    return Factors(count, kind // len(COLOURS), kind % len(COLOURS), rng.integers(len(TEXTURES), size=(n, _MOST)), x, y, radius,
                   rng.random(n) * 2 * np.pi, rng.integers(len(BACKGROUNDS), size=n), stated)


def _places(rng: np.random.Generator, count: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radii and centres, (n, 3) each: apart, and in relations that are plain."""
    n = len(count)
    found = np.zeros((3, n, _MOST))
    open_rows = np.arange(n)
    there = np.arange(_MOST) < count[:, None]
    for _ in range(_TRIES):
        m = len(open_rows)
        radius = rng.uniform(*_RADII, (m, _MOST))
        x, y = _EXTENT * radius + (SIDE - 2 * _EXTENT * radius) * rng.random((2, m, _MOST))
        dx, dy = (np.abs(v[:, None] - v[:, :, None]) for v in (x, y))
        apart = np.hypot(dx, dy) >= _APART * (radius[:, None] + radius[:, :, None])
        both = there[open_rows, None] & there[open_rows][:, :, None] & ~np.eye(_MOST, dtype=bool)
        good = ((apart & (np.abs(dx - dy) >= _CLEAR)) | ~both).all((1, 2))
        found[:, open_rows[good]] = np.stack([radius, x, y])[:, good]
        open_rows = open_rows[~good]
        if not len(open_rows):
            return found[0], found[1], found[2]
    raise AssertionError(f"no place was found for {len(open_rows)} scenes")


def _kinds(rng: np.random.Generator, bare: Factors, unseen: bool) -> np.ndarray:
    """(n, 3) combinations of shape and colour, colours running, all of a scene different."""
    n, each = len(bare.count), np.arange(len(SHAPES) * len(COLOURS))
    out = never(each // len(COLOURS), each % len(COLOURS))  # (40,)
    relations, there = bare.relations, bare.there
    kind, taken = np.zeros((n, _MOST), dtype=int), np.zeros((n, len(each)), dtype=bool)
    rows = np.arange(n)
    alone = np.zeros((n, _MOST), dtype=bool)  # which are to be of those that have a relation
    if unseen:
        alone[rows[:, None], bare.stated] = True
    for i in range(_MOST):
        barred = np.zeros((n, len(RELATIONS)), dtype=bool)
        if unseen:
            for mine, other in ((0, 1), (1, 0)):
                asked = bare.stated[:, mine] == i
                barred[asked] = np.arange(len(RELATIONS)) != relations[rows, i, bare.stated[:, other]][asked, None]
        else:
            for j in range(_MOST):
                if j != i:
                    barred[rows, relations[:, i, j]] |= there[:, j]
        lot = np.where(taken | barred[:, out] & (out >= 0) | alone[:, i, None] & (out < 0), -1.0, rng.random((n, len(each))))
        kind[:, i] = lot.argmax(1)
        taken[rows, kind[:, i]] = True
    return kind


def _distances(f: Factors) -> np.ndarray:
    """(B, 3, 32, 32) signed distances from every pixel's centre to the outline of every thing, below 0 within."""
    at = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)
    x, y = at - f.x[..., None].astype(np.float32), at - f.y[..., None].astype(np.float32)  # (B, 3, 32)
    radius, found = f.radius.astype(np.float32), np.empty((*f.shape.shape, SIDE, SIDE), dtype=np.float32)
    for number, distance in enumerate(_OUTLINES):
        which = f.shape == number
        found[which] = distance(x[which][:, None], y[which][:, :, None], radius[which][:, None, None])
    return found


_OUTLINES: tuple[Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray], ...] = (  # of x, y and the radius, in `SHAPES`
    lambda x, y, r: np.sqrt(x**2 + y**2) - r,
    lambda x, y, r: np.maximum(np.abs(x), np.abs(y)) - 0.85 * r,
    lambda x, y, r: np.maximum(0.866 * np.abs(x) - 0.5 * y, y) - 0.55 * r,
    lambda x, y, r: np.maximum(np.minimum(np.abs(x), np.abs(y)) - 0.33 * r, np.maximum(np.abs(x), np.abs(y)) - 0.95 * r),
    lambda x, y, r: np.abs(np.sqrt(x**2 + y**2) - 0.72 * r) - 0.28 * r)


def scene_maps(f: Factors) -> np.ndarray:
    """(B, 32, 32) uint8: the class of what is seen at every pixel."""
    inside = (_distances(f) < 0) & f.there[..., None, None]
    last = np.where(inside, np.arange(1, _MOST + 1)[:, None, None], 0).max(1)
    kinds = np.concatenate([np.zeros((len(f.count), 1), dtype=int), f.kind], 1)
    found: np.ndarray = np.take_along_axis(kinds, last.reshape(len(last), -1), 1).reshape(last.shape).astype(np.uint8)
    return found


def scene_boxes(f: Factors) -> np.ndarray:
    """(B, 3, 4) left, top, right and bottom of every thing, in pixels, hidden parts with it."""
    reach = np.array([[1, 1, 1, 1], [0.85] * 4, [0.953, 1.1, 0.953, 0.55], [0.95] * 4, [1, 1, 1, 1]])[f.shape]
    centre = np.stack([f.x, f.y, f.x, f.y], -1)
    return centre + reach * np.array([-1, -1, 1, 1]) * f.radius[..., None]


def render(f: Factors) -> np.ndarray:
    """(B, 32, 32, 3) uint8."""
    at = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)
    lx, ly = (v.astype(np.float32)[:, None, None] for v in (np.cos(f.light), np.sin(f.light)))
    towards = lx * (at - SIDE / 2) + ly * (at[:, None] - SIDE / 2)  # (B, 32, 32) pixels
    d, there = _distances(f), f.there.astype(np.float32)[..., None, None]
    canvas = np.array([*BACKGROUNDS.values()], dtype=np.float32)[f.background][:, None, None] * (
        1 + 0.006 * towards[..., None])
    moved = Factors(**{**vars(f), "x": f.x - 1.6 * np.cos(f.light)[:, None], "y": f.y - 1.6 * np.sin(f.light)[:, None]})
    shade = (np.clip(0.5 - _distances(moved), 0, 1) * there).max(1)
    canvas *= (1 - 0.3 * shade)[..., None]
    stripes = (at + at[:, None]) % 4 < 2
    dots = ((at % 3 < 1) & (at[:, None] % 3 < 1)) | ((at % 3 < 1) & (at[:, None] % 3 >= 2))
    cloth = np.stack([np.ones((SIDE, SIDE)), 1 - 0.35 * stripes, 1 - 0.45 * dots]).astype(np.float32)
    for i in range(_MOST):
        x, y, r = (v[:, i, None, None].astype(np.float32) for v in (f.x, f.y, f.radius))
        lit = np.clip(0.92 + 0.16 * (lx * (at - x) + ly * (at[:, None] - y)) / r, 0.7, 1.12)
        ink = np.array([*COLOURS.values()], dtype=np.float32)[f.colour[:, i]][:, None, None] * (
            lit * cloth[f.texture[:, i]])[..., None]
        cover = (np.clip(0.5 - d[:, i], 0, 1) * there[:, i])[..., None]
        canvas += cover * (ink - canvas)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def styled(f: Factors, style: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The same scenes in a style, (B, 32, 32, 3) uint8: `poster` in flat colours on paper, `outline` in lines, `night` in
    the dark with bright rims, `mosaic` in squares of two pixels.

    Args:
        f: of the scenes.
        style: (B,) numbers of `STYLES`.
        picture: (B, 32, 32, 3) as `render` makes them.
    """
    d, there = _distances(f), f.there.astype(np.float32)[..., None, None]
    inks = np.array([*COLOURS.values()], dtype=np.float32)[f.colour][:, :, None, None]
    canvas = np.array([(250, 248, 240), (250, 248, 240), (14, 16, 44), (0, 0, 0)], dtype=np.float32)[style][:, None, None]
    canvas = np.broadcast_to(canvas, (len(d), SIDE, SIDE, 3)).copy()
    which = style[:, None, None, None]
    for i in range(_MOST):
        cover = (np.clip(0.5 - d[:, i], 0, 1) * there[:, i])[..., None]
        rim = np.clip(1.2 - np.abs(d[:, i] + 0.8), 0, 1)[..., None]
        paper = np.array([250, 248, 240], dtype=np.float32)
        inside = np.select([which == 0, which == 1, which == 2], [inks[:, i], paper + rim * (0.9 * inks[:, i] - paper),
                                                                 0.35 * inks[:, i] + rim * (0.65 * inks[:, i] + 10)], 0.0)
        canvas += cover * (inside - canvas)
    blocks = picture.reshape(len(d), SIDE // 2, 2, SIDE // 2, 2, 3).astype(np.float32).mean((2, 4))
    canvas = np.where(which == 3, (1.2 * blocks - 26).repeat(2, 1).repeat(2, 2), canvas)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
