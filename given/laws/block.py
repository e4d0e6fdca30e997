"""Block: a law for each column of a product, independent of one another given y."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from given.laws.law import How, Law, weakest
from given.laws.noise import Noise
from given.variables import Entries, Product

__all__ = ["Block"]


class Block(Law):
    """Independent columns.

    Args:
        laws: column name -> law, all of B rows.
    """

    def __init__(self, laws: Mapping[str, Law]) -> None:
        super().__init__(Product(tuple((k, law.space) for k, law in laws.items())), next(iter(laws.values())).n)
        self.laws = dict(laws)
        self.kind = weakest(law.kind for law in self.laws.values())

    def by(self, how: How) -> Block:
        return Block({k: law.by(how) for k, law in self.laws.items()})

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return Entries.block({k: law.sample(shape, seed=noise.fold(k)) for k, law in self.laws.items()})

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        columns, noise = x.columns, Noise.of(seed, self.n)
        return torch.stack([law.log_prob(columns[k], seed=noise.fold(k)) for k, law in self.laws.items()]).sum(0)

    def mode(self) -> Entries:
        """The mode of every column: (B, ...) each."""
        return Entries.block({k: law.mode() for k, law in self.laws.items()})

    def mean(self) -> Entries:
        """The mean of every column: (B, ...) each."""
        return Entries.block({k: law.mean() for k, law in self.laws.items()})

    def condition(self, evidence: Entries) -> Block:
        columns = evidence.columns
        return Block({k: law.condition(columns[k]) for k, law in self.laws.items()})
