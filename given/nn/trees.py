"""Trees: which leaf of binary decision trees rows of numbers reach, all trees at once and without a step from node to node.

The leaves of a tree are bits, from the left. A node whose right child a row goes to clears the bits of the leaves left of it;
of what remains after all nodes the lowest bit is the leaf that the row reaches. Features that come from two sides are ANDed.

Source: Lucchese et al., QuickScorer: a fast algorithm to rank documents with additive ensembles of regression trees, 2015 /
https://doi.org/10.1145/2766462.2767733
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["MOST_LEAVES", "leaf_values", "leaves_left", "node_tensors", "numbered"]

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


def node_tensors(forest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes and thresholds of a forest that scikit-learn has grown on features as they are, as `leaves_left` takes them, and
    values of leaves."""
    each = [numbered(trees[0].nodes) for trees in forest._predictors]
    T, I, L = len(each), max(len(parts[0]) for parts in each), max(len(parts[2]) for parts in each)
    nodes, thresholds, values = np.zeros((T, I, 3), np.int64), np.full((T, I), np.inf), np.zeros((T, L))
    nodes[..., 1] = 1
    nodes[..., 2] = -1
    for t, (node, threshold, value) in enumerate(each):
        nodes[t, :len(node)], thresholds[t, :len(threshold)], values[t, :len(value)] = node, threshold, value
    return torch.from_numpy(nodes), torch.from_numpy(thresholds), torch.from_numpy(values)


def numbered(tree: np.ndarray) -> tuple[list[list[int]], list[float], list[float]]:
    """A tree's nodes, their thresholds, and the values of its leaves from the left; at least one of each."""
    nodes, thresholds, values = list[list[int]](), list[float](), list[float]()

    def visit(i: int) -> None:
        node = tree[i]
        if node["is_leaf"]:
            values.append(float(node["value"]))
            return
        first = len(values)
        visit(node["left"])
        bits = (1 << len(values)) - (1 << first)
        nodes.append([int(node["feature_idx"]), int(node["missing_go_to_left"]), ~bits])
        thresholds.append(float(node["num_threshold"]))
        visit(node["right"])

    visit(0)
    return nodes or [[0, 1, -1]], thresholds or [np.inf], values
