"""Lloyd's algorithm: each row with its nearest centre, each centre the mean of its rows.

    min_c sum_i w_i min_k |x_i - c_k|^2

Neither step raises the sum, so it ends. What is unseen of a row counts neither in its distance nor in a mean.

Source: Lloyd, Least squares quantization in PCM, 1982 / https://doi.org/10.1109/TIT.1982.1056489
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["lloyd", "squared_distances"]


def squared_distances(rows: Tensor, seen: Tensor | None, centres: Tensor) -> Tensor:
    """(N, K) sums over what is seen (N, D) of (x_d - c_kd)^2; of everything where `seen` is None."""
    if seen is None:
        return torch.cdist(rows, centres) ** 2
    x, s = torch.where(seen, rows, 0.0), seen.double()
    return ((x**2).sum(1, keepdim=True) - 2 * x @ centres.T + s @ (centres**2).T).clamp(min=0)


def lloyd(rows: Tensor, seen: Tensor | None, weight: Tensor, centres: Tensor, most_passes: int = 100,
          tolerance: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Centres (K, D) that no pass moves much, and which of them is nearest to each row (N,).

    Args:
        rows: (N, D) float64.
        seen: (N, D) bool; None where everything is.
        weight: (N,) how much each row counts.
        centres: (K, D) where it starts; one that is nearest to no row stays.
        most_passes: over the rows.
        tolerance: stop when the sum falls by less than this share of itself.
    """
    before = torch.inf
    for _ in range(most_passes):
        least, nearest = squared_distances(rows, seen, centres).min(1)
        total = float(weight @ least)
        if before - total <= tolerance * total:
            break
        before, centres = total, means(rows, seen, weight, nearest, centres)
    return centres, nearest


def means(rows: Tensor, seen: Tensor | None, weight: Tensor, nearest: Tensor, centres: Tensor) -> Tensor:
    """(K, D) the mean of what is seen of the rows with each centre; the centre itself where nothing is."""
    amount = weight[:, None].expand_as(rows) if seen is None else weight[:, None] * seen
    value = rows if seen is None else torch.where(seen, rows, 0.0)
    counts = torch.zeros_like(centres).index_add_(0, nearest, amount)
    sums = torch.zeros_like(centres).index_add_(0, nearest, amount * value)
    return torch.where(counts > 0, sums / counts, centres)
