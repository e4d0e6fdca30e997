"""Folders that are whole at every moment, and checkpoints in them: safetensors and JSON, nothing that runs.

A folder is written beside its place, flushed to disk, and moved there by rename. One that stands there already is set
aside by rename first and removed last; a reader who comes in between finds the one set aside.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from given.variables import UserError

__all__ = ["CHECKPOINT_FILES", "check_place", "packed", "read_checkpoint", "replace_folder", "whole_folder", "write_checkpoint"]

CHECKPOINT_FILES = ("state.json", "state.safetensors")


def check_place(path: str | os.PathLike[str], files: Sequence[str]) -> Path:
    """Where a folder of these files may be put, as an absolute path: nothing else is ever replaced.

    Raises:
        UserError: a file is in the way, the folder there holds anything else, or the place cannot be written to.
    """
    if not os.fspath(path):
        raise UserError("save: expected the name of a folder, got an empty one")
    target = Path(os.path.abspath(path))
    if target.exists() and not target.is_dir():
        raise UserError(f"{path}: a file is in the way; choose another name")
    first = {name.partition("/")[0] for name in files}
    other = sorted(f.name for f in target.iterdir() if f.name not in first) if target.exists() else []
    if other:
        raise UserError(f"{path}: holds {other[0]}, which would be lost; choose a new folder")
    above = next(folder for folder in target.parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"{path}: cannot be written, since {above} takes no files; choose another place")
    return target


def replace_folder(path: str | os.PathLike[str], files: Mapping[str, bytes]) -> None:
    """Put a new folder at `path`, whole or not at all.

    Args:
        path: where; a folder there is replaced if it holds nothing but files, and folders, of these names.
        files: name -> what the file holds; those within folders as `folder/name`.

    Raises:
        UserError: something else is in the way, or the place cannot be written to.
    """
    target = check_place(path, list(files))
    partial, previous = (target.with_name(f".{target.name}.{word}") for word in ("partial", "previous"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for name, content in files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(content)
            _sync(partial / name)
        for folder in {(partial / name).parent for name in files}:
            _sync(folder)
        _sync(partial)
        if target.exists():
            shutil.rmtree(previous, ignore_errors=True)
            os.rename(target, previous)
        os.rename(partial, target)
        _sync(target.parent)
        shutil.rmtree(previous, ignore_errors=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def whole_folder(path: str | os.PathLike[str]) -> Path | None:
    """The folder at `path`, or the one set aside while it is being replaced, or None."""
    target = Path(path)
    return next((folder for folder in (target, target.with_name(f".{target.name}.previous")) if folder.is_dir()), None)


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as a safetensors file holds them."""
    return save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_checkpoint(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Tensors and JSON facts as one folder, atomically."""
    replace_folder(path, dict(zip(CHECKPOINT_FILES, (json.dumps(facts, indent=1).encode(), packed(tensors)), strict=True)))


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `write_checkpoint` wrote, or None where nothing is. Raises `UserError` where it cannot be read."""
    folder = whole_folder(path)
    try:
        return None if folder is None else (load_file(folder / CHECKPOINT_FILES[1]),
                                            json.loads((folder / CHECKPOINT_FILES[0]).read_text()))
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot read this checkpoint ({error}); remove it to start anew") from None
