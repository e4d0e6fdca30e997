"""Comparing: families on the same data, split and budget, each as far as it applies."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from given import families as _families
from given.conditional import Conditional
from given.evaluate import Assessment, Entrant, Features, Leaderboard, Score, leaderboard_page
from given.formula import parse
from given.sources import Columns, Source, read
from given.train import Diverged, numbered, row_numbers, split
from given.variables import Codec, Finite, Real, UserError
from given.verbs.assessment import assess
from given.verbs.building import model
from given.verbs.checks import whole_seed
from given.verbs.literals import family_of
from given.verbs.models import Model
from given.verbs.watching import images_of
from given.ways import way

__all__ = ["compare"]

_TEST = 0.2  # of the rows
_MOST = 1000  # test rows
_JUDGED, _LEAST = 0.25, 2.0  # of the time of learning, a fifth of both, and seconds at least, to judge a model

Family = Callable[..., Conditional]


def compare(data: Any, formula: str | None = None, *, families: Any = "all", minutes: float = 1.0, seeds: int = 3,
            seed: int | None = 0, codecs: Mapping[str, Codec] | None = None, progress: bool | None = None) -> Leaderboard:
    """Families side by side: the same rows to learn from, the same test rows, the same budget.

    A fifth of the rows are the test, which no fit sees. What varies is the family of the factor with most entries, of equals
    one with parents; other factors have their defaults. A family of reals stands for ordered levels as `Dequantised` of it.
    One that does not apply is listed with its reason.

    Args:
        data: anything `read` takes.
        formula: as of `given.model`.
        families: "all"; classes, partials or names of families, in any case; or a mapping of names of your own to them.
        minutes: of wall time, to learn one model; a quarter as much to score, draw and ask it.
        seeds: models of each family.
        seed: of the split, and the first of theirs.
        codecs: column -> codec, as of `given.model`.
        progress: a line a model on standard error; by default where that is a terminal.

    Raises:
        UserError: data or a formula that does not fit, a name that is no family, or no family that applies.
    """
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise UserError(f"compare: seeds={seeds!r}; expected a whole number from 1")
    if not isinstance(minutes, int | float) or not 0 < minutes < float("inf"):
        raise UserError(f"compare: minutes={minutes!r}; expected a number above 0")
    source, first = read(data, time=True) if formula is None else read(data), whole_seed(seed)
    default = model(formula, source, codecs=codecs, seed=first)
    train, held = split(source, _TEST, first, default.joint)
    assert held is not None
    sides, (some, test) = row_numbers(source, _TEST, first, default.joint), numbered(held, _MOST)
    found, refused = _applying(formula, source, codecs, _chosen(families), default)
    shown = sys.stderr.isatty() if progress is None else progress
    name, baseline = default.baseline(train)
    judge = partial(_assessed, train=train, test=test, baseline=baseline, seconds=max(_LEAST, 60 * minutes * _JUDGED),
                    given=tuple(default.joint.conditions), numbers=(sides[0], sides[1][some]))
    entrants = {name: _entrant(name, [baseline], 0.0, "closed form", judge)} if name not in found else {}
    for label, made in found.items():
        if shown:
            print(f"{label} ...", file=sys.stderr, flush=True)
        try:
            entrants[label] = _learned(label, made, train, minutes, range(first, first + seeds), judge)
        except (UserError, Diverged, ArithmeticError, MemoryError) as error:
            refused[label] = str(error)
    if not set(entrants) & set(found):
        raise UserError("compare: no family applies; " + "; ".join(f"{k}: {v}" for k, v in refused.items()))
    test = test.rows(np.array(next(iter(entrants.values())).assessment.rows))  # in the order that all were judged by
    numeric, axes = _numeric(default, test, entrants)
    facts = {"split": f"{test.n:,} test rows, of a fifth held out by seed {first}",
             "budget": f"{minutes:g} minutes to learn a model", "seeds": ", ".join(map(str, range(first, first + seeds)))}
    return Leaderboard(str(default), name, entrants, refused, test, facts, numeric, axes, images_of(default.joint),
                       leaderboard_page)


def _chosen(families: Any) -> dict[str, Family]:
    """Name -> family, of what was asked for."""
    every: dict[str, Any] = {name: cls for name in _families.__all__ if inspect.isclass(cls := getattr(_families, name))}
    what = way("families", "--families")
    if isinstance(families, str) and families == "all":
        return every
    if isinstance(families, Mapping):
        return {str(name): family_of(family, f"{what}: {name}") for name, family in families.items()}
    out = dict[str, Family]()
    for said in [families] if isinstance(families, str) or callable(families) else families:
        family = family_of(said, what)
        out[_spelled(family)] = family
    if not out:
        raise UserError("families: expected at least one, got none")
    return out


def _spelled(family: Any) -> str:
    """A class, or a partial of one, as it is written."""
    if not isinstance(family, partial):
        return str(getattr(family, "__name__", family))
    options = [f"{f'{k}=' * (k != 'family')}{_spelled(v) if callable(v) else repr(v)}" for k, v in family.keywords.items()]
    return f"{_spelled(family.func)}({', '.join(options)})"


def _applying(formula: str | None, source: Source, codecs: Mapping[str, Codec] | None, chosen: Mapping[str, Family],
              default: Model) -> tuple[dict[str, Callable[..., Model]], dict[str, str]]:
    """Name -> what builds its model from a seed, and name -> why it does not apply."""
    factors = default.joint.declared
    varied = max(factors, key=lambda f: (f.x.space.dimensions, bool(f.parents)))
    space = varied.x.space
    whole = formula if formula is not None else str(default)
    terms = [term.name for term in parse(whole)]
    left = terms[factors.index(varied)]
    levels = isinstance(space, Finite) and space.ordered
    found, refused = dict[str, Callable[..., Model]](), dict[str, str]()
    for name, family in chosen.items():
        reasons = list[str]()
        for each in (family, partial(_families.Dequantised, family=family)) if levels else (family,):
            build = partial(model, whole, source, codecs=codecs, families={left: each})
            try:
                build(seed=0)
            except (UserError, TypeError) as error:
                reasons.append(str(error))
                continue
            found[name if each is family else f"Dequantised({name})"] = build
            break
        else:
            refused[name] = reasons[-1] if f"Dequantised(family={name})" in reasons[0] else reasons[0]
    return found, refused


def _learned(name: str, made: Callable[..., Model], train: Source, minutes: float, seeds: Iterable[int],
             judge: Callable[..., Assessment]) -> Entrant:
    """A family's models learned, one a seed, and judged."""
    models, seconds = list[Model](), 0.0
    for seed in seeds:
        began = time.perf_counter()
        each = made(seed=seed)
        each.fit(train, minutes=minutes, seed=seed, progress=False, device="cpu")
        seconds += time.perf_counter() - began
        models.append(each)
    return _entrant(name, models, seconds / len(models), models[0].facts["fit"]["stopped"], judge)


def _entrant(name: str, models: list[Model], seconds: float, stopped: str, judge: Callable[..., Assessment]) -> Entrant:
    assessments = [judge(m, seed=i) for i, m in enumerate(models)]
    scores: list[Score] = [a.score for a in assessments if a.score is not None]
    histories = tuple(tuple(m.facts["fit"].get("history", ())) for m in models)
    parts = ", ".join(type(f).__name__ for f in models[0].joint.declared)
    size = sum(p.numel() for p in models[0].joint.parameters())
    return Entrant(name, parts, assessments[0], tuple(scores) if len(scores) == len(models) else (), histories, size, seconds,
                   stopped)


def _assessed(each: Model, *, train: Source, test: Columns, baseline: Model, seconds: float, given: tuple[str, ...],
              numbers: tuple[np.ndarray, np.ndarray], seed: int) -> Assessment:
    """All of the first seed's model; of others the score alone. A baseline is given what others are, and may not read it. Rows
    have the numbers of the data's, those learned from and those of the test."""
    found = assess(each, train, test, baseline=baseline, seed=seed, seconds=seconds, only_score=seed > 0)
    found = replace(found, worst=tuple((int(numbers[1][i]), nats) for i, nats in found.worst),
                    copies=None if found.copies is None else found.copies.of_rows(numbers[0]))
    return found if found.score is None else replace(found, score=replace(found.score, conditioned_on=given))


def _numeric(default: Model, test: Columns, entrants: Mapping[str, Entrant]) -> tuple[dict[str, np.ndarray], tuple[str, str]]:
    """The two columns of numbers that go together most, or else two principal components of all that is drawn."""
    columns = {k: v for k, v in default.joint.columns.items() if k in test and k not in default.joint.conditions}
    drawn = {name: e.assessment.drawn for name, e in entrants.items() if e.assessment.drawn is not None}
    numbers = [k for k, v in columns.items() if isinstance(v.space, Real) and not v.space.axes]
    if len(numbers) > 1:
        values = np.stack([columns[k].codec.numbers(test[k]) for k in numbers[:30]], 1).astype(np.float64)
        close = np.abs(np.corrcoef(np.argsort(np.argsort(np.nan_to_num(values), 0), 0).T))
        close[~np.isfinite(close)] = 0
        np.fill_diagonal(close, -1)
        i, j = sorted(np.unravel_index(close.argmax(), close.shape))
        names = numbers[i], numbers[j]
        return {k: np.stack([columns[n].codec.numbers(c[n]) for n in names], 1).astype(np.float64)
                for k, c in {"": test, **drawn}.items()}, names
    of = Features(columns, test)
    x = of(test)
    if min(x.shape) < 2:
        return {}, ("", "")
    axes = np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:2].T
    return {k: (of(c) - x.mean(0)) @ axes for k, c in {"": test, **drawn}.items()}, (
        "first principal component", "second principal component")
