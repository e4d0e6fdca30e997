"""Recurrent: causal nets that carry a state from step to step.

LSTM and GRU read one step after another while learning, too: serial, and hard to make parallel. MinGRU's state is a weighted
mean of its past and of what the present step proposes, with weights and proposals that depend on the present step alone,

    h_t = (1 - z_t) h_{t-1} + z_t g_t,

which is linear in the state, so that all steps are found at once by a scan; what is not linear stands between its layers.

Source: Hochreiter, Schmidhuber, Long short-term memory, 1997 / https://doi.org/10.1162/neco.1997.9.8.1735
Cho et al., Learning phrase representations using RNN encoder-decoder, 2014 / https://arxiv.org/abs/1406.1078
Feng et al., Were RNNs all we needed?, 2024 / https://arxiv.org/abs/2410.01201
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from given.nn.causal import Causal
from given.nn.context import Condition
from given.nn.dropout import Dropout
from given.nn.feedforward import SwiGLU
from given.nn.linear import Linear, RMSNorm
from given.nn.order import Grid
from given.nn.scan import scan

__all__ = ["GRU", "LSTM", "MinGRU"]


@dataclass
class Carried:
    """A cache: what is known of y (B, C), and states (layers, B, C), one tensor or two."""

    y: Tensor
    states: tuple[Tensor, ...]

    def rows(self, index: Tensor) -> Carried:
        """The rows `index`, copied."""
        return Carried(self.y[index], tuple(state[:, index] for state in self.states))


class _Carrying(Causal):
    """Steps read alike while learning and while drawing."""

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        return self._read(h, self.start(y))

    @torch.no_grad()
    def step(self, h: Tensor, order: Tensor, t: int, cache: Carried) -> Tensor:  # type: ignore[override]
        return self._read(h, cache)

    @abc.abstractmethod
    def start(self, y: Condition) -> Carried: ...

    @abc.abstractmethod
    def _read(self, h: Tensor, cache: Carried) -> Tensor:
        """Tokens (B, s, C) -> features (B, s, C); the cache moves on."""


class _Stacked(_Carrying):
    """Layers of one of torch's recurrent cells."""

    cell: type[nn.LSTM] | type[nn.GRU]

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 128, layers: int = 1,
                 dropout: float = 0.0) -> None:
        super().__init__(attends=attends)
        self.width = width
        self.layers = nn.ModuleList(self.cell(width, width, batch_first=True) for _ in range(layers))
        self.drop, self.norm = Dropout(dropout), RMSNorm(width)

    def start(self, y: Condition) -> Carried:
        states = 2 if self.cell is nn.LSTM else 1
        return Carried(y.pooled, tuple(y.pooled.new_zeros(len(self.layers), *y.pooled.shape) for _ in range(states)))

    def _read(self, h: Tensor, cache: Carried) -> Tensor:
        h = h + cache.y[:, None]
        found = list[tuple[Tensor, ...]]()
        for i, layer in enumerate(self.layers):
            states = tuple(state[i:i + 1] for state in cache.states)
            more, after = layer(self.drop(h), states if len(states) == 2 else states[0])
            h = more if i == 0 else h + more
            found.append(after if isinstance(after, tuple) else (after,))
        cache.states = tuple(torch.cat(each) for each in zip(*found, strict=True))
        return self.norm(self.drop(h))


class LSTM(_Stacked):
    """Long short-term memory.

    Args:
        grid, order, attends: as of every net.
        width: C, of tokens and states.
        layers: how many, from the second on added to what they read.
        dropout: probability, while training.
    """

    cell = nn.LSTM


class GRU(_Stacked):
    """Gated recurrent units; arguments as of `LSTM`."""

    cell = nn.GRU


class MinGRU(_Carrying):
    """Layers of minimal gated recurrent units, trained by a parallel scan, each followed by a feedforward.

    Args:
        grid, order, attends: as of every net.
        width: C.
        layers: how many.
        expansion: of the state, in units of C.
        feedforward: builds what follows each layer from C.
        dropout: probability, while training.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 128, layers: int = 2,
                 expansion: float = 1.0, feedforward: Callable[..., nn.Module] = SwiGLU, dropout: float = 0.0) -> None:
        super().__init__(attends=attends)
        self.width, self.states = width, round(expansion * width)
        self.layers = nn.ModuleList(_Minimal(width, self.states, feedforward, dropout) for _ in range(layers))
        self.drop, self.norm = Dropout(dropout), RMSNorm(width)

    def start(self, y: Condition) -> Carried:
        return Carried(y.pooled, (y.pooled.new_zeros(len(self.layers), len(y.pooled), self.states),))

    def _read(self, h: Tensor, cache: Carried) -> Tensor:
        h = self.drop(h)
        found = list[Tensor]()
        for layer, state in zip(self.layers, cache.states[0], strict=True):
            h, after = layer(h + layer.condition(cache.y)[:, None], state)  # type: ignore[operator]
            found.append(after)
        cache.states = (torch.stack(found),)
        return self.norm(h)


class _Minimal(nn.Module):
    def __init__(self, width: int, states: int, feedforward: Callable[..., nn.Module], dropout: float) -> None:
        super().__init__()
        self.condition = Linear(width, width)
        self.read, self.read_more = RMSNorm(width), RMSNorm(width)
        self.propose, self.out = Linear(width, 3 * states), Linear(states, width, bias=False)
        self.more, self.drop = feedforward(width), Dropout(dropout)
        nn.init.zeros_(self.condition.bias)  # type: ignore[arg-type]
        with torch.no_grad():  # weights z from slow to fast
            self.propose.bias[:states] = torch.linspace(-4, 2, states)  # type: ignore[index]

    def forward(self, h: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(B, s, C), state (B, states) before -> (B, s, C), state after."""
        z, proposed, gate = self.propose(self.read(h)).chunk(3, -1)
        z = z.sigmoid()
        states = scan(1 - z, z * proposed, state)
        h = h + self.drop(self.out(states * nn.functional.silu(gate)))
        return h + self.drop(self.more(self.read_more(h))), states[:, -1]
