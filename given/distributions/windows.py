"""Windows: the whole windows of stored pictures, and how far each is from one of which a part is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from given.variables import Finite, Space, UserError

__all__ = ["Matches", "Windows", "check_some", "on_canvas", "patterns", "scaled"]

_AT_ONCE = 1 << 24  # distances
_MOST = 1e30  # distance
_BLOCK = 64  # windows of which the nearest counts
_ALIKE = 1e-6  # a mean squared distance, of levels between 0 and 1, that rounding makes


@dataclass(frozen=True)
class Matches:
    """The windows that match some targets.

    Attributes:
        target: (n,) rising, the number of a target.
        window: (n,) the number of a window that matches it.
        weight: (n,) float64, the window's.
    """

    target: Tensor
    window: Tensor
    weight: Tensor

    def shared(self, targets: int) -> Matches:
        """With weights that sum to 1 over the matches of each of so many targets."""
        total = self.weight.new_zeros(targets).index_add_(0, self.target, self.weight)
        return Matches(self.target, self.window, self.weight / total[self.target])

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
        values = torch.where(seen, scaled(levels, space), 0.0)
        self.powers = torch.cat([values.square(), values], 1)
        whole = -F.max_pool2d(-seen.all(1, keepdim=True).float(), size, 1)[:, 0] > 0.5
        check_some(whole, size)
        self.places = whole.nonzero()
        self.whole = whole.flatten()
        self.weight = shares[:, self.places[:, 0]]
        n, i, j = self.places.unbind(1)
        self._counts = dict[float, int]()
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
        apart = F.conv2d(self.powers, torch.cat([known, -2 * known * target], 1)).movedim(1, 0).flatten(1)
        apart = apart if len(self.places) == len(self.whole) else apart[:, self.whole]
        apart = apart + (known * target.square()).flatten(1).sum(1)[:, None]
        return apart / total.clamp(min=1e-12)[:, None]

    def matches(self, target: Tensor, known: Tensor, state: Tensor, tolerance: float, share: float,
                barred: Callable[[slice, Matches], Tensor] | None = None) -> Iterator[tuple[slice, Matches]]:
        """Of targets, so many at a time: the windows no further than 1 + tolerance times the nearest, and so many more of the
        nearest that they have a share of all windows' weight.

        Args:
            target, known: as of `distances`.
            state: (P,) of which condition.
            barred: (n,) bool, which of n matches of such targets are none; nor is then any window with the same middle, and the
                nearest of the others match, unless there are no others.
        """
        for first in range(0, len(target), step := max(1, _AT_ONCE // max(1, len(self.whole)))):
            some = slice(first, first + step)
            apart, weight, least = self.distances(target[some], known[some]), self.weight, self.weight.sum(1) * share
            if len(weight) > 1:
                weight, least = weight[state[some]], least[state[some]]
            if self.some_absent:
                apart = torch.where(weight > 0, apart, torch.inf)
            weight, least = weight.expand(len(apart), -1), least.expand(len(apart))
            found = self._within(apart, weight, least, tolerance, share)
            while barred is not None and bool((out := barred(some, found)).any()):
                again, row = found.target[out].unique(return_inverse=True)
                gone = torch.zeros(len(again), int(self.middles.max()) + 1, dtype=torch.bool, device=apart.device)
                gone[row, self.middles[found.window[out]]] = True
                gone = gone[:, self.middles]
                left = ((apart[again] < _MOST) & ~gone).any(1)  # where something is left
                if not bool(left.any()):
                    break
                apart[again[left]] = apart[again[left]].masked_fill(gone[left], torch.inf)
                found = self._within(apart, weight, least, tolerance, share)
            yield some, found.shared(len(apart))

    def _within(self, apart: Tensor, weight: Tensor, least: Tensor, tolerance: float, share: float) -> Matches:
        """Those that match, by distances and weights (P, M)."""
        reach = torch.maximum(apart.amin(1) * (1 + tolerance), self._reached(apart, share)) + _ALIKE
        which, window = (apart <= reach.clamp(max=_MOST)[:, None]).nonzero().unbind(1)
        found = Matches(which, window, weight[which, window])
        return self._nearest(apart[which, window], found, least, tolerance) if share else found

    def completes(self, levels: Tensor, known: Tensor, window: Tensor) -> Tensor:
        """(n,) whether windows' middles, put into the middle of a picture, complete a square of k x k that a stored picture
        has, too.

        Args:
            levels, known: (n, C, 2 k - 1, 2 k - 1) of the picture, and whether each is known.
            window: (n,).
        """
        k = (levels.shape[-1] + 1) // 2
        n, i, j = (t[:, None, None] for t in self.places[window].unbind(1))
        rows, columns = (t + size // 2 + torch.arange(1 - k, k, device=t.device).view(shape) for t, size, shape in (
            (i, self.size[0], (-1, 1)), (j, self.size[1], (1, -1))))
        height, width = self.levels.shape[2:]
        there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        stored = self.levels[n, :, rows.clamp(0, height - 1), columns.clamp(0, width - 1)].movedim(-1, 1)
        same = (known & (stored == levels)).all(1) & there
        same[:, k - 1, k - 1] = True
        found = same.sum((1, 2)) >= k * k
        if bool(found.any()):
            squares = -F.max_pool2d(-same[found].float(), (k, 1), 1)
            found[found.clone()] = (-F.max_pool2d(-squares, (1, k), 1) > 0.5).flatten(1).any(1)
        return found

    def _reached(self, apart: Tensor, share: float) -> Tensor:
        """(P,) a distance within which windows of a share of the weight lie, and perhaps more: as many as the lightest would
        be, counted by the nearest of every block."""
        if not share:
            return torch.zeros(len(apart), device=apart.device)
        k, M = self.lightest_of(share), apart.shape[1]
        if k * _BLOCK > M:
            return apart.kthvalue(min(k, M), 1).values
        whole = M - M % _BLOCK
        return apart[:, :whole].unflatten(1, (-1, _BLOCK)).amin(2).kthvalue(min(k, whole // _BLOCK), 1).values

    @cached_property
    def middles(self) -> Tensor:
        """(M,) a number of each window's middle, the same where the levels are."""
        return self.centres.unique(dim=0, return_inverse=True)[1]

    @cached_property
    def some_absent(self) -> bool:
        """Whether a window has no weight under a condition."""
        return not bool((self.weight > 0).all())

    def lightest_of(self, share: float) -> int:
        """How many of the lightest windows weigh a share of all."""
        if share not in self._counts:
            lightest = torch.where(self.weight > 0, self.weight, torch.inf).amin(1)
            counts = self.weight.sum(1) * share / lightest
            self._counts[share] = max(1, math.ceil(float(counts.max())))
        return self._counts[share]

    @staticmethod
    def _nearest(apart: Tensor, found: Matches, least: Tensor, tolerance: float) -> Matches:
        """Those of what was found that match.

        Args:
            apart: (n,) their distances.
            found: all that may.
            least: (P,) the weight that the nearest have together.
        """
        order = apart.argsort(stable=True)
        order = order[found.target[order].argsort(stable=True)]
        target, apart, weight = found.target[order], apart[order], found.weight[order]
        total = torch.zeros_like(least).index_add_(0, target, weight)
        before = (total.cumsum(0) - total)[target]
        lighter = weight.cumsum(0) - weight - before < least[target] * (1 - 1e-9)  # what is nearer has too little weight
        nearest = apart.new_full(least.shape, torch.inf).scatter_reduce(0, target, apart, "amin")
        widest = apart.new_zeros(least.shape).scatter_reduce(0, target, torch.where(lighter, apart, 0.0), "amax")
        kept = apart <= (torch.maximum(nearest * (1 + tolerance), widest) + _ALIKE)[target]
        return Matches(target[kept], found.window[order][kept], weight[kept])


def check_some(whole: Tensor, size: tuple[int, int]) -> None:
    """Raise `UserError` where no window is whole."""
    if not bool(whole.any()):
        raise UserError(f"no window of {size[0]} x {size[1]} places is known as a whole; pass a smaller size, or a larger "
                        "picture")


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
