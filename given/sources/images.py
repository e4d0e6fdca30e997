"""Images: 8-bit, grey (height, width) or RGB (height, width, 3), a file a row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from given.sources.columns import Columns, Source
from given.sources.crops import Crops, Pictures, smaller
from given.sources.folder import IMAGES, parted
from given.sources.metadata import members
from given.sources.stream import File, Stream
from given.variables import UserError
from given.ways import way

__all__ = ["Images", "in_folder"]

_BYTES = 1 << 22  # decoded together
_KEPT = 1 << 28  # bytes of pictures to be cropped that are kept; more are read again in every pass
_GREY = {"L": "L", "1": "L", "RGB": "RGB", "P": "RGB"}  # what is kept as it is, or changed without a loss
_OUT = {
    "I;16": "16 bits a channel; convert it to 8", "I": "more than 8 bits a channel; convert it to 8",
    "F": "real numbers; pass arrays, or convert it to 8 bits", "CMYK": "CMYK; convert it to RGB",
    "RGBA": "an alpha channel; flatten it to RGB", "LA": "an alpha channel; flatten it to grey",
    "PA": "an alpha channel; flatten it to RGB", "a palette with transparency": "an alpha channel; flatten it to RGB",
}


class Images(Stream):
    """Image files as the column `image`, uint8, in the direction that the camera noted.

    Args:
        files: in order.
        columns: further columns, a row a file.
        size: height and width that every image is resampled to (Lanczos); by default all must have one size.
        skip_bad: leave bad files out and name them in `skipped`.
        crop: height and width; images may have any size from this, and `kept` gives crops of them.
        flip: as of `Crops`; without a crop of whole images.

    Raises:
        UserError: file, what it holds, and the way out.
    """

    format = "images"

    def __init__(self, files: Sequence[File], columns: Columns | None = None, size: tuple[int, int] | None = None,
                 skip_bad: bool = False, crop: tuple[int, int] | None = None, flip: bool = False) -> None:
        super().__init__(files, skip_bad)
        if size is not None and (isinstance(size, int) or len(tuple(size)) != 2
                                 or not all(isinstance(length, int) and length > 0 for length in size)):
            raise UserError(f"size={size!r}; expected height and width in pixels, such as (32, 32)")
        if columns is not None and "image" in columns:
            raise UserError(f"{self._title}: the metadata have a column 'image' too; rename it")
        self.columns, self.size, self.shape, model = columns, size, (), ""
        self.crop, self.flip, self._sizes, self._held = crop, flip, list[tuple[int, int]](), list[np.ndarray]()
        self._good: list[int] = []
        room = _KEPT if crop is not None or flip else 0
        for i, file in enumerate(self.files):
            try:
                pixels = self._pixels(file)
                if not self._good:
                    self.shape, model = pixels.shape, file.name
                same, alike = pixels.shape[:2] == self.shape[:2], pixels.shape[2:] == self.shape[2:]
                if not alike or not (same or crop):
                    out = ", grey or RGB alike" if same or crop else (
                        f"; pass {way('size=(height, width) or crop=32', '--size HxW or --crop 32')}")
                    raise UserError(f"{_shown(pixels.shape)}; expected {_shown(self.shape)} as in {model}{out}")
                if crop is not None and (small := smaller(pixels.shape, crop)):
                    raise UserError(small)
                self._good.append(i)
                self._sizes.append(pixels.shape[:2])
                if (room := room - pixels.nbytes) >= 0:
                    self._held.append(pixels)
            except UserError as error:
                self.bad(file.name, str(error))
        self.found(len(self._good), "images, got none")
        self.notes = [_shown(self.shape), *(["resampled"] if size else [])]

    @property
    def names(self) -> tuple[str, ...]:
        return ("image", *(self.columns.names if self.columns is not None else ()))

    @property
    def large(self) -> int:
        return int(self.n * np.prod(self.shape))

    def blocks(self) -> Iterator[Columns]:
        step = max(1, _BYTES // int(np.prod(self.shape)))
        for start in range(0, self.n, step):
            index = self._good[start:start + step]
            image = np.stack([self._pixels(self.files[i]) for i in index])
            yield Columns({"image": image, **(self.columns.rows(np.array(index)) if self.columns is not None else {})})

    def kept(self) -> Source:
        if self.crop is None and not self.flip:
            return super().kept()
        about = self.columns.rows(np.array(self._good)) if self.columns is not None else None
        crops = Crops(Pictures(self._title, np.array(self._sizes), self._picture, columns=about), self.crop or self._sizes[0],
                      self.flip)
        crops.skipped = self.skipped
        return crops

    def _picture(self, number: int) -> np.ndarray:
        """A good one, from memory as far as they fit."""
        if number < len(self._held):
            return self._held[number]
        i = self._good[number]
        if self.files[i].state != self._states[i] or (pixels := self._pixels(self.files[i])).shape[:2] != self._sizes[number]:
            raise UserError(f"{self.files[i].name}: has changed since it was first read; read it again")
        return pixels

    def _pixels(self, file: File) -> np.ndarray:
        from PIL import Image, ImageOps, UnidentifiedImageError

        try:
            with file.open() as handle, Image.open(handle) as image:
                mode: Any = "a palette with transparency" if image.mode == "P" and "transparency" in image.info else image.mode
                if mode not in _GREY:
                    raise UserError(f"has {_OUT.get(mode, f'the mode {mode}; convert it to RGB')}")
                if getattr(image, "n_frames", 1) > 1:
                    clip = way(', or pass format="video"', ", or pass --format video") * (image.format == "GIF")
                    raise UserError(f"has several frames; save one of them{clip}")
                upright = ImageOps.exif_transpose(image).convert(_GREY[mode])
                return np.asarray(upright.resize(self.size[::-1], Image.Resampling.LANCZOS) if self.size else upright)
        except UserError:
            raise
        except Exception as error:  # whatever a decoder says of a broken file
            if os.stat(file.path).st_size == 0:
                raise UserError("is empty; expected an image") from None
            what = "no format known" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
            raise UserError(f"cannot be read as an image ({what})") from None


def in_folder(folder: str, paths: Sequence[str], size: tuple[int, int] | None = None, skip_bad: bool = False,
              crop: tuple[int, int] | None = None, flip: bool = False) -> Images:
    """The images of a folder, and what is known of each, as `members` has it.

    Raises:
        UserError: an image without metadata or the reverse, a file that is no image, and whatever Images raises.
    """
    rows, columns, skipped = members(folder, *parted(paths, IMAGES), "image", skip_bad)
    source = Images([File.at(path) for path in rows], columns, size, skip_bad, crop, flip)
    source.skipped[:0] = skipped
    return source


def _shown(shape: Sequence[int]) -> str:
    return f"{shape[0]} x {shape[1]} {'RGB' if len(shape) == 3 else 'grey'}"
