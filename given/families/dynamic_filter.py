"""DynamicFilter: a grid of reals as what a parent showed, moved from place to place.

    p(x | y) = prod_d N(x_d; m_d(y), s),    m_d(y) = sum_k w_dk(y) b_{d + k}(y) + r_d(y)

b is the last entry along the parent's axis of channels, such as the last frame, levels as middles of their cells in [-1, 1],
zero where it is unseen. k goes over the places near d, and the weights w_dk sum to one: so a net that says where what is seen
at d comes from moves it as sharp as it was, and r adds what was nowhere near. Beyond its border a frame goes on as it is there.
s is one scale of all entries. `log_prob` is exact: given y, the entries are independent.

Source: Jia, De Brabandere, Tuytelaars, Van Gool, Dynamic filter networks, 2016 / https://arxiv.org/abs/1605.09673
Finn, Goodfellow, Levine, Unsupervised learning for physical interaction through video prediction, 2016 /
https://arxiv.org/abs/1605.07157
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional
from given.nn import Context, Map, UNetMap, roles_of
from given.nn.context import Readers, built_context
from given.nn.precision import in_sixteen_bits
from given.variables import Observed, Real, UserError, Variable

__all__ = ["DynamicFilter"]

_STAYS = 2.0  # what the place itself is ahead of its neighbours by, in nats, before anything is learned


class DynamicFilter(Conditional):
    """What a parent showed, moved.

    Args:
        x: a grid of reals, on one to three axes of places beside channels.
        parents: of any space, `of` among them.
        of: the parent that shows what is moved, its last entry: reals or levels, on x's axes and a last one of channels.
        reach: how far it is moved at most, in places along every axis.
        net: builds the map that reads y at x's entries, as `UNetMap` and `ConvolutionalMap`.
        width: C of the context.
        floor: the least scale, in units of x.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, in place of those that their spaces ask for.

    Raises:
        UserError: x or the parent is no such grid, or numbers are out of range.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, of: str = "last", reach: int = 2,
                 net: Callable[..., Map] = UNetMap, width: int = 32, floor: float = 1e-3,
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "DynamicFilter")
        if not isinstance(x.space, Real):
            raise UserError(f"DynamicFilter: {x.name}: expected a grid of reals, got {x.space}; use FlowMatching")
        if not isinstance(reach, int) or reach < 1 or not floor > 0:
            raise UserError(f"DynamicFilter: {x.name}: reach={reach!r}, floor={floor!r}; expected a whole number of places "
                            "from 1, and a scale above 0")
        self.of, self.reach, self.floor = of, reach, floor
        self.shown = distributions.showing("DynamicFilter", x, self.parents, of)
        self.places = [axis.role != "channel" for axis in x.space.axes]
        self.context = built_context(context, self.parents, width, readers, x.space)
        near = (2 * reach + 1) ** sum(self.places)
        self.net = net(x.space, width, near + 1, roles_of(self.parents, x.space, readers, context))
        self.scale = nn.Parameter(torch.zeros(()))
        self.ahead: Tensor
        self.register_buffer("ahead", _STAYS * F.one_hot(torch.tensor(near // 2), near).float(), persistent=False)

    def forward(self, y: Observed) -> distributions.Torch:
        found = self.net(self.context.condition(y))  # (B, *grid, places near + 1)
        with in_sixteen_bits(found.device, enabled=False):
            weights = (found[..., :-1].float() + self.ahead).softmax(-1)
            near = self._near(distributions.latest(y[self.of], self.shown).float())
            mean = (weights * near).sum(-1) + found[..., -1].float()
            scale = (F.softplus(self.scale) + self.floor).expand(mean.shape)
        return distributions.Torch(torch.distributions.Normal(mean, scale, validate_args=False), self.x.space)

    def _near(self, shown: Tensor) -> Tensor:
        """(B, *grid) -> (B, *grid, places near)."""
        for axis, size in enumerate(self.x.space.shape, 1):
            if self.places[axis - 1]:
                there = torch.arange(-self.reach, size + self.reach, device=shown.device).clamp(0, size - 1)
                shown = shown.index_select(axis, there)
        steps = itertools.product(*(range(2 * self.reach + 1) if place else [0] for place in self.places))
        each = ([slice(k, k + size) for k, size in zip(step, self.x.space.shape, strict=True)] for step in steps)
        return torch.stack([shown[(slice(None), *cut)] for cut in each], -1)
