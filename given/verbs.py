"""Model: a joint with everything a user can do to it. The same verbs are the command line's."""

from __future__ import annotations

import math
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.codecs import BlockCodec, Number, Text, Time, infer_table
from given.conditional import Conditional, Encodes
from given.distributions import How, Intractable, Kind, Noise, weakest
from given.evaluate import Comparison, Score, compare
from given.families import (
    Autoregressive,
    Categorical,
    Ensemble,
    Gaussian,
    GaussianMixture,
    Independent,
    NGram,
    PretrainedLM,
    Regression,
    SplineFlow,
)
from given.infer import Compressed, Part, Rows, Stop, compress, decompress, observe, prefix
from given.infer import Query as _Query
from given.infer.summary import DRAWS, Summary, mean, mode, quantiles
from given.infer.windows import in_windows, spoken
from given.joint import Joint, Term, parse
from given.nn import Embedding, MinGRU, PixelCNN
from given.solve import Watched
from given.sources import Columns, Source, Stream, read
from given.sources.tokenizer import downloaded
from given.train import (
    Batches,
    Budget,
    EncodedBatch,
    FactorBatches,
    FitResult,
    Judge,
    Trainer,
    encoded,
    export_joint,
    fingerprint,
    fit,
    load_joint,
    made_with,
    maximise_expectation,
    nested,
    save_joint,
    split,
)
from given.variables import MISSING, Codec, Entries, Finite, Observed, Product, Real, UserError, Variable, shown

__all__ = ["Model", "Query", "default_family", "load", "model", "pretrained"]

Raw = dict[str, np.ndarray]

_ENTRIES_AT_ONCE = 1 << 16
_FEW_GAPS, _MOST_GAPS, _GAP_ENTRIES = 16, 256, 1 << 12  # rows and entries drawn to see how far orders are apart
_FEW_DRAWS = 64  # below which steps cost as much as draws
_NEW = -53 * math.log(2)  # log of the mass kept for a value that was not learned: what rounding takes from all others
_FEW_STATES = 1000
_ROWS = 1 << 12  # encoded or completed at once
_DRAWS = 100  # of a row, to fill its holes with values
_FEW_REALS = 64
_SMALL_PICTURE = 256  # entries
_PIECES = 256  # of a long held-out text, enough to weigh families by
_FOR_THE_END = 0.08  # of a budget, for the score at its end
_FIRST = 32  # rows that are scored in any case
_ENOUGH = 256  # rows that may be, at least, if they decide
_WEIGHED = 512  # held-out rows that families are weighed by, at least
_COUNTED = 10_000  # rows that a baseline is counted from
_SMALL = 3_000_000  # parameters up to which a net loses by sharing its work among threads


def load(path: str | os.PathLike[str], *, classes: Sequence[type] = ()) -> Model:
    """A saved model.

    Args:
        path: its folder.
        classes: your own classes that it was built with; no name in a file is ever imported.

    Raises:
        UserError: a file of the folder is missing, changed or foreign, or names a class that is not known.
    """
    joint, facts = load_joint(path, classes)
    model = Model(*joint.declared, latents=joint.latents)
    model.facts = facts
    return model


def pretrained(path: str | os.PathLike[str], formula: str = "p(text)", *, window: int = 256, download: bool = False) -> Model:
    """A language model of the package transformers (extra `pretrained`), ready to be asked or to learn on.

    Args:
        path: its folder, with config.json, *.safetensors and tokenizer.json; with download=True the name of a public one.
        formula: one factor whose names are texts, such as "p(answer | question)"; a model with an encoder needs a parent.
        window: the most symbols of each text.
        download: fetch it over the network, unless it was before; nothing is fetched otherwise.

    Raises:
        UserError: there is no such folder, or one with pickled weights, with code of its own, without a tokenizer.
    """
    terms = parse(formula)
    if len(terms) > 1 or len(terms[0].left) > 1:
        raise UserError(f"pretrained: expected one factor of one text, as p(text) or p(answer | question), got {formula!r}")
    folder = downloaded(os.fspath(path)) if download and not os.path.isdir(path) else path
    texts = [Variable(name, Text(tokenizer=folder, window=window)) for name in (*terms[0].left, *terms[0].parents)]
    return Model(PretrainedLM(texts[0], texts[1:], path=folder))


def default_family(x: Variable, parents: Sequence[Variable]) -> Callable[..., Conditional]:
    """The family of a factor nobody chose one for.

    A block of at most 64 reals without parents is a stack of Gaussian mixtures. Other reals are Gaussian, in closed form, where
    every parent is real or one of few symbols, and a Regression elsewhere. A single symbol is counted (Independent) where its
    parents are few symbols, and Categorical elsewhere. Sequences of symbols whose length is modelled or given, such as texts,
    are a mixture of counts (NGram) and a net where parents are few symbols. Other grids of symbols, blocks of both kinds, and
    reals with atoms are Autoregressive, with a Transformer; pictures of more than 256 entries with a PixelCNN, whose cost grows
    with their number and not with its square.
    """
    parts = [space for _, space in x.space.parts]
    if any(isinstance(space, Real) and space.atoms for space in parts):
        return Autoregressive
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
    return partial(Autoregressive, net=PixelCNN) if picture and x.space.dimensions > _SMALL_PICTURE else Autoregressive


def model(formula: str | None = None, data: Any = None, *, codecs: Mapping[str, Codec] | None = None,
          families: Mapping[str, Callable[..., Conditional]] | None = None, latents: Mapping[str, Codec] | None = None,
          seed: int | None = 0) -> Model:
    """A model of a formula, its variables and codecs inferred from data.

    Args:
        formula: such as "p(label) p(image | label)"; without one, a single block of all columns but those
            that only name their rows, such as an id; the model's `notes` say which.
        data: anything `read` takes. Codecs learn from it in one pass; nothing else is learned yet.
        codecs: column -> codec, for columns that should not be inferred.
        families: printed left side of a factor -> family, or a functools.partial of one.
        latents: column that no data has -> codec, as `{"group": Label(range(3))}`: finite, summed out exactly.
        seed: of the initial weights.

    Raises:
        UserError: a formula that does not parse, an unknown column, a value that has no place.
    """
    if data is None and formula is not None and not isinstance(formula, str):
        formula, data = None, formula  # model(data)
    if data is None:
        raise UserError("model: expected data to read columns from; or build Model(Family(x, parents), ...) in full")
    source, codecs = read(data), dict(codecs or {})
    terms = parse(formula) if formula is not None else [Term(source.names)]
    families = {parse(k)[0].name if "," in k else k: v for k, v in (families or {}).items()}  # however it was spaced
    names = list(dict.fromkeys(name for term in terms for name in (*term.left, *term.parents)))
    latents = dict(latents or {})
    _known(latents, names, "latents")
    _known(names, [*source.names, *latents], "formula")
    _known(codecs, names, "codecs")
    for name, codec in codecs.items():
        if not isinstance(codec, Codec):
            raise UserError(f"codecs: {name}: expected a codec such as Number(), got {codec!r}")
    for name, family in families.items():
        if isinstance(family, Conditional) or not callable(family):
            raise UserError(f"families: {name}: expected a family such as Gaussian, or a partial of one, got {family!r}")
    named = None if formula is None else [name for name in names if name not in latents]
    inferred, notes = infer_table(source, codecs, named)
    if not inferred:
        raise UserError(f"model: no column is left to model ({'; '.join(notes)}); name columns in a formula")
    terms = terms if formula is not None else [Term(tuple(inferred))]
    _known(families, [term.name for term in terms], "families")
    for term in terms:
        chosen: Any = getattr(families.get(term.name), "func", families.get(term.name))
        for name in term.left if getattr(chosen, "on_lines", False) else ():
            own = inferred[name] if name in inferred and name not in codecs else None
            if isinstance(own, Number) and own.arguments.get("curve") == "quantile":
                inferred[name] = Number(**{**own.arguments, "curve": "linear"})
                notes.append(f"{name}: on a line all the same, for {chosen.__name__} is of the numbers themselves")
    variables = _learn(source, inferred)
    variables |= {name: Variable(name, codec) for name, codec in latents.items()}
    factors, seed = [], _whole(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for term in terms:
            block = len(term.left) > 1
            x = variables[term.left[0]]
            if block:
                x = Variable(term.name, BlockCodec({n: variables[n].codec for n in term.left}))
            parents = [variables[n] for n in term.parents]
            factors.append(families.get(term.name, default_family(x, parents))(x, parents))
    made = Model(*factors, latents=tuple(latents))
    made.facts |= {"notes": notes, "fitted": False, "dtypes": dict(source.dtypes)}
    return made


def _known(names: Any, among: Sequence[str], what: str) -> None:
    for name in names:
        if name not in among:
            raise UserError(f"{what}: unknown name {shown(name)}; there are {', '.join(among)}")


def _learn(source: Source, codecs: Mapping[str, Codec]) -> dict[str, Variable]:
    variables = {name: Variable(name, codec) for name, codec in codecs.items()}
    first = 0
    for batch in source.batches(1 << 16):
        for variable in variables.values():
            variable.learn(batch, first)
        first += batch.n
    return variables


class Model:
    """A joint, ready for use.

    Args:
        factors: conditionals, in the order of the formula.
        latents: columns that no data has: single finite entries, summed out.

    Attributes:
        joint: their product.
        facts: what is known of it, kept in the folder it is saved to: held-out score, training.
    """

    def __init__(self, *factors: Conditional, latents: Sequence[str] = ()) -> None:
        self.joint = Joint(*factors, latents=latents)
        self.facts: dict[str, Any] = {}

    def __str__(self) -> str:
        return str(self.joint)

    def __repr__(self) -> str:
        return repr(self.joint)

    @property
    def notes(self) -> list[str]:
        """What was inferred of the data's columns and why, a line each."""
        return list(self.facts.get("notes", ()))

    # Learning

    def split(self, data: Any) -> tuple[Source, Source]:
        """Rows that `fit` was handed, as those it learned from and those it held out.

        Raises:
            UserError: it held out none, or data of another size.
        """
        source, fit = read(data), self.facts.get("fit", {})
        if not fit.get("share"):
            raise UserError(f"{self}: no rows of its data were held out; pass rows to test it on, and those it learned from")
        if fit["recounted"]:
            raise UserError(f"{self}: what was held out was counted too, once the counts were weighed by it; pass rows to test "
                            "it on, and those it learned from")
        train, valid = split(source, fit["share"], fit["seed"], self.joint)
        if _rows(source) != fit["rows"] or valid is None:
            raise UserError(f"expected the {fit['rows']:,} rows {self} was fitted to, got {_rows(source):,}; pass rows to test "
                            "it on, and those it learned from")
        return train, valid

    def order_ignored(self, data: Any) -> str:
        """A line that says so where rows stand in the order of a column of times: they are learned as independent."""
        source = read(data)
        times = [name for name, v in self.joint.columns.items() if isinstance(v.codec, Time) and name in source.names]
        last, first = dict.fromkeys(times, -math.inf), 0
        for batch in source.batches(1 << 16) if times else ():
            for name in list(last):
                x = self.joint.columns[name].encode(batch, first)
                t = x.tensor[x.scored].double()
                if (t.diff(prepend=torch.tensor([last[name]], dtype=torch.float64)) < 0).any():
                    del last[name]
                elif len(t):
                    last[name] = float(t[-1])
            first += batch.n
        if not last or first < 3:
            return ""
        name = next(iter(last))
        return (f"{name}: the rows stand in its order, which is ignored: rows are learned as independent, and those held out "
                "are drawn at random; to be judged on what comes later, hold out the last rows")

    def fit(self, data: Any, *, held_out: Any = 0.1, weight: str | None = None, minutes: float | None = None,
            cpu_seconds: float | None = None, steps: int | None = None, epochs: float | None = None, batch: int | None = None,
            lr: float = 4e-3, seed: int | None = 0, patience: int | None = 10, checkpoint: str | os.PathLike[str] | None = None,
            resume: bool = False, progress: bool | None = None, threads: int | None = None,
            **training: Any) -> FitResult:
        """Learn from data: what is counted or solved first, then what learns by gradient.

        The weights kept are the averaged ones that scored best on held-out rows. Families that weigh parts on held-out rows are
        counted once more at the end, on all rows (not on held-out rows of your own). Ctrl-C keeps the best so far. In the end
        the model is set beside `baseline` on held-out rows: the result's `margin` and `notice` say whether it is any better.

        Args:
            data: anything `read` takes; a source that is larger than memory streams.
            held_out: the share of rows held out, chosen by the seed (of a single text in windows its last part), or rows of
                your own; 0 for none.
            weight: the column of the rows' weights.
            minutes, cpu_seconds, steps, epochs: the budget, whichever is spent first; two minutes or 100 epochs
                where none is given. Scores of held-out rows take at most a fifth of it, the last included, on a sample.
            batch: rows a step; by default 32 of at most 65,536 entries, and of texts in windows as many as hold 2,048 symbols.
            lr: the highest learning rate.
            seed: of the split, of the order of rows, of noise and dropout.
            patience: stop after so many of the budget's 25 evaluations without improvement; None never.
            checkpoint: a folder to write to at every evaluation, from which `resume=True` goes on.
            resume: go on from the checkpoint if there is one. Data, model and options must be those it was made with; the
                budget may be raised.
            progress: a bar on standard error, and a line where the model ends below its baseline; by default where that is a
                terminal.
            threads: how many to learn with; by default one for nets of at most three million parameters, which lose by
                sharing their work, and torch's own number for larger ones.
            training: further options of `train.Trainer`, such as bfloat16=True.

        Raises:
            UserError: data that does not fit the model.
            Diverged: a loss is not finite; the weights are those before that step.
        """
        seed, source, began = _whole(seed), read(data), (time.perf_counter(), time.process_time())
        share = isinstance(held_out, int | float)
        train, valid = split(source, held_out, seed, self.joint) if share else (source, read(held_out))
        if weight is not None:
            _known([weight], source.names, "weight")
        batch = _default_batch(self.joint) if batch is None else batch
        batches = Batches(self.joint, train, batch, seed, weight)
        if minutes is cpu_seconds is steps is epochs is None:
            minutes, epochs = 2, 100
        whole = Budget(steps, epochs, minutes, cpu_seconds)
        made = None if checkpoint is None else made_with(self.joint, source, {
            "seed": seed, "batch": batch, "lr": lr, "weight": weight, "held_out": held_out if share else "rows of its own",
            **training})
        stages, before = self.joint.stages, torch.get_num_threads()
        budget = whole.times(1.0 if valid is None else 1 - _FOR_THE_END).shared(len(stages))
        small = sum(p.numel() for p in self.joint.parameters()) <= _SMALL
        judge, done = None, None
        torch.set_num_threads(threads or (1 if small else before))
        try:
            for i, stage in enumerate(stages):
                since = (time.perf_counter(), time.process_time()) if i else began
                for factor in stage:
                    if not self.joint.touches_latent(factor):
                        factor.estimate(batches.pass_for(factor))
                if i == 0 and self.joint.summed:
                    maximise_expectation(batches, seed=seed)
                counts = share and valid is not None and any(map(self._weighed, stage))
                left = budget.without(time.perf_counter() - since[0], time.process_time() - since[1]) if counts else budget
                trainer = Trainer(self.joint, batches, left, stage=i, seed=seed, lr=lr, since=since, **training)
                judge = None if valid is None else Judge(self.joint, valid, weight, i, first=batch)
                place = checkpoint if checkpoint is None or len(stages) == 1 else f"{os.fspath(checkpoint)}-{i}"
                done = fit(trainer, judge, patience=patience, checkpoint=place, resume=resume, progress=progress,
                           made_with=made) if trainer.players else None
            if done is None:
                held = None if valid is None else (judge := Judge(self.joint, valid, weight)).score()
                wall, cpu = (now - then for now, then in zip((time.perf_counter(), time.process_time()), began, strict=True))
                done = FitResult(0, wall, cpu, "closed form", held, ())
            self.joint.eval()
            self.facts["fitted"] = True
            done, recounted = self._concluded(done, whole, source if share else None, train, judge, batch, weight, seed)
        finally:
            torch.set_num_threads(before)
        self.facts["fit"] = {**asdict(done), "seed": seed, "batch": batch, "lr": lr, "rows": _rows(source),
                             "share": held_out if share else 0, "weight": weight, "recounted": recounted,
                             "coherence_gap": self._coherence_gap(train if valid is None else valid, seed)}
        order = self.order_ignored(source)
        self.facts["notes"] = [*dict.fromkeys([*self.notes, *([order] if order else [])])]
        for line in (order, f"{self}: {done.notice}" if done.notice else ""):
            if line and (sys.stderr.isatty() if progress is None else progress):
                print(line, file=sys.stderr)
        return done

    def _weighed(self, factor: Conditional) -> bool:
        """Whether a factor is weighed on held-out rows, and counted once more after that."""
        return factor.calibrates and not self.joint.touches_latent(factor)

    def _concluded(self, done: FitResult, budget: Budget, source: Source | None, train: Source, judge: Judge | None, batch: int,
                   weight: str | None, seed: int) -> tuple[FitResult, bool]:
        """What is weighed on held-out rows weighed, the model set beside its baseline on them, and what may be counted on all
        rows of the source counted once more; and whether something was."""
        weighed = [f for f in self.joint if self._weighed(f)]
        if judge is None:
            return done, False
        clock = time.perf_counter if budget.minutes is not None else time.process_time
        allowed = max(1.0, _FOR_THE_END * (done.seconds if budget.minutes is not None else done.cpu_seconds))
        limits = [_FOR_THE_END * s for s in ((budget.minutes or 0) * 60, budget.cpu_seconds) if s]
        until = clock() + min([allowed, *limits])
        if weighed:
            some = judge.rows if judge.long else judge.rows.rows(slice(max(judge.size or 0, _WEIGHED)))
            for factor in weighed:
                factor.calibrate(FactorBatches(self.joint, some, batch, weight, factor, most=_PIECES))
            done = replace(done, held_out=Judge(self.joint, judge.rows, weight, first=batch, size=judge.size).score())
        done = self._beside_baseline(done, train, judge, lambda: until - clock())
        if source is None:
            return done, False
        for factor in weighed:  # now that they are weighed and scored
            factor.estimate(FactorBatches(self.joint, source, batch, weight, factor, seed=seed))
        return done, bool(weighed)

    def _beside_baseline(self, done: FitResult, train: Source, judge: Judge, left: Callable[[], float]) -> FitResult:
        """What held-out rows say of the model and of its baseline, counted from at most some 10,000 rows: doubled until the
        difference is four times its standard error and the score precise, or no time is left. Kept among the facts' scores."""
        rows, all_rows, own, other, n = judge.rows, judge.rows.n, list[Score](), list[Score](), 0
        if rows.n == 1 and judge.long:
            rows = self._beginning(rows, left)
        try:
            name, baseline = self.baseline(nested(train, _COUNTED) if not judge.long else train)
        except UserError:  # none is known of these spaces
            name, baseline = "", None
        try:
            while n < rows.n:
                size, began = max(n, _FIRST), left()
                some = rows.rows(slice(n, n + size))
                own.append(self.score(some))
                other += [baseline.score(some)] if baseline is not None else []
                n, took = n + some.n, began - left()
                mine, its = (np.concatenate([s.items for s in each]) if each else np.zeros(n) for each in (own, other))
                with np.errstate(invalid="ignore"):  # what is impossible under both says nothing
                    apart = np.where(mine == its, 0.0, mine - its)
                error = float(apart.std(ddof=1) / math.sqrt(n)) if n > 1 and np.isfinite(apart).all() else math.nan
                if left() < 2 * took or (n >= _ENOUGH and error <= 0.01 * self.joint.dimensions and
                                         4 * error <= abs(apart.mean())):
                    break
        except Intractable:
            return done
        scores = {"this model": own[0].joined(own[1:]) if len(own) > 1 else own[0]}
        if other:
            scores[name] = replace(other[0].joined(other[1:]) if len(other) > 1 else other[0],
                                   conditioned_on=scores["this model"].conditioned_on)
            done = replace(done, baseline=name, margin=float(apart.mean()), margin_error=None if math.isnan(error) else error)
        part = f" of {all_rows:,} held-out rows" if n < all_rows else ""
        if rows is not judge.rows:
            part = ", the first characters of the text held out"
        self.facts["scores"] = {f"held-out rows, {who}": f"{str(self.readable(s))[:-1]}{part})" for who, s in scores.items()}
        return replace(done, judged=(n, all_rows))

    def _beginning(self, rows: Columns, left: Callable[[], float]) -> Columns:
        """As much of the start of a single long text as there is time to score."""
        name = next(v.name for f in self.joint for v in [f.x] if f.x.space.axes and f.x.space.axes[0].length == "given")
        text, began = rows[name][0], left()
        probe = min(len(text), 1 << 12)
        self.score(Columns({**rows, name: [text[:probe]]}))
        cut = int(max(1.0, left() / max(1e-6, began - left()) / 2) * probe)
        return rows if cut >= len(text) else Columns({**rows, name: [text[:cut]]})

    @torch.no_grad()
    def _coherence_gap(self, data: Source, seed: int) -> float | None:
        """`Autoregressive.coherence_gap` of the factors that learned every order, summed; None where there are none."""
        found = list[float]()
        for factor in self.joint:
            if isinstance(factor, Autoregressive) and factor.any_order and not self.joint.touches_latent(factor):
                n = min(_MOST_GAPS, max(_FEW_GAPS, _GAP_ENTRIES // factor.x.space.dimensions))
                names = [v.name for v in factor.parents]
                batch = next(encoded(self.joint, data, n, names=names)) if names else None
                y = Observed(n=n) if batch is None else self.joint.y(factor, batch.entries, batch.n)
                found.append(factor.coherence_gap(y, seed=seed))
        return sum(found) if found else None

    def _marginal(self, names: list[str]) -> Model | None:
        """p(x) that the family of p(x | y) holds, if it does."""
        each = [getattr(factor, "marginal", None) for factor in self.joint.declared if list(factor.x.columns) == names]
        return Model(each[0]) if each and isinstance(each[0], Conditional) else None

    @property
    def _rows_at_once(self) -> int:
        return max(1, _ENTRIES_AT_ONCE // max(f.x.space.dimensions for f in self.joint))

    @property
    def _draws_at_once(self) -> int:
        """Fewer than rows that are scored: of every entry drawn a net remembers what it made of it."""
        return min(self._rows_at_once, max(_FEW_DRAWS, self._rows_at_once // 4))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a folder, whole or not at all; an older one there is replaced."""
        save_joint(path, self.joint, self.facts)

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write a model of one text as a folder that transformers loads: an Autoregressive transformer with rotary positions
        and gated units as a Llama, a PretrainedLM as what it is.

        Raises:
            UserError: a part has no counterpart there, with what to learn with instead.
        """
        export_joint(path, self.joint)

    # Asking

    def score(self, data: Any = None, /, *, seed: int | None = 0, **columns: Any) -> Score:
        """The mean log p of items, with its standard error, kind, unit and measure.

        Args:
            data: a mapping, or anything `read` takes; or columns by keyword. What is passed is what is scored: factors
                whose left side is there, in raw units, their parents given.
            seed: of the noise of estimates; None for fresh noise.

        A value that was not learned (an unseen category or character, a number out of a range, a hole where there was none) is
        scored with the mass kept for it, 2**-53, and what else its row holds: such rows are the least probable. `new` of the
        score counts them by column. 1 - 2**-53 is left for the values that were learned, so that nothing else changes.

        Raises:
            UserError: a factor's parent is not given.
        """
        source, scores, items, counts = self._source(data, columns), list[Score](), list[Tensor](), list[Tensor]()
        pieces = False
        for score, batch in self._scored(source, seed):
            scores.append(score)
            items.append(batch.item)
            counts.append(torch.stack([batch.entries[name].scored.reshape(batch.n, -1).sum(1)
                                       for name in score.columns]).sum(0))
            pieces |= batch.text is not None
        if not scores:
            raise UserError("data: expected at least one row, got none")
        score = scores[0].joined(scores[1:])
        if pieces:  # a long text is the sum of its pieces
            values, amounts, each = score.items, torch.cat(counts).numpy(), np.bincount(torch.cat(items).numpy(), score.items)
            # How far pieces are from what their symbols cost on average.
            apart = values - values.sum() * amounts / amounts.sum()
            within = float(np.sqrt((apart**2).sum() * len(values) / (len(values) - 1))) if len(values) > 1 else math.nan
            new = {name: np.bincount(torch.cat(items).numpy(), n).astype(np.int64) for name, n in score.new.items()}
            score = replace(score, items=each, new=new, dimensions=score.dimensions * len(values) / len(each), within=within)
        if not all(isinstance(self.joint.columns[name].codec, Text) for name in score.columns):
            return score
        texts = [text for some in source.batches(1 << 16) for name in score.columns for text in some[name]
                 if isinstance(text, str)]
        sizes = (sum(map(len, texts)), sum(len(text.encode(errors="surrogatepass")) for text in texts))
        return replace(score, characters=sizes[0] / len(score.items), bytes=sizes[1] / len(score.items))

    def scores(self, data: Source, *, seed: int | None = 0) -> Iterator[Score]:
        """The scores of rows as they come, a batch at a time: together they are what `score` says of all."""
        for score, batch in self._scored(data, seed):
            if batch.text is not None:
                raise UserError(f"{batch.text}: is longer than its window; score it whole")
            yield score

    def _scored(self, source: Source, seed: int | None) -> Iterator[tuple[Score, EncodedBatch]]:
        """Every batch with the score of its rows, which may be pieces of texts."""
        self._check_fitted()
        self.joint.eval()
        joint, seed, names = self.joint, _whole(seed), [name for name in self.joint.columns if name in source.names]
        for batch in encoded(joint, source, self._rows_at_once, names=names, new=True):
            entries = batch.entries
            factors = [f for f in joint if set(f.x.columns) & set(entries)]
            if not factors:
                raise UserError(f"score: nothing to score; pass a column left of a bar in {self}")
            parents = dict.fromkeys(v.name for f in factors for v in f.parents if v.name not in joint.latents)
            for name in parents:
                if name not in entries:
                    raise UserError(f"score: {name} is not given; log_prob is the log of the printed formula; pass {name}, or "
                                    "sum it out with given(...).log_prob(...)")
            x = {k: e for k, e in entries.items() if k not in joint.conditions}
            with torch.no_grad():
                log_p, kind = self._log_p(batch, seed)
            new = {name: counts for name, counts in batch.new.items() if bool(counts.any())}
            log_p = log_p + _NEW * sum(new.values(), torch.zeros(()))
            # One code of all makes a bound.
            score = _score(joint, x, log_p, weakest([kind, "bound"]) if joint.encoders else kind,
                           tuple(name for name in parents if name not in x), batch.share)
            yield replace(score, new={name: counts.numpy() for name, counts in new.items()}), batch

    def _log_p(self, batch: EncodedBatch, seed: int) -> tuple[Tensor, Kind]:
        """log p of the rows of a batch in entries, (n,), and its kind. A new value is unknown and summed out; where that cannot
        be done, as in a net that reads in one order only, another stands there, read and not scored."""
        hidden = [name for name, e in batch.entries.items() if bool(batch.new[name].any()) and not e.complete]
        if not hidden:
            return self._log_p_known(batch, batch.entries, torch.arange(batch.n), seed)
        unseen = torch.stack([(~batch.entries[name].seen).reshape(batch.n, -1).any(1) & (batch.new[name] > 0)
                              for name in hidden])
        patterns, which = unseen.unique(dim=1, return_inverse=True)
        total, kinds = torch.zeros(batch.n, dtype=torch.float64), list[Kind]()
        for i, pattern in enumerate(patterns.unbind(1)):
            rows, gone = (which == i).nonzero()[:, 0], [name for name, new in zip(hidden, pattern.tolist(), strict=True) if new]
            entries = {name: e.rows(rows) for name, e in batch.entries.items()}
            total[rows], kind = self._log_p_new(batch, entries, gone, rows, seed)
            kinds.append(kind)
        return total, weakest(kinds)

    def _log_p_new(self, batch: EncodedBatch, entries: dict[str, Entries], gone: list[str], rows: Tensor,
                   seed: int) -> tuple[Tensor, Kind]:
        """`_log_p` of rows whose columns `gone` hold new values."""
        joint = self.joint
        conditions = {k: e for k, e in entries.items() if k in joint.conditions and k not in gone}
        x = {k: e for k, e in entries.items() if k not in joint.conditions and k not in gone}
        try:
            if not gone or batch.text is not None:
                return self._log_p_known(batch, entries, rows, seed)
            if not x:
                return torch.zeros(len(rows), dtype=torch.float64), "exact"
            return _Query(joint, conditions, len(rows), first_row=batch.first + rows).log_prob(x, seed=seed)
        except UserError:
            if not gone:
                raise
        read = {name: e.read_only() if name in gone else e for name, e in entries.items()}
        return self._log_p_known(batch, read, rows, seed)

    def _log_p_known(self, batch: EncodedBatch, entries: Mapping[str, Entries], rows: Tensor, seed: int) -> tuple[Tensor, Kind]:
        """log p of some rows of a batch, nothing of which is new."""
        joint, n = self.joint, len(rows)
        if set(joint.summed) - set(entries):
            conditions = {k: e for k, e in entries.items() if k in joint.conditions}
            x = {k: e for k, e in entries.items() if k not in conditions}
            return _Query(joint, conditions, n, first_row=batch.first + rows).log_prob(x, seed=seed)
        full, noise = joint.encoded(entries, n), Noise.of(seed, n, first_row=batch.first + rows)
        terms = [(f, *joint.log_prob(full, n, noise, [f])) for f in joint if set(f.x.columns) & set(full)]
        return (torch.stack([batch.borne(f)[rows] * term for f, term, _ in terms]).sum(0),
                weakest(kind for _, _, kind in terms))

    def log_prob(self, data: Any = None, /, *, seed: int | None = 0, **columns: Any) -> np.ndarray:
        """log p of every item in nats and raw units: (n,) float64. Arguments as of `score`."""
        return self.score(data, seed=seed, **columns).items

    def evaluate(self, data: Any, *, train: Any = None, seed: int | None = 0) -> Comparison:
        """The model's score beside the trivial baseline, as "this model" and by the baseline's name: every column by itself,
        given only what the model always is given; a text by a 5-gram.

        Of text alone in nats a character, of an image alone in bits a dimension, else in nats an item.

        Args:
            data: held-out rows, anything `read` takes.
            train: the rows the baseline is counted from; without them there is none.
            seed: of the noise of estimates.
        """
        scores = {"this model": self.score(data, seed=seed)}
        if train is not None:
            name, baseline = self.baseline(train)
            scores[name] = replace(baseline.score(data, seed=seed), conditioned_on=scores["this model"].conditioned_on)
        return compare({name: self.readable(score) for name, score in scores.items()})

    def baseline(self, train: Any) -> tuple[str, Model]:
        """The trivial model of the same columns and its name, counted from rows: what `evaluate` sets this one beside."""
        factors, texts = list[Conditional](), 0
        for f in self.joint:
            if not set(f.x.columns) & set(self.joint.latents):
                text = isinstance(f.x.space, Finite) and any(axis.length != "fixed" for axis in f.x.space.axes)
                given = [v for v in f.parents if v.name in self.joint.conditions and isinstance(v.space, Finite)
                         and not v.space.axes]
                factors.append(NGram(f.x, given, order=5) if text else Independent(f.x, given))
                texts += text
        baseline = Model(*factors)
        weight = self.facts.get("fit", {}).get("weight")
        baseline.fit(train, held_out=0, weight=weight if weight in read(train).names else None)
        return "5-gram" if texts == len(factors) else "independent columns" + ", 5-gram of text" * bool(texts), baseline

    def readable(self, score: Score) -> Score:
        """A score of text alone in nats a character, of images alone in bits a dimension, any other as it is."""
        if score.characters:
            return score.nats_per_character()
        images = all(isinstance(s := self.joint.columns[name].space, Finite) and len(s.axes) > 1 for name in score.columns)
        return score.bits_per_dim() if images else score

    def given(self, data: Mapping[str, Any] | None = None, /, *, prior: Mapping[str, Any] | None = None,
              **observed: Any) -> Query:
        """The distribution of everything else, given what is observed: a parent, a child (Bayes' rule), or part of a variable.

        Args:
            data: observed columns as a mapping; or by keyword. A value may be one item's, or a list of items'; `part`
                and `prefix` say that only some of its entries are known.
            prior: condition -> "uniform", or category -> probability, for conditions that no factor declares.

        Raises:
            UserError: an unknown column, or a value that does not fit.
        """
        self._check_fitted()
        names = list(self.joint.columns)
        values = {**self._of_model(_named(data, {})), **_spelled(observed, names)}
        _known(values, list(self.joint.columns), "observed")
        if prior is not None and not isinstance(prior, Mapping):
            raise UserError(f'prior: expected a mapping such as {{"label": "uniform"}}, got {shown(prior)}')
        return Query(self, values, prior or {})

    def sample(self, n: int = 1, *, seed: int | None = 0, how: How | None = None, **observed: Any) -> Columns:
        """n draws: short for `given(**observed).sample(n)`, the observed columns returned with them.

        The same seed draws the same rows, 0 too, which is the default; `seed=None` draws fresh ones.
        """
        return self.given(**observed).sample(n, seed=seed, how=how)

    def complete(self, data: Any, *, n: int = 1, seed: int = 0) -> Columns:
        """The rows of data with their holes filled by draws, and what was there untouched: (rows, ...), or (n, rows, ...).

        A hole (None or NaN) is unknown, and filled with a value, not with "missing" again; a text goes on from where it ends.
        Columns the model does not have stay as they are; those it has and the data has not are drawn.

        Args:
            data: anything `read` takes.
            n: completions of every row.
            seed: of the draws.

        Raises:
            UserError: a condition of the model is missing that no factor declares.
        """
        self._check_fitted()
        source, first, parts = read(data), 0, list[dict[str, np.ndarray]]()
        for batch in source.batches(_ROWS):
            parts.append(self._completed(batch, n, _whole(seed), first))
            first += batch.n
        if not parts:
            raise UserError("complete: expected at least one row, got none")
        whole = {name: np.concatenate([part[name] for part in parts], 1) for name in parts[0]}
        whole = {name: whole[name] for name in dict.fromkeys([*source.names, *whole])}
        dtypes = self.facts.get("dtypes")
        if n == 1:
            return Columns({name: values[0] for name, values in whole.items()}, 1, dtypes)
        return Columns(whole, 2, dtypes)

    def _completed(self, rows: Columns, n: int, seed: int, first: int) -> dict[str, np.ndarray]:
        """Some rows completed, each column (n, rows, ...)."""
        seen = {name: _present(values) for name, values in rows.items()}
        texts = [name for name, v in self.joint.columns.items() if v.codec.item_axes < len(v.space.axes)]
        empty = [name for name, v in self.joint.columns.items() if _valueless(v)]
        evidence = dict[str, Any]()
        for name in self.joint.columns.keys() & rows.keys():
            values, there, codec = rows[name], seen[name], self.joint.columns[name].codec
            if name in texts:
                evidence[name] = prefix(codec.known(np.array(["" if v is None else v for v in values.tolist()]))[0])
            elif there.any():
                evidence[name] = Rows(values if there.all() else np.where(there, values, values[there][0]), there)
        asked = Query(self, evidence, {}, first)
        drawn = dict(asked.sample(n, seed=seed))
        for again in range(1, _DRAWS):  # until no cell is drawn as missing, or as what stands for rare categories
            bad = np.zeros((n, rows.n), dtype=bool)
            for name, values in drawn.items():
                if name not in texts and name not in empty:
                    bad |= ~_filled(values) & (_any(~seen[name]) if name in rows else True)
            if not bad.any():
                break
            more = asked.sample(n, seed=seed + (again << 32))
            drawn = {k: np.where(bad.reshape(*bad.shape, *[1] * (v.ndim - 2)), more[k], v) for k, v in drawn.items()}
        for name, values in rows.items():  # what was there comes back as it was
            if name not in texts:
                drawn[name] = _kept(values, seen[name], drawn.get(name), n)
        return drawn

    def unfillable(self, data: Any) -> list[str]:
        """The columns whose holes `complete` cannot fill, a line each: those the model lacks, or never had a value to learn."""
        holes = dict[str, int]()
        for batch in read(data).batches(1 << 16):
            for name, values in batch.items():
                if name not in self.joint.columns or _valueless(self.joint.columns[name]):
                    holes[name] = holes.get(name, 0) + int((~_present(values)).sum())
        why = {name: "was missing in every row that was learned from" if name in self.joint.columns else f"is not in {self}"
               for name in holes}
        return [f"{name}: {count:,} holes stay, since the column {why[name]}" for name, count in holes.items() if count]

    def encode(self, data: Any) -> Columns:
        """The latent z of every row, (rows,) a dimension: columns `x.z1`, `x.z2`, ... of each factor that has one.

        Args:
            data: anything `read` takes.

        Raises:
            UserError: no family of the model has a representation, or a parent's column is not in the data.
        """
        self._check_fitted()
        factors: list[Any] = [f for f in self.joint if isinstance(f, Encodes)]
        if not factors:
            raise UserError(f"encode: no family of {self} has a representation; FactorAnalysis, ProbabilisticPCA, VAE and "
                            "VQVAE have")
        first, parts, joint = 0, list[dict[str, np.ndarray]](), self.joint
        for batch in read(data).batches(_ROWS):
            for name in (v.name for f in factors for v in f.parents if v.name not in joint.latents):
                if name not in batch:
                    raise UserError(f"encode: no column {name}; there are {', '.join(batch.names)}")
            entries = {name: v.encode(batch, first) for name, v in joint.columns.items() if name in batch}
            first, found = first + batch.n, dict[str, np.ndarray]()
            for f in factors:
                y = Observed(n=batch.n) if joint.latents else joint.y(f, entries, batch.n)
                with torch.no_grad():
                    z = f.encode(joint.x(f, entries), y).tensor.reshape(batch.n, -1).numpy()
                found |= {f"{f.x.name}.z{k + 1}": column for k, column in enumerate(z.T)}
            parts.append(found)
        if not parts:
            raise UserError("encode: expected at least one row, got none")
        return Columns({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def compress(self, data: Any = None, /, *, batch: int | None = None, span: int = 1 << 13, verify: bool = True,
                 **columns: Any) -> Compressed:
        """Rows as the bytes of a file, without loss, in about -log2 p(row) bits each. All distributions must be exact.

        Args:
            data, columns: all the model's columns, as of `score`.
            batch: rows coded side by side; by default 512, or fewer of distributions that say all entries at once.
            span: a text longer than its window is cut into lanes of so many symbols at most, coded side by side: long ones take
                fewer bits, and longer.
            verify: read the bytes again before they are handed out.

        Raises:
            UserError: a column or a distribution that cannot be coded, or a value that would not come back as it was.
        """
        self._check_fitted()
        for name, value in (("batch", batch), ("span", span)):
            if value is not None and not (isinstance(value, int) and value > 0):
                raise UserError(f"compress: {name}={shown(value)}; expected a whole number from 1")
        rows = next(self._source(data, columns).batches(1 << 60), Columns({name: [] for name in self.joint.columns}))
        return compress(self.joint, rows, fingerprint(self.joint), batch=batch, span=span, verify=verify)

    def decompress(self, content: bytes | Compressed) -> Columns:
        """The rows that `compress` of the same model made bytes of.

        Raises:
            UserError: these are not such bytes, or the rows would not be those that were compressed.
        """
        content = content.content if isinstance(content, Compressed) else content
        return decompress(self.joint, content, fingerprint(self.joint))

    def _check_fitted(self) -> None:
        if not self.facts.get("fitted", True):
            raise UserError(f"{self}: has not learned anything yet; call fit(data) first")

    def _source(self, data: Any, columns: Mapping[str, Any]) -> Source:
        if data is not None and columns:
            raise UserError("expected data, or columns by keyword, got both")
        columns = _spelled(columns, list(self.joint.columns))
        _known(columns, list(self.joint.columns), "columns")
        plain = data is None or (isinstance(data, Mapping) and not isinstance(data, Source))
        source = self._items(columns if data is None else data) if plain else read(data)
        absent = [name for name in self.joint.columns if name not in source.names and name not in self.joint.latents]
        if absent and any(name not in self.joint.columns for name in source.names):  # a slip of the pen
            raise UserError(f"data: no column {absent[0]!r}, which {self} has; there are {', '.join(source.names)}; rename it, "
                            "or pass the columns to score by keyword")
        return source

    def _of_model(self, data: dict[str, Any]) -> dict[str, Any]:
        """A table's columns without those the model left out, or, where it has all of the model's, without any others."""
        mine = [name for name in self.joint.columns if name not in self.joint.latents]
        left_out = {note.partition(": ")[0] for note in self.notes}
        return {k: v for k, v in data.items()
                if k in self.joint.columns or not (k in left_out or all(name in data for name in mine))}

    def _items(self, values: Mapping[str, Any]) -> Columns:
        """Columns of values, a single item's repeated for as many as the others have."""
        arrays = dict(Columns(values, 0))
        single = [k for k, v in arrays.items()
                  if k in self.joint.columns and v.ndim == self.joint.columns[k].codec.item_axes]
        n = max((len(v) for k, v in arrays.items() if k not in single and v.ndim), default=1)
        return Columns({k: v[None].repeat(n, 0) if k in single else v for k, v in arrays.items()})


class Query:
    """What follows from what is observed. Made by `Model.given`.

    Its verbs return columns in raw form. With one item observed, or none, draws are (n, ...); with several, (n, items, ...).
    """

    def __init__(self, model: Model, observed: Mapping[str, Any], prior: Mapping[str, Any], first_row: int = 0) -> None:
        self.model, self.first_row = model, first_row
        seen = {name: observe(model.joint.columns[name], value) for name, value in observed.items()}
        lengths = {name: len(x) for name, (x, single) in seen.items() if not single}
        if len(set(lengths.values())) > 1:
            raise UserError(f"given: expected columns of one length, got {lengths}")
        self._single, self.n = not lengths, next(iter(lengths.values()), 1)
        self._evidence = {name: x for name, (x, _) in seen.items()}
        self._begun = {name for name, value in observed.items() if isinstance(value, Part | Rows)}
        self._prior = {name: _log_prior(model, name, p) for name, p in prior.items()}
        model.joint.eval()

    def _parts(self, n: int, at_once: int | None = None) -> Iterator[tuple[Tensor, _Query]]:
        """The query over some of n rows at a time, with their numbers; what is given once is given to all.

        Rows of which the same columns are given go together.
        """
        there = [how(e.seen.reshape(len(e), -1), 1).expand(n)  # type: ignore[union-attr]
                 for e in self._evidence.values() for how in (torch.any, torch.all)]
        alike = torch.stack(there).unique(dim=1, return_inverse=True)[1] if there else torch.zeros(n, dtype=torch.int64)
        for pattern in alike.unique():
            for rows in (alike == pattern).nonzero()[:, 0].split(at_once or self.model._rows_at_once):
                evidence = {k: e.rows(rows % len(e)) for k, e in self._evidence.items()}
                yield rows, _Query(self.model.joint, evidence, len(rows), self._prior, self.first_row + rows)

    def _asked(self, ask: Callable[[_Query], dict[str, Entries]]) -> tuple[list[dict[str, Entries]], Tensor]:
        """What every part answers, and the order that puts their rows back. What one part is given and another answers is
        returned of both."""
        parts = [(rows, query, ask(query)) for rows, query in self._parts(self.n)]
        names = dict.fromkeys(name for _, _, answer in parts for name in answer)
        for _, query, answer in parts:
            for name in names.keys() - answer.keys():
                answer[name] = query.evidence[name]
        return [answer for _, _, answer in parts], torch.cat([rows for rows, _, _ in parts]).argsort()

    @torch.no_grad()
    def sample(self, n: int = 1, *, columns: Sequence[str] | None = None, seed: int | None = 0, how: How | None = None,
               length: int | None = None) -> Columns:
        """Draws of every column, what was observed untouched: (n, ...), or (n, items, ...).

        They are drawn some at a time, so that memory grows by what is returned alone. A draw depends on the seed, its number
        and its row's: the first of many are those of few, equal up to the rounding of the arithmetic.

        Args:
            n: draws.
            columns: only these, by default all. To draw some columns is another question than to draw all: what is not asked
                is left out, as in `log_prob`.
            seed: the same one draws the same rows, 0 too, which is the default; None draws fresh ones.
            how: of the draws.
            length: symbols of a text in windows, one window by default; past it the window moves on by the text's stride, and
                what was drawn last is read.
        """
        if not isinstance(n, int | np.integer) or n < 1:
            raise UserError(f"sample: expected a whole number of draws from 1, got {shown(n)}")
        n, seed, joint = int(n), _whole(seed), self.model.joint
        _check_draws(joint, how, length, "sample")
        there = {k: e.seen.reshape(len(e), -1).any(1) for k, e in self._evidence.items()}  # type: ignore[union-attr]
        asked = None if columns is None else {columns} if isinstance(columns, str) else set(columns)
        _known(asked or (), list(joint.columns), "columns")
        names = [name for name in joint.columns if (name in asked if asked else not (
            name in joint.conditions and name in there and bool(there[name].all())))]
        wanted = joint.columns if asked is None else asked
        drawn = any(name not in self._evidence or not self._evidence[name].complete for name in wanted)
        watched = Watched(how) if drawn and isinstance(how, How) else None
        most, parts, numbers = self.model._draws_at_once, list[Raw](), list[Tensor]()
        for rows, query in self._parts(self.n, max(1, most // n)):
            some, size = list[Raw](), max(1, most // len(rows))
            for first in range(0, n, size):
                found = query.sample(min(size, n - first), asked=asked, first_draw=first, seed=seed, how=watched or how,
                                     length=length)
                some.append(self._raw({name: found[name] for name in names}))
            parts.append(_joined(some, 0))
            numbers.append(rows)
        if watched:
            watched.check(str(self.model))
        raw, order = _joined(parts, 1), torch.cat(numbers).argsort().numpy()
        return self._shaped(raw if len(parts) == 1 else {k: v[:, order] for k, v in raw.items()}, (n, self.n))

    def stream(self, *, seed: int | None = 0, how: How | None = None, length: int | None = None,
               stop: str | Sequence[str] = ()) -> Iterator[str]:
        """One draw of a text as it is drawn, whole characters at a time: what comes after what is given.

        Args:
            seed, how, length: as of `sample`.
            stop: strings after which the text is over: short for `how | Stop(stop)`.

        Raises:
            UserError: there is not one text to draw, or more than one item is given.
        """
        texts = [f.x for f in self.model.joint if isinstance(f.x.codec, Text)
                 and not (f.x.name in self._evidence and f.x.name not in self._begun)]
        if len(texts) != 1 or self.n > 1:
            raise UserError(f"stream: expected one text to draw of one item, got {len(texts)} texts of {self.n} items; give "
                            "the others, or use sample")
        _check_draws(self.model.joint, how, length, "stream")
        if stop:
            how = Stop(stop) if how is None else how | Stop(stop)
        _, query = next(self._parts(1))
        blocks = query.stream(texts[0].name, seed=_whole(seed), how=how, length=length)
        next(blocks)  # what is given
        codec = texts[0].codec
        assert isinstance(codec, Text)
        return spoken(codec, blocks)

    def rank(self, data: Mapping[str, Any] | None = None, /, *, pmi: bool | Model = False, seed: int | None = 0,
             **candidates: Any) -> Columns:
        """Candidates, the most probable given what is observed first, with their `log_prob` in nats.

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
        values = _named(data, _spelled(candidates, list(self.model.joint.columns)))
        by, value = "log_prob", self.log_prob(values, seed=seed)
        if pmi is not False:
            own = self.model._marginal(list(values)) if pmi is True else None
            base = Query(own or (self.model if isinstance(pmi, bool) else pmi), {}, {})
            base._prior = self._prior if isinstance(pmi, bool) else {}
            try:
                by, value = "pmi", value - base.log_prob(values, seed=seed)
            except UserError as error:
                raise UserError(f"rank: no p({', '.join(values)}) to compare with ({error}); declare what is missing, pass "
                                "given(..., prior=...), or pass pmi=another model that has it") from None
        rows = Columns({name: observed if np.ndim(observed) else [observed] for name, observed in values.items()})
        order = np.argsort(-value, kind="stable")
        return Columns({**{name: each[order] for name, each in rows.items()}, by: value[order]})

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
        joint, seed = self.model.joint, _whole(seed)
        values = _named(data, _spelled(columns, list(joint.columns)))
        _known(values, list(joint.columns), "score")
        if not values:
            raise UserError("score: nothing to score; pass the columns to score")
        x = {k: observe(joint.columns[k], v, self._evidence.get(k))[0] for k, v in values.items()}
        n = max(self.n, *map(len, x.values()))
        for length in map(len, x.values()):
            if length not in (1, n):
                raise UserError(f"score: expected 1 or {n} values, got {length}")
        if self.n != n and not self._single:
            raise UserError(f"score: {n} values for {self.n} items that are given; expected one each")
        parts, numbers, given = [], list[Tensor](), tuple(k for k, e in self._evidence.items() if not e.hidden)
        for rows, query in self._parts(n):
            some = {k: e.rows(rows % len(e)) for k, e in x.items()}
            new = {k: Entries(e.tensor, e.seen & ~query.evidence[k].scored, e.valid)  # type: ignore[operator]
                   if k in query.evidence else e for k, e in some.items()}
            parts.append(_score(joint, new, *query.log_prob(some, seed=seed), given))
            numbers.append(rows)
        score = parts[0].joined(parts[1:])
        return replace(score, items=score.items[torch.cat(numbers).argsort().numpy()])

    @torch.no_grad()
    def mode(self, name: str | None = None, /, *, seed: int | None = 0) -> Any:
        """The most probable value of one column, whatever the others are: that of one item, or (items, ...).

        Args:
            name: a column, by default all that is unknown together: the most probable joint value of the finite columns above
                what is observed, and the modes of the others given them, a column each.
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
        joint = self.model.joint
        real = [k for k, v in joint.columns.items() if isinstance(v.space, Real) and k not in joint.conditions
                and not (k in self._evidence and self._evidence[k].complete)]
        if not real:
            raise Intractable(f"{self.model}: no real column is left to average; use mode or probabilities")
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
        try:
            each = np.asarray(levels, dtype=np.float64)
        except (TypeError, ValueError):
            each = np.full((1, 1), np.nan)
        if each.ndim > 1 or not each.size or not ((each > 0) & (each < 1)).all():
            raise UserError(f"quantile: levels={shown(levels)}; expected probabilities between 0 and 1, as 0.5 or "
                            "[0.1, 0.5, 0.9]")
        found = self._summary(name, partial(quantiles, levels=np.atleast_1d(each)), seed)
        return found if each.ndim else _single(found[..., 0])

    def _summary(self, name: str, ask: Callable[[Variable], Summary], seed: int | None) -> Any:
        """What is asked of one column, (items, ...): exactly, or of draws, some items at a time."""
        _known([name], list(self.model.joint.columns), "column")
        variable, seed = self.model.joint.columns[name], _whole(seed)
        summary = ask(variable)
        try:
            parts = [(rows, summary.exact(query)) for rows, query in self._parts(self.n)]
        except Intractable:
            if name in self.model.joint.conditions:
                raise
            each = self._parts(self.n, max(1, self.model._draws_at_once // DRAWS))
            parts = [(rows, summary.drawn(variable.codec.decode(query.sample(DRAWS, seed=seed, asked={name})[name])))
                     for rows, query in each]
        found = np.concatenate([value for _, value in parts])[torch.cat([rows for rows, _ in parts]).argsort().numpy()]
        return _single(found[0]) if self._single else found

    @torch.no_grad()
    def entropy(self) -> np.ndarray:
        """Entropy in nats of the finite columns above what is observed: (items,)."""
        each, order = self._asked(lambda q: {"": Entries(q.entropy())})
        return _put_back([part[""] for part in each], order, 0).tensor.numpy()

    @torch.no_grad()
    def probabilities(self, name: str) -> Columns:
        """p(name = v | observed) for every category v, one column each: (items,) float64."""
        _known([name], list(self.model.joint.columns), "probabilities")
        each, order = self._asked(lambda q: {name: Entries(q.probabilities(name))})
        p = _put_back([part[name] for part in each], order, 0).tensor.numpy()
        return Columns({symbol: p[:, i] for i, symbol in enumerate(self.model.joint.columns[name].codec.names())})

    def _columns(self, parts: Sequence[Mapping[str, Entries]], order: Tensor, lead: tuple[int, ...]) -> Columns:
        """Raw columns (*lead, ...) of parts of the last axis of the lead, whose rows the order puts back."""
        return self._shaped(self._raw({name: _put_back([part[name] for part in parts], order, len(lead) - 1)
                                       for name in self.model.joint.columns if name in parts[0]}), lead)

    def _raw(self, entries: Mapping[str, Entries]) -> Raw:
        raw: Raw = {}
        for name, x in entries.items():
            raw |= self.model.joint.columns[name].decode(x)
        return raw

    def _shaped(self, raw: Raw, lead: tuple[int, ...]) -> Columns:
        """Raw columns (*lead, ...), the last axis of the lead left out where a single item is observed."""
        if self._single:
            raw = {k: np.reshape(v, (*lead[:-1], *v.shape[len(lead):])) for k, v in raw.items()}
            lead = lead[:-1]
        return Columns(raw, len(lead), self.model.facts.get("dtypes"))


def _single(value: Any) -> Any:
    """A single number or text as a plain one; an array as it is."""
    value = value if np.ndim(value) else np.asarray(value)[()]
    return value.item() if isinstance(value, np.number | np.bool_ | np.str_) else value


def _score(joint: Joint, x: Mapping[str, Entries], log_p: Tensor, kind: Kind, given: tuple[str, ...],
           share: Tensor | float = 1.0) -> Score:
    """The score of columns x, in raw units; `share` is what a piece of a text bears of its item's other columns."""
    variables = [joint.columns[name] for name in x]
    items = log_p + share * sum((v.codec.log_volume(x[v.name]) for v in variables), torch.zeros(()))
    adaptive = any(bool(f.adaptive) for f in joint if set(f.x.columns) & set(x))
    return Score(items.numpy(), kind, "nats/item", _measure(variables), given,
                 sum(int(e.scored.sum()) for e in x.values()) / len(items), tuple(x), adaptive=adaptive)


def _joined(parts: Sequence[Raw], axis: int) -> Raw:
    """Raw columns of parts, end to end along an axis."""
    return dict(parts[0]) if len(parts) == 1 else {k: np.concatenate([part[k] for part in parts], axis) for k in parts[0]}


def _present(values: np.ndarray) -> np.ndarray:
    """Where a cell is not None, NaN or NaT: bool, as the values."""
    if values.dtype.kind == "O":
        return np.array([v is not None and v == v for v in values.ravel().tolist()], dtype=bool).reshape(values.shape)
    return ~np.isnan(values) if values.dtype.kind in "fM" else np.ones(values.shape, dtype=bool)


def _any(cells: np.ndarray) -> np.ndarray:
    """(rows,) whether any cell of a row is true."""
    return np.asarray(cells.reshape(len(cells), -1).any(1))


def _filled(values: np.ndarray) -> np.ndarray:
    """(draws, rows) where all cells drawn are values of the data's, not missing and not "(other)"."""
    there = _present(values)
    if values.dtype.kind in "OU":
        there = there & (values != "(other)")
    return np.asarray(there.reshape(*values.shape[:2], -1).all(-1))


def _valueless(variable: Variable) -> bool:
    """Whether a column never had a value to learn: all it can be is missing."""
    single = isinstance(variable.space, Finite) and not variable.space.axes
    return single and set(variable.codec.names()) <= {MISSING, "(other)"}


def _kept(values: np.ndarray, seen: np.ndarray, drawn: np.ndarray | None, n: int) -> np.ndarray:
    """(n, rows, ...) what was there, and elsewhere what was drawn; whole numbers stay so."""
    if drawn is None or seen.all():
        return np.stack([values] * n)
    both = np.where(seen, values.astype(object), drawn.astype(object))
    if values.dtype.kind == "f" and (there := _present(both)).any():
        reals = both.astype(np.float64)
        if not (reals[there] == np.rint(reals[there])).all() or np.abs(reals[there]).max() > 2**53:
            return reals
        if there.all():
            return reals.astype(np.int64)
        return np.array([int(v) if v == v else None for v in reals.ravel()], dtype=object).reshape(reals.shape)
    return both if values.dtype.kind == "O" else both.astype(np.result_type(values, drawn))


def _put_back(parts: Sequence[Entries], order: Tensor, axis: int) -> Entries:
    return Entries.cat(parts, axis).map(lambda t: t.index_select(axis, order))


def _default_batch(joint: Joint) -> int:
    """Rows a step: 32 of at most 65,536 entries, or as many texts in windows as hold 2,048 symbols."""
    windows = [f.x.space.shape[0] for f in joint if f.x.space.axes and f.x.space.axes[0].length == "given"]
    return max(1, 2048 // windows[0] if windows else min(32, _ENTRIES_AT_ONCE // joint.dimensions))


def _rows(source: Source) -> int:
    return source.n if isinstance(source, Columns | Stream) else sum(batch.n for batch in source.batches(1 << 16))


def _named(data: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping or a frame, and columns by keyword, as one mapping."""
    if data is not None and not isinstance(data, Mapping):
        data = read(data)
        if not isinstance(data, Mapping):
            raise UserError(f"expected a mapping or columns by keyword, got {type(data).__name__}")
    return {**(data or {}), **columns}


def _spelled(columns: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Columns by keyword under the names they have: Python spells keywords in NFKC, where \u00b5 becomes \u03bc."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(unicodedata.normalize("NFKC", name), []).append(name)

    def proper(name: str) -> str:
        found = alike.get(unicodedata.normalize("NFKC", name), [])
        return found[0] if name not in names and len(found) == 1 else name

    return {proper(name): value for name, value in columns.items()}


def _check_draws(joint: Joint, how: Any, length: Any, verb: str) -> None:
    if length is not None and (not isinstance(length, int | np.integer) or isinstance(length, bool) or length < 1):
        raise UserError(f"{verb}: length={shown(length)}; expected a whole number of symbols from 1")
    if length is not None and not any(map(in_windows, joint)):
        raise UserError(f"{verb}: length={length}; {joint} has no text longer than its window, so its length is drawn; use "
                        f"how=MaxLength({length})")
    if how is not None and not callable(how):
        raise UserError(f"{verb}: how={how!r}; expected a map from distribution to distribution, as TopP(0.9)")


def _whole(seed: Any) -> int:
    """A seed, numpy's integers among them; a fresh one of None."""
    if seed is None:
        return int.from_bytes(os.urandom(7))
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"seed={shown(seed)}; expected a whole number from 0, or None for a fresh one")
    return int(seed)


def _measure(variables: Sequence[Variable]) -> str:
    """The measure of a product: one for all, or each with the columns it holds for."""
    columns: dict[str, list[str]] = {}
    for v in variables:
        for name, codec in v.codec.codecs.items() if isinstance(v.codec, BlockCodec) else [(v.name, v.codec)]:
            columns.setdefault(codec.measure, []).append(name)
    if len(columns) == 1:
        return next(iter(columns))
    few = {kind: names if len(names) < 4 else [names[0], "...", names[-1]] for kind, names in columns.items()}
    return "; ".join(f"{kind} of {', '.join(names)}" for kind, names in few.items())


def _log_prior(model: Model, name: str, prior: Any) -> Tensor:
    """(V,) log-probabilities of a condition."""
    _known([name], list(model.joint.columns), "prior")
    variable = model.joint.columns[name]
    if name not in model.joint.conditions:
        raise UserError(f"prior: p({name}) is a factor of {model}; a prior is for conditions that have none")
    if not isinstance(variable.space, Finite) or variable.space.axes:
        raise UserError(f"prior: expected a single finite entry, got {name}: {variable.space}")
    V = variable.space.size
    if isinstance(prior, str):
        if prior != "uniform":
            raise UserError(f"prior: {name}: expected 'uniform' or category -> probability, got {shown(prior)}")
        return torch.full((V,), -math.log(V), dtype=torch.float64)
    if not isinstance(prior, Mapping):
        raise UserError(f"prior: {name}: expected 'uniform' or category -> probability, got {type(prior).__name__}")
    symbols = variable.encode({name: np.array(list(prior))}).tensor
    p = torch.zeros(V, dtype=torch.float64)
    wrong = [v for v in prior.values() if not isinstance(v, int | float) or not v >= 0]
    if wrong:
        raise UserError(f"prior: {name}: expected probabilities of 0 or more, got {shown(wrong[0])}")
    p[symbols] = torch.tensor([float(v) for v in prior.values()], dtype=torch.float64)
    if not math.isclose(float(p.sum()), 1, abs_tol=1e-6):
        raise UserError(f"prior: {name}: expected probabilities that sum to 1, got a sum of {float(p.sum()):g}")
    return p.log()
