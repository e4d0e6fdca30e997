"""assessment: all that was found out of one model on one split, as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from given.evaluate.calibration import Calibration
from given.evaluate.neighbours import Copies, Support
from given.evaluate.score import Score
from given.evaluate.train_on_draws import Usefulness
from given.evaluate.two_sample import ClassifierTest, KernelTest
from given.evaluate.verdict import Diagnosis
from given.sources import Columns

__all__ = ["Assessment"]

_LISTED = 5


@dataclass(frozen=True)
class Assessment:
    """What was found out of a model. A field is None where it could not be found out, and `left_out` says why.

    Attributes:
        diagnosis: the verdict and its figures.
        score: log p of test rows, of the first so many where there was no time for all.
        train_score: of as many rows that were learned from.
        drawn: a draw for each test row, given what that row is given; of the first so many.
        classifier: one between draws and test rows.
        kernel: the maximum mean discrepancy between them.
        support: precision, recall, density and coverage.
        copies: draws that are rows learned from.
        diversity: condition -> how far apart its draws are, by how far apart its rows are.
        usefulness: of draws to learn from.
        calibration: of probabilities, or of central intervals.
        worst: (test row, log p in nats), the least probable first.
        rows: the numbers of the test rows in the order of scores and draws, a sample of all.
        left_out: what could not be found out -> why.
    """

    diagnosis: Diagnosis
    score: Score | None = None
    train_score: Score | None = None
    drawn: Columns | None = field(default=None, repr=False)
    classifier: ClassifierTest | None = None
    kernel: KernelTest | None = None
    support: Support | None = None
    copies: Copies | None = None
    diversity: Mapping[str, float] = field(default_factory=dict)
    usefulness: Usefulness | None = None
    calibration: Calibration | None = None
    worst: tuple[tuple[int, float], ...] = ()
    rows: tuple[int, ...] = field(default=(), repr=False)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join([str(self.diagnosis), *(f"{k}: {v}" for k, v in self.shown().items()),
                          *(f"{k}: {why}" for k, why in self.left_out.items())])

    def shown(self) -> dict[str, str]:
        """Name -> figures in words, of what was found."""
        out = dict[str, str]()
        if self.score is not None:
            out["held-out log p"] = str(self.score)
        if self.kernel is not None:
            out["maximum mean discrepancy"] = (f"{self.kernel.value:.4f} squared (p = {self.kernel.p_value:.3f}; bandwidth "
                                               f"{self.kernel.bandwidth:.3g})")
        if (s := self.support) is not None:
            out["support"] = (f"precision {s.precision:.2f}, recall {s.recall:.2f}, density {s.density:.2f}, coverage "
                              f"{s.coverage:.2f}")
        if self.diversity:
            least = min(self.diversity, key=lambda k: self.diversity[k])
            mean = sum(self.diversity.values()) / len(self.diversity)
            out["diversity"] = f"{mean:.2f} of the data's; least {self.diversity[least]:.2f}, given {least}"
        if (u := self.usefulness) is not None:
            out["usefulness"] = (f"{u.column or 'a column'} predicted from the others: {u.unit} {u.drawn:.3f} learned from "
                                 f"draws, {u.real:.3f} from rows; chance {u.chance:.3f}")
        if (c := self.calibration) is not None:
            right = "" if math.isnan(c.accuracy) else f"; accuracy {c.accuracy:.3f}"
            out["calibration"] = (f"{c.column or 'a column'}: {c.error:.3f} between the {c.what} and its frequency, "
                                  f"{sum(c.counts):,} answers{right}")
        if self.copies is not None and self.copies.memorised:
            some = [f"draw {i} is row {row} (distance {far:.3g})" for i, row, far in self.copies.listed[:_LISTED]]
            out["copies"] = f"{', '.join(some)}{', ...' * (len(self.copies.listed) > _LISTED)}"
        if len(self.worst) > 1:
            out["least probable test rows"] = ", ".join(f"{i} ({nats:.4g} nats)" for i, nats in self.worst[:_LISTED])
        return out

    def json(self) -> dict[str, Any]:
        """Plain numbers by name."""
        out: dict[str, Any] = {"verdict": self.diagnosis.verdict, "sentence": self.diagnosis.sentence,
                               "figures": dict(self.diagnosis.figures)}
        for name in ("classifier", "kernel", "support", "copies", "usefulness", "calibration"):
            if (value := getattr(self, name)) is not None:
                out[name] = vars(value)
        return {**out, "diversity": dict(self.diversity), "worst": list(self.worst), "left_out": dict(self.left_out)}
