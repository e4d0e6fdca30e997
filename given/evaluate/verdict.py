"""verdict: does a model underfit, overfit, memorise or fit, and by which figures?

A model memorises where its draws are copies of rows that it learned from; overfits where half or more of what it gained over
its baseline on those rows is not there on others; underfits where a classifier tells its draws from held-out rows; and fits
where nothing of that is found. The first that holds is said. A verdict is of these rows and these tests: a larger sample may
tell draws that a smaller one does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from given.evaluate.neighbours import Copies
from given.evaluate.score import weighted_mean
from given.evaluate.two_sample import ClassifierTest

__all__ = ["Diagnosis", "Verdict", "diagnosis", "paired", "worst"]

Verdict = Literal["memorises", "overfits", "underfits", "fits", "unknown"]
_SURE = 3.0  # standard errors
_ROUNDING = 1e-9  # nats
_LOST, _TOLD = 0.5, 0.55
_LEVEL = 0.002  # since of many models that are compared few are to be called what they are not
_BESIDE = 0.05  # the level where a model is below its baseline too


@dataclass(frozen=True)
class Diagnosis:
    """A verdict and what it is by.

    Attributes:
        verdict: memorises, overfits, underfits or fits; unknown where it neither draws nor has a density, or of a single row.
        sentence: the verdict and the figures behind it.
        figures: name -> number: `copies`, the share of draws; `gap`, the nats an item that rows learned from are better by than
            held-out ones, beyond what they are for the baseline, and its standard `gap_error`; `gain` over the baseline on
            held-out rows and `gain_error`; `lost`, the part of the gain on rows learned from that held-out ones lack;
            `classifier`, its accuracy at telling draws from held-out rows, and `classifier_p_value`.
    """

    verdict: Verdict
    sentence: str
    figures: Mapping[str, float]

    def __str__(self) -> str:
        return self.sentence


def diagnosis(found: Copies | None, classifier: ClassifierTest | None, train: np.ndarray | None = None,
              held_out: np.ndarray | None = None,
              baseline: tuple[np.ndarray, np.ndarray] | None = None) -> Diagnosis:
    """The diagnosis of a model.

    Args:
        found: copies among its draws; None where it cannot draw.
        classifier: how well it tells draws from held-out rows; None where there are too few.
        train, held_out: (n,), (m,) log p of rows that were and that were not learned from; None without a density.
        baseline: (n,), (m,) log p of the same rows by the baseline.
    """
    figures = dict[str, float]()
    if found is not None:
        figures["copies"] = found.share
    if classifier is not None:
        figures |= {"classifier": classifier.accuracy, "classifier_p_value": classifier.p_value}
    if train is not None and held_out is not None:
        figures |= _likelihoods(train, held_out, baseline)
    verdict = _verdict(figures, found)
    return Diagnosis(verdict, _sentence(verdict, figures, found, classifier), figures)


def _likelihoods(train: np.ndarray, held_out: np.ndarray,
                 baseline: tuple[np.ndarray, np.ndarray] | None) -> dict[str, float]:
    """The gap between rows learned from and others, and what the model gained over its baseline."""
    (own, e), (other, f) = ((weighted_mean(train), weighted_mean(held_out)) if baseline is None else
                            (paired(train, baseline[0]), paired(held_out, baseline[1])))
    figures = {"gap": own - other if math.isfinite(own) or math.isfinite(other) else 0.0, "gap_error": math.hypot(e, f)}
    if baseline is not None:
        lost = math.nan if not own > 0 else figures["gap"] / own if math.isfinite(other) else 1.0
        figures |= {"gain": other, "gain_error": f, "lost": lost}
    return figures


def _verdict(figures: Mapping[str, float], found: Copies | None) -> Verdict:
    gap, error = figures.get("gap", 0.0), figures.get("gap_error", 0.0)
    apart = math.isinf(gap) or gap > _SURE * error
    lost = figures.get("lost", math.nan)
    worse = figures.get("gain", 0.0) < -_SURE * figures.get("gain_error", 0.0)
    if found is not None and found.memorised:
        return "memorises"
    if gap > 0 and apart and ("lost" not in figures or lost > _LOST or worse or math.isinf(gap)):
        return "overfits"
    p_value = figures.get("classifier_p_value", 1.0)
    apart = p_value <= _LEVEL and figures["classifier"] >= _TOLD
    if apart or (worse and (p_value <= _BESIDE or "classifier" not in figures)):
        return "underfits"
    return "fits" if "classifier" in figures or not math.isnan(figures.get("gap_error", math.nan)) else "unknown"


def _sentence(verdict: Verdict, figures: Mapping[str, float], found: Copies | None, classifier: ClassifierTest | None) -> str:
    parts = list[str]()
    if found is not None:
        parts.append(f"{found.share:.0%} of draws are copies of rows learned from (nearest row at {found.drawn:.3g}, of "
                     f"held-out rows at {found.held_out:.3g})")
    if math.isinf(figures.get("gain", figures.get("gap", 0.0))):
        parts.append("held-out rows have probability zero")
    elif "gap" in figures:
        gap = f"{_rounded(figures['gap']):.3g} ± {_rounded(figures['gap_error']):.2g}"
        beyond = ", beyond what they do for the baseline" if "gain" in figures else ""
        sure = figures.get("lost", math.nan) > 0 and figures["gap"] > 2 * figures["gap_error"]
        lost = f" ({figures['lost']:.0%} of what is gained there)" if sure else ""
        parts.append(f"rows learned from score {gap} nats above held-out ones{beyond}{lost}")
        if "gain" in figures:
            parts.append(f"held-out rows score {_rounded(figures['gain']):+.3g} ± {_rounded(figures['gain_error']):.2g} nats "
                         "against the baseline")
    if classifier is not None:
        parts.append(f"a classifier tells draws from held-out rows with accuracy {classifier.accuracy:.2f} "
                     f"({classifier.low:.2f} to {classifier.high:.2f}; chance .5; p = {classifier.p_value:.3f})")
    return f"{verdict}: {'; '.join(parts) or 'nothing was measured'}."


def _rounded(value: float) -> float:
    """0 where it is that but for the rounding of sums."""
    return 0.0 if abs(value) < _ROUNDING else value


def paired(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """The mean of a minus b, item by item, and its standard error; what is impossible under both says nothing.

    >>> paired(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0]))
    (1.0, 0.0)
    """
    with np.errstate(invalid="ignore"):
        return weighted_mean(np.where(a == b, 0.0, a - b), weights)


def worst(items: np.ndarray, n: int = 10) -> list[tuple[int, float]]:
    """The n least probable rows, each with its log p, the worst first.

    >>> worst(np.array([-1.0, -9.0, -3.0]), 2)
    [(1, -9.0), (2, -3.0)]
    """
    return [(int(i), float(items[i])) for i in np.argsort(items, kind="stable")[:n]]
