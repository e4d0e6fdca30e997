"""Heads: from features of a net to the distribution of an entry.

A head is a module that maps features (B, *grid, C) to a distribution of entries on that grid, independent given the features.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.distributions.atomic import Atomic
from given.distributions.categorical import Categorical
from given.distributions.discretized_logistic_mixture import DiscretizedLogisticMixture
from given.distributions.distribution import Distribution
from given.distributions.normal_mixture import NormalMixture
from given.distributions.product import ProductDistribution
from given.distributions.torch_distribution import Torch
from given.distributions.weighted_levels import WeightedLevels
from given.nn import Linear, SymbolVectors
from given.nn.precision import sixteen_bits
from given.variables import Axis, Finite, Product, Real, Space, UserError

__all__ = ["AtomicHead", "BernoulliHead", "CategoricalHead", "DiscretizedLogisticMixtureHead", "FactorizedHead",
           "LogitsHead", "NormalMixtureHead", "SmoothCategoricalHead", "default_head"]

_S = TypeVar("_S", Finite, Real)
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
        if not sixteen_bits(features.device):
            return Categorical(self.logits(features), _on_grid(self.space, features))
        V, weight, bias = self.space.size, self.logits.weight, self.logits.bias
        found = features @ F.pad(weight, (0, -V % _UNIT))
        logits = found[..., :V].float() if bias is None else found[..., :V] + bias
        return Categorical(logits, _on_grid(self.space, features))


class SmoothCategoricalHead(nn.Module):
    """One logit a symbol, and of levels a curve of logits.

    Args:
        space: finite, with levels.
        width: C.
    """

    def __init__(self, space: Space, width: int) -> None:
        super().__init__()
        if not isinstance(space, Finite) or not space.levels:
            raise UserError(f"SmoothCategoricalHead: expected symbols with levels among them, got {space}; use CategoricalHead")
        self.space = space
        self.weight = SymbolVectors(space, torch.randn(space.size, width) * 0.02)
        self.bias = SymbolVectors(space, torch.zeros(space.size, 1))

    def forward(self, features: Tensor) -> Categorical:
        """(B, *grid, C) -> the distribution of (B, *grid)."""
        return Categorical(F.linear(features, self.weight(), self.bias()[:, 0]), _on_grid(self.space, features))


class LogitsHead(nn.Module):
    """Logits of a net that makes them itself.

    Args:
        space: finite.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        assert isinstance(space, Finite)
        self.space = space

    def forward(self, logits: Tensor) -> Categorical:
        """(B, *grid, V) -> the distribution of (B, *grid)."""
        return Categorical(logits, _on_grid(self.space, logits))


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


class DiscretizedLogisticMixtureHead(nn.Module):
    """A mixture of logistic densities, integrated over the cells of ordered levels on [-1, 1], and a point mass at each outer
    level: much of a page is pure white. A single entry, off any grid, also has one logit a level: people round the numbers they
    report, and few components cannot follow the peaks.

    PixelCNN++ is `Autoregressive(image, net=GatedPixelCNN, head=DiscretizedLogisticMixtureHead)`. It draws the channels of a
    pixel at once and has the means of the later depend linearly on the earlier. Here they are entries that follow one another,
    so the whole distribution of a channel, weights and scales too, depends on those before it in any way the net can learn.

    Args:
        space: finite and ordered, at least 2 levels.
        width: C.
        components: K, of the mixture.
        spread: how far the components lie apart and reach at first, of all levels' range; where a prediction moves them, less.

    Raises:
        UserError: another space.

    Source: Salimans, Karpathy, Chen, Kingma, PixelCNN++, 2017 / https://arxiv.org/abs/1701.05517
    """

    def __init__(self, space: Space, width: int, *, components: int = 5, spread: float = 1.0) -> None:
        super().__init__()
        if not isinstance(space, Finite) or not space.ordered or space.size < 2:
            raise UserError(f"DiscretizedLogisticMixtureHead: expected ordered levels, at least 2, got {space}; "
                            "use CategoricalHead")
        if not 0 < spread <= 1:
            raise UserError(f"DiscretizedLogisticMixtureHead: spread={spread!r}; expected a share above 0, up to 1")
        self.space, self.sizes = space, [2 + components, components, components]
        self.parameters_of = Linear(width, sum(self.sizes))
        nn.init.normal_(self.parameters_of.weight, std=0.02)
        with torch.no_grad():
            logits, means, scales = self.parameters_of.bias.split(self.sizes)  # type: ignore[union-attr]
            logits.zero_()
            means.copy_(spread * torch.linspace(-1, 1, components + 2)[1:-1])
            scales.fill_(math.log(math.expm1(spread * math.log1p(math.exp(-1.0)))))  # softplus gives spread softplus(-1)
        self.levels = nn.Linear(width, space.size) if not space.axes else None
        if self.levels is not None:
            nn.init.zeros_(self.levels.weight)
            nn.init.zeros_(self.levels.bias)

    def forward(self, features: Tensor) -> DiscretizedLogisticMixture | WeightedLevels:
        """(B, *grid, C) -> the distribution of (B, *grid), whose levels are scored by two edges a component."""
        logits, means, scales = self.parameters_of(features).split(self.sizes, -1)
        space = _on_grid(self.space, features)
        # softplus keeps the scale away from zero without a clamp
        mixture = DiscretizedLogisticMixture(logits, means, F.softplus(scales) + 1e-3, space)
        if self.levels is not None:
            return WeightedLevels(mixture, self.levels(features), space)
        return mixture


class NormalMixtureHead(nn.Module):
    """A mixture of normal densities.

    Args:
        space: real.
        width: C.
        components: of the mixture.
        floor: the least scale, so that a likelihood stays finite.
        spread: how far the components reach at first; 0: all lie at 0, each of a scale of its own.

    Source: Bishop, Mixture density networks, 1994
    """

    def __init__(self, space: Space, width: int, *, components: int = 5, floor: float = 1e-2,
                 spread: float = 1.5) -> None:
        super().__init__()
        if not isinstance(space, Real):
            raise UserError(f"NormalMixtureHead: expected a real space, got {space}; use CategoricalHead")
        self.space, self.floor = space, floor
        self.parameters_of = nn.Linear(width, 3 * components)
        nn.init.normal_(self.parameters_of.weight, std=0.02)
        with torch.no_grad():
            self.parameters_of.bias.zero_()
            self.parameters_of.bias[components: 2 * components] = torch.linspace(-spread, spread, components)
            if not spread:
                sizes = torch.linspace(-1.0, 1.0, components)
                self.parameters_of.bias[:components] = -2 * sizes**2
                self.parameters_of.bias[2 * components:] = sizes.exp().expm1().log()

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
        self.rest = rest(replace(space, atoms=(), end=None), width)

    def forward(self, features: Tensor) -> Atomic:
        """(B, *grid, C) -> the distribution of (B, *grid)."""
        return Atomic(self.logits(features), self.rest(features), _on_grid(self.space, features))


class FactorizedHead(nn.Module):
    """Independent entries of any space, from one vector a row: normal for reals without atoms, by a head for all others.

    Args:
        space: of a grid or a block.
        width: C, of the features of an entry that has a head.
        head: builds the distribution of such an entry from space and width; by default `default_head` of its space.
        floor: the least scale of a normal, in standard units, so that a likelihood stays finite.

        homoscedastic: whether a column of such reals has one scale, of all its entries and whatever the features.

    Attributes:
        inputs: F, how many features a row needs.
    """

    def __init__(self, space: Space, width: int, *, head: Callable[..., nn.Module] | None = None,
                 homoscedastic: bool = False, floor: float = 1e-3) -> None:
        super().__init__()
        self.space, self.width, self.floor, self.homoscedastic = space, width, floor, homoscedastic
        self.heads = nn.ModuleDict({
            str(i): (head or default_head(part))(part, width) for i, (_, part) in enumerate(space.parts)
            if isinstance(part, Finite) or part.atoms})  # type: ignore[attr-defined]
        normal = 1 if homoscedastic else 2
        self.sizes = [part.dimensions * (width if str(i) in self.heads else normal) for i, (_, part) in enumerate(space.parts)]
        self.inputs = sum(self.sizes)
        self.scales = nn.Parameter(torch.zeros(len(self.sizes))) if homoscedastic else None

    def forward(self, features: Tensor) -> Distribution:
        """(B, F) -> the distribution of B rows of the space."""
        pieces = zip(self.space.parts, features.split(self.sizes, -1), strict=True)
        each = {name: self._part(str(i), part, h) for i, ((name, part), h) in enumerate(pieces)}
        return ProductDistribution(each) if isinstance(self.space, Product) else each[""]

    def _part(self, key: str, space: Space, h: Tensor) -> Distribution:
        if key in self.heads:
            return self.heads[key](h.reshape(len(h), *space.shape, self.width))
        h = h.reshape(len(h), *space.shape, -1)
        mean = h[..., 0]
        scale = F.softplus(h[..., -1] if self.scales is None else self.scales[int(key)]) + self.floor
        # Its draws carry gradients to mean and scale (the reparametrisation trick).
        return Torch(torch.distributions.Normal(mean, scale.expand(mean.shape), validate_args=False), space)


def default_head(space: Space) -> type[nn.Module]:
    """A mixture of normals for reals, with atoms where there are some; a discretised mixture of logistics for ordered levels;
    one logit for two symbols, one a symbol for others."""
    if isinstance(space, Real):
        return AtomicHead if space.atoms else NormalMixtureHead
    if isinstance(space, Finite) and space.size == 2:
        return BernoulliHead
    if isinstance(space, Finite) and space.levels:
        return SmoothCategoricalHead
    if not isinstance(space, Finite) or not space.ordered or space.size < 2:
        return CategoricalHead
    return DiscretizedLogisticMixtureHead


def _on_grid(space: _S, features: Tensor) -> _S:
    """The head's space, or the single entry or the group of entries a row that the features are of."""
    shape = features.shape[1:-1]
    return space if shape == space.shape else _of_shape(space, shape)


@functools.cache
def _of_shape(space: _S, shape: tuple[int, ...]) -> _S:
    free: _S = replace(space, pattern=()) if isinstance(space, Finite) else space  # a group has no places of its own
    return replace(free, axes=tuple(Axis("group", size) for size in shape))
