"""quality: how good synthetic rows are, and what they give away, beside real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from given.evaluate import Quality, matched, quality_of, quality_page
from given.sources import Learned, Source, read
from given.train import nested, split
from given.variables import Codec, UserError
from given.verbs.checks import check_known, whole_seed
from given.ways import way

__all__ = ["as_read", "quality"]

_MOST = 50_000  # rows of each table


def quality(real: Any, synthetic: Any, *, held_out: Any = None, target: str | None = None, seed: int | None = 0,
            codecs: Mapping[str, Codec] | None = None) -> Quality:
    """Synthetic rows beside real ones: whether they are told apart, marginals and pairs, what they are worth to learn from,
    copies, and whether members are told. Of more than 50,000 rows of a table so many are compared.

    Args:
        real: the rows that the synthetic ones were learned from, anything `read` takes.
        synthetic: the others.
        held_out: rows like the real ones that nothing was learned from, anything `read` takes; or a share of `real`, which are
            the rows that `fit` holds out by the same share and seed. Without them parts are skipped, and named.
        target: the column that trees predict; by default the last of two to ten categories.
        seed: of rows, folds and trees, and of the split.
        codecs: column -> codec, as of `given.model`, of those that are not inferred.

    Raises:
        UserError: no column in common, values of another kind, an unknown target.
    """
    seed, rows, about = whole_seed(seed), read(real), ""
    if isinstance(held_out, int | float):
        if not 0 < held_out < 1:
            raise UserError(f"quality: held_out={held_out}; expected a share between 0 and 1, as 0.2, or rows")
        rows, held = split(rows, float(held_out), seed)
        about = (f"{held_out:.0%} of the real rows, as seed {seed} holds them out; what is said of them is right where the "
                 "synthetic rows were not learned from them")
    else:
        held = None if held_out is None else read(held_out, learned=as_read(rows))
        about = "" if held is None else getattr(held, "about", "") or "rows of their own"
    others: dict[str, Source] = {"synthetic": read(synthetic, learned=as_read(rows))}
    if held is not None:
        others["held_out"] = held
    tables = {"real": nested(rows, _MOST), **{name: nested(source, _MOST) for name, source in others.items()}}
    found = matched(tables, codecs)
    if target is not None:
        check_known([target], found.names, way("target", "--target"))
    return quality_of(found, held_out=about, target=target, seed=seed, page=quality_page)


def as_read(source: Source) -> dict[str, Learned]:
    """Column -> how cells of other tables are read, so that they are as this one's."""
    return {name: Learned(kind) for name, kind in source.kinds.items()}
