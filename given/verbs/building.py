"""Building: a model from a formula and data, or from a folder; default families."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from given.codecs import BlockCodec, IdentityCodec, Label, MuLaw, Number, Series, Set, Text, infer_table
from given.codecs.series import flat_items
from given.conditional import Conditional
from given.distributions import DiscretizedLogisticMixtureHead
from given.families import (
    Autoregressive,
    Categorical,
    Dequantised,
    Ensemble,
    FlowMatching,
    Gaussian,
    GaussianMixture,
    Independent,
    LinearAutoregressive,
    Markov,
    NGram,
    Regression,
    SplineFlow,
    Unordered,
)
from given.formula import Term, by_axes, parse
from given.nn import (
    AdaptivePrediction,
    CausalConvolution,
    Convolutions,
    Embedding,
    LinearPrediction,
    MinGRU,
    PixelCNN,
    PixelResNet,
    RunningSum,
    UNet,
    keep_size,
)
from given.nn.context import attends
from given.sources import CALENDAR, Columns, Crops, Kind, Learned, Source, read
from given.sources.kinds import ragged
from given.train import LINKED_INDEX, load_joint
from given.variables import Codec, Finite, Product, Real, UserError, Variable
from given.verbs.checks import check_known, whole_seed
from given.verbs.literals import family_of
from given.verbs.models import Model
from given.ways import way

__all__ = ["default_family", "load", "model"]

_FEW_STATES = 1000
_FEW_REALS = 64
_SMALL_PICTURE = 256  # entries
_WHOLE = 1 << 14  # symbols of a text that is read whole, at most


def load(path: str | os.PathLike[str], *, classes: Sequence[type] = (),
         device: str = "cpu") -> Model:
    """A saved model.

    Args:
        path: its folder.
        classes: your own classes that it was built with; no name in a file is ever imported.
        device: to ask it on, as of `Model.to`.

    Raises:
        UserError: a file of the folder is missing, changed or foreign, or names a class that is not known.
    """
    if os.path.isfile(os.path.join(path, LINKED_INDEX)):
        one = os.path.join(path, "tables", "NAME")
        raise UserError(f"{path}: is a model of linked tables; expected that of one, {one}; or use "
                        + way("given.LinkedModel.load(path)", "given sample and given score"))
    joint, facts = load_joint(path, classes)
    model = Model(*joint.declared, latents=joint.posteriors)
    model.facts = facts
    return model.to(device)


def default_family(x: Variable, parents: Sequence[Variable]) -> Callable[..., Conditional]:
    """The family of a factor nobody chose one for.

    A block of at most 64 reals without parents is a stack of Gaussian mixtures. Other reals are Gaussian, in closed form,
    where every parent is real or one of few symbols, and a Regression elsewhere. A single symbol is counted (Independent)
    where its parents are few symbols, and Categorical elsewhere. Sequences of symbols whose length is modelled or given, such
    as texts, are a mixture of counts (NGram) and a net where parents are few symbols. Series of reals, one or several on an
    axis, are LinearAutoregressive, which forecasts better than nets that learn beside it; with other series on the axis, or of
    a length that is learned, Autoregressive with a MinGRU, whose cost grows with their length and not with its square. Blocks
    of single values of both kinds are Autoregressive with a RunningSum. Other grids of symbols, blocks of series or texts
    beside single values, and reals with atoms are Autoregressive, with a Transformer; pictures of more than 256 entries with a
    PixelCNN, whose cost grows with their number and not with its square, and those in colour by lossless coders' way: a
    PixelResNet moves a prediction from what is near. Sounds as levels of samples are Autoregressive with a CausalConvolution, a
    WaveNet, beside an AdaptivePrediction. Videos are Markov, their frames FlowMatching. Sets of items are
    Unordered(family=Autoregressive).
    """
    parts = [space for _, space in x.space.parts]
    if isinstance(x.space, Finite) and x.space.pattern:
        return partial(Unordered, family=Autoregressive)
    if isinstance(x.codec, Series) and isinstance(x.codec.of, MuLaw):
        whole = {v.name: Convolutions(layers=2, halve=0, role="pooled") for v in parents if attends([v], x.space)}
        return partial(Autoregressive, net=partial(CausalConvolution, width=48, layers=9, dropout=0.0), readers=whole,
                       embed=partial(Embedding, offsets=24, places=False),
                       prediction=partial(AdaptivePrediction, curve=math.log(x.codec.of.levels)))
    if x.codec.along is not None and (len(parts) > 1 or isinstance(x.space, Real)):
        width = sum(v.space.dimensions * getattr(v.space, "size", 1) for v in parents if v.codec.along is None)
        single = not any(isinstance(v.space, Product) for v in parents) and width <= _FEW_STATES
        if single and all(isinstance(space, Real) and not space.atoms for space in parts):
            return LinearAutoregressive
        return Autoregressive if attends(parents, x.space) else partial(Autoregressive, net=MinGRU)
    table = isinstance(x.space, Product) and not any(space.axes for space in parts) and not attends(parents, x.space)
    of_any = partial(Autoregressive, net=RunningSum) if table else Autoregressive
    beside = len(parts) > 1 and any(space.axes and space.axes[0].length == "given" for space in parts)
    if beside or any(isinstance(space, Real) and space.atoms for space in parts):
        return of_any
    few = all(isinstance(v.space, Finite) and not v.space.axes for v in parents) and math.prod(
        v.space.size for v in parents) <= _FEW_STATES  # type: ignore[attr-defined]
    if all(isinstance(space, Real) for space in parts):
        plain = all(not v.space.atoms if isinstance(v.space, Real) else isinstance(v.space, Finite) and not v.space.axes
                    for v in parents)
        if isinstance(x.space, Product) and not parents and x.space.dimensions <= _FEW_REALS:
            return partial(GaussianMixture, components=None, ridge=1e-4)
        return Gaussian if plain else SplineFlow if isinstance(x.space, Product) else Regression
    if isinstance(x.space, Finite) and not x.space.axes:
        return Independent if few and parents else Categorical
    if isinstance(x.space, Finite) and few and len(x.space.axes) == 1 and x.space.axes[0].length != "fixed":
        net = partial(Autoregressive, net=partial(MinGRU, width=256), embed=partial(Embedding, offsets=4))
        return partial(Ensemble, families=(partial(NGram, order=7), net))
    picture = isinstance(x.space, Finite) and len(x.space.axes) > 1 and all(axis.length == "fixed" for axis in x.space.axes)
    if not picture or x.space.dimensions <= _SMALL_PICTURE:
        return of_any
    assert isinstance(x.space, Finite)
    if x.space.ordered and x.space.axes[0].role == "time":
        frame = partial(FlowMatching, net=partial(UNet, width=48, patch=2), width=24, known=0.0)
        return partial(Markov, steps=1, family=partial(Dequantised, family=frame))
    if x.space.ordered and x.space.size > 2 and x.space.axes[-1].role == "channel":
        return partial(Autoregressive, net=PixelResNet, prediction=LinearPrediction,
                       head=partial(DiscretizedLogisticMixtureHead, spread=0.1))
    return partial(Autoregressive, net=PixelCNN)


def model(formula: str | None = None, data: Any = None, *, codecs: Mapping[str, Codec] | None = None,
          families: Mapping[str, Callable[..., Conditional] | str] | None = None, latents: Mapping[str, Any] | None = None,
          seed: int | None = 0) -> Model:
    """A model of a formula, its variables and codecs inferred from data.

    Args:
        formula: such as "p(label) p(image | label)"; without one, a single block of all columns but those
            that only name their rows, such as an id; the model's `notes` say which.
        data: anything `read` takes. Codecs learn from it in one pass; nothing else is learned yet.
        codecs: column -> codec, for columns that should not be inferred.
        families: printed left side of a factor -> family, a functools.partial of one, or its name, such as "Gaussian".
        latents: column that no data has -> codec, as `{"group": Label(range(3))}`: finite, summed out exactly, or a grid of
            codes that a family below encodes. Or -> (codec, posterior), as `{"z": (IdentityCodec(Real(axes=(Axis("latent",
            8),))), Regression)}`: a family of q(z | what stands beside z in the formula); p(z) learns its draws afterwards.
        seed: of the initial weights.

    Raises:
        UserError: a formula that does not parse, an unknown column, a value that has no place.
    """
    if data is None and formula is not None and not isinstance(formula, str):
        formula, data = None, formula  # model(data)
    if data is None:
        raise UserError("model: expected data to read columns from; or build Model(Family(x, parents), ...) in full")
    source, codecs = read(data), dict(codecs or {})
    if formula is None and codecs.keys() <= {*(series := read(data, time=True)).names}:  # none is to be read as told
        source = series
    terms = parse(formula) if formula is not None else []
    spaced = {parse(k)[0].name if "," in k else k: v for k, v in (families or {}).items()}
    names = list(dict.fromkeys(name for term in terms for name in (*term.left, *term.parents)))
    latents, posteriors = _latents(latents or {}, names)
    source = _with_calendar(source, [name for name in names if name not in latents])
    check_known(names, [*source.names, *latents], "formula")
    source = source.only(names) if names else source
    check_known(codecs, source.names if formula is None else names, "codecs")
    for name, codec in codecs.items():
        if not isinstance(codec, Codec):
            raise UserError(f"codecs: {name}: expected a codec such as Number(), got {codec!r}")
    chosen = {name: family_of(family, f"{way('families', '--family')}: {name}") for name, family in spaced.items()}
    named = None if formula is None else [name for name in names if name not in latents]
    calendar = _of_calendar(source, names, codecs)
    inferred, notes = infer_table(source, calendar | codecs, named)
    if isinstance(source, Columns) and source.clock is not None and source.clock.note:
        notes += [source.clock.note, *(f"{name}: derived of {source.clock.name}" for name in calendar)]
    if not inferred:
        raise UserError(f"model: no column is left to model ({'; '.join(notes)}); name columns in a formula")
    terms = terms if formula is not None else parse(by_axes(list(inferred), _axes(inferred)))
    _check_lefts(chosen, terms)
    free = {name: codec for name, codec in inferred.items() if name not in codecs}
    inferred |= _whole(free, terms) | _gaps(free, chosen, terms, notes) | _on_lines(source, free, chosen, terms, notes)
    variables = _learn(source, inferred)
    variables |= {name: Variable(name, codec) for name, codec in latents.items()}
    factors, seed = [], whole_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for term in terms:
            block = len(term.left) > 1
            x = variables[term.left[0]]
            if block:
                x = Variable(term.name, BlockCodec({n: variables[n].codec for n in term.left}))
            parents = [variables[n] for n in term.parents]
            factors.append(chosen.get(term.name, default_family(x, parents))(x, parents))
        found = {name: _posterior(name, family, factors, latents) for name, family in posteriors.items()}
    made = Model(*factors, latents=found)
    made.facts |= {"notes": notes, "fitted": False, "dtypes": dict(source.dtypes), "cells": _cells(source, variables)}
    return made


def _axes(codecs: Mapping[str, Codec]) -> dict[str, str]:
    """The axes that columns stand along; a set of items has one of its own, unless it is all there is."""
    sets = {name: f"items of {name}" for name, codec in codecs.items() if isinstance(codec, Set) and len(codecs) > 1}
    return {name: codec.axis for name, codec in codecs.items() if isinstance(codec, Series)} | sets


def _with_calendar(source: Source, names: Sequence[str]) -> Source:
    """A source with what a formula names of a calendar that it has not, derived of its times."""
    wanted = [name for name in names if name in CALENDAR and name not in source.names]
    if not wanted:
        return source
    rows = source if isinstance(source, Columns) and source.clock is not None else read(source, time=True)
    return rows.with_calendar(wanted) if isinstance(rows, Columns) else rows


def _of_calendar(source: Source, names: Sequence[str], stated: Mapping[str, Codec]) -> dict[str, Codec]:
    """The codecs of columns that a calendar made, whose values are those that days may have; along the axis that is stated."""
    clock = source.clock if isinstance(source, Columns) else None
    made = [name for name in names if name in CALENDAR and name in source.names and name not in stated]
    axis = next((codec.arguments for codec in stated.values() if isinstance(codec, Series)), {})
    derived = clock.derived if clock is not None else ()
    return {name: Series(**{**axis, "of": Label(CALENDAR[name])}) for name in made if name in derived}


def _latents(said: Mapping[str, Any],
             names: Sequence[str]) -> tuple[dict[str, Codec], dict[str, Callable[..., Conditional] | None]]:
    """The codec of every latent, and the family of its posterior, or None.

    Raises:
        UserError: something else is said, or of a name that is not in the formula.
    """
    codecs, posteriors = dict[str, Codec](), dict[str, Any]()
    check_known(said, names, "latents")
    for name, each in said.items():
        codec, family = each if isinstance(each, tuple) and len(each) == 2 else (each, None)
        if not isinstance(codec, Codec):
            raise UserError(f"latents: {name}: expected a codec, such as Label(range(3)), or a codec and a family of its "
                            f"posterior, such as Regression, got {each!r}")
        codecs[name], posteriors[name] = codec, None if family is None else family_of(family, f"latents: {name}")
    return codecs, posteriors


def _posterior(name: str, family: Callable[..., Conditional] | None, factors: Sequence[Conditional],
               latents: Iterable[str]) -> Conditional | None:
    """q(latent | the columns of the factors it stands in)."""
    if family is None:
        return None
    beside = {v.name: v for f in factors for v in (f.x, *f.parents)
              if name in [*f.x.columns, *(v.name for v in f.parents)] and v.name not in latents}
    latent = next(v for f in factors for v in (f.x, *f.parents) if v.name == name)
    posterior = family(latent, list(beside.values()))
    below = [f for f in factors if latent.name in [v.name for v in f.parents]]
    keep_size(*(part for f in (posterior, *below) if isinstance(f, Regression) for part in (f.context, f.net)))
    return posterior


def _whole(codecs: Mapping[str, Codec], terms: Sequence[Term]) -> dict[str, Codec]:
    """The texts that a factor reads whole, for others depend on them or stand in one block with them, in a window for that."""
    read = {name for term in terms for name in (*term.parents, *(term.left if len(term.left) > 1 else ()))}
    return {name: Text(**{**codec.arguments, "window": _WHOLE}) for name, codec in codecs.items()
            if name in read and isinstance(codec, Text)}


def _gaps(codecs: Mapping[str, Codec], families: Mapping[str, Any], terms: Sequence[Term],
          notes: list[str]) -> dict[str, Codec]:
    """The series of numbers with gaps beside series of symbols: a net that draws both in order sums nothing out, so that a gap
    is a symbol there."""
    found = dict[str, Codec]()
    for term in terms:
        series = {name: own for name in term.left if isinstance(own := codecs.get(name), Series)}
        if term.name not in families and not all(isinstance(own.of, Number) for own in series.values()):
            for name, own in series.items():
                if isinstance(own.of, Number) and own.of.arguments.get("missing") == "unknown":
                    found[name] = Series(**{**own.arguments, "of": Number(**{**own.of.arguments, "missing": "symbol"})})
                    notes.append(f"{name}: what is missing is a symbol, beside series of symbols")
    return found


def _on_lines(source: Source, codecs: Mapping[str, Codec], families: Mapping[str, Any], terms: Sequence[Term],
              notes: list[str]) -> dict[str, Codec]:
    """The numbers whose family is of the numbers themselves: bent ones on a line, with a note each; single ones, and those of
    series, in their own units, where it asks for these."""
    found, first = dict[str, Codec](), next(iter(source.batches(1)))
    for term in terms:
        chosen: Any = getattr(families.get(term.name), "func", families.get(term.name))
        for name in term.left if getattr(chosen, "on_lines", False) else ():
            own = codecs.get(name)
            if isinstance(own, Series) and isinstance(own.of, Number) and chosen.in_own_units:
                found[name] = Series(**{**own.arguments, "of": IdentityCodec(Real())})
            elif isinstance(own, Series) and flat_items(first[name])[0].dtype.kind in "iuf":
                found[name] = Series(**{**own.arguments, "of": Number(missing="unknown")})
                notes.append(f"{name}: on a line without atoms, as {chosen.__name__} reads numbers; what is missing is unknown")
            elif isinstance(own, Number) and chosen.in_own_units and first[name].ndim == 1:
                found[name] = IdentityCodec(Real())
            elif isinstance(own, Number) and own.arguments.get("curve") == "quantile":
                found[name] = Number(**{**own.arguments, "curve": "linear"})
                notes.append(f"{name}: on a line all the same, for {chosen.__name__} is of the numbers themselves")
    return found


def _check_lefts(families: Iterable[str], terms: Sequence[Term]) -> None:
    """Raise `UserError` for a name of a family that is no factor's left side."""
    for name in families:
        for term in terms:
            if name in term.left and name not in [other.name for other in terms]:
                raise UserError(f"families: {name} is one column of a factor, and a family is of its whole left side, "
                                f"{term.name!r}")
    check_known(families, [term.name for term in terms], "families")


def _cells(source: Source, names: Iterable[str]) -> dict[str, Any]:
    """How the cells of columns of single values are read, and pictures cut, as a folder keeps it; nothing of running text."""
    first = next(iter(source.batches(1 << 16)))
    single = [name for name in names if name in first.names and first[name].ndim == 1 and not ragged(first[name])]
    clock = source.clock if isinstance(source, Columns) else None
    long = [name for name in names if name in first.names and ragged(first[name])]
    along = {} if clock is None else {**dict.fromkeys(long, "series"), **dict.fromkeys(clock.parts, "time"),
                                      **dict.fromkeys(clock.derived, "calendar"), **({clock.by: "item"} if clock.by else {})}
    plain = dict.fromkeys([name for name in single if source.dtypes.get(name) != "text"] + list(along))
    found = {name: Learned(source.kinds[name]) if name in source.kinds else
             Learned.of_array(first[name]) if name in single else Learned(Kind()) for name in plain}
    if isinstance(source, Crops) and source.pictures.column in names:
        found[source.pictures.column] = Learned(Kind(), source.crop)
    return {name: replace(learned, along=along.get(name, "")).state() for name, learned in found.items()}


def _learn(source: Source, codecs: Mapping[str, Codec]) -> dict[str, Variable]:
    variables = {name: Variable(name, codec) for name, codec in codecs.items()}
    first = 0
    for batch in source.covering().runs():
        for variable in variables.values():
            variable.learn(batch, first)
        first += batch.n
    return variables
