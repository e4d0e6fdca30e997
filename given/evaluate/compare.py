"""compare: scores side by side, ranked only where they are comparable.

Two scores may be ranked if they are of the same columns, given the same, in one measure and one unit. Kinds may differ
and are marked: a bound is at most the truth, so it may win but not lose; an estimate may do either. Differences are
paired, item by item.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from given.evaluate.score import Score, weighted_mean
from given.variables import UserError

__all__ = ["Comparison", "comparable"]

_SAME = ("columns", "conditioned_on", "measure", "unit")


def comparable(scores: Mapping[str, Score]) -> list[list[str]]:
    """Names in groups that have an order: of the same columns, given the same, in one measure and one unit."""
    found: dict[tuple[object, ...], list[str]] = {}
    for name, score in scores.items():
        found.setdefault(tuple(getattr(score, what) for what in _SAME), []).append(name)
    return list(found.values())


@dataclass(frozen=True)
class Comparison:
    """A table of scores on the same items.

    Attributes:
        scores: name -> score.

    Raises:
        UserError: scores of different numbers of items.
    """

    scores: Mapping[str, Score]

    def __post_init__(self) -> None:
        lengths = {name: len(score.items) for name, score in self.scores.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(f"compare: expected scores of the same items, got {lengths}")

    @property
    def groups(self) -> list[list[str]]:
        """Names that may be ranked together, the best of each group first."""
        sign = {name: -1 if s.unit == "nats/item" else 1 for name, s in self.scores.items()}
        return [sorted(names, key=lambda n: sign[n] * self.scores[n].value) for names in comparable(self.scores)]

    def difference(self, a: str, b: str) -> tuple[float, float]:
        """The mean of score a minus score b, item by item, and its standard error.

        Raises:
            UserError: they may not be compared, and why.
        """
        x, y = self.scores[a], self.scores[b]
        for what in _SAME:
            if getattr(x, what) != getattr(y, what):
                raise UserError(f"compare: {a} and {b} differ in {what}: {getattr(x, what)!r} and {getattr(y, what)!r}; "
                                "such scores have no order")
        alike = x.items == y.items  # minus infinity on both sides too
        with np.errstate(invalid="ignore"):
            return weighted_mean(np.where(alike, 0.0, x.items - y.items), x.weights)

    def rows(self) -> list[list[str]]:
        """Cells of the table, its header first."""
        header = ["model", "score", "± s.e.", "unit", "given", "kind", "measure", "covered"]
        cells = [header]
        for group in self.groups:
            for name in group:
                s = self.scores[name]
                value = f"{s.value:.3f}" if math.isfinite(s.value) else ("-inf" if s.unit == "nats/item" else "inf")
                error = "-" if math.isnan(s.error) else f"{s.error:.3f}"
                given = ", ".join(s.conditioned_on) or "-"
                cells.append([name, value, error, s.unit, given, s.nature, s.measure, f"{s.covered:.0%}"])
        return cells

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        rule, at, out = "-" * max(map(len, lines)), 1, [lines[0]]
        for group in self.groups:
            out += [rule, *lines[at:at + len(group)]]
            at += len(group)
        return "\n".join(out)

    __repr__ = __str__
