"""StateSpace: series of numbers seen through a linear-Gaussian state, by maximum likelihood.

Of named parts, for every channel by itself,

    y_t = d + level_t + season_t + ar_t + e_t
    level_t+1 = level_t + slope_t + w_t,  slope_t+1 = slope_t + u_t
    season_t+1 = -(season_t + ... + season_t-s+2) + v_t          (one for every period s)
    ar_t+1 = phi_1 ar_t + ... + phi_p ar_t-p+1 + x_t              (stationary, from its stationary law)

or with `latent=k` of free matrices, for all channels together: a_t+1 = F a_t + w_t, y_t = d + Z a_t + e_t, F stationary and w
of variance 1. All variances and coefficients are learned together by BFGS on the exact likelihood over all items, under a
normal prior of variance 100 on their free coordinates, in units of the data's variance; level, slope and seasons begin about d
with `spread` times that variance. Entries that are missing are left out. `log_prob` is exact, and so are all marginals and
conditionals: a gap is filled from both sides. A step of learning costs O(N T C S^2), with a loop over T and C.

Source: Harvey, Forecasting, structural time series models and the Kalman filter, 1989
Monahan, A note on enforcing stationarity in autoregressive-moving average models, 1984
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Flattened, LinearGaussian, Noise, Timeline
from given.lessons import Batch, Lesson, Solve, deadline_of, quasi_newton
from given.variables import Entries, Observed, UserError, Variable

__all__ = ["StateSpace"]

_PRIOR, _LEAST = 100.0, 1e-6  # the variance of the free coordinates; of the noise, in units of the data's


class StateSpace(Conditional):
    """A linear-Gaussian state space.

    Args:
        x: a series of numbers: one column, or several on one axis.
        level: whether there is a level that walks at random.
        trend: whether it has a slope that does.
        seasonal: periods, in moments.
        order: p of an autoregressive part.
        latent: k of free matrices, in place of all named parts.
        spread: the variance with which level, slope and seasons begin, in units of the data's.
        most_steps: of BFGS.

    Raises:
        UserError: it has parents, x is no series of numbers, or there is no part.
    """

    remembers = False
    on_lines = True

    def __init__(self, x: Variable, parents: tuple[()] = (), *, level: bool = True, trend: bool = False,
                 seasonal: Sequence[int] = (), order: int = 1, latent: int | None = None, spread: float = 10.0,
                 most_steps: int = 60) -> None:
        super().__init__(x, parents)
        Flattened.check_real(x, "StateSpace")
        self.timeline = Timeline(x, "StateSpace")
        if self.parents:
            raise UserError(f"{self}: StateSpace takes no parents; make them part of the block, or use Autoregressive")
        if order < 0 or any(period < 2 for period in seasonal) or (latent is not None and latent < 1) or spread <= 0:
            raise UserError(f"StateSpace {x.name}: order={order}, seasonal={tuple(seasonal)}, latent={latent}, "
                            f"spread={spread}; expected an order from 0, periods from 2, a latent from 1 and a spread above 0")
        if latent is None and not (level or seasonal or order):
            raise UserError(f"StateSpace {x.name}: expected at least one part; pass level=True, seasonal=, order= or latent=")
        self.level, self.trend, self.seasonal, self.order = level, trend and level, tuple(seasonal), order
        self.latent, self.spread, self.most_steps = latent, spread, most_steps
        C = self.timeline.channels
        self.center: Tensor
        self.unit: Tensor
        self.register_buffer("center", torch.zeros(C, dtype=torch.float64))
        self.register_buffer("unit", torch.ones(C, dtype=torch.float64))
        self.starts = self._free()
        for name, value in self.starts.items():
            self.register_buffer(f"free_{name}", value.clone())

    def _free(self) -> dict[str, Tensor]:
        """The free coordinates, where learning starts: logarithms of variances, and what is stationary whatever it is."""
        C, k = self.timeline.channels, self.latent
        if k is not None:
            noise = Noise.of(0, k).fold("start")
            return {"offset": torch.zeros(C).double(), "noise": torch.full((C,), -1.0).double(),
                    "loading": 0.5 * noise.normal((), (C,)).T.contiguous(),
                    "transition": 0.7 * torch.eye(k).double() + 0.05 * noise.fold(1).normal((), (k,))}
        start = {"offset": 0.0, "noise": -2.0} | ({"level": -4.0} if self.level else {}) | (
            {"slope": -10.0} if self.trend else {}) | {f"season_{s}": -6.0 for s in self.seasonal} | (
            {"ar": -1.0} if self.order else {}) | {f"partial_{i}": 0.5 if i == 0 else 0.0 for i in range(self.order)}
        return {name: torch.full((C,), value, dtype=torch.float64) for name, value in start.items()}

    @property
    def system(self) -> LinearGaussian:
        """The matrices, float64."""
        return self._system({name: self.get_buffer(f"free_{name}") for name in self.starts})

    def forward(self, y: Observed) -> distributions.StateSpace:
        return distributions.StateSpace(self.x.space, y.n, self.timeline, self.system)

    def _system(self, free: dict[str, Tensor]) -> LinearGaussian:
        noise = self.unit * (_LEAST + free["noise"].exp())
        offset = self.center + self.unit.sqrt() * free["offset"]
        if self.latent is not None:
            size = torch.linalg.matrix_norm(free["transition"], 2)
            F = free["transition"] * (size.tanh() / size)
            Q = torch.eye(self.latent, dtype=torch.float64, device=F.device)
            return LinearGaussian(torch.zeros_like(F[0]), _stationary(F, Q), F, Q, self.unit.sqrt()[:, None] * free["loading"],
                                  offset, noise)
        each = [self._channel({name: value[c] for name, value in free.items()}) for c in range(self.timeline.channels)]
        P, F, Q, Z = (torch.block_diag(*blocks) for blocks in zip(*each, strict=True))
        scale = torch.cat([u.expand(len(block[0])) for u, block in zip(self.unit, each, strict=True)])
        return LinearGaussian(torch.zeros_like(P[0]), P * scale, F, Q * scale, Z, offset, noise)

    def _channel(self, free: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """P, F and Q (S, S), in units of the data's variance, and Z (1, S) of the named parts of a channel."""
        zero = torch.zeros((), dtype=torch.float64, device=self.unit.device)
        one, parts = zero + 1, list[tuple[Tensor, Tensor, Tensor, Tensor]]()

        def part(F: Tensor, drift: list[Tensor], P: Tensor | None = None) -> None:
            size = len(F)
            Q = torch.diag(torch.stack([*drift, *[zero] * (size - len(drift))]))
            parts.append((self.spread * torch.eye(size, dtype=F.dtype, device=F.device) if P is None else P, F, Q,
                          torch.stack([one, *[zero] * (size - 1)])[None]))

        if self.level:
            walk = torch.tensor([[1.0, 1.0], [0.0, 1.0]] if self.trend else [[1.0]], dtype=torch.float64).to(zero.device)
            part(walk, [free["level"].exp(), *([free["slope"].exp()] if self.trend else [])])
        for s in self.seasonal:
            F = torch.diag(torch.ones(s - 2, dtype=torch.float64), -1).to(zero.device)
            F = torch.cat([-torch.ones_like(F[:1]), F[1:]])
            part(F, [free[f"season_{s}"].exp()])
        if self.order:
            phi = _coefficients([free[f"partial_{i}"].tanh() for i in range(self.order)])
            shift = torch.eye(self.order, dtype=torch.float64, device=zero.device)[:-1]
            F = torch.cat([phi[None], shift])
            Q = torch.diag(torch.stack([free["ar"].exp(), *[zero] * (self.order - 1)]))
            part(F, [free["ar"].exp()], _stationary(F, Q))
        P, F, Q = (torch.block_diag(*each) for each in list(zip(*parts, strict=True))[:3])
        return P, F, Q, torch.cat([each[3] for each in parts], 1)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]

    def _solve(self, batches: Iterable[Batch]) -> None:
        kept, D = list[tuple[Entries, Tensor]](), self.x.space.dimensions
        order, shape = self.timeline.order, self.timeline.shape
        sums = torch.zeros(3, shape[1], dtype=torch.float64)
        for x, _, weight in batches:
            flat = x.flat(self.x.space)
            kept.append((flat, weight.double()))
            value = torch.where(flat.scored, flat.tensor.double(), 0.0)
            amount = weight.double()[:, None] * flat.scored
            for total, term in zip(sums, (amount, amount * value, amount * value**2), strict=True):
                total += term[:, order].reshape(-1, *shape).sum((0, 1))
        if not bool((sums[0] > 0).all()):
            raise UserError(f"{self}: a column without a value that is known in a row of weight above 0; expected at least one")
        mean = sums[1] / sums[0]
        self.center.copy_(mean)
        self.unit.copy_((sums[2] / sums[0] - mean**2).clamp(min=1e-12))
        flat, weight = Entries.cat([x for x, _ in kept]), torch.cat([w for _, w in kept])
        flat, weight = flat.rows(weight > 0).shaped(self.x.space), weight[weight > 0]
        moved = {name: torch.zeros_like(value, requires_grad=True) for name, value in self.starts.items()}

        def loss() -> Tensor:
            system = self._system({name: self.starts[name] + by for name, by in moved.items()})
            law = distributions.StateSpace(self.x.space, len(weight), self.timeline, system)
            prior = sum((by**2).sum() for by in moved.values()) / (2 * _PRIOR)
            return (prior - weight @ law.log_prob(flat)) / (weight.sum() * D)

        quasi_newton(list(moved.values()), loss, deadline_of(batches), self.most_steps)
        for name, by in moved.items():
            self.get_buffer(f"free_{name}").copy_(self.starts[name] + by.detach())


def _coefficients(partial: Sequence[Tensor]) -> Tensor:
    """The coefficients (p,) of a stationary autoregression from its partial correlations, between -1 and 1."""
    phi = list[Tensor]()
    for r in partial:
        phi = [*(a - r * b for a, b in zip(phi, reversed(phi), strict=True)), r]
    return torch.stack(phi)


def _stationary(F: Tensor, Q: Tensor) -> Tensor:
    """P = F P F' + Q."""
    S = len(F)
    eye = torch.eye(S * S, dtype=F.dtype, device=F.device)
    P = torch.linalg.solve_ex(eye - torch.kron(F, F), Q.flatten())[0].reshape(S, S)  # without an error that would wait
    return (P + P.T) / 2
