"""Output: columns on the screen, in files, as pictures."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

from given.codecs import Video
from given.evaluate import contact_sheet, picture
from given.sources import Columns, Source, joined, ragged, rate_of, save_clip, side_by_side, write_file
from given.sources.cells import written
from given.sources.write import delimited
from given.variables import Finite, UserError
from given.verbs import Model

__all__ = ["rows", "sheet", "shown", "write"]

_ROWS = 1 << 14  # printed at a time
_WIDE = 100  # characters of a text that a page shows


def shown(value: Any) -> str:
    """One value in a few characters."""
    if isinstance(value, np.ndarray):
        return f"[{' x '.join(map(str, value.shape))}]"
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    text = str(value).replace("\n", "\u23ce")
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}..."


def rows(source: Source, as_json: bool, header: bool = True) -> None:
    """Rows on standard output: JSON lines, or comma-separated, a row a value of series, with grids named by their shape."""
    first, grids = 0, False
    for run in source.runs():
        flat = run.flat() if as_json else _long(run, first)
        if not as_json and header and not first:
            print(*delimited([[name] for name in flat.names], ","))
        for some in flat.batches(_ROWS):
            if as_json:
                print("\n".join(map(json.dumps, some.records())))
                continue
            cells = [written(v, flat.dtypes.get(name)) if v.ndim == 1 and not ragged(v) else list(map(shown, v))
                     for name, v in some.items()]
            print("\n".join(delimited(cells, ",")), flush=True)
        grids |= not as_json and header and any(v.ndim > 1 or ragged(v) for v in flat.values())
        first += run.n
    if grids:
        print("grids are written with -o FILE.npz, FILE.png or FOLDER/, or --json", file=sys.stderr)


def _long(columns: Columns, first: int) -> Columns:
    """Columns as a long table, or as they are where their items make none."""
    try:
        return columns.long(first)
    except UserError:
        return columns.flat()


def write(source: Source, path: str, model: Model) -> None:
    """Rows as a file; their one column of images as a sheet .png, or an image, or a sound, a file in a FOLDER/; their one
    column of video as a .gif or .mp4 of all clips side by side, or a folder of frames each in a FOLDER/."""
    if any(isinstance(v.codec, Video) for v in model.joint.columns.values()) and path.endswith(("/", os.sep, ".gif", ".mp4")):
        _write_clips(source, path, model)
    elif path.endswith(("/", os.sep)) and not any(rate_of(dtype) for dtype in source.dtypes.values()):
        columns = _held(source)
        name, space = _images(model, columns, path)
        images = columns.flat()[name]
        os.makedirs(path, exist_ok=True)
        for i, image in enumerate(images):
            levels = np.rint(image.astype(np.float64) * (255 / (space.size - 1))).astype(np.uint8)
            content = picture(levels[None, None], levels=256, scale=1, gap=0)
            write_file(os.path.join(path, f"{i:0{len(str(len(images)))}d}.png"), lambda file, c=content: file.write(c))  # type: ignore[misc]
    elif path.endswith(".png"):
        content = sheet(model, _held(source), path)
        write_file(path, lambda file: file.write(content))
    else:
        source.save(path)
    print(f"wrote {path}", file=sys.stderr)


def _write_clips(source: Source, path: str, model: Model) -> None:
    columns = _held(source)
    names = [name for name, v in model.joint.columns.items() if name in columns and isinstance(v.codec, Video)]
    if len(names) != 1:
        raise UserError(f"{path}: expected one column of video, got {', '.join(names) or 'none'}; write .npz")
    space = model.joint.columns[names[0]].space
    assert isinstance(space, Finite)
    clips = np.rint(columns.flat()[names[0]].astype(np.float64) * (255 / (space.size - 1))).astype(np.uint8)
    if not path.endswith(("/", os.sep)):
        save_clip(path, side_by_side(clips))
        return
    for i, clip in enumerate(clips):
        folder = os.path.join(path, f"{i:0{len(str(len(clips)))}d}")
        os.makedirs(folder, exist_ok=True)
        for t, frame in enumerate(clip):
            content = picture(frame[None, None], levels=256, scale=1, gap=0)
            write_file(os.path.join(folder, f"{t:04d}.png"), lambda file, c=content: file.write(c))  # type: ignore[misc]


def _held(source: Source) -> Columns:
    return source if isinstance(source, Columns) else joined([*source.runs()])


def sheet(model: Model, columns: Columns, path: str = ".png") -> bytes:
    """The one column of images among columns as a sheet of some eight columns."""
    name, space = _images(model, columns, path)
    if columns.axes > 1 and min(columns[name].shape[:2]) > 1:  # a row for every first one
        return picture(columns[name], levels=space.size, ink=space.size < 256)
    return contact_sheet(columns.flat()[name], levels=space.size)


def _images(model: Model, columns: Columns, path: str) -> tuple[str, Finite]:
    grids = {name: space for name, v in model.joint.columns.items() if name in columns
             and isinstance(space := v.space, Finite) and len(space.axes) in (2, 3)}
    if len(grids) != 1:
        raise UserError(f"{path}: expected one column of images, got {', '.join(grids) or 'none'}; write .npz")
    return next(iter(grids.items()))
