"""neighbours: what the nearest rows say of draws: precision, recall, density, coverage, copies, diversity.

Improved Precision and Recall Metric (Kynkäänniemi et al., 2019), https://arxiv.org/abs/1904.06991
Reliable Fidelity and Diversity Metrics (Naeem et al., 2020), https://arxiv.org/abs/2002.09797
A Non-Parametric Test to Detect Data-Copying (Meehan et al., 2020), https://arxiv.org/abs/2004.05675
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from given.evaluate.score import wilson_interval
from given.variables import UserError

__all__ = ["Copies", "Support", "copies", "diversity", "support"]

_NEIGHBOURS = 5
_NEAR = 0.05  # of held-out rows are as near a row learned from as a copy is
_ROWS = 1 << 8  # at once


@dataclass(frozen=True)
class Support:
    """Whether draws lie where the data lies, and the data where draws lie. A ball reaches from a row to its fifth neighbour.

    Attributes:
        precision: the share of draws in a ball of the data.
        recall: the share of the data in a ball of draws.
        density: how many balls of the data a draw is in, by their expected number: 1 where both are one distribution.
        coverage: the share of the data's balls that hold a draw; where both are one distribution and of as many rows, .97.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Copies:
    """Draws that stand nearer to a row learned from than held-out rows do.

    Attributes:
        share: of draws; at most some 5 % are where nothing is copied.
        low, high: its 95 % interval (Wilson).
        listed: (draw, row learned from, distance), the nearest first.
        drawn, held_out: the median distance to the nearest row learned from.
    """

    share: float
    low: float
    high: float
    listed: tuple[tuple[int, int, float], ...]
    drawn: float
    held_out: float

    def of_rows(self, numbers: np.ndarray) -> Copies:
        """The same where the rows learned from have numbers (n,) of their own."""
        return replace(self, listed=tuple((i, int(numbers[row]), far) for i, row, far in self.listed))

    @property
    def memorised(self) -> bool:
        """Whether draws are copies far beyond what held-out rows and chance explain."""
        return self.low > 5 * _NEAR


def support(data: np.ndarray, drawn: np.ndarray, *, neighbours: int = _NEIGHBOURS) -> Support:
    """Precision, recall, density and coverage of draws.

    Args:
        data, drawn: (n, D) and (m, D) numbers, as of `Features`.
        neighbours: the one that a ball reaches to.

    Raises:
        UserError: no more rows than neighbours.
    """
    if min(len(data), len(drawn)) <= neighbours:
        raise UserError(f"support: expected more than {neighbours} rows of data and draws, got {len(data)} and {len(drawn)}")
    across = _distances(drawn, data)  # (m, n)
    of_data, of_drawn = (_radius(v, neighbours) for v in (data, drawn))
    inside = across <= of_data
    return Support(float(inside.any(1).mean()), float((across <= of_drawn[:, None]).any(0).mean()),
                   float(inside.sum(1).mean() / neighbours), float(inside.any(0).mean()))


def copies(train: np.ndarray, drawn: np.ndarray, held_out: np.ndarray) -> Copies:
    """Draws that are copies of rows learned from, judged by how near held-out rows lie to them.

    A draw is a copy where it is nearer to a row learned from than all but 5 % of held-out rows are, and less than half as far
    from it as that row's nearest neighbour; so that draws from a narrow middle, which are near many rows, are none. Equal
    distances count as nearer: where rows repeat, a draw that repeats is none.

    Args:
        train, drawn, held_out: (n, D) rows of numbers.

    >>> g = np.random.default_rng(0)
    >>> train, held_out = g.normal(size=(2, 300, 3))
    >>> copies(train, train[:100] + .001, held_out).memorised, copies(train, g.normal(size=(100, 3)), held_out).memorised
    (True, False)
    """
    if not min(map(len, (train, drawn, held_out))):
        raise UserError("copies: expected at least one row learned from, one draw and one held-out row")
    near, which = _nearest(drawn, train)
    usual = np.sort(_nearest(held_out, train)[0])
    rank = (np.searchsorted(usual, near * (1 + 1e-9), side="right") + 1) / (len(usual) + 1)
    copied = (rank <= max(_NEAR, 1 / (len(usual) + 1))) & (near < _own(train, which) / 2)
    found = sorted(np.flatnonzero(copied).tolist(), key=lambda i: near[i])
    low, high = wilson_interval(int(copied.sum()), len(drawn))
    return Copies(float(copied.mean()), low, high, tuple((i, int(which[i]), float(near[i])) for i in found),
                  float(np.median(near)), float(np.median(usual)))


def diversity(data: np.ndarray, drawn: np.ndarray, data_groups: np.ndarray, drawn_groups: np.ndarray) -> dict[str, float]:
    """How far apart two draws of one condition are on average, by how far apart two rows of the data are: condition -> ratio.

    1 where draws are as diverse, 0 where all draws of a condition are alike. Conditions with fewer than two rows or without
    any spread are left out.
    """
    found = dict[str, float]()
    for group in dict.fromkeys(data_groups.tolist()):
        own, its = data[data_groups == group], drawn[drawn_groups == group]
        if min(len(own), len(its)) > 1 and (usual := _mean_apart(own)) > 0:
            found[str(group)] = _mean_apart(its) / usual
    return found


def _mean_apart(x: np.ndarray) -> float:
    return float(_distances(x, x).sum() / (len(x) * (len(x) - 1)))


def _radius(x: np.ndarray, k: int) -> np.ndarray:
    """The distance of every row to its k-th neighbour."""
    distances = _distances(x, x)
    np.fill_diagonal(distances, 0)
    return np.partition(distances, k, axis=1)[:, k]  # the first is the row itself


def _own(x: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The distance of some rows to the nearest other one that is not equal to it; infinite where all are."""
    equal = 1e-6 * (1 + np.abs(x).max())  # to rounding
    return np.concatenate([np.where((apart := _distances(x[some], x)) > equal, apart, np.inf).min(1)
                           for some in (which[i:i + _ROWS] for i in range(0, len(which), _ROWS))])


def _nearest(x: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distance of every row to the nearest of others, and which that is; some rows at once."""
    parts = [_distances(x[i:i + _ROWS], among) for i in range(0, len(x), _ROWS)]
    which = np.concatenate([part.argmin(1) for part in parts])
    return np.sqrt(((x - among[which]) ** 2).sum(1)), which


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))
