"""rejection: draws that meet a condition, the first of all draws that do, in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from given.sources import Columns
from given.variables import UserError, shown
from given.verbs.predicate import Predicate
from given.ways import way

__all__ = ["kept"]

_BATCHES, _LEAST = 200, 100  # of draws, and draws of each but the first


def kept(draw: Callable[[int, int], Columns], n: int, where: Any) -> Columns:
    """n draws that meet a condition, of every item; `acceptance` of what is returned is the share of draws that did.

    Args:
        draw: (number of the first, how many) -> draws, (draws, ...) or (draws, items, ...).
        n: draws to keep.
        where: an expression as of `Predicate`, or a function of columns, (rows,) each, to a mask (rows,) bool.

    Raises:
        UserError: what is no condition, or too few of so many draws meet it.
    """
    if not callable(where) and not isinstance(where, str):
        raise UserError(f"sample: where={shown(where)}; expected an expression such as \"age > 30\", or a function of columns")
    meets = Predicate(where) if isinstance(where, str) else where
    parts, met, asked = list[list[Columns]](), np.zeros(0, dtype=np.int64), 0
    for batch in range(_BATCHES):
        size = max(n, _LEAST) if batch else min(n, _LEAST)
        drawn = draw(asked, size)
        items = drawn.shape[1] if drawn.axes == 2 else 1
        mask = _mask(meets, drawn, where).reshape(size, items)
        if not batch:
            parts, met = [[] for _ in range(items)], np.zeros(items, dtype=np.int64)
        for i in np.flatnonzero(met < n):
            rows = np.flatnonzero(mask[:, i])[:n - sum(part.n for part in parts[i])]
            parts[i].append(Columns({k: (v[rows, i] if drawn.axes == 2 else v[rows]) for k, v in drawn.items()}))
        met, asked = met + mask.sum(0), asked + size
        if (met >= n).all():
            return _stacked(parts, drawn, float(met.sum() / (asked * items)), where)
    raise _too_few(met, asked, n, where)


def _mask(meets: Callable[[Columns], Any], drawn: Columns, where: Any) -> np.ndarray:
    """(draws,) or (draws, items) bool."""
    rows = Columns({k: v.reshape(-1, *v.shape[drawn.axes:]) for k, v in drawn.items()})
    found = np.asarray(meets(rows))
    if found.dtype != bool or found.shape != (rows.n,):
        raise UserError(f"sample: where= made {found.dtype} of shape {found.shape} of {rows.n} rows; expected a mask, bool of "
                        f"shape ({rows.n},)")
    return found.reshape(drawn.shape)


def _stacked(parts: list[list[Columns]], drawn: Columns, acceptance: float, where: Any) -> Columns:
    """What was kept of every item, as draws are."""
    each = [{k: np.concatenate([part[k] for part in mine]) for k in drawn} for mine in parts]
    raw = {k: np.stack([one[k] for one in each], 1) if drawn.axes == 2 else each[0][k] for k in drawn}
    found = Columns(raw, drawn.axes, drawn.dtypes)
    found.acceptance = acceptance
    found.about = f"{acceptance:.3g} of draws meet {_named(where)}"
    return found


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
