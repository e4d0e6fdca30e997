"""Noise: random numbers as a pure function of (seed, draw, row, place), whatever the batch or the device.

A counter-based generator: each row owns a key, and the i-th number of a row is a hash of (key, i). So a row's draw does
not depend on which other rows are drawn beside it, and no global generator is read or moved. The hash is the output
function of SplitMix64, applied twice along the chain seed -> row -> place.

Source: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014 /
https://doi.org/10.1145/2714064.2660195
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["Noise", "inverse_cdf_sample", "kmeans_plus_plus"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's output function on uint64, which wraps by design."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _child(key: np.ndarray, number: np.ndarray) -> np.ndarray:
    return _mix(_mix(key + (number.astype(np.uint64) + np.uint64(1)) * _GOLDEN))


class Noise:
    """A stream of random numbers a row.

    Args:
        keys: (B,) uint64, one a row. Use `Noise.of`.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = keys

    @staticmethod
    def of(seed: int | Noise, n: int, *, first_row: int | Tensor = 0, draws: int = 1, first_draw: int = 0) -> Noise:
        """The noise of rows `first_row` ... `first_row + n - 1` of a call, each drawn `draws` times, the first of them number
        `first_draw`: (draws * n,) keys. Rows that do not follow one another are given by their numbers (n,).

        A `Noise` is passed through, so that whoever knows the rows decides.
        """
        if isinstance(seed, Noise):
            assert len(seed.keys) == n * draws, f"noise of {len(seed.keys)} rows for {n * draws}"
            return seed
        start = _mix(np.array([seed % 2**64], dtype=np.uint64))
        draw = _child(start, np.arange(first_draw, first_draw + draws))
        rows = first_row.numpy() if isinstance(first_row, Tensor) else np.arange(first_row, first_row + n)
        return Noise(_child(draw[:, None], rows[None]).reshape(-1))

    def repeat(self, times: int) -> Noise:
        """A stream of its own for every one of several draws of every row: (times * B,) keys."""
        return Noise(_child(self.keys[None], np.arange(times)[:, None]).reshape(-1))

    def fold(self, tag: str | int) -> Noise:
        """An independent stream for a purpose: a variable's name, a step's number."""
        number = zlib.crc32(tag.encode()) + (1 << 40) if isinstance(tag, str) else tag
        return Noise(_child(self.keys, np.array([number])))

    def uniform(self, shape: Sequence[int] = (), event: Sequence[int] = ()) -> Tensor:
        """(*shape, B, *event) float64, uniform on the open interval (0, 1)."""
        draws = _child(self.keys[None], np.arange(math.prod(shape))[:, None])  # (draws, B)
        bits = _child(draws[..., None], np.arange(math.prod(event)))
        u = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        return torch.from_numpy(u).reshape(*shape, len(self.keys), *event)

    def normal(self, shape: Sequence[int] = (), event: Sequence[int] = ()) -> Tensor:
        """(*shape, B, *event) float64, standard normal, by inversion."""
        return torch.special.ndtri(self.uniform(shape, event))


def inverse_cdf_sample(p: Tensor, u: Tensor) -> Tensor:
    """The symbols that numbers u (*shape, ...) in (0, 1) pick by inverse transform from probabilities p (..., K), normalised or
    not."""
    cumulative = p.cumsum(-1)
    # Of the whole as it was summed: the last symbol that can be takes what rounding left over.
    upto = u.to(cumulative)[..., None] * cumulative[..., -1:]
    if upto.shape[:-1] == p.shape[:-1]:
        return torch.searchsorted(cumulative, upto).squeeze(-1)
    return (cumulative < upto).sum(-1)


def kmeans_plus_plus(rows: Tensor, u: Tensor, weight: Tensor | None = None) -> Tensor:
    """The numbers (K,) of rows (N, F) far from one another, drawn by weight (N,), one for each of K uniform numbers.

    Source: Arthur, Vassilvitskii, k-means++: the advantages of careful seeding, 2007
    """
    p, chosen = torch.ones(len(rows), dtype=torch.float64), list[Tensor]()
    for each in u:
        p = p if weight is None else p * weight
        chosen.append(inverse_cdf_sample(p / p.sum(), each))
        p = torch.cdist(rows.double(), rows[torch.stack(chosen)].double()).amin(1) ** 2 + 1e-12
    return torch.stack(chosen)
