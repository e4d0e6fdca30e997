"""drift: which columns, and which conditionals, moved from old rows to new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.conditional import quoted
from given.distributions import Noise
from given.evaluate import Drift, drifted, marginal_p_value, matched
from given.evaluate.marginals import marginals
from given.infer import Query
from given.infer.entry import single_entries
from given.sources import Columns, read
from given.train import nested, split
from given.variables import Codec, UserError
from given.verbs.building import model
from given.verbs.checks import whole_seed
from given.verbs.models import Model
from given.verbs.quality import as_read

__all__ = ["drift"]

_MOST, _SCORED = 50_000, 2_000  # rows compared, and scored of each side
_HELD_OUT, _DRAWS, _LEAST = 0.2, 16, 20
_AT_ONCE = 1024


def drift(old: Any, new: Any, *, cpu_seconds: float | None = 60.0, steps: int | None = None, seed: int | None = 0,
          codecs: Mapping[str, Codec] | None = None, progress: bool | None = None) -> Drift:
    """Which columns moved, and which of them given all others, under a model of any order that learns from old rows: a column's
    marginal may move while its conditional does not, and the other way round.

    Args:
        old, new: rows of the same columns, anything `read` takes. Of more than 50,000 so many are compared, and of the fifth of
            the old ones that no model learns from, and of the new ones, 2,000 are scored.
        cpu_seconds, steps: that the model learns for, whichever are spent first.
        seed: of the rows held out, of learning and of draws.
        codecs: column -> codec, as of `given.model`, of those that are not inferred.
        progress: a bar on standard error while it learns; by default where that is a terminal.

    Raises:
        UserError: no column in common, values of another kind, or too few rows.
    """
    seed, source = whole_seed(seed), read(old)
    tables = {"old": nested(source, _MOST), "new": nested(read(new, learned=as_read(source)), _MOST)}
    found = matched(tables, codecs)
    x, y = found.tables.values()
    each = {m.column: (m, marginal_p_value(x[:, j], y[:, j], bool(found.categorical[j]), m.value))
            for j, m in enumerate(marginals(x, y, found.names, found.categorical))}
    rows, unlearned = {"old": len(x), "new": len(y), "held-out old": 0, "scored new": 0}, dict[str, float]()
    conditionals = dict[str, dict[str, np.ndarray]]()
    if len(found.names) > 1:
        only = {name: Columns({k: table[k] for k in found.names}, dtypes=table.dtypes) for name, table in tables.items()}
        learned, held = split(only["old"], _HELD_OUT, seed)
        made = model(f"p({', '.join(map(quoted, found.names))})", learned, seed=seed,
                     codecs={k: v for k, v in (codecs or {}).items() if k in found.names})
        made.fit(learned, cpu_seconds=cpu_seconds, steps=steps, seed=seed, progress=progress)
        sides = {"old": nested(held, _SCORED), "new": nested(only["new"], _SCORED)} if held is not None else {}
        unlearned = _unlearned(made, sides["new"])
        sides = {name: _known(made, side) for name, side in sides.items()}
        rows |= {"held-out old": sides["old"].n, "scored new": sides["new"].n}
        if min(side.n for side in sides.values()) < _LEAST:
            raise UserError(f"drift: expected at least {_LEAST} old rows to hold out and {_LEAST} new ones, of values that the "
                            f"others have, got {sides['old'].n} and {sides['new'].n}")
        conditionals = {name: {key: values for side, some in sides.items()
                               for key, values in _scored(made, some, name, side, seed).items()} for name in found.names}
    return Drift(tuple(drifted(each, conditionals)), rows, unlearned, found.left_out)


def _new(made: Model, rows: Columns) -> dict[str, np.ndarray]:
    """Column -> which rows (n,) hold a value of it that was not learned."""
    return {name: np.asarray(v.encode_new(rows)[1]) > 0 for name, v in made.joint.columns.items()}


def _unlearned(made: Model, rows: Columns) -> dict[str, float]:
    return {name: float(new.mean()) for name, new in _new(made, rows).items() if new.any()}


def _known(made: Model, rows: Columns) -> Columns:
    """The rows whose values were all learned."""
    return rows.rows(~np.logical_or.reduce(list(_new(made, rows).values())))


@torch.no_grad()
def _scored(made: Model, rows: Columns, name: str, side: str, seed: int) -> dict[str, np.ndarray]:
    """log p of a column given all others, in raw units, and the mean of that of draws of it: (n,) each."""
    joint, found = made.joint, list[tuple[Tensor, Tensor]]()
    entries, codec = {k: v.encode_new(rows)[0] for k, v in joint.columns.items()}, joint.columns[name].codec
    for some in torch.arange(rows.n).split(_AT_ONCE):
        x = {k: e.rows(some) for k, e in entries.items()}
        query = Query(joint, {k: e for k, e in x.items() if k != name}, len(some))
        ((_, law),) = (each for weight, whole in query.mixture(name) for each in single_entries(weight, whole, name))
        drawn = law.sample((_DRAWS,), seed=Noise.of(seed, len(some), first_row=int(some[0])).fold(name)).to("cpu")
        own, others = (law.log_prob(values).cpu() + codec.log_volume(values) for values in (x[name], drawn))
        found.append((own, others.mean(0)))
    each = [torch.cat(values).numpy() for values in zip(*found, strict=True)]
    return {side: each[0], f"{side} expected": each[1]}
