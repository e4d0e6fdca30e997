"""Quilting: patches of stored pictures laid row by row, each like those it overlaps, and cut where the two differ least.

A patch is drawn from the windows whose mean squared distance to what is known of its place is at most 1 + eps times the
least. Within an overlap the cut is the path of least squared difference, found by dynamic programming: what is before it stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.noise import Noise
from given.distributions.windows import Windows, on_canvas, patterns, scaled
from given.variables import Entries, UserError

__all__ = ["Quilting", "cut"]


class Quilting(Distribution):
    """Pictures made of overlapping patches.

    Args:
        windows: of a patch's size.
        state: (B,) the condition of every row.
        overlap: places.
        tolerance: eps.
        share: of all windows, that match at least.
    """

    kind: Kind = "none"

    def __init__(self, windows: Windows, state: Tensor, overlap: int, tolerance: float, share: float) -> None:
        super().__init__(windows.space, len(state), state.device)
        self.windows, self.state, self.overlap = windows, state, overlap
        self.tolerance, self.share = tolerance, share

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws, (H, W) = math.prod(shape), self.space.shape[:2]
        down, across = (self._places(n, size) for n, size in zip((H, W), self.windows.size, strict=True))
        u = noise.uniform(shape, (len(down), len(across))).reshape(draws, self.n, len(down), len(across))
        evidence = Entries.unseen(self.space, self.n).to(self.device) if self.evidence is None else self.evidence
        known, levels = (on_canvas(t, self.space) for t in (evidence.scored, evidence.tensor))
        found = levels.new_zeros(draws, *levels.shape)
        for rows, seen in patterns(known):
            made = torch.where(seen, levels[rows], 0).repeat(draws, 1, 1, 1)
            laid = torch.zeros_like(seen)
            for i, (top, above) in enumerate(down):
                for j, (left, before) in enumerate(across):
                    self._lay(made, seen, laid, (top, left), (above, before), self.state[rows].repeat(draws),
                              u[:, rows, i, j].flatten())
            found[:, rows] = torch.where(seen, levels[rows], made.reshape(draws, *levels[rows].shape))
        found = found[:, :, 0] if len(self.space.axes) == 2 else found.movedim(2, -1)
        return self._kept(found.reshape(*shape, self.n, *self.space.shape))

    def _lay(self, made: Tensor, seen: Tensor, laid: Tensor, corner: tuple[int, int], overlap: tuple[int, int], state: Tensor,
             u: Tensor) -> None:
        """A patch, written into the canvas (R, C, H, W) by the cuts on its left and above."""
        (height, width), (i, j) = self.windows.size, corner
        place = (..., slice(i, i + height), slice(j, j + width))
        if bool(seen[place].all()):
            return
        known = (seen | laid)[place].float().repeat(len(made), 1, 1, 1)
        target, window = scaled(made[place], self.windows.space), list[Tensor]()
        for some, matching in self.windows.matches(target, known, state, self.tolerance, self.share):
            window.append(matching.pick(u[some]))
        patch = self.windows.patch(torch.cat(window))
        if bool((torch.cat(window) < 0).any()):
            raise UserError("nothing is stored under this condition; learn from a picture that has it")
        apart = (scaled(patch, self.windows.space) - target).square().sum(1)
        new = torch.ones_like(apart, dtype=torch.bool)
        above, left = overlap
        if left:
            new[:, :, :left] &= cut(apart[:, :, :left])
        if above:
            new[:, :above] &= cut(apart[:, :above].mT).mT
        made[place] = torch.where(new[:, None], patch, made[place])
        laid[place] = True

    def _places(self, n: int, size: int) -> list[tuple[int, int]]:
        """Where patches begin along an axis, and how far each overlaps the one before."""
        starts = [*range(0, n - size, size - self.overlap), n - size]
        return [(starts[0], 0), *((b, a + size - b) for a, b in pairwise(starts))]

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        raise Intractable("a quilt of patches has no density; EfrosLeung, which draws place by place, has an exact one")

    def condition(self, evidence: Entries) -> Quilting:
        return self._but(evidence=self._and(evidence))


def cut(apart: Tensor) -> Tensor:
    """Where the new patch begins: (R, rows, columns) costs -> bool, True from the path from top to bottom of least cost on.

    Of a row's path the next row's is in the same column or the next to either side.
    """
    best = [apart[:, 0]]
    for row in apart.unbind(1)[1:]:
        before = torch.nn.functional.pad(best[-1], (1, 1), value=torch.inf)
        best.append(row + before.unfold(1, 3, 1).amin(2))
    column, columns = best[-1].argmin(1), torch.arange(apart.shape[2], device=apart.device)
    path = [column]
    for row in best[-2::-1]:
        near = (columns - path[-1][:, None]).abs() <= 1
        path.append(torch.where(near, row, torch.inf).argmin(1))
    return columns >= torch.stack(path[::-1], 1)[..., None]
