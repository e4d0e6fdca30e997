"""picture: a sheet of images as one PNG."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, PngImagePlugin

from given.variables import UserError

__all__ = ["contact_sheet", "picture"]


def contact_sheet(images: np.ndarray, *, levels: int) -> bytes:
    """Images side by side, at most eight a row, as PNG bytes; of fewer than 256 levels as ink on paper.

    Args:
        images: (n, height, width) or (n, height, width, 3), whole levels 0 to levels - 1.
        levels: how many.
    """
    across = min(8, max(1, math.ceil(math.sqrt(len(images)))))
    down = math.ceil(len(images) / across)
    blank = np.zeros((down * across - len(images), *images.shape[1:]), images.dtype)
    sheet = np.concatenate([images, blank]).reshape(down, across, *images.shape[1:])
    return picture(sheet, levels=levels, ink=levels < 256)


def picture(images: np.ndarray, *, levels: int, scale: int | None = None, ink: bool = False, gap: int | None = None,
            text: str = "") -> bytes:
    """A sheet of images as PNG bytes.

    Args:
        images: (rows, columns, height, width) or (rows, columns, height, width, 3), whole levels 0 to levels - 1.
        levels: how many.
        scale: pixels a pixel; by default so that an image is some 48 pixels high.
        ink: high levels dark, as ink on paper.
        gap: grey pixels around each; by default a pixel of the image.
        text: kept in the file as its description.

    Raises:
        UserError: another shape.
    """
    if images.ndim not in (4, 5):
        raise UserError(f"picture: expected (rows, columns, height, width[, 3]), got {images.shape}")
    rows, columns, height, width, *channels = images.shape
    scale = scale or max(1, round(48 / height))
    grey = images.astype(np.float64) / (levels - 1)
    grey = np.rint(255 * (1 - grey if ink else grey)).astype(np.uint8)
    gap = max(1, scale) if gap is None else gap
    big = grey.repeat(scale, axis=2).repeat(scale, axis=3)
    sheet = np.full((rows * (height * scale + gap) + gap, columns * (width * scale + gap) + gap, *channels), 128, np.uint8)
    for i in range(rows):
        for j in range(columns):
            top, left = gap + i * (height * scale + gap), gap + j * (width * scale + gap)
            sheet[top:top + height * scale, left:left + width * scale] = big[i, j]
    facts = PngImagePlugin.PngInfo()
    facts.add_text("Description", text)
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, "PNG", pnginfo=facts, optimize=True)
    return out.getvalue()
