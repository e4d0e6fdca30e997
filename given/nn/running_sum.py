"""RunningSum: a causal net whose every step reads the sum of the vectors of what was drawn before it.

    s_t = h_0 + ... + h_t,    features_t = MLP(s_t, which entry step t draws)

A sum knows no order: what is known is one and the same vector however it came to be known, which another net of every order
has to learn. A step costs as much as any other, and its cache is one vector a row. Every entry reads the sum by a scale and a
shift of each channel of its own; the layers are shared. It serves the columns of a table, where places mean nothing; sequences
ask for a net that knows places, such as `Transformer`.

Source: Uria, Murray, Larochelle, A deep and tractable density estimator, 2014 / https://arxiv.org/abs/1310.1757
Zaheer, Kottur, Ravanbakhsh, Poczos, Salakhutdinov, Smola, Deep sets, 2017 / https://arxiv.org/abs/1703.06114
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.causal import Causal
from given.nn.context import Condition
from given.nn.dropout import Dropout
from given.nn.linear import Linear, RMSNorm
from given.nn.order import Grid

__all__ = ["RunningSum"]


@dataclass
class _Sum:
    """What was read so far, y among it: (B, C)."""

    total: Tensor

    def rows(self, index: Tensor) -> _Sum:
        return _Sum(self.total[index])


class RunningSum(Causal):
    """A sum of tokens and residual layers.

    Args:
        grid: where the entries stand.
        order: of drawing, or None for any; not used.
        attends: whether y has tokens, which it does not read.
        width: C.
        layers: how many.
        hidden: of a layer, in units of C.
        dropout: probability, while training.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 96, layers: int = 2,
                 hidden: float = 2, dropout: float = 0.1) -> None:
        super().__init__(attends=attends)
        self.width = width
        self.scale = nn.Parameter(torch.ones(len(grid.places), width))
        self.shift = nn.Parameter(torch.randn(len(grid.places), width) * 0.5)
        self.first, self.norm = RMSNorm(width), RMSNorm(width)
        self.layers = nn.ModuleList(_Layer(width, round(hidden * width), dropout) for _ in range(layers))

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        return self._features(h.cumsum(1) + y.pooled[:, None], order)

    def start(self, y: Condition) -> _Sum:
        return _Sum(y.pooled)

    @torch.no_grad()
    def step(self, h: Tensor, order: Tensor, t: int, cache: _Sum) -> Tensor:  # type: ignore[override]
        total = (h if h.shape[1] == 1 else h.cumsum(1)) + cache.total[:, None]
        cache.total = total[:, -1]
        return self._features(total, order[:, t:t + h.shape[1]])

    def _features(self, total: Tensor, order: Tensor) -> Tensor:
        """(B, s, C) sums, order (1 or B, s) -> (B, s, C)."""
        h = torch.addcmul(self.shift[order], self.first(total), self.scale[order])
        for layer in self.layers:
            h = h + layer(h)
        return self.norm(h)


class _Layer(nn.Module):
    """Two matrices with a SiLU between."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.drop = RMSNorm(width), Dropout(dropout)
        self.up, self.down = Linear(width, hidden), Linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        return self.down(self.drop(F.silu(self.up(self.norm(h)))))
