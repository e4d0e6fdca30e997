"""Field: a net from x on its grid, a time and a condition to the same grid. It knows no probability.

What is read at every entry is several numbers: x itself, and where parts of x may be known, whether it is. `FlatField` lays
them end to end for a net of vectors; nets that read the grid's axes are fields of their own.
"""

from __future__ import annotations

import abc
import functools
import inspect
import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from given.nn.context import Condition
from given.nn.linear import RMSNorm
from given.nn.mlp import MLP
from given.variables import Real, UserError

__all__ = ["Field", "FlatField", "TimeFeatures", "built_field", "reads_grid"]


class Field(nn.Module, abc.ABC):
    """Abstract.

    Args:
        space: of x.
        features: F, how many numbers are read at every entry; x itself is the first.
        context: C, the width of what y becomes.
        roles: what y becomes beside a vector, `aligned`, `tokens` or both.
    """

    reads_grid = True
    """Whether it reads vectors of y at x's entries, and tokens; else one vector of all y."""
    any_length = False
    """Whether it serves any number of entries along the first axis, and rows that end after `Condition.ends` of them."""

    @abc.abstractmethod
    def forward(self, x: Tensor, t: Tensor, y: Condition) -> Tensor:
        """x (N, *grid, F), t (N,) in [0, 1] -> (N, *grid)."""


class TimeFeatures(nn.Module):
    """Sines and cosines of a time (N,) in [0, 1]: (N, 2 frequencies)."""

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.frequencies = frequencies

    def forward(self, t: Tensor) -> Tensor:
        angle = t[:, None] * math.pi * torch.arange(1, self.frequencies + 1, device=t.device)
        return torch.cat([angle.sin(), angle.cos()], 1)


class FlatField(Field):
    """A net of vectors, which reads all entries end to end.

    Args:
        space, features, context, roles: as of any field.
        net: builds it from the numbers of inputs and outputs.
        frequencies: of t, as sines and cosines.
        waves: frequencies of x, likewise: what lets a small net draw sharp edges.
        normed: whether what is given is brought to the size of the noise beside it, which else drowns it for long.
    """

    reads_grid = False

    def __init__(self, space: Real, features: int, context: int, roles: Collection[str] = (), *,
                 net: Callable[[int, int], nn.Module] = MLP, frequencies: int = 8, waves: int = 8,
                 normed: bool = False) -> None:
        super().__init__()
        D = space.dimensions
        self.waves, self.time = waves, TimeFeatures(frequencies)
        self.given = RMSNorm(context) if normed else nn.Identity()
        self.net = net(D * (features + 2 * waves) + 2 * frequencies + context, D)

    def forward(self, x: Tensor, t: Tensor, y: Condition) -> Tensor:
        value = x[..., 0].flatten(1)
        wave = (value[:, :, None] * torch.arange(1, self.waves + 1, device=x.device) * (math.pi / 2)).flatten(1)
        rest = x[..., 1:].flatten(1)
        read = [value, wave.sin(), wave.cos(), self.time(t), self.given(y.pooled), rest]
        return self.net(torch.cat(read, 1)).reshape(x.shape[:-1])


def reads_grid(net: Callable[..., nn.Module]) -> bool:
    """Whether what `net` builds reads vectors of y at x's entries."""
    made = net.func if isinstance(net, functools.partial) else net
    return inspect.isclass(made) and issubclass(made, Field) and made.reads_grid


def built_field(net: Callable[..., nn.Module], space: Real, features: int, context: int, roles: Collection[str],
                who: str) -> Field:
    """The field that `net` builds: a class of fields or a partial of one; anything else builds a net of vectors.

    Raises:
        UserError: what it builds serves neither way.
    """
    made = net.func if isinstance(net, functools.partial) else net
    if inspect.isclass(made) and issubclass(made, Field):
        return net(space, features, context, roles)  # type: ignore[return-value]
    if inspect.isclass(made) and list(inspect.signature(made).parameters)[:2] != ["inputs", "outputs"]:
        raise UserError(f"{who}: net={made.__name__} serves no field; expected MLP, FlatField, UNet or PatchTransformer, or a "
                        "class of (inputs, outputs)")
    return FlatField(space, features, context, net=net)
