"""ItemScores: how well every item of a set suits what is said of it.

    score_k = f(h_k) + <q(h_k), sum_m g_m v(h_m)> / sqrt(C),    g = softmax_m w(h_m), m over all that is no item

Items and all else that is read attend to one another, layer after layer, and become h. What is said is summed up, each token by
what it weighs, and an item's score is how far it points the same way: so what a word and a field have in common is learned as
such, where layers of attention alone would find it late. The order of items moves nothing.

Source: Vinyals, Fortunato, Jaitly, Pointer networks, 2015 / https://arxiv.org/abs/1506.03134
"""

from __future__ import annotations

import math

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
        self.read = RMSNorm(width)
        self.score = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1, bias=False))
        self.item, self.weigh = nn.Linear(width, width, bias=False), nn.Linear(width, 1, bias=False)
        self.said = nn.Linear(width, width)

    def forward(self, h: Tensor, there: Tensor, pooled: Tensor, items: slice) -> Tensor:
        """h (B, M, C), there (B, M) bool, pooled (B, C), the places of K items -> (B, K)."""
        asked = torch.zeros_like(h)
        asked[:, items] = self.asked(pooled).to(h.dtype)[:, None]
        h = self.read(self.among(h + asked, there))
        other = there.clone()
        other[:, items] = False  # the first token, of the whole set, is always there
        weight = self.weigh(h).squeeze(-1).masked_fill(~other, -torch.inf).softmax(1)
        said = self.said((weight[..., None] * h).sum(1))
        own: Tensor = self.score(h[:, items]).squeeze(-1)
        return own + (self.item(h[:, items]) * said[:, None]).sum(-1) / math.sqrt(h.shape[-1])
