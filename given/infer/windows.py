"""Windows: a text that is drawn, or goes on past the window of its distribution, block by block.

Past its window a text is drawn in windows that move on by a stride, each given what was drawn last.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from given.codecs import Text
from given.conditional import Conditional
from given.distributions import Distribution, Noise, SamplerState, Sequential
from given.variables import Entries, UserError

__all__ = ["in_windows", "joined", "spoken", "written"]


def in_windows(factor: Conditional) -> bool:
    """Whether a factor's x is a text that may be longer than its grid."""
    return isinstance(factor.x.codec, Text) and factor.x.space.axes[0].length == "given"


@torch.no_grad()
def written(distribution: Distribution | None, begun: Entries | None, later: Callable[[Entries, int], Distribution],
            noise: Noise, window: int,
            stride: int, length: int | None) -> Iterator[Entries]:
    """The blocks (N, k) of a text's draws: what is given, and then what is drawn, an entry at a time where the distribution
    draws so.

    Args:
        distribution: of the first window; None where all of it is given.
        begun: (N, window) what is given then.
        later: maps the beginning of a window, (N, window), and the number of entries after it to the distribution of the
            window.
        noise: of every draw, N streams.
        window, stride: entries of a window, and how many of them it moves on by.
        length: of the text; None for one window.
    """
    text, t, drawn, own = list[Tensor](), 0, None, noise
    while True:
        skip = window - stride if text else 0
        over = None if drawn is None else drawn.over
        for block, drawn in _blocks(distribution, begun, own, skip, over):  # noqa: B007
            block = block if length is None else block.map(lambda each, most=length - t: each[:, :most])  # type: ignore[misc]
            text, t = [*text, block.tensor], t + block.tensor.shape[1]
            yield block
            if t == length:
                return
        if length is None or (drawn is not None and bool(drawn.over.all())):
            return
        text = [torch.cat(text, 1)[:, stride - window:] if stride < window else torch.cat(text, 1)[:, :0]]
        read = torch.arange(window) < window - stride
        distribution = later(Entries(F.pad(text[0], (0, stride)), read, context=read), length - t - stride)
        if isinstance(distribution, Sequential) and drawn is not None:
            distribution = distribution.after(drawn.state)
        elif not isinstance(distribution, Sequential) and distribution.draws_together:
            raise UserError(f"expected at most {window} symbols of a search, which sees one window, got {length}")
        own = noise.fold(t)


def _blocks(distribution: Distribution | None, begun: Entries | None, noise: Noise, skip: int,
            over: Tensor | None) -> Iterator[tuple[Entries, SamplerState | None]]:
    """The blocks of one window from entry `skip` on, each with where the draws stand."""
    if distribution is None:
        assert begun is not None
        yield begun, None
    elif isinstance(distribution, Sequential) and bool((distribution.order == torch.arange(len(distribution.order))).all()):
        for drawn in distribution.run(noise.uniform((), (len(distribution.order),)), over):
            if drawn.t > skip or not skip:
                yield Entries(drawn.state.values[:, skip:drawn.t].long(), valid=drawn.valid[:, skip:drawn.t]), drawn
                skip = drawn.t
    else:
        draws = len(noise.keys) // distribution.n
        x = distribution.sample((draws,), seed=noise) if draws > 1 else distribution.sample(seed=noise)
        yield x.map(lambda t: t.reshape(-1, t.shape[-1])[:, skip:]), None


def joined(blocks: list[Entries], length: int | None) -> Entries:
    """Blocks end to end, and padding up to a length."""
    if len(blocks) == 1 and (length is None or blocks[0].tensor.shape[1] == length):
        return blocks[0]
    x = Entries.cat(blocks, 1)
    if length is None or x.tensor.shape[1] == length:
        return x
    rest = (0, length - x.tensor.shape[1])
    return Entries(F.pad(x.tensor, rest), valid=F.pad(x.valid, rest))  # type: ignore[arg-type]


def spoken(codec: Text, blocks: Iterator[Entries]) -> Iterator[str]:
    """A text's blocks (1, k) as characters, each as soon as its last byte is there."""
    symbols, V = codec.spelled(), codec.space.size
    # Bytes may be no text; characters always are, if not always UTF-8.
    decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass" if codec.unit == "characters" else "replace")
    for block in blocks:
        there = block.valid[0] & (block.tensor[0] < min(V, len(symbols)))  # type: ignore[index]
        if said := decoder.decode(b"".join(symbols[v] for v in block.tensor[0][there].tolist())):
            yield said
    if said := decoder.decode(b"", True):
        yield said
