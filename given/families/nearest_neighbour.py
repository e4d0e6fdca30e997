"""NearestNeighbour: p(x | y) by the k stored rows whose y is nearest.

    p(x | y) = sum_i w_i prod_d k_d(x_d | x_id) / sum_i w_i   over the rows i with |y - y_i| <= r_k(y)

r_k(y) is the distance within which rows of weight k lie; all rows as near as the k-th are neighbours, so that a tie has no
order. Every parent, and every column of a block, counts alike: its squared difference is taken in units of its variance, that
of a symbol is that of its indicators. Entries unseen on either side are left out and the rest counts for them; of rows that
have no entry in common the distance is infinite, and where nothing of y is seen all rows are alike near.

The kernels k_d are those of `KernelDensity`: normal, h standard deviations wide, about a real; about a symbol the symbol
itself with probability 1 - a, else any: the neighbours' frequencies, smoothed. k, h and a maximise the likelihood of rows left
out one by one. `log_prob` is exact, and so are all marginals and conditionals.

Source: Fix, Hodges, Discriminatory analysis: nonparametric discrimination, 1951 / https://doi.org/10.2307/1403797
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional, indicators, vectors_of
from given.lessons import Batch, Deadline, Lesson, Solve, deadline_of, select
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["NearestNeighbour"]

_AT_ONCE = 1 << 22  # numbers in a block
_PAIRS = 1 << 23  # of a row left out and a stored one
_JUDGED = 2000  # rows left out one by one, at most
_COARSE, _FINE = 2.0, 1.25  # ratios of bandwidths tried
_ANEW = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
_TIE = 1 + 1e-9  # distances that differ by rounding are alike


@dataclass(frozen=True)
class _LeftOut:
    """Rows left out one by one, and all others by rising distance.

    Attributes:
        rows: (J,) which.
        squared: (J, N) squared distances, rising.
        order: (J, N) of which rows.
        weights: (J, N) their weights, a unit of the row's own taken off.
    """

    rows: Tensor
    squared: Tensor
    order: Tensor
    weights: Tensor


class NearestNeighbour(Conditional):
    """The nearest rows' x, smoothed.

    Args:
        x: of any space without atoms and without a modelled length, a block too.
        parents: at least one, of any space without a modelled length.
        neighbours: k, the weight of the neighbours; None for the likeliest of rows left out, `select(1, 30)` for that of a
            range.
        bandwidth: h, in standard deviations of each real entry; None for the likeliest of rows left out.
        anew: a, of symbols; None for the likeliest.

    `curve` is of all that was tried: k, h, a, the mean log p of a row left out.

    Raises:
        UserError: no parent, one with an end, or an x that kernels cannot stand about.
    """

    plans = ("chosen", "whole")
    selectable = ("neighbours",)

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, neighbours: float | select | None = None,
                 bandwidth: float | None = None, anew: float | None = None) -> None:
        super().__init__(x, parents)
        if not self.parents:
            raise UserError(f"NearestNeighbour: {self} has no condition to be near to; use KernelDensity")
        for v in self.parents:
            if v.space.may_end:
                raise UserError(f"NearestNeighbour: expected parents of one size, got {v.name}: {v.space}; use Regression")
        distributions.Kernels.check(x, "NearestNeighbour", bandwidth, anew)
        least = neighbours.first if isinstance(neighbours, select) else neighbours
        if least is not None and not least > 0:
            raise UserError(f"NearestNeighbour {x.name}: neighbours={neighbours}; expected a number above 0")
        self.neighbours, self.bandwidth, self.anew = neighbours, bandwidth, anew
        finite = [isinstance(part, Finite) for _, part in x.space.parts]
        self.reals, self.symbols = not all(finite), any(finite)
        self.widths = [part.dimensions * indicators(part) for v in self.parents for _, part in v.space.parts]
        self.items: Tensor
        self.conditions: Tensor
        self.weights: Tensor
        self.scale: Tensor
        self.chosen: Tensor
        self.whole: Tensor
        self.tried: Tensor
        self.register_buffer("items", torch.zeros(0, x.space.dimensions, dtype=torch.float64))
        self.register_buffer("conditions", torch.zeros(0, sum(self.widths), dtype=torch.float64))
        self.register_buffer("weights", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(sum(self.widths), dtype=torch.float64))
        chosen = [least or 1.0, bandwidth or 1.0, anew or 0.1]
        self.register_buffer("chosen", torch.tensor(chosen, dtype=torch.float64))
        self.register_buffer("whole", torch.tensor(True))
        self.register_buffer("tried", torch.zeros(0, 4, dtype=torch.float64))

    def forward(self, y: Observed) -> distributions.KernelDensity:
        if not len(self.items):
            raise UserError(f"{self}: nothing is stored yet; fit it first")
        k, h, a = self.chosen.tolist()
        blocks = vectors_of(self.parents, y).split(max(1, _AT_ONCE // len(self.items)))
        whole = bool(self.whole) and all(y[v.name].complete for v in self.parents)
        near = torch.cat([self._near(self._squared(block, whole), k) for block in blocks])
        kernels = distributions.Kernels.about(self.x.space, self.items, self.weights, h, a)
        return distributions.KernelDensity(torch.where(near, self.weights, 0.0).log(), kernels)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._store)]

    def _store(self, batches: Iterable[Batch]) -> None:
        alike, self.weights = distributions.stored(batches, self.x.space, partial(vectors_of, self.parents), str(self))
        self.conditions, self.items = (t.contiguous() for t in alike.split([len(self.scale), self.items.shape[1]], 1))
        self.whole.copy_(~self.conditions.isnan().any())
        self._standardise()
        self._choose(deadline_of(batches))

    def _standardise(self) -> None:
        """Every parent's numbers in units that make their variances sum to one."""
        seen, value = ~self.conditions.isnan(), self.conditions.nan_to_num()
        amount = self.weights[:, None] * seen
        count = amount.sum(0).clamp(min=1e-300)
        mean = (amount * value).sum(0) / count
        variance = (amount * torch.where(seen, value - mean, 0.0) ** 2).sum(0) / count
        totals = torch.stack([each.sum() for each in variance.split(self.widths)])
        unit = torch.where(totals > 1e-24, totals, 1.0).sqrt()
        self.scale.copy_(unit.repeat_interleave(torch.tensor(self.widths)))

    def _choose(self, deadline: Deadline) -> None:
        """k, h and a, in turns; for given widths all k are scored at once."""
        out, (n, D) = self._left_out(), self.items.shape
        h = self.bandwidth or (4 / (D + 2) / n) ** (1 / (D + 4))  # Silverman's, of normal data
        k, a, tried = float(self.chosen[0]), self.anew or 0.1, list[tuple[float, float, float, float]]()
        for ratio, powers in ((_COARSE, (-3, -2, -1, 0, 1, 2, 3)), (_FINE, (-2, -1, 0, 1, 2))):
            if self.reals and self.bandwidth is None:
                tried += self._tried(out, [(h * ratio**i, a) for i in powers], deadline)
                k, h, a, _ = max(tried, key=_score)
            if self.symbols and self.anew is None:
                tried += self._tried(out, [(h, v) for v in _ANEW], deadline)
                k, h, a, _ = max(tried, key=_score)
        if not tried and not isinstance(self.neighbours, int | float):
            tried = self._tried(out, [(h, a)], deadline)
            k = max(tried, key=_score)[0]
        self.tried = torch.tensor(tried, dtype=torch.float64).reshape(-1, 4)
        self.chosen.copy_(torch.tensor([k, h, a], dtype=torch.float64))

    def _tried(self, out: _LeftOut, widths: list[tuple[float, float]],
               deadline: Deadline) -> list[tuple[float, float, float, float]]:
        """Every k with some pairs of h and a, and their scores."""
        ks = self._numbers()
        return [(k, h, a, score) for h, a in deadline.within(widths)
                for k, score in zip(ks, self._likelihoods(out, torch.tensor(ks).double(), h, a), strict=True)]

    def _numbers(self) -> list[float]:
        """Every k that is tried: what was asked for, or up to all rows, each sqrt(2) times the one before."""
        if self.neighbours is not None:
            return self.neighbours.spread() if isinstance(self.neighbours, select) else [self.neighbours]
        total = float(self.weights.sum())
        return sorted({min(float(round(2 ** (i / 2))), total) for i in range(2 * int(total).bit_length() + 1)})

    def _left_out(self) -> _LeftOut:
        n = len(self.items)
        rows = torch.arange(0, n, max(1, n // max(1, min(_JUDGED, _PAIRS // n))))
        blocks = self.conditions[rows].split(max(1, _AT_ONCE // n))
        squared, order = torch.cat([self._squared(block, bool(self.whole)) for block in blocks]).sort(1)
        weights = self.weights.repeat(len(rows), 1)
        weights[torch.arange(len(rows)), rows] -= 1
        return _LeftOut(rows, squared, order, weights.clamp(min=0).gather(1, order))

    def _likelihoods(self, out: _LeftOut, ks: Tensor, h: float, a: float) -> list[float]:
        """Mean log p of the rows left out, under the neighbours of every number (K,) of them."""
        kernels = distributions.Kernels.about(self.x.space, self.items, self.weights, h, a)
        items = self.items[out.rows]
        each = kernels.log_prob(items.nan_to_num(), ~items.isnan()).gather(1, out.order)
        below, mass = (each + out.weights.log()).logcumsumexp(1), out.weights.cumsum(1)
        reached = torch.searchsorted(mass, (ks / _TIE).expand(len(mass), -1).contiguous()).clamp(max=mass.shape[1] - 1)
        radius = out.squared.gather(1, reached)
        last = torch.searchsorted(out.squared, radius * _TIE, right=True) - 1
        log_p = below.gather(1, last) - mass.gather(1, last).log()
        some = mass[:, -1] > 0  # a row that stood alone has no others
        weight = self.weights[out.rows][some, None]
        return ((weight * log_p[some]).sum(0) / weight.sum().clamp(min=1e-300)).tolist()

    def _near(self, squared: Tensor, k: float) -> Tensor:
        """(B, N) whether a stored row is within the distance at which rows of weight k are reached."""
        rising, order = squared.sort(1)
        mass = self.weights[order].cumsum(1)
        reached = (mass < k / _TIE).sum(1, keepdim=True).clamp(max=mass.shape[1] - 1)
        return squared <= rising.gather(1, reached) * _TIE

    def _squared(self, at: Tensor, whole: bool) -> Tensor:
        """(B, F) conditions -> (B, N) squared distances to the stored ones; `whole` where all of both is seen."""
        a, b = at / self.scale, self.conditions / self.scale
        seen, stored = ~a.isnan(), ~b.isnan()
        if whole:
            return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") ** 2
        share = torch.cat([torch.full((w,), 1 / (w * len(self.widths)), dtype=torch.float64, device=a.device)
                           for w in self.widths])
        common = (seen * share) @ stored.double().T
        rows = max(1, _AT_ONCE // max(1, b.numel()))
        total = torch.cat([torch.where(one[:, None] & stored, block[:, None] - b, 0.0).square().sum(-1)
                           for block, one in zip(a.nan_to_num().split(rows), seen.split(rows), strict=True)])
        return torch.where(common > 1e-12, total / common, torch.inf)

    # Stored rows have no fixed number: a loaded state brings its own.
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("items", "conditions", "weights", "tried"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _score(tried: tuple[float, float, float, float]) -> float:
    return tried[-1]
