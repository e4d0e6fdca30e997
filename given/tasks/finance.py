"""Finance: p(returns, log_range), what a price does next given all days before. Any table of prices with a row a day.

Returns are 100 log(price / price before), in %; log_range, where the table has High and Low, is the logarithm of Parkinson's
variance of the day, (100 log(High / Low))^2 / (4 log 2). `RealizedGARCH` learns both, `GARCH` (GJR, skewed Student, AR(1)) the
returns alone. The last days are held out, and each is judged given all days before it, by what was learned before all of
them: nats of its return, and whether it falls below its value at risk. The trivial baselines are one normal distribution, and
GARCH with Student innovations.

Source: Parkinson, The extreme value method for estimating the variance of the rate of return, 1980 / https://doi.org/10.1086/296071
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from given import distributions
from given.codecs import BlockCodec, IdentityCodec, Series
from given.conditional import Conditional
from given.distributions import SkewedStudent
from given.evaluate import backtest, holm, pinball
from given.families import GARCH, RealizedGARCH
from given.sources import Clock, Columns, Source
from given.sources import read as read_data
from given.sources.kinds import items
from given.variables import Axis, Entries, Observed, Real, UserError, Variable
from given.verbs import Model
from given.verbs import model as model_of
from given.ways import way

__all__ = ["LEVELS", "TRAINING", "Days", "baselines", "days", "goes_on", "measure", "model", "parted", "read", "risk"]

TRAINING: Mapping[str, Any] = {"held_out": 0}  # by `parted`
LEVELS = (0.01, 0.05)
_DATE, _CLOSE = ("date", "time", "timestamp", "ds", "day"), ("adj close", "adj_close", "adjclose", "close", "price")
_WINDOW = 1024  # days that a path may depend on
_FEWEST = 30  # returns


def read(*paths: Any) -> Columns:
    """Returns in %, and the logarithm of the variance that the range of each day shows, as one row: a series each; and the last
    price.

    Args:
        paths: one table, as a file, a frame, or anything else that `given.read` takes.

    Raises:
        UserError: no table with a column of prices, or a price that is none.
    """
    if len(paths) != 1:
        raise UserError(f"finance: expected one table of prices, got {len(paths)}")
    source = paths[0]
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else "prices"
    table = read_data(source)
    date, close = _named(table, _DATE), _named(table, _CLOSE)
    if close is None and len(table.names) == 1:
        close = table.names[0]
    if close is None:
        raise UserError(f"{path}: expected a column of prices, named Adj Close, Close or Price; there are "
                        f"{', '.join(table.names)}; rename it")
    ends = [name for name in (_named(table, ("high",)), _named(table, ("low",))) if name is not None]
    rows = next(table.batches(1 << 60))
    for name in (close, *ends):
        _prices(rows, name, path)  # by the rows' own numbers, before they are ordered
    if date is not None:
        _check_once(rows[date], date, path)
        table = read_data(source, time=date)
        rows = next(table.batches(1))
    prices, skipped = _prices(rows, close, path), list[str]()
    if len(prices) <= _FEWEST or (prices == prices[0]).all():
        raise UserError(f"{path}: {close}: expected more than {_FEWEST} prices that are not all the same, got {len(prices)}")
    found = {"price": prices[-1:], "returns": items(100 * np.diff(np.log(prices)), [len(prices) - 1])}
    if len(ends) == 2:
        high, low = (_prices(rows, name, path) for name in ends)
        if len(wrong := np.flatnonzero(high < low)):
            raise UserError(f"{high[wrong[0]]:g} is below {ends[1]}, {low[wrong[0]]:g}; expected it above", int(wrong[0])).at(
                ends[0]).at(path)
        if len(flat := np.flatnonzero(high[1:] == low[1:])):
            skipped.append(f"{ends[0]}, {ends[1]}: are one price in row {flat[0] + 1}, whose range says nothing; learning from "
                           "returns alone")
        else:
            range_ = (100 * np.log(high / low)) ** 2 / (4 * math.log(2))
            found["log_range"] = items(np.log(range_[1:]), [len(prices) - 1])
    data = Columns(found)
    data.skipped = skipped
    clock = getattr(table, "clock", None)
    if clock is not None:
        data.clock = Clock(clock.name, None, (clock.times[0][1:],))
    return data


def goes_on(model: Model, path: Any) -> Columns:
    """Prices to the end of which a model's paths go on.

    Raises:
        UserError: as `read`, and where the model learned ranges and the table has none.
    """
    data = read(path)
    if absent := [name for name in model.joint.columns if name not in data.names]:
        why = data.skipped[0] if data.skipped else "expected the columns High and Low"
        raise UserError(f"{path}: {absent[0]}: the model learned the range of each day too; {why}")
    return data


def _check_once(dates: np.ndarray, name: str, path: str) -> None:
    """Raise where two rows have one date."""
    first = dict[Any, int]()
    for row, date in enumerate(dates.tolist()):
        if date is not None and first.setdefault(date, row) != row:
            raise UserError(f"{date} stands in row {first[date]} too; expected a row a day; leave one out", row).at(name).at(
                path)


def _named(table: Source, names: tuple[str, ...]) -> str | None:
    """The first of these that a table has, however it is capitalised."""
    there = {name.lower().strip(): name for name in reversed(table.names)}
    return next((there[name] for name in names if name in there), None)


def _prices(rows: Columns, name: str, path: str) -> np.ndarray:
    """(n,) of a column.

    Raises:
        UserError: one is missing, no number, or not above 0.
    """
    column = rows[name]
    values = np.asarray(column[0] if column.dtype == object and isinstance(column[0], np.ndarray) else column)
    if values.dtype.kind not in "iuf":
        raise UserError(f"{name}: expected numbers, got {values.dtype.name}, such as {str(values.flat[0])!r}").at(path)
    if len(wrong := np.flatnonzero(~(np.isfinite(values) & (values > 0)))):
        value = values[wrong[0]]
        raise UserError(f"{'is missing' if value != value else f'got {value:g}'}; expected a price above 0; leave the row out, "
                        "or mend it", int(wrong[0])).at(name).at(path)
    return values.astype(np.float64)


def model(data: Source, *, seed: int = 0, window: int = _WINDOW) -> Model:
    """A model of returns, and of their range where there is one; nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of nothing.
        window: days that are learned from together, and that a path may depend on.
    """
    names = [name for name in ("returns", "log_range") if name in data.names]
    family = RealizedGARCH if len(names) == 2 else GARCH
    return _model(data, ", ".join(names), family, window, seed)


def _model(data: Source, block: str, family: Any, window: int, seed: int = 0) -> Model:
    codecs = {name: Series(IdentityCodec(Real()), window=window) for name in block.split(", ")}
    return model_of(f"p({block})", data, codecs=codecs, families={block: family}, seed=seed)


def parted(data: Columns, share: float) -> tuple[Columns, Columns | None]:
    """The first days, and all of them where the last are held out, with the number of the first: their column `first`.

    Raises:
        UserError: fewer than two would be held out.
    """
    n = len(data["returns"][0])
    first = n - int(n * share)
    if first == n:
        return data, None
    if first > n - 2:
        raise UserError(f"fit: {n} days are too few to hold out {share:.0%}; expected two days or more; pass "
                        f"{way('a larger share', '--held-out 0')}")
    series: dict[str, np.ndarray] = {name: data[name] for name in ("returns", "log_range") if name in data.names}
    some = {name: items(each[0][:first], [first]) for name, each in series.items()}
    return Columns(some), Columns({**series, "first": np.array([first])})


@dataclass(frozen=True)
class Days:
    """Returns, and what was predicted of each from all days before.

    Attributes:
        returns: (n,) in %.
        law: of them, n.
    """

    returns: np.ndarray
    law: SkewedStudent

    @property
    def log_p(self) -> np.ndarray:
        """(n,) nats."""
        return self.law.log_prob(torch.from_numpy(self.returns)).numpy()

    @property
    def scales(self) -> np.ndarray:
        """(n,) standard deviations, in %."""
        return self.law.scale.numpy()

    def quantiles(self, level: float) -> np.ndarray:
        """(n,) below which a return falls with this probability: less the value at risk."""
        return self.law.icdf(torch.full_like(self.law.loc, level)).numpy()

    def after(self, first: int) -> Days:
        """The days from one on."""
        return Days(self.returns[first:], _law(self.law, slice(first, None)))


@torch.no_grad()
def days(model: Model, data: Source) -> Days:
    """What the model predicts of every day of a series of any length, given all days before.

    Args:
        model: learned, of this task.
        data: of `read`.
    """
    learned, rows = model.joint.declared[0], next(data.batches(1))
    names = learned.x.columns
    values = {name: torch.from_numpy(np.asarray(rows[name][0], dtype=np.float64))[None] for name in names}
    whole = _sized(learned, len(rows["returns"][0]))
    x = Entries.block({name: Entries(v) for name, v in values.items()}) if len(values) > 1 else Entries(values["returns"])
    law = whole(Observed(n=1))
    assert isinstance(law, distributions.GARCH)
    ahead = law.predictive(x)
    return Days(values["returns"][0].numpy(), _law(ahead, (0, slice(None), 0)))


def _law(law: SkewedStudent, part: Any) -> SkewedStudent:
    return SkewedStudent(law.df[part], law.skew[part], law.loc[part], law.scale[part], validate_args=False)


def _sized(learned: Conditional, length: int) -> Conditional:
    """What was learned, of series of a length."""
    codec = IdentityCodec(Real(axes=(Axis("time", length, "given", "time"),)))
    names = list(learned.x.columns)
    x = Variable(", ".join(names), BlockCodec(dict.fromkeys(names, codec))) if len(names) > 1 else Variable(names[0], codec)
    whole = type(learned)(x, **{k: v for k, v in learned.arguments.items() if k not in ("x", "parents")})
    whole.load_state_dict(learned.state_dict())
    return whole.eval()


def measure(model: Model, test: Source) -> dict[str, float]:
    """Nats a day of the held-out returns, the shares below the quantiles of 1 and 5 %, the pinball loss there, and the least
    probability of their six back-tests, adjusted by Holm."""
    return _judged(days(model, test).after(_first(test)))


def _judged(held: Days) -> dict[str, float]:
    found, tests = {"nats a day": float(held.log_p.mean())}, dict[str, float]()
    for level in LEVELS:
        quantiles = held.quantiles(level)
        tested = backtest(held.returns, quantiles, level)
        found[f"below {level:.0%}"] = tested.exceeded / tested.days
        found[f"pinball {level:.0%}"] = float(pinball(held.returns, quantiles, level).mean())
        tests |= {f"{name} {level:.0%}": p for name, p in tested.tests.items()}
    return found | {"least p of back-tests": min(holm(tests).values())}


def _first(test: Source) -> int:
    return int(next(test.batches(1))["first"][0])


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """One normal distribution, and GARCH with Student innovations."""
    learned = next(train.batches(1))["returns"][0]
    returns = np.asarray(next(test.batches(1))["returns"][0], dtype=np.float64)[_first(test):]
    loc, scale = (torch.full((len(returns),), float(v), dtype=torch.float64) for v in (learned.mean(), learned.std()))
    normal = Days(returns, SkewedStudent(torch.full_like(loc, 1e8), torch.zeros_like(loc), loc, scale, validate_args=False))
    plain = _model(train, "returns", partial(GARCH, leverage=False, skewed=False, autoregression=False), _WINDOW)
    plain.fit(train, held_out=0, progress=False)
    return {"one normal": _judged(normal), "GARCH, Student": measure(plain, test)}


def risk(model: Model, data: Source, horizon: int = 1, *, n: int = 10_000,
         seed: int = 0) -> tuple[dict[str, float], np.ndarray]:
    """Value at risk and expected shortfall over the next days, in % of what is held: losses that are exceeded with 1 and 5 %,
    and their means there; and the paths (n, horizon) of returns they are of.

    Args:
        model: learned, of this task.
        data: of `read`.
        horizon: days.
        n: paths.
        seed: of them.
    """
    paths = model.forecast(data, horizon, n=n, seed=seed).paths["returns"][:, 0]
    lost = np.sort(-100 * np.expm1(paths.sum(1) / 100))[::-1]
    found = dict[str, float]()
    for level in LEVELS:
        worst = lost[:max(1, int(level * n))]
        found |= {f"value at risk {level:.0%}": float(worst[-1]), f"expected shortfall {level:.0%}": float(worst.mean())}
    return found, paths
