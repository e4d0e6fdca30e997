"""Query: what follows from what is observed, in raw values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.distributions import How, Intractable
from given.evaluate import Score
from given.infer import Part, Rows, Stop, Within, below_reals, observe, split_events, taken_as_events
from given.infer import Query as _Query
from given.infer.summary import Asked, Summary, mean, mode, quantiles
from given.infer.windows import cut
from given.joint import Joint
from given.sources import Columns
from given.variables import Entries, Real, UserError, Variable, shown
from given.verbs.answer import Answer, answered, plain, probabilities
from given.verbs.checks import check_draws, check_known, check_room, named, rows_at_once, spelled, whole_seed
from given.verbs.draws import Draws, Raw
from given.verbs.predictive import Predictive
from given.verbs.prior import log_prior
from given.verbs.ranking import ranked
from given.verbs.scoring import score_of

__all__ = ["Query"]


class Query:
    """What follows from what is observed. Made by `Model.given`.

    Its verbs return columns in raw form. With one item observed, or none, draws are (n, ...); with several, (n, items, ...).
    """

    def __init__(self, joint: Joint, observed: Mapping[str, Any], prior: Mapping[str, Any],
                 first_row: int | Tensor = 0, dtypes: Any = None, n: int | None = None) -> None:
        self.joint, self.first_row, self.dtypes = joint, first_row, dtypes
        given, self._regions = split_events(joint, observed)
        seen = {name: observe(joint.columns[name], value) for name, value in given.items()}
        lengths = {name: len(x) for name, (x, single) in seen.items() if not single}
        if len(set(lengths.values())) > 1:
            raise UserError(f"given: expected columns of one length, got {lengths}")
        self._single, self.n = not lengths and n is None, next(iter(lengths.values()), n or 1)
        self._evidence = {name: x for name, (x, _) in seen.items()}
        self._begun = {name for name, value in observed.items() if isinstance(value, Part | Rows)}
        self._prior = {name: log_prior(joint, name, p) for name, p in prior.items()}
        self._only: tuple[tuple[Any, ...], list[tuple[Tensor, Asked]]] = (), []
        joint.eval()

    def _parts(self, n: int, at_once: int | None = None) -> Iterator[tuple[Tensor, Asked]]:
        """The query over some of n rows at a time, with their numbers; what is given once is given to all. Where all rows go
        together the query is kept, and what was bound with it, for what is asked next."""
        most = at_once or rows_at_once(self.joint)
        key = (n, most if n > most else 0, self.first_row if isinstance(self.first_row, int) else id(self.first_row))
        if self._only[0] != key:
            if n > most:
                yield from self._bind(n, most)
                return
            self._only = key, list(self._bind(n, most))
        yield from self._only[1]

    def _bind(self, n: int, at_once: int) -> Iterator[tuple[Tensor, Asked]]:
        """Those parts.

        Rows of which the same columns are given, and as much of items that go on past a window, go together.
        """
        begun = {name: self.joint.columns[name].space.axes[0].size for name in self._begun & self.joint.windowed}
        there = [how(e.seen.reshape(len(e), -1), 1).expand(n)  # type: ignore[union-attr]
                 for e in self._evidence.values() for how in (torch.any, torch.all)]
        there += [_known(self._evidence[name]).expand(n) for name in begun]
        below = below_reals(self.joint, self._evidence.keys())
        there += [self._evidence[name].tensor.reshape(-1).expand(n).long() for name in below]
        alike = torch.stack(there).unique(dim=1, return_inverse=True)[1] if there else torch.zeros(n, dtype=torch.int64)
        for pattern in alike.unique():
            for rows in (alike == pattern).nonzero()[:, 0].split(at_once):
                evidence = {k: e.rows(rows % len(e)) for k, e in self._evidence.items()}
                for name, window in begun.items():  # nothing but what is known lies past the first window
                    evidence[name] = cut(evidence[name], 0, max(window, int(_known(evidence[name]).max())))
                numbers = self.first_row + rows if isinstance(self.first_row, int) else self.first_row.to(rows.device)[rows]
                regions = self._regions | taken_as_events(self.joint, evidence, below)
                query = _Query(self.joint, evidence, len(rows), self._prior, numbers)
                yield rows, Within(query, regions) if regions else query

    def _asked(self, ask: Callable[[Asked], dict[str, Entries]]) -> tuple[list[dict[str, Entries]], Tensor]:
        """What every part answers, and the order that puts their rows back. What one part is given and another answers is
        returned of both."""
        parts = [(rows, query, ask(query)) for rows, query in self._parts(self.n)]
        names = dict.fromkeys(name for _, _, answer in parts for name in answer)
        for _, query, answer in parts:
            for name in names.keys() - answer.keys():
                answer[name] = query.evidence[name]
        return [answer for _, _, answer in parts], torch.cat([rows for rows, _, _ in parts]).argsort()

    def sample(self, n: int = 1, *, columns: Sequence[str] | None = None, seed: int | None = 0, how: How | None = None,
               length: int | None = None, where: Any = None, first_draw: int = 0) -> Columns:
        """Draws of every column, what was observed untouched: (n, ...), or (n, items, ...).

        They are drawn some at a time, so that memory grows by what is returned alone; of `draws` it does not grow. A draw
        depends on the seed, its number and its row's: the first of many are those of few, equal up to the rounding of the
        arithmetic.

        Args:
            n: draws.
            columns: only these, by default all. To draw some columns is another question than to draw all: what is not asked
                is left out, as in `log_prob`.
            seed: the same one draws the same rows, 0 too, which is the default; None draws fresh ones.
            how: of the draws.
            length: entries of an item in windows, one window by default, or as many as what is given along its axis; past it
                the window moves on by the axis's stride, and what was drawn last is read.
            where: what draws have to meet, as "age > 30 and city in ['Rome', 'Oslo']", or a function of columns to a mask: the
                first draws that do are kept, and `acceptance` of them is the share that did.
            first_draw: the number of the first.

        Raises:
            UserError: what cannot be meant, or too few of 200 batches of draws meet `where`.
        """
        return Draws(self, n, columns, seed, how, length, where, first_draw).held()

    def draws(self, n: int = 1, *, columns: Sequence[str] | None = None, seed: int | None = 0, how: How | None = None,
              length: int | None = None, where: Any = None, first_draw: int = 0) -> Draws:
        """What `sample` draws, bit for bit, as rows that are drawn as they are read: `draws(10**6).save("rows.csv")`, or `for
        rows in draws(10**6).batches(10_000)`. Every pass draws the same.

        Args:
            n, columns, seed, how, length, where, first_draw: as of `sample`.

        Raises:
            UserError: as `sample`, or several items are observed.
        """
        if not self._single:
            raise UserError(f"draws: expected one item to be given, got {self.n}; ask for each, or use sample")
        return Draws(self, n, columns, seed, how, length, where, first_draw)

    def stream(self, *, seed: int | None = 0, how: How | None = None, length: int | None = None,
               stop: str | Sequence[str] = ()) -> Iterator[Any]:
        """One draw of what has a length as it is drawn, such as a text by whole characters: what comes after what is given.

        Args:
            seed, how, length: as of `sample`.
            stop: strings after which a text is over: short for `how | Stop(stop)`.

        Raises:
            UserError: there is not one such column to draw, or more than one item is given.
        """
        long = [f.x for f in self.joint if f.x.space.axes and f.x.space.axes[0].length != "fixed"
                and not (f.x.name in self._evidence and f.x.name not in self._begun)]
        if len(long) != 1 or self.n > 1:
            raise UserError(f"stream: expected one text, or other column that has a length, to draw of one item, got "
                            f"{len(long)} of {self.n} items; give the others, or use sample")
        check_draws(self.joint, how, length, "stream")
        check_room(self.joint, self._evidence, self._begun, length)
        if stop:
            how = Stop(stop) if how is None else how | Stop(stop)
        _, query = next(self._parts(1))
        blocks = query.stream(long[0].name, seed=whole_seed(seed), how=how, length=length)
        next(blocks)  # what is given
        return long[0].codec.spoken(blocks)

    def rank(self, data: Mapping[str, Any] | None = None, /, *, pmi: Any = False, seed: int | None = 0,
             **candidates: Any) -> Columns:
        """Candidates, the most probable given what is observed first, with their `log_prob` in nats: of a family that knows
        only how candidates compare, such as PretrainedContrastive, among these.

        Args:
            data, candidates: columns of candidates, as of `score`; whole texts where what they begin with is observed.
            pmi: rank by what the observed tells of them instead, pointwise mutual information
                log p(x | y) - log p(x), in the column `pmi`. p(x) is the model's own, that of its family (Contrastive) or y
                summed out where it can be; or pass another model that has p(x).
            seed: of the noise of estimates.

        Raises:
            UserError: several items are observed, or there is no p(x).
        """
        if not self._single:
            raise UserError(f"rank: expected one item to be given, got {self.n}; ask for each")
        return ranked(self, named(data, spelled(candidates, list(self.joint.columns))), pmi, seed)

    def beside(self, joint: Joint | None) -> Query:
        """A query of nothing that is observed, of this joint or of another; of its own, or of a part of it, with its priors."""
        base = Query(joint or self.joint, {}, {})
        base._prior = self._prior
        return base

    def of(self, joint: Joint) -> Query:
        """The same question to another joint, whose observed variables are the same."""
        other = copy.copy(self)
        other.joint, other._only = joint.eval(), ((), [])
        return other

    def log_prob(self, data: Mapping[str, Any] | None = None, /, *, seed: int | None = 0, **columns: Any) -> np.ndarray:
        """log p(columns | observed) in nats and raw units, what is not mentioned summed out: (n,) float64.

        Of a column that is observed in part, what was not observed is scored: `given(text=prefix("To be")).log_prob(text=
        ["To be or not"])` is log p of what follows the prefix, the end of the text included where its length is modelled.

        Raises:
            UserError: a value that is not what is observed of it.
        """
        return self.score(data, seed=seed, **columns).items

    @torch.no_grad()
    def score(self, data: Mapping[str, Any] | None = None, /, *, seed: int | None = 0, **columns: Any) -> Score:
        """As `Model.score`, given what is observed."""
        joint, seed = self.joint, whole_seed(seed)
        values = named(data, spelled(columns, list(joint.columns)))
        check_known(values, list(joint.columns), "score")
        if not values:
            raise UserError("score: nothing to score; pass the columns to score")
        x = {k: observe(joint.columns[k], v, self._evidence.get(k))[0] for k, v in values.items()}
        n = max(self.n, *map(len, x.values()))
        for length in map(len, x.values()):
            if length not in (1, n):
                raise UserError(f"score: expected 1 or {n} values, got {length}")
        if self.n != n and not self._single:
            raise UserError(f"score: {n} values for {self.n} items that are given; expected one each")
        parts, numbers, given = [], list[Tensor](), (
            *(k for k, e in self._evidence.items() if not e.hidden), *self._regions)
        for rows, query in self._parts(n):
            some = {k: e.rows(rows % len(e)) for k, e in x.items()}
            new = {k: Entries(e.tensor, e.seen & ~query.evidence[k].scored, e.valid)  # type: ignore[operator]
                   if k in query.evidence else e for k, e in some.items()}
            parts.append(score_of(joint, new, *query.log_prob(some, seed=seed), given))
            numbers.append(rows)
        score = parts[0].joined(parts[1:])
        return replace(score, items=score.items[torch.cat(numbers).argsort().numpy()])

    @torch.no_grad()
    def mode(self, name: str | None = None, /, *, seed: int | None = 0) -> Any:
        """The most probable value of one column, whatever the others are: that of one item, or (items, ...).

        Args:
            name: a column, by default all that is unknown together: the most probable joint value of the finite columns above
                what is observed, and the modes of the others given them, a column each; of sets the
                likeliest symbol after symbol.
            seed: of 1,000 draws, of which the most frequent value is taken where probabilities are out of reach.

        Raises:
            UserError: a column of reals, or a grid, without a mode in closed form; a real one has a median.
        """
        if name is None:
            return self._columns(*self._asked(lambda q: q.mode()), (self.n,))
        return self._summary(name, mode, seed)

    @torch.no_grad()
    def mean(self, name: str | None = None, /, *, seed: int | None = 0) -> Any:
        """The mean of one column of numbers, dates or times, whatever the others are: that of one item, or (items, ...).

        Of what is not missing, float64; of dates a date. It is exact where the column's distribution has a mean in closed form
        and its codec is a line (`Gaussian`, mixtures of them), and where it is a single finite entry; elsewhere that of 1,000
        draws, whose standard error is a thirtieth of the column's standard deviation.

        Args:
            name: a column, by default every real one that is unknown, a column each.
            seed: of the draws.

        Raises:
            UserError: the column holds no numbers, or is observed.
        """
        if name is not None:
            return self._summary(name, mean, seed)
        joint = self.joint
        real = [k for k, v in joint.columns.items() if isinstance(v.space, Real) and k not in joint.conditions
                and not (k in self._evidence and self._evidence[k].complete)]
        if not real:
            raise Intractable(f"{self.joint}: no real column is left to average; use mode or probabilities")
        return Columns({k: self._summary(k, mean, seed) for k in real}, 0 if self._single else 1)

    @torch.no_grad()
    def quantile(self, name: str, levels: float | Sequence[float], /, *, seed: int | None = 0) -> Any:
        """Quantiles of one column of numbers, dates or times: the least values that are not exceeded with these probabilities.

        They are values as the data holds them: whole numbers are whole, dates are dates. Exact where the column's distribution
        has a distribution function in closed form (`Gaussian`, mixtures of them), and where it is a single finite entry;
        elsewhere those of 1,000 draws.

        Args:
            name: a column.
            levels: a probability between 0 and 1, or several.
            seed: of the draws.

        Returns:
            of one item a value, or (levels,) for several levels; of several items (items,) or (items, levels).

        Raises:
            UserError: the column holds no single numbers, or is observed.
        """
        found = self._summary(name, partial(quantiles, levels=probabilities(levels, "quantile")), seed)
        return found if np.ndim(levels) else plain(found[..., 0])

    def interval(self, name: str, level: float = 0.9, /, *, seed: int | None = 0) -> Any:
        """The central interval that one column is in with a probability, two quantiles: (2,), or (items, 2).

        Raises:
            UserError: as `quantile`.
        """
        if not isinstance(level, int | float) or not 0 < level < 1:
            raise UserError(f"interval: level={shown(level)}; expected a probability between 0 and 1, as 0.9")
        return self.quantile(name, [(1 - level) / 2, (1 + level) / 2], seed=seed)

    @torch.no_grad()
    def answer(self, name: str, level: float | None = None, /, *, seed: int | None = 0) -> Answer:
        """The mean of one column, or with a level its quantile, and how it was found: exactly, or of how many draws, with its
        standard error.

        Raises:
            UserError: as `mean` and `quantile`.
        """
        if level is None:
            return answered(self, name, mean, seed)
        found = answered(self, name, partial(quantiles, levels=probabilities(level, "quantile")), seed)
        return replace(found, value=plain(found.value[..., 0]), error=None if found.error is None else found.error[..., 0])

    def distribution(self, *names: str) -> Predictive:
        """The predictive distribution of some columns, by default of all that are unknown: its mean, quantiles, log_prob and
        draws, and what kind they are. It is bound once, however often it is asked."""
        check_known(names, list(self.joint.columns), "distribution")
        return Predictive(self, names or tuple(k for k in self.joint.columns if k not in self.joint.conditions and not (
            k in self._evidence and self._evidence[k].complete)))

    def _summary(self, name: str, ask: Callable[[Variable], Summary], seed: int | None) -> Any:
        return answered(self, name, ask, seed).value

    @torch.no_grad()
    def entropy(self) -> np.ndarray:
        """Entropy in nats of the finite columns above what is observed: (items,)."""
        each, order = self._asked(lambda q: {"": Entries(q.entropy())})
        return _put_back([part[""] for part in each], order, 0).tensor.numpy()

    @torch.no_grad()
    def probabilities(self, name: str) -> Columns:
        """p(name = v | observed) for every category v, one column each: (items,) float64."""
        check_known([name], list(self.joint.columns), "probabilities")
        each, order = self._asked(lambda q: {name: Entries(q.probabilities(name))})
        p = _put_back([part[name] for part in each], order, 0).tensor.numpy()
        return Columns({symbol: p[:, i] for i, symbol in enumerate(self.joint.columns[name].codec.names())})

    def _columns(self, parts: Sequence[Mapping[str, Entries]], order: Tensor, lead: tuple[int, ...]) -> Columns:
        """Raw columns (*lead, ...) of parts of the last axis of the lead, whose rows the order puts back."""
        return self._shaped(self._raw({name: _put_back([part[name] for part in parts], order, len(lead) - 1)
                                       for name in self.joint.columns if name in parts[0]}), lead)

    def _raw(self, entries: Mapping[str, Entries]) -> Raw:
        raw: Raw = {}
        for name, x in entries.items():
            raw |= self.joint.columns[name].decode(x)
        return raw

    def _shaped(self, raw: Raw, lead: tuple[int, ...]) -> Columns:
        """Raw columns (*lead, ...), the last axis of the lead left out where a single item is observed."""
        if self._single:
            raw = {k: np.reshape(v, (*lead[:-1], *v.shape[len(lead):])) for k, v in raw.items()}
            lead = lead[:-1]
        return Columns(raw, len(lead), self.dtypes)


def _known(x: Entries) -> Tensor:
    """(B,) how many entries along the first axis of items are seen."""
    return x.seen.reshape(*x.tensor.shape[:2], -1).all(-1).sum(1)  # type: ignore[union-attr]


def _put_back(parts: Sequence[Entries], order: Tensor, axis: int) -> Entries:
    return Entries.cat(parts, axis).map(lambda t: t.index_select(axis, order))
