"""calibration: are probabilities frequencies? Of categories by reliability, of numbers by where the truth stands among draws.

On Calibration of Modern Neural Networks (Guo et al., 2017), https://arxiv.org/abs/1706.04599
Validating Bayesian Inference Algorithms with Simulation-Based Calibration (Talts et al., 2018), https://arxiv.org/abs/1804.06788
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from given.evaluate.score import wilson_interval

__all__ = ["Calibration", "coverage", "reliability"]

_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """What was predicted beside what was observed.

    Attributes:
        what: is predicted: the probability of the most probable category, or the level of a central interval.
        predicted, observed: (bins,) the mean prediction of a bin, and how often it came true.
        low, high: (bins,) the 95 % interval of the observed share (Wilson).
        counts: (bins,) rows.
        error: the mean distance of the two over rows: of reliability the expected calibration error.
        accuracy: the share of rows whose most probable category is right; nan of intervals.
        column: what they are of, where that is known.
    """

    what: str
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    counts: tuple[int, ...]
    error: float
    accuracy: float
    column: str = ""


def reliability(probabilities: np.ndarray, truth: np.ndarray) -> Calibration:
    """How often the most probable category is right, by its probability, in bins of equal numbers of rows.

    Args:
        probabilities: (n, K), rows that sum to one.
        truth: (n,) the number of the true category.
    """
    sure, right = probabilities.max(1), probabilities.argmax(1) == truth
    parts = [part for part in np.array_split(np.argsort(sure, kind="stable"), _BINS) if len(part)]
    return _calibration("probability of the most probable category", [float(sure[p].mean()) for p in parts],
                        [right[p] for p in parts], float(right.mean()))


def coverage(draws: np.ndarray, truth: np.ndarray, seed: int = 0) -> Calibration:
    """How often central intervals of draws hold the true number, by their level.

    Args:
        draws: (M, n) draws for every row, given what that row is given.
        truth: (n,) what it was.
        seed: of the place of the truth among draws that equal it.
    """
    below, equal = (draws < truth).sum(0), (draws == truth).sum(0)
    u = (below + np.random.default_rng(seed).uniform(size=len(truth)) * (equal + 1)) / (len(draws) + 1)
    levels = np.arange(1, _BINS) / _BINS
    return _calibration("level of a central interval", levels.tolist(), [np.abs(2 * u - 1) <= level for level in levels],
                        float("nan"))


def _calibration(what: str, predicted: list[float], held: list[np.ndarray], accuracy: float) -> Calibration:
    observed, counts = [float(h.mean()) for h in held], [len(h) for h in held]
    ends = [wilson_interval(int(h.sum()), len(h)) for h in held]
    error = float(np.average(np.abs(np.subtract(predicted, observed)), weights=counts))
    return Calibration(what, tuple(predicted), tuple(observed), tuple(low for low, _ in ends), tuple(high for _, high in ends),
                       tuple(counts), error, accuracy)
