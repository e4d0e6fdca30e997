"""Masked nets: every block's features from what is known of all blocks, before it or after it.

A token says where its block stands, and holds its value where that is known, else a learned mask. A net that reads both ways
must never be given the value that it is asked for: what is not known is left out of the tokens here, and nowhere else.

Source: Devlin, Chang, Lee, Toutanova, BERT, 2018 / https://arxiv.org/abs/1810.04805
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from given.nn.embedding import _Value
from given.nn.order import Grid
from given.nn.transformer import Transformer
from given.variables import Space, UserError

__all__ = ["BlockEmbedding", "MaskedTransformer"]


class BlockEmbedding(nn.Module):
    """Tokens (B, N, C) of N blocks of G entries.

    Args:
        space: of D entries; one grid.
        width: C.
        blocks: (N, G), the entries of each.
    """

    blocks: Tensor

    def __init__(self, space: Space, width: int, *, blocks: Tensor) -> None:
        super().__init__()
        self.register_buffer("blocks", blocks, persistent=False)
        self.place = nn.Parameter(torch.randn(len(blocks), width) * 0.02)
        self.mask = nn.Parameter(torch.randn(width) * 0.02)
        self.value = _Value(space, blocks.shape[1], width)

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """(B, D) values, of which only those of known blocks (B, N) are read -> tokens (B, N, C)."""
        unknown = ~known[..., None]
        held = values[:, self.blocks]
        return self.place + self.value(held, unknown.expand_as(held)) + torch.where(unknown, self.mask, 0.0)


class MaskedTransformer(Transformer):
    """A transformer whose blocks attend to one another, both ways: one pass serves every block that is unknown, in any order
    of blocks. It remembers nothing from step to step. Arguments as of `Transformer`, window left out.
    """

    masked = True

    def __init__(self, grid: Grid, **options: Any) -> None:
        if options.get("window") is not None:
            raise UserError("MaskedTransformer: window is of steps in an order, and it reads all blocks; leave it out")
        super().__init__(grid, **options)

    def _seen(self, layer: int, order: Tensor, t: int, s: int) -> Tensor:
        """(1, 1 or H, s, s) what is added to the scores: nothing is hidden."""
        bias = self.positions.bias(layer, order, t, s)  # type: ignore[operator]
        return torch.zeros(1, 1, s, s, device=order.device) if bias is None else bias
