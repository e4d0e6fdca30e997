"""Noise: random numbers as a pure function of (seed, draw, row, place), whatever the batch or the device.

A counter-based generator: each row owns a key, and the i-th number of a row is a hash of (key, i). So a row's draw does
not depend on which other rows are drawn beside it, and no global generator is read or moved. It is integer arithmetic that
wraps, on the device where the rows are, so every device draws the same.

Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, 2011 /
https://doi.org/10.1145/2063384.2063405
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from given.nn.dropout import GOLDEN, mixed_, wrapped

__all__ = ["Noise", "inverse_cdf_sample", "kmeans_plus_plus"]

_AT_ONCE = 1 << 15  # numbers on the processor, which are hashed in its cache
_DRAW = wrapped(0xD1B54A32D192ED03)  # from one draw's keys to the next


class Noise:
    """A stream of random numbers a row.

    Args:
        keys: (B,) int64, one a row, on the device where the numbers are wanted. Use `Noise.of`.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys

    @staticmethod
    def of(seed: int | Noise, n: int, *, first_row: int | Tensor = 0, draws: int = 1, first_draw: int = 0,
           device: torch.device | str | None = None) -> Noise:
        """The noise of rows `first_row` ... `first_row + n - 1` of a call, each drawn `draws` times, the first of them number
        `first_draw`: (draws * n,) keys. Rows that do not follow one another are given by their numbers (n,).

        A `Noise` is passed through, so that whoever knows the rows decides.
        """
        if isinstance(seed, Noise):
            assert len(seed.keys) == n * draws, f"noise of {len(seed.keys)} rows for {n * draws}"
            return seed if device is None else seed.to(device)
        start = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "little")
        rows = first_row if isinstance(first_row, Tensor) else torch.arange(first_row, first_row + n, device=device)
        keys = rows.mul(GOLDEN).add_(wrapped(start + first_draw * _DRAW))
        if draws > 1:
            keys = (torch.arange(draws, device=keys.device).mul_(_DRAW)[:, None] + keys).reshape(-1)
        return Noise(mixed_(keys))

    def to(self, device: torch.device | str) -> Noise:
        """The same streams on a device."""
        return self if self.keys.device == torch.device(device) else Noise(self.keys.to(device))

    def rows(self, index: Tensor) -> Noise:
        """The streams of the rows `index`."""
        return Noise(self.keys[index])

    def repeat(self, times: int) -> Noise:
        """A stream of its own for every one of several draws of every row: (times * B,) keys."""
        if times == 1:
            return Noise(mixed_(self.keys + _DRAW))
        draw = torch.arange(1, times + 1, device=self.keys.device).mul_(_DRAW)
        return Noise(mixed_((draw[:, None] + self.keys).reshape(-1)))

    def fold(self, tag: str | int) -> Noise:
        """An independent stream for a purpose: a variable's name, a step's number."""
        number = zlib.crc32(tag.encode()) + (1 << 40) if isinstance(tag, str) else tag
        return Noise(mixed_(self.keys + wrapped((number + 1) * -GOLDEN)))

    def each(self, numbers: Tensor) -> Noise:
        """An independent stream of every row for its own number (B,) int64."""
        return Noise(mixed_(self.keys + (numbers + 1) * _DRAW))

    def uniform(self, shape: Sequence[int] = (), event: Sequence[int] = ()) -> Tensor:
        """(*shape, B, *event) float64, uniform on the open interval (0, 1)."""
        keys, E = self.repeat(math.prod(shape)).keys, math.prod(event)
        place = GOLDEN if E == 1 else torch.arange(1, E + 1, device=keys.device).mul_(GOLDEN)
        rows = max(1, _AT_ONCE // max(1, E)) if keys.device.type == "cpu" else len(keys)
        if len(keys) <= rows:
            u = _unit(keys[:, None] + place)
        else:
            u = torch.empty(len(keys), E, dtype=torch.float64, device=keys.device)
            for some, into in zip(keys.split(rows), u.split(rows), strict=True):
                into.copy_(_unit(some[:, None] + place))
        return u.reshape(*shape, len(self.keys), *event)

    def normal(self, shape: Sequence[int] = (), event: Sequence[int] = ()) -> Tensor:
        """(*shape, B, *event) float64, standard normal, by inversion."""
        return torch.special.ndtri(self.uniform(shape, event))


def _unit(z: Tensor) -> Tensor:
    """Counters to numbers of 52 bits in the middles of as many cells of (0, 1); z is used up."""
    return mixed_(z).bitwise_right_shift_(12).double().add_(2.0**51 + 0.5).mul_(2.0**-52)


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
    p, chosen = torch.ones(len(rows), dtype=torch.float64, device=rows.device), list[Tensor]()
    for each in u:
        p = p if weight is None else p * weight
        chosen.append(inverse_cdf_sample(p / p.sum(), each))
        p = torch.cdist(rows.double(), rows[torch.stack(chosen)].double()).amin(1) ** 2 + 1e-12
    return torch.stack(chosen)
