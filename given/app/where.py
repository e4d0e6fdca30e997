"""Where: what --where says of columns, as events: "30 <= age <= 40", "city in {Rome, Oslo}", "age is missing"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from given.infer import Event, between, isin, missing, present
from given.sources import Kind, Learned
from given.variables import UserError, nearest
from given.verbs import Model

__all__ = ["events"]

_NAME = r"(?:`(?P<quoted>[^`]+)`|(?P<name>[^\W\d]\w*))"
_QUOTED = r"""\s*(?:"(?:[^"]|"")*"|'(?:[^']|'')*')\s*"""
_CELL = rf"(?:{_QUOTED}|[^<>=`\"'\s][^<>=`]*?)"
_IN = re.compile(rf"{_NAME}\s+in\s*\{{(?P<values>.*)\}}")
_IS = re.compile(rf"{_NAME}\s+is\s+(?P<what>missing|not\s+missing|present)")
_EQUAL = re.compile(rf"{_NAME}\s*==?\s*(?P<value>{_CELL})")
_AFTER = re.compile(rf"(?:(?P<low>{_CELL})\s*(?P<first><=?)\s*)?{_NAME}\s*(?P<second><=?|>=?)\s*(?P<high>{_CELL})")
_BEFORE = re.compile(rf"(?P<high>{_CELL})\s*(?P<second><=?|>=?)\s*{_NAME}")
_ELEMENT = re.compile(rf"({_QUOTED}|[^,]*)(?:,|$)")
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SHAPES = ('"30 <= age <= 40", "age > 30", "city in {Rome, \'Oslo, NO\'}", "city = Rome", "age is missing" or '
           "\"age is not missing\"; other names than identifiers stand in backticks, all in single quotes: '`house price` > 3'")


def events(said: Sequence[str], model: Model) -> dict[str, Event]:
    """The events of columns, their values read as cells of the data learned from.

    Raises:
        UserError: what is no event, an unknown column, one column twice.
    """
    found = dict[str, Event]()
    for text in said:
        name, event = _event(text.strip(), model)
        if name in found:
            raise UserError(f"--where: {name} is said twice; say it once, as '30 <= {name} <= 40'")
        found[name] = event
    return found


def _event(text: str, model: Model) -> tuple[str, Event]:
    def values_of(match: re.Match[str]) -> tuple[str, Callable[[str], Any]]:
        name = match["quoted"] or match["name"]
        if name not in model.joint.columns:
            raise UserError(f"--where: unknown name {name!r}; {nearest(name, model.joint.columns)}")
        learned = model.cells.get(name, Learned(Kind("text")))

        def value(cell: str) -> Any:
            try:
                return learned.typed([_unquoted(cell)]).tolist()[0]
            except UserError as error:
                raise error.at(f"--where: {name}") from None

        return name, value

    if match := _IS.fullmatch(text):
        return values_of(match)[0], missing if match["what"] == "missing" else present
    if match := _IN.fullmatch(text):
        name, value = values_of(match)
        return name, isin([value(cell) for cell in _elements(match["values"])])
    if match := _EQUAL.fullmatch(text):
        name, value = values_of(match)
        return name, isin(value(match["value"]))
    match = _AFTER.fullmatch(text)
    if match and not (match["low"] and match["second"].startswith(">")):
        (name, value), low = values_of(match), match["low"]
        first, second = match["first"] or "<=", match["second"]
        if low:
            return name, _range(value(low), first, value(match["high"]), second)
        return name, _half(second, value(match["high"]))
    if match := _BEFORE.fullmatch(text):
        name, value = values_of(match)
        return name, _half(_TURNED[match["second"]], value(match["high"]))
    raise UserError(f"--where: got {text!r}; expected {_SHAPES}")


def _elements(text: str) -> list[str]:
    """What stands between commas that are in no quotes."""
    found, at = list[str](), 0
    while at < len(text):
        match = _ELEMENT.match(text, at)
        if match is None or (match[1].strip()[:1] in ('"', "'") and not re.fullmatch(_QUOTED, match[1])):
            raise UserError(f"--where: got {{{text}}}; expected values between commas, those with commas in quotes, as "
                            "{Rome, 'Oslo, NO'}, a quote within twice")
        found.append(match[1])
        at = match.end()
    return [each for each in found if each.strip()]


def _unquoted(cell: str) -> str:
    """A cell without the quotes about it, in which a quote stands twice."""
    cell = cell.strip()
    if re.fullmatch(_QUOTED, cell):
        return cell[1:-1].replace(cell[0] * 2, cell[0])
    return cell


def _half(sign: str, end: Any) -> Event:
    return _range(None, "<=", end, sign) if sign.startswith("<") else _range(end, sign.replace(">", "<"), None, "<=")


def _range(low: Any, first: str, high: Any, second: str) -> Event:
    closed = {(True, True): "both", (True, False): "left", (False, True): "right", (False, False): "neither"}
    return between(low, high, closed=closed["=" in first, "=" in second])  # type: ignore[arg-type]
