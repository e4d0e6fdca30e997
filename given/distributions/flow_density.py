"""The density at the end of a path: by the equation of its flow, or a bound of it.

The equation, with div the divergence,

    log p(x) = log N(x(0)) - int_0^1 div v(x(t), t) dt,

is solved backward, in steps of a clock by which the logarithm of the noise's share, and a little, falls evenly: entries that
hardly vary shrink with the noise, so steps of equal time would be coarse where it ends. div is exact up to `EXACT` entries;
beyond it is Hutchinson's estimate, e^T (dv/dx) e of random signs e, which stay what they are along the way. The bound is that
of a chain that removes noise in endless small steps,

    log p(x) >= E[log p(x | x_1)] - KL(q(x_0 | x) || N(0, I)) - 1/2 int E|z - noise(x_t, t)|^2 d log SNR,

from one draw of time and noise in each of equal cells of log SNR. What a net that knows data to be standard normal would score
is known in closed form and taken for a control variate: only what the net's error differs from that one's is drawn.

Source: Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud, FFJORD, 2019 / https://arxiv.org/abs/1810.01367
Kingma, Salimans, Poole, Ho, Variational diffusion models, 2021 / https://arxiv.org/abs/2107.00630
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.noise import Noise
from given.distributions.path import Path, Reading, over
from given.solve import Solver

__all__ = ["EXACT", "Estimate", "bound", "by_equation"]

EXACT = 32  # entries up to which the divergence is that: each costs a pass back through the net
_FINE = 0.003  # share of the noise that is as fine as data are thought to be; a level of 256 in [-1, 1] is 0.008
_FAR = 14.0  # log SNR at which a path without end is cut for the bound

Predict = Callable[[Tensor, Tensor], Reading]


@dataclass(frozen=True)
class Estimate:
    """An estimate of log p and the standard error that its draws leave, (N,) float64 each; 0 where nothing is drawn."""

    value: Tensor
    error: Tensor


def by_equation(predict: Predict, path: Path, solver: Solver, x: Tensor, free: Tensor, noise: Noise, probes: int) -> Estimate:
    """log p of the entries of x (N, *grid) that are `free`, the others as they are given, by so many vectors of signs."""
    N, D, grid = len(x), x[0].numel(), x.shape[1:]
    open_ = free.flatten(1).float()
    signs = [] if D <= EXACT else [
        (noise.fold(k).uniform((), (D,)) < 0.5).float().mul(2).sub(1) * open_ for k in range(probes)]
    K = len(signs) or 1

    def field(state: Tensor, s: float) -> Tensor:
        with torch.enable_grad():
            point = state[:, :D].detach().requires_grad_(True)
            v = _along(predict, path, point.reshape(N, *grid), s).flatten(1) * open_
            if signs:
                slopes = [(torch.autograd.grad((v * e).sum(), point, retain_graph=k < K - 1)[0] * e).sum(1)
                          for k, e in enumerate(signs)]
            else:
                each = [torch.autograd.grad(v[:, d].sum(), point, retain_graph=d < D - 1)[0][:, d] * open_[:, d]
                        for d in range(D)]
                slopes = [torch.stack(each).sum(0)]
        return torch.cat([v.detach(), torch.stack(slopes, 1)], 1)

    start = torch.cat([x.flatten(1).float(), torch.zeros(N, K, device=x.device)], 1)
    end = solver.solve(field, start, 1.0, 0.0).double()
    z, gathered = end[:, :D], end[:, D:]  # gathered from 1 to 0: minus the integral from 0 to 1
    value = (path.base.log_prob(z) * open_).sum(1) + gathered.mean(1)
    return Estimate(value, gathered.std(1) / K**0.5 if K > 1 else torch.zeros_like(value))


def _along(predict: Predict, path: Path, x: Tensor, s: float) -> Tensor:
    """dx/ds at points x, s from 0 to 1 the clock of scores: log(share + _FINE) is an affine function of it."""
    first, last = (sigma / (alpha + sigma) for alpha, sigma in path.ends)
    span = math.log((first + _FINE) / (last + _FINE))
    share = min(first, max(last, (first + _FINE) * math.exp(-span * s) - _FINE))
    t = path.time_at(torch.tensor(share, dtype=torch.float64))
    (alpha, sigma), (a, s_, _) = path.mix(t), path.direction(t)
    pace = span * (share + _FINE) * (alpha + sigma) ** 2 / (sigma * a - alpha * s_)  # of a x + s z, where the share's is -1
    found = predict(x, t.float().expand(len(x)).to(x.device))
    return float(pace) * (float(a) * found.data + float(s_) * found.noise)


def bound(predict: Predict, path: Path, x: Tensor, free: Tensor, noise: Noise, terms: int, levels: int = 0) -> Estimate:
    """A lower bound, in expectation, of log p of the entries of x (N, *grid) that are `free`, the others as they are given.

    Where they are middles of so many levels of [-1, 1] it is that of log P under counting: in the last term levels have masses
    in proportion to N(x_1; alpha middle, sigma^2).
    """
    open_, x = free.double(), x.double()
    first, last = (max(-_FAR, min(_FAR, float(path.log_snr(torch.tensor(t, dtype=torch.float64))))) for t in (0.0, 1.0))
    apart = list[Tensor]()
    for k in range(terms):
        of_term = noise.fold(k)
        log_snr = first + (last - first) * (k + of_term.fold("time").uniform()) / terms
        t = path.time_at((-log_snr / 2).sigmoid())
        z = of_term.normal((), tuple(x.shape[1:]))
        alpha, sigma = (over(v, x) for v in path.mix(t))
        at = alpha * x + sigma * z
        found = predict(at.float(), t.float()).noise.double()
        known = sigma * at / (alpha**2 + sigma**2)
        apart.append((((z - found) ** 2 - (z - known) ** 2) * open_).flatten(1).sum(1))
    drawn = -0.5 * (last - first) * torch.stack(apart)
    closed = _closed(x, first, last) + (_log_mass(x, last, levels) if levels else -0.5 * (1 + math.log(2 * math.pi) - last))
    value = (closed * open_).flatten(1).sum(1) + drawn.mean(0)
    # neighbouring cells differ by their draws, and little else
    error = (drawn.diff(dim=0).square().mean(0) / (2 * terms)).sqrt() if terms > 1 else torch.zeros_like(value)
    return Estimate(value, error)


def _log_mass(x: Tensor, last: float, levels: int) -> Tensor:
    """E[log P(level | x_1)] of the levels whose middles are x, P in proportion to N(x_1; alpha middle, sigma^2), at the noise
    of a log SNR: by quadrature."""
    node, weight = np.polynomial.hermite_e.hermegauss(64)
    z, w = (torch.as_tensor(v, dtype=torch.float64, device=x.device) for v in (node, weight / weight.sum()))
    step = 2 * math.exp(last / 2) / levels  # from level to level, in deviations of the noise
    reach = min(levels - 1, math.ceil(30 / step))  # levels away that count
    level = ((x + 1) * (levels / 2)).floor().long()
    below, above = level.clamp(0, reach), (levels - 1 - level).clamp(0, reach)
    alike, which = (below * (reach + 1) + above).unique(return_inverse=True)
    away = torch.arange(-reach, reach + 1, device=x.device)
    there = (away >= -(alike[:, None] // (reach + 1))) & (away <= alike[:, None] % (reach + 1))
    odds = -z[:, None] * (away * step) - (away * step) ** 2 / 2
    return -(odds.masked_fill(~there[:, None], -math.inf).logsumexp(-1) * w).sum(-1)[which]


def _closed(x: Tensor, first: float, last: float) -> Tensor:
    """The bound of every entry by a net that knows data to be standard normal, between two values of log SNR, but for the
    last term."""
    begin, end = (torch.tensor(v, dtype=torch.float64, device=x.device) for v in (first, last))
    signal, left = begin.sigmoid(), (-begin).sigmoid()
    prior = 0.5 * (left + signal * x**2 - 1 - left.log())
    steps = 0.5 * ((F.softplus(end) - end.sigmoid() - F.softplus(begin) + begin.sigmoid()) + x**2 * (end.sigmoid() - signal))
    return -prior - steps
