"""ChainField: a field on points along a chain in space that turns with them.

x are Helmert's coordinates of n points (`given.variables.helmert`). What the net reads is unchanged by a rotation: distances,
and products of vectors, of pairs of points and of the chain's own directions at a point, smoothed at five scales. What it gives
are these vectors times what it computed, so that a rotation of x turns it alike. A product of three directions tells left from
right, so a mirror image is another chain: helices of proteins turn one way.

Two stages: the first reads x_t; the second reads the points that the first expects, where bonds and contacts can be told. Every
stage is a transformer over points whose attention is biased by pairs. Padding is not attended to, and any number of points is
served; of several chains, each has its own order. What is measured of the points is in float64, so that a turn changes the last
bits alone of what the nets read.

Source: Satorras, Hoogeboom, Welling, E(n) equivariant graph neural networks, 2021 / https://arxiv.org/abs/2102.09844
Jumper et al., Highly accurate protein structure prediction with AlphaFold, 2021 / https://doi.org/10.1038/s41586-021-03819-2
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.field import Field
from given.variables import Real, UserError, helmert

__all__ = ["ChainField", "ring", "ringed"]

_SCALES = (0.8, 1.6, 3.2, 6.4, 12.8)  # widths of the chain's smoothing, in points
_NEAR = 3  # scales whose directions a pair is measured along
_FAR = 16  # places along the chain from which points are far, as those of two chains are
_CENTRES, _REACH = 24, 3.0  # of distances, in units of x
_SMALL = 1e-4


class Mixes(Protocol):
    """What says how noise mixes with data, such as a path."""

    def mix(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The shares of data and of noise in x_t at times t."""


class ChainField(Field):
    """A rotation-equivariant field.

    Args:
        space: of Helmert's coordinates, with axes of points and of three dimensions.
        features, context, roles: as of any field; it reads nothing that is known, and pooled conditions alone.
        path: along which x comes about, on which shares of data and noise have squares that sum to one.
        bond: the usual distance of neighbours, in units of x.
        width: of a point.
        pair: width of a pair.
        layers: of each stage.
        heads: of attention; divide the width.
    """

    any_length = True

    def __init__(self, space: Real, features: int, context: int, roles: Collection[str] = (), *, path: Mixes,
                 bond: float = 0.38, width: int = 64, pair: int = 32, layers: int = 2, heads: int = 8) -> None:
        super().__init__()
        if len(space.axes) != 2 or space.axes[1].size != 3 or features != 1:
            raise UserError(f"ChainField: expected points in space, nothing of them known, got {space}, features={features}; "
                            "use Coordinates() and known=0")
        if width % heads:
            raise UserError(f"ChainField: width={width}, heads={heads}; expected a width that the heads divide")
        self.path, self.copies = path, 1
        self.time = nn.Sequential(nn.Linear(context + 8, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.stages = nn.ModuleList(_Stage(bond, width, pair, layers, heads) for _ in range(2))

    def of_copies(self, copies: int) -> ChainField:
        """The same field on so many chains of one length, one after another."""
        twin = copy.copy(self)
        twin.copies = copies
        return twin

    def forward(self, x: Tensor, t: Tensor, y: Condition) -> Tensor:
        n, points = x.shape[1] + 1, x[..., 0].double()
        basis = torch.from_numpy(helmert(n).copy()).to(points)  # (n - 1, n)
        alpha, sigma = (v.to(points)[:, None, None] for v in self.path.mix(t))
        ratio = sigma / alpha
        level = (ratio.log().clamp(-8, 8) / 3).to(y.pooled)
        waves = [f(level[:, 0] * k) for k in (1, 2, 4) for f in (torch.sin, torch.cos)]
        e = self.time(torch.cat([level[:, 0], level[:, 0] ** 2, *waves, y.pooled], 1))
        chain = _Chain.of(n, len(x), self.copies, y.ends, points)
        noisy = basis.mT @ points * chain.mask
        first = self.stages[0](noisy, noisy / alpha, ratio, e, chain)
        expected = (alpha * noisy + sigma * chain.centred(first)) * chain.mask
        second = self.stages[1](expected, expected, ratio, e, chain)
        return (basis @ chain.centred(first + second)).to(x)


class _Chain:
    """How points stand along the chain.

    Attributes:
        mask: (B or 1, n, 1) float, which points there are.
        bias: (B or 1, 1, n, n), of attention, -inf at what is not there.
        apart: (n, n) int64, places between points, from 0 to 2 far; one more of two chains.
        kernels: (B or 1, 2 scales, n, n), what smooths: even, then odd.
        counts: (B or 1, 1, 1) points.
    """

    def __init__(self, mask: Tensor, apart: Tensor, kernels: Tensor) -> None:
        self.mask, self.apart, self.kernels = mask, apart, kernels
        self.bias = torch.zeros_like(mask[:, None, None, :, 0]).masked_fill(mask[:, None, None, :, 0] == 0, -1e9)
        self.counts = mask.sum(1, keepdim=True)

    @staticmethod
    def of(n: int, rows: int, copies: int, ends: Tensor | None, like: Tensor) -> _Chain:
        """Of n points in so many chains, or of rows that end after (rows,) entries."""
        place = torch.arange(n, device=like.device)
        chain, place = place // (n // copies), place % (n // copies)
        gap, same = place[None, :] - place[:, None], chain[None, :] == chain[:, None]
        apart = torch.where(same, gap.clamp(-_FAR, _FAR) + _FAR, 2 * _FAR + 1)
        mask = torch.ones(1, n, 1, device=like.device) if ends is None else (
            torch.arange(n, device=like.device) <= ends[:, None]).to(like)[..., None]
        step = gap.to(like)
        kernels = []
        for width in _SCALES:
            bell = torch.exp(-0.5 * (step / width) ** 2) * same * mask.mT
            bell = bell / bell.sum(-1, keepdim=True).clamp(min=1e-9)
            kernels += [bell, bell * step / width]
        return _Chain(mask, apart, torch.stack(kernels, 1))

    def centred(self, x: Tensor) -> Tensor:
        """Points (B, n, 3) about the centre of those there are."""
        x = x * self.mask
        return (x - x.sum(1, keepdim=True) / self.counts) * self.mask


class _Stage(nn.Module):
    """Points -> a vector at each, in float64; between them nets of features in float32."""

    def __init__(self, bond: float, width: int, pair: int, layers: int, heads: int) -> None:
        super().__init__()
        M = 3 * len(_SCALES)
        self.bond = bond
        self.centres: Tensor
        self.enter = nn.Linear(M + M * M, width)
        self.of_pair = nn.Linear(_CENTRES + 3 + 6 * _NEAR, pair)
        self.apart = nn.Embedding(2 * _FAR + 1, pair)
        self.of_time, self.mine, self.its = nn.Linear(width, pair), nn.Linear(width, pair), nn.Linear(width, pair)
        self.paired = nn.Linear(pair, pair)
        self.layers = nn.ModuleList(_Layer(width, pair, heads) for _ in range(layers))
        self.leave_mine, self.leave_its, self.leave = nn.Linear(width, pair), nn.Linear(width, pair), nn.Linear(pair, pair)
        self.pull, self.own = nn.Linear(pair, 2), nn.Linear(width, 2 * M + 1)
        self.register_buffer("centres", torch.linspace(0, _REACH, _CENTRES), persistent=False)
        for last in (self.pull, self.own):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, p: Tensor, physical: Tensor, ratio: Tensor, e: Tensor, chain: _Chain) -> Tensor:
        """Points p (B, n, 3), the same in units of data, sigma / alpha (B, 1, 1), e (B, C) -> (B, n, 3)."""
        v, unit = self._directions(p, chain)
        gram = (unit @ unit.mT).flatten(2)
        h = self.enter(torch.cat([v.norm(dim=-1), gram], -1).to(e)) + e[:, None]
        d, pair = self._pairs(p, physical, ratio, unit)
        ends = self.apart.weight[[0, -1]].mean(0, keepdim=True)  # of two chains: as far apart, neither before the other
        z = self.of_pair(pair.to(e)) + torch.cat([self.apart.weight, ends])[chain.apart] + self.of_time(e)[:, None, None]
        z = F.silu(z + self.mine(h)[:, :, None] + self.its(h)[:, None])
        z = F.silu(self.paired(z))
        bias = chain.bias.to(e)
        for layer in self.layers:
            h = layer(h, z, e, bias)
        z = F.silu(self.leave(z) + self.leave_mine(h)[:, :, None] + self.leave_its(h)[:, None])
        pull = self.pull(z).double() * chain.mask[:, None]
        w = pull[..., 0] / d + pull[..., 1] / 8
        found = w @ p - w.sum(-1, keepdim=True) * p
        own = self.own(h).double()
        along, turned = own[..., 1:].chunk(2, -1)
        return found + own[..., :1] * p + (along[..., None] * v + turned[..., None] * unit).sum(2)

    def _directions(self, p: Tensor, chain: _Chain) -> tuple[Tensor, Tensor]:
        """(B, n, 3 scales, 3) the chain's curvatures, tangents and their products at every point; and of about unit length."""
        K = chain.kernels  # (B or 1, 2 scales, n, n)
        smooth = K @ p[:, None] - K.sum(-1, keepdim=True) * p[:, None]
        bent, along = smooth[:, ::2], smooth[:, 1::2]
        first, second = (w / (w.square().sum(-1, keepdim=True) + _SMALL).sqrt() for w in (bent, along))
        across = torch.linalg.cross(first, second)
        v, unit = torch.cat([bent, along, across], 1), torch.cat([first, second, across], 1)
        return v.transpose(1, 2), unit.transpose(1, 2)

    def _pairs(self, p: Tensor, physical: Tensor, ratio: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
        """(B, n, n) distances, and (B, n, n, F) what is read of pairs."""
        def distances(q: Tensor) -> Tensor:
            gap = q[:, :, None] - q[:, None]
            return (gap.square().sum(-1) + _SMALL * 1e-2).sqrt()

        d = distances(p)
        real = d if physical is p else distances(physical)
        bells = torch.exp(-((d[..., None] - self.centres) * (_CENTRES / _REACH)) ** 2)
        off = (real - self.bond) / (ratio**2 + 0.01**2).sqrt()
        which = [i + k * len(_SCALES) for k in range(3) for i in range(_NEAR)]
        near = unit[:, :, which].flatten(1, 2)  # (B, n M, 3)
        seen = (near @ p.mT).unflatten(1, (p.shape[1], -1))  # (B, n, M, n): of i's directions, along j
        seen = seen - torch.diagonal(seen, dim1=1, dim2=3).transpose(1, 2)[..., None]
        mine = seen.transpose(2, 3) / d[..., None]
        its = mine.transpose(1, 2)
        return d, torch.cat([bells, torch.log(d)[..., None], torch.tanh(off / 2)[..., None], torch.tanh(off / 8)[..., None],
                             mine, its], -1)


class _Layer(nn.Module):
    """Attention among points, biased by pairs, of which it takes their vectors too; and a feedforward."""

    def __init__(self, width: int, pair: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.adapt = nn.Linear(width, 4 * width)
        self.qkv, self.bias = nn.Linear(width, 3 * width, bias=False), nn.Linear(pair, heads)
        self.out = nn.Linear(width + heads * pair, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor, z: Tensor, e: Tensor, mask: Tensor) -> Tensor:
        """h (B, n, C), z (B, n, n, P), e (B, C)."""
        a, b, c, d = self.adapt(e)[:, None].chunk(4, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for part in self.qkv(F.layer_norm(h, h.shape[-1:]) * (1 + a) + b).chunk(3, -1))
        scores = q @ k.mT / q.shape[-1] ** 0.5 + self.bias(z).permute(0, 3, 1, 2) + mask
        weights = scores.softmax(-1)  # (B, H, n, n)
        points = (weights @ v).transpose(1, 2).flatten(2)
        pairs = (weights.transpose(1, 2) @ z).flatten(2)  # (B, n, H P)
        h = h + self.out(torch.cat([points, pairs], -1))
        return h + self.feed(F.layer_norm(h, h.shape[-1:]) * (1 + c) + d)


def ring(points: Tensor, copies: int) -> Tensor:
    """Points (B, n, 3) -> Helmert's coordinates (B, copies n - 1, 3) of them and of their turns about the third axis, all about
    their centre."""
    angle = torch.arange(copies, device=points.device).double() * (2 * math.pi / copies)
    turns = _about_third(angle)
    whole = (points.double()[:, None] @ turns.mT).flatten(1, 2)
    return torch.from_numpy(helmert(whole.shape[1]).copy()).to(whole) @ whole


def ringed(x: Tensor, copies: int) -> Tensor:
    """Helmert's coordinates (B, copies n - 1, 3) of chains that are turns of one another to rounding -> of such that are."""
    points = (torch.from_numpy(helmert(x.shape[1] + 1).copy()).to(x).mT @ x).unflatten(1, (copies, -1))
    back = _about_third(torch.arange(copies, device=x.device).to(x) * (-2 * math.pi / copies))
    return ring((points @ back.mT).mean(1), copies)


def _about_third(angle: Tensor) -> Tensor:
    """(K, 3, 3) turns by angles (K,) about the third axis."""
    c, s, o, l = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, -s, o, s, c, o, o, o, l], -1).reshape(-1, 3, 3)
