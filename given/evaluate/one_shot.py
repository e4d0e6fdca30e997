"""One shot: which of some classes a picture is of, of each of which one example is at hand.

Source: Lake, Salakhutdinov, Tenenbaum, Human-level concept learning through probabilistic program induction, 2015 /
https://doi.org/10.1126/science.aab3050
Dubuisson, Jain, A modified Hausdorff distance for object matching, 1994 / https://doi.org/10.1109/ICPR.1994.576361
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from given.sources import Columns
from given.variables import UserError
from given.ways import way

__all__ = ["OneShotEpisode", "nearest_hausdorff", "one_shot_episodes", "one_shot_error"]

_WAYS, _RUNS = 20, 20  # classes to tell apart, and how often

OneShotEpisode = tuple[np.ndarray, np.ndarray]


def one_shot_episodes(rows: Columns, runs: int = _RUNS, ways: int = _WAYS, seed: int = 0) -> Iterator[OneShotEpisode]:
    """Draws of `ways` labels, or all if they are fewer: an example of each, and another picture: (ways, *grid) both.

    Raises:
        UserError: fewer than two labels of two pictures.
    """
    labels, number = np.unique(rows["label"], return_inverse=True)
    enough = np.flatnonzero(np.bincount(number) > 1)
    if len(enough) < 2:
        raise UserError(f"one_shot_episodes: {len(enough)} of {len(labels)} labels held out have two pictures; expected two "
                        f"such labels; pass {way('held_out=', '--held-out')} of more, or 0")
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        pairs = np.array([rng.permutation(np.flatnonzero(number == k))[:2] for k in rng.permutation(enough)[:ways]])
        yield rows["picture"][pairs[:, 0]], rows["picture"][pairs[:, 1]]


def one_shot_error(found: Callable[[np.ndarray, np.ndarray], np.ndarray], each: Iterator[OneShotEpisode]) -> float:
    """How often another example than that of its class is found for a picture.

    Args:
        found: examples (k, *grid), pictures (n, *grid) -> (n,) numbers of examples.
        each: examples and pictures of the same classes in the same order.
    """
    return float(np.mean([(found(examples, pictures) != np.arange(len(examples))).mean() for examples, pictures in each]))


def nearest_hausdorff(examples: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """(n,) the numbers of the nearest examples, by the modified Hausdorff distance of what is ink: the rarer side of the middle
    level, about its centre."""
    a, b = ([_ink(picture) for picture in some] for some in (examples, pictures))

    def distance(p: torch.Tensor, q: torch.Tensor) -> float:
        d = torch.cdist(p, q)
        return max(float(d.min(0).values.mean()), float(d.min(1).values.mean()))

    return np.array([np.argmin([distance(p, q) for p in a]) for q in b])


def _ink(picture: np.ndarray) -> torch.Tensor:
    """(points, 2)."""
    grey = picture.reshape(*picture.shape[:2], -1).mean(-1)
    high = grey > (grey.min() + grey.max()) / 2
    points = torch.from_numpy(np.argwhere(high if high.mean() < 0.5 else ~high)).float()
    return points - points.mean(0)
