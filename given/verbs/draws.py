"""Draws: rows of a model that are drawn as they are read, some at a time, so that there may be more than memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.distributions import How
from given.solve import Watched
from given.sources import Columns, Source, gathered, joined, regrouped, stacked
from given.variables import UserError, shown
from given.verbs.checks import check_draws, check_known, check_room, draws_at_once, whole_seed
from given.verbs.rejection import accepted, kept

__all__ = ["Draws"]

Raw = dict[str, np.ndarray]


class Draws(Source):
    """n draws of what a query asks. Every pass draws the same; `held` draws them into memory.

    Args:
        query: of one item, or for `held` of several.
        n, columns, seed, how, length, where, first_draw: as of `Query.sample`.

    Attributes:
        acceptance: of draws that meet `where`, after a pass: the share that did.
        about: that in words.

    Raises:
        UserError: what cannot be meant.
    """

    acceptance: float | None = None
    about = ""

    def __init__(self, query: Any, n: Any, columns: Sequence[str] | None, seed: int | None, how: How | None, length: int | None,
                 where: Any, first_draw: int) -> None:
        if not isinstance(n, int | np.integer) or n < 1:
            raise UserError(f"sample: expected a whole number of draws from 1, got {shown(n)}")
        joint, given = query.joint, query._evidence
        check_draws(joint, how, length, "sample")
        check_room(joint, given, query._begun, length)
        self.query, self.n, self.seed, self.length, self.where = query, int(n), whole_seed(seed), length, where
        self.first_draw, self.dtypes = first_draw, query.dtypes or {}
        self.asked = None if columns is None else {columns} if isinstance(columns, str) else set(columns)
        check_known(self.asked or (), list(joint.columns), "columns")
        there = {k: bool(e.seen.reshape(len(e), -1).any(1).all()) for k, e in given.items()}
        self._names = tuple(name for name in joint.columns if (name in self.asked if self.asked else not (
            name in joint.conditions and there.get(name, False))))
        wanted = joint.columns if self.asked is None else self.asked
        drawn = any(name not in given or not given[name].complete for name in wanted)
        self.how, self.watched = how, drawn or not query._begun
        self.at_once = draws_at_once(joint)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def batches(self, size: int) -> Iterator[Columns]:
        return regrouped(self._parts(), size)

    def runs(self, least: int = 1) -> Iterator[Columns]:
        return gathered(self._parts(), least)

    def held(self) -> Columns:
        """All draws in memory: (n, ...), or (n, items, ...) where several items are observed."""
        if self.where is None:
            return self._held(self.first_draw, self.n)
        items = list[list[Columns]]()
        for each in self._kept():
            items = items or [[] for _ in each]
            for mine, part in zip(items, each, strict=True):
                mine += [part] * bool(part.n)
        whole = [joined(mine) for mine in items]
        found = whole[0] if self.query._single else Columns(
            {k: np.stack([one[k] for one in whole], 1) for k in whole[0]}, 2, self.dtypes)
        found.acceptance, found.about = self.acceptance, self.about
        return found

    def _parts(self) -> Iterator[Columns]:
        """Draws of one item in their order, as many as are drawn together."""
        if self.where is not None:
            yield from (each[0] for each in self._kept() if each[0].n)
            return
        for _, raw in self._drawn(self.first_draw, self.n):
            yield self.query._shaped(raw, (len(next(iter(raw.values()))), 1))

    def _kept(self) -> Iterator[list[Columns]]:
        """Of every item some of the draws that meet the condition."""
        draws, first_draw = self._held, self.first_draw
        for each, share in kept(lambda first, size: draws(first_draw + first, size), self.n, self.where, self.at_once):
            self.acceptance, self.about = share, accepted(share, self.where)
            yield each

    def _held(self, first: int, n: int) -> Columns:
        """n draws of all items from number `first` on."""
        parts = list[tuple[Tensor, list[Raw]]]()
        for rows, some in self._drawn(first, n):
            if not parts or parts[-1][0] is not rows:
                parts.append((rows, []))
            parts[-1][1].append(some)
        raw = _joined([_joined(each, 0) for _, each in parts], 1)
        if len(parts) > 1:
            order = torch.cat([rows for rows, _ in parts]).argsort().numpy()
            raw = {k: v[:, order] for k, v in raw.items()}
        return self.query._shaped(raw, (n, self.query.n))

    @torch.no_grad()
    def _drawn(self, first: int, n: int) -> Iterator[tuple[Tensor, Raw]]:
        """The numbers of some rows, with some of their draws: raw (draws, rows, ...)."""
        how = Watched(self.how) if isinstance(self.how, How) and self.watched else self.how
        for rows, query in self.query._parts(self.query.n, max(1, self.at_once // n)):
            size = max(1, self.at_once // len(rows))
            for start in range(0, n, size):
                found = query.sample(min(size, n - start), asked=self.asked, first_draw=first + start, seed=self.seed,
                                     how=how, length=self.length)
                if isinstance(how, Watched) and self.query.n == 1:  # before much is drawn
                    how.check(str(self.query.joint))
                yield rows, self.query._raw({name: found[name] for name in self._names})
        if isinstance(how, Watched):
            how.check(str(self.query.joint))

    def __repr__(self) -> str:
        return f"Draws({self.n:,} of {', '.join(self._names)})"


def _joined(parts: Sequence[Raw], axis: int) -> Raw:
    """Raw columns of parts, end to end along an axis."""
    return dict(parts[0]) if len(parts) == 1 else {k: stacked([part[k] for part in parts], axis, 2) for k in parts[0]}
