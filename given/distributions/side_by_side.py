"""SideBySide: several blocks a row, independent of one another; within a block the entries are joint.

    p(x_1, ..., x_n) = prod_k p_k(x_k),   x_k of G entries

`Table` is the joint distribution of a block of few symbols: one probability for every value the block can take.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable
from given.distributions.factorized import Factorized
from given.distributions.noise import Noise, inverse_cdf_sample
from given.variables import Axis, Entries, Finite

__all__ = ["SideBySide", "Table", "block_scores"]


class Table(Distribution):
    """All G symbols of a block together.

    Args:
        logits: (M, V ** G), of the values in their order, the last entry the fastest.
        space: finite, of an axis of G entries.
    """

    def __init__(self, logits: Tensor, space: Finite) -> None:
        super().__init__(space, len(logits), logits.device)
        self.log_p = logits.double().log_softmax(-1)
        G = space.dimensions
        self.place = torch.tensor([space.size ** k for k in reversed(range(G))], device=logits.device)
        every = list(itertools.product(range(space.size), repeat=G))
        self.values = torch.tensor(every, device=logits.device)

    def pick(self, u: Tensor) -> Tensor:
        """The values (*shape, M, G) that the first of G uniform numbers (*shape, M, G) picks."""
        return self.values[inverse_cdf_sample(self.log_p.exp(), u[..., 0])]

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return Entries(self.pick(noise.uniform(shape, self.space.shape)))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        at = (x.tensor.long() * self.place).sum(-1)
        return self.log_p.expand(*at.shape, -1).gather(-1, at[..., None]).squeeze(-1)


class SideBySide(Distribution):
    """B rows of n blocks of G entries, laid end to end on one axis.

    Args:
        inner: the distribution of B n rows of a block, with `pick`.
        n: B.
        alone: whether the one entry of the one block of a row has no axis.
    """

    def __init__(self, inner: Any, n: int, *, alone: bool = False) -> None:
        self.count, self.size = inner.n // n, inner.space.dimensions
        axes = () if alone else (Axis("group", self.count * self.size),)
        super().__init__(replace(inner.space, axes=axes), n, inner.device)
        self.inner, self.kind = inner, inner.kind

    def pick(self, u: Tensor) -> Tensor:
        """The values (*shape, B, n G) that as many uniform numbers in (0, 1) pick."""
        lead = u.shape[:u.dim() - 1 - len(self.space.axes)]
        return self.inner.pick(u.reshape(*lead, self.inner.n, self.size)).reshape(u.shape)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return Entries(self.pick(noise.uniform(shape, self.space.shape)))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        values = x.tensor if self.space.axes else x.tensor[:, None]
        return block_scores(self, values, self.count, Noise.of(seed, self.n, device=self.device)).sum(-1)

    @property
    def log_probs(self) -> Tensor:
        """Of symbols one by one there are none."""
        raise Intractable("a block's entries are drawn together, and have no probabilities one by one; learn with a head of "
                          "single entries, such as CategoricalHead")


def block_scores(distribution: Any, values: Tensor, count: int, noise: Noise) -> Tensor:
    """log p of each of `count` blocks, (B, n) float64, of values (B, n G) under a distribution of B rows of them."""
    if isinstance(distribution, Factorized):
        values = values.long() if isinstance(distribution.space, Finite) else values
        return distribution.each(values).unflatten(-1, (count, -1)).sum(-1)
    B = distribution.n
    each = Noise(noise.repeat(count).keys.reshape(count, B).T.reshape(-1))
    inner = distribution.inner
    values = values.long() if isinstance(inner.space, Finite) else values
    return inner.log_prob(Entries(values.reshape(B * count, -1)), seed=each).reshape(B, count)
