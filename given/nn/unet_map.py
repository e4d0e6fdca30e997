"""UNetMap: y -> numbers at x's entries, by convolutions down to few places and up again.

What y has at x's entries is added to a vector of each place. Where few places are left they attend to one another and to y's
tokens, so that an entry knows of the whole of what is read.

Source: Ronneberger, Fischer, Brox, U-Net: convolutional networks for biomedical image segmentation, 2015 /
https://arxiv.org/abs/1505.04597
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.context import Condition
from given.nn.convolutional_map import Map
from given.nn.grid_cut import CONVOLUTIONS, GridCut, check_places, laid
from given.nn.unet import Levels
from given.variables import Product, Space, UserError

__all__ = ["UNetMap"]


class UNetMap(Map):
    """A map by a U-Net.

    Args:
        space, context, outputs, roles: as of any map; one to three axes of places beside channels.
        width: channels at the first resolution.
        factors: of the width, one a resolution; each is half the one before.
        patch: entries along every axis of places that are one place of the first resolution.
        attention: up to how many places all attend to one another.
        heads: of attention; fewer where the width asks for it.

    Raises:
        UserError: x is no such grid, or y has neither a vector at its entries nor tokens.
    """

    def __init__(self, space: Space, context: int, outputs: int, roles: Set[str] = frozenset(), *, width: int = 48,
                 factors: Sequence[int] = (1, 2, 2), patch: int = 2, attention: int = 64, heads: int = 4) -> None:
        super().__init__()
        if isinstance(space, Product):
            raise UserError(f"UNetMap: expected a grid, got {space}; use MLP")
        if not isinstance(patch, int) or patch < 1:
            raise UserError(f"UNetMap: patch={patch!r}; expected a whole number from 1")
        K = check_places(space, "UNetMap", 3)
        if not roles & {"aligned", "tokens"}:
            raise UserError(f"UNetMap: no parent has a vector at the entries of {space}, or tokens; use ConvolutionalDecoder, "
                            "or role='aligned' or 'tokens' for its reader")
        self.shape, self.outputs = space.shape, outputs
        self.cut, conv, widths = GridCut(space, [patch] * K), CONVOLUTIONS[K - 1], [width * f for f in factors]
        self.enter = conv(self.cut.held * context, widths[0], 3, padding=1) if "aligned" in roles else None
        self.places = nn.ParameterList([nn.Parameter(torch.randn(n, widths[0]) * 0.5) for n in self.cut.cells])
        self.condition = nn.Linear(context, 4 * width)
        tokens = context if "tokens" in roles else 0
        self.levels = Levels(conv, list(self.cut.cells), widths, 4 * width, tokens, attention, heads)
        self.leave = conv(widths[0], self.cut.held * outputs, 3, padding=1)

    def forward(self, y: Condition) -> Tensor:
        h = laid(self.places).mT.unflatten(1, self.cut.cells).expand(len(y.pooled), -1, *self.cut.cells)
        if self.enter is not None and y.aligned is not None:
            there = y.aligned.unflatten(1, self.shape)
            h = h + self.enter(self.cut.pieces(there).unflatten(1, self.cut.cells).movedim(-1, 1))
        h = self.levels(h, self.condition(y.pooled), y)
        found = self.leave(F.silu(h)).movedim(1, -1).flatten(1, -2).unflatten(-1, (-1, self.outputs))
        return torch.stack([self.cut.whole(part, self.shape) for part in found.unbind(-1)], -1)
