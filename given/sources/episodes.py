"""Episodes: steps of several episodes end to end, as a row an episode, and as a row a step with what came before and after.

An archive of arrays with a row a step, beside `episode_ends`, the place one past the last step of every episode, is a row an
episode: items of as many steps. From such a row `chunks` cuts pairs: what was observed in the last steps, and what was done in
the next ones. Before the first step of an episode stands the first, after its last the last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from given.sources.columns import Columns
from given.sources.kinds import end_to_end, items, ragged
from given.variables import UserError
from given.ways import way

__all__ = ["ENDS", "apart", "chunks", "in_order", "parts_held", "spelled_parts", "unflawed"]

ENDS = "episode_ends"
_NAMED = re.compile(r"(^|[^a-z])(step|frame|frame_index|t|time|timestamp)$", re.IGNORECASE)
_HOLDS = "holds "


def apart(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Steps (N, ...) of each column, and `episode_ends` (n,), as items (n,) of as many steps; other columns as they are.

    Raises:
        UserError: ends that do not rise from 1, or are not those of all steps.
    """
    if ENDS not in columns:
        return dict(columns)
    ends, steps = np.asarray(columns[ENDS]), {name: np.asarray(v) for name, v in columns.items() if name != ENDS}
    if ends.ndim != 1 or ends.dtype.kind not in "iu" or not len(ends) or not steps:
        raise UserError(f"{ENDS}: got {ends.dtype} of shape {ends.shape} beside {len(steps)} columns; expected a whole number "
                        "an episode, one past its last step, and columns of steps")
    lengths = np.diff(ends.astype(np.int64), prepend=0)
    if (lengths < 1).any():
        i = int(np.flatnonzero(lengths < 1)[0])
        raise UserError(f"{ENDS}, episode {i}: got {ends[i]} after {ends[i - 1] if i else 0}; expected numbers that rise, one "
                        "past the last step of each")
    for name, values in steps.items():
        if values.ndim < 1 or len(values) != ends[-1]:
            raise UserError(f"{ENDS}: the last is {ends[-1]}, and {name} has {len(values) if values.ndim else 'no'} steps; "
                            "expected as many")
    return {name: items(values, lengths.tolist()) for name, values in steps.items()}


def unflawed(episodes: Columns, called: Sequence[Any] = (), skip_bad: bool = False) -> Columns:
    """Episodes of two steps or more, of as many in every column, whose numbers are there; `skipped` names the others.

    Args:
        episodes: a row an episode, columns of items.
        called: the name of every episode, by default its number.
        skip_bad: leave bad episodes out.

    Raises:
        UserError: the first bad episode, or none is left.
    """
    names, bad = [name for name in episodes if ragged(episodes[name])], dict[int, str]()
    lengths = [0 if item is None else len(item) for item in episodes[names[0]]]
    for i in range(episodes.n):
        title = f"episode {called[i] if len(called) else i}"
        for name in names:
            item = episodes[name][i]
            if (got := -1 if item is None else len(item)) != lengths[i]:
                bad.setdefault(i, f"{name}, {title}: has {max(got, 0)} steps where {names[0]} has {lengths[i]}; expected as "
                                  "many")
            elif item.dtype.kind == "f" and not (there := np.isfinite(item)).all():
                at = int(np.argwhere(~there)[0][0])
                bad.setdefault(i, f"{name}, {title}, step {at}: got {item[at]}; expected numbers; mend it")
        if lengths[i] < 2:
            bad[i] = f"{title}: has one step, from which nothing follows; expected two or more"
    if bad and not skip_bad:
        raise UserError(f"{next(iter(bad.values()))}, or leave bad episodes out by {way('skip_bad=True', '--skip-bad')}")
    if len(bad) == episodes.n:
        raise UserError(f"expected at least one episode that is whole; all {episodes.n} are bad, the first: {bad[0]}")
    found = episodes.rows([i for i in range(episodes.n) if i not in bad])
    found.skipped = list(bad.values())
    return found


def in_order(episodes: Columns, names: Collection[str]) -> tuple[Columns, list[str]]:
    """Episodes whose steps stand in the order of the columns that count them, without these, and their names.

    Args:
        episodes: a row an episode, columns of items.
        names: columns that may count.
    """
    counters = [name for name in names if _counts(name, episodes[name])]
    if not counters:
        return episodes, counters
    orders = [np.argsort(item, kind="stable") for item in episodes[counters[0]]]
    rest = {name: _laid(values, orders) for name, values in episodes.items() if name not in counters}
    return Columns(rest, dtypes=episodes.dtypes), counters


def _counts(name: str, episodes: np.ndarray) -> bool:
    """Whether a column has, in whatever order, the same numbers in every episode, evenly spaced; or is called step, frame, t or
    time, or ends so, and has numbers that differ within every episode."""
    if any(item.ndim > 1 or item.dtype.kind not in "iuf" for item in episodes):
        return False
    rising = [np.sort(item) for item in episodes]
    longest = max(rising, key=len)
    if _NAMED.search(name) and all((np.diff(item) > 0).all() for item in rising):
        return True
    step = float(longest[1] - longest[0]) if len(rising) > 1 and len(longest) > 2 else 0.0
    expected = longest[0] + step * np.arange(len(longest))
    return step > 0 and all(np.allclose(item, expected[:len(item)], rtol=0, atol=0.01 * step) for item in rising)


def _laid(values: np.ndarray, orders: Sequence[np.ndarray]) -> np.ndarray:
    """Items in the order of their steps."""
    found = values.copy()
    found[:] = [item[order] for item, order in zip(values, orders, strict=True)]
    return found


def chunks(episodes: Columns, ahead: Sequence[str], *, steps: int, history: int) -> Columns:
    """A row a step: of columns `ahead` what they are from it on (rows, steps, ...), of others what they were up to it (rows,
    history, ...), and `episode`, the number of its episode.

    Args:
        episodes: a row an episode, columns of items, as of `unflawed`.
        ahead: columns of what comes.
        steps: how many of them.
        history: how many of the past, the present one among them.
    """
    names = [name for name in episodes if ragged(episodes[name])]
    lengths = np.array([len(item) for item in episodes[names[0]]])
    last, found = np.repeat(np.cumsum(lengths), lengths) - 1, dict[str, np.ndarray]()
    first, here = np.repeat(np.cumsum(lengths) - lengths, lengths), np.arange(lengths.sum())
    for name in names:
        places = (np.minimum(here[:, None] + np.arange(steps), last[:, None]) if name in ahead else
                  np.maximum(here[:, None] - np.arange(history)[::-1], first[:, None]))
        found[name] = end_to_end(episodes[name])[0][places]
    return Columns({**found, "episode": np.repeat(np.arange(len(lengths)), lengths)})


def spelled_parts(names: Sequence[str]) -> str:
    """What is known of a column that holds the numbers of others, side by side."""
    return f"{_HOLDS}{json.dumps([*names])}"


def parts_held(dtype: Any) -> list[str]:
    """The columns whose numbers a column holds, of what is known of it; none where it is another."""
    said = str(dtype)
    return list(json.loads(said[len(_HOLDS):])) if said.startswith(_HOLDS) else []
