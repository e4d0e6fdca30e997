"""Describing: what a model found, in items that a person can look at: prototypes, one factor at a time, segments."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from given.conditional import Conditional
from given.infer import Rows
from given.joint import Joint
from given.sources import Columns, Learned, Source, read
from given.variables import Finite, UserError, shown
from given.verbs.along import Strip, interpolated, strip, traversed
from given.verbs.checks import check_known, items, named, spelled
from given.verbs.holes import any_cell, present

__all__ = ["Describing"]

_BINS = 8
_TELLING = 3
_MOST = 50  # segments


class Describing(abc.ABC):
    """What a model has to show. Abstract: `Model`."""

    joint: Joint
    facts: dict[str, Any]

    @property
    @abc.abstractmethod
    def cells(self) -> dict[str, Learned]:
        """Column -> how its cells were read in the data learned from."""

    @abc.abstractmethod
    def given(self, data: Mapping[str, Any] | None = None, /) -> Any:
        """The distribution of everything else, given what is observed."""

    @property
    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """What rows left out of learning chose, as "components of p(x)" by `select(1, 30)`: the numbers tried, rising, each
        with the mean log p of those rows, in nats an item in the entries' units. The highest was chosen."""
        found = dict[str, list[tuple[float, float]]]()
        for factor in self.joint.declared:
            for part in factor.modules():
                best = dict[float, float]()
                for number, *_, value in part.curve if isinstance(part, Conditional) else ():
                    best[number] = max(value, best.get(number, -math.inf))
                if best:
                    found[f"{part.selectable[0]} of {factor}"] = sorted(best.items())  # type: ignore[index]
        return found

    def prototypes(self, data: Any, by: str, *, n: int = 8, seed: int | None = 0) -> Columns:
        """The rows of every value of a column that are most probable given it, best first, with their `log_prob`: the most dog
        of all dogs.

        Rows that lack one of the columns that are scored are not ranked: a density of fewer numbers is no smaller for it.

        Args:
            data: anything `read` takes.
            by: a column of the model, such as a label.
            n: rows a value.
            seed: of the noise of estimates.

        Raises:
            UserError: a column that is not there, or without a value; a value of which no row is complete.
        """
        return _prototypes(self.joint, read(data, learned=self.cells), by, n,
                           lambda x, given: self.given(given).log_prob(x, seed=seed))

    def traverse(self, name: str, values: Sequence[float] = (-2, -1, 0, 1, 2), *, around: Mapping[str, Any] | None = None,
                 **given: Any) -> Columns:
        """Items decoded along each latent of a factor in turn, the others as they are: (latents, values, ...).

        Args:
            name: the factor's left side, of a family with a latent.
            values: what is added to a latent, in standard deviations of its prior.
            around: one row, as columns or a value each, whose own latent is moved, so that what it has is exaggerated; by
                default the mean of the prior.
            given: the factor's conditions.

        Raises:
            UserError: a family without a latent, a condition that is not given, or a model that has not learned.
        """
        if not self.facts.get("fitted", True):
            raise UserError(f"{self}: has not learned anything yet; call fit(data) first")
        row = None if around is None else items(self.joint, named(around, {}))
        if row is not None and row.n != 1:
            raise UserError(f"traverse: around= has {row.n} rows; expected one, such as data.rows(slice(0, 1))")
        asked = items(self.joint, spelled(given, list(self.joint.columns))) if given else {}
        return Columns(traversed(self.joint, name, values, row, asked), 2, self.facts.get("dtypes"))

    def strip(self, row: Any, name: str | None = None, values: Sequence[float] = (-3, -2, -1, 0, 1, 2, 3), *, most: int = 10,
              **given: Any) -> Strip:
        """One picture with one number of its latent exaggerated at a time, the numbers that move it most first.

        Args:
            row: one row, as columns or a value each.
            name: the picture's column, a factor's left side; by default the only one that has a latent of its own.
            values: what is added to a number, in standard deviations of its prior.
            most: numbers that are kept.
            given: the factor's conditions, in place of the row's own.

        Raises:
            UserError: no such column of pictures, a family without a latent, other than one row.
        """
        if not self.facts.get("fitted", True):
            raise UserError(f"{self}: has not learned anything yet; call fit(data) first")
        found = items(self.joint, named(row, {}))
        if found.n != 1:
            raise UserError(f"strip: got {found.n} rows; expected one, such as data.rows(slice(0, 1))")
        asked = items(self.joint, spelled(given, list(self.joint.columns))) if given else {}
        return strip(self.joint, name, found, values, most, asked)

    def interpolate(self, name: str, between: Any, steps: int = 8, **given: Any) -> Columns:
        """Items decoded from the straight line between the latents of two rows, both ends included: (steps, ...). What a
        condition is at each step is that of the row that is nearer.

        Args:
            name: the factor's left side, of a family with a latent.
            between: two rows, anything `read` takes.
            steps: how many items, from 2.
            given: conditions that both have, in place of the rows' own.

        Raises:
            UserError: a family without a latent, other than two rows, a condition that is not given.
        """
        rows = next(read(between, learned=self.cells).batches(1 << 62))
        if rows.n != 2 or not isinstance(steps, int) or steps < 2:
            raise UserError(f"interpolate: got {rows.n} rows and steps={shown(steps)}; expected two rows, such as "
                            "data.rows([3, 8]), and at least 2 steps")
        asked = items(self.joint, spelled(given, list(self.joint.columns))) if given else {}
        both = {**{k: rows[k] for k in rows if k in self.joint.columns}, **{k: np.repeat(v, 2, 0) for k, v in asked.items()}}
        return Columns(interpolated(self.joint, name, Columns(both), steps), dtypes=self.facts.get("dtypes"))

    def segments(self, data: Any, by: str, *, seed: int | None = 0) -> Columns:
        """What tells the rows of every value of a finite column from all rows: columns `segment`, `share`, `telling`.

        Args:
            data: anything `read` takes.
            by: a latent of the model, whose probabilities share the rows out, or a column of the data.
            seed: of the noise of estimates.
        """
        rows = next(read(data, learned=self.cells).batches(1 << 62))
        names = [name for name in rows if name != by and rows[name].ndim == 1]
        if by in rows:
            texts = np.array(["missing" if v is None or v != v else str(v) for v in rows[by].tolist()])
            shares: Mapping[Any, np.ndarray] = {v: (texts == v).astype(float) for v in dict.fromkeys(texts.tolist())}
            if len(shares) > _MOST:
                raise UserError(f"segments: {by} has {len(shares)} values; expected a column of at most {_MOST}")
        else:
            shares = self.given({k: Rows(v) for k, v in rows.items() if k in self.joint.columns}).probabilities(by)
        return _segments(rows, names, shares)


def _prototypes(joint: Joint, source: Source, by: str, n: int,
               score: Callable[[Mapping[str, Any], Mapping[str, Any]], np.ndarray]) -> Columns:
    """The rows of every value of a column that are most probable given it, best first, with their `log_prob`; of
    those that have every scored column.

    Args:
        joint: the model.
        source: the rows.
        by: the column.
        n: rows a value.
        score: what is scored, what is given -> log p (n,).
    """
    if not isinstance(n, int) or n < 1:
        raise UserError(f"prototypes: n={shown(n)}; expected a whole number from 1")
    check_known([by], list(joint.columns), "by")
    if not isinstance(joint.columns[by].space, Finite):
        raise UserError(f"prototypes: {by}: expected a column of categories, got {joint.columns[by].space}")
    rows = Columns({name: values for name, values in next(source.batches(1 << 62)).items() if name in joint.columns})
    if by not in rows:
        raise UserError(f"prototypes: no column {by} in the data; there are {', '.join(source.names)}")
    scored = [name for name in rows if name != by and name not in joint.conditions]
    whole = np.all([~any_cell(~present(rows[name])) for name in scored], 0)
    parts = list[Columns]()
    for value in sorted({v for v in rows[by].tolist() if v is not None and v == v}, key=lambda v: (str(type(v)), v)):
        mine = rows.rows(np.flatnonzero((rows[by] == value) & whole))
        if not mine.n:
            raise UserError(f"prototypes: no row of {by}={shown(value)} has all of {', '.join(scored)}; leave out of the data "
                            "the columns that it lacks")
        given = {name: mine[name] for name in joint.conditions if name in mine} | {by: mine[by]}
        log_p = score({name: mine[name] for name in scored}, given)
        best = np.argsort(-log_p, kind="stable")[:n]
        parts.append(Columns({**mine.rows(best), "log_prob": log_p[best]}))
    if not parts:
        raise UserError(f"prototypes: {by} has no value in the data")
    return Columns({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _segments(rows: Columns, names: Sequence[str], shares: Mapping[Any, np.ndarray]) -> Columns:
    """Every segment with its share of the rows and the columns that tell it most from all rows, a line each.

    A column tells by the divergence sum_v p(v | segment) log p(v | segment) / p(v), in nats, of its values, numbers in eight
    bins of as many rows each.

    Args:
        rows: the data.
        names: columns to tell segments by.
        shares: segment -> (n,) each row's share in it.
    """
    table: dict[str, list[Any]] = {"segment": [], "share": [], "telling": []}
    binned = {name: _binned(rows[name]) for name in names}
    for segment, share in sorted(shares.items(), key=lambda pair: -float(pair[1].sum())):
        found = []
        for name in names:
            bins, K = binned[name]
            inside = np.bincount(bins, share, K) / max(float(share.sum()), 1e-300)
            everywhere = np.bincount(bins, minlength=K) / len(bins)
            some = inside > 0
            told = float((inside[some] * np.log(inside[some] / everywhere[some])).sum())
            found.append((told, name))
        found.sort(key=lambda pair: (-pair[0], pair[1]))
        table["segment"].append(segment)
        table["share"].append(float(share.sum()) / rows.n)
        table["telling"].append("; ".join(_said(name, rows[name], share) for told, name in found[:_TELLING] if told > 0))
    return Columns(table)


def _binned(values: np.ndarray) -> tuple[np.ndarray, int]:
    """(n,) the bin of every value, and how many there are; the last is of what is missing."""
    if values.dtype.kind in "iufbM" and len(np.unique(values)) > _BINS:
        numbers = _as_numbers(values)
        there = ~np.isnan(numbers)
        edges = np.unique(np.quantile(numbers[there], np.linspace(0, 1, _BINS + 1)[1:-1]))
        return np.where(there, np.searchsorted(edges, numbers, side="right"), len(edges) + 1), len(edges) + 2
    _, bins = np.unique([str(v) for v in values.tolist()], return_inverse=True)
    return bins, int(bins.max()) + 1


def _as_numbers(values: np.ndarray) -> np.ndarray:
    """Numbers as they are, times in seconds; NaN where one is missing."""
    if values.dtype.kind != "M":
        return values.astype(np.float64)
    return np.where(np.isnat(values), np.nan, values.astype("datetime64[s]").astype(np.float64))


def _said(name: str, values: np.ndarray, share: np.ndarray) -> str:
    """A column of a segment beside all rows: mean against mean, or the value that is more frequent by most."""
    if values.dtype.kind in "iufM" and len(np.unique(values)) > _BINS:
        numbers = _as_numbers(values)
        there = ~np.isnan(numbers)
        inside = float((numbers * share)[there].sum() / max(share[there].sum(), 1e-300))
        mean = float(numbers[there].mean())
        if values.dtype.kind == "M":
            dates = [np.datetime64(round(v), "s").astype("datetime64[D]") for v in (inside, mean)]
            return f"{name} {dates[0]} (all {dates[1]})"
        return f"{name} {inside:.4g} (all {mean:.4g})"
    texts = np.array([str(v) for v in values.tolist()])
    distinct, bins = np.unique(texts, return_inverse=True)
    inside, everywhere = np.bincount(bins, share) / share.sum(), np.bincount(bins) / len(bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        told = np.where(inside > 0, inside * np.log(inside / everywhere), -math.inf)
    best = int(told.argmax())
    return f"{name} {distinct[best]} {inside[best]:.0%} (all {everywhere[best]:.0%})"
