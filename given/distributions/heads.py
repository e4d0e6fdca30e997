"""Heads: from features of a net to the distribution of an entry.

A head is a module that maps features (B, *grid, C) to a distribution of entries on that grid, independent given the features.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.distributions.atomic import Atomic
from given.distributions.categorical import Categorical
from given.distributions.discretized_logistic_mixture import DiscretizedLogisticMixture
from given.distributions.normal_mixture import NormalMixture
from given.nn import Linear
from given.variables import Axis, Finite, Real, Space, UserError

__all__ = ["AtomicHead", "BernoulliHead", "CategoricalHead", "DiscretizedLogisticMixtureHead", "LogisticMixtureHead",
           "NormalMixtureHead",
           "default_head"]

_S = TypeVar("_S", Finite, Real)
_FEW_LEVELS = 32  # whose probabilities are as cheap together as one by one
_UNIT = 32  # columns: a product of another width takes twice as long in 16 bits


class CategoricalHead(nn.Module):
    """One logit a symbol.

    Args:
        space: finite.
        width: C.
        bias: whether a logit has a part that no feature moves; without, it can be exported.
    """

    sixteen_bits = True  # a vocabulary's product is most of a small net's work

    def __init__(self, space: Space, width: int, *, bias: bool = True) -> None:
        super().__init__()
        if not isinstance(space, Finite):
            raise UserError(f"CategoricalHead: expected a finite space, got {space}")
        self.space = space
        self.logits = Linear(width, space.size, bias=bias)
        nn.init.normal_(self.logits.weight, std=0.02)

    def forward(self, features: Tensor) -> Categorical:
        """(B, *grid, C) -> the distribution of (B, *grid)."""
        if not torch.is_autocast_enabled(features.device.type):
            return Categorical(self.logits(features), _on_grid(self.space, features))
        V, weight, bias = self.space.size, self.logits.weight, self.logits.bias
        found = features @ F.pad(weight, (0, -V % _UNIT))
        logits = found[..., :V].float() if bias is None else found[..., :V] + bias
        return Categorical(logits, _on_grid(self.space, features))


class BernoulliHead(nn.Module):
    """The logit of the second of two symbols.

    Args:
        space: finite, of two symbols.
        width: C.
    """

    def __init__(self, space: Space, width: int) -> None:
        super().__init__()
        if not isinstance(space, Finite) or space.size != 2:
            raise UserError(f"BernoulliHead: expected two symbols, got {space}; use CategoricalHead")
        self.space = space
        self.logit = nn.Linear(width, 1)
        nn.init.normal_(self.logit.weight, std=0.02)

    def forward(self, features: Tensor) -> Categorical:
        """(B, *grid, C) -> the distribution of (B, *grid)."""
        return Categorical(F.pad(self.logit(features), (1, 0)), _on_grid(self.space, features))


class LogisticMixtureHead(nn.Module):
    """A mixture of logistic densities, integrated over the cells of ordered levels on [-1, 1]; the outer cells reach to
    infinity, so the levels' probabilities sum to one. Of a single entry, no grid, every level also has a logit of its own:
    numbers that people give heap at round ones, which few components cannot follow.

    PixelCNN++ is `Autoregressive(image, net=GatedPixelCNN, head=LogisticMixtureHead)`. It draws the channels of a pixel at once
    and has the means of the later depend linearly on the earlier. Here they are entries that follow one another, so the whole
    distribution of a channel, weights and scales too, depends on those before it in any way the net can learn, and needs no
    more.

    Args:
        space: finite and ordered.
        width: C.
        components: of the mixture.

    Source: Salimans, Karpathy, Chen, Kingma, PixelCNN++, 2017 / https://arxiv.org/abs/1701.05517
    """

    def __init__(self, space: Space, width: int, *, components: int = 5) -> None:
        super().__init__()
        if not isinstance(space, Finite) or not space.ordered or space.size < 2:
            raise UserError(f"LogisticMixtureHead: expected ordered levels, at least 2, got {space}; use CategoricalHead")
        self.space = space
        self.parameters_of = nn.Linear(width, 3 * components)
        nn.init.normal_(self.parameters_of.weight, std=0.02)
        with torch.no_grad():
            weight, mean, log_scale = self.parameters_of.bias.chunk(3)
            weight.zero_()
            mean.copy_(torch.linspace(-1, 1, components + 2)[1:-1])
            log_scale.fill_(-1.0)
        self.heaps = nn.Linear(width, space.size) if not space.axes else None
        if self.heaps is not None:
            nn.init.zeros_(self.heaps.weight)
            nn.init.zeros_(self.heaps.bias)

    def forward(self, features: Tensor) -> Categorical:
        """(B, *grid, C) -> the distribution of (B, *grid)."""
        weight, mean, log_scale = self.parameters_of(features).double().chunk(3, -1)
        edges = torch.linspace(-1, 1, self.space.size + 1, dtype=torch.float64, device=features.device)[1:-1]
        # softplus keeps the scale away from zero without a clamp
        scale = F.softplus(log_scale) + 1e-3
        z = (edges - mean[..., None]) / scale[..., None]  # (B, *grid, components, V - 1)
        below, above = F.logsigmoid(z), F.logsigmoid(-z)
        cell = 2 / self.space.size / scale[..., None]
        # sigma(b) - sigma(a) = sigma(b) sigma(-a) (1 - exp(a - b))
        inner = below[..., 1:] + above[..., :-1] + torch.log(-torch.expm1(-cell))
        each = torch.cat([below[..., :1], inner, above[..., -1:]], -1)
        mixed = torch.logsumexp(each + weight.log_softmax(-1)[..., None], -2)
        if self.heaps is not None:
            mixed = mixed + self.heaps(features)
        return Categorical(mixed, _on_grid(self.space, features))


class DiscretizedLogisticMixtureHead(nn.Module):
    """A mixture of logistics over ordered levels, and a heap at each outer level, for grids of many: the probability of a
    level takes two edges a component, not a number a level. Much of a page is quite white.

    Args:
        space: finite and ordered.
        width: C.
        components: of the mixture.
    """

    def __init__(self, space: Space, width: int, *, components: int = 5) -> None:
        super().__init__()
        if not isinstance(space, Finite) or not space.ordered or space.size < 2:
            raise UserError(f"DiscretizedLogisticMixtureHead: expected ordered levels, at least 2, got {space}; "
                            "use CategoricalHead")
        self.space, self.sizes = space, [2 + components, components, components]
        self.parameters_of = Linear(width, sum(self.sizes))
        nn.init.normal_(self.parameters_of.weight, std=0.02)
        with torch.no_grad():
            logits, means, scales = self.parameters_of.bias.split(self.sizes)  # type: ignore[union-attr]
            logits.zero_()
            means.copy_(torch.linspace(-1, 1, components + 2)[1:-1])
            scales.fill_(-1.0)

    def forward(self, features: Tensor) -> DiscretizedLogisticMixture:
        """(B, *grid, C) -> the distribution of (B, *grid)."""
        logits, means, scales = self.parameters_of(features).split(self.sizes, -1)
        # softplus keeps the scale away from zero without a clamp
        return DiscretizedLogisticMixture(logits, means, F.softplus(scales) + 1e-3, _on_grid(self.space, features))


class NormalMixtureHead(nn.Module):
    """A mixture of normal densities.

    Args:
        space: real.
        width: C.
        components: of the mixture.
        floor: the least scale, so that a likelihood stays finite.

    Source: Bishop, Mixture density networks, 1994
    """

    def __init__(self, space: Space, width: int, *, components: int = 5, floor: float = 1e-2) -> None:
        super().__init__()
        if not isinstance(space, Real):
            raise UserError(f"NormalMixtureHead: expected a real space, got {space}; use CategoricalHead")
        self.space, self.floor = space, floor
        self.parameters_of = nn.Linear(width, 3 * components)
        nn.init.normal_(self.parameters_of.weight, std=0.02)
        with torch.no_grad():
            self.parameters_of.bias.zero_()
            self.parameters_of.bias[components: 2 * components] = torch.linspace(-1.5, 1.5, components)

    def forward(self, features: Tensor) -> NormalMixture:
        """(B, *grid, C) -> the distribution of (B, *grid)."""
        logits, means, log_scales = self.parameters_of(features).chunk(3, -1)
        return NormalMixture(logits, means, F.softplus(log_scales) + self.floor, _on_grid(self.space, features))


class AtomicHead(nn.Module):
    """One logit an atom, one for the rest, and the rest's own head.

    Args:
        space: real, with atoms.
        width: C.
        rest: builds the head of what is no atom from space and width.
    """

    def __init__(self, space: Space, width: int, *, rest: Callable[..., nn.Module] = NormalMixtureHead) -> None:
        super().__init__()
        if not isinstance(space, Real) or not space.atoms:
            raise UserError(f"AtomicHead: expected a real space with atoms, got {space}; use NormalMixtureHead")
        self.space = space
        self.logits = nn.Linear(width, len(space.atoms) + 1)
        nn.init.normal_(self.logits.weight, std=0.02)
        self.rest = rest(replace(space, atoms=()), width)

    def forward(self, features: Tensor) -> Atomic:
        """(B, *grid, C) -> the distribution of (B, *grid)."""
        return Atomic(self.logits(features), self.rest(features), _on_grid(self.space, features))


def default_head(space: Space) -> type[nn.Module]:
    """A mixture of normals for reals, with atoms where there are some; of logistics for ordered levels, by the edges of the
    level that is there alone on grids of more than 32; one logit for two symbols, one a symbol for others."""
    if isinstance(space, Real):
        return AtomicHead if space.atoms else NormalMixtureHead
    if isinstance(space, Finite) and space.size == 2:
        return BernoulliHead
    if not isinstance(space, Finite) or not space.ordered or space.size < 2:
        return CategoricalHead
    return DiscretizedLogisticMixtureHead if space.axes and space.size > _FEW_LEVELS else LogisticMixtureHead


def _on_grid(space: _S, features: Tensor) -> _S:
    """The head's space, or the single entry or the group of entries a row that the features are of."""
    shape = features.shape[1:-1]
    return space if shape == space.shape else _of_shape(space, shape)


@functools.cache
def _of_shape(space: _S, shape: tuple[int, ...]) -> _S:
    return replace(space, axes=tuple(Axis("group", size) for size in shape))
