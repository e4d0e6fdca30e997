"""Events: what is known of a column where its value is not: that it lies in a range, is one of several values, is missing.

An event is a set of raw values. As entries it is a `Region`: some of finitely many symbols, or some atoms and an interval of a
real. Ends of a range are values of the column. Values on a grid, such as whole numbers, cents or days, stand for the cell about
them: from 30 up to 40, both included, is everything that is written as 30, 31, ..., 40, from 29.5 to 40.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from given.infer.evidence import observe
from given.joint import Joint
from given.scales import Measured
from given.variables import MISSING, Codec, Entries, Finite, Real, Space, UserError, Variable, shown
from given.ways import way, where

__all__ = ["Event", "Region", "between", "isin", "missing", "present", "region_of", "split_events"]

_ROUNDING = 1e-9  # of a step of the grid: an end as close to a value as this is the value


@dataclass(frozen=True)
class Event:
    """A set of values of one column, as evidence: made by `between` and `isin`, or one of `missing` and `present`.

    Attributes:
        low, high: ends of a range, None where it has none.
        closed: which ends belong to it.
        values: the values that are in it, or None.
        there: whether a value is there at all: False of `missing`, True of `present`.
    """

    low: Any = None
    high: Any = None
    closed: Literal["both", "left", "right", "neither"] = "both"
    values: tuple[Any, ...] | None = None
    there: bool = True

    def __str__(self) -> str:
        if not self.there:
            return "missing"
        if self.values is not None:
            return f"in {{{', '.join(str(v) for v in self.values)}}}"
        if self.low is None and self.high is None:
            return "present"
        low = "" if self.low is None else f"{self.low} <{'=' * (self.closed in ('both', 'left'))} "
        high = "" if self.high is None else f" <{'=' * (self.closed in ('both', 'right'))} {self.high}"
        return f"{low}x{high}"

    __repr__ = __str__


missing = Event(there=False)
"""No value is there: the hole itself is observed, `model.given(age=given.missing)`."""

present = Event()
"""A value is there, whatever it is: `model.given(age=given.present)`."""


def between(low: Any = None, high: Any = None, *, closed: Literal["both", "left", "right", "neither"] = "both") -> Event:
    """A range of numbers, dates or times: `model.given(age=between(30, 40))`, `between(None, "2024-06-30")`.

    Args:
        low, high: the ends in raw units; None where there is none.
        closed: which ends belong to the range: both, "left", "right" or "neither".

    Raises:
        UserError: it has no end, or another `closed`.
    """
    if closed not in ("both", "left", "right", "neither"):
        raise UserError(f"between: closed={shown(closed)}; expected 'both', 'left', 'right' or 'neither'")
    for end in (low, high):
        if np.ndim(end):
            raise UserError(f"between: got {shown(end)}; expected one number, date or time an end; a range is the same for all "
                            "rows")
    if low is None and high is None:
        raise UserError("between: got no end; expected one or two, as between(30, 40); present says that a value is there")
    return Event(low, high, closed)


def isin(*values: Any) -> Event:
    """One of several values: `model.given(city=isin("Rome", "Oslo"))`, or of a list of them; None among them is a hole.

    Raises:
        UserError: there is none, or one is an event itself, such as `missing`.
    """
    several = len(values) == 1 and isinstance(values[0], list | tuple | set | frozenset | np.ndarray)
    each = list(values[0]) if several else list(values)
    if isinstance(values[0] if several else None, set | frozenset):
        each = sorted(each, key=str)
    if event := next((v for v in each if isinstance(v, Event)), None):
        raise UserError(f"isin: got {event}, which is an event of its own; expected values, None among them for a hole, or "
                        "that event alone")
    if not each:
        raise UserError("isin: got no value; expected one or more, as isin('Rome', 'Oslo')")
    return Event(values=tuple(dict.fromkeys(v.item() if isinstance(v, np.generic) else v for v in each)))


@dataclass(frozen=True)
class Region:
    """The entries of a single column's event.

    Attributes:
        symbols: (V,) bool, of a finite column, which are in it; else None.
        low, high: the interval of a real's entries that are no atoms; nothing where low is not below high.
        atoms: (K,) the atoms in it.
        others: the atoms that are not.
    """

    symbols: Tensor | None = None
    low: float = math.inf
    high: float = -math.inf
    atoms: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    others: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))

    @staticmethod
    def of(space: Space, symbols: Tensor) -> Region:
        """Some symbols (K,) of a finite column."""
        assert isinstance(space, Finite)
        return Region(torch.zeros(space.size, dtype=torch.bool).index_fill(0, symbols.reshape(-1).long(), True))

    @property
    def values(self) -> Tensor | None:
        """(K,) the entries in it where they are finitely many, else None."""
        if self.symbols is not None:
            return self.symbols.nonzero()[:, 0]
        return None if self.low < self.high else self.atoms

    @property
    def everything(self) -> bool:
        """Whether nothing is out of it."""
        if self.symbols is not None:
            return bool(self.symbols.all())
        return self.low == -math.inf and self.high == math.inf and not len(self.others)

    def holds(self, x: Tensor) -> Tensor:
        """Whether entries (...) are in it."""
        if self.symbols is not None:
            return self.symbols[x.long()]
        within = (x >= self.low) & (x < self.high) & ~torch.isin(x.double(), self.others)
        return within | torch.isin(x.double(), self.atoms)


def region_of(variable: Variable, event: Event) -> Region:
    """The entries of an event.

    Raises:
        UserError: a column that is no single value or holds no numbers to range over, a range that is empty or outside its
            support, a category that was not learned, a column that was never missing.
    """
    space, name = variable.space, variable.name
    if space.axes or not isinstance(space, Finite | Real):
        raise UserError(f"{name}: got {event}; expected a column of single values, and this is {space}; give its value, or a "
                        "part of it by part(...) or prefix(...)")
    region = _finite(variable, event) if isinstance(space, Finite) else _real(variable, event, space)
    values = region.values
    if values is not None and not len(values):
        if not event.there:
            raise UserError(f"{name}: no value of it was missing where it was learned; leave it out, then it is unknown")
        raise UserError(f"{name}: got {event}; {_support(variable)}; no value of it is in that range")
    return region


def split_events(joint: Joint, observed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Region]]:
    """What is observed as values, and the regions of what is observed by an event. An event of one value is that value, and
    one of all values is none.

    Raises:
        UserError: as `region_of`; several events for one column, or one of a column that is a latent.
    """
    values, regions = dict[str, Any](), dict[str, Region]()
    for name, value in observed.items():
        if isinstance(value, list | tuple) and any(isinstance(v, Event) for v in value):
            raise UserError(f"{name}: got several events; expected one, which is the same for all rows")
        if not isinstance(value, Event):
            values[name] = value
            continue
        region = region_of(joint.columns[name], value)
        if (only := region.values) is not None and len(only) == 1:
            values[name] = only[0]
        elif not region.everything:
            regions[name] = region
    return values, regions


def _finite(variable: Variable, event: Event) -> Region:
    codec, space = variable.codec, variable.space
    assert isinstance(space, Finite)
    if event.values is not None:
        found = observe(variable, list(event.values))[0].tensor
        return Region(torch.zeros(space.size, dtype=torch.bool).index_fill(0, found, True))
    if event.low is None and event.high is None:
        return Region(torch.tensor([(name != MISSING) == event.there for name in codec.names()]))
    low, high = _ends(variable, event)
    number = _numbers(variable, codec.decode(Entries(torch.arange(space.size))))
    return Region(torch.from_numpy(_inside(number, low, high, event)))


def _real(variable: Variable, event: Event, space: Real) -> Region:
    codec, atoms = variable.codec, torch.tensor(space.atoms, dtype=torch.float64)
    number = _numbers(variable, codec.decode(Entries(atoms))) if len(atoms) else np.zeros(0)
    if isinstance(codec, Measured):
        number = codec.real(Entries(atoms))
    if event.values is not None:
        found = observe(variable, list(event.values))[0].tensor.double()
        if not bool(torch.isin(found, atoms).all()):
            wrong = event.values[int((~torch.isin(found, atoms)).nonzero()[0])]
            raise UserError(f"{variable.name}: {shown(wrong)} alone has probability zero, as any single value of numbers with "
                            "a density; give a range, or that one value")
        inside = torch.isin(atoms, found)
        return Region(None, atoms=atoms[inside], others=atoms[~inside])
    if event.low is None and event.high is None:
        inside = torch.from_numpy(np.isnan(number) != event.there)
        return Region(None, *((-math.inf, math.inf) if event.there else (math.inf, -math.inf)), atoms[inside], atoms[~inside])
    low, high = _ends(variable, event)
    inside = torch.from_numpy(_inside(number, low, high, event))
    edges = _edges(codec, low, high, event.closed)
    return Region(None, *edges, atoms[inside], atoms[~inside])


def _inside(number: np.ndarray, low: float, high: float, event: Event) -> np.ndarray:
    """Which numbers, NaN where there is none, a range holds."""
    above = number >= low if event.closed in ("both", "left") else number > low
    return np.asarray(above & (number <= high if event.closed in ("both", "right") else number < high))


def _ends(variable: Variable, event: Event) -> tuple[float, float]:
    """The ends of a range as numbers, infinite where it has none."""
    if isinstance(event.low, str) != isinstance(event.high, str) and None not in (event.low, event.high):
        raise UserError(f"{variable.name}: got {event}; expected two ends of one kind")
    low, high = (default if end is None else float(_numbers(variable, np.array([end], None if isinstance(end, (
        int, float, np.generic)) else object))[0]) for end, default in ((event.low, -math.inf), (event.high, math.inf)))
    if math.isnan(low) or math.isnan(high):
        raise UserError(f"{variable.name}: got {event}; expected ends that are values; missing is an event of its own")
    if not (low < high or (low == high and event.closed == "both")):
        raise UserError(f"{variable.name}: got {event}, which is empty; expected a lower end, then a higher one")
    return low, high


def _numbers(variable: Variable, raw: np.ndarray) -> np.ndarray:
    try:
        return variable.codec.numbers(raw)
    except UserError as error:
        if "expected numbers" not in str(error):
            raise error.at(variable.name) from None
        like = variable.codec.names()[:3] if isinstance(variable.space, Finite) else []
        python, shell = f"isin({', '.join(map(repr, like))})", where(variable.name, "in", *like)
        named = f"; name the values, {way(python, shell)}" if like else ""
        raise UserError(f"{variable.name}: holds no numbers, dates or times to range over, or the ends are none"
                        f"{named}") from None


def _edges(codec: Codec, low: float, high: float, closed: str) -> tuple[float, float]:
    """The interval of entries of a range of numbers: a value on a grid has its whole cell, in or out."""
    if not isinstance(codec, Measured):  # entries are the numbers
        return low, high
    step = codec.step

    def edge(end: float, inward: int, included: bool) -> float:
        if step and math.isfinite(end):
            places = end / step
            nearest = round(places)
            on = abs(places - nearest) < _ROUNDING * max(1.0, abs(places))
            first = nearest if on else (math.ceil(places) if inward > 0 else math.floor(places))
            end = (first + (0 if included or not on else inward) - inward / 2) * step
        return codec.edge(end)

    return edge(low, 1, closed in ("both", "left")), edge(high, -1, closed in ("both", "right"))


def _support(variable: Variable) -> str:
    """What values a column has, for messages."""
    codec, space = variable.codec, variable.space
    try:
        entries = Entries(torch.arange(space.size)) if isinstance(space, Finite) else None
        values: Sequence[Any] = [] if entries is None else [
            v for v in np.asarray(codec.decode(entries))[np.argsort(codec.numbers(codec.decode(entries)))].tolist()
            if v is not None and v == v]
        if values:
            return f"its values are {values[0]} to {values[-1]}"
    except UserError:
        pass
    if isinstance(codec, Measured):
        return f"its values are {codec.support}"
    return "there are others"
