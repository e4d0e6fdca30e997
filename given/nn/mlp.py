"""MLP: layers of SiLU units."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from given.nn.dropout import Dropout

__all__ = ["MLP", "keep_size"]


class MLP(nn.Module):
    """(N, inputs) -> (N, outputs).

    Args:
        inputs, outputs: how many.
        hidden: widths of the layers between.
        dropout: probability, while training.
    """

    def __init__(self, inputs: int, outputs: int, *, hidden: Sequence[int] = (128, 128, 128), dropout: float = 0.0) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Linear(a, b), nn.SiLU(), Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

    def forward(self, h: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs)."""
        return self.layers(h)


def keep_size(*nets: nn.Module) -> None:
    """New weights for linear layers, which keep the size of what they read: of a latent that moves nothing at the start,
    nothing is ever learned.

    Source: He, Zhang, Ren, Sun, Delving deep into rectifiers, 2015 / https://arxiv.org/abs/1502.01852
    """
    for net in nets:
        for layer in net.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
