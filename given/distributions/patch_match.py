"""PatchMatch: what is unknown of a picture such that every patch of it resembles a patch that is stored.

It begins with one shift of a stored picture, drawn among those whose surroundings are most alike. From coarse to fine: of
every patch about an unknown place a nearest stored patch is sought, by propagation (the neighbour's match, moved along) and by
random search about the match so far, ever nearer; then every place is the mean of what the matches of the patches that hold it
vote for, weighed by exp(-d / 2 s^2), which is a step of EM; last it takes the vote of the patch that matches best.

Source: Barnes, Shechtman, Finkelstein, Goldman, PatchMatch: a randomized correspondence algorithm for structural image editing,
2009 / https://doi.org/10.1145/1531326.1531330
Wexler, Shechtman, Irani, Space-time completion of video, 2007 / https://doi.org/10.1109/TPAMI.2007.60
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.noise import Noise, inverse_cdf_sample
from given.distributions.windows import check_some, on_canvas, patterns, scaled
from given.variables import Entries, Finite, UserError

__all__ = ["PatchMatch"]

_JUMPS = (8, 4, 2, 1)  # how far matches are propagated at once
_FADES = 1.3  # by how much a place weighs less than its neighbour nearer to what is known
_QUANTILE = 0.75  # of the distances: s^2
_FAR = 1e9
_TOLERANCE, _ALIKE = 0.1, 1e-6  # shifts no further than 1.1 times the nearest are drawn from
_WIDE = 5  # patches
_LEAST = 50  # stored patches at a scale


class PatchMatch(Distribution):
    """Pictures whose patches are stored ones.

    Args:
        items, seen: (N, *grid) levels of stored pictures, and what of them is known.
        shares: (S, N) weights of the pictures under each of S conditions; those of no weight are not there.
        state: (B,) the condition of every row.
        size: of a patch, odd.
        rounds: steps of EM at every scale.
        space: of a picture.
    """

    kind: Kind = "none"

    def __init__(self, items: Tensor, seen: Tensor, shares: Tensor, state: Tensor, size: int, rounds: int,
                 space: Finite) -> None:
        super().__init__(space, len(state), state.device)
        self.levels, self.stored = scaled(on_canvas(items, space), space), on_canvas(seen, space).all(1)
        self.shares, self.state, self.size, self.rounds = shares, state, size, rounds

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws = math.prod(shape)
        noise = noise if draws == 1 else noise.repeat(draws)
        evidence = Entries.unseen(self.space, self.n).to(self.device) if self.evidence is None else self.evidence
        known, levels = (on_canvas(t, self.space) for t in (evidence.scored, evidence.tensor))
        made = levels.repeat(draws, 1, 1, 1)
        assert isinstance(self.space, Finite)
        for rows, seen in patterns(known):
            for some in torch.unique(self.state[rows]):
                mine = rows[self.state[rows] == some]
                mine = (torch.arange(draws, device=mine.device)[:, None] * self.n + mine).flatten()
                source = self.shares[some] > 0
                stored = self.levels[source], self.stored[source]
                if not bool(source.any()):
                    raise UserError("nothing is stored under this condition; learn from a picture that has it")
                values = _filled(stored, scaled(made[mine], self.space), seen.all(0), self.size, self.rounds, noise.rows(mine))
                drawn = ((values + 0.5) * (self.space.size - 1)).round().long()
                made[mine] = torch.where(seen, made[mine], drawn)
        made = made[:, 0] if len(self.space.axes) == 2 else made.movedim(1, -1)
        return self._kept(made.reshape(*shape, self.n, *self.space.shape))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        raise Intractable("where an iteration ends has no density; EfrosLeung, which draws place by place, has an exact one")

    def condition(self, evidence: Entries) -> PatchMatch:
        return self._but(evidence=self._and(evidence))


def _filled(stored: tuple[Tensor, Tensor], canvas: Tensor, known: Tensor, size: int, rounds: int, noise: Noise) -> Tensor:
    """The canvas (R, C, H, W) with what is unknown drawn.

    Args:
        stored: (N, C, H, W) pictures, and where they are known (N, H, W).
        known: (H, W).
    """
    scales = [_Scale.of(*stored, known, size)]
    check_some(scales[0].whole, (size, size))
    canvases = [canvas]
    while (coarser := scales[-1].coarser()) is not None:
        canvases.append(_halved(canvases[-1], scales[-1].known))
        scales.append(coarser)
    match = None
    for number in range(len(scales) - 1, -1, -1):
        scale, canvas, own = scales[number], canvases[number], noise.fold(number)
        first = scale.anywhere(own.fold("first").uniform((), (len(scale.centres),)))
        if match is None:
            canvas, match = scale.begun(canvas, first, own.fold("shift").uniform())
        else:
            match = scale.refined(match, scales[number + 1], first)
            canvas = scale.voted(canvas, match, None, sharp=False)
        apart = scale.distances(canvas, match)
        for step in range(rounds):
            match, apart = scale.searched(canvas, match, own.fold(step))
            canvas = scale.voted(canvas, match, apart, sharp=number == 0 and step == rounds - 1)
    return canvas


def _halved(t: Tensor, known: Tensor) -> Tensor:
    """Means of 2 x 2 places of (..., H, W), of those that are known where some are."""
    weight = known.float().expand(t.shape[-2:]) + 1e-6
    lead = t.shape[:-2]
    total = F.avg_pool2d((t * weight).reshape(-1, 1, *t.shape[-2:]), 2, ceil_mode=True)
    share = F.avg_pool2d(weight[None, None], 2, ceil_mode=True)
    return (total / share).reshape(*lead, *total.shape[-2:])


@dataclass(frozen=True)
class _Scale:
    """Patches at one scale: those stored, and those about unknown places.

    A match is the number of a stored place, picture by picture and row by row, in the middle of a patch.

    Attributes:
        pictures: (N, C, H, W).
        stored: (N, H, W) where they are known.
        known: (H, W) what is known of the canvas.
        size: of a patch.
        whole: (N H W,) whether about a stored place there is a whole patch.
        sources: (M,) those places.
        centres: (T, 2) the middles of the patches that hold an unknown place.
        number: (H, W) the number of the patch in whose middle a place is; -1 where none is.
        unknown: (U, 2) places.
        weight: (H, W) of a place in distances and votes.
    """

    pictures: Tensor
    stored: Tensor
    known: Tensor
    size: int
    whole: Tensor
    sources: Tensor
    centres: Tensor
    number: Tensor
    unknown: Tensor
    weight: Tensor

    @classmethod
    def of(cls, pictures: Tensor, stored: Tensor, known: Tensor, size: int) -> _Scale:
        h, (H, W) = size // 2, known.shape
        inside = torch.zeros_like(known)
        inside[h:H - h, h:W - h] = True
        whole = F.avg_pool2d(stored[:, None].double(), size, 1, h, divisor_override=1)[:, 0] > size * size - 0.5
        near = F.max_pool2d((~known)[None, None].float(), size, 1, h)[0, 0] > 0.5
        centres = (near & inside).nonzero()
        number = torch.full((H, W), -1, device=known.device)
        number[centres[:, 0], centres[:, 1]] = torch.arange(len(centres), device=known.device)
        return cls(pictures, stored, known, size, whole.flatten(), whole.flatten().nonzero()[:, 0], centres, number,
                   (~known).nonzero(), _FADES ** -_depth(known))

    def coarser(self) -> _Scale | None:
        """Half as many places along both axes; None where what is unknown is a few patches wide, or too little is left."""
        wide = int((self.unknown.amax(0) - self.unknown.amin(0)).amin()) + 1 if len(self.unknown) else 0
        if wide <= _WIDE * self.size or min(self.known.shape) < 4 * self.size:
            return None
        share = F.avg_pool2d(self.stored[:, None].float(), 2, ceil_mode=True)[:, 0]
        pictures = torch.stack([_halved(p, s) for p, s in zip(self.pictures, self.stored, strict=True)])
        known = F.avg_pool2d(self.known[None, None].float(), 2, ceil_mode=True)[0, 0]
        scale = _Scale.of(pictures, share > 0.99, known > 0.99, self.size)
        return scale if len(scale.sources) >= _LEAST else None

    def smooth(self, canvas: Tensor) -> Tensor:
        """What is unknown as a harmonic surface between what is known."""
        kernel = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=canvas.dtype, device=canvas.device) / 4
        known, flat = self.known, canvas.reshape(-1, 1, *canvas.shape[2:])
        mean = (flat * known).sum((2, 3), keepdim=True) / known.sum().clamp(min=1)
        flat = torch.where(known, flat, mean)
        for _ in range(4 * max(8, max(known.shape))):
            flat = torch.where(known, flat, F.conv2d(F.pad(flat, (1, 1, 1, 1), mode="replicate"), kernel[None, None]))
        return flat.reshape(canvas.shape)

    def anywhere(self, u: Tensor) -> Tensor:
        """(R, T) matches by uniform numbers."""
        return self.sources[(u * len(self.sources)).long()]

    def begun(self, canvas: Tensor, first: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """A canvas and matches to begin with: one shift of a stored picture for all that is unknown, whose surroundings are
        most alike; where none covers it a harmonic surface, and where nothing is known what `first` (R, T) votes for."""
        if not bool(self.known.any()):
            return self.voted(canvas, first, None, sharp=True), first
        shift = self._shift(canvas, u)
        if shift is None:
            return self.smooth(canvas), first
        n, a, b = shift.unbind(1)
        i, j = self.centres.unbind(1)
        found, there = self._at(n[:, None], a[:, None] + i, b[:, None] + j)
        i, j = self.unknown.unbind(1)
        canvas = canvas.clone()
        canvas[:, :, i, j] = self.pictures[n[:, None], :, a[:, None] + i, b[:, None] + j].movedim(2, 1)
        return canvas, torch.where(there, found, first)

    def _shift(self, canvas: Tensor, u: Tensor) -> Tensor | None:
        """(R, 3) picture, rows and columns by which what stands there is moved, drawn among the best by numbers u (R,)."""
        (top, left), (bottom, right), h = self.unknown.amin(0).tolist(), (self.unknown.amax(0) + 1).tolist(), self.size // 2
        height, width = bottom - top, right - left
        whole = -F.max_pool2d(-self.stored[:, None].float(), (height, width), 1)[:, 0] > 0.5  # where the unknown part fits
        if not bool(whole.any()):
            return None
        place = (..., slice(top, bottom + 2 * h), slice(left, right + 2 * h))
        known = F.pad(self.known.float(), (h, h, h, h))[place][None, None]
        around = F.pad(canvas, (h, h, h, h))[place] * known
        stored = F.pad(self.stored[:, None].float(), (h, h, h, h))
        theirs = F.pad(self.pictures, (h, h, h, h)) * stored
        share = F.conv2d(stored, known)
        apart = (F.conv2d(theirs.square().sum(1, keepdim=True), known) - 2 * F.conv2d(theirs, around)
                 + F.conv2d(stored, around.square().sum(1, keepdim=True))) / share.clamp(min=1e-6)
        fits = whole[:, None] & (share > known.sum() / 2)
        apart = torch.where(fits, apart, torch.inf).movedim(1, 0).flatten(1)  # (R, N positions)
        least = apart.amin(1, keepdim=True)
        if bool(least.isinf().any()):
            return None
        near = (apart <= least * (1 + _TOLERANCE) + _ALIKE).double()
        position = inverse_cdf_sample(near, u)
        n, i, j = _unpacked(position, whole.shape[1:])
        return torch.stack([n, i - top, j - left], 1)

    def refined(self, match: Tensor, coarse: _Scale, otherwise: Tensor) -> Tensor:
        """The matches of the next coarser scale as those of this one; others, where there is no such patch."""
        i, j = self.centres.unbind(1)
        h, (Hc, Wc) = self.size // 2, coarse.known.shape
        ci, cj = (i // 2).clamp(h, Hc - 1 - h), (j // 2).clamp(h, Wc - 1 - h)
        mine = coarse.number[ci, cj]
        n, a, b = _unpacked(match[:, mine.clamp(min=0)], coarse.known.shape)
        found, there = self._at(n, 2 * a + i - 2 * ci, 2 * b + j - 2 * cj)
        return torch.where(there & (mine >= 0), found, otherwise)

    def _at(self, n: Tensor, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
        """The number of a stored place, and whether a whole patch is there."""
        H, W = self.known.shape
        inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)
        place = (n * H + i.clamp(0, H - 1)) * W + j.clamp(0, W - 1)
        return place, inside & self.whole[place]

    def distances(self, canvas: Tensor, match: Tensor) -> Tensor:
        """(R, T) weighted mean squared distances between the patches and their matches."""
        around, weight = self._patches(canvas)
        return self._apart(around, weight, match)

    def _patches(self, canvas: Tensor) -> tuple[Tensor, Tensor]:
        """(R, T, k k, C) the patches, and the weights of their places (T, k k), which sum to 1."""
        i, j = (self.centres[:, k, None] + self._steps()[:, k] for k in range(2))
        weight = self.weight[i, j]
        return canvas[:, :, i, j].movedim(1, -1).contiguous(), weight / weight.sum(1, keepdim=True)

    def _steps(self) -> Tensor:
        """(k k, 2) from the middle of a patch to its places."""
        each = torch.arange(self.size, device=self.known.device) - self.size // 2
        return torch.cartesian_prod(each, each).reshape(-1, 2)

    @cached_property
    def colours(self) -> Tensor:
        """(N H W, C)."""
        return self.pictures.movedim(1, -1).flatten(0, 2).contiguous()

    def _apart(self, around: Tensor, weight: Tensor, match: Tensor) -> Tensor:
        steps = self._steps() @ torch.tensor([self.known.shape[1], 1], device=match.device)
        theirs = self.colours[match[..., None] + steps]
        return ((theirs - around).square().sum(-1) * weight).sum(-1)

    def searched(self, canvas: Tensor, match: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Matches that are nearer, and their distances, by propagation and random search."""
        around, weight = self._patches(canvas)
        apart = self._apart(around, weight, match)
        (H, W), (i, j) = self.known.shape, self.centres.unbind(1)

        def tried(found: Tensor, there: Tensor) -> None:
            nonlocal match, apart
            theirs = torch.where(there, self._apart(around, weight, torch.where(there, found, match)), _FAR)
            match, apart = torch.where(theirs < apart, found, match), torch.minimum(theirs, apart)

        for jump in _JUMPS:
            for di, dj in ((jump, 0), (-jump, 0), (0, jump), (0, -jump)):
                inside = (i - di >= 0) & (i - di < H) & (j - dj >= 0) & (j - dj < W)
                mine = torch.where(inside, self.number[(i - di).clamp(0, H - 1), (j - dj).clamp(0, W - 1)], -1)
                n, a, b = _unpacked(match[:, mine.clamp(min=0)], self.known.shape)
                found, there = self._at(n, a + di, b + dj)
                tried(found, there & (mine >= 0))
        tried(self.anywhere(noise.fold("anywhere").uniform((), (len(i),))), torch.ones_like(match, dtype=torch.bool))
        radius = max(H, W) // 2
        while radius:
            n, a, b = _unpacked(match, self.known.shape)
            u = noise.fold(radius).uniform((), (len(i), 2)) * (2 * radius + 1) - radius - 0.5
            tried(*self._at(n, a + u[..., 0].round().long(), b + u[..., 1].round().long()))
            radius //= 2
        return match, apart

    def voted(self, canvas: Tensor, match: Tensor, apart: Tensor | None, *, sharp: bool) -> Tensor:
        """The canvas, what is unknown by the votes of the patches that hold it; `sharp`, by that of the nearest alone."""
        (H, W), steps = self.known.shape, self._steps()
        i, j = (self.unknown[:, k, None] - steps[:, k] for k in range(2))
        inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)
        patch = torch.where(inside, self.number[i.clamp(0, H - 1), j.clamp(0, W - 1)], -1)  # (U, k k)
        theirs = self.colours[(match[:, patch.clamp(min=0)] + steps @ torch.tensor([W, 1], device=match.device)).clamp(min=0)
                              .clamp(max=len(self.whole) - 1)]
        apart = torch.zeros_like(match, dtype=canvas.dtype) if apart is None else apart
        each = torch.where(patch >= 0, apart[:, patch.clamp(min=0)], torch.inf)  # (R, U, k k)
        if sharp:
            nearest = each.argmin(-1)
            value = theirs.gather(2, nearest[..., None, None].expand(*nearest.shape, 1, theirs.shape[-1]))[:, :, 0]
        else:
            spread = torch.quantile(apart[:, :1 << 20], _QUANTILE, dim=1)[:, None, None].clamp(min=1e-6)
            vote = torch.exp(-each / (2 * spread)) * torch.where(patch >= 0, self._centre_weight(patch), 0.0)
            value = (theirs * vote[..., None]).sum(2) / vote.sum(-1, keepdim=True).clamp(min=1e-20)
        canvas = canvas.clone()
        canvas[:, :, self.unknown[:, 0], self.unknown[:, 1]] = value.movedim(-1, 1)
        return canvas

    def _centre_weight(self, patch: Tensor) -> Tensor:
        i, j = self.centres[patch.clamp(min=0)].unbind(-1)
        return self.weight[i, j]


def _depth(known: Tensor) -> Tensor:
    """(height, width) how many layers of what is unknown lie outside a place and at it; 0 where nothing is known."""
    depth, unknown = torch.zeros(known.shape, device=known.device), (~known).nonzero()
    if not len(unknown) or len(unknown) == known.numel():
        return depth
    (top, left), (bottom, right) = (unknown.amin(0) - 1).clamp(min=0).tolist(), (unknown.amax(0) + 2).tolist()
    peeled, layers = known[top:bottom, left:right], depth[top:bottom, left:right]
    while not bool(peeled.all()):
        layers += (~peeled).float()
        peeled = F.max_pool2d(peeled[None, None].float(), 3, 1, 1)[0, 0] > 0.5
    return depth


def _unpacked(place: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
    """Picture, row and column of a stored place."""
    return place // (shape[0] * shape[1]), place // shape[1] % shape[0], place % shape[1]
