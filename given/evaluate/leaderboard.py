"""leaderboard: models that learned from the same rows for the same time, side by side, ties called ties.

Models are ranked by the mean log p of the same test rows, item by item, within groups of one measure. A model is above another
if the 95 % interval of their paired difference says so, which counts the spread over seeds; else they are tied. A bound is at
most the truth, so a model with one may stand higher than it is ranked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from given.evaluate.assessment import Assessment
from given.evaluate.compare import Comparison, comparable
from given.evaluate.plain import plain
from given.evaluate.score import Score, wilson_interval
from given.evaluate.verdict import paired
from given.sources import Columns, write_file

__all__ = ["Entrant", "Leaderboard"]

_Z = 1.959964
_RANKED = 8  # rows
_FEW = 0.2  # of the summed difference that one row makes, above which its spread says little


@dataclass(frozen=True)
class Entrant:
    """One family's models, one a seed.

    Attributes:
        name: of the family.
        family: as it was built, such as `Dequantised(Gaussian)`.
        assessment: of the model of the first seed.
        scores: of test rows, a seed each.
        histories: (step, held-out nats an item in the units it learns in) of each seed's learning.
        parameters: that are learned by gradient.
        seconds: of wall time learning took, on average.
        stopped: why the first seed's learning ended.
    """

    name: str
    family: str
    assessment: Assessment
    scores: tuple[Score, ...] = ()
    histories: tuple[tuple[tuple[int, float], ...], ...] = ()
    parameters: int = 0
    seconds: float = 0.0
    stopped: str = ""

    @property
    def score(self) -> Score | None:
        """The mean over seeds of every item's log p, on the rows that all seeds scored."""
        if not self.scores:
            return None
        n = min(len(s.items) for s in self.scores)
        return replace(self.scores[0], items=np.mean([s.items[:n] for s in self.scores], 0), new={},
                       weights=None if self.scores[0].weights is None else self.scores[0].weights[:n])

    @property
    def spread(self) -> float:
        """The standard error of the mean over seeds, in nats; 0 of one seed, of which nothing is known."""
        n = min((len(s.items) for s in self.scores), default=0)
        means = [float(s.items[:n].mean()) for s in self.scores]
        return float(np.std(means, ddof=1) / math.sqrt(len(means))) if len(means) > 1 and np.isfinite(means).all() else 0.0


@dataclass(frozen=True)
class Leaderboard:
    """What `given.compare` found.

    Attributes:
        formula: what was modelled.
        baseline: the name of the entrant that every other is set beside.
        entrants: by name, those of a group in their order.
        refused: family -> the line that says why it does not apply.
        test: the rows all were scored on.
        facts: split, budget and seeds, in words.
        numeric: the two columns whose density is drawn, their values for test rows and for each entrant's draws: name ->
            (n, 2), with the test's under "".
        axes: the names of the two.
        images: columns that are pictures -> how many levels.
        page: what makes a page of it.
    """

    formula: str
    baseline: str
    entrants: Mapping[str, Entrant]
    refused: Mapping[str, str]
    test: Columns = field(repr=False)
    facts: Mapping[str, str] = field(default_factory=dict)
    numeric: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    axes: tuple[str, str] = ("", "")
    images: Mapping[str, int] = field(default_factory=dict)
    page: Callable[[Leaderboard], str] = field(default=str, repr=False)

    def difference(self, a: str, b: str) -> tuple[float, float]:
        """The mean log p of a minus that of b in nats, over the rows that both scored, and its standard error over rows and
        seeds.

        Raises:
            UserError: they have different measures or columns, and so no order.
        """
        x, y = self._shared(a, b)
        Comparison({a: x, b: y}).difference(a, b)  # refuses what has no order
        mean, error = paired(x.items, y.items, x.weights)
        if len(x.items) == 1:  # a single text, by its pieces
            error = math.hypot(x.within, y.within)
        return mean, math.hypot(error, self.entrants[a].spread, self.entrants[b].spread)

    def _shared(self, a: str, b: str) -> tuple[Score, Score]:
        """Both scores, of the rows that both scored."""
        x, y = self.entrants[a].score, self.entrants[b].score
        assert x is not None and y is not None
        n = min(len(x.items), len(y.items))
        first, second = (replace(s, items=s.items[:n], weights=None if s.weights is None else s.weights[:n]) for s in (x, y))
        return first, second

    def above(self, a: str, b: str) -> bool:
        """Whether a's score is surely higher than b's: the interval of their difference lies above 0.

        Where one row makes a fifth of all differences or more, or there are but a few rows, their spread says little; then a is
        above b if its mean is, and the interval of the share of rows that it scores higher lies above one half.
        """
        mean, error = self.difference(a, b)
        if not mean > 0 or math.isinf(mean):
            return mean > 0
        x, y = self._shared(a, b)
        apart = x.items - y.items
        if len(apart) == 1 or np.abs(apart).max() <= _FEW * np.abs(apart).sum():
            return mean > _Z * error
        return wilson_interval(int((apart > 0).sum()), len(apart))[0] > 0.5

    @property
    def groups(self) -> list[list[str]]:
        """Names that have an order, the best first; those without a density are in none."""
        scored: dict[str, Score] = {name: e.score for name, e in self.entrants.items() if e.score is not None}
        out = []
        for names in comparable(scored):
            anchor = self.baseline if self.baseline in names else names[0]
            out.append(sorted(names, key=lambda n: -self._over(n, anchor)))
        return out

    def _over(self, name: str, anchor: str) -> float:
        mean = self.difference(name, anchor)[0]
        return mean if not math.isnan(mean) else -math.inf

    def rank(self, name: str) -> str:
        """Its place in its group: one more than how many are surely above it; `1=` where it is shared, `3-` where its score
        is a bound, so that it may be higher; `?` where fewer than eight rows were scored, which rank nothing; `-` without a
        score."""
        least = min(_RANKED, self.test.n)
        group = [n for n in next((g for g in self.groups if name in g), [])
                 if (own := self.entrants[n].score) is not None and len(own.items) >= least]
        if name not in group:
            return "-" if self.entrants[name].score is None else "?"
        places = {n: 1 + sum(self.above(other, n) for other in group if other != n) for n in group}
        shared = sum(place == places[name] for place in places.values()) > 1
        score = self.entrants[name].score
        bound = score is not None and score.kind == "bound" and places[name] > 1
        return f"{places[name]}{'=' if shared else ''}{'-' if bound else ''}"

    def rows(self) -> list[list[str]]:
        """Cells of the table, its header first."""
        per, unit = self._per
        cells = [["rank", "family", f"nats/{unit}", "± s.e.", "over baseline", "rows", "kind", "verdict", "classifier",
                  "coverage", "copies", "seconds"]]
        for name in self.order:
            e, a = self.entrants[name], self.entrants[name].assessment
            score = e.score
            head = ["-"] * 5
            if score is not None:
                head = [_number(score.value / per), _number(math.hypot(score.error, e.spread) / per), self._beside(name),
                        f"{len(score.items):,}", score.nature]
            classifier = "-" if a.classifier is None else f"{a.classifier.accuracy:.2f}"
            support, found = "-" if a.support is None else f"{a.support.coverage:.2f}", a.copies
            cells.append([self.rank(name), name, *head, a.diagnosis.verdict, classifier, support,
                          "-" if found is None else f"{found.share:.0%}", f"{e.seconds:.1f}"])
        return cells

    @property
    def order(self) -> list[str]:
        """All names: group by group, and then those without a score."""
        ranked = [name for group in self.groups for name in group]
        return [*ranked, *(name for name in self.entrants if name not in ranked)]

    @property
    def _per(self) -> tuple[float, str]:
        """What nats an item are divided by to be read, and its name: characters where nothing but text is scored."""
        characters = {e.score.characters for e in self.entrants.values() if e.score is not None}
        return (max(characters), "character") if characters and min(characters) > 0 else (1.0, "item")

    def _beside(self, name: str) -> str:
        if name == self.baseline or self.baseline not in next(g for g in self.groups if name in g):
            return "-"
        mean, error = (figure / self._per[0] for figure in self.difference(name, self.baseline))
        return f"{'+' * (mean >= 0)}{_number(mean)} ± {_number(error)}" if math.isfinite(mean) else f"{mean}"

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        why = [f"{name}: {reason}" for name, reason in self.refused.items()]
        return "\n".join([*lines, *(["", "do not apply:", *why] if why else [])])

    __repr__ = __str__

    def json(self) -> dict[str, Any]:
        """All figures by name, as JSON has them: what is not finite is None."""
        out: dict[str, Any] = {"formula": self.formula, "baseline": self.baseline, **self.facts}
        out["entrants"] = [self._entrant(name) for name in self.order]
        out["refused"] = dict(self.refused)
        found: dict[str, Any] = plain(out)
        return found

    def _entrant(self, name: str) -> dict[str, Any]:
        e, score = self.entrants[name], self.entrants[name].score
        mine: dict[str, Any] = {"family": name, "built": e.family, "rank": self.rank(name), "parameters": e.parameters,
                                "seconds": e.seconds, "stopped": e.stopped}
        if score is not None:
            mine |= {"value": score.value, "error": math.hypot(score.error, e.spread), "unit": score.unit, "kind": score.kind,
                     "measure": score.measure, "rows": len(score.items), "seeds": [s.value for s in e.scores]}
            group = next(g for g in self.groups if name in g)
            mine["tied"] = [n for n in group if n != name and not self.above(n, name) and not self.above(name, n)]
        return {**mine, **e.assessment.json(), "history": e.histories}

    def save(self, path: str) -> None:
        """Write it as one self-contained HTML page."""
        content = self.page(self).encode()
        write_file(path, lambda file: file.write(content))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}" if not abs(value) >= 1e4 else f"{value:.3g}"
