"""EfrosLeung, Quilting, PatchMatch: a picture from the windows of a stored one, often of one alone; nothing descends.

    EfrosLeung   place by place: p(x_t | known) is even over the middles of the windows that match what is known about the place
    Quilting     patch by patch: its fast form, with the cut of least difference between neighbours
    PatchMatch   all at once: every patch is to resemble a stored one, by EM from coarse to fine

Every window whose places are all known counts; one stored picture makes thousands. What is unseen of a picture while learning
is in no window, so that a photograph with a hole fills its own. Pictures count under their own condition alone.

`log_prob` of EfrosLeung is exact for what it says, a mixture over matching windows: minus infinity where no middle matches,
unless it is smoothed; given a part it is an estimate, since every part has an order of its own. The other two draw, and score
nothing: a quilt comes about by many choices of patches and cuts, and where an iteration ends has no closed form.

Source: Efros, Leung, Texture synthesis by non-parametric sampling, 1999 / https://doi.org/10.1109/ICCV.1999.790383
Efros, Freeman, Image quilting for texture synthesis and transfer, 2001 / https://doi.org/10.1145/383259.383296
Barnes, Shechtman, Finkelstein, Goldman, PatchMatch, 2009 / https://doi.org/10.1145/1531326.1531330
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional, state_of, states
from given.lessons import Batch, Lesson, Solve
from given.nn import OnionPeel, Order
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["EfrosLeung", "PatchMatch", "Quilting"]


class _Exemplars(Conditional):
    """Stored pictures. Abstract.

    Attributes:
        items, seen: (N, *grid) levels, and which are known.
        states, weights: (N,) of each.
    """

    waits = "which windows match is looked up"

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable], size: int, overlap: int | None = None) -> None:
        super().__init__(x, parents)
        who, space = type(self).__name__, x.space
        if not isinstance(space, Finite) or not space.ordered or not _of_places(space):
            raise UserError(f"{who}: expected levels on a grid of height and width, such as a picture's, got {x.name}: "
                            f"{space}; use KernelDensity, or Empirical for symbols")
        odd = overlap is None
        if not isinstance(size, int) or isinstance(size, bool) or size < (1 if odd else 2) or (odd and size % 2 == 0):
            raise UserError(f"{who} {x.name}: size={size!r}; expected {'an odd number' if odd else 'a number from 2'}")
        if min(space.shape[:2]) < size:
            raise UserError(f"{who}: {x.name} of {space.shape[0]} x {space.shape[1]} places is smaller than its windows of "
                            f"{size} x {size}; pass a smaller size, or use Empirical")
        states(self.parents, f"{who} {x.name}")
        self.items: Tensor
        self.seen: Tensor
        self.states: Tensor
        self.weights: Tensor
        self.register_buffer("items", torch.zeros(0, *space.shape, dtype=space.dtype))
        self.register_buffer("seen", torch.zeros(0, *space.shape, dtype=torch.bool))
        self.register_buffer("states", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("weights", torch.zeros(0, dtype=torch.float64))

    def lessons(self) -> list[Lesson]:
        return [Solve(self._store)]

    def _store(self, batches: Iterable[Batch]) -> None:
        kept = list[tuple[Tensor, ...]]()
        for x, y, weight in batches:
            some = weight > 0
            each = x.tensor.to(self.items.dtype), x.readable, state_of(self.parents, y), weight.double()
            kept.append(tuple(t[some] for t in each))
        self.items, self.seen, self.states, self.weights = (torch.cat(each) for each in zip(*kept, strict=True))

    def _under(self, y: Observed) -> tuple[Tensor, Tensor]:
        """(S, N) the weights of the pictures under every condition there is, and (B,) which of these a row has."""
        if not len(self.items):
            raise UserError(f"{self}: nothing is stored yet; fit it first")
        each, state = state_of(self.parents, y).unique(return_inverse=True)
        return torch.where(self.states == each[:, None], self.weights, 0.0), state

    def _windows(self, shares: Tensor, size: int) -> distributions.Windows:
        assert isinstance(self.x.space, Finite)
        windows = distributions.Windows(self.items.long(), self.seen, shares, (size, size), self.x.space)
        return windows

    # Stored pictures have no fixed number: a loaded state brings its own.
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("items", "seen", "states", "weights"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class EfrosLeung(_Exemplars):
    """Texture by non-parametric sampling.

    Args:
        x: ordered levels on a grid of height and width, and perhaps channels, which are drawn together.
        parents: finite.
        size: height and width of a window, odd: as large as what repeats in the picture.
        tolerance: eps; windows no further than 1 + eps times the nearest match.
        share: of all windows, that match at least: of the nearest alone, what was copied once is copied on.
        smoothing: the probability of a level from all, evenly, in place of the window's.
        longest: the side of the largest square that comes about as it stands in a stored picture; None for any.
        order: of the places; by default layer by layer about what is known, `OnionPeel(size // 2)`. Another is kept whatever is
            known.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, size: int = 11, tolerance: float = 0.1,
                 share: float = 0.0, smoothing: float = 0.0, longest: int | None = None, order: Order | None = None) -> None:
        super().__init__(x, parents, size)
        if not tolerance >= 0 or not 0 <= share < 1 or not 0 <= smoothing < 1:
            raise UserError(f"EfrosLeung {x.name}: tolerance={tolerance}, share={share}, smoothing={smoothing}; expected a "
                            "tolerance from 0, a share and a smoothing in [0, 1)")
        if longest is not None and (not isinstance(longest, int) or longest < 1):
            raise UserError(f"EfrosLeung {x.name}: longest={longest!r}; expected a number of places from 1, or None")
        self.size, self.tolerance, self.share, self.smoothing = size, tolerance, share, smoothing
        self.longest = longest
        self.order = OnionPeel(max(1, size // 2)) if order is None else order

    def forward(self, y: Observed) -> distributions.EfrosLeung:
        shares, state = self._under(y)
        return distributions.EfrosLeung(self._windows(shares, self.size), state, self.tolerance, self.share, self.smoothing,
                                        self.order, self.longest)


class Quilting(_Exemplars):
    """Texture by image quilting.

    Args:
        x, parents: as of `EfrosLeung`.
        size: height and width of a patch.
        overlap: of neighbours, in places; a quarter of a patch by default, as an even share of 1 / 4 to 1 / 6 has it.
        tolerance: eps; patches no further than 1 + eps times the nearest match.
        share: of all patches, that match at least: of the nearest alone, what was copied once is copied on.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, size: int = 24, overlap: int | None = None,
                 tolerance: float = 0.1, share: float = 2e-4) -> None:
        overlap = max(1, size // 4) if overlap is None else overlap
        super().__init__(x, parents, size, overlap)
        if not 1 <= overlap <= size // 2 or not tolerance >= 0 or not 0 <= share < 1:
            raise UserError(f"Quilting {x.name}: overlap={overlap}, tolerance={tolerance}, share={share}; expected an "
                            f"overlap from 1 to {size // 2}, a tolerance from 0 and a share in [0, 1)")
        self.size, self.overlap, self.tolerance, self.share = size, overlap, tolerance, share

    @property
    def judged(self) -> bool:
        """No: it has no density."""
        return False

    def forward(self, y: Observed) -> distributions.Quilting:
        shares, state = self._under(y)
        return distributions.Quilting(self._windows(shares, self.size), state, self.overlap, self.tolerance, self.share)


class PatchMatch(_Exemplars):
    """What is unknown, coherent with what is known, from patches of the stored pictures.

    Args:
        x, parents: as of `EfrosLeung`.
        size: height and width of a patch, odd.
        rounds: steps of EM at every scale.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, size: int = 7, rounds: int = 4) -> None:
        super().__init__(x, parents, size)
        if not isinstance(rounds, int) or rounds < 1:
            raise UserError(f"PatchMatch {x.name}: rounds={rounds!r}; expected a whole number from 1")
        self.size, self.rounds = size, rounds

    @property
    def judged(self) -> bool:
        """No: it has no density."""
        return False

    def forward(self, y: Observed) -> distributions.PatchMatch:
        shares, state = self._under(y)
        assert isinstance(self.x.space, Finite)
        return distributions.PatchMatch(self.items.long(), self.seen, shares, state, self.size, self.rounds, self.x.space)


def _of_places(space: Finite) -> bool:
    """Whether a grid has two axes, and perhaps one of channels after them."""
    return len(space.axes) in (2, 3) and all(axis.role == "channel" for axis in space.axes[2:]) and not space.may_end
