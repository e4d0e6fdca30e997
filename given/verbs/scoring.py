"""Scoring: log p in entries as a score in raw units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from given.codecs import BlockCodec
from given.distributions import Kind
from given.evaluate import Score
from given.joint import Joint
from given.variables import Entries, Variable

__all__ = ["score_of"]


def score_of(joint: Joint, x: Mapping[str, Entries], log_p: Tensor, kind: Kind, given: tuple[str, ...],
           share: Tensor | float = 1.0) -> Score:
    """The score of columns x, in raw units; `share` is what a piece of a text bears of its item's other columns."""
    variables = [joint.columns[name] for name in x]
    items = log_p + share * sum((v.codec.log_volume(x[v.name]) for v in variables), torch.zeros(()))
    adaptive = any(bool(f.adaptive) for f in joint if set(f.x.columns) & set(x))
    return Score(items.numpy(), kind, "nats/item", _measure(variables), given,
                 sum(int(e.scored.sum()) for e in x.values()) / len(items), tuple(x), adaptive=adaptive)


def _measure(variables: Sequence[Variable]) -> str:
    """The measure of a product: one for all, or each with the columns it holds for."""
    columns: dict[str, list[str]] = {}
    for v in variables:
        for name, codec in v.codec.codecs.items() if isinstance(v.codec, BlockCodec) else [(v.name, v.codec)]:
            columns.setdefault(codec.measure, []).append(name)
    if len(columns) == 1:
        return next(iter(columns))
    few = {kind: names if len(names) < 4 else [names[0], "...", names[-1]] for kind, names in columns.items()}
    return "; ".join(f"{kind} of {', '.join(names)}" for kind, names in few.items())
