"""Mean, quantiles and mode of one column given the evidence, in raw values.

    E[x | e] = sum_h p(h | e) E[x | h, e],    P(x <= c | e) = sum_h p(h | e) P(x <= c | h, e)

with h the finite columns above x. Each is exact where its terms are closed: a single finite entry by its probabilities, a real
by the means and distribution functions of its distributions. `Intractable` says that they are not; then 1,000 draws stand in.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from given.distributions import Distribution, Intractable
from given.infer.query import Query
from given.infer.within import Within
from given.variables import Codec, Entries, Finite, Product, Real, UserError, Variable

__all__ = ["DRAWS", "Asked", "Summary", "mean", "mode", "quantiles"]

DRAWS = 1000

Asked = Query | Within


@dataclass(frozen=True)
class Summary:
    """A question about one column, which has two answers.

    Attributes:
        exact: query -> raw values (n, ...), or `Intractable`.
        drawn: raw draws (draws, n, ...) -> raw values (n, ...).
        error: raw draws (draws, n, ...) -> the standard errors (n, ...) of these, as numbers; None where there is none.
        deviation: query -> standard deviations (n,) of the column: over the root of the effective number of weighted draws a
            bound on the standard error of a mean over them. None where it has none.
    """

    exact: Callable[[Asked], np.ndarray]
    drawn: Callable[[np.ndarray], np.ndarray]
    error: Callable[[np.ndarray], np.ndarray] | None = None
    deviation: Callable[[Asked], np.ndarray] | None = None


def mean(variable: Variable) -> Summary:
    """The mean of what is not missing: of numbers a float64, of dates a date.

    Raises:
        UserError: its values are no numbers.
    """
    codec, numbers = variable.codec, _numbers(variable, "mean")
    if _counted(variable):
        numbers(_symbols(codec))

    def exact(query: Asked) -> np.ndarray:
        if _counted(variable):
            p, values = query.probabilities(variable.name).numpy(), numbers(_symbols(codec))
            return codec.raw_of(_average(values[:, None], p.T))
        if not (isinstance(variable.space, Real) and codec.affine):
            raise Intractable(f"{variable.name}: its mean has no closed form")
        parts = [(weight, _column(distribution.mean().to("cpu"), distribution, variable.name).tensor)
                 for weight, distribution in query.mixture(variable.name)]
        total = sum(weight.reshape(-1, *[1] * (each.dim() - 1)) * each for weight, each in parts)
        return codec.raw_of(codec.real(Entries(torch.as_tensor(total))))

    def error(raw: np.ndarray) -> np.ndarray:
        value = numbers(raw)
        some = np.maximum((~np.isnan(value)).sum(0), 1)
        return np.sqrt(_average((value - _average(value)) ** 2) / some)

    def deviation(query: Asked) -> np.ndarray:
        p, values = query.probabilities(variable.name).numpy(), numbers(_symbols(codec))[:, None]
        return np.sqrt(_average((values - _average(values, p.T)) ** 2, p.T))

    return Summary(exact, lambda raw: codec.raw_of(_average(numbers(raw))), error, deviation if _counted(variable) else None)


def quantiles(variable: Variable, levels: np.ndarray) -> Summary:
    """The least values (n, levels) that are not exceeded with the probabilities `levels`, of what is not missing.

    Of draws their standard error is half of what lies between the draws whose ranks are one standard error below and above.

    Source: Woodruff, Confidence intervals for medians and other position measures, 1952 /
    https://doi.org/10.1080/01621459.1952.10483443

    Raises:
        UserError: its values are no single numbers.
    """
    numbers = _numbers(variable, "quantile")
    if variable.space.axes:
        raise UserError(f"{variable.name}: expected a column of single numbers, got {variable.space}; take quantiles of sample")

    def exact(query: Asked) -> np.ndarray:
        if _counted(variable):
            raw = _symbols(variable.codec)
            order, last = _sorted(numbers(raw))
            p = query.probabilities(variable.name).numpy()[:, order[:last]]
            upto = p.cumsum(1) / p.sum(1, keepdims=True)
            at = (upto[:, None] < levels[:, None] * (1 - 1e-12)).sum(-1)  # rounding alone is no step
            return raw[order[np.minimum(at, last - 1)]]
        if not isinstance(variable.space, Real) or variable.space.atoms:
            raise Intractable(f"{variable.name}: its quantiles have no closed form")
        goal = torch.from_numpy(levels)[:, None].expand(-1, query.n)
        return variable.codec.decode(Entries(query.cumulative(variable.name).inverse(goal))).T

    def drawn(raw: np.ndarray) -> np.ndarray:
        value = numbers(raw)
        order, there = np.argsort(value, 0), (~np.isnan(value)).sum(0)  # NaN last
        at = np.ceil(levels[:, None] * there).astype(int) - 1
        return np.take_along_axis(raw, np.take_along_axis(order, np.clip(at, 0, None), 0), 0).T

    def error(raw: np.ndarray) -> np.ndarray:
        value = np.sort(numbers(raw), 0)  # NaN last
        there = (~np.isnan(value)).sum(0)
        off = np.sqrt(levels * (1 - levels))[:, None] * np.sqrt(there)
        low, high = (np.take_along_axis(value, np.clip(np.rint(levels[:, None] * there + sign * off).astype(int) - 1, 0,
                                                       np.maximum(there - 1, 0)), 0) for sign in (-1, 1))
        return (high - low).T / 2

    return Summary(exact, drawn, error)


def mode(variable: Variable) -> Summary:
    """The most probable value.

    Raises:
        UserError: of a column that is no single symbol, where its distribution has no mode in closed form.
    """
    name, codec = variable.name, variable.codec
    single = isinstance(variable.space, Finite) and variable.space.dimensions == 1

    def exact(query: Asked) -> np.ndarray:
        if single:
            return codec.decode(Entries(query.probabilities(name).argmax(-1).reshape(-1, *variable.space.shape)))
        distributions = [distribution for _, distribution in itertools.islice(query.mixture(name), 2)]
        if len(distributions) == 1 and (isinstance(variable.space, Finite) or codec.affine):
            with contextlib.suppress(Intractable):
                return codec.decode(_column(distributions[0].mode().to("cpu"), distributions[0], name))
        if isinstance(variable.space, Real):
            raise UserError(f'{name}: a real column has no mode in closed form here; ask for its median, '
                            f'quantile("{name}", 0.5), or mean("{name}")')
        raise UserError(f"{name}: its mode has no closed form; take draws of sample, how=Beam(8) for a likely one")

    def drawn(raw: np.ndarray) -> np.ndarray:
        _, first, each = np.unique([str(v) for v in raw.ravel().tolist()], return_index=True, return_inverse=True)
        counts = np.stack([np.bincount(column, minlength=len(first)) for column in each.reshape(raw.shape).T])
        return raw.ravel()[first[counts.argmax(1)]]

    return Summary(exact, drawn)


def _numbers(variable: Variable, what: str) -> Callable[[np.ndarray], np.ndarray]:
    def numbers(raw: np.ndarray) -> np.ndarray:
        try:
            return variable.codec.numbers(raw)
        except UserError:
            raise UserError(f"{variable.name}: holds no numbers, so it has no {what}; "
                            "ask for its mode, or for sample") from None

    return numbers


def _counted(variable: Variable) -> bool:
    return isinstance(variable.space, Finite) and not variable.space.axes


def _symbols(codec: Codec) -> np.ndarray:
    """The raw value of every symbol, (V,)."""
    return codec.decode(Entries(torch.arange(codec.space.size)))  # type: ignore[attr-defined]


def _column(x: Entries, distribution: Distribution, name: str) -> Entries:
    return x.columns[name] if isinstance(distribution.space, Product) else x


def _sorted(value: np.ndarray) -> tuple[np.ndarray, int]:
    """The order of values, NaN last, and how many are none."""
    return np.argsort(value), int((~np.isnan(value)).sum())


def _average(value: np.ndarray, weight: Any = 1.0) -> np.ndarray:
    """The mean over the first axis of what is not NaN; NaN where there is none of it."""
    weight = np.where(np.isnan(value), 0.0, weight)
    total, some = (weight * np.nan_to_num(value)).sum(0), weight.sum(0)
    return np.divide(total, some, out=np.full(np.shape(total), math.nan), where=some > 0)
