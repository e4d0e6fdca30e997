"""TransformerFlow: an invertible map of x to noise, by transformers over patches that read one way and then the other.

    u = x in an order of its patches,    z_i = logit sum_k w_k sigma((u_i - m_k) / s_k),    w, m, s functions of u_<i and y

for one transform: the entries of a patch depend on the patches before it through a transformer, and on one another through
masked units. Of one logistic in place of a mixture it is the affine map (u_i - m) / s. The next transform reads what it made
from the last patch to the first, and what the last of them makes is standard normal; log |det| is the sum of log dz_i / du_i.
All entries are mapped at once, so `log_prob` is exact and costs one pass; a draw solves for one entry after another, by
bisection, with the transformers' caches. Marginals and conditionals have no closed form.

Source: Zhai et al., Normalizing flows are capable generative models, 2024 / https://arxiv.org/abs/2412.06329
Papamakarios, Pavlakou, Murray, Masked autoregressive flow for density estimation, 2017 / https://arxiv.org/abs/1705.07057
Ho, Chen, Srinivas, Duan, Abbeel, Flow++, 2019 / https://arxiv.org/abs/1902.00275
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
from given.nn import Blocks, Causal, Condition, Context, EntriesOfBlocks, LearnedPositions, Linear, Transformer
from given.nn.context import Readers, built_context
from given.nn.order import Grid
from given.solve import bisect
from given.variables import Observed, Real, UserError, Variable

__all__ = ["TransformerFlow"]

_PATCHES = 64  # at most, where no size is asked for


class TransformerFlow(Conditional):
    """A stack of monotone transforms of entries, each by a causal transformer of patches.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        patch: side of a patch along every axis but that of channels, or one each; by default 2, or 4 where there are more
            than 64 patches, and one entry of a block.
        transforms: how many; every second one reads backwards.
        components: logistics in a transform's mixture; 1 is an affine map.
        net: builds a causal net of the patches from their `Grid`, order= and attends=.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.

    Raises:
        UserError: x has entries that are not real; the patch does not divide its grid; no transforms, or no components.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, patch: int | tuple[int, ...] | None = None,
                 transforms: int = 2, components: int = 4,
                 net: Callable[..., Causal] = partial(Transformer, width=128, layers=2, positions=LearnedPositions,  # noqa: B008
                                                      dropout=0.0),
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "TransformerFlow")
        if min(transforms, components) < 1:
            raise UserError(f"TransformerFlow: {x.name}: transforms={transforms}, components={components}; expected at least 1 "
                            "of each")
        space = x.space if isinstance(x.space, Real) and x.space.axes else distributions.Flattened.real(x.space)
        order = Blocks(_side(space) if patch is None else patch)
        blocks, grid = order.blocks(space), Grid.of(order.patches(space))
        self.blocks: Tensor
        self.register_buffer("blocks", blocks, persistent=False)
        along = torch.arange(len(blocks))
        self.transforms = nn.ModuleList(
            _Transform(net, grid, blocks.shape[1], along if k % 2 == 0 else along.flip(0), components)
            for k in range(transforms))
        self.context = built_context(context, self.parents, self.transforms[0].net.width, readers)  # type: ignore[union-attr,arg-type]

    def forward(self, y: Observed) -> distributions.Distribution:
        c = self.context(y)
        space = distributions.Flattened.real(self.x.space)
        distribution = distributions.Transformed(lambda rows: _Map(self.transforms, self.blocks, Condition(c[rows])), y.n,
                                                 space, y.device)
        return distributions.Flattened.of(distribution, self.x.space)


class _Transform(nn.Module):
    """Every entry mapped by what stands before it in an order."""

    def __init__(self, net: Callable[..., Causal], grid: Grid, numbers: int, order: Tensor, components: int) -> None:
        super().__init__()
        self.order: Tensor
        self.register_buffer("order", order, persistent=False)
        self.net = net(grid, order=order, attends=False)
        self.enter = Linear(numbers, self.net.width)
        self.leave = EntriesOfBlocks(self.net.width, numbers, 3 * components)
        spread = torch.linspace(-1, 1, components) if components > 1 else torch.zeros(1)
        with torch.no_grad():  # apart from one another, else they would learn alike
            self.leave.lift.bias.view(numbers, 3, components)[:, 1] = spread  # type: ignore[union-attr]

    def forward(self, x: Tensor, y: Condition) -> tuple[Tensor, Tensor]:
        """Patches (N, P, K) -> what they become, and log |det| (N,)."""
        u = x[:, self.order]
        h = F.pad(self.enter(u[:, :-1]), (0, 0, 1, 0))
        z, slope = _mapped(u, self.leave(self.net(h, y, self.order[None]), u))
        return z[:, self.order.argsort()], slope.double().sum((1, 2))

    def inverse(self, z: Tensor, y: Condition) -> Tensor:
        """Patches of what forward made -> (N, P, K), one entry after another."""
        z, u = z[:, self.order], list[Tensor]()
        cache, order = self.net.start(y), self.order[None]
        for t in range(z.shape[1]):
            h = self.enter(u[-1]) if u else z.new_zeros(len(z), self.net.width)
            started, block = self.leave.start(self.net.step(h[:, None], order, t, cache)[:, 0]), z[:, t, :0]
            for k in range(z.shape[2]):
                found = _found(z[:, t, k], self.leave.entry(k, block, started))
                block = torch.cat([block, found[:, None]], 1)
            u.append(block)
        return torch.stack(u, 1)[:, self.order.argsort()]


def _mapped(u: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Entries and their features (*, 3 M) -> the logits of the mixture's distribution function there, and log slopes."""
    w, m, log_s = features.chunk(3, -1)
    w, a = w.log_softmax(-1), (u[..., None] - m) * (-log_s).exp()
    below, above = F.logsigmoid(a), F.logsigmoid(-a)
    F_u, G_u = (w + below).logsumexp(-1), (w + above).logsumexp(-1)
    return F_u - G_u, (w + below + above - log_s).logsumexp(-1) - F_u - G_u


def _found(z: Tensor, features: Tensor) -> Tensor:
    """The entries whose logits are z: between those of the mixture's components alone."""
    w, m, log_s = features.double().chunk(3, -1)
    w, slope, side = w.softmax(-1), (-log_s).exp(), 1 - 2 * (z > 0).double()  # the tail that is small has all its digits
    alone, mass = m + z.double()[..., None] / slope, (side * z).sigmoid()
    slope = slope * side[..., None]

    def beyond(u: Tensor) -> Tensor:
        return side * ((w * ((u[..., None] - m) * slope).sigmoid()).sum(-1) - mass)

    return bisect(beyond, alone.amin(-1), alone.amax(-1)).to(z.dtype)


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
    """The side of patches of which there are few: of 2 to 4 where that can be, since a step of the transformer costs more than
    an entry of a patch."""
    sizes = [axis.size for axis in space.axes if axis.role != "channel"]
    sides = [side for side in range(1, min(sizes) + 1) if all(size % side == 0 for size in sizes)]
    few = [side for side in sides if 1 < math.prod(size // side for size in sizes) <= _PATCHES] or sides[-1:]
    return next((side for side in few if 2 <= side <= 4), few[0])
