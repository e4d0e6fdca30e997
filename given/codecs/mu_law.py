"""MuLaw: samples of a sound as levels that are finer where it is quiet.

    level = floor(L (f(r) + 1) / 2),    f(r) = sign(r) log(1 + mu |r| / full) / log(1 + mu),    mu = L - 1

A level is an interval of raw samples, within which a density is even, so that it is measured by length in raw units; a sample
comes back as its middle, no further away than half of its interval.

Source: ITU-T, Recommendation G.711: pulse code modulation of voice frequencies, 1972
van den Oord et al., WaveNet: a generative model for raw audio, 2016 / https://arxiv.org/abs/1609.03499
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.variables import Codec, Entries, Finite, UserError

__all__ = ["MuLaw"]

_FULL = {"i": 1 << 15, "f": 1.0}  # of whole numbers of 16 bits, and of reals
_SAMPLES = {"i": "whole samples of 16 bits", "f": "real samples"}


class MuLaw(Codec):
    """A sample of a sound, int16 or a real within -1 and 1; `Series(MuLaw())` is a sound. It comes back as those learned from
    are; either is read, 32,768 being 1.

    Args:
        levels: how many, from 2; 256 of telephones and of WaveNet.
    """

    lossy = 0.0

    def __init__(self, levels: int = 256) -> None:
        if not isinstance(levels, int) or not 2 <= levels <= 1 << 15:
            raise UserError(f"MuLaw: levels={levels!r}; expected a whole number from 2 to {1 << 15}")
        self.levels, self.kind = levels, ""

    @property
    def space(self) -> Finite:
        self._learned()
        return Finite(self.levels, ordered=True)

    @property
    def measure(self) -> str:
        return "length in raw units"

    def learn(self, raw: np.ndarray) -> None:
        kind = raw.dtype.kind
        if kind not in _FULL:
            raise UserError(f"expected samples, int16 or real, got {raw.dtype}")
        if self.kind and kind != self.kind:
            raise UserError(f"expected {_SAMPLES[self.kind]} as before, got {raw.dtype}")
        self.kind = kind
        _check(raw)

    def encode(self, raw: np.ndarray) -> Entries:
        kind = raw.dtype.kind
        if kind not in _FULL:
            raise UserError(f"expected samples, int16 or real, got {raw.dtype}")
        _check(raw)
        edges = self.edges()
        level = np.searchsorted(edges[1:-1], raw * (_FULL[self._learned()] / _FULL[kind]), side="right")
        return Entries(self.space.narrow(level))

    def decode(self, x: Entries) -> np.ndarray:
        edges = self.edges()
        middles = (edges[1:] + edges[:-1]) / 2
        if self.kind == "i":
            middles = np.floor(middles)
        found: np.ndarray = middles[x.tensor.cpu().numpy().astype(np.int64)]
        return found.astype(np.int16 if self.kind == "i" else np.float32)

    def edges(self) -> np.ndarray:
        """(levels + 1,) float64, rising: level k is of raw samples from the k-th to below the next."""
        full = _FULL[self._learned()]
        f = np.linspace(-1, 1, self.levels + 1)
        edges: np.ndarray = full * np.sign(f) * np.expm1(np.abs(f) * np.log(self.levels)) / (self.levels - 1)
        return edges

    def log_volume(self, x: Entries) -> Tensor:
        widths = torch.from_numpy(np.log(np.diff(self.edges())))
        each = torch.where(x.scored, -widths[x.tensor.long().cpu()].to(x.device), 0.0)
        return each

    @property
    def affine(self) -> bool:
        return False

    def state(self) -> dict[str, Any]:
        return {"kind": self._learned()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.kind = str(state["kind"])

    def _learned(self) -> str:
        if not self.kind:
            raise UserError("MuLaw() has not seen data yet; let it learn first")
        return self.kind

    def __repr__(self) -> str:
        return "MuLaw()" if self.levels == 256 else f"MuLaw(levels={self.levels})"


def _check(raw: np.ndarray) -> None:
    """Raise where a sample is beyond full scale."""
    kind = raw.dtype.kind
    full = _FULL[kind]
    wrong = ~((raw >= -full) & (raw < full if kind == "i" else raw <= full))
    if wrong.any():
        row = int(np.flatnonzero(wrong.reshape(len(raw), -1).any(1))[0])
        raise UserError(f"got a sample of {raw[wrong][0]:g}; expected {_SAMPLES[kind]} within {-full:g} and {full:g}; divide "
                        "all sounds by one number", row)
