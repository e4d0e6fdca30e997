"""LinearAutoregressive and SeasonalNaive: series whose next values are linear in those before.

    AR(p), VAR(p):   x_t = W' [1, u_t, x_{t-1}, ..., x_{t-p}] + e_t
    seasonal naive:  x_t = x_{t-m} + e_t

W is ridge regression of standard units in closed form, drawn towards zero, the last value, or that of a season before; u are
the parents: covariates along the same axis, and what is constant of an item; one that is unseen is a value of its own. The
innovations of several columns are correlated, and each is a mixture of scales, whose tails are as heavy as the data's. They are
as large as those before say, those a season before too, by a second regression (`distributions.Spread`), where that foretells
the sizes of the last fifth. Where fewer than p values stand before, a regression on those serves, on 0, 1, 2, 3, 4, 6, 8, 12,
... of them: so `log_prob` is exact for series of any length, and a beginning of any length is gone on from. Order, ridge and
what it draws towards are chosen by the log-probability of the last fifth of the rows, or of a series, and all are learned from
again. A column reads the others' past where that errs less over several steps to come, too, since what helps one step often
spoils the next. Both parts of complex numbers share a component of the mixture; where these are circular, as probable after a
rotation, the regression is one of complex numbers.

Source: Hoerl, Kennard, Ridge regression, 1970; Luetkepohl, New introduction to multiple time series analysis, 2005;
Hyndman, Athanasopoulos, Forecasting: principles and practice, 2021 / https://otexts.com/fpp3/simple-methods.html
"""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional
from given.distributions import (
    Choice,
    Ladder,
    Lagged,
    Spread,
    by_columns,
    changes,
    correlated,
    foretold,
    lagged_ridge,
    left_of,
    measured,
    missed,
    period_of,
)
from given.lessons import Batch, Lesson, MappedBatches, Solve, deadline_of
from given.nn.order import Raster
from given.variables import Entries, Finite, Observed, UserError, Variable

__all__ = ["LinearAutoregressive", "SeasonalNaive"]

_RIDGES = (0.1, 1.0, 10.0, 100.0, 1000.0)
_LONGEST, _WIDEST = 512, 2048  # orders nobody chose, and how many values they read
_FEW = 8  # values that choose nothing
_MOSTLY = 0.7  # of all values, that must stand after as many as are read
_CLEAR = 2.0  # nats by which more values before must be better
_REFILLS = 4  # times that gaps are drawn and learned from
_LEAST = 8  # innovations that say how large the next is


class _Linear(Conditional):
    """What both are: a ladder of orders, and how series and covariates are read."""

    plans: tuple[str, ...] = ("spreads",)
    remembers = False
    on_lines = True

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, components: int = 3) -> None:
        super().__init__(x, parents)
        who = type(self).__name__
        distributions.Flattened.check_real(x, who)
        if not isinstance(components, int) or components < 1:
            raise UserError(f"{who}: {x.name}: components={components!r}; expected a whole number from 1")
        axes = [part.axes[0] if part.axes else None for _, part in x.space.parts]
        first = axes[0]
        self.axis = first if first is not None and all(a is not None and a.shares(first) for a in axes) else None
        if self.axis is None and len(axes) == 1 and first is not None:
            self.axis = first
        self.length = 1 if self.axis is None else self.axis.size
        self.components, self.channels = components, x.space.dimensions // self.length
        self.pairs = all(len(part.axes) > 1 and (part.axes[-1].role, part.axes[-1].size) == ("channel", 2)
                         for _, part in x.space.parts)
        self.own = 2 if self.pairs else 1
        self.at = Raster().steps(x.space).argsort(stable=True).reshape(self.length, self.channels)
        self.features = [self._aligned(v) for v in self.parents]
        self.width = sum(size for _, size in self.features)

    def _aligned(self, v: Variable) -> tuple[bool, int]:
        """Whether a parent has values along the axis of x, and how many numbers it is at a place, or in all.

        Raises:
            UserError: another grid of symbols, which is nothing linear.
        """
        if len(v.space.parts) > 1:
            raise UserError(f"{type(self).__name__}: {v.name}: expected single parents, got a block; name its columns")
        along = bool(self.axis is not None and v.space.axes and v.space.axes[0].shares(self.axis)
                     and v.space.axes[0].size == self.length)
        symbols = v.space.size if isinstance(v.space, Finite) else 2  # a number, or that it is unseen
        return along, symbols * v.space.dimensions // (self.length if along else 1)

    def _build(self, orders: int, most: int, group: int = 1) -> None:
        """Buffers of a ladder of so many orders, which say nothing yet: standard normals. Up to `most` innovations say how
        large the next is; channels share a component in groups."""
        C, K = self.channels, self.components
        self.group = group
        self._most = most if most >= _LEAST else 0
        orders += self._most > 0
        self.register_buffer("spreads", torch.tensor(0))  # the period of sizes, 1 for none; 0 where they are all alike
        self.register_buffer("within", torch.zeros(orders, C, C, dtype=torch.float64))
        self.register_buffer("logits", torch.zeros(orders, C, K, dtype=torch.float64))
        self.register_buffer("scales", torch.ones(orders, C, K, dtype=torch.float64))
        if self._most:
            self.register_buffer("sizes", torch.zeros(C, Spread.width(most), dtype=torch.float64))
            self.register_buffer("unit", torch.ones(C, dtype=torch.float64))

    @property
    @abc.abstractmethod
    def orders(self) -> tuple[int, ...]:
        """Of the ladder, rising from 0."""

    @property
    @abc.abstractmethod
    def weights(self) -> list[Tensor]:
        """Of the ladder."""

    def _ladder(self, *, spread: bool = True) -> Ladder:
        """What stands in the buffers; with innovations that are as large as those before say, or without."""
        orders, weights = self.orders, self.weights
        starts, sizes = orders, None
        if self._most and spread:
            period = int(self.get_buffer("spreads"))
            learned = Spread.of(period, self._most, self.get_buffer("sizes"), self.get_buffer("unit"))
            orders, weights = (*orders, orders[-1]), [*weights, weights[-1]]
            starts, sizes = (*starts, max(starts[-1], learned.reach)), learned if period else None
        within, logits, scales = (self.get_buffer(name)[:len(orders)] for name in ("within", "logits", "scales"))
        return Ladder(orders, starts, weights, within, logits, scales, sizes, self.group)

    def _measure(self, lagged: Iterable[Lagged], units: Tensor | None = None) -> None:
        """Innovations, of these weights."""
        if self._most:
            within, sizes, unit = (self.get_buffer(name) for name in ("within", "sizes", "unit"))
            within[-1] = within[-2]
            self.get_buffer("spreads").zero_()
            if deadline_of(lagged).allows(0.0):
                found, period = foretold(self._ladder(spread=False), self._most, lagged)
                sizes.copy_(found.weights)
                unit.copy_(found.unit)
                self.get_buffer("spreads").fill_(period if bool((sizes != 0).any()) else 0)
        for name, values in zip(("logits", "scales"), measured(self._ladder(), lagged, self.components, units), strict=True):
            self.get_buffer(name).copy_(values)

    def forward(self, y: Observed) -> distributions.Distribution:
        return distributions.LinearChain(self.x.space, self.at, self._ladder(), self._covariates(y))

    def _covariates(self, y: Observed) -> Tensor:
        """u: (B, T, F) float64."""
        found = [torch.zeros(y.n, self.length, 0, dtype=torch.float64, device=self.get_buffer("scales").device)]
        for v, (along, size) in zip(self.parents, self.features, strict=True):
            e = y[v.name].flat(v.space)
            values = torch.where(e.readable, e.tensor, 0.0)
            there = e.readable[..., None]
            each = F.one_hot(values.long(), v.space.size) * there if isinstance(v.space, Finite) else torch.cat(
                [values[..., None], ~there], -1)
            values = each.double().reshape(y.n, self.length if along else 1, size)
            found.append(values.expand(-1, self.length, -1))
        return torch.cat(found, -1)

    def _lagged(self, batches: Iterable[Batch]) -> Iterable[Lagged]:
        """Re-iterable batches of series."""
        return MappedBatches(batches, self._each)  # type: ignore[arg-type, return-value]

    def _each(self, batches: Iterable[Batch]) -> Iterator[Lagged]:
        for x, y, weight in batches:
            flat = x.flat(self.x.space)
            yield self._one(flat, torch.where(flat.readable, flat.tensor, 0.0), flat.readable, y, weight)

    def _one(self, flat: Entries, values: Tensor, known: Tensor, y: Observed, weight: Tensor) -> Lagged:
        at = self.at.to(values.device)
        there, read = known[:, at].all(-1), flat.context[:, at].any(-1)  # type: ignore[index]
        place = torch.arange(1, self.length + 1, device=there.device)
        run = place - torch.where(there, 0, place).cummax(1).values
        return Lagged(values[:, at], self._covariates(y), run, weight.double(), there & ~read)

    def _filled(self, batches: Iterable[Batch], turn: int) -> Iterable[Lagged] | None:
        """Re-iterable batches whose gaps are drawn by what is learned so far; None where there are none."""
        found, first, gaps = list[Batch | Lagged](), 0, False
        for x, y, weight in batches:
            flat, law = x.flat(self.x.space), self(y)
            noise = distributions.Noise.of(turn, y.n, first_row=first, device=flat.device)
            values, known = law.filled(flat.tensor, flat.readable, noise)
            gaps |= bool((known & ~flat.readable).any())
            found.append(self._one(flat, values, known, y, weight))
            first += y.n
        return MappedBatches(batches, lambda _: found) if gaps else None  # type: ignore[arg-type, return-value]

    @abc.abstractmethod
    def _solve(self, batches: Iterable[Batch]) -> None:
        """Learn from re-iterable batches."""

    def lessons(self) -> list[Lesson]:
        return [Solve(self._solve)]


class LinearAutoregressive(_Linear):
    """AR(p) of one series and VAR(p) of several, by ridge regression, with covariates.

    Args:
        x: reals along an axis, or a block of columns that share one.
        parents: of any space: covariates where they share the axis.
        order: how many values before are read; None: of 0, 1, 2, 4, ... to half of the axis, 512 at most, as the last fifth
            says.
        ridge: of standard units, in rows; None: of .1 to 1,000 as the last fifth says, and the like of what it draws towards.
        across: whether a column reads the past of the others; None: as the last fifth says.
        circular: whether complex numbers, grids that end in pairs of channels, are as probable after a rotation, so that
            covariates and constants say nothing; None: as the last fifth says.
        sizes: whether innovations may be as large as those before say.
        components: scales of the innovations' mixture; 1 for normal ones.
    """

    plans = ("ridges", "spreads", "toward")

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, order: int | None = None,
                 ridge: float | None = None, across: bool | None = None, circular: bool | None = None, sizes: bool = True,
                 components: int = 3) -> None:
        super().__init__(x, parents, components=components)
        if order is not None and (not isinstance(order, int) or order < 0):
            raise UserError(f"LinearAutoregressive: {x.name}: order={order!r}; expected a whole number from 0")
        if ridge is not None and not ridge > 0:
            raise UserError(f"LinearAutoregressive: {x.name}: ridge={ridge!r}; expected a number above 0")
        if circular and not self.pairs:
            raise UserError(f"LinearAutoregressive: {x.name}: circular=True, got {x.space}; expected Series(Complex())")
        self.order, self.ridge, self.across, self.circular = order, ridge, across, circular
        longest = max(1, min(self.length // 2, _LONGEST, _WIDEST // self.channels))
        most = min(self.length - 1, longest if order is None else order)
        steps = {k * 2**i for k in (2, 3) for i in range(most.bit_length())}
        self._orders = tuple(sorted({0, most, *(p for p in (1, *steps) if p <= most)}))
        for k, p in enumerate(self._orders):
            size = 1 + self.width + p * self.channels
            self.register_buffer(f"weight_{k}", torch.zeros(size, self.channels, dtype=torch.float64))
        self._build(len(self._orders), self.length // 3 if sizes else 0, 2 if self.pairs else 1)
        self.register_buffer("toward", torch.zeros(self.channels, dtype=torch.int64))  # whose weight is drawn to 1; 0 for none
        self.register_buffer("ridges", torch.full((self.channels,), 1.0 if ridge is None else ridge, dtype=torch.float64))
        start = [most, self.channels < 4 if across is None else across, self.pairs and circular is not False]
        self.register_buffer("chosen", torch.tensor(start, dtype=torch.float64))

    @property
    def orders(self) -> tuple[int, ...]:
        return self._orders

    @property
    def weights(self) -> list[Tensor]:
        return [self.get_buffer(f"weight_{k}") for k in range(len(self.orders))]

    def _solve(self, batches: Iterable[Batch]) -> None:
        self._learn(self._lagged(batches))
        for turn in range(_REFILLS):
            if not deadline_of(batches).allows(0.0) or (filled := self._filled(batches, turn)) is None:
                return
            self._learn(filled)

    def _learn(self, lagged: Iterable[Lagged]) -> None:
        moments, n = distributions.second_moments(lagged, self.orders, 1 + self.width, self.channels)
        if not float(n.sum()):
            raise UserError(f"{self}: no value is known; expected series of at least one value")
        self._choose(moments, n, lagged)
        most, across, circular = self.get_buffer("chosen").tolist()
        ridges, toward = self.get_buffer("ridges").tolist(), self.get_buffer("toward").tolist()
        deviations = torch.ones_like(self.get_buffer("scales")[..., 0])
        known = torch.zeros(0, self.channels, dtype=torch.float64, device=n.device)
        for k, (order, weight) in enumerate(zip(self.orders, self.weights, strict=True)):
            count, M = n[k].sum().clamp(min=1.0), moments[k].sum(0)
            M = distributions.turned(M, 1 + self.width) if circular else M
            if not k or float(n[k].sum()) > _FEW:
                some = max(o for o in self.orders if o <= min(order, most))
                known = lagged_ridge(M, some, ridges, toward, bool(across), 1 + self.width, self.own)
                covariance = left_of(M, known) / count
                self.get_buffer("within")[k] = within = correlated(covariance)
                deviations[k:] = distributions.deviations(within, covariance) if self.pairs else 1.0
            weight.zero_()  # where no series is so long, what fewer say
            weight[:len(known)] = known
        self._measure(lagged, deviations)


    def _choose(self, moments: Sequence[Tensor], n: Tensor, lagged: Iterable[Lagged]) -> None:
        """Order, and every column's ridge and what it draws towards, by the log-probability of the last fifth, of what is
        before it learned, as if innovations were normal; and whether columns read one another's past by what is missed over
        several steps there."""
        whole = n[:, 1:].sum(1)
        tops = [k for k in range(len(self.orders)) if float(n[k, 2]) > _FEW and (not k or whole[k] >= _MOSTLY * whole[0])]
        if not tops:
            return
        k, C, chosen = tops[-1], self.channels, self.get_buffer("chosen")
        early, late = (moments[k][i] / n[k, i].clamp(min=1.0) for i in (1, 2))
        orders = [o for o in self.orders[:k] if o & (o - 1) == 0] if self.order is None else []  # 0, 1, 2, 4, ...
        orders.append(self.orders[k])
        season = period_of(changes(lagged), self.length) if deadline_of(lagged).allows(0.0) else 1
        towards = sorted({0, 1, season if season <= self.orders[k] else 1}) if self.ridge is None else [0]
        kinds = [(True, distributions.turned(early, 1 + self.width))] if self.pairs and self.circular is not False else []
        kinds += [] if self.circular else [(False, early)]
        ridges, several = _RIDGES if self.ridge is None else (self.ridge,), C > self.own
        found = [Choice(int(chosen[0]), bool(chosen[1]), bool(chosen[2]), self.get_buffer("ridges").tolist(), [0] * C, early)]
        for across in (False, True) if self.across is None and several else (bool(chosen[1]),):
            best, kept = -math.inf, found[0]
            for some, (circular, M) in itertools.product(orders, kinds):
                drawn = [found[1].toward] if len(found) > 1 else [[lag] * C for lag in towards]
                each = by_columns(M, late, some, ridges, drawn, n[k], across, 1 + self.width, self.own, circular)
                learned, held = left_of(M, each.weights), left_of(late, each.weights)
                root = torch.linalg.cholesky(learned + 1e-9 * torch.eye(C, dtype=learned.dtype, device=learned.device))
                score = -0.5 * float(2 * root.diagonal().log().sum() + torch.cholesky_solve(held, root).trace())
                if float(n[k, 2]) * (score - best) > _CLEAR:
                    best, kept = score, each
            found.append(kept)
        found = found[1:]
        if len(found) > 1 and deadline_of(lagged).allows(0.0):
            found = found[int(missed([each.weights for each in found], [each.order for each in found], lagged).argmin()):]
        one = found[0]
        chosen.copy_(n.new_tensor([one.order, one.across, one.circular]))
        self.get_buffer("ridges").copy_(n.new_tensor(one.ridges))
        self.get_buffer("toward").copy_(torch.tensor(one.toward))


class SeasonalNaive(_Linear):
    """What was seen a period before, and how far values stray from it; where less stands before, the last value.

    Args:
        x: reals along an axis, or a block of columns that share one.
        parents: none.
        period: how many values a season has; None: as the axis knows, else the least lag whose autocorrelation, of the
            differences from value to value, is a peak of nearly the highest, or 1.
        components: scales of the mixture of how far they stray; 1 for a normal one.
    """

    plans = ("season", "spreads")

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, period: int | None = None,
                 components: int = 3) -> None:
        super().__init__(x, parents, components=components)
        if self.parents:
            raise UserError(f"{self}: SeasonalNaive takes no parents; make them part of the block, or use LinearAutoregressive")
        if period is not None and not 1 <= period < max(2, self.length):
            raise UserError(f"SeasonalNaive: {x.name}: period={period!r}; expected a whole number from 1, and less than the "
                            f"{self.length} values of a window")
        if period is None and self.axis is not None and self.axis.season is not None and self.axis.season < self.length:
            period = self.axis.season
        self.register_buffer("season", torch.tensor(period or 1))
        self._given = period
        self.register_buffer("level", torch.zeros(self.channels, dtype=torch.float64))
        self._build(3, self.length // 3)

    @property
    def orders(self) -> tuple[int, ...]:
        return 0, 1, int(self.get_buffer("season"))

    @property
    def weights(self) -> list[Tensor]:
        level, C = self.get_buffer("level"), self.channels
        found = [level[None]]
        for order in self.orders[1:]:
            weight = level.new_zeros(1 + order * C, C)
            weight[1 + (order - 1) * C:] = torch.eye(C, dtype=level.dtype, device=level.device)
            found.append(weight)
        return found

    def _solve(self, batches: Iterable[Batch]) -> None:
        lagged = self._lagged(batches)
        total, n = torch.zeros_like(self.get_buffer("level")), 0.0
        for batch in lagged:
            w = batch.weight[:, None] * (batch.run > 0)
            total, n = total + (batch.series * w[..., None]).sum((0, 1)), n + float(w.sum())
        if not n:
            raise UserError(f"{self}: no value is known; expected series of at least one value")
        self.get_buffer("level").copy_(total / n)
        if self._given is None:
            self.get_buffer("season").fill_(period_of(changes(lagged), self.length) if deadline_of(lagged).allows(0.0) else 1)
        self._measure(lagged)
