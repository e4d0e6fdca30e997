"""Block heads: from a block's features of a net to the distribution of all its entries.

A block head maps features (B, n, C) of n blocks a row to the distribution of their B rows of n G entries, or (B, C) of a block
that is one entry to that of (B,). It says what descends: `loss`, -log p unless the head is learned otherwise. `kind` is that of
its scores.
"""

from __future__ import annotations

import abc
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.distributions.continuous_flow import ContinuousFlow
from given.distributions.distribution import Distribution, Kind
from given.distributions.heads import default_head
from given.distributions.noise import Noise
from given.distributions.normal import Normal
from given.distributions.path import Path, Straight, over
from given.distributions.side_by_side import SideBySide, Table, block_scores
from given.nn import AdaptiveMLP, Condition, Linear, built_field
from given.solve import Heun, Solver
from given.variables import Finite, Real, Space, UserError

__all__ = ["BlockHead", "FlowHead", "IndependentHead", "NormalHead", "TableHead"]

_MOST = 4096  # values of a block that has a logit for each


class BlockHead(nn.Module, abc.ABC):
    """Of G entries of a block, on one axis.

    Args:
        space: of a block.
        width: C.
    """

    kind: Kind = "exact"

    def __init__(self, space: Space, width: int) -> None:
        super().__init__()
        self.space, self.size = space, space.dimensions

    @abc.abstractmethod
    def forward(self, features: Tensor) -> Distribution:
        """(B, n, C) -> the distribution of (B, n G); (B, C) -> that of (B,), where G is 1."""

    def loss(self, features: Tensor, values: Tensor, noise: Noise) -> Tensor:
        """(B, n, C), values (B, n G) -> (B, n) what descends, block by block."""
        return -block_scores(self(features), values, features.shape[1], noise)


class IndependentHead(BlockHead):
    """A block's entries independent of one another.

    Args:
        space: of a block.
        width: C.
        head: builds the head of an entry from space and width; by default that of its space.
    """

    def __init__(self, space: Space, width: int, *, head: Callable[..., nn.Module] | None = None) -> None:
        super().__init__(space, width)
        self.spread = Linear(width, self.size * width) if self.size > 1 else nn.Identity()
        self.head = (head or default_head(space))(space, width)

    def forward(self, features: Tensor) -> Distribution:
        if features.dim() == 2:
            return self.head(features)
        B, n, C = features.shape
        return self.head(self.spread(features).reshape(B, n * self.size, C))


class NormalHead(BlockHead):
    """A normal density with a covariance of its own for every block.

    Args:
        space: real, without atoms.
        width: C.
        floor: the least scale.
    """

    def __init__(self, space: Space, width: int, *, floor: float = 1e-2) -> None:
        super().__init__(space, width)
        if not isinstance(space, Real) or space.atoms:
            raise UserError(f"NormalHead: expected a real space without atoms, got {space}; use TableHead or IndependentHead")
        G, self.floor = self.size, floor
        self.parameters_of = nn.Linear(width, G + G * (G + 1) // 2)
        nn.init.normal_(self.parameters_of.weight, std=0.02)
        nn.init.zeros_(self.parameters_of.bias)

    def forward(self, features: Tensor) -> Distribution:
        G = self.size
        mean, low = self.parameters_of(_rows(features)).double().split([G, G * (G + 1) // 2], -1)
        at = torch.tril_indices(G, G, device=low.device)
        root = low.new_zeros(len(low), G, G).index_put((torch.arange(len(low), device=low.device)[:, None], at[0], at[1]), low)
        scale = F.softplus(root.diagonal(dim1=1, dim2=2)) + self.floor
        root = root.tril(-1) + torch.diag_embed(scale)
        assert isinstance(self.space, Real)
        return SideBySide(Normal(mean, root @ root.mT, self.space), len(features), alone=features.dim() == 2)


class TableHead(BlockHead):
    """One logit for every value that a block of few symbols can take.

    Args:
        space: finite.
        width: C.
    """

    def __init__(self, space: Space, width: int) -> None:
        super().__init__(space, width)
        if not isinstance(space, Finite) or space.size ** self.size > _MOST:
            raise UserError(f"TableHead: expected a block of symbols that takes at most {_MOST} values, got {space}; use "
                            "smaller blocks or IndependentHead")
        self.logits = Linear(width, space.size ** self.size)
        nn.init.normal_(self.logits.weight, std=0.02)

    def forward(self, features: Tensor) -> Distribution:
        assert isinstance(self.space, Finite)
        return SideBySide(Table(self.logits(_rows(features)), self.space), len(features), alone=features.dim() == 2)


class FlowHead(BlockHead):
    """A small flow, carried from noise to the block along a path by a field that reads its features. It is learned by the
    path's loss; its scores solve an equation, an estimate.

    Args:
        space: real, without atoms.
        width: C.
        net: builds the field, as of `FlowMatching`.
        path: how noise mixes with data, and what the net predicts.
        solver: of the equation.
        times: how many times and noises a block is learned at in a step: the net's features are used as often.

    Source: Li, Tian, Li, Deng, He, Autoregressive image generation without vector quantization, 2024 /
    https://arxiv.org/abs/2406.11838
    """

    kind: Kind = "estimate"

    def __init__(self, space: Space, width: int, *, net: Callable[..., nn.Module] = AdaptiveMLP, path: Path = Straight(),  # noqa: B008
                 solver: Solver = Heun(16), times: int = 4) -> None:  # noqa: B008
        super().__init__(space, width)
        if not isinstance(times, int) or isinstance(times, bool) or times < 1:
            raise UserError(f"FlowHead: times={times!r}; expected a whole number from 1")
        self.times = times
        if not isinstance(space, Real) or space.atoms:
            raise UserError(f"FlowHead: expected a real space without atoms, got {space}; use TableHead, or Dequantised around "
                            "Autoregressive")
        if not isinstance(solver, Solver):
            raise UserError(f"FlowHead: solver={solver!r}; expected a solver without noise, such as Heun(16)")
        self.real, self.path, self.solver = space, path, solver
        self.field = built_field(net, self.real, 1, width, (), "FlowHead")

    def forward(self, features: Tensor, nothing: Tensor | None = None, weight: float = 1.0,
                solver: Solver | None = None) -> Distribution:
        """As of any head; guided by a weight where the features of a y that is not given stand beside, and solved by another
        solver where one is named."""
        null = None if nothing is None else Condition(_rows(nothing))
        flow = ContinuousFlow(self.field, self.path, Condition(_rows(features)), null, self.real, solver or self.solver)
        return SideBySide(flow.guided(weight), len(features), alone=features.dim() == 2)

    def loss(self, features: Tensor, values: Tensor, noise: Noise) -> Tensor:
        B, n, C = features.shape
        K, G = self.times, self.size
        data = values.float().reshape(B, n, 1, G).expand(B, n, K, G).reshape(-1, G)
        start = torch.special.ndtri(noise.fold("start").uniform((), (n, K, G))).float().reshape(data.shape)
        t = self.path.time(noise.fold("time").uniform((), (n, K)).float().flatten())
        alpha, sigma = (over(v, data) for v in self.path.mix(t))
        y = Condition(features[:, :, None].expand(B, n, K, C).reshape(-1, C))
        off = self.field((alpha * data + sigma * start)[..., None], t, y) - self.path.target(data, start, t)
        return (self.path.weight(t).double() * (off**2).sum(1).double()).reshape(B, n, K).mean(2)


def _rows(features: Tensor) -> Tensor:
    """Those of all blocks, one after another."""
    return features.reshape(-1, features.shape[-1])
