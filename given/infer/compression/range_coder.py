"""Range coder: symbols and their probabilities as bits. It knows no model.

It takes a symbol and its probabilities, and hands it back when it is shown the same probabilities. What these are rounded to is
coarse beside float64, and no symbol gets nothing.

Source: Martin, Range encoding: an algorithm for removing redundancy from a digitised message, 1979
Bamler, Understanding entropy coding with asymmetric numeral systems, 2022 / https://arxiv.org/abs/2201.01741 (constriction)
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.variables import UserError

__all__ = ["Coder", "Reader", "Writer", "tables"]


class Coder(abc.ABC):
    """Hands symbols on, to a code or from it."""

    @abc.abstractmethod
    def code(self, p: Tensor, symbols: Tensor) -> Tensor:
        """Symbols (N,), of which only a writer is told, under probabilities (N, V) float64 -> symbols (N,) int64."""


class Writer(Coder):
    """Writes symbols.

    Attributes:
        bits: -log2 p of all so far.
    """

    def __init__(self) -> None:
        self.coder, self.bits = _constriction().stream.queue.RangeEncoder(), 0.0
        self.family = _constriction().stream.model.Categorical(perfect=False)

    def code(self, p: Tensor, symbols: Tensor) -> Tensor:
        self.bits -= float(p.gather(1, symbols[:, None]).log2().sum())
        self.coder.encode(symbols.numpy().astype(np.int32), self.family, tables(p))
        return symbols

    @property
    def content(self) -> bytes:
        """What was written."""
        return self.coder.get_compressed().astype("<u4").tobytes()


class Reader(Coder):
    """Reads what a writer wrote.

    Args:
        content: of it.
    """

    def __init__(self, content: bytes) -> None:
        self.coder = _constriction().stream.queue.RangeDecoder(np.frombuffer(content, "<u4").astype(np.uint32))
        self.family = _constriction().stream.model.Categorical(perfect=False)

    def code(self, p: Tensor, symbols: Tensor) -> Tensor:
        return torch.from_numpy(self.coder.decode(self.family, tables(p)).astype(np.int64))


def tables(p: Tensor) -> np.ndarray:
    """Probabilities (N, V) as whole numbers from 1, in float64: what a coder makes of these it makes of them everywhere."""
    V = p.shape[1]
    total = 2.0 ** (20 if V <= 1 << 10 else 24)  # the fewer, the rarer is it that last bits decide; not below some a symbol
    return np.floor(p.numpy() * (total - V)) + 1


def _constriction() -> Any:
    try:
        import constriction
    except ImportError:
        raise UserError("compress needs the package constriction; pip install 'given[compress]'") from None
    return constriction
