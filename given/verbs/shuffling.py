"""The test of the shuffled condition: is what stands right of the bar used?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from given.conditional import Conditional
from given.evaluate import Reliance
from given.joint import Joint
from given.sources import Columns, read
from given.variables import UserError, Variable
from given.verbs.models import Model
from given.verbs.scoring import score_rows

__all__ = ["reliance"]


def reliance(model: Model, data: Any, *, rows: int = 1000, seed: int = 0) -> list[Reliance]:
    """How much every factor relies on every parent: the score of rows minus that of the same rows with the parent's values
    shuffled among them, paired, each row with that of another. A condition that was not learned loses nothing.

    A parent that says where x ends is left out, since another row's would end it elsewhere, and so is a latent.

    Args:
        model: learned.
        data: rows that it did not learn from, anything `read` takes.
        rows: how many are scored at most, the first.
        seed: of the shuffling, and of the noise of estimates, which is the same for both scores.

    Raises:
        UserError: there are fewer than two rows.
        Intractable: a factor has no density.
    """
    source = read(data, learned=model.cells)
    some = next(source.batches(rows), None)
    if some is None or some.n < 2:
        raise UserError("reliance: expected at least 2 rows to shuffle a condition among")
    order = np.random.default_rng(seed).permutation(some.n)
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)  # no row keeps its own
    found = list[Reliance]()
    for factor, v in _relied_on(model.joint):
        mine = {name: some[name] for name in (*factor.x.columns, *(p.name for p in factor.parents))}
        scores = [score_rows(Joint(factor), Columns({**mine, v.name: values}), seed)
                  for values in (some[v.name], some[v.name][other])]
        with np.errstate(invalid="ignore"):  # impossible given either
            apart = np.where(scores[0].items == scores[1].items, 0.0, scores[0].items - scores[1].items)
        found.append(Reliance(str(factor), v.name, apart, scores[0].kind))
    return found


def _relied_on(joint: Joint) -> Iterator[tuple[Conditional, Variable]]:
    """Factors with their parents, but for latents, and for lengths."""
    for factor in joint:
        if {*factor.x.columns, *(v.name for v in factor.parents)} & {*joint.latents}:
            continue
        own = [axis for _, part in factor.x.space.parts for axis in part.axes if axis.length != "fixed"]
        for v in factor.parents:
            if not any(axis.shares(mine) for axis in v.space.axes for mine in own):
                yield factor, v
