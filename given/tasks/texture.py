"""Texture: as much of a texture as is asked for, from one picture of it; nothing is learned but the picture.

The picture is stored as tiles of the size that is drawn, which overlap so that every window of it lies within one; what lies
beyond its edge is unknown. `quilting` lays patches and cuts between them, `efros-leung` draws place by place.

Source: Efros, Freeman, Image quilting for texture synthesis and transfer, 2001 / https://doi.org/10.1145/383259.383296
"""

from __future__ import annotations

from functools import partial

import numpy as np

from given.codecs import Image
from given.families import EfrosLeung, Quilting
from given.sources import Columns
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.ways import way

__all__ = ["METHODS", "model", "texture"]

METHODS = {"quilting": (Quilting, 24), "efros-leung": (EfrosLeung, 11)}  # and the size of a patch or window


def texture(example: np.ndarray, height: int, width: int, *, method: str = "quilting", patch: int | None = None,
            longest: int | None = None, n: int = 1, seed: int = 0) -> np.ndarray:
    """Draws of a texture: (n, height, width[, 3]) uint8.

    Args:
        example: (any height, any width[, 3]) uint8.
        height, width: of a draw.
        method: of `METHODS`.
        patch: the height and width of a patch or window; as large as what repeats.
        longest: of `efros-leung`, the side of the largest square that is copied as it stands; None for any. Patches bound what
            a quilt copies.
        n, seed: of the draws.

    Raises:
        UserError: as of `model`.
    """
    return np.asarray(model(example, height, width, method=method, patch=patch, longest=longest).sample(n, seed=seed)["image"])


def model(example: np.ndarray, height: int, width: int, *, method: str = "quilting", patch: int | None = None,
          longest: int | None = None) -> Model:
    """A model of pictures of a texture, which has stored one.

    Args:
        as of `texture`.

    Raises:
        UserError: an example, or what is asked for, is smaller than a patch; a longest copy of a quilt.
    """
    if longest is not None and method != "efros-leung":
        raise UserError(f"texture: {way('longest=', '--longest ')}{longest} is of efros-leung; copies in a quilt are as large "
                        f"as its patches, pass {way('patch=', '--patch ')}")
    family, usual = METHODS[method]
    patch = usual if patch is None else patch
    for what, size, out in (("example", example.shape[:2], "take a larger one or pass a smaller patch"),
                            ("size", (height, width), "ask for more or pass a smaller patch")):
        if min(size) < patch:
            raise UserError(f"texture: {what} of {size[0]} x {size[1]} is smaller than a patch of {patch} x {patch}; {out}")
    # A square that is compared is to lie within one tile, too; but tiles overlap by half at most.
    held = max(patch, min(patch + (longest or 0), height // 2, width // 2, *example.shape[:2]))
    data = Columns({"image": _tiles(example, height, width, held)})
    options = {} if longest is None else {"longest": longest}
    made = model_of("p(image)", data, codecs={"image": Image(levels=256, missing="unknown")},
                    families={"image": partial(family, size=patch, **options)})
    made.fit(data, held_out=0, progress=False)
    return made


def _tiles(example: np.ndarray, height: int, width: int, held: int) -> np.ndarray:
    """(n, height, width[, 3]) float64: every square of so many places lies in one of them once; NaN beyond its edge."""
    tiles = list[np.ndarray]()
    for i in range(0, example.shape[0] - held + 1, height - held + 1):
        for j in range(0, example.shape[1] - held + 1, width - held + 1):
            part = example[i:i + height, j:j + width]
            tile = np.full((height, width, *example.shape[2:]), np.nan)
            tile[:part.shape[0], :part.shape[1]] = part
            tiles.append(tile)
    return np.stack(tiles)
