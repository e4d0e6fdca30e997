"""BlockCodec: a block of columns, each through a codec of its own; the space is their product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.variables import Axis, Codec, Entries, Finite, Product, UserError, Variable

__all__ = ["BlockCodec"]


class BlockCodec(Codec):
    """Several columns as one variable.

    Args:
        codecs: column name -> codec.

    Raw values are mappings column name -> (B, ...). A column left out of a batch is unseen.
    """

    def __init__(self, codecs: Mapping[str, Codec]) -> None:
        self.codecs = dict(codecs)
        self.columns = tuple(self.codecs)
        self._variables = [Variable(name, codec) for name, codec in self.codecs.items()]

    @property
    def space(self) -> Product:
        parts = tuple((v.name, v.space) for v in self._variables)
        for name, part in parts:
            if isinstance(part, Finite) and part.pattern:
                own, *others = (n if n.isidentifier() else f"`{n}`" for n in (name, *(n for n, _ in parts if n != name)))
                rest = ", ".join(others)
                raise UserError(f"sets of items, as {name}, stand in no block; write factors, as p({rest}) p({own} | {rest})")
        return Product(parts)

    @property
    def along(self) -> Axis | None:
        axes = {v.codec.along for v in self._variables}
        return axes.pop() if len(axes) == 1 else None

    @property
    def measure(self) -> str:
        kinds = dict.fromkeys(v.codec.measure for v in self._variables)
        return next(iter(kinds)) if len(kinds) == 1 else "mixed"

    def learn(self, raw: Mapping[str, np.ndarray]) -> None:
        for v in self._variables:
            v.learn(raw)

    def encode(self, raw: Mapping[str, np.ndarray]) -> Entries:
        if not raw:
            raise UserError(f"expected at least one of {', '.join(self.columns)}, got none")
        n = len(next(iter(raw.values())))
        return Entries.block({v.name: v.encode(raw) if v.name in raw else Entries.unseen(v.space, n) for v in self._variables})

    def decode(self, x: Entries) -> dict[str, np.ndarray]:
        return {name: self.codecs[name].decode(column) for name, column in x.columns.items()}

    def log_volume(self, x: Entries) -> Tensor:
        columns = x.columns
        return torch.stack([codec.log_volume(columns[name]) for name, codec in self.codecs.items()]).sum(0)

    def state(self) -> dict[str, Any]:
        return {name: codec.state() for name, codec in self.codecs.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, codec in self.codecs.items():
            codec.restore(state[name])

    def __repr__(self) -> str:
        return "BlockCodec(" + ", ".join(f"{name}={codec!r}" for name, codec in self.codecs.items()) + ")"
