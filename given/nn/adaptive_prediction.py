"""AdaptivePrediction: where the next value of a series is expected, by least squares on what came just before it, and how far
off that has been of late.

    m_t = sum_j w_j(t) a_{t - j},    w(t) = argmin sum_s d^(t - s) (a_s - sum_j w_j a_{s - j})^2 + r |w - w_0|^2
    e_t = mean of |a_s - m_s| over s < t, by weights that fade

The sum is over a few hundred values before the block that t is in, so that w is a function of the past alone, and follows a
signal whose pitch and colour change: nobody transmits it, nothing but w_0 is learned. Coders of sound predict like this and
code what is left. What a head gives is moved to m and in units of e. Levels that stand for amplitudes by logarithms, as those
of mu-law, are expanded first and compressed again; errors are of levels.

Source: Makhoul, Linear prediction: a tutorial review, 1975 / https://doi.org/10.1109/PROC.1975.9792
Chen, Cox, Lin, Jayant, Melchner, A low-delay CELP coder for the CCITT 16 kb/s speech coding standard, 1992
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.variables import Finite, Real, Space, UserError

__all__ = ["AdaptivePrediction"]

_LEAST = 1e-9  # of the power of a signal, below which nothing is learned of it
_FIRST, _FADE, _LEAST_ERROR = 0.05, 0.95, 0.004  # the error before the first value; of errors, with every value; the least

# Shapes: B rows, D values, K blocks of S values, M blocks remembered, P values that predict.


class AdaptivePrediction(nn.Module):
    """Features, which it does not read, and values before -> where entries are expected and the usual error, in the units of
    heads: levels from -1 to 1, reals their own.

    Args:
        space: ordered levels, or reals without atoms, along one axis without an end.
        width: C, of the features.
        steps: (D,) the step at which each entry is drawn: the first first.
        near: P, how many values before predict.
        block: S, for how many values the weights stay as they are.
        memory: M, from how many blocks before they are learned.
        decay: of what a value counts, with every value after it.
        ridge: r, a share of the signal's mean power in the sum.
        curve: c, by which levels u stand for amplitudes (exp(c |u|) - 1) / (exp(c) - 1); log 256 of `MuLaw`, 0 for a line.

    Raises:
        UserError: another space, or order.
    """

    def __init__(self, space: Space, width: int, *, steps: Tensor | None, near: int = 16, block: int = 64, memory: int = 8,
                 decay: float = 0.99, ridge: float = 0.02, curve: float = 0.0) -> None:
        super().__init__()
        levels = isinstance(space, Finite) and space.ordered and space.size > 1
        one = len(space.axes) == 1 and space.axes[0].length != "modelled"
        if not one or not (levels or (isinstance(space, Real) and not space.atoms)):
            raise UserError("AdaptivePrediction: expected ordered levels or reals without atoms along one axis without an end, "
                            f"got {space}")
        if steps is None or not torch.equal(steps.cpu(), torch.arange(space.dimensions)):
            raise UserError("AdaptivePrediction: needs entries that are drawn from the first on, as Raster() does")
        if min(near, block, memory) < 1 or not 0 < decay <= 1 or ridge <= 0 or curve < 0:
            raise UserError(f"AdaptivePrediction: near={near}, block={block}, memory={memory}, decay={decay}, ridge={ridge}, "
                            f"curve={curve}; expected whole numbers from 1, a decay up to 1, a ridge above 0, a curve from 0")
        self.top = space.size - 1 if isinstance(space, Finite) else None
        self.near, self.block, self.memory, self.ridge, self.curve = near, block, memory, ridge, curve
        self._kept: tuple[Tensor, Tensor, Tensor] | None = None
        self.weight = nn.Parameter(torch.zeros(near))
        with torch.no_grad():
            self.weight[0] = 1.0
        fades = _FADE ** torch.arange(block).flip(0).float()
        self.error_fades: Tensor
        self.register_buffer("error_fades", fades / fades.sum(), persistent=False)
        self.fades: Tensor
        self.block_fades: Tensor
        for name, fades in (("fades", torch.arange(block)), ("block_fades", block * torch.arange(memory))):  # the oldest first
            self.register_buffer(name, decay ** fades.flip(0).float(), persistent=False)

    def forward(self, features: Tensor, values: Tensor, place: slice | Tensor = slice(None)) -> tuple[Tensor, Tensor]:
        """(B, n, C) of the entries at some places of D, values (B, D), of which those before each are read -> (B, n) where they
        are expected, and (B, n) the usual error."""
        if isinstance(place, slice) and place.start is not None and place.stop == place.start + 1:
            return self._one(values, place.start)
        D = values.shape[1]
        each = self._read(values, self.memory * self.block, -D % self.block)
        weights = self._weights(each)[:, :-1]
        found = self._levels((each[:, self.memory:, :, 1:] @ weights[..., None]).flatten(1))[:, :D]
        errors = F.pad((self._units(values).float() - found).abs(), (self.block, -1), value=_FIRST)
        error = F.conv1d(errors[:, None], self.error_fades[None, None])[:, 0] + _LEAST_ERROR
        return found[:, place], error[:, place]

    def _one(self, values: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """(B, 1) each of entry t. The weights of its block and the one before are kept while the same values ask for them."""
        S, P, whole = self.block, self.near, (self.memory + 1) * self.block
        first = t - t % S
        before = values[:, max(0, first - whole - P):first]
        kept = self._kept if values.device.type == "cpu" else None
        if kept is None or not (torch.equal(kept[0], before) and torch.equal(kept[1], self.weight)):
            weights = self._weights(self._read(before, whole - before.shape[1]))
            kept = self._kept = before.clone(), self.weight.detach().clone(), weights
        some = values[:, max(0, t - S - P):t]
        near = F.pad(self._amplitudes(some).float(), (S + P - some.shape[1], 0)).unfold(1, P, 1).flip(-1)  # (B, S + 1, P)
        own = t - first + 1
        found = self._levels(torch.cat([part @ kept[2][:, i, :, None] for i, part in enumerate(
            (near[:, :-own], near[:, -own:]))], 1)[..., 0])
        errors = (self._units(values[:, max(0, t - S):t]).float() - found[:, max(0, S - t):-1]).abs()
        error = F.pad(errors, (S - errors.shape[1], 0), value=_FIRST) @ self.error_fades + _LEAST_ERROR
        return found[:, -1:], error[:, None]

    def _read(self, values: Tensor, before: int, after: int = 0) -> Tensor:
        """Values (B, n) with so many more before and after, of nothing, in blocks: each, and the P before it, the nearest
        first: (B, K, S, 1 + P)."""
        a = F.pad(self._amplitudes(values).float(), (before + self.near, after))
        return a.unfold(1, 1 + self.near, 1).flip(-1).unflatten(1, (-1, self.block))

    def _weights(self, each: Tensor) -> Tensor:
        """(B, K, S, 1 + P) of `_read` -> (B, K - M + 1, P), those after blocks 0 to M - 1, 1 to M, ..."""
        moments = (each[..., 1:] * self.fades[:, None]).transpose(-1, -2) @ each  # (B, K, P, 1 + P)
        moments = (moments.unfold(1, self.memory, 1) @ self.block_fades).double()
        aim, both = moments[..., 0], moments[..., 1:]
        ridge = self.ridge * both.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None] + _LEAST
        one = torch.eye(self.near, dtype=both.dtype, device=both.device)
        return torch.linalg.solve_ex(both + ridge[..., None] * one, aim + ridge * self.weight.double())[0].float()

    def _units(self, values: Tensor) -> Tensor:
        return values if self.top is None else values * (2 / self.top) - 1

    def _amplitudes(self, values: Tensor) -> Tensor:
        u = self._units(values)
        return u if not self.curve else u.sign() * (self.curve * u.abs()).expm1() / math.expm1(self.curve)

    def _levels(self, a: Tensor) -> Tensor:
        return a if not self.curve else a.sign() * (a.abs() * math.expm1(self.curve)).log1p() / self.curve
