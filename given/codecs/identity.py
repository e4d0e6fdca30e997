"""IdentityCodec: entries that are their own raw values, for latents, for tests, and inside families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from given.variables import Codec, Entries, Finite, Real, Space, UserError

__all__ = ["IdentityCodec"]


class IdentityCodec(Codec):
    """Raw values already are entries of `space`; NaN in a real space means unseen.

    Args:
        space: a `Finite` or a `Real`.
    """

    def __init__(self, space: Space) -> None:
        if not isinstance(space, Finite | Real):
            raise UserError(f"IdentityCodec: expected Finite or Real, got {space}; use BlockCodec for a block")
        self._space = space

    @property
    def space(self) -> Space:
        return self._space

    @property
    def measure(self) -> str:
        if isinstance(self._space, Real) and self._space.atoms:
            return "counting on atoms, length in raw units elsewhere"
        return "counting" if isinstance(self._space, Finite) else "length in raw units"

    def learn(self, raw: np.ndarray) -> None:
        """There is nothing to learn; the batch is checked."""
        self.encode(raw)

    def encode(self, raw: np.ndarray) -> Entries:
        if raw.shape[1:] != self._space.shape:
            raise UserError(f"expected (B, {', '.join(map(str, self._space.shape))}), got {raw.shape}")
        if isinstance(self._space, Real):
            r = np.asarray(raw, dtype=np.float64)
            return Entries(torch.from_numpy(np.nan_to_num(r)), torch.from_numpy(~np.isnan(r)))
        assert isinstance(self._space, Finite)
        if raw.size and (raw.dtype.kind not in "biu" or raw.min() < 0 or raw.max() >= self._space.size):
            raise UserError(f"expected symbols 0 to {self._space.size - 1}, got others")
        return Entries(self._space.narrow(raw))

    def decode(self, x: Entries) -> np.ndarray:
        return x.tensor.detach().cpu().numpy()

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass

    def __repr__(self) -> str:
        return f"IdentityCodec({self._space})"
