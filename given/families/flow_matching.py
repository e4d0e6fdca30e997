"""FlowMatching: learn the velocity that carries noise to data along straight lines.

    z ~ N(0, I),  t ~ U[0, 1],  x_t = (1 - t)^2 z + (1 - (1 - t)^2) x,    loss = |v(x_t, t; y) - (x - z)|^2

whose minimiser v(x_t, t; y) = E[x - z | x_t, y], followed from noise at the lines' own pace 2 (1 - t), has the distribution of
the data at t = 1. The pace slows towards the data, where edges form. y is dropped now and then, so that the field without it is
learned too. Drawn by a solver; `log_prob` solves the equation backward and is an estimate; known entries are kept on their
straight paths, which is an approximation to the conditional.

Source: Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2022 / https://arxiv.org/abs/2210.02747
Liu, Gong, Liu, Flow straight and fast, 2022 / https://arxiv.org/abs/2209.03003
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.distributions import Noise
from given.nn import MLP, Context
from given.solve import Heun, Solver
from given.variables import Entries, Observed, UserError, Variable

__all__ = ["FlowMatching"]


class FlowMatching(Conditional):
    """A velocity field.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        net: builds the field from the number of inputs and outputs.
        width: C of the context.
        drop: how often y is dropped while learning; 0 where there is none.
        frequencies: of t, as sines and cosines.
        waves: frequencies of x, likewise: what lets a small net draw sharp edges.
        solver: of the equation, unless a draw names another.
        context: builds the network that reads y from parents and width.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, net: Callable[..., nn.Module] = MLP,
                 width: int = 16, drop: float = 0.1, frequencies: int = 8, waves: int = 8,
                 solver: Solver = Heun(32),  # noqa: B008
                 context: Callable[..., nn.Module] = Context) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "FlowMatching")
        D = x.space.dimensions
        self.context = context(self.parents, width)
        self.drop, self.frequencies, self.waves, self.solver = drop if self.parents else 0.0, frequencies, waves, solver
        self.net = net(D * (1 + 2 * waves) + 2 * frequencies + width, D)

    def velocity(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """v: x (N, D), t (N,), context (N, C) -> (N, D)."""
        angle = t[:, None] * math.pi * torch.arange(1, self.frequencies + 1, device=t.device)
        wave = (x[:, :, None] * torch.arange(1, self.waves + 1, device=x.device) * (math.pi / 2)).flatten(1)
        return self.net(torch.cat([x, wave.sin(), wave.cos(), angle.sin(), angle.cos(), context], 1))

    def forward(self, y: Observed) -> distributions.Distribution:
        given = self.context(y)
        null = self.context(Observed({k: e.hide() for k, e in y.items()}, y.n, y.device)) if self.parents else None
        distribution = distributions.ContinuousFlow(self.velocity, given, null, distributions.Flattened.real(self.x.space),
                                                    self.solver)
        return distributions.Flattened.of(distribution, self.x.space)

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        if not x.complete:
            raise UserError(f"{self.x.name}: FlowMatching learns from whole items, got unseen entries; use GaussianMixture")
        noise = Noise.of(seed, y.n, device=y.device)
        data = x.flat(self.x.space).tensor.float()
        z = noise.fold("start").normal((), data.shape[1:]).float()
        t = noise.fold("time").uniform().float()
        dropped = noise.fold("drop").uniform() < self.drop
        given = Observed({k: e.hide(dropped) for k, e in y.items()}, y.n, y.device)
        left = (1 - t[:, None]) ** 2
        moved = left * z + (1 - left) * data
        return ((self.velocity(moved, t, self.context(given)) - (data - z)) ** 2).sum(1).double()
