"""Episodes: steps of several episodes end to end, as a row an episode, and as a row a step with what came before and after.

An archive of arrays with a row a step, beside `episode_ends`, the place one past the last step of every episode, is a row an
episode: items of as many steps. From such a row `chunks` cuts pairs: what was observed in the last steps, and what was done in
the next ones. Before the first step of an episode stands the first, after its last the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from given.sources.columns import Columns
from given.sources.kinds import end_to_end, items, ragged
from given.variables import UserError

__all__ = ["ENDS", "apart", "chunks"]

ENDS = "episode_ends"


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


def chunks(episodes: Columns, ahead: Sequence[str], *, steps: int, history: int) -> Columns:
    """A row a step: of columns `ahead` what they are from it on (rows, steps, ...), of others what they were up to it (rows,
    history, ...), and `episode`, the number of its episode.

    Args:
        episodes: a row an episode, columns of items.
        ahead: columns of what comes.
        steps: how many of them.
        history: how many of the past, the present one among them.

    Raises:
        UserError: an episode of one step, columns of different length, or a number that is missing.
    """
    names = [name for name in episodes if ragged(episodes[name])]
    lengths = np.array([len(item) for item in episodes[names[0]]])
    found = dict[str, np.ndarray]()
    for name in names:
        each = np.array([-1 if item is None else len(item) for item in episodes[name]])
        if (odd := np.flatnonzero(each != lengths)).size:
            raise UserError(f"{name}, episode {odd[0]}: has {each[odd[0]]} steps where {names[0]} has {lengths[odd[0]]}; "
                            "expected as many")
    if (short := np.flatnonzero(lengths < 2)).size:
        raise UserError(f"episode {short[0]}: has one step, from which nothing follows; expected two or more; leave it out")
    last = np.repeat(np.cumsum(lengths), lengths) - 1
    first, here = np.repeat(np.cumsum(lengths) - lengths, lengths), np.arange(lengths.sum())
    for name in names:
        values = end_to_end(episodes[name])[0]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            at = int(np.argwhere(~np.isfinite(values))[0][0])
            episode = int(np.searchsorted(np.cumsum(lengths), at, side="right"))
            raise UserError(f"{name}, episode {episode}, step {at - first[at]}: got {values[at]}; expected numbers; mend it, "
                            "or leave the episode out")
        places = (np.minimum(here[:, None] + np.arange(steps), last[:, None]) if name in ahead else
                  np.maximum(here[:, None] - np.arange(history)[::-1], first[:, None]))
        found[name] = values[places]
    return Columns({**found, "episode": np.repeat(np.arange(len(lengths)), lengths)})
