"""Windows: the whole windows of stored pictures, and how far each is from one of which a part is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from given.variables import Finite, Space

__all__ = ["Matches", "Windows", "on_canvas", "patterns"]

_AT_ONCE = 1 << 24  # distances
_ALIKE = 1e-6  # a mean squared distance, of levels between 0 and 1, that rounding makes


@dataclass(frozen=True)
class Matches:
    """The windows that match some targets.

    Attributes:
        target: (n,) rising, the number of a target.
        window: (n,) the number of a window that matches it.
        weight: (n,) float64, the window's share of all that match that target.
    """

    target: Tensor
    window: Tensor
    weight: Tensor

    def pick(self, u: Tensor) -> Tensor:
        """One window for every target, by uniform numbers u (P,): (P,) int64, -1 where none matches."""
        last = torch.searchsorted(self.target, torch.arange(len(u), device=u.device), right=True)
        first = torch.searchsorted(self.target, torch.arange(len(u), device=u.device))
        cumulative = torch.cat([self.weight.new_zeros(1), self.weight.cumsum(0)])
        place = torch.searchsorted(cumulative[1:], (cumulative[first] + u * (cumulative[last] - cumulative[first])))
        place = torch.minimum(torch.maximum(place, first), last - 1)
        found = self.window[place.clamp(min=0)] if len(self.window) else torch.zeros_like(place)
        return torch.where(last > first, found, -1)


class Windows:
    """Whole windows, height x width places each.

    Args:
        items: (N, *grid) levels of stored pictures.
        seen: (N, *grid) what of them is known; a window counts where all of it is.
        shares: (S, N) float64 weights of the pictures under each of S conditions.
        size: height and width of a window.
        space: of a picture: height, width and perhaps channels.

    Attributes:
        centres: (M, C) int64, the levels in the middle of every window.
        places: (M, 3) int64, picture, row and column of its upper left corner.
    """

    def __init__(self, items: Tensor, seen: Tensor, shares: Tensor, size: tuple[int, int], space: Finite) -> None:
        self.size, self.space = size, space
        levels, seen = on_canvas(items, space), on_canvas(seen, space)
        self.levels = levels
        self.pictures = torch.where(seen, scaled(levels, space), 0.0)
        whole = -F.max_pool2d(-seen.all(1, keepdim=True).float(), size, 1)[:, 0] > 0.5
        self.places = whole.nonzero()
        self.whole = whole.flatten()
        self.weight = shares[:, self.places[:, 0]]
        n, i, j = self.places.unbind(1)
        self.centres = levels[n, :, i + size[0] // 2, j + size[1] // 2]

    def __len__(self) -> int:
        return len(self.places)

    def patch(self, window: Tensor) -> Tensor:
        """The levels of windows (...,): (..., C, height, width)."""
        n, i, j = (t[..., None, None] for t in self.places[window].unbind(-1))
        rows = torch.arange(self.size[0], device=window.device)[:, None]
        return self.levels[n, :, i + rows, j + torch.arange(self.size[1], device=window.device)].movedim(-1, -3)

    def distances(self, target: Tensor, known: Tensor) -> Tensor:
        """(P, M) mean squared distances over what is known.

        Args:
            target: (P, C, height, width) values between 0 and 1, as of `scaled`.
            known: the weight of every entry, 0 where it is unknown; (P, C, height, width).
        """
        total = known.flatten(1).sum(1)
        apart = (F.conv2d(self.pictures.square(), known) - 2 * F.conv2d(self.pictures, known * target)).movedim(1, 0).flatten(1)
        apart = apart if len(self.places) == len(self.whole) else apart[:, self.whole]
        apart = apart + (known * target.square()).flatten(1).sum(1)[:, None]
        return apart / total.clamp(min=1e-12)[:, None]

    def matches(self, target: Tensor, known: Tensor, state: Tensor, tolerance: float) -> Iterator[tuple[slice, Matches]]:
        """Of targets, so many at a time: the windows no further than (1 + tolerance) times the nearest.

        Args:
            target, known: as of `distances`.
            state: (P,) of which condition.
        """
        for first in range(0, len(target), step := max(1, _AT_ONCE // max(1, len(self.whole)))):
            some = slice(first, first + step)
            apart, weight = self.distances(target[some], known[some]), self.weight
            weight = weight if len(weight) == 1 else weight[state[some]]
            apart = torch.where(weight > 0, apart, torch.inf)
            reach = apart.amin(1, keepdim=True) * (1 + tolerance) + _ALIKE
            which, window = (apart <= torch.where(reach.isinf(), -1.0, reach)).nonzero().unbind(1)
            mass = weight[which if len(weight) > 1 else 0, window]
            total = torch.zeros(len(apart), dtype=torch.float64, device=mass.device).index_add_(0, which, mass)
            yield some, Matches(which, window, mass / total[which])


def on_canvas(t: Tensor, space: Space) -> Tensor:
    """(..., *grid) of pictures as (..., C, height, width)."""
    return t.unsqueeze(-3) if len(space.axes) == 2 else t.movedim(-1, -3)


def scaled(levels: Tensor, space: Finite) -> Tensor:
    """Levels as float32 about 0, one apart from the least to the greatest: products of these lose fewest digits."""
    return levels.float() / max(1, space.size - 1) - 0.5


def patterns(known: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of (B, *grid) that know the same: their numbers (n,), and what they know (*grid)."""
    each, which = known.flatten(1).unique(dim=0, return_inverse=True)
    for i, pattern in enumerate(each):
        yield (which == i).nonzero()[:, 0], pattern.reshape(known.shape[1:])
