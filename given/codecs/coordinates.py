"""Coordinates: points along a chain in space, about their centre. Measured in angstrom, up to where the chain is.

Entries are Helmert's coordinates of the points in nanometres, which are an isometry of centred points: n - 1 times three free
numbers. So a density is one of centred chains, relative to volume in their space, in angstrom; where a chain lies has none,
and comes back as the origin. It is learned as it is turned: a field that turns with the points makes all turns as likely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.variables import Axis, Codec, Entries, NewValue, Real, UserError, helmert

__all__ = ["Coordinates"]

_UNIT = 10.0  # angstrom an entry's unit, a nanometre


class Coordinates(Codec):
    """Chains of points, an item each: (length, 3) in angstrom, of two points at least.

    Args:
        longest: points that an item has at most; read off the data when left out.
    """

    def __init__(self, longest: int | None = None) -> None:
        if longest is not None and (not isinstance(longest, int) or longest < 2):
            raise UserError(f"Coordinates: longest={longest!r}; expected a whole number of points from 2")
        self.longest = self._stated = longest

    @property
    def space(self) -> Real:
        return Real(axes=(Axis("residue", self._learned() - 1, "given"), Axis("space", 3, role="channel")))

    @property
    def measure(self) -> str:
        return "volume of centred chains in raw units"

    def learn(self, raw: np.ndarray) -> None:
        lengths = [len(item) for item in self._items(raw)]
        if self._stated is None:
            self.longest = max([self.longest or 2, *lengths])

    def encode(self, raw: np.ndarray) -> Entries:
        items, longest = self._items(raw), self._learned()
        if len(rows := np.flatnonzero([len(item) > longest for item in items])):
            raise NewValue(f"has {len(items[rows[0]])} points; expected at most {longest}, by the longest learned from; cut "
                           "it, or learn with longer ones", rows)
        values = np.zeros((len(items), longest - 1, 3))
        for row, item in zip(values, items, strict=True):
            row[:len(item) - 1] = helmert(len(item)) @ item / _UNIT
        there = torch.arange(longest - 1) < torch.tensor([len(item) - 1 for item in items])[:, None]
        x = torch.from_numpy(values)
        return Entries(x) if bool(there.all()) else Entries(x, valid=there[..., None].expand(x.shape))

    def decode(self, x: Entries) -> np.ndarray:
        """(*draws, B, any length, 3) -> (*draws, B) items (length, 3), centred; one array where all are as long."""
        lead, values = x.tensor.shape[:-2], x.tensor.double().cpu().numpy()
        lengths = x.map(lambda t: t.reshape(-1, *t.shape[-2:])).occupied.sum(1).cpu().numpy() + 1
        found = [helmert(n).T @ row[:n - 1] * _UNIT for row, n in zip(values.reshape(-1, *values.shape[-2:]), lengths.tolist(),
                                                                     strict=True)]
        if len(set(lengths.tolist())) == 1:
            return np.stack(found).reshape(*lead, -1, 3)
        each = np.empty(len(found), dtype=object)
        each[:] = found
        return each.reshape(lead)

    def entries_of(self, length: int) -> int:
        return length - 1

    def lengths(self, raw: np.ndarray) -> np.ndarray:
        return np.array([len(item) for item in raw], dtype=np.int64)

    @property
    def item_axes(self) -> int:
        return 2

    @property
    def ragged(self) -> bool:
        return True

    def single(self, raw: np.ndarray) -> bool:
        return raw.ndim == 2 and raw.dtype.kind != "O"

    def log_volume(self, x: Entries) -> Tensor:
        return x.readable.sum((-2, -1)).double() * -math.log(_UNIT)

    def state(self) -> dict[str, Any]:
        return {"longest": self._learned()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.longest = int(state["longest"])

    def _learned(self) -> int:
        if self.longest is None:
            raise UserError("Coordinates() has not seen data yet; let it learn, or pass Coordinates(longest)")
        return self.longest

    @staticmethod
    def _items(raw: np.ndarray) -> list[np.ndarray]:
        """Chains as they are, each (length, 3) float64."""
        found = list[np.ndarray]()
        for row, item in enumerate(raw):
            try:
                points = np.asarray(item, dtype=np.float64)
            except (TypeError, ValueError):
                points = np.zeros(0)
            if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2:
                got = "is missing" if item is None else f"got {points.shape if points.size else type(item).__name__}"
                raise UserError(f"{got}; expected points (length, 3), two at least", row)
            if not np.isfinite(points).all():
                at = int(np.argwhere(~np.isfinite(points))[0][0])
                raise UserError(f"point {at} is {points[at].tolist()}; expected finite numbers; cut the chain there", row)
            found.append(points)
        return found

    def __repr__(self) -> str:
        return "Coordinates()" if self.longest is None else f"Coordinates({self.longest})"
