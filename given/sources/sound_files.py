"""Sound files: what is known of a column of sounds, and how it is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from given.sources.cells import Dtype, written
from given.sources.wav import packed
from given.sources.write import delimited, write_file
from given.variables import UserError

__all__ = ["rate_of", "save_sounds", "spelled_rate"]


def spelled_rate(rate: int) -> str:
    """What a source knows of a column of sounds: how many samples a second there are."""
    return f"sound({rate})"


def rate_of(dtype: Any) -> int | None:
    """Samples a second, of what a source knows of a column; None where it is none of sounds."""
    said = str(dtype)
    return int(said[6:-1]) if said.startswith("sound(") and said[6:-1].isdigit() else None


def save_sounds(columns: Mapping[str, np.ndarray], dtypes: Mapping[str, Dtype], path: str) -> None:
    """Write the one column of sounds: a row as a .wav, or in a FOLDER/ a .wav a row, and metadata.csv where there are more
    columns, so that it can be read again.

    Args:
        columns: name -> (rows, ...).
        dtypes: column -> what is known of it, of sounds their rate.

    Raises:
        UserError: no column of sounds, or for one file several rows.
    """
    rates = {name: rate for name in columns if (rate := rate_of(dtypes.get(name))) is not None}
    if len(rates) != 1:
        raise UserError(f"{path}: expected one column of sounds, got {', '.join(rates) or 'none'} among {', '.join(columns)}; "
                        "save as .jsonl")
    (name, rate), = rates.items()
    sounds = columns[name]
    if path.lower().endswith(".wav"):
        if len(sounds) != 1:
            raise UserError(f"{path}: one file holds one sound, got {len(sounds)}; save them in a folder, as {path[:-4]}/")
        content = packed(np.asarray(sounds[0]), rate)
        write_file(path, lambda file: file.write(content))
        return
    os.makedirs(path, exist_ok=True)
    names = [f"{i:0{len(str(len(sounds) - 1))}d}.wav" for i in range(len(sounds))]
    for each, samples in zip(names, sounds, strict=True):
        content = packed(np.asarray(samples), rate)
        write_file(os.path.join(path, each), lambda file, content=content: file.write(content))  # type: ignore[misc]
    if others := {k: v for k, v in columns.items() if k != name}:
        cells = [["file_name", *names], *([k, *written(v, dtypes.get(k))] for k, v in others.items())]
        lines = "".join(f"{line}\n" for line in delimited(cells, ",")).encode()
        write_file(os.path.join(path, "metadata.csv"), lambda file: file.write(lines))
