"""MADE: one masked perceptron over all steps at once.

Every hidden unit has a degree d, a step: it reads tokens 0 ... d and units of degrees up to its own, and is read by features of
steps from d on. So one pass gives every conditional of the chain rule. Drawn step by step, a unit is found once, at the step
of its degree, so that a whole item costs about one pass.

The units read each token as a few numbers; their output is added to the token, which holds the values near its
entry (see `Embedding`): a wide view of everything beside a sharp one of what is near.

Source: Germain, Gregor, Murray, Larochelle, MADE: masked autoencoder for distribution estimation, 2015 /
https://arxiv.org/abs/1502.03509
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.causal import Causal
from given.nn.context import Condition
from given.nn.dropout import Dropout
from given.nn.linear import Linear
from given.nn.order import Grid
from given.variables import UserError

__all__ = ["MADE"]


@dataclass
class Found:
    """A cache: what y adds to each layer (B, H), the tokens' numbers (B, T k) and the units so far, layer by layer (B, H)."""

    y: list[Tensor]
    read: Tensor
    units: list[Tensor]

    def rows(self, index: Tensor) -> Found:
        """The rows `index`, copied."""
        return Found([a[index] for a in self.y], self.read[index], [u[index] for u in self.units])


class MADE(Causal):
    """A masked autoencoder for distribution estimation.

    Args:
        grid, order, attends: as of every net; only their number D is read.
        width: C.
        hidden: units of each layer.
        numbers: k, as which the units read a token.
        features: of a step, that the units return.
        dropout: probability, while training.
    """


    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 64,
                 hidden: Sequence[int] = (512,), numbers: int = 2, features: int = 8, dropout: float = 0.0) -> None:
        super().__init__(attends=attends)
        if not hidden or min(hidden) < 1:
            raise UserError(f"MADE: hidden={hidden}; expected one layer or more, of one unit or more")
        T = len(grid.places)
        self.width, self.features, self.numbers = width, features, numbers
        self.tell = Linear(width, numbers, bias=False)
        self.degrees = [torch.arange(n) * T // n for n in hidden]
        # Of every step, how many units of a layer have degrees up to it.
        self.upto = [[0, *torch.searchsorted(d, torch.arange(T), right=True).tolist()] for d in self.degrees]
        reads = [torch.arange(T).repeat_interleave(numbers), *self.degrees]
        says = [*self.degrees, torch.arange(T).repeat_interleave(features)]
        sizes = [len(d) for d in (*reads, says[-1])]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.masks = nn.Buffer(torch.cat([(a[:, None] <= b).flatten() for a, b in zip(reads, says, strict=True)]),
                               persistent=False)
        self.scored = nn.ModuleList(Linear(width, n, bias=False) for n in hidden)
        self.lift, self.drop = Linear(features, width, bias=False), Dropout(dropout)
        self.mix = Linear(width, width)
        nn.init.normal_(self.layers[-1].weight, std=0.02)  # type: ignore[arg-type]

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        units = self.tell(h).flatten(1)
        sizes = [layer.weight.numel() for layer in self.layers]  # type: ignore[operator]
        masks = self.masks.split(sizes)
        for i, (layer, mask) in enumerate(zip(self.layers, masks, strict=True)):
            units = torch.addmm(layer.bias, units, layer.weight * mask.view(layer.weight.shape))  # type: ignore[arg-type]
            if i < len(self.scored):
                units = self.drop(F.silu(units + self.scored[i](y.pooled)))
        return self._said(h, units)

    def _said(self, h: Tensor, said: Tensor) -> Tensor:
        """Tokens (B, s, C) and the units' output for them (B, s features) -> features (B, s, C)."""
        return F.silu(self.mix(F.silu(h + self.lift(said.view(len(h), -1, self.features)))))

    def start(self, y: Condition) -> Found:
        n, T = len(y.pooled), len(self.upto[0]) - 1
        empty = y.pooled.new_empty
        return Found([known(y.pooled) for known in self.scored], empty(n, T * self.numbers),
                     [empty(n, len(d)) for d in self.degrees])

    def step(self, h: Tensor, order: Tensor, t: int, cache: Found) -> Tensor:  # type: ignore[override]
        with torch.no_grad():
            k, s = self.numbers, h.shape[1]
            cache.read[:, t * k:(t + s) * k] = self.tell(h).flatten(1)
            said = []
            for now in range(t, t + s):
                below, upto = cache.read, (now + 1) * k
                for layer, known, units, counts in zip(self.layers, cache.y, cache.units, self.upto, strict=False):
                    a, b = counts[now], counts[now + 1]
                    if b > a:
                        found = torch.addmm(layer.bias[a:b], below[:, :upto], layer.weight[:upto, a:b])  # type: ignore[index]
                        units[:, a:b] = F.silu(found + known[:, a:b])
                    below, upto = units, b
                last, at = self.layers[-1], slice(now * self.features, (now + 1) * self.features)
                said.append(torch.addmm(last.bias[at], below[:, :upto], last.weight[:upto, at]))  # type: ignore[index]
            return self._said(h, torch.cat(said, 1))
