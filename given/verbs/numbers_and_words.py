"""Numbers and words: the columns of a table in the plainest way, numbers with a density each and words counted, for families
that say of rows how unlikely they are, or which are alike."""

from __future__ import annotations

import numpy as np

from given.codecs import Integer, Label, Number, Time, infer_table
from given.scales import varies_by_shares
from given.sources import Source
from given.variables import Codec
from given.verbs.holes import present

__all__ = ["numbers_and_words"]

_RARE, _FIRST = 5, 1 << 16  # rows of a word; rows that say how numbers are read


def numbers_and_words(data: Source) -> tuple[dict[str, Codec], dict[str, Codec], list[str]]:
    """Codecs of numbers and of words, and a note on every column that is left out.

    Numbers are on a line, amounts from 0 up on that of log(1 + x) where a normal distribution fits that better; of words those
    of fewer than five rows, and new ones, are one. A hole in numbers is unknown, in words a symbol, and an error, or a new
    value, where none was learned from.

    Raises:
        UserError: a column that nothing fits.
    """
    codecs, notes = infer_table(data)
    first = next(data.batches(_FIRST))
    numbers, words = dict[str, Codec](), dict[str, Codec]()
    left = [note for note in notes if "left out" in note]
    for name, codec in codecs.items():
        values = first[name]
        if not present(values).any():
            left.append(f"{name}: left out: has no value")
        elif values.ndim == 1 and isinstance(codec, Number | Integer | Label) and (r := _numbers(values)) is not None:
            holes = "unknown" if np.isnan(r).any() else "error"
            numbers[name] = Number(missing=holes, curve="log1p" if varies_by_shares(r) else "linear", whole=False)
        elif isinstance(codec, Label):
            words[name] = Label(rare=_RARE, unseen="other", missing="symbol")
        else:
            left.append(f"{name}: left out: " + ("times to come are later than all that were learned" if isinstance(codec, Time)
                                                 else "neither numbers nor categories"))
    return numbers, words, left


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """Values (n,) as float64, NaN where missing; None where one is no number."""
    if values.dtype.kind == "O" and all(v is None or type(v) in (int, float) for v in values.tolist()):
        return np.array([np.nan if v is None else v for v in values.tolist()], dtype=np.float64)
    return values.astype(np.float64) if values.dtype.kind in "iuf" else None
