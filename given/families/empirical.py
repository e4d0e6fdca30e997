"""Empirical: store the data, draw an index. The minimal generative model.

    p(x | y) = 1/N_y sum_{i: y_i = y} prod_d k(x_d | x_id)

Without smoothing k is a point mass: the density is honest, and minus infinity on everything that was not stored. With
it, k is a two-sided geometric around the symbol on ordered symbols (ratio s); on others it keeps the symbol with
probability 1 - s and draws from all evenly else: a kernel density on a finite grid (Parzen windows).
`smoothing="held-out"` picks s by the leave-one-out likelihood of the stored items. Where nothing is stored under y,
everything has probability zero. `log_prob` is exact either way, and so are marginals and conditionals.

Source: Parzen, On estimation of a probability density function and mode, 1962 / https://doi.org/10.1214/aoms/1177704472
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional, state_of, states
from given.lessons import Batch, Lesson, Solve, deadline_of
from given.variables import Entries, Finite, Observed, UserError, Variable

__all__ = ["Empirical"]

_CANDIDATES = (0.2, 0.05, 0.5, 0.1, 0.3, 0.02, 0.4, 0.15, 0.7, 0.25, 0.6, 0.35, 0.8, 0.45)  # the first few are far apart


class Empirical(Conditional):
    """The stored data as a distribution.

    Args:
        x: finite.
        parents: finite.
        smoothing: 0 for the stored items alone, a number in (0, 1), or "held-out".
    """

    plans = ("width",)

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, smoothing: float | str = 0.0) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite):
            raise UserError(f"Empirical: expected a finite space, got {x.name}: {x.space}; use Gaussian for reals")
        if not (smoothing == "held-out" or (not isinstance(smoothing, str) and 0 <= smoothing < 1)):
            raise UserError(f"Empirical: smoothing={smoothing!r}; expected a number in [0, 1) or 'held-out'")
        states(self.parents, f"Empirical {x.name}")
        self.smoothing = smoothing
        self.items: Tensor
        self.states: Tensor
        self.weights: Tensor
        self.width: Tensor
        self.register_buffer("items", torch.zeros(0, *x.space.shape, dtype=torch.int64))
        self.register_buffer("states", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("weights", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("width", torch.tensor(0.0 if smoothing == "held-out" else smoothing, dtype=torch.float64))

    def forward(self, y: Observed) -> distributions.Empirical:
        if not len(self.items):
            raise UserError(f"Empirical {self.x.name}: nothing is stored yet; fit it first")
        return self._distribution(state_of(self.parents, y), float(self.width))

    def lessons(self) -> list[Lesson]:
        return [Solve(self._store)]

    def _store(self, batches: Iterable[Batch]) -> None:
        items, states_, weights = [], [], []
        for x, y, weight in batches:
            if not x.complete:
                raise UserError(f"{self.x.name}: Empirical stores whole items, got unseen entries; use Independent")
            items.append(x.tensor)
            states_.append(state_of(self.parents, y))
            weights.append(weight.double())
        self.items, self.states, self.weights = torch.cat(items), torch.cat(states_), torch.cat(weights)
        if self.smoothing == "held-out":
            self._pool()
            tried = {width: self._leave_one_out(width) for width in deadline_of(batches).within(_CANDIDATES)}
            self.width.fill_(max(tried, key=tried.__getitem__))

    def _pool(self) -> None:
        """Copies of an item become one of their weight, so that what is left out is left out of all of them."""
        rows = torch.cat([self.states[:, None], self.items.reshape(len(self.items), -1)], 1)
        _, which, copies = rows.unique(dim=0, return_inverse=True, return_counts=True)
        first = which.argsort(stable=True)[copies.cumsum(0) - copies]  # of every item the first copy
        order = first.argsort()
        self.weights = torch.zeros(len(first), dtype=torch.float64).index_add_(0, which, self.weights)[order]
        self.items, self.states = self.items[first[order]], self.states[first[order]]

    def _distribution(self, state: Tensor, width: float, left_out: Tensor | None = None) -> distributions.Empirical:
        """The distribution of each row; `left_out` (B,) is an item of which one copy is left out."""
        weights = torch.where(self.states == state[:, None], self.weights, 0.0)
        if left_out is not None:
            row = torch.arange(len(state), device=state.device)
            weights[row, left_out] = (weights[row, left_out] - 1).clamp(min=0)
        space = self.x.space
        assert isinstance(space, Finite)
        kernel = _log_kernel(space, width).to(state.device)
        return distributions.Empirical(weights.log(), self.items, kernel, space)

    def _leave_one_out(self, width: float) -> float:
        """Log-likelihood of stored items (2,000 at most, evenly spaced), each by the others."""
        total = 0.0
        some = torch.arange(0, len(self.items), max(1, len(self.items) // 2000))
        for part in some.split(256):
            log_p = self._distribution(self.states[part], width, part).log_prob(Entries(self.items[part]))
            there = log_p > -torch.inf  # an item alone under its condition carries no information on the width
            total += float((self.weights[part] * log_p)[there].sum())
        return total

    # Stored items have no fixed number: a loaded state brings its own.
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("items", "states", "weights"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _log_kernel(space: Finite, width: float) -> Tensor:
    """(V, V) float64, row v the log distribution of a symbol whose stored value is v."""
    V = space.size
    if space.ordered:
        distance = (torch.arange(V)[:, None] - torch.arange(V)).abs()
        kernel = torch.tensor(width, dtype=torch.float64) ** distance
    else:
        kernel = (1 - width) * torch.eye(V, dtype=torch.float64) + width / V
    return (kernel / kernel.sum(-1, keepdim=True)).log()
