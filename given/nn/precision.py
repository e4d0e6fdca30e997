"""Precision: where 16 bits multiply, and where they do not."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

__all__ = ["in_sixteen_bits", "sixteen_bits"]


def sixteen_bits(device: torch.device) -> bool:
    """Whether matrices are multiplied in 16 bits there now."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def in_sixteen_bits(device: torch.device, enabled: bool) -> AbstractContextManager[object]:
    """Matrices are multiplied in 16 bits only where they were before, and this is enabled."""
    return torch.autocast(device.type, enabled=enabled) if sixteen_bits(device) else nullcontext()
