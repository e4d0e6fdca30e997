"""Which codec for a column nobody described? A rule short enough for `--dry-run` to print."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from given.codecs.complex import Complex, are_complex
from given.codecs.image import Image, Video
from given.codecs.label import Integer, Label
from given.codecs.mu_law import MuLaw
from given.codecs.number import Number
from given.codecs.series import Series, flat_items
from given.codecs.set import Set
from given.codecs.text import Text
from given.codecs.time import Time
from given.codecs.voxels import Voxels, are_voxels
from given.scales import changes_by_shares
from given.sources import EXACT, Clock, Columns, Source, holds_sets, ragged, rate_of
from given.sources.forms import common, readings
from given.sources.odd import NUMBERED_CODE, is_number, odd_rows
from given.variables import Codec, UserError, shown
from given.ways import way

__all__ = ["infer", "infer_table"]

_MANY_PLACES = 0.2  # of a series, that one value holds
_FEW = 20  # at most so many distinct whole numbers are categories, and from so many categories the rare are one
_RARE = 5  # rows that a category of many needs
_MANY = 256  # the widest range of whole numbers that are counted one by one
_FAR, _NARROW, _AT_ZERO = 8, 0.01, 0.1  # standard deviations: of a value, of a tenth of the rows, of the least from zero
_NUMBERED = re.compile(r"(^|[^a-z])(id|uuid|guid|key|index|idx|row|no|nr|number|nummer)$|[a-z]I[dD]$", re.IGNORECASE)
_TIMED = re.compile(r"(^|[^a-z])(year|yr|quarter|month|week|day|date|hour|time)s?$", re.IGNORECASE)
_CODE = re.compile(r"(?=.*\d)[\w.:/@+{}-]*|\S*(://|@)\S*|[\w.:~-]*([/\\][\w.-]*)+", re.ASCII | re.DOTALL)
_NUMBERS = "left out: it numbers the rows"


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

    What a source knows to be text, such as the lines of a .txt, is a `Text`, and sounds are a `Series` of `MuLaw`. Of other
    columns the first 65,536 rows decide.
    Texts that are mostly distinct, long (more than 20 bytes of UTF-8 on average) and mostly no addresses or codes are a `Text`,
    and so are mostly distinct ones that a formula names. Other text and booleans are a `Label`; categories of fewer than 5 rows
    and whatever is unseen are one, "(other)", where there are more than 20 or the rarest holds less than one row in a hundred.
    Dates and times are a `Time`; complex numbers, or text that is such, a `Complex`; whole numbers of at most 20 distinct
    values that repeat, those beyond 2**53 that repeat, and columns of two values, a `Label`; whole numbers over a range of at
    most 256 with five rows a value an `Integer`; other numbers a `Number` with atoms, on a curve for long tails (skewness
    beyond 1, kurtosis beyond 5 or a value 8 standard deviations out: a normal distribution given a category is better off
    without, since two modes are no long tail), two scales (a tenth of the rows within a hundredth of a standard deviation), an
    end at zero (no value beyond it, and one within a tenth of a standard deviation) or fewer than 20 values, and vectors (B,
    D) one with lines. Lists of mappings, or of lists of text and numbers, are a `Set`. Lists of different lengths, of text, and
    of a single row, are a `Series` of their values. Whole-numbered grids (B, height, width[, channel]) are an `Image`, those
    (B, frame, height, width[, channel]) a `Video`, of at most 4 channels. A cell that is missing, here or later, is a symbol.

    Left out are columns of more than 20 rows whose values all differ and are text, consecutive whole numbers (but not under a
    name such as year), whole numbers beyond 2**53, or whole numbers under a name such as id, key or number, and of fewer rows
    an index of such values: a model of the others learns nothing from them.

    Later rows are read, a run at a time, where such a column may yet repeat a value, there or of the first rows, or numbers
    that are counted may yet turn out too many or not whole.

    Args:
        data: columns, or a source of them.
        stated: codecs of columns that are not inferred, and never left out.
        names: the columns to infer, none left out; by default all.

    Raises:
        UserError: nothing fits a column.
    """
    batches = iter(data.runs())
    first = next(batches, None)
    if first is None:
        raise UserError("data: expected at least one row, got none")
    clock = getattr(data, "clock", None)
    table = _Table(first, data.dtypes, dict(stated or {}), bool(names), "" if clock is None else clock.name)
    for name in (order := [*(names or first.names)]):
        if name not in table.codecs:
            table.judge(name)
    rows = first.n
    while (table.counted or table.left_out) and (batch := next(batches, None)) is not None:
        rows += batch.n
        table.judge_again(batch)
    _name_axes(table.codecs, first, stated or {}, clock)
    for name in table.left_out:
        table.whys[name] += f", judged {first.n:,} rows at a time" * (rows > first.n)
    whys = [f"{name}: {table.whys[name]}" for name in order if name in table.whys]
    return {name: table.codecs[name] for name in order if name in table.codecs}, whys


class _Table:
    """What is known so far of a table's columns.

    Attributes:
        codecs, whys: column -> its codec, and why; of a column that is left out why alone.
        left_out: columns that later rows may bring back -> their values.
        counted: columns whose numbers later rows may show to be no categories -> their values.
    """

    def __init__(self, first: Columns, dtypes: Mapping[str, Any], codecs: dict[str, Codec], named: bool,
                 time: str = "") -> None:
        self.first, self.dtypes, self.codecs, self.named, self.time = first, dtypes, codecs, named, time
        self.whys = dict[str, str]()
        self.left_out, self.counted = dict[str, set[object]](), dict[str, np.ndarray]()

    def judge(self, name: str) -> None:
        """Leave a column out, or choose its codec, by the first rows."""
        raw, about = self.first[name], self.dtypes.get(name)
        if not self.named and len(raw) == 1 and raw.ndim == 1 and not ragged(raw) and any(map(ragged, self.first.values())):
            self.whys[name] = "left out: it has one value, as there is one item"
            return
        if not self.named and name and name == self.time:
            self.whys[name] = "left out: it says when values are; name it in a formula to learn it"
            return
        if isinstance(about, dict) and "doubt" in about:
            raise UserError(f"{name}: {about['doubt']}")
        amount = str(about).startswith(("text", "measured"))
        if not self.named and not amount and (why := _identity(name, raw, index=about == "index")):
            self.whys[name] = why
            if not ragged(raw):
                self.left_out[name] = set(raw.tolist())
        else:
            self._choose(name, raw)

    def judge_again(self, batch: Columns) -> None:
        """By more rows, those columns that they may change."""
        for name, before in list(self.left_out.items()):
            if not _identity(name, batch[name], before, self.dtypes.get(name) == "index"):
                del self.left_out[name]
                self._choose(name, self.first[name])
        for name, seen in list(self.counted.items()):
            raw = _numbers(batch[name])
            if raw.dtype.kind in "iuf" and (new := ~np.isin(raw, np.unique(seen)) & (raw == raw)).any():
                self._choose(name, np.concatenate([seen, raw[new]]))

    def _choose(self, name: str, raw: np.ndarray) -> None:
        """The codec of a column by some of its values."""
        about = self.dtypes.get(name)
        try:
            self.codecs[name], self.whys[name] = (Text(), "text, as its source knows") if about == "text" else (
                Series(MuLaw(), window=2048), "sounds, each sample one of 256 levels") if rate_of(about) else _codec(raw, name)
        except _NoCategories as error:
            if not self.named:
                self.whys[name] = f"left out: {error}"
                return
            if not _is_text(raw):
                raise error.at(name) from None
            self.codecs[name], self.whys[name] = Text(), f"text, mostly distinct, {len(set(raw.tolist()))} in all"
        except UserError as error:
            raise error.at(name) from None
        self.counted.pop(name, None)
        if isinstance(self.codecs[name], Integer | Label) and (numbers := _numbers(raw)).dtype.kind in "iuf":
            self.counted[name] = numbers


def _name_axes(codecs: dict[str, Codec], rows: Mapping[str, np.ndarray], stated: Mapping[str, Codec],
               clock: Clock | None) -> None:
    """Columns of values in a row share the axis of the first that is stated, else "time" with the first of them, where they are
    as long in every row, and have one of their own, by their name, where they are not. The season is a clock's."""
    series = {name: codec for name, codec in codecs.items() if isinstance(codec, Series) and name in rows}
    lengths = {name: flat_items(rows[name])[1] for name in series}
    one = next((name for name in series if name in stated), next(iter(series), ""))
    kept = {key: value for key, value in series[one].arguments.items() if key != "of"} if one else {}
    if clock is not None and clock.step is not None:
        kept = {"season": clock.step.season, **kept}
    for name in series.keys() - stated.keys():
        alike = np.array_equal(lengths[name], lengths[one])
        codecs[name] = Series(series[name].of, **(kept if alike else {"axis": name}))


def _identity(name: str, raw: np.ndarray, known: set[object] | frozenset[object] = frozenset(), index: bool = False) -> str:
    """Why a column is no more than a name for its row, as its `known` values are; nothing where it may be more."""
    if holds_sets(raw):
        return ""
    if ragged(raw):
        flat = flat_items(raw)[0] if all(v is not None for v in raw) else raw
        return _NUMBERS if flat.dtype.kind in "iu" and flat.ndim == 1 and _identity(name, flat) == _NUMBERS else ""
    if raw.ndim != 1 or raw.dtype.kind not in "OUSiu" or (len(raw) <= _FEW and not known and not index):
        return ""
    values = raw.tolist()
    if any(isinstance(v, np.ndarray | list) for v in values):
        return ""
    if any(v is None or v != v for v in values) or len(set(values)) < len(raw) or not known.isdisjoint(values):
        return ""
    if raw.dtype.kind not in "iu":
        number = _are_times(raw) or are_complex(raw) or not _is_text(raw)
        telling = number or (not index and (_prose(values) or 10 * sum(bool(readings(v)) for v in values) >= 9 * len(values)))
        return "" if telling and not known else "left out: every value is different"
    if int(raw.max()) - int(raw.min()) == len(raw) - 1 and not _TIMED.search(name):
        return _NUMBERS
    if index or _NUMBERED.search(name):
        return "left out: every value is different, under the name of a number that identifies"
    return "left out: every value is different, and too large a number to measure" if _beyond(values) else ""


def _beyond(values: list[Any]) -> bool:
    """Whether some whole number is one that reals would round."""
    return any(isinstance(v, int) and abs(v) > EXACT for v in values)


def _numbers(raw: np.ndarray) -> np.ndarray:
    """Objects that are numbers, None among them, as such; all else as it is."""
    values = raw.tolist() if raw.ndim == 1 and raw.dtype.kind == "O" else ["text"]
    if not all(isinstance(v, int | float | None) for v in values) or _beyond(values):
        return raw
    return np.array([np.nan if v is None else v for v in values])


def _codec(raw: np.ndarray, name: str = "COLUMN") -> tuple[Codec, str]:
    """The codec of a column, and why."""
    if len(raw) == 0:
        raise UserError("expected at least one row, got none")
    if holds_sets(raw):
        return Set(), f"sets of up to {max(len(row) for row in raw if row is not None)} items in no order"
    if ragged(raw):
        values, lengths = flat_items(raw)
        inner, why = _along(raw, *_codec(values, name))
        least = "" if lengths.min() == lengths.max() else f"{lengths.min():,} to "
        return _series(inner), f"{least}{lengths.max():,} values in a row: {why}"
    if raw.ndim == 2 and (raw.dtype.kind in "OU" or len(raw) == 1):  # one row of numbers tells nothing of each place
        inner, why = _along(raw, *_codec(raw.reshape(-1), name))
        return _series(inner), f"{raw.shape[1]} values in a row: {why}"
    raw = _numbers(raw)
    if raw.dtype.kind == "c" or (raw.ndim == 1 and raw.dtype.kind in "OUS" and are_complex(raw)):
        return Complex(missing="unknown"), "complex numbers, a real and an imaginary part each"
    if raw.ndim == 1 and (raw.dtype.kind in "OUSM" or (raw.dtype.kind in "iu" and _beyond(raw.tolist()))):
        return _words(raw, name)
    if raw.dtype.kind not in "biuf":
        raise UserError(f"no codec for values of type {raw.dtype} and shape {raw.shape[1:]}; pass "
                        + way("codecs={...}", "--as"))
    if raw.ndim in (3, 4, 5) and (raw.dtype.kind in "biu" or bool((raw == np.floor(raw)).all() and raw.min() >= 0)):
        grid = Video() if raw.ndim == 5 or raw.shape[3:] > (4,) else Image()  # of places
        return (Voxels(), "voxels, filled or empty") if are_voxels(raw) else (grid, "whole levels on a grid")
    if raw.ndim > 1:
        return Number(), "numbers on a grid, each on a line of its own"
    absent = np.isnan(raw) if raw.dtype.kind == "f" else np.zeros(len(raw), dtype=bool)
    distinct, times = np.unique(raw[~absent], return_counts=True)
    said = f", {absent.mean():.1%} of them missing, which is a symbol" * bool(absent.any())
    if raw.dtype.kind == "b":
        return Label(missing="symbol"), "yes or no"
    whole = bool((distinct == np.floor(distinct)).all())
    if (len(distinct) <= 2 or (whole and len(distinct) <= _FEW)) and 2 * len(distinct) <= len(raw):
        return Label(missing="symbol"), f"{len(distinct)} values, taken as categories{said}"
    if whole and distinct[-1] - distinct[0] < _MANY and 5 * len(distinct) <= times.sum():
        return Integer(missing="symbol"), f"whole numbers of {len(distinct)} values, counted one by one{said}"
    most, held_by_many = int(times.argmax()), times >= max(10, 0.01 * len(raw))
    bent = _bent(np.repeat(distinct[~held_by_many], times[~held_by_many]), bool(distinct[0] >= 0 or distinct[-1] <= 0))
    why = f"numbers of {len(distinct)} values"
    if held_by_many.any():
        why += f", {distinct[most]:g} in {times[most] / len(raw):.1%} of the rows; what many rows share is counted, the rest"
    why += f" with a density{f', on a curve for its {bent}' * bool(bent)}{said}"
    return Number(missing="symbol", atoms="auto", curve="quantile" if bent else "linear"), why


def _series(inner: Codec) -> Series:
    """Of numbers on a line windows are longer: what is linear in them reads far back at little cost, a year of days."""
    return Series(inner, window=1024) if isinstance(inner, Number) and not inner.arguments.get("atoms") else Series(inner)


def _along(raw: np.ndarray, inner: Codec, why: str) -> tuple[Codec, str]:
    """The codec of the numbers of series, which may go on beyond those learned: on a line, or their logarithms are where these
    change more evenly; and why. Others as they are, and numbers of which one holds many places."""
    values, lengths = flat_items(raw) if ragged(raw) else (raw.reshape(-1), np.array([raw.shape[1]] * len(raw)))
    if not isinstance(inner, Number | Integer) or values.dtype.kind not in "iuf":
        return inner, why
    absent = np.isnan(values := values.astype(np.float64))
    if np.unique(values[~absent], return_counts=True)[1].max(initial=0) > _MANY_PLACES * len(values):
        return inner, why
    logs = changes_by_shares(values, lengths)
    return Number(missing="unknown" if absent.any() else "error", curve="log" if logs else "linear"), (
        "numbers on a line of logarithms, which change more evenly" if logs else "numbers on a line")


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


def _words(raw: np.ndarray, name: str) -> tuple[Codec, str]:
    absent = np.isnat(raw) if raw.dtype.kind == "M" else np.array([v is None or v != v for v in raw.tolist()])
    said = f", {absent.mean():.1%} of them missing, which is a symbol" * bool(absent.any())
    if raw.dtype.kind == "M" or _are_times(raw[~absent]):
        return Time(missing="symbol"), f"dates or times{said}"
    _check_text(raw, name)
    if not absent.any() and _prose(raw.tolist()):
        return Text(), f"text of {sum(map(len, raw.tolist())) / len(raw):,.0f} characters a row"
    counts = Counter(str(v) for v in raw[~absent].tolist())
    K, said = len(counts), said + _mixed(counts)
    if K <= _FEW and 100 * min(counts.values(), default=len(raw)) >= len(raw):
        return Label(missing="symbol"), f"{K} categories{said}"
    rare = sum(times for times in counts.values() if times < _RARE)
    if 2 * rare > len(raw) > _FEW:
        raise _NoCategories(f"{K} different values, most of them in fewer than {_RARE} rows, are no categories; name the "
                            "column in a formula to learn it as text, or say how to read it, by Label() or Text()")
    return Label(rare=_RARE, unseen="other", missing="symbol"), (
        f'{K} categories, of which those of fewer than {_RARE} rows are one, "(other)"{said}')


def _mixed(counts: Mapping[str, int]) -> str:
    """A word on a column that mostly holds numbers or times, and so much else that they are learned as words."""
    odd = [v for v in counts if not is_number(v)]
    words, n = sum(counts[v] for v in odd), sum(counts.values())
    if len(counts) <= _FEW or not 0 < 2 * words < n or all(NUMBERED_CODE.fullmatch(v) for v in odd):
        return ""
    return f"; {n - words:,} of {n:,} values are numbers or times, and words beside others such as {shown(odd[0])}"


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
    """Whether texts are sentences, sequences or formulas, in any writing, and not codes or addresses."""
    texts = [v for v in values if isinstance(v, str)]
    n = len(values)
    if len(texts) < n or sum(len(v.encode(errors="surrogatepass")) for v in texts) <= 20 * n or 2 * len(set(texts)) <= n:
        return False
    return n == 1 or 2 * sum(_CODE.fullmatch(v) is None for v in texts) > n


def _check_text(raw: np.ndarray, name: str) -> None:
    """A few words among many numbers are a mistake more often than a category, and so are numbers written in several ways."""
    values, label = raw.tolist(), way("codecs={...} with a Label()", f"--as {shlex.quote(f'{name}=label')}")
    if odd := odd_rows(values):
        raise UserError(f"got {shown(values[odd[0]])} where {len(raw) - len(odd)} of {len(raw)} values are numbers or times; "
                        f"mend it, leave such rows out by {way('read(..., skip_bad=True)', '--skip-bad')}, or pass {label}",
                        odd[0])
    written = [v for v in values if isinstance(v, str) and readings(v)]
    other = next((v for v in written if not common([written[0], v])), None)
    if len(written) == len(values) and len(set(values)) > _FEW and not common(written):
        raise UserError(f"numbers or times written in several ways, such as {written[0]!r} and {other or written[-1]!r}; "
                        f"write all in one way, or pass {label}")
