"""Which codec for a column nobody described? A rule short enough to be said aloud by `--dry-run`."""

from __future__ import annotations

import numpy as np

from given.codecs.image import Image
from given.codecs.label import Label
from given.codecs.number import Number
from given.codecs.text import Text
from given.variables import Codec, UserError

__all__ = ["infer"]

_FEW = 20  # at most so many distinct whole numbers are categories


def infer(raw: np.ndarray) -> Codec:
    """The codec for raw values (B, ...), not yet learned.

    Texts that are mostly distinct and long (more than 20 characters on average, with spaces, or a single one) are a `Text`;
    other texts and booleans a `Label`; so are whole numbers of at most 20 distinct values that repeat (whether stored as
    integers or reals), and a column with two values. Other numbers, and vectors (B, D), are a `Number`. Whole-numbered
    grids (B, height, width[, channel]) are an `Image`; other grids a `Number`.

    Raises:
        UserError: nothing fits.
    """
    raw = np.asarray(raw)
    if len(raw) == 0:
        raise UserError("expected at least one row, got none")
    if raw.ndim == 1 and raw.dtype.kind == "O" and all(isinstance(v, int | float | None) for v in raw.tolist()):
        raw = np.array([np.nan if v is None else v for v in raw.tolist()])
    if raw.dtype.kind in "OUSb" and raw.ndim == 1:
        if raw.dtype.kind != "b":
            _check_text(raw)
        return Text() if _prose(raw.tolist()) else Label()
    if raw.dtype.kind not in "biuf":
        raise UserError(f"no codec for values of type {raw.dtype} and shape {raw.shape[1:]}; pass codecs={{...}}")
    if raw.ndim in (3, 4) and (raw.dtype.kind in "biu" or bool((raw == np.floor(raw)).all() and raw.min() >= 0)):
        return Image()
    if raw.ndim > 1:
        return Number()
    distinct = np.unique(raw)
    whole = bool((distinct == np.floor(distinct)).all())
    few = len(distinct) <= 2 or (whole and len(distinct) <= _FEW)
    return Label() if few and 2 * len(distinct) <= len(raw) else Number()


def _prose(values: list[object]) -> bool:
    texts = [v for v in values if isinstance(v, str)]
    n = len(values)
    long = len(texts) == n and sum(map(len, texts)) > 20 * n and 2 * len(set(texts)) > n
    return long and (n == 1 or 2 * sum(" " in v for v in texts) > n)


def _check_text(raw: np.ndarray) -> None:
    """A few words among many numbers are a mistake more often than a category."""
    odd = [row for row, value in enumerate(raw.tolist()) if value is not None and not _is_number(value)]
    if 0 < len(odd) <= len(raw) // 10 and len(set(raw.tolist())) > _FEW:
        row = odd[0]
        raise UserError(f"got {raw.tolist()[row]!r} where {len(raw) - len(odd)} of {len(raw)} values are numbers; mend it, or "
                        "pass codecs={...} with a Label()", row)


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
