"""Sets of items on one axis: the same set has the same entries, in whatever order its items came."""

from __future__ import annotations

import torch
from torch import Tensor

from given.variables.entries import Entries
from given.variables.spaces import Finite

__all__ = ["counted", "in_order", "log_repeats", "most_items", "reordered"]


def most_items(space: Finite) -> int:
    """How many items there is room for, beside the end."""
    return (space.dimensions - 1) // len(space.pattern)


def counted(x: Entries, space: Finite) -> Tensor:
    """How many items rows (*shape, D) have, the end and padding left out: (*shape,) int64."""
    there = x.valid & (x.tensor != space.end)  # type: ignore[operator]
    return there.sum(-1) // len(space.pattern)


def in_order(x: Entries, space: Finite) -> Entries:
    """Rows (*shape, D) with their items sorted by their symbols, the first entry first."""
    values, k = x.tensor, len(space.pattern)
    items = values[..., :-1].unflatten(-1, (-1, k))
    beyond = torch.arange(items.shape[-2], device=values.device) >= counted(x, space)[..., None]
    order = torch.arange(items.shape[-2], device=values.device).expand(items.shape[:-1])
    for entry in reversed(range(k)):
        key = items[..., entry].masked_fill(beyond, space.size).gather(-1, order)
        order = order.gather(-1, key.argsort(dim=-1, stable=True))
    return reordered(x, order, space)


def reordered(x: Entries, order: Tensor, space: Finite) -> Entries:
    """Rows (*shape, D) with their items in an order (*shape, most), whose first places are the items there are."""
    items = x.tensor[..., :-1].unflatten(-1, (-1, len(space.pattern)))
    moved = items.gather(-2, order[..., None].expand_as(items)).flatten(-2)
    # The end stands behind the items, among what never moves.
    ended = torch.where(torch.arange(moved.shape[-1], device=order.device) < counted(x, space)[..., None] * len(space.pattern),
                        moved, x.tensor[..., :-1])
    return x.of(torch.cat([ended, x.tensor[..., -1:]], -1))


def log_repeats(x: Entries, space: Finite) -> Tensor:
    """log(m_1! m_2! ...) of rows (*shape, D), m_i how often items are alike: (*shape,) float64."""
    items = x.tensor[..., :-1].unflatten(-1, (-1, len(space.pattern)))
    place = torch.arange(items.shape[-2], device=items.device)
    there = place < counted(x, space)[..., None]
    alike = (items[..., :, None, :] == items[..., None, :, :]).all(-1) & there[..., None] & (place <= place[:, None])
    # The j-th of items that are alike counts j.
    return alike.sum(-1).clamp(min=1).double().log().sum(-1)
