"""Codes of a finished stage: found once, drawn anew every epoch.

Where what finds a latent has learned all that it will, its posterior of every row is kept, as the numbers it is made of, and
the batches of a later stage hold draws of it in place of what it was found from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from given.conditional import Conditional
from given.distributions import Distribution, Noise, Point, Torch
from given.joint import Joint
from given.sources import Columns
from given.train.batches import Batches, EncodedBatch, encoded

__all__ = ["CodedBatches", "coded"]

_AT_ONCE = 1 << 10  # rows
_MOST = 1 << 27  # bytes that are kept


class CodedBatches(Batches):
    """Batches of a later stage.

    Args:
        batches: those of the stage before, whose rows are in memory.
        names: the columns it reads, beside latents that are found.
        posteriors: latent -> its distribution of all rows.
    """

    def __init__(self, batches: Batches, names: Sequence[str], posteriors: dict[str, Distribution]) -> None:
        vars(self).update(vars(batches))
        self.names, self.posteriors, self.number = names, posteriors, 0

    def epoch(self, number: int, skip: int = 0) -> Iterator[EncodedBatch]:
        self.number = number
        yield from super().epoch(number, skip)

    def _encode(self, run: Columns, rows: np.ndarray, first: int) -> EncodedBatch:
        batch = self._encoded(run.rows(rows), self.names)
        index = torch.from_numpy(rows)
        noise = Noise.of(self.seed, len(rows), first_row=index).fold("codes").fold(self.number)
        found = {name: (own := q.rows(index.to(q.device))).sample(seed=noise.fold(name).to(own.device)).to("cpu")  # type: ignore[attr-defined]
                 for name, q in self.posteriors.items()}
        return replace(batch, entries=batch.entries | found)


@torch.no_grad()
def coded(batches: Batches, factors: Sequence[Conditional]) -> Batches:
    """The batches of a stage whose factors these are; as they were where its latents are learned with it, where rows are not in
    memory, or where a posterior is not a few numbers a row.

    Args:
        batches: of all columns.
        factors: those that learn.
    """
    joint, data = batches.joint, batches.data
    columns = dict.fromkeys(name for f in factors for v in (f.x, *f.parents) for name in v.columns)
    names = [name for name in joint.finders if name in columns]
    if not names or not isinstance(data, Columns) or any(_learns(joint, name, factors) for name in names):
        return batches
    joint.eval()
    parts, kept = dict[str, list[Distribution]](), 0
    for batch in encoded(joint, data, _AT_ONCE):
        found = joint.encoded(batch.entries, batch.n, Noise.of(batches.seed, batch.n, first_row=batch.first))[1]
        kept += sum(2 * 8 * batch.n * q.space.dimensions for q in found.values())
        if kept > _MOST or not all(isinstance(q, Point | Torch) for q in found.values()):
            return batches
        for name in names:
            parts.setdefault(name, []).append(found[name])
    return CodedBatches(batches, [name for name in columns if name not in joint.latents],
                        {name: each[0].joined(each[1:]) for name, each in parts.items()})  # type: ignore[attr-defined]


def _learns(joint: Joint, name: str, factors: Sequence[Conditional]) -> bool:
    """Whether what finds a latent learns beside some factors, or reads a latent that is drawn anew."""
    by = joint.finders[name].by
    return by in factors or any(column in joint.finders for v in by.parents for column in v.columns if column != name)
