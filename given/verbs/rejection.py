"""rejection: draws that meet a condition, the first of all draws that do, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from given.sources import Columns
from given.variables import UserError, shown
from given.verbs.predicate import Predicate
from given.ways import way

__all__ = ["accepted", "kept"]

_BATCHES, _LEAST = 200, 100  # of draws, and draws of each but the first


def kept(draw: Callable[[int, int], Columns], n: int, where: Any, at_once: int) -> Iterator[tuple[list[Columns], float]]:
    """n draws that meet a condition of every item, as they are drawn: some of each item's, and which share of draws has met it.

    Args:
        draw: (number of the first, how many) -> draws, (draws, ...) or (draws, items, ...).
        n: draws to keep.
        where: an expression as of `Predicate`, or a function of columns, (rows,) each, to a mask (rows,) bool.
        at_once: the most draws that are asked for together.

    Raises:
        UserError: what is no condition, or too few of so many draws meet it.
    """
    if not callable(where) and not isinstance(where, str):
        raise UserError(f"sample: where={shown(where)}; expected an expression such as \"age > 30\", or a function of columns")
    meets = Predicate(where) if isinstance(where, str) else where
    met, asked = np.zeros(1, dtype=np.int64), 0
    while (met < n).any():
        if asked >= _BATCHES * (_LEAST if not met.min() else max(n, _LEAST)):
            raise _too_few(met, asked, n, where)
        size = min(max(n, _LEAST), at_once) if asked else min(n, _LEAST)
        drawn = draw(asked, size)
        mask = _mask(meets, drawn, where).reshape(size, -1)
        wanted = np.broadcast_to(np.maximum(n - met, 0), mask.shape[1:])
        each = [_of_item(drawn, i, np.flatnonzero(mask[:, i])[:wanted[i]]) for i in range(mask.shape[1])]
        met, asked = met + mask.sum(0), asked + size
        yield each, float(met.sum() / (asked * len(each)))


def _of_item(drawn: Columns, item: int, draws: np.ndarray) -> Columns:
    """Some draws of one item."""
    return Columns({k: v[draws, item] if drawn.axes == 2 else v[draws] for k, v in drawn.items()}, 1, drawn.dtypes)


def accepted(share: float, where: Any) -> str:
    """The share of draws that met a condition, in words."""
    return f"{share:.3g} of draws meet {_named(where)}"


def _mask(meets: Callable[[Columns], Any], drawn: Columns, where: Any) -> np.ndarray:
    """(draws,) or (draws, items) bool."""
    rows = Columns({k: v.reshape(-1, *v.shape[drawn.axes:]) for k, v in drawn.items()})
    found = np.asarray(meets(rows))
    if found.dtype != bool or found.shape != (rows.n,):
        raise UserError(f"sample: where= made {found.dtype} of shape {found.shape} of {rows.n} rows; expected a mask, bool of "
                        f"shape ({rows.n},)")
    return found.reshape(drawn.shape)


def _named(where: Any) -> str:
    return f"{way('where=', '--where ')}{where!r}" if isinstance(where, str) else f"where={getattr(where, '__name__', where)}"


def _too_few(met: np.ndarray, asked: int, n: int, where: Any) -> UserError:
    """That so many draws are too few, by the item of which fewest met it."""
    least, item = int(met.min()), f" of item {int(met.argmin())}" * (len(met) > 1)
    seen = (f"none of {asked:,} draws{item} meets it, so that its probability is below {3 / asked:.2g}, or zero" if not least
            else f"{least:,} of {asked:,} draws{item} meet it, and {n:,} were asked for (acceptance {least / asked:.2g})")
    return UserError(f"sample: {_named(where)}: {seen}; " + way(
        "condition on what it says of single columns, as given(age=between(30, None)).sample(n), or ask for less",
        "condition on what it says of single columns, as given query M income --where \"age > 30\", or ask for less"))
