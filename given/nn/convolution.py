"""CausalConvolution: dilated convolutions over the steps, each of which reaches twice as far back as the last. WaveNet.

    z = tanh(W * x + u y) sigmoid(V * x + v y)        x <- x + R z        features = relu(M relu(sum S z))

A ring of its last inputs is all a layer needs to remember, so a step costs the same however long the past.

Source: van den Oord et al., WaveNet: a generative model for raw audio, 2016 / https://arxiv.org/abs/1609.03499
Le Paine et al., Fast WaveNet generation algorithm, 2016 / https://arxiv.org/abs/1611.09482
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.causal import Causal
from given.nn.context import Condition
from given.nn.dropout import Dropout
from given.nn.linear import Linear
from given.nn.order import Grid
from given.variables import UserError

__all__ = ["CausalConvolution"]

# Shapes: B rows, T steps, s steps now, C width, K kernel, R steps in a ring.


class CausalConvolution(Causal):
    """Dilated causal convolutions with gates.

    Args:
        grid, order, attends: as of every net; any order will do.
        width: C.
        layers: how many; layer l reads steps 2^(l mod cycle) apart.
        kernel: K, how many steps a layer reads.
        cycle: after how many layers the dilations begin again.
        dropout: probability, while training.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 64, layers: int = 8,
                 kernel: int = 2, cycle: int = 10, dropout: float = 0.1) -> None:
        super().__init__(attends=attends)
        if min(layers, cycle) < 1 or kernel < 2:
            raise UserError(f"CausalConvolution: layers={layers}, kernel={kernel}, cycle={cycle}; expected 1 layer or more, a "
                            "kernel of 2 or more and a cycle of 1 or more")
        self.width = width
        self.layers = nn.ModuleList(_Layer(width, kernel, 2 ** (i % cycle), i == layers - 1, dropout) for i in range(layers))
        self.out = Linear(width, width)

    @property
    def field(self) -> int:
        """How many steps a feature depends on, its own among them."""
        return 1 + sum(layer.reach for layer in self.layers)  # type: ignore[misc]

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        layers: Any = self.layers
        x, skip = h, torch.zeros_like(h)
        for layer in layers:
            taps = layer.taps(F.pad(x, (0, 0, layer.reach, 0)), x.shape[1], 1)
            x, skip = layer.mixed(taps @ layer.weight + layer.condition(y.pooled)[:, None], x, skip)
        return F.relu(self.out(F.relu(skip)))

    def start(self, y: Condition) -> Rings:
        layers: Any = self.layers
        with torch.no_grad():
            rings = [y.pooled.new_zeros(layer.reach, len(y.pooled), self.width) for layer in layers]
            return Rings(rings, [layer.condition(y.pooled) for layer in layers])

    def step(self, h: Tensor, order: Tensor, t: int, cache: Rings) -> Tensor:  # type: ignore[override]
        with torch.no_grad():
            if h.shape[1] == 1:
                return self._one(h[:, 0], t, cache)[:, None]
            layers: Any = self.layers
            x = h.transpose(0, 1)
            skip = torch.zeros_like(x)
            for layer, ring, added in zip(layers, cache.rings, cache.added, strict=True):
                R, s = len(ring), len(x)
                past = torch.cat([ring.roll(-(t % R), 0), x])  # from step t - R on
                last = torch.arange(max(t, t + s - R), t + s)
                ring[last % R] = past[last - t + R]
                x, skip = layer.mixed(layer.taps(past, s, 0) @ layer.weight + added, x, skip)
            return F.relu(self.out(F.relu(skip))).transpose(0, 1)

    def _one(self, h: Tensor, t: int, cache: Rings) -> Tensor:
        """Tokens (B, C) of step t -> (B, C), in as few calls as it takes."""
        C, kept = self.width, cache.prepared(self)
        both, gates, z = kept.both, kept.gates, kept.z  # what goes on and what is summed; pre-activations; z and a one
        torch.cat([h, torch.zeros_like(h)], 1, out=both)
        x, skip = both[:, :C], both[:, C:]
        for (weights, mix, dilation), ring, added in zip(kept.layers, cache.rings, kept.added, strict=True):
            R = len(ring)
            torch.addmm(added, x, weights[-1], out=gates)
            for k, weight in enumerate(weights[:-1]):
                gates.addmm_(ring[(t + k * dilation) % R], weight)
            ring[t % R].copy_(x)
            gates.tanh_()
            torch.addcmul(kept.a, kept.a, kept.b, out=kept.free)  # 2 tanh(a) sigmoid(2 b)
            (both if mix.shape[1] == 2 * C else skip).addmm_(z, mix)
        return F.relu(self.out(F.relu(skip)))


class _Layer(nn.Module):
    def __init__(self, width: int, kernel: int, dilation: int, last: bool, dropout: float) -> None:
        super().__init__()
        self.kernel, self.dilation, self.reach = kernel, dilation, (kernel - 1) * dilation
        bound = (kernel * width) ** -0.5
        self.weight = nn.Parameter(torch.empty(kernel * width, 2 * width).uniform_(-bound, bound))  # the oldest step first
        self.condition = Linear(width, 2 * width)
        self.mix = Linear(width, width if last else 2 * width)
        self.drop = Dropout(dropout)

    def taps(self, past: Tensor, s: int, axis: int) -> Tensor:
        """(..., reach + s, ..., C) -> what s steps read, (..., s, ..., K C)."""
        return torch.cat([past.narrow(axis, k * self.dilation, s) for k in range(self.kernel)], -1)

    def mixed(self, pre: Tensor, x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Pre-activations (..., 2 C), and what goes on and what is summed, (..., C) each, after this layer."""
        a, b = pre.chunk(2, -1)
        z = self.mix(self.drop(a.tanh() * b.sigmoid()))
        if z.shape[-1] == x.shape[-1]:
            return x, skip + z
        on, summed = z.chunk(2, -1)
        return x + on, skip + summed


class Rings:
    """The cache of a `CausalConvolution`.

    Args:
        rings: of each layer its last inputs (R, B, C), step t at t mod R.
        added: of each layer (B, 2 C), what is known of y.
    """

    def __init__(self, rings: list[Tensor], added: list[Tensor]) -> None:
        self.rings, self.added = rings, added
        self._prepared: _Prepared | None = None

    def rows(self, index: Tensor) -> Rings:
        """The rows `index`, copied."""
        return Rings([ring[:, index] for ring in self.rings], [a[index] for a in self.added])

    def prepared(self, net: CausalConvolution) -> _Prepared:
        """What single steps use."""
        self._prepared = self._prepared or _Prepared(net, self.added)
        return self._prepared


class _Prepared:
    """Weights and room for single steps. sigmoid(b) is (1 + tanh(b / 2)) / 2, so one tanh serves both halves of a gate."""

    def __init__(self, net: CausalConvolution, added: list[Tensor]) -> None:
        B, C, new = len(added[0]), net.width, added[0].new_empty
        half = torch.cat([new(C).fill_(1), new(C).fill_(0.5)])
        layers: Any = net.layers
        self.layers = [((layer.weight * half).split(C), torch.cat([layer.mix.weight / 2, layer.mix.bias[None]]), layer.dilation)
                       for layer in layers]
        self.added = [a * half for a in added]
        self.both, self.gates, self.z = new(B, 2 * C), new(B, 2 * C), new(B, C + 1).fill_(1)
        self.a, self.b, self.free = self.gates[:, :C], self.gates[:, C:], self.z[:, :C]
