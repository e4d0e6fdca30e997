"""TransformerFlow: an invertible map of x to noise, by transformers over patches that read one way and then the other.

    u = x in an order of its patches,    z_t = (u_t - b(u_<t, y)) exp(-a(u_<t, y)),    log |det dz/du| = -sum_t a(u_<t, y)

for one transform; the next reads what it made from the last patch to the first, and what the last of them makes is standard
normal. All patches are mapped at once, so `log_prob` is exact and costs one pass; a draw solves for one patch after another,
with the transformers' caches. Marginals and conditionals have no closed form.

Source: Zhai et al., Normalizing flows are capable generative models, 2024 / https://arxiv.org/abs/2412.06329
Papamakarios, Pavlakou, Murray, Masked autoregressive flow for density estimation, 2017 / https://arxiv.org/abs/1705.07057
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional
from given.nn import Blocks, Causal, Condition, Context, LearnedPositions, Linear, Transformer
from given.nn.context import Readers, built_context
from given.nn.order import Grid
from given.variables import Observed, Real, UserError, Variable

__all__ = ["TransformerFlow"]

_PATCHES = 64  # at most, where no size is asked for


class TransformerFlow(Conditional):
    """A stack of affine transforms of patches, each by a causal transformer.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        patch: side of a patch along every axis but that of channels, or one each; by default the least with which there are 64
            patches at most, and one entry of a block.
        transforms: how many; every second one reads backwards.
        net: builds a causal net of the patches from their `Grid`, order= and attends=.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.

    Raises:
        UserError: x has entries that are not real; the patch does not divide its grid; there are no transforms.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, patch: int | tuple[int, ...] | None = None,
                 transforms: int = 4,
                 net: Callable[..., Causal] = partial(Transformer, width=128, layers=2, positions=LearnedPositions,  # noqa: B008
                                                      dropout=0.0),
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "TransformerFlow")
        if transforms < 1:
            raise UserError(f"TransformerFlow: {x.name}: transforms={transforms}; expected at least 1")
        space = x.space if isinstance(x.space, Real) and x.space.axes else distributions.Flattened.real(x.space)
        order = Blocks(_side(space) if patch is None else patch)
        blocks, grid = order.blocks(space), Grid.of(order.patches(space))
        self.blocks: Tensor
        self.register_buffer("blocks", blocks, persistent=False)
        along = torch.arange(len(blocks))
        self.transforms = nn.ModuleList(_Affine(net, grid, blocks.shape[1], along if k % 2 == 0 else along.flip(0))
                                        for k in range(transforms))
        self.context = built_context(context, self.parents, self.transforms[0].net.width, readers)  # type: ignore[union-attr,arg-type]

    def forward(self, y: Observed) -> distributions.Distribution:
        c = self.context(y)
        space = distributions.Flattened.real(self.x.space)
        distribution = distributions.Transformed(lambda rows: _Map(self.transforms, self.blocks, Condition(c[rows])), y.n,
                                                 space, y.device)
        return distributions.Flattened.of(distribution, self.x.space)


class _Affine(nn.Module):
    """Every patch moved and scaled by what stands before it in an order."""

    def __init__(self, net: Callable[..., Causal], grid: Grid, numbers: int, order: Tensor) -> None:
        super().__init__()
        self.order: Tensor
        self.register_buffer("order", order, persistent=False)
        self.net = net(grid, order=order, attends=False)
        self.enter, self.leave = Linear(numbers, self.net.width), Linear(self.net.width, 2 * numbers)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, y: Condition) -> tuple[Tensor, Tensor]:
        """Patches (N, P, K) -> what they become, and log |det| (N,)."""
        u = x[:, self.order]
        h = F.pad(self.enter(u[:, :-1]), (0, 0, 1, 0))
        a, b = self._moves(self.net(h, y, self.order[None]))
        return ((u - b) * (-a).exp())[:, self.order.argsort()], -a.double().sum((1, 2))

    def inverse(self, z: Tensor, y: Condition) -> Tensor:
        """Patches of what forward made -> (N, P, K), one patch after another."""
        z, u = z[:, self.order], list[Tensor]()
        cache, order = self.net.start(y), self.order[None]
        for t in range(z.shape[1]):
            h = self.enter(u[-1]) if u else z.new_zeros(len(z), self.net.width)
            a, b = self._moves(self.net.step(h[:, None], order, t, cache))
            u.append(z[:, t] * a[:, 0].exp() + b[:, 0])
        return torch.stack(u, 1)[:, self.order.argsort()]

    def _moves(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log-scales and shifts (N, P, K)."""
        return self.leave(features).float().chunk(2, -1)


class _Map:
    """All transforms of N rows, of entries end to end."""

    def __init__(self, transforms: nn.ModuleList, blocks: Tensor, y: Condition) -> None:
        self.transforms, self.blocks, self.y = transforms, blocks, y

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) -> (N, D), log |det| (N,)."""
        h, total = x[:, self.blocks], torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for transform in self.transforms:
            h, ladj = transform(h, self.y)
            total = total + ladj
        return self._laid(h), total

    def inv(self, z: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        h = z[:, self.blocks]
        for transform in reversed(self.transforms):
            h = transform.inverse(h, self.y)  # type: ignore[operator]
        return self._laid(h)

    def _laid(self, h: Tensor) -> Tensor:
        """Patches -> entries end to end."""
        return h.flatten(1)[:, self.blocks.flatten().argsort()]


def _side(space: Real) -> int:
    """The least side of patches of which there are few."""
    sizes = [axis.size for axis in space.axes if axis.role != "channel"]
    sides = [side for side in range(1, min(sizes) + 1) if all(size % side == 0 for size in sizes)]
    return next((side for side in sides if math.prod(size // side for size in sizes) <= _PATCHES), sides[-1])
