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
_IN = re.compile(rf"{_NAME}\s+in\s*\{{(?P<values>.*)\}}")
_IS = re.compile(rf"{_NAME}\s+is\s+(?P<what>missing|not\s+missing|present)")
_EQUAL = re.compile(rf"{_NAME}\s*==?\s*(?P<value>[^<>=]+)")
_AFTER = re.compile(rf"(?:(?P<low>[^<>=`]+?)\s*(?P<first><=?)\s*)?{_NAME}\s*(?P<second><=?|>=?)\s*(?P<high>[^<>=]+)")
_BEFORE = re.compile(rf"(?P<high>[^<>=`]+?)\s*(?P<second><=?|>=?)\s*{_NAME}")
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SHAPES = '"30 <= age <= 40", "age > 30", "city in {Rome, Oslo}", "city = Rome", "age is missing" or "age is not missing"'


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
                return learned.typed([cell.strip().strip("\"'")]).tolist()[0]
            except UserError as error:
                raise error.at(f"--where: {name}") from None

        return name, value

    if match := _IS.fullmatch(text):
        return values_of(match)[0], missing if match["what"] == "missing" else present
    if match := _IN.fullmatch(text):
        name, value = values_of(match)
        return name, isin([value(cell) for cell in match["values"].split(",") if cell.strip()])
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


def _half(sign: str, end: Any) -> Event:
    return _range(None, "<=", end, sign) if sign.startswith("<") else _range(end, sign.replace(">", "<"), None, "<=")


def _range(low: Any, first: str, high: Any, second: str) -> Event:
    closed = {(True, True): "both", (True, False): "left", (False, True): "right", (False, False): "neither"}
    return between(low, high, closed=closed["=" in first, "=" in second])  # type: ignore[arg-type]
