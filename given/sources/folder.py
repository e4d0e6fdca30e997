"""Folders: which files they hold, and the class of each."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from given.variables import UserError

__all__ = ["CONVERT", "IMAGES", "OTHER_SOUNDS", "SOUNDS", "classes", "parted", "tree"]

_PUT = ("desktop.ini", "thumbs.db")
IMAGES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
SOUNDS = frozenset({".flac", ".ogg", ".wav"})
OTHER_SOUNDS = frozenset({".aac", ".aif", ".aiff", ".m4a", ".mp3", ".opus", ".wma"})
CONVERT = "convert it, as `ffmpeg -i IN -ac 1 OUT.wav` does"


def tree(folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> list[str]:
    """All files below a folder, sorted, links followed; hidden ones (names that begin with a dot, and those that Windows puts
    into folders, Thumbs.db and desktop.ini) are left out.

    Raises:
        UserError: a link that leads back, or to nothing, or a folder named like a file.
    """
    here = os.stat(folder)
    above |= {(here.st_dev, here.st_ino)}
    files = []
    for name in sorted(name for name in os.listdir(folder) if not name.startswith(".") and name.lower() not in _PUT):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            inside = os.stat(path)
            if (inside.st_dev, inside.st_ino) in above:
                raise UserError(f"{path}: a symbolic link that leads back to a folder above; remove it")
            if os.path.splitext(name)[1].lower() in {*IMAGES, *SOUNDS, ".txt", ".csv"}:
                raise UserError(f"{path}: is a folder named like a file; rename it")
            files += tree(path, above)
        elif os.path.exists(path):
            files.append(path)
        else:
            raise UserError(f"{path}: a symbolic link that leads to nothing; remove it")
    return files


def classes(folder: str, paths: Sequence[str]) -> list[str] | None:
    """The sub-folder that each file lies in, its class; None where all lie in the folder itself.

    Raises:
        UserError: some lie in it and some below, or deeper.
    """
    parts = [os.path.relpath(path, folder).split(os.sep) for path in paths]
    depths = {len(part) for part in parts}
    if depths == {1}:
        return None
    if depths == {2}:
        return [part[0] for part in parts]
    odd = next(path for path, part in zip(paths, parts, strict=True) if len(part) != 2)
    raise UserError(f"{odd}: expected all files in {folder} itself, or all in a sub-folder that names their class; "
                    "read a part of them by a glob")


def parted(paths: Sequence[str], endings: Collection[str]) -> tuple[list[str], list[str]]:
    """Those with an ending among some, lower case, and the rest."""
    each = [(path, os.path.splitext(path)[1].lower() in endings) for path in paths]
    return [path for path, mine in each if mine], [path for path, mine in each if not mine]
