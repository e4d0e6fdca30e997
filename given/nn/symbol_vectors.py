"""Symbol vectors: a vector for every symbol, which for levels among them is a point of a curve and a little beside it.

    W_v = free_v + sum_k phi_k(u_v) c_k,   u_v the level's place in [-1, 1]

phi are a line, a parabola and bumps of several widths, so that what is learned of a level holds for those near it; logits on a
parabola are those of a rounded normal distribution. With free_v no matrix is lost: only the way to it is shorter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from given.variables import Finite

__all__ = ["SymbolVectors"]

_STEEP = 4.0  # of the line and the parabola, which reach farther than bumps
_WIDEST = 0.5  # of bumps; the narrowest are two levels wide at least


class SymbolVectors(nn.Module):
    """Vectors (V, C) of the symbols of a space.

    Args:
        space: finite, with levels.
        free: (V or more, C) what is beside the curves as learning begins.
        spread: of the curves' coefficients as it begins.
    """

    def __init__(self, space: Finite, free: Tensor, *, spread: float = 0.0) -> None:
        super().__init__()
        self.runs = space.levels
        self.free = nn.Parameter(free)
        self.curves = nn.ParameterList()
        for i, (first, beyond) in enumerate(self.runs):
            phi = _curves(beyond - first)
            self.register_buffer(f"phi{i}", phi, persistent=False)
            self.curves.append(nn.Parameter(torch.randn(phi.shape[1], free.shape[1]) * spread))

    def forward(self) -> Tensor:
        """All vectors."""
        parts, at = list[Tensor](), 0
        for i, (first, beyond) in enumerate(self.runs):
            parts += [self.free[at:first], self.free[first:beyond] + self.get_buffer(f"phi{i}") @ self.curves[i]]
            at = beyond
        return torch.cat([*parts, self.free[at:]])


def _curves(n: int) -> Tensor:
    """phi of n levels: (n, K)."""
    u = (torch.arange(n) + 0.5) * (2 / n) - 1
    found, wide = [_STEEP * u, _STEEP * u * u], _WIDEST
    while wide >= 4 / n:
        found += [torch.exp(-0.5 * ((u - middle) / wide) ** 2) for middle in torch.arange(-1, 1 + wide / 2, wide).tolist()]
        wide /= 2
    return torch.stack(found, 1)
