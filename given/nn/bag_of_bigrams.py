"""BagOfBigrams: what a sequence of symbols holds, whatever its length and almost whatever its order.

    h(x) = W (sum_t e(x_t) + sum_t e'(x_t, x_t+1)) / how many there are

Pairs of neighbours share rows of a table by a hash, so a pair never met has a vector, too.

Source: Joulin, Grave, Bojanowski, Mikolov, BagOfBigrams of tricks for efficient text classification, 2017 / https://arxiv.org/abs/1607.01759
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.variables import Entries, Finite

__all__ = ["BagOfBigrams"]

_FACTOR = 1_000_003


class BagOfBigrams(nn.Module):
    """Symbols -> (B, C).

    Args:
        space: finite, of one axis or more, read in the order of its grid.
        width: C.
        pairs: rows of the table of pairs.
    """

    def __init__(self, space: Finite, width: int, *, pairs: int = 1 << 15) -> None:
        super().__init__()
        self.space, self.pairs = space, pairs
        self.nothing = space.size + pairs
        self.table = nn.Parameter(0.1 * torch.randn(self.nothing + 1, width))

    def forward(self, x: Entries) -> Tensor:
        """What is seen and valid of (B, *grid): (B, C)."""
        flat = x.flat(self.space)
        symbols, there = flat.tensor.long(), flat.readable
        pair = (symbols[:, :-1] * _FACTOR + symbols[:, 1:]) % self.pairs + self.space.size
        both = there[:, :-1] & there[:, 1:]
        rows = torch.cat([torch.where(there, symbols, self.nothing), torch.where(both, pair, self.nothing)], 1)
        return F.embedding_bag(rows, self.table, mode="mean", padding_idx=self.nothing)
