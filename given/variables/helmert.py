"""Helmert's coordinates: points about their centre, as one number fewer along each axis, all of them free.

    z_k = sqrt(k / (k + 1)) ((x_1 + ... + x_k) / k - x_(k+1)),    k = 1 ... n - 1

The map from centred points is an isometry: lengths, volumes and normal noise are as they were, and a rotation of the points is
that of the coordinates. The first k of them are those of the first k + 1 points.

Source: Helmert, Die Genauigkeit der Formel von Peters, 1876 / https://doi.org/10.1002/asna.18760880802
Dryden, Mardia, Statistical shape analysis, 2016 / https://doi.org/10.1002/9781119072492
"""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["helmert"]


@functools.lru_cache(maxsize=64)
def helmert(n: int) -> np.ndarray:
    """(n - 1, n) float64, read-only: centred points (n, ...) -> their coordinates; its transpose goes back.

    >>> helmert(3).round(3)
    array([[ 0.707, -0.707,  0.   ],
           [ 0.408,  0.408, -0.816]])
    """
    k = np.arange(1, n)[:, None]
    rows: np.ndarray = np.tri(n - 1, n) / np.sqrt(k * (k + 1)) - np.eye(n - 1, n, 1) * np.sqrt(k / (k + 1))
    rows.flags.writeable = False
    return rows
