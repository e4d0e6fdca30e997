"""Device: where a model is and learns, by the name a person gives."""

from __future__ import annotations

import copy

import torch

from given.joint import Joint
from given.variables import UserError

__all__ = ["named_device", "on_processor"]


def named_device(name: str | torch.device) -> torch.device:
    """The device of a name: `cpu`, `cuda` or `cuda:1`, or `auto`, which is an accelerator where there is one.

    Raises:
        UserError: there is no such device here, or it cannot hold a model.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = str(name).partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise UserError(f"device={str(name)!r}; expected 'auto', 'cpu', 'cuda' or 'mps'")
    if kind == "mps":
        here = "there is none here" if not torch.backends.mps.is_available() else "it has no numbers of 64 bits, as scores need"
        raise UserError(f"device='mps': {here}; pass 'cpu'")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(f"device={str(name)!r}: there is none here; pass 'cpu', or 'auto' for what there is")
    return torch.device(name)


def on_processor(joint: Joint) -> Joint:
    """The joint there, whose last bits, which coding rests on, do not depend on an accelerator."""
    return joint if joint.device.type == "cpu" else copy.deepcopy(joint).to("cpu")
