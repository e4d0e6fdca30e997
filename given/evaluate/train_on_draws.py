"""train_on_draws: what a model of draws is worth on real rows, beside the same model of real rows.

Real-valued (Medical) Time Series Generation (Esteban et al., 2017), https://arxiv.org/abs/1706.02633
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from given.variables import UserError

__all__ = ["Usefulness", "usefulness"]

_TREES = 50


@dataclass(frozen=True)
class Usefulness:
    """A random forest's score on real held-out rows.

    Attributes:
        drawn: where it learned from draws.
        real: where it learned from as many real rows.
        chance: of the most frequent category, or of the mean.
        unit: `accuracy`, or `R2` of numbers.
        column: what is predicted from all others, where that is known.
    """

    drawn: float
    real: float
    chance: float
    unit: str
    column: str = ""


def usefulness(drawn: tuple[np.ndarray, np.ndarray], real: tuple[np.ndarray, np.ndarray],
               test: tuple[np.ndarray, np.ndarray], *, seed: int = 0) -> Usefulness:
    """Train on draws, test on real.

    Args:
        drawn, real, test: inputs (n, D) and a target (n,), whole numbers of categories or floating numbers.
        seed: of the forest and the rows taken.

    Raises:
        UserError: fewer than ten rows.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    n = min(len(drawn[1]), len(real[1]))
    if n < 10 or len(test[1]) < 10:
        raise UserError(f"usefulness: expected at least 10 draws, rows and held-out rows, got {len(drawn[1])}, {len(real[1])} "
                        f"and {len(test[1])}")
    classes = test[1].dtype.kind in "iub"
    forest = RandomForestClassifier if classes else RandomForestRegressor
    generator, found = np.random.default_rng(seed), list[float]()
    for inputs, target in (drawn, real):
        some = generator.permutation(len(target))[:n]
        found.append(float(forest(_TREES, random_state=seed, n_jobs=1).fit(inputs[some], target[some]).score(*test)))
    chance = float((test[1] == np.bincount(real[1]).argmax()).mean()) if classes else 0.0
    return Usefulness(found[0], found[1], chance, "accuracy" if classes else "R2")
