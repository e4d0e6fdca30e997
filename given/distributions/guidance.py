"""Ways to draw by a field: guidance by y, and what is known of x where the field never learned to read it.

A linear view of x, such as a lower resolution, is A x = b. With P = A+ A the projection of x that it shows, and A+ the
pseudoinverse, P x = A+ b says the same; entries that are known are the case where P is a mask. Both ways to complete, the
gradient through the predicted data and replacement, are of that projection, and approximate.

Source: Song, Vahdat, Mardani, Kautz, Pseudoinverse-guided diffusion models for inverse problems, 2023 /
https://openreview.net/forum?id=9_gsMA8MRKQ
Choi et al., ILVR: conditioning method for denoising diffusion probabilistic models, 2021 / https://arxiv.org/abs/2108.02938
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.block_chain import BlockChain
from given.distributions.continuous_flow import ContinuousFlow
from given.solve import How
from given.variables import Entries, Finite, Real, Space, UserError
from given.ways import way

__all__ = ["AtLastNoise", "Blur", "Guidance", "Lower", "ReconstructionGuidance", "Replacement", "View"]

_MOST = 4096  # entries of an x whose view is a matrix
_RELATIVE = 1e-2  # singular values below this share of the largest show nothing


@dataclass(frozen=True, repr=False)
class Guidance(How):
    """Draw as if y weighed more: v = v(nothing) + weight (v(y) - v(nothing)). 1 is the distribution itself, 0 that without y.

    Source: Ho, Salimans, Classifier-free diffusion guidance, 2022 / https://arxiv.org/abs/2207.12598
    """

    weight: float
    concerns = "fields given something, as those of FlowMatching or MAR with parents"

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise UserError(f"Guidance: expected a finite weight, got {self.weight}")

    def __repr__(self) -> str:
        return way(f"Guidance(weight={self.weight})", f"--guidance {self.weight:g}")

    def __call__(self, distribution: Any) -> Any:
        learned = isinstance(distribution, ContinuousFlow | BlockChain) and distribution.null is not None
        return distribution.guided(self.weight) if learned else distribution


class _Completion(How):
    """A way to draw what is unknown that needs no learning. Approximate: its draws have no density."""

    concerns = "fields of FlowMatching or Diffusion given part of x, or a View of it"
    weight = 0.0

    def __call__(self, distribution: Any) -> Any:
        part = isinstance(distribution, ContinuousFlow) and not (distribution.evidence is distribution.view is None)
        return distribution.completed_by(self.weight) if part else distribution


@dataclass(frozen=True)
class Replacement(_Completion):
    """What is known stands on its path from its own noise, whatever the rest does. Approximate: the rest is not that given what
    is known, for the field never learned that these entries end where they do.

    Source: Lugmayr et al., RePaint, 2022 / https://arxiv.org/abs/2201.09865, without its jumps back
    """


@dataclass(frozen=True)
class ReconstructionGuidance(_Completion):
    """What is predicted for known entries pulls x towards them, by the gradient through the net. Approximate: exact where data
    are standard normal.

    Source: Ho et al., Video diffusion models, 2022 / https://arxiv.org/abs/2204.03458
    Song, Vahdat, Mardani, Kautz, Pseudoinverse-guided diffusion models for inverse problems, 2023
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise UserError(f"ReconstructionGuidance: expected a weight above 0, got {self.weight}")


@dataclass(frozen=True)
class AtLastNoise(How):
    """Score middles of levels by the levels' masses at the last noise of a path.

    Args:
        levels: V, of [-1, 1].
    """

    levels: int
    concerns = "paths with a bound, as those of Diffusion"

    def __call__(self, distribution: Any) -> Any:
        bounded = isinstance(distribution, ContinuousFlow) and distribution.terms
        return distribution.of_levels(self.levels) if bounded else distribution


@dataclass(frozen=True)
class Lower:
    """A lower resolution: the means of blocks along the axes of places.

    Args:
        factor: the side of a block.
    """

    factor: int

    def __call__(self, x: Tensor, space: Space) -> Tensor:
        """x (N, *grid) -> (N, *smaller grid)."""
        for i in _places(space):
            n = x.shape[i + 1]
            if not isinstance(self.factor, int) or self.factor < 1 or n % self.factor:
                raise UserError(f"Lower({self.factor}): expected a whole number that divides the {n} entries of axis "
                                f"{space.axes[i].called!r}")
            x = x.unflatten(i + 1, (n // self.factor, self.factor)).mean(i + 2)
        return x


@dataclass(frozen=True)
class Blur:
    """Means weighted by a bell curve along the axes of places; what lies beyond an edge counts as the edge.

    Args:
        deviation: of the curve, in entries.
    """

    deviation: float

    def __call__(self, x: Tensor, space: Space) -> Tensor:
        """x (N, *grid) -> (N, *grid)."""
        if not 0 < self.deviation < math.inf:
            raise UserError(f"Blur: deviation={self.deviation}; expected more than 0")
        reach = math.ceil(3 * self.deviation)
        bell = (-0.5 * (torch.arange(-reach, reach + 1, dtype=x.dtype) / self.deviation) ** 2).exp()
        for i in _places(space):
            moved = x.movedim(i + 1, -1)
            wide = F.pad(moved.reshape(-1, 1, moved.shape[-1]), (reach, reach), mode="replicate")
            moved = F.conv1d(wide, (bell / bell.sum())[None, None]).reshape(moved.shape)
            x = moved.movedim(-1, i + 1)
        return x


class View(How):
    """Draw x given a linear view of it, such as a lower resolution: `sample(how=View(small, Lower(2)))`, or
    `View(small, Lower(2)) | Replacement()`. Approximate: its draws have no density, and show the view up to what rounding to
    levels changes.

    Args:
        value: the view, raw: of one item, or of every row.
        by: x (N, *grid), space -> (N, *any), linear in x; `Lower`, `Blur` or one of your own.
    """

    concerns = "fields of FlowMatching or Diffusion"

    def __init__(self, value: Any, by: Callable[[Tensor, Space], Tensor]) -> None:
        self.value, self.by = value, by

    def __repr__(self) -> str:
        return f"View(..., {self.by!r})"

    def of(self, variable: Any, y: Any = None) -> How:
        space = variable.space
        if not isinstance(space, Real | Finite) or (isinstance(space, Finite) and not space.ordered) or not space.axes:
            return _ViewOf(self, variable.name, None)
        slope, offset = _affine(variable)
        matrix, expected = self._matrix(space, variable.name)
        value = torch.as_tensor(np.asarray(self.value, dtype=np.float64))
        if value.shape == expected:
            value = value[None]
        if value.shape[1:] != expected:
            raise UserError(f"{variable.name}: {self!r} expects {tuple(expected)} or (rows, *{tuple(expected)}) values, got "
                            f"{tuple(value.shape)}")
        inverse = torch.linalg.pinv(matrix * slope, rtol=_RELATIVE)  # of entries, not of raw values
        seen = (value.flatten(1) - matrix @ offset) @ inverse.T
        return _ViewOf(self, variable.name, (inverse @ (matrix * slope), seen))

    def _matrix(self, space: Real | Finite, name: str) -> tuple[Tensor, torch.Size]:
        """(M, D), and the shape that M entries have."""
        D = space.dimensions
        if D > _MOST:
            raise UserError(f"{name}: {self!r}: expected at most {_MOST} entries, got {space}")
        columns = self.by(torch.eye(D, dtype=torch.float64).reshape(D, *space.shape), space)
        nothing = self.by(torch.zeros(1, *space.shape, dtype=torch.float64), space)
        if bool(nothing.any()) or len(columns) != D:
            raise UserError(f"{name}: {self!r} expects a linear map of (N, *grid) to (N, *any)")
        return columns.flatten(1).T, columns.shape[1:]

    def __call__(self, distribution: Any) -> Any:
        return distribution


class _ViewOf(How):
    """A view of a variable's entries: the projection that it shows (D, D), and the value of that (n, D)."""

    concerns = View.concerns

    def __init__(self, view: View, name: str, shown: tuple[Tensor, Tensor] | None) -> None:
        self.view, self.name, self.shown = view, name, shown

    def __repr__(self) -> str:
        return repr(self.view)

    def __call__(self, distribution: Any) -> Any:
        if not isinstance(distribution, ContinuousFlow) or self.shown is None:
            return distribution
        projection, value = self.shown
        if distribution.n % len(value):
            raise UserError(f"{self.name}: {self!r} has {len(value)} rows; expected one, or as many as the {distribution.n} "
                            "that are drawn")
        return distribution.seen_through(projection, value.repeat(distribution.n // len(value), 1))


def _affine(variable: Any) -> tuple[Tensor, Tensor]:
    """(D,) each: raw value = slope * entry + offset, where entries of levels are their cells' middles in [-1, 1].

    Raises:
        UserError: the codec is no such map.
    """
    space, levels = variable.space, variable.space.size if isinstance(variable.space, Finite) else None
    at = torch.tensor([0.0, 1.0, (levels - 1) // 2 if levels else -0.5], dtype=torch.float64)
    entries = at.reshape(-1, *[1] * len(space.axes)).expand(3, *space.shape)
    raw = np.asarray(variable.codec.decode(Entries(entries.long() if levels else entries.contiguous())), dtype=np.float64)
    zero, one, other = torch.from_numpy(raw.reshape(3, -1))
    if not torch.allclose(zero + (one - zero) * at[2], other, rtol=1e-6, atol=1e-9):
        raise UserError(f"{variable.name}: {type(variable.codec).__name__} bends its numbers, so that a linear view of them is "
                        "none of its entries; pass a codec on a line")
    slope = one - zero
    return (slope * levels / 2, zero + slope * (levels - 1) / 2) if levels else (slope, zero)


def _places(space: Space) -> list[int]:
    """The axes that are no channels."""
    return [i for i, axis in enumerate(space.axes) if axis.role != "channel"]
