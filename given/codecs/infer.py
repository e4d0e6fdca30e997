"""Which codec for a column nobody described? A rule short enough to be said aloud by `--dry-run`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set

import numpy as np

from given.codecs.image import Image
from given.codecs.label import Integer, Label
from given.codecs.number import Number
from given.codecs.text import Text
from given.codecs.time import Time
from given.sources import Source
from given.variables import Codec, UserError

__all__ = ["infer", "infer_table"]

_FEW = 20  # at most so many distinct whole numbers are categories, and from so many categories the rare are one
_RARE = 5  # rows that a category of many needs
_MANY = 256  # the widest range of whole numbers that are counted one by one
_AT_HAND = 1 << 16
_FAR, _NARROW, _AT_ZERO = 8, 0.01, 0.1  # standard deviations: of a value, of a tenth of the rows, of the least from zero
_NUMBERED = re.compile(r"(^|[^a-z])(id|uuid|guid|key|index|idx|row|no|nr|number|nummer)$|[a-z]I[dD]$", re.IGNORECASE)


class _NoCategories(UserError):
    """Texts of which few repeat."""


def infer(raw: np.ndarray) -> Codec:
    """The codec for raw values (B, ...), not yet learned; the rule is that of `infer_table`.

    Raises:
        UserError: nothing fits.
    """
    return _codec(np.asarray(raw))[0]


def infer_table(data: Source, stated: Mapping[str, Codec] | None = None,
                names: Sequence[str] | None = None) -> tuple[dict[str, Codec], list[str]]:
    """Codecs for the columns of a table, not yet learned, and a note a column on what was inferred and why.

    From the first 65,536 rows: texts that are mostly distinct and long (more than 20 characters on average, with spaces, or a
    single one) are a `Text`. Other text and booleans are a `Label`; categories of fewer than 5 rows and whatever is unseen are
    one, "(other)", where there are more than 20 or the rarest holds less than one row in a hundred. Dates and times are a
    `Time`; whole numbers of at most 20 distinct values that repeat, and columns of two values, a `Label`; whole numbers over a
    range of at most 256 with five rows a value an `Integer`; other numbers a `Number` with atoms, on a curve for long tails
    (skewness beyond 1, kurtosis beyond 5 or a value 8 standard deviations out: a normal distribution given a category is better
    off without, since two heaps are no long tail), two scales (a tenth of the rows within a hundredth of a standard deviation),
    an end at zero (no value beyond it, and one within a tenth of a standard deviation) or fewer than 20 values, and vectors (B,
    D) one with lines. Whole-numbered grids (B, height, width[, channel]) are an `Image`. A cell that is missing, in these rows
    or later, is a symbol.

    Left out are columns of more than 20 rows whose values all differ and are text, consecutive whole numbers, or whole
    numbers under a name such as id, key or number: a model of the others learns nothing from them.

    Later rows are read, 65,536 at a time, where such a column may yet repeat a value, there or of the first rows, or numbers
    that are counted may yet turn out too many or not whole.

    Args:
        data: columns, or a source of them.
        stated: codecs of columns that are not inferred, and never left out.
        names: the columns to infer, none left out; by default all.

    Raises:
        UserError: nothing fits a column.
    """
    batches = iter(data.batches(_AT_HAND))
    first = next(batches, None)
    if first is None:
        raise UserError("data: expected at least one row, got none")
    codecs, whys, left_out, counted = dict(stated or {}), dict[str, str](), dict[str, set[object]](), dict[str, np.ndarray]()

    def decide(name: str, raw: np.ndarray) -> None:
        try:
            codecs[name], whys[name] = _codec(raw)
        except _NoCategories as error:
            if names:
                raise error.at(name) from None
            whys[name] = f"left out: {error}"
            return
        except UserError as error:
            raise error.at(name) from None
        counted.pop(name, None)
        if isinstance(codecs[name], Integer | Label) and (numbers := _numbers(raw)).dtype.kind in "iuf":
            counted[name] = numbers

    order = [*(names or first.names)]
    for name in order:
        if name in codecs:
            continue
        if not names and (why := _identity(name, first[name])):
            whys[name], left_out[name] = why, set(first[name].tolist())
        else:
            decide(name, first[name])
    rows = first.n
    while (counted or left_out) and (batch := next(batches, None)) is not None:
        rows += batch.n
        for name, known in list(left_out.items()):
            if not _identity(name, batch[name], known):
                del left_out[name]
                decide(name, first[name])
        for name, seen in list(counted.items()):
            raw = _numbers(batch[name])
            if raw.dtype.kind in "iuf" and (new := ~np.isin(raw, np.unique(seen)) & (raw == raw)).any():
                decide(name, np.concatenate([seen, raw[new]]))
    for name in left_out:
        whys[name] += f", judged {_AT_HAND:,} rows at a time" * (rows > first.n)
    return {name: codecs[name] for name in order if name in codecs}, [f"{name}: {whys[name]}" for name in order if name in whys]


def _identity(name: str, raw: np.ndarray, known: Set[object] = frozenset()) -> str:
    """Why a column is no more than a name for its row, as its `known` values are; nothing where it may be more."""
    values = raw.tolist()
    if raw.ndim != 1 or raw.dtype.kind not in "OUSiu" or (len(raw) <= _FEW and not known):
        return ""
    if any(v is None or v != v for v in values) or len(set(values)) < len(raw) or not known.isdisjoint(values):
        return ""
    if raw.dtype.kind not in "iu":
        more = not known and (_are_times(raw) or not _is_text(raw) or _prose(values))
        return "" if more else "left out: every value is different"
    if int(raw.max()) - int(raw.min()) == len(raw) - 1:
        return "left out: it numbers the rows"
    return "left out: every value is different, under the name of a number that identifies" if _NUMBERED.search(name) else ""


def _numbers(raw: np.ndarray) -> np.ndarray:
    """Objects that are numbers, None among them, as such; all else as it is."""
    values = raw.tolist() if raw.ndim == 1 and raw.dtype.kind == "O" else ["text"]
    if not all(isinstance(v, int | float | None) for v in values):
        return raw
    return np.array([np.nan if v is None else v for v in values])


def _codec(raw: np.ndarray) -> tuple[Codec, str]:
    """The codec of a column, and why."""
    if len(raw) == 0:
        raise UserError("expected at least one row, got none")
    raw = _numbers(raw)
    if raw.ndim == 1 and raw.dtype.kind in "OUSM":
        return _words(raw)
    if raw.dtype.kind not in "biuf":
        raise UserError(f"no codec for values of type {raw.dtype} and shape {raw.shape[1:]}; pass codecs={{...}}")
    if raw.ndim in (3, 4) and (raw.dtype.kind in "biu" or bool((raw == np.floor(raw)).all() and raw.min() >= 0)):
        return Image(), "whole levels on a grid"
    if raw.ndim > 1:
        return Number(), "numbers on a grid, each on a line of its own"
    absent = np.isnan(raw) if raw.dtype.kind == "f" else np.zeros(len(raw), dtype=bool)
    present = raw[~absent]
    distinct, times = np.unique(present, return_counts=True)
    said = f", {absent.mean():.1%} of them missing, which is a symbol" * bool(absent.any())
    if raw.dtype.kind == "b":
        return Label(missing="symbol"), "yes or no"
    whole = bool((distinct == np.floor(distinct)).all())
    if (len(distinct) <= 2 or (whole and len(distinct) <= _FEW)) and 2 * len(distinct) <= len(raw):
        return Label(missing="symbol"), f"{len(distinct)} values, taken as categories{said}"
    if whole and distinct[-1] - distinct[0] < _MANY and 5 * len(distinct) <= len(present):
        return Integer(missing="symbol"), f"whole numbers of {len(distinct)} values, counted one by one{said}"
    most, held_by_many = int(times.argmax()), times >= max(10, 0.01 * len(raw))
    bent = _bent(np.repeat(distinct[~held_by_many], times[~held_by_many]), bool(distinct[0] >= 0 or distinct[-1] <= 0))
    why = f"numbers of {len(distinct)} values"
    if held_by_many.any():
        why += f", {distinct[most]:g} in {times[most] / len(raw):.1%} of the rows; what many rows share is counted, the rest"
    why += f" with a density{f', on a curve for its {bent}' * bool(bent)}{said}"
    return Number(missing="symbol", atoms="auto", curve="quantile" if bent else "linear"), why


def _bent(r: np.ndarray, one_sided: bool) -> str:
    """Why numbers in order, that are no atoms, need a curve, or nothing where a line does."""
    if len(r) < _FEW:
        return "few values"
    with np.errstate(over="ignore", invalid="ignore"):  # what is infinite or too large, learning will refuse
        scale, tenth = r.std() or 1.0, len(r) // 10
        z = (r - r.mean()) / scale
        if abs(float((z**3).mean())) > 1 or float((z**4).mean()) > 5 or float(np.abs(z).max()) > _FAR:
            return "long tails"
        if float((z[tenth:] - z[:len(z) - tenth]).min()) < _NARROW:
            return "two scales"
        return "end at zero" if one_sided and min(abs(float(r[0])), abs(float(r[-1]))) < _AT_ZERO * scale else ""


def _words(raw: np.ndarray) -> tuple[Codec, str]:
    absent = np.isnat(raw) if raw.dtype.kind == "M" else np.array([v is None or v != v for v in raw.tolist()])
    said = f", {absent.mean():.1%} of them missing, which is a symbol" * bool(absent.any())
    if raw.dtype.kind == "M" or _are_times(raw[~absent]):
        return Time(missing="symbol"), f"dates or times{said}"
    _check_text(raw)
    if not absent.any() and _prose(raw.tolist()):
        return Text(), f"text of {sum(map(len, raw.tolist())) / len(raw):,.0f} characters a row"
    counts = Counter(str(v) for v in raw[~absent].tolist())
    K = len(counts)
    if K <= _FEW and 100 * min(counts.values(), default=len(raw)) >= len(raw):
        return Label(missing="symbol"), f"{K} categories{said}"
    rare = sum(times for times in counts.values() if times < _RARE)
    if 2 * rare > len(raw) > _FEW:
        raise _NoCategories(f"{K} different texts, most of them in fewer than {_RARE} rows, are no categories; mend them (are "
                            "there decimal commas?), or say how to read them, by Label() or Text()")
    return Label(rare=_RARE, unseen="other", missing="symbol"), (
        f'{K} categories, of which those of fewer than {_RARE} rows are one, "(other)"{said}')


def _is_text(raw: np.ndarray) -> bool:
    return all(isinstance(v, str) for v in raw.tolist())


def _are_times(raw: np.ndarray) -> bool:
    if not len(raw) or not _is_text(raw):
        return False
    try:
        Time().learn(raw)
    except UserError:
        return False
    return True


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
