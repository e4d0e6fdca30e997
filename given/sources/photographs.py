"""Photographs: pictures of a folder one by one, of any sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from given.sources.folder import IMAGES, tree
from given.sources.images import Images
from given.sources.stream import File
from given.variables import UserError

__all__ = ["photograph", "photographs"]


def photograph(path: str | os.PathLike[str]) -> np.ndarray:
    """A picture: (height, width) or (height, width, 3) uint8.

    Raises:
        UserError: no such file, or whatever `Images` refuses.
    """
    if not os.path.isfile(path):
        raise UserError(f"{os.fspath(path)}: no such file; expected a picture")
    return np.asarray(next(Images([File.at(os.fspath(path))]).blocks())["image"][0])


def photographs(folder: str | os.PathLike[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture of every file of a folder that is named as a picture is.

    Raises:
        UserError: no folder, no picture in it, or whatever `Images` refuses.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{os.fspath(folder)}: expected a folder of pictures")
    paths = [path for path in tree(os.fspath(folder)) if os.path.splitext(path)[1].lower() in IMAGES]
    if not paths:
        raise UserError(f"{os.fspath(folder)}: expected pictures, got none")
    for path in paths:
        yield path, photograph(path)
