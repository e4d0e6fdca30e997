"""Videos: clips of 8 bits, grey (frames, height, width) or RGB (frames, height, width, 3), a row a clip or a part of one.

A clip is a file or a folder of frames, images in the order of their numbers. Rows of a given length lie one after another
without overlap, evenly spread over their clip, so that what is held out tells nothing of what is learned.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from given.sources.columns import Columns
from given.sources.folder import IMAGES
from given.sources.images import Images
from given.sources.metadata import members
from given.sources.stream import File, Stream
from given.sources.video_files import VIDEOS, Size, frames_of, numbered, resampled
from given.variables import UserError
from given.ways import way

__all__ = ["Videos", "clip_of", "in_folder"]


class Videos(Stream):
    """Clips as the column `video`, uint8.

    Args:
        files: in order; a folder of frames is one.
        columns: further columns, a row a clip.
        size: height and width that frames are resampled to (Lanczos), or how many pixels the longer side has at most, in
            proportion; but for the former all must have one size.
        frames: of a row, as many rows as fit into a clip; by default a row is a clip, and all are of one length.
        skip_bad: leave bad clips out and name them in `skipped`.

    Raises:
        UserError: file, what it holds, and the way out.
    """

    format = "video"

    def __init__(self, files: Sequence[File], columns: Columns | None = None, size: Size = None,
                 frames: int | None = None, skip_bad: bool = False) -> None:
        super().__init__(files, skip_bad)
        if frames is not None and (not isinstance(frames, int) or isinstance(frames, bool) or frames < 1):
            raise UserError(f"frames={frames!r}; expected a whole number from 1")
        sides = (size,) if isinstance(size, int) else (1, 1) if size is None else tuple(size)
        if len(sides) != 2 - isinstance(size, int) or not all(isinstance(length, int) and length > 0 for length in sides):
            raise UserError(f"size={size!r}; expected height and width in pixels, such as (32, 32), or the longer side, as 48")
        if columns is not None and "video" in columns:
            raise UserError(f"{self._title}: the metadata have a column 'video' too; rename it")
        self.columns, self.size, self.frames = columns, size, frames
        self.shape: tuple[int, ...] = ()
        self.grey, model = True, ""
        self._good = list[tuple[int, int]]()
        for i, file in enumerate(self.files):
            try:
                length, shape, grey = _measured(file.path, size)
                if not self._good:
                    self.shape, self.frames, model = shape, frames or length, file.name
                self._check(length, shape, model, stated=frames is not None)
                self.grey &= grey
                self._good.append((i, length))
            except UserError as error:
                self.bad(file.name, str(error).removeprefix(f"{file.path}: "))
        self._rows = [length // (self.frames or 1) for _, length in self._good]
        self.found(sum(self._rows), "clips, got none")
        self.notes = [f"{self.frames} frames of {_shown(self.shape)} {'grey' if self.grey else 'RGB'}",
                      *(["resampled"] if size else [])]

    def _check(self, length: int, shape: tuple[int, ...], model: str, *, stated: bool) -> None:
        if shape != self.shape:
            raise UserError(f"{_shown(shape)}{' in proportion' * isinstance(self.size, int)}; expected {_shown(self.shape)} as "
                            f"in {model}; pass "
                            f"{way('size=(height, width)', '--size HxW')}")
        if length < (self.frames or 0):
            raise UserError(f"{length} frames; expected at least {self.frames}{'' if stated else f', as in {model}'}; pass "
                            f"{way('frames=', '--frames')} of at most {length}, how many a row has")
        if not stated and length != self.frames:
            raise UserError(f"{length} frames; expected {self.frames} as in {model}; pass {way('frames=', '--frames')}, how "
                            "many a row has")

    @property
    def names(self) -> tuple[str, ...]:
        return ("video", *(self.columns.names if self.columns is not None else ()))

    @property
    def large(self) -> int:
        return int(self.n * (self.frames or 1) * np.prod(self.shape) * (1 if self.grey else 3))

    def blocks(self) -> Iterator[Columns]:
        for (i, length), rows in zip(self._good, self._rows, strict=True):
            clip = clip_of(self.files[i].path, self.size)
            if clip.shape[:3] != (length, *self.shape):
                raise ValueError
            clip = clip[..., 0] if self.grey else clip
            first = np.linspace(0, length - (self.frames or 0), rows).round().astype(int)
            about = {} if self.columns is None else self.columns.rows(np.full(rows, i))
            yield Columns({"video": np.stack([clip[at:at + (self.frames or 0)] for at in first]), **about})


def in_folder(folder: str, paths: Sequence[str], size: Size = None, frames: int | None = None,
              skip_bad: bool = False) -> Videos:
    """The clips of a folder: video files, or else folders of frames, as many as hold images; with metadata.csv or .jsonl, whose
    column `file_name` says which clip a row is about; or in sub-folders, their classes, the column `label`; or alone.

    Raises:
        UserError: a clip without metadata or the reverse, a file that is no clip, and whatever Videos raises.
    """
    files, shots = ([path for path in paths if os.path.splitext(path)[1].lower() in kinds] for kinds in (VIDEOS, IMAGES))
    clips = files or sorted({os.path.dirname(path) for path in shots})
    if clips == [folder]:
        return Videos([File(folder, folder)], None, size, frames, skip_bad)
    rest = [path for path in paths if path not in {*(files or shots)}]
    rows, columns, skipped = members(folder, clips, rest, "video", skip_bad)
    source = Videos([File(path, path) for path in rows], columns, size, frames, skip_bad)
    source.skipped[:0] = skipped
    return source


def clip_of(path: str, size: Size = None) -> np.ndarray:
    """The frames of a file, or of a folder of frames: (frames, height, width, 3) uint8.

    Raises:
        UserError: it is no video, or whatever `Images` refuses.
    """
    if not os.path.exists(path):
        raise UserError(f"{path}: no such file; expected a video or a folder of frames")
    return np.concatenate(list(_parts(path, size)))


def _parts(path: str, size: Size) -> Iterator[np.ndarray]:
    """The frames of a clip, some at a time: (some, height, width, 3)."""
    if not os.path.isdir(path):
        yield from frames_of(path, size)
        return
    names = [name for name in os.listdir(path) if os.path.splitext(name)[1].lower() in IMAGES and not name.startswith(".")]
    if not names:
        raise UserError(f"{path}: holds no images; expected the frames of a clip")
    files = [File.at(os.path.join(path, name)) for name in numbered(path, names)]
    try:
        images = Images(files, size=None if isinstance(size, int) else size)
    except UserError as error:  # of pictures, which may be cropped
        raise UserError(str(error).replace(way(" or crop=32", " or --crop 32"), "")) from None
    for block in images.blocks():
        frames = resampled(block["image"], size)
        yield frames if frames.ndim == 4 else np.repeat(frames[..., None], 3, -1)


def _measured(path: str, size: Size) -> tuple[int, tuple[int, ...], bool]:
    """How many frames a clip has, their height and width, and whether they are grey."""
    length, shape, grey = 0, tuple[int, ...](), True
    for some in _parts(path, size):
        length, shape = length + len(some), some.shape[1:3]
        grey = grey and bool((some == some[..., :1]).all())
    if not length:
        raise UserError("holds no frame; expected a video")
    return length, shape, grey


def _shown(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
