"""Forms: numbers and times as people write them, read where all cells of a column agree on one reading.

Numbers may have marks between thousands, a decimal comma, a sign of money or per cent, which is the same in all cells and left
out of the number. Dates and times that are not ISO, or have a zone, become ISO text; those with a zone are in UTC. Years of two
digits are 1969 to 2068.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from given.ways import way

__all__ = ["Ambiguous", "Form", "ISO", "PLAIN", "as_learned", "choose_form", "common", "readings"]


class Form(NamedTuple):
    """A way of writing.

    Args:
        what: it becomes: "whole", "real", or "text", which is a time in ISO.
        spelling: of numbers an example, such as 1.234,5; of times the order, such as day/month/year.
        unit: of a number, such as $ or %; of a time its precision: day, minute, second or microsecond.
    """

    what: str
    spelling: str
    unit: str = ""

    @property
    def note(self) -> str:
        """How a column of it was understood."""
        if self.what == "text":
            return f"times written as {self.spelling}, read as ISO{' in UTC' * (self.spelling == _ZONED)}"
        return f"numbers written as {self.spelling}{f', in {self.unit}' * bool(self.unit)}"

    @property
    def mark(self) -> str | None:
        """The decimal mark, where it has one."""
        return self.spelling[-2] if self.what != "text" and self.spelling != "1234" else None

    @property
    def dayfirst(self) -> bool | None:
        """Whether days come before months, where their order is one that has to be known."""
        return {"day/month/year": True, "month/day/year": False}.get(self.spelling)

    @property
    def dtype(self) -> str | None:
        """What is known of a column of it beyond its values."""
        return "measured" if self.what != "text" else "datetime64[us, UTC]" if self.spelling == _ZONED else None


class Ambiguous(NamedTuple):
    """Two ways that all cells may have been written in."""

    first: Form
    second: Form

    @property
    def note(self) -> str:
        """What to say of the column, in one line with the way out."""
        by = (way("dayfirst=True or False", "--dayfirst yes or no") if self.first.what == "text"
              else way('decimal="," or "."', "--decimal , or ."))
        return (f"all cells may be written as {self.first.spelling} and as {self.second.spelling}; say which by {by}, or take "
                "the column as categories, Label()")


ISO = Form("text", "ISO")
_ZONED = "ISO with a zone"
_STYLES = {"1234": r"[1-9]\d*|0", **{f"1{group}234{decimal}5": rf"(?:[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+|[1-9]\d*|0)"
                                    rf"(?P<part>{re.escape(decimal)}\d+)?"
                                    for group, decimal in ((",", "."), (".", ","), (" ", ","), (" ", "."), ("'", "."))}}
_PATTERNS = {spelling: re.compile(pattern) for spelling, pattern in _STYLES.items()}
_MONEY = (r"(?:US|R|A|C|HK|NZ)?\$|[€£¥₹₩₽₺₫฿₪]|kr\.?|zł|Kč|Ft|"
          r"(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|BRL)\b")
_NUMBER = re.compile(rf"(?P<open>\()?(?P<sign>[+\-−]?) ?(?P<before>{_MONEY})? ?(?P<inner>-?)(?P<digits>\d[\d.,' ]*?) ?"
                     rf"(?P<after>%|{_MONEY})?(?P<close>\))?")
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'"})
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<part>\d{1,9}))?)? ?(?P<half>[AaPp]\.?[Mm]\.?)?"
_ZONE = r"(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)"
_DATES = [(re.compile(rf"{date}(?:(?:,? +|T){_CLOCK} ?{_ZONE}?)?"), spelling) for spelling, date in {
    "year-month-day": r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})",
    "day/month/year": r"(?P<day>\d{1,2})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4}|\d\d)",
    "month/day/year": r"(?P<month>\d{1,2})(?P<mark>[-/])(?P<day>\d{1,2})(?P=mark)(?P<year>\d{4}|\d\d)",
    "day month year": r"(?P<day>\d{1,2})(?P<mark>[- ])(?P<name>[A-Za-z]{3,9})\.?(?:,? |-)(?P<year>\d{4}|\d\d)",
    "month day, year": r"(?P<name>[A-Za-z]{3,9})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})",
    "month year": r"(?P<name>[A-Za-z]{3,9})\.?[- ](?P<year>\d{4})",
}.items()]
_TIME = re.compile(_CLOCK)
_PLAIN_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?|\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?")
_MONTHS = [*"january february march april may june july august september october november december".split()]
_PRECISIONS = ("minute", "second", "microsecond")

# What plain numbers may be among others that are not plain.
PLAIN = {"whole": frozenset(Form(what, spelling) for spelling in _STYLES for what in ("whole", "real")),
         "real": frozenset(Form("real", spelling) for spelling in _STYLES if spelling[-2] == ".")}


def readings(cell: str) -> Mapping[Form, float | str]:
    """Every form that a cell may have, and what it then is."""
    if not cell or len(cell) > 40 or not any(c.isdigit() for c in cell):
        return {}
    return _numbers(cell.translate(_BLANKS)) or _times(cell)


def common(cells: Iterable[str]) -> frozenset[Form]:
    """The forms that all cells may have."""
    found: frozenset[Form] | None = None
    for cell in cells:
        some = frozenset(readings(cell))
        found = some if found is None else found & some
        if not found:
            break
    return found or frozenset()


def choose_form(forms: frozenset[Form], decimal: str | None = None,
                       dayfirst: bool | None = None) -> Form | Ambiguous | None:
    """The one form that a column is read by; None where there is none, or it is ISO already.

    Args:
        forms: that all cells may have.
        decimal: mark, where both may be.
        dayfirst: whether the day comes before the month, where both may.
    """
    if not forms or ISO in forms:
        return None
    order = list(_STYLES)
    if numbers := sorted((f for f in forms if f.what != "text"), key=lambda f: (order.index(f.spelling), f.what == "real")):
        if numbers[0].spelling == "1234":
            return numbers[0]
        marks = {f.spelling[-2]: f for f in reversed(numbers)}
        if len({(f.what, f.spelling[1]) for f in marks.values()}) == 1 and numbers[0].what == "whole":
            return numbers[0]  # no cell has a decimal mark
        return Ambiguous(marks["."], marks[","]) if len(marks) > 1 and decimal is None else marks.get(
            decimal or "", numbers[0])
    times = sorted(forms, key=lambda f: ["day", *_PRECISIONS].index(f.unit))
    orders = {f.spelling: f for f in reversed(times)}
    first, second = orders.get("day/month/year"), orders.get("month/day/year")
    if first and second:
        return Ambiguous(first, second) if dayfirst is None else first if dayfirst else second
    return times[0]


def as_learned(forms: frozenset[Form], learned: Form | None, decimal: str | None = None,
               dayfirst: bool | None = None) -> Form | Ambiguous | None:
    """The one of several forms that is, or is most like, what a column was read by when it was learned; numbers in another unit
    have none.

    Args:
        forms: that cells may have.
        learned: None for plain numbers.
        decimal, dayfirst: as of `choose_form`; by default as was learned.
    """
    if learned is None or learned.what != "text":
        alike = frozenset(f for f in forms if f.what != "text" and f.unit in ("", learned.unit if learned else ""))
        return choose_form(alike, decimal or (learned.mark if learned else None), dayfirst)
    alike = frozenset(f for f in forms if f.what == "text")
    if learned in alike and dayfirst is None:
        return learned
    return choose_form(alike, decimal, learned.dayfirst if dayfirst is None else dayfirst)


def _numbers(cell: str) -> dict[Form, float | str]:
    match = _NUMBER.fullmatch(cell)
    if match is None or (match["before"] and match["after"]) or bool(match["open"]) != bool(match["close"]):
        return {}
    minus = match["sign"] in ("-", "−") or bool(match["inner"]) or bool(match["open"])
    found: dict[Form, float | str] = {}
    for spelling, pattern in _PATTERNS.items():
        if (digits := pattern.fullmatch(match["digits"])) is None:
            continue
        plain = match["digits"]
        if spelling != "1234":
            plain = plain.replace(spelling[1], "").replace(spelling[-2], ".")
        value = -float(plain) if minus else float(plain)
        unit = match["before"] or match["after"] or ""
        found[Form("real", spelling, unit)] = value
        if spelling == "1234" or digits["part"] is None:
            found[Form("whole", spelling, unit)] = value
    return found


def _times(cell: str) -> dict[Form, float | str]:
    found: dict[Form, float | str] = {ISO: cell} if _PLAIN_ISO.fullmatch(cell) else {}
    if match := _TIME.fullmatch(cell):
        found |= _written("hour:minute", datetime.date(1970, 1, 1), match.groupdict())
    for pattern, spelling in _DATES:
        if match := pattern.fullmatch(cell):
            parts = match.groupdict()
            if (date := _date(parts)) is not None:
                found |= _written(spelling, date, parts)
    return found


def _date(parts: Mapping[str, str | None]) -> datetime.date | None:
    year, month = int(parts["year"] or 0), parts.get("month")
    if len(parts["year"] or "") == 2:
        year += 2000 if year < 69 else 1900
    if name := (parts.get("name") or "").lower():
        number = next((i for i, full in enumerate(_MONTHS, 1) if name in (full, full[:3], full[:4])), 0)
    else:
        number = int(month or 0)
    try:
        return datetime.date(year, number, int(parts.get("day") or 1))
    except ValueError:
        return None


def _written(spelling: str, date: datetime.date, parts: Mapping[str, str | None]) -> dict[Form, float | str]:
    """A date with what there is of a clock and a zone, at every precision that holds it, as ISO text."""
    if parts.get("hour") is None:
        return {Form("text", spelling, "day"): date.isoformat()}
    hour, half = int(parts["hour"] or 0), (parts["half"] or "").lower()[:1]
    if half and not 1 <= hour <= 12:
        return {}
    hour = hour % 12 + 12 * (half == "p") if half else hour
    try:
        part = int((parts["part"] or "0")[:6].ljust(6, "0"))
        clock = datetime.time(hour, int(parts["minute"] or 0), int(parts["second"] or 0), part)
        at = datetime.datetime.combine(date, clock)
        if zone := parts.get("zone"):
            digits = zone[1:].replace(":", "").ljust(4, "0") if zone[0] in "+-" else "0000"
            at -= (-1 if zone[0] == "-" else 1) * datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
            spelling = _ZONED if spelling == "year-month-day" else f"{spelling} with a zone"
    except (ValueError, OverflowError):
        return {}
    finest = 2 if parts["part"] else 1 if parts["second"] else 0
    text = {p: at.isoformat("T", f"{p}s") for p in _PRECISIONS}
    return {Form("text", spelling, p): text[p][11:] if spelling == "hour:minute" else text[p] for p in _PRECISIONS[finest:]}
