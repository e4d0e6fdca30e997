"""EfrosLeung: places of a picture drawn one after another, each from the middles of stored windows that match what is known.

    p(x_t | known) = sum_i w_i k(x_t | c_i) / sum_i w_i    over the windows i with d_i <= (1 + eps) min_j d_j

d_i is the mean squared distance of a window to what is known about the place, weighed by a normal curve about the middle, c_i
its middle, all channels of it, and k the symbol itself with probability 1 - s, else any. With `longest`, a middle that would
complete a larger square as it stands in a stored picture is none, and the windows that match best are those of the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.distribution import Distribution, Kind
from given.distributions.noise import Noise
from given.distributions.windows import Matches, Windows, on_canvas, patterns, scaled
from given.nn import Order
from given.variables import Entries, Finite, UserError

__all__ = ["EfrosLeung"]

_SPREAD = 6.4  # standard deviations of the normal curve in a window
_AT_ONCE = 1 << 14  # windows about places


class EfrosLeung(Distribution):
    """Pictures, place by place, by windows that match.

    Args:
        windows: of odd sizes.
        state: (B,) the condition of every row.
        tolerance: eps.
        share: of all windows, that match at least.
        smoothing: s.
        order: of the places, which have a grid of two axes; of any part that is known.
        longest: the side of the largest square that comes about as it stands in a stored picture; None for any.
    """

    def __init__(self, windows: Windows, state: Tensor, tolerance: float, share: float, smoothing: float, order: Order,
                 longest: int | None = None) -> None:
        super().__init__(windows.space, len(state), state.device)
        self.windows, self.state, self.tolerance, self.share = windows, state, tolerance, share
        self.smoothing, self.order, self.longest = smoothing, order, longest
        self.curve = _curve(windows.size).to(state.device)

    @property
    def kind_of_part(self) -> Kind:
        """An estimate: every part that is known has an order of its own, and orders do not agree."""
        return "estimate"

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        C, H, W = self.grid
        draws, u = math.prod(shape), noise.fold("window").uniform(shape, (H, W)).reshape(-1, self.n, H, W)
        other = noise.fold("level").uniform(shape, (H, W, C)).reshape(-1, self.n, H, W, C) if self.smoothing else None
        known, evidence = self._evidence()
        found = torch.zeros(draws, self.n, C, H, W, dtype=torch.int64, device=self.device)
        for rows, seen in patterns(known):
            peel = self._peel(seen, torch.ones_like(seen))
            levels = torch.where(seen, evidence[rows], 0).repeat(draws, 1, 1, 1)
            values, state = peel.padded(scaled(levels, self.windows.space)), self.state[rows].repeat(draws)
            for places in peel.groups:
                i, j = places.unbind(1)
                mine = u[:, rows][..., i, j].flatten()
                their = None if other is None else other[:, rows][:, :, i, j].flatten(0, 2)
                picked = self._picked(peel.around(values, places), peel.known(places, self.curve), state,
                                      self._barred(peel, levels, places), mine, their)
                picked = picked.reshape(len(levels), len(places), C).movedim(2, 1)
                picked = torch.where(seen[:, i, j], levels[:, :, i, j], picked)
                levels[:, :, i, j] = picked
                values[:, :, i + peel.reach[0], j + peel.reach[1]] = scaled(picked, self.windows.space)
            found[:, rows] = levels.reshape(draws, len(rows), C, H, W)
        found = found[:, :, 0] if len(self.space.axes) == 2 else found.movedim(2, -1)
        return self._kept(found.reshape(*shape, self.n, *self.space.shape))

    def _barred(self, peel: _Peel, levels: Tensor, places: Tensor) -> Callable[[slice, Matches], Tensor] | None:
        """Which matches at G places would complete too large a square; of levels (R, C, H, W)."""
        if self.longest is None:
            return None
        wide, G = peel.wider(self.longest), len(places)
        known = wide.known(places, torch.ones((), device=self.device)) > 0
        enough = known.all(1).sum((1, 2)) >= (self.longest + 1) ** 2 - 1
        around = wide.around(wide.padded(levels), places).flatten(0, 1) if bool(enough.any()) else levels

        def barred(some: slice, found: Matches) -> Tensor:
            target = found.target + some.start
            out = enough[target % G]
            target, window = target[out], found.window[out]
            out[out.clone()] = self.windows.completes(around[target], known[target % G], window) if len(target) else False
            return out

        return barred

    def _picked(self, around: Tensor, known: Tensor, state: Tensor, barred: Callable[[slice, Matches], Tensor] | None,
                u: Tensor, other: Tensor | None) -> Tensor:
        """(R G, C) levels drawn at G places of R rows.

        Args:
            around: (R, G, C, height, width) values.
            known: (G, C, height, width) weights.
            state: (R,).
            barred: as of `Windows.matches`.
            u: (R G,) uniform numbers, and `other` (R G, C) of levels that smoothing draws.
        """
        R, G = around.shape[:2]
        picked = list[Tensor]()
        for some, found in self.windows.matches(around.flatten(0, 1), known.repeat(R, 1, 1, 1), state.repeat_interleave(G),
                                                self.tolerance, self.share, barred):
            picked.append(found.pick(u[some]))
        window = torch.cat(picked)
        if bool((window < 0).any()):
            raise UserError("nothing is stored under this condition; learn from a picture that has it")
        levels = self.windows.centres[window]
        if other is None:
            return levels
        drawn = (other / self.smoothing * self.windows.space.size).long()
        return torch.where(other < self.smoothing, drawn.clamp(max=self.windows.space.size - 1), levels)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        space = self.space
        lead = x.tensor.shape[:x.tensor.dim() - len(space.axes)]
        flat = x.map(lambda t: t.reshape(-1, *space.shape))
        known, evidence = self._evidence()
        draws = len(flat) // max(1, self.n)
        known, evidence, state = (t.repeat(draws, *[1] * (t.dim() - 1)) for t in (known, evidence, self.state))
        levels, scored = on_canvas(flat.tensor, space), on_canvas(flat.scored, space)
        levels = torch.where(known, evidence, levels)
        total = torch.zeros(len(levels), dtype=torch.float64, device=self.device)
        for rows, (seen, asked) in patterns(torch.stack([known, scored & ~known], 1)):
            peel = self._peel(seen, asked)
            values = peel.padded(scaled(torch.where(seen | asked, levels[rows], 0), self.windows.space))
            for places in peel.places.split(max(1, _AT_ONCE // len(rows))) if len(peel.places) else ():
                i, j = places.unbind(1)
                each = self._log_probs(peel.around(values, places), peel.known(places, self.curve), state[rows],
                                       self._barred(peel, levels[rows], places),
                                       levels[rows][:, :, i, j].movedim(1, 2).flatten(0, 1),
                                       asked[:, i, j].T.repeat(len(rows), 1))
                total[rows] += each.reshape(len(rows), len(places)).sum(1)
        return total.reshape(lead)

    def _log_probs(self, around: Tensor, known: Tensor, state: Tensor,
                   barred: Callable[[slice, Matches], Tensor] | None, levels: Tensor, asked: Tensor) -> Tensor:
        """(R G,) log p of levels (R G, C) where they are asked."""
        R, G = around.shape[:2]
        s, V, each = self.smoothing, self.windows.space.size, list[Tensor]()
        for some, found in self.windows.matches(around.flatten(0, 1), known.repeat(R, 1, 1, 1), state.repeat_interleave(G),
                                                self.tolerance, self.share, barred):
            alike = self.windows.centres[found.window] == levels[some][found.target]
            kernel = torch.where(asked[some][found.target], torch.where(alike, 1 - s + s / V, s / V).double(), 1.0).prod(1)
            p = torch.zeros(len(levels[some]), dtype=torch.float64, device=self.device)
            each.append(p.index_add(0, found.target, found.weight * kernel).log())
        return torch.cat(each)

    def condition(self, evidence: Entries) -> EfrosLeung:
        return self._but(evidence=self._and(evidence), kind="estimate")

    @property
    def grid(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        height, width, *channels = self.space.shape
        return channels[0] if channels else 1, height, width

    def _evidence(self) -> tuple[Tensor, Tensor]:
        """(B, C, height, width) each: what is known, and its levels."""
        if self.evidence is None:
            nothing = torch.zeros(self.n, *self.grid, dtype=torch.int64, device=self.device)
            return nothing.bool(), nothing
        return on_canvas(self.evidence.scored, self.space), on_canvas(self.evidence.tensor, self.space).long()

    def _peel(self, seen: Tensor, asked: Tensor) -> _Peel:
        grid = Finite(2, axes=self.space.axes[:2])
        order = self.order.steps(grid, seen.all(0).flatten().cpu()).reshape(seen.shape[1:]).to(self.device)
        height, width = self.windows.size
        return _Peel(order, seen, asked, (height // 2, width // 2))


@dataclass(frozen=True)
class _Peel:
    """What is known about a place when its turn comes.

    Attributes:
        order: (height, width) the step of every place.
        seen, asked: (C, height, width) what is known from the first, and what is drawn or scored.
        reach: places to either side.
    """

    order: Tensor
    seen: Tensor
    asked: Tensor
    reach: tuple[int, int]

    @cached_property
    def places(self) -> Tensor:
        """(n, 2) where something is asked."""
        return (self.asked & ~self.seen).any(0).nonzero()

    @property
    def groups(self) -> list[Tensor]:
        """(G, 2) places each, step by step."""
        step, turn = self.order[self.places[:, 0], self.places[:, 1]].sort(stable=True)
        return list(self.places[turn].split(step.unique_consecutive(return_counts=True)[1].tolist()))

    @cached_property
    def since(self) -> Tensor:
        """(1, C, height + 2 r, width + 2 r) the step before which an entry is unknown; entries beyond the edge always are."""
        since = torch.where(self.seen, -1, torch.where(self.asked, self.order, 1 << 30))
        return self.padded(since[None], 1 << 30)

    @cached_property
    def _wider(self) -> dict[int, _Peel]:
        return {}

    def wider(self, reach: int) -> _Peel:
        """The same with so many places to either side."""
        if reach not in self._wider:
            self._wider[reach] = replace(self, reach=(reach, reach))
        return self._wider[reach]

    def padded(self, t: Tensor, value: float = 0.0) -> Tensor:
        h, w = self.reach
        return F.pad(t, (w, w, h, h), value=value)

    def around(self, padded: Tensor, places: Tensor) -> Tensor:
        """(R, C, ...) as of `padded` -> (R, G, C, height, width) of a window about every place."""
        h, w = self.reach
        windows = padded.unfold(2, 2 * h + 1, 1).unfold(3, 2 * w + 1, 1)
        return windows[:, :, places[:, 0], places[:, 1]].movedim(2, 1)

    def known(self, places: Tensor, curve: Tensor) -> Tensor:
        """(G, C, height, width) the weight of what is known, by the curve (height, width)."""
        step = self.order[places[:, 0], places[:, 1]][:, None, None, None]
        return torch.where(self.around(self.since, places)[0] < step, curve, 0.0)


def _curve(size: tuple[int, int]) -> Tensor:
    """(height, width) float32 of a normal density about the middle."""
    each = [torch.exp(-0.5 * ((torch.arange(n) - n // 2) / max(n / _SPREAD, 1e-3)) ** 2) for n in size]
    return each[0][:, None] * each[1]
