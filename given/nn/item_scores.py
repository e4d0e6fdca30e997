"""ItemScores: how well every item of a set suits what is said of it: the items and all else that is read attend to one another,
layer after layer, and a net makes a number of what became of each item. The order of items moves nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from given.nn.linear import RMSNorm
from given.nn.readers.reader import Among

__all__ = ["ItemScores"]


class ItemScores(nn.Module):
    """Tokens of which some are items, to a score for each of these.

    Args:
        width: C.
        layers: of attention.
        dropout: probability, while training.
    """

    def __init__(self, width: int, *, layers: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.among, self.asked = Among(width, layers, dropout), nn.Linear(width, width)
        self.score = nn.Sequential(RMSNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1, bias=False))

    def forward(self, h: Tensor, there: Tensor, pooled: Tensor, items: slice) -> Tensor:
        """h (B, M, C), there (B, M) bool, pooled (B, C), the places of K items -> (B, K)."""
        asked = torch.zeros_like(h)
        asked[:, items] = self.asked(pooled).to(h.dtype)[:, None]
        found: Tensor = self.score(self.among(h + asked, there)[:, items])
        return found.squeeze(-1)
