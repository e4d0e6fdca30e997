"""Plan: what will be learned, and where it will be saved, before it is."""

from __future__ import annotations

import argparse
import os

from given.sources import Source
from given.verbs import Model

__all__ = ["place_of", "plan"]


def place_of(a: argparse.Namespace) -> str:
    """Where the model is saved."""
    name = "stdin" if a.data == "-" else os.path.splitext(os.path.basename(a.data.rstrip("/").removesuffix(".gz")))[0]
    return f"{name}.given" if a.output is None else a.output


def plan(model: Model, data: Source) -> dict[str, str]:
    """What was inferred, line by line."""
    why = dict(note.split(": ", 1) for note in model.notes)
    lines = dict[str, str]()
    for name in data.names:
        if name in model.joint.columns:
            lines[f"column {name}"] = f"{model.joint.columns[name].codec!r}" + (f": {why[name]}" if name in why else "")
        else:
            lines[f"column {name}"] = why.get(name, "not in the formula")
    for factor in model.joint.declared:
        size = sum(p.numel() for p in factor.parameters())
        how = f"{size:,} parameters learned by gradient, 2 minutes by default" if size else "counted or solved, in seconds"
        lines[str(factor)] = f"{type(factor).__name__}, {how}"
    return lines
