"""Windows: what is drawn, or goes on, past the window of its distribution, block by block.

Past its window an item is drawn in windows that move on by the stride of their axis, each given what was drawn last. Columns on
the axis that are given, such as covariates, are cut along.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions import Distribution, Noise, SamplerState, Sequential
from given.variables import Axis, Entries, Finite, UserError

__all__ = ["cut", "joined", "over", "reach", "written"]


def cut(x: Entries, first: int, last: int) -> Entries:
    """The entries first ... last - 1 along the axis after the rows', what lies beyond the last padding."""
    def part(t: Tensor) -> Tensor:
        t = t[:, first:last]
        return t if t.shape[1] == last - first else F.pad(t, (*[0, 0] * (t.dim() - 2), 0, last - first - t.shape[1]))

    whole = all(t.shape[1] >= last for t in (x.values.values() if isinstance(x.values, dict) else [x.values]))
    return (x if whole else Entries(x.values, x.seen, x.valid, x.context)).map(part)


def over(items: Iterable[Entries], beside: Collection[Entries]) -> bool:
    """Whether in every row items are as long as what is given beside them."""
    ends = [e.occupied.sum(1) for e in beside]
    return bool(ends) and all(torch.equal(x.occupied.sum(1), end) for x in items for end in ends)


def reach(x: Entries) -> int:
    """How many entries along the axis after the rows' there are, in the row that has most."""
    valid = next(iter(x.valid.values())) if isinstance(x.valid, dict) else x.valid
    there = valid.any(0).reshape(valid.shape[1], -1).any(1).nonzero()
    return int(there[-1]) + 1 if len(there) else 0


@torch.no_grad()
def written(distribution: Distribution | None, begun: Entries | None, later: Callable[[Entries, int, int], Distribution],
            noise: Noise, axis: Axis, length: int | None) -> Iterator[Entries]:
    """The blocks (N, k, *rest) of an item's draws: what is given, and then what is drawn, an entry at a time where the
    distribution draws so.

    Args:
        distribution: of the first window; None where all of it is given.
        begun: (N, k, *rest) what is given then, k a window or more.
        later: maps the beginning of a window, (N, window, *rest), the window's place in the item and the number of entries
            after it to the distribution of the window.
        noise: of every draw, N streams.
        axis: of the window, with the stride that it moves on by.
        length: of the item; None for one window.
    """
    W, stride = axis.size, axis.stride or axis.size
    items, t, drawn, own = list[Entries](), 0, None, noise
    while True:
        skip = W - stride if items else 0
        over = None if drawn is None else drawn.over
        for block, drawn in _blocks(distribution, begun, own, skip, over):  # noqa: B007
            k = next(iter(block.values.values())).shape[1] if isinstance(block.values, dict) else block.values.shape[1]
            if length is not None and t + k > length:
                block, k = cut(block, 0, length - t), length - t
            items, t = [*items, block], t + k
            yield block
            if t == length:
                return
        if length is None or (drawn is not None and bool(drawn.over.all())):
            return
        whole = Entries.cat(items, 1)
        items = [whole.map(lambda each: each[:, each.shape[1] - (W - stride):])]
        read = torch.arange(W, device=items[0].device) < W - stride
        before = cut(items[0], 0, W)
        before = Entries(before.values, *_masked(before, read))
        distribution = later(before, t - (W - stride), length - t - stride)
        if isinstance(distribution, Sequential) and drawn is not None:
            distribution = distribution.after(drawn.state)
        elif not isinstance(distribution, Sequential) and distribution.draws_together:
            raise UserError(f"expected at most {W} entries of a search, which sees one window, got {length}")
        own = noise.fold(t)


def _masked(x: Entries, read: Tensor) -> tuple[Tensor | dict[str, Tensor], None, Tensor | dict[str, Tensor]]:
    """Masks of a window of which only the places `read` (W,) are seen, as context: seen, valid (all of it) and context."""
    def mask(t: Tensor) -> Tensor:
        return read.reshape(-1, *[1] * (t.dim() - 2)).expand(t.shape)

    masks = {name: mask(t) for name, t in x.values.items()} if isinstance(x.values, dict) else mask(x.values)
    return masks, None, masks


def _blocks(distribution: Distribution | None, begun: Entries | None, noise: Noise, skip: int,
            over: Tensor | None) -> Iterator[tuple[Entries, SamplerState | None]]:
    """The blocks of one window from entry `skip` on, each with where the draws stand."""
    if distribution is None:
        assert begun is not None
        yield begun, None
        return
    space = distribution.space
    if isinstance(distribution, Sequential) and len(space.axes) == 1 and (
            distribution.entries == list(range(len(distribution.entries)))):
        for drawn in distribution.run(noise.to(distribution.device).uniform((), (len(distribution.entries),)), over):
            if drawn.t > skip or not skip:
                values = drawn.state.values[:, skip:drawn.t]
                yield Entries(values.long() if isinstance(space, Finite) else values.clone(),
                              valid=drawn.valid[:, skip:drawn.t]), drawn
                skip = drawn.t
    else:
        draws = len(noise.keys) // distribution.n
        x = distribution.sample((draws,), seed=noise).map(lambda t: t.flatten(0, 1)) if draws > 1 else distribution.sample(
            seed=noise)
        yield x.map(lambda t: t[:, skip:]), None


def joined(blocks: list[Entries], length: int | None) -> Entries:
    """Blocks end to end, and padding up to a length."""
    x = blocks[0] if len(blocks) == 1 else Entries.cat(blocks, 1)
    size = (next(iter(x.values.values())) if isinstance(x.values, dict) else x.values).shape[1:2]
    return x if length is None else cut(x, 0, max(length, *size))
