"""Bins: where numbers of one column fall into so many bins of a range, evenly or, where tails are long, along a curve.

One value far out leaves evenly laid bins one bin for all others. So bins are also laid evenly on the line that a `Curve`
through the quantiles makes of the column, and those are taken that make the values likelier as a histogram, by a margin.
There a bin that reaches far into a gap beyond its values ends soon after them, so that they come back as about what they were.
"""

from __future__ import annotations

import numpy as np

from given.scales.curve import Curve

__all__ = ["Bins"]

_CLEARLY = 0.25  # nats a value by which bins along the curve have to be better


class Bins:
    """Bins of numbers, learned in one pass over batches."""

    def __init__(self) -> None:
        self.curve = Curve((), False, False, True)

    def learn(self, values: np.ndarray) -> None:
        """Hold one more batch of float64 (B,)."""
        self.curve.learn(values)

    def edges(self, low: float, high: float, bins: int) -> np.ndarray:
        """Where bins meet, and both ends: (bins + 1,), rising."""
        even = np.linspace(low, high, bins + 1)
        if not self.curve.seen or not low < high:
            return even
        least, most = self.curve.place(np.array([low, high])).tolist()
        found = self.curve.r(np.linspace(least, most, bins + 1))
        found[[0, -1]] = low, high
        values = np.unique(self.curve.held)
        found = -_closed(-_closed(found, values)[::-1], -values[::-1])[::-1]
        if not (np.diff(found) > 0).all():
            return even
        return found if self._likelihood(found) > self._likelihood(even) + _CLEARLY else even

    def _likelihood(self, edges: np.ndarray) -> float:
        """Mean log density of the values held, each bin with one value more than it has."""
        counts, _ = np.histogram(self.curve.held, edges)
        density = (counts + 1) / (counts.sum() + len(counts)) / np.diff(edges)
        return float(counts @ np.log(density) / max(counts.sum(), 1))


def _closed(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Edges, of which one that lies more than half a bin above the greatest of the bin's values (rising) is as far above it as
    the bin reaches below, or as the bin before is wide."""
    edges, before = edges.copy(), 0.0
    last = np.searchsorted(values, edges[1:]) - 1
    for k in range(len(edges) - 2):
        top = values[last[k]]
        if last[k] >= 0 and top >= edges[k] and edges[k + 1] - top > (edges[k + 1] - edges[k]) / 2:
            closer = top + max(top - edges[k], before)
            edges[k + 1] = closer if top < closer < edges[k + 1] else edges[k + 1]
        before = edges[k + 1] - edges[k]
    return edges
