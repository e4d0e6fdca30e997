"""Feedforward: what a layer does with each step by itself.

Source: Hendrycks, Gimpel, Gaussian error linear units, 2016 / https://arxiv.org/abs/1606.08415
Shazeer, GLU variants improve transformer, 2020 / https://arxiv.org/abs/2002.05202
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.linear import Linear

__all__ = ["GELU", "SwiGLU"]


class GELU(nn.Module):
    """Two matrices with a GELU between.

    Args:
        width: C.
        hidden: of the layer between, in units of C.
    """

    def __init__(self, width: int, hidden: float = 4) -> None:
        super().__init__()
        self.up, self.down = Linear(width, round(hidden * width)), Linear(round(hidden * width), width)

    def forward(self, h: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.down(F.gelu(self.up(h), approximate="tanh"))


class SwiGLU(nn.Module):
    """Two matrices with a gated unit between, silu(a) b.

    Args:
        width: C.
        hidden: of the layer between, in units of C; 8/3 by default, as many weights as `GELU`.
    """

    def __init__(self, width: int, hidden: float = 8 / 3) -> None:
        super().__init__()
        between = -(-round(hidden * width) // 8) * 8
        self.up, self.down = Linear(width, 2 * between, bias=False), Linear(between, width, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        gate, value = self.up(h).chunk(2, -1)
        return self.down(F.silu(gate) * value)
