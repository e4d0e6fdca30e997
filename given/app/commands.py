"""Commands: what each command of the line does, by the verbs of the library; a command loads its own module alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {"anomalies": ("anomalies",),
         "ask": ("complete", "compress", "decompress", "encode", "query", "rank", "sample"), "foresee": ("forecast",),
         "beside": ("drift", "quality"),
         "describe": ("map", "prototypes", "segments", "strip", "traverse"), "judge": ("compare", "diverge", "report", "score"),
         "learn": ("demo", "export", "fit", "update"),
         "sounds": ("hear", "speak"),
         "tasks": ("chat", "fill", "health", "impute", "keyboard", "molecules", "picture", "predict", "recognise", "risk",
                   "texture", "translate", "upscale"),
         "listing": ("completion", "families", "tasks")}  # the last need no torch

__all__ = ["command"]


def command(name: str) -> Any:
    """The function of a command."""
    home = next(module for module, commands in _HOME.items() if name in commands)
    return getattr(import_module(f"given.app.{home}"), name)
