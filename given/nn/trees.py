"""Trees: which leaf of binary decision trees rows of numbers reach, all trees at once and without a step from node to node.

The leaves of a tree are bits, from the left. A node whose right child a row goes to clears the bits of the leaves left of it;
of what remains after all nodes the lowest bit is the leaf that the row reaches. Features that come from two sides are ANDed.

Source: Lucchese et al., QuickScorer: a fast algorithm to rank documents with additive ensembles of regression trees, 2015 /
https://doi.org/10.1145/2766462.2767733
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["MOST_LEAVES", "leaf_values", "leaves_left"]

MOST_LEAVES = 62  # bits of a whole number, without its sign and one to spare
_AT_ONCE = 1 << 22  # rows times nodes


def leaves_left(nodes: Tensor, thresholds: Tensor, rows: Tensor) -> Tensor:
    """The leaves that no node rules out, as bits: (B, T) int64.

    Args:
        nodes: (T, I, 3) int64: the feature a node asks for, whether a row that lacks it goes left, and the bits that stay where
            a row goes right.
        thresholds: (T, I) float64: up to where a feature goes left; infinite where there is no node.
        rows: (B, F) float64, NaN where a feature is lacking, -inf where another side has it.
    """
    feature, lacking_left, kept = nodes.unbind(-1)
    found = []
    for block in rows.split(max(1, _AT_ONCE // max(1, feature.numel()))):
        value = block[:, feature.flatten()].view(len(block), *feature.shape)
        right = torch.where(value.isnan(), lacking_left == 0, value > thresholds)
        left = torch.where(right, kept, -1)
        while left.shape[-1] > 1:  # AND by halves
            half = left.shape[-1] // 2
            left = torch.cat([left[..., :half] & left[..., half:2 * half], left[..., 2 * half:]], -1)
        found.append(left[..., 0])
    return torch.cat(found)


def leaf_values(left: Tensor, values: Tensor) -> Tensor:
    """The value of the leftmost leaf that is left: (*batch, T) float64.

    Args:
        left: (*batch, T) bits of leaves.
        values: (T, L) float64.
    """
    leaf = (left & -left).double().log2().round().long()
    flat = leaf + torch.arange(len(values), device=left.device) * values.shape[1]
    return values.flatten()[flat]
