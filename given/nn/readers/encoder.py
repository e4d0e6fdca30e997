"""Encoder: a parent read by a network of one's own, such as a pretrained one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from given.nn.readers.reader import Cells, Read, Reader, Role
from given.variables import Entries, Product, Real, Space, UserError

__all__ = ["Encoder"]


@dataclass(frozen=True)
class Encoder(Reader):
    """A network of one's own, and a layer that brings its vectors to the width asked for.

    It is called with the values (B, *grid), whole numbers for symbols and levels, reals in the type of the weights, 0 where an
    entry is unseen or padding; and with a mask (B, *grid) bool of those that are neither. It gives vectors (B, size), or
    (B, M, size).

    Args:
        net: builds it: a class of modules, or a partial of one, which can be saved; or a module, which cannot.
        size: of a vector of its.
        tokens: M, how many vectors it gives; None for one.
        frozen: whether its weights stay as they are.
    """

    net: Callable[..., nn.Module]
    size: int
    tokens: int | None = None
    frozen: bool = True
    reads: ClassVar[str] = "a single column"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.net) or self.size < 1 or (self.tokens is not None and self.tokens < 1):
            raise UserError(f"Encoder: net={self.net!r}, size={self.size!r}, tokens={self.tokens!r}; expected a class of "
                            "modules, or a partial of one, and sizes from 1")

    @property
    def natural(self) -> Role:  # type: ignore[override]
        """Tokens where it gives several vectors."""
        return "tokens" if self.tokens else "pooled"

    def fits(self, space: Space) -> bool:
        return not isinstance(space, Product)

    def build(self, space: Space, width: int, role: Role) -> Read:
        net = self.net if isinstance(self.net, nn.Module) else self.net()
        if not isinstance(net, nn.Module):
            raise UserError(f"Encoder: net={self.net!r} builds {type(net).__name__}; expected a torch.nn.Module")
        return _Encoder(net, self, isinstance(space, Real), width)


class _Encoder(Read):
    def __init__(self, net: nn.Module, reader: Encoder, real: bool, width: int) -> None:
        super().__init__()
        self.net, self.reader, self.real = net, reader, real
        self.cells = (reader.tokens,) if reader.tokens else ()
        if reader.frozen:
            net.requires_grad_(False).eval()
        self.null = nn.Parameter(torch.randn(reader.size) * 0.5)
        self.out = nn.Linear(reader.size, width)

    def train(self, mode: bool = True) -> _Encoder:
        super().train(mode)
        if self.reader.frozen:
            self.net.eval()
        return self

    def forward(self, x: Entries) -> Cells:
        values = torch.where(x.scored, x.tensor, 0)
        h = self.net(values.to(self.out.weight.dtype) if self.real else values, x.scored)
        expected = (len(x), *self.cells, self.reader.size)
        if not isinstance(h, torch.Tensor) or h.shape != expected:
            got = tuple(h.shape) if isinstance(h, torch.Tensor) else type(h).__name__
            raise UserError(f"Encoder: {type(self.net).__name__} gave {got}; expected {expected}, by size= and tokens=")
        seen = x.scored.reshape(len(x), -1).any(1).reshape(-1, *[1] * (h.dim() - 1))
        return Cells(self.out(torch.where(seen, h, self.null)))
