"""Stacked: the columns of a real block end to end, so that a law of one real vector serves the block."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.laws.law import Averaged, How, Law, Modal
from given.laws.noise import Noise
from given.variables import Axis, Entries, Product, Real, Space

__all__ = ["Stacked"]


class Stacked(Law):
    """A law of a block of real columns, by way of a law of their entries in one row.

    Args:
        law: over `Stacked.real(space)`.
        space: the block.
    """

    def __init__(self, law: Law, space: Product) -> None:
        super().__init__(space, law.n)
        self.law = law
        self.kind = law.kind

    @staticmethod
    def real(space: Space) -> Real:
        """The real vector that holds a space's entries."""
        return Real(axes=(Axis("entry", space.dimensions),))

    @staticmethod
    def flatten(x: Entries, space: Space) -> Entries:
        """(*shape, B, ...) entries of a real space or block -> (*shape, B, D)."""
        if not isinstance(space, Product):
            axes = len(space.axes)
            return x.map(lambda t: t.reshape(*t.shape[: t.dim() - axes], -1))
        columns = x.columns
        parts = [Stacked.flatten(columns[name], column) for name, column in space.columns]
        return Entries(*(torch.cat([getattr(p, mask) for p in parts], -1) for mask in ("values", "seen", "valid")))

    def _unflatten(self, x: Entries) -> Entries:
        assert isinstance(self.space, Product)
        sizes = [space.dimensions for _, space in self.space.columns]
        parts = x.tensor.split(sizes, -1)
        return Entries({name: part.reshape(*part.shape[:-1], *space.shape)
                        for (name, space), part in zip(self.space.columns, parts, strict=True)})

    def sample(self, shape: Sequence[int] = (), *, seed: int | Noise = 0, how: How | None = None) -> Entries:
        return self._unflatten(self.law.sample(shape, seed=seed, how=how))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return self.law.log_prob(self.flatten(x, self.space), seed=seed)

    def condition(self, evidence: Entries) -> Stacked:
        assert isinstance(self.space, Product)
        return Stacked(self.law.condition(self.flatten(evidence, self.space)), self.space)

    def mean(self) -> Entries:
        """The mean: (B, ...) a column."""
        assert isinstance(self.law, Averaged)
        return self._unflatten(self.law.mean())

    def mode(self) -> Entries:
        """The mode: (B, ...) a column."""
        assert isinstance(self.law, Modal)
        return self._unflatten(self.law.mode())
