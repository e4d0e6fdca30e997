"""Video files: a clip as an array (frames, height, width[, 3]) uint8, from a file, a GIF or a folder of frames, and back.

Files are decoded by ffmpeg, which comes with imageio-ffmpeg, at the size and the rate that they are stored in; GIFs and
pictures need nothing more. A clip whose red, green and blue agree everywhere is grey. A frame of a GIF that is shown n times as
long as the shortest stands for n frames.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from given.sources.write import write_file
from given.variables import UserError

__all__ = ["VIDEOS", "Size", "frames_of", "numbered", "resampled", "save_clip", "save_clips", "side_by_side"]

VIDEOS = frozenset({".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
Size = tuple[int, int] | int | None

_AT_ONCE = 64  # frames
_RATE = 10  # frames a second of what is written
_GAP, _ACROSS = 1, 8  # pixels between clips, and how many stand in a row
_NUMBER = re.compile(r"\d+(?=\D*$)")


def frames_of(path: str, size: Size = None) -> Iterator[np.ndarray]:
    """The frames of a file, some at a time: (some, height, width, 3) uint8.

    Args:
        path: of a GIF, or a file that ffmpeg reads.
        size: as of `resampled`.

    Raises:
        UserError: it is none, or imageio-ffmpeg is absent.
    """
    try:
        each = _gif(path) if path.lower().endswith(".gif") else _decoded(path)
        while len(some := list(itertools.islice(each, _AT_ONCE))):
            yield resampled(np.stack(some), size)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder says of a broken file
        what = "is empty" if os.path.exists(path) and not os.path.getsize(path) else (
            f"cannot be read as a video ({_first_line(error)})")
        raise UserError(f"{path}: {what}; expected a file such as .mp4, .avi, .mov or .gif, or a folder of frames") from None


def _first_line(error: Exception) -> str:
    """What went wrong, without where in ffmpeg."""
    lines = (re.sub(r"^\[[^]]*\]\s*", "", line).strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)[:80]


def _decoded(path: str) -> Iterator[np.ndarray]:
    """Frames as they are stored, none added or left out, each in a format that names its size."""
    asked = [_ffmpeg(path), "-v", "error", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "image2pipe",
             "-c:v", "ppm", "-"]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said) as process:
            assert process.stdout is not None
            found = 0
            while (kind := process.stdout.readline()):
                width, height = map(int, process.stdout.readline().split())
                top, pixels = process.stdout.readline(), process.stdout.read(3 * width * height)
                if (kind, top, len(pixels)) != (b"P6\n", b"255\n", 3 * width * height):
                    break
                found += 1
                yield np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, 3)
        said.seek(0)
        if process.returncode or not found:
            raise ValueError(said.read().decode(errors="replace").replace(f"{path}: ", "") or "it has no frames")


def _ffmpeg(path: str) -> str:
    """Where ffmpeg is, which comes with imageio-ffmpeg."""
    try:
        import imageio_ffmpeg
    except ImportError:
        raise UserError(f"{path}: video needs imageio-ffmpeg; install it with pip install 'given[video]', or use a .gif or a "
                        "folder of frames") from None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _gif(path: str) -> Iterator[np.ndarray]:
    """Frames at an even rate, that of the frame shown shortest: what is shown longer is there as often as that."""
    from PIL import Image, ImageSequence

    with Image.open(path) as image:
        shown = [frame.info.get("duration", 0) for frame in ImageSequence.Iterator(image)]  # milliseconds
        for frame, time in zip(ImageSequence.Iterator(image), shown, strict=True):
            pixels = np.asarray(frame.convert("RGB"))
            yield from itertools.repeat(pixels, round(time / min(shown)) if min(shown) > 0 else 1)


def resampled(frames: np.ndarray, size: Size) -> np.ndarray:
    """Frames (n, height, width[, 3]) at another height and width (Lanczos), or in proportion with at most so many pixels along
    the longer side."""
    from PIL import Image

    if isinstance(size, int):
        share = min(1.0, size / max(frames.shape[1:3]))
        size = max(1, round(frames.shape[1] * share)), max(1, round(frames.shape[2] * share))
    if size is None or frames.shape[1:3] == size:
        return frames
    return np.stack([np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.LANCZOS)) for frame in frames])


def numbered(folder: str, names: Sequence[str]) -> list[str]:
    """Names of frames in their order: by their last number, where all have one, else as they are.

    Raises:
        UserError: a number is missing, or is there twice.
    """
    found = [_NUMBER.search(os.path.splitext(name)[0]) for name in names]
    if not all(found):
        return sorted(names)
    each = sorted((int(match.group()), name) for match, name in zip(found, names, strict=True) if match)
    steps = [b[0] - a[0] for a, b in itertools.pairwise(each)]
    for (a, b), step in zip(itertools.pairwise(each), steps, strict=True):
        if not step:
            raise UserError(f"{folder}: frames {a[1]} and {b[1]} have one number; rename one of them")
        if step != min(steps):
            raise UserError(f"{folder}: frame {a[0] + min(steps)} is missing, between {a[1]} and {b[1]}; add it, or number the "
                            "frames anew")
    return [name for _, name in each]


def save_clip(path: str, frames: np.ndarray, rate: float = _RATE) -> None:
    """Write a clip as .gif (of 256 colours) or, by ffmpeg, .mp4 (H.264), neither of which keeps every level of colour; a folder
    of frames does.

    Args:
        path: of the file.
        frames: (n, height, width[, 3]) uint8.
        rate: frames a second.

    Raises:
        UserError: no clip, another ending, a place that cannot be written to, or imageio-ffmpeg is absent.
    """
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or frames.shape[3:] not in ((), (3,)) or not frames.size:
        raise UserError(f"{path}: expected frames (n, height, width) or (n, height, width, 3) of uint8, got {frames.shape} "
                        f"{frames.dtype}")
    match os.path.splitext(path)[1].lower():
        case ".gif":
            content = _as_gif(frames, rate)
            write_file(path, lambda file: file.write(content))
        case ".mp4":
            _as_mp4(path, frames, rate)
        case _:
            raise UserError(f"{path}: expected an ending .gif or .mp4")


def save_clips(path: str, columns: Mapping[str, np.ndarray]) -> None:
    """Write the one column of video (rows, frames, height, width[, 3]) uint8 among columns as a clip of all side by side.

    Raises:
        UserError: no such column, or several, and whatever `save_clip` refuses.
    """
    found = [name for name, values in columns.items() if values.ndim in (4, 5) and values.dtype == np.uint8
             and (values.ndim == 5 or values.shape[3] != 3)]
    if len(found) != 1:
        raise UserError(f"{path}: expected one column of video, got {', '.join(found) or 'none'}; save as .npz")
    save_clip(path, side_by_side(columns[found[0]]))


def _as_gif(frames: np.ndarray, rate: float) -> bytes:
    """Frame by frame: `Image.save` writes equal ones as one that is shown longer."""
    from PIL import Image
    from PIL.GifImagePlugin import getdata, getheader

    images = [Image.fromarray(frame) for frame in frames]
    if frames.ndim == 4:
        images = [image.convert("P", palette=Image.Palette.ADAPTIVE) for image in images]
    parts = list(getheader(images[0], info={"loop": 0})[0])
    for image in images:
        parts += getdata(image, duration=round(1000 / rate), include_color_table=image is not images[0])
    return b"".join(parts) + b";"


def _as_mp4(path: str, frames: np.ndarray, rate: float) -> None:
    kind, (height, width) = "rgb24" if frames.ndim == 4 else "gray", frames.shape[1:3]
    chroma = "yuv420p" if height % 2 == width % 2 == 0 else "yuv444p"  # which halves both
    partial = f"{path}.partial.mp4"
    asked = [_ffmpeg(path), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", kind, "-s", f"{width}x{height}",
             "-r", f"{rate:g}", "-i", "-", "-c:v", "libx264", "-crf", "15", "-pix_fmt", chroma, partial]
    try:
        done = subprocess.run(asked, input=np.ascontiguousarray(frames).tobytes(), capture_output=True, check=False)
        if done.returncode:
            what = _first_line(ValueError(done.stderr.decode(errors="replace")))
            raise UserError(f"{path}: cannot be written ({what}); choose another place")
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def side_by_side(clips: np.ndarray) -> np.ndarray:
    """Clips (n, frames, height, width[, 3]) in rows of at most eight, as one clip."""
    n, frames, height, width, *channels = clips.shape
    across = min(n, _ACROSS)
    down = -(-n // across)
    sheet = np.zeros((frames, down * (height + _GAP) - _GAP, across * (width + _GAP) - _GAP, *channels), dtype=clips.dtype)
    for i, clip in enumerate(clips):
        top, left = (i // across) * (height + _GAP), (i % across) * (width + _GAP)
        sheet[:, top:top + height, left:left + width] = clip
    return sheet
