"""KernelDensity: a kernel about every row learned from, as wide as rows left out one by one like best.

    p(x | y) = sum_{i: y_i = y} w_i prod_d k_d(x_d | x_id)

with k normal of standard deviation h s_d about a real entry (s_d its own standard deviation), and about a symbol the symbol
itself with probability 1 - a, else any, evenly. Both maximise the likelihood of each row under the others, in turns, over a
grid that is refined once; rows that are alike count as one of their summed weight, so that a row cut in two halves praises no
narrow kernel. No h is tried above 1, where a kernel is as broad as the data, since the likeliest of few rows grows without end;
where no row has another to be judged by, h is Silverman's. About a hole the kernel is as broad as the data. `log_prob` is
exact, and so are all marginals and conditionals.

Source: Parzen, On estimation of a probability density function and mode, 1962 / https://doi.org/10.1214/aoms/1177704472
Duin, On the choice of smoothing parameters for Parzen estimators of probability density functions, 1976 /
https://doi.org/10.1109/TC.1976.1674577
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional, state_of, states
from given.lessons import Batch, Deadline, Lesson, Solve, deadline_of, select
from given.selection import search
from given.variables import Entries, Finite, Observed, UserError, Variable

__all__ = ["KernelDensity"]

_JUDGED = 2000  # rows left out one by one
_AT_ONCE = 256
_COARSE, _FINE = 2.0, 1.25  # ratios of bandwidths tried
_BROADEST = 1.0  # bandwidth, in standard deviations
_score = itemgetter(2)
_ANEW = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7)


class KernelDensity(Conditional):
    """The stored rows, smoothed.

    Args:
        x: of any space without atoms and without a modelled length, a block too.
        parents: finite.
        bandwidth: h, in standard deviations of each real entry; None for the likeliest of rows left out, at most 1;
            `select(.01, 2.)` for that of a range.
        anew: a, of symbols; None for the likeliest.

    `curve` is of all that was tried: h, a, the mean log p of a row under the others.
    """

    plans = ("chosen",)
    selectable = ("bandwidth",)

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, bandwidth: float | select | None = None,
                 anew: float | None = None) -> None:
        super().__init__(x, parents)
        least = bandwidth.first if isinstance(bandwidth, select) else bandwidth
        distributions.Kernels.check(x, "KernelDensity", least, anew)
        states(self.parents, f"KernelDensity {x.name}")
        D = x.space.dimensions
        self.bandwidth, self.anew = bandwidth, anew
        finite = [isinstance(part, Finite) for _, part in x.space.parts]
        self.reals, self.symbols = not all(finite), any(finite)
        self.items: Tensor
        self.states: Tensor
        self.weights: Tensor
        self.chosen: Tensor
        self.tried: Tensor
        self.register_buffer("items", torch.zeros(0, D, dtype=torch.float64))
        self.register_buffer("states", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("weights", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("tried", torch.zeros(0, 3, dtype=torch.float64))
        self.register_buffer("chosen", torch.tensor([1.0 if bandwidth is None else least, anew or 0.1], dtype=torch.float64))

    def forward(self, y: Observed) -> distributions.KernelDensity:
        if not len(self.items):
            raise UserError(f"{self}: nothing is stored yet; fit it first")
        return self._distribution(state_of(self.parents, y), self._kernels(self.chosen))

    def lessons(self) -> list[Lesson]:
        return [Solve(self._store)]

    def _store(self, batches: Iterable[Batch]) -> None:
        alike, self.weights = distributions.stored(
            batches, self.x.space, lambda y: state_of(self.parents, y)[:, None].double(), str(self))
        self.states, self.items = alike[:, 0].long(), alike[:, 1:].contiguous()
        self._choose(deadline_of(batches))

    def _choose(self, deadline: Deadline) -> None:
        """The widths, in turns."""
        n, D = self.items.shape
        normal = min((4 / (D + 2) / n) ** (1 / (D + 4)), _BROADEST)  # Silverman's, of normal data
        h = normal if self.bandwidth is None else float(self.chosen[0])
        a, tried = self.anew or 0.1, list[tuple[float, float, float]]()
        turns = [(_COARSE, (-4, -3, -2, -1, 0, 1)), (_FINE, (-2, -1, 0, 1, 2))]
        for ratio, powers in turns:
            if self.reals and self.bandwidth is None:
                widths = dict.fromkeys(min(h * ratio**k, _BROADEST) for k in powers)
                tried += [(w, a, self._leave_one_out(w, a)) for w in deadline.within(widths)]
            elif self.reals and isinstance(self.bandwidth, select) and (self.symbols or not tried):
                tried += [(w, a, score) for w, score in search(self.bandwidth, partial(self._leave_one_out, a=a), deadline)]
            h, a = self._best(tried, h, a)
            if self.symbols and self.anew is None:
                tried += [(h, v, self._leave_one_out(h, v)) for v in deadline.within(_ANEW)]
            h, a = self._best(tried, h, a)
        self.tried = torch.tensor([each for each in tried if each[2] > -math.inf], dtype=torch.float64).reshape(-1, 3)
        self.chosen.copy_(torch.tensor([h, a], dtype=torch.float64))

    def _best(self, tried: list[tuple[float, float, float]], h: float, a: float) -> tuple[float, float]:
        """The likeliest of what was tried; h and a where no row has another."""
        return max((each for each in tried if each[2] > -math.inf), key=_score, default=(h, a, 0.0))[:2]

    def _leave_one_out(self, h: float, a: float) -> float:
        """Mean log-likelihood of stored rows, each by the others; minus infinity where none has any."""
        kernels, total, rows = self._kernels(torch.tensor([h, a], dtype=torch.float64)), 0.0, 0.0
        for some in torch.arange(0, len(self.items), max(1, len(self.items) // _JUDGED)).split(_AT_ONCE):
            state, own = self.states[some], torch.arange(len(some))
            weights = torch.where(self.states == state[:, None], self.weights, 0.0)
            weights[own, some] = (weights[own, some] - 1).clamp(min=0)
            alone = weights.sum(1) <= 0
            x = distributions.KernelDensity(weights.log(), kernels)
            log_p = x.log_prob(self._entries(some))
            total += float((self.weights[some] * log_p)[~alone].sum())
            rows += float(self.weights[some][~alone].sum())
        return total / rows if rows else -torch.inf

    def _entries(self, rows: Tensor) -> Entries:
        items = self.items[rows]
        return Entries(items.nan_to_num(), ~items.isnan()).shaped(self.x.space)

    def _distribution(self, state: Tensor, kernels: distributions.Kernels) -> distributions.KernelDensity:
        return distributions.KernelDensity(torch.where(self.states == state[:, None], self.weights, 0.0).log(), kernels)

    def _kernels(self, widths: Tensor) -> distributions.Kernels:
        return distributions.Kernels.about(self.x.space, self.items, self.weights, *widths.tolist())

    # Stored rows have no fixed number: a loaded state brings its own.
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("items", "states", "weights", "tried"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)
