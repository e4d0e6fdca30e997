"""Model: a joint with everything a user can do to it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from given.conditional import Conditional
from given.distributions import How
from given.evaluate import Comparison, Score
from given.families import Independent, NGram
from given.infer import Compressed, compress, decompress
from given.joint import Joint
from given.sources import Columns, Learned, Source, read
from given.train import Budget, FitResult, Judge, export_joint, fingerprint, nested, save_joint, split
from given.variables import Finite, UserError, shown
from given.verbs.checks import check_known, columns_of, count_rows, drawing, itemised, items, named, spelled, whole_seed
from given.verbs.completion import completed, unfillable
from given.verbs.device import named_device, on_processor
from given.verbs.draws import Draws
from given.verbs.encoding import latents
from given.verbs.learning import Learning
from given.verbs.predictive import Predictive
from given.verbs.query import Query
from given.verbs.scoring import readable, score_rows, scored
from given.verbs.standing import Standing, beginning, order_ignored
from given.verbs.updating import Updating

__all__ = ["Model"]

_COUNTED = 10_000  # rows that a baseline is counted from


class Model(Updating):
    """A joint, ready for use.

    Args:
        factors: conditionals, in the order of the formula.
        latents: columns that no data has, or each with its posterior, a conditional: as of `Joint`.

    Attributes:
        joint: their product.
        facts: what is known of it, kept in the folder it is saved to: held-out score, training.
    """

    def __init__(self, *factors: Conditional, latents: Sequence[str] | Mapping[str, Conditional | None] = ()) -> None:
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

    def to(self, device: str | torch.device) -> Model:
        """The model itself, asked from now on on "cpu", "cuda", "cuda:1", or "auto", an accelerator where there is one.

        Raises:
            UserError: there is no such device.
        """
        self.joint.to(named_device(device))
        return self

    @property
    def cells(self) -> dict[str, Learned]:
        """Column -> how its cells were read in the data learned from, as those of new data are."""
        return {name: Learned.restored(state) for name, state in self.facts.get("cells", {}).items()}

    def split(self, data: Any) -> tuple[Source, Source]:
        """Rows that `fit` was handed, as those it learned from and those it held out.

        Raises:
            UserError: it held out none, or data of another size.
        """
        source, fit = read(data, learned=self.cells), self.facts.get("fit", {})
        if not fit.get("share"):
            raise UserError(f"{self}: no rows of its data were held out; pass rows to test it on, and those it learned from")
        if fit["counted_on_all"]:
            raise UserError(f"{self}: what was held out was counted too, once the counts were weighed by it; pass rows to test "
                            "it on, and those it learned from")
        train, valid = split(source, fit["share"], fit["seed"], self.joint)
        if count_rows(source) != fit["rows"] or valid is None:
            raise UserError(f"expected the {fit['rows']:,} rows {self} was fitted to, got {count_rows(source):,}; pass rows to "
                            "test it on, and those it learned from")
        return train, valid

    def order_ignored(self, data: Any) -> str:
        """A line that says so where rows stand in the order of a column of times: they are learned as independent."""
        return order_ignored(self.joint, read(data))

    def fit(self, data: Any, *, held_out: Any = 0.1, weight: str | None = None, minutes: float | None = None,
            cpu_seconds: float | None = None, steps: int | None = None, epochs: float | None = None, batch: int | None = None,
            lr: float = 4e-3, seed: int | None = 0, patience: int | None = 10, checkpoint: str | os.PathLike[str] | None = None,
            resume: bool = False, progress: bool | None = None, threads: int | None = None, device: str = "auto",
            watch: str | os.PathLike[str] | None = None, **training: Any) -> FitResult:
        """Learn from data: the lessons of all factors, stage by stage and in order.

        The weights kept are the averaged ones that scored best on held-out rows, of a game the last. Families that weigh parts
        on held-out rows are counted once more at the end, on all rows (not on held-out rows of your own). Ctrl-C keeps the best
        so far. In the end the model is set beside `baseline` on held-out rows: the result's `margin` and `notice` say whether
        it is any better.

        Args:
            data: anything `read` takes; a source that is larger than memory streams.
            held_out: the share of rows held out, chosen by the seed (of series that are too few for that the last part of
                each), or rows of your own; 0 for none.
            weight: the column of the rows' weights.
            minutes, cpu_seconds, steps, epochs: the budget, whichever is spent first; two minutes or 100 epochs
                where none is given. Scores of held-out rows take at most a fifth of it, the last included, on a sample.
            batch: rows a step; by default 32 of at most 65,536 entries, or as many windows as hold 2,048 along their axis.
            lr: the highest learning rate.
            seed: of the split, of the order of rows, of noise and dropout.
            patience: stop after so many of the budget's 25 evaluations without improvement; None never.
            checkpoint: a folder to write to at every evaluation, from which `resume=True` goes on.
            resume: go on from the checkpoint if there is one. Data, model and options must be those it was made with; the
                budget may be raised.
            progress: a bar on standard error, and a line where it ends below its baseline; by default where that is a terminal.
            threads: to learn with; by default one for nets of at most three million parameters, which lose by it, else torch's.
            device: "cpu", "cuda", or "auto" for an accelerator where there is one; the model stays there.
            watch: a folder for a sheet of draws of pictures at every evaluation, in 4 % of the time at most.
            training: further options of `train.Trainer`, such as bfloat16=True.

        Raises:
            UserError: data that does not fit the model.
            Diverged: a loss is not finite; the weights are those before that step.
        """
        if minutes is cpu_seconds is steps is epochs is None:
            minutes, epochs = 2, 100
        own = {name: each for name, each in self.cells.items() if each.along}
        source, held = read(data, learned=own), held_out if isinstance(held_out, int | float) else read(held_out, learned=own)
        options = {"patience": patience, "checkpoint": checkpoint, "resume": resume, "progress": progress}
        learning = Learning(self.joint, source, held, weight, Budget(steps, epochs, minutes, cpu_seconds), batch, lr,
                            whole_seed(seed), options, training, threads, named_device(device), watch)
        done, facts = learning.run(partial(self._beside_baseline, what=getattr(learning.valid, "about", "")))
        self.facts |= {"fitted": True, "fit": {**asdict(done), **facts}}
        order = self.order_ignored(source)
        self.facts["notes"] = [*dict.fromkeys([*self.notes, *([order] if order else [])])]
        for line in (order, f"{self}: {done.notice}" if done.notice else ""):
            if line and (sys.stderr.isatty() if progress is None else progress):
                print(line, file=sys.stderr)
        return done

    def _beside_baseline(self, done: FitResult, train: Source, judge: Judge, left: Callable[[], float], what: str) -> FitResult:
        """What held-out rows, or ends of series, say of the model and of its baseline, which is counted from some 10,000 rows
        at most; kept among the facts' scores."""
        self.facts["fitted"] = True
        rows, cut = judge.rows, judge.rows.n == 1 and judge.long
        if cut:
            rows = beginning(self.joint, rows, self.score, left)
        try:
            name, baseline = self.baseline(train if judge.long else nested(train, _COUNTED))
        except UserError:  # none is known of these spaces
            name, baseline = "", None
        found = Standing.of(self.joint, rows, self.score, None if baseline is None else baseline.score, left, judge.weight)
        if found is None:
            return done
        part = (", the first part of the item held out" if cut and rows is not judge.rows else
                f" of {judge.rows.n:,} held-out rows" if found.n < judge.rows.n else "")
        self.facts["scores"] = {f"{what or 'held-out rows'}, {who}": f"{str(self.readable(s))[:-1]}{part})"
                                for who, s in found.scores(name).items()}
        if baseline is not None:
            margin, error = (None if math.isnan(number) else number for number in (found.margin, found.error))
            done = replace(done, baseline=name, margin=margin, margin_error=error)
        return replace(done, judged=(found.n, judge.rows.n))

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

    def score(self, data: Any = None, /, *, seed: int | None = 0, how: How | None = None, **columns: Any) -> Score:
        """The mean log p of items, with its standard error, kind, unit and measure.

        Args:
            data: a mapping, or anything `read` takes; or columns by keyword. What is passed is what is scored: factors
                whose left side is there, in raw units, their parents given.
            seed, how: of the noise of estimates, None for fresh noise; and of scoring, as `ImportanceWeighted(256)`.

        A value that was not learned (an unseen category or character, a number out of a range, a hole where there was none) is
        scored with the mass kept for it, 2**-53, and what else its row holds: such rows are the least probable. `new` of the
        score counts them by column. 1 - 2**-53 is left for the values that were learned, so that nothing else changes.

        Raises:
            UserError: a factor's parent is not given.
        """
        self._check_fitted()
        return score_rows(self.joint, self._source(data, columns), whole_seed(seed), how)

    def scores(self, data: Source, *, seed: int | None = 0) -> Iterator[Score]:
        """The scores of rows as they come, a batch at a time: together they are what `score` says of all."""
        self._check_fitted()
        for score, batch in scored(self.joint, data, whole_seed(seed)):
            if batch.cut:
                raise UserError(f"{min(batch.cut)}: is longer than its window; score it whole")
            yield score

    def log_prob(self, data: Any = None, /, *, seed: int | None = 0, how: How | None = None, **columns: Any) -> np.ndarray:
        """log p of every item in nats and raw units: (n,) float64. Arguments as of `score`."""
        return self.score(data, seed=seed, how=how, **columns).items

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
        return Comparison({name: self.readable(score) for name, score in scores.items()})

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
        baseline.fit(train, held_out=0, device="cpu", weight=weight if weight in read(train).names else None)
        return "5-gram" if texts == len(factors) else "independent columns" + ", 5-gram of text" * bool(texts), baseline

    def readable(self, score: Score) -> Score:
        """A score of text alone in nats a character, of images alone in bits a dimension, any other as it is."""
        return readable(self.joint, score)

    def given(self, data: Mapping[str, Any] | None = None, /, *, prior: Mapping[str, Any] | None = None,
              **observed: Any) -> Query:
        """The distribution of everything else, given what is observed: a parent, a child (Bayes' rule), or part of a variable.

        Args:
            data: observed columns as a mapping; or by keyword. A value is one item's, or a list of items'; `part` and `prefix`
                tell some of its entries, `between`, `isin`, `missing` and `present` where it lies.
            prior: condition -> "uniform", or category -> probability, for conditions that no factor declares.

        Raises:
            UserError: an unknown column, or a value that does not fit.
        """
        self._check_fitted()
        values = {**columns_of(self.joint, self.notes, named(data, {})), **spelled(observed, list(self.joint.columns))}
        check_known(values, list(self.joint.columns), "observed", self.facts.get("dtypes"))
        if prior is not None and not isinstance(prior, Mapping):
            raise UserError(f'prior: expected a mapping such as {{"label": "uniform"}}, got {shown(prior)}')
        return Query(self.joint, values, prior or {}, dtypes=self.facts.get("dtypes"))

    def distribution(self, data: Mapping[str, Any] | None = None, /, **observed: Any) -> Predictive:
        """The distribution of everything else, bound once: short for `given(...).distribution()`."""
        return self.given(data, **observed).distribution()

    def sample(self, n: int = 1, *, seed: int | None = 0, how: How | None = None, **observed: Any) -> Columns:
        """n draws: short for `given(**observed).sample(n)`, the observed columns returned with them.

        Arguments are as of `Query.sample`; `length=` and `where=` too, unless a column has that name, which then is observed.
        """
        own = drawing(self.joint, observed)
        return self.given(**observed).sample(n, seed=seed, how=how, **own)

    def draws(self, n: int = 1, *, seed: int | None = 0, how: How | None = None, **observed: Any) -> Draws:
        """The same n draws, for more than memory holds: short for `given(**observed).draws(n)`, arguments as of `sample`."""
        own = drawing(self.joint, observed)
        return self.given(**observed).draws(n, seed=seed, how=how, **own)

    def complete(self, data: Any, *, n: int = 1, seed: int = 0, length: int | None = None) -> Columns:
        """The rows of data with their holes filled by draws, and what was there untouched: (rows, ...), or (n, rows, ...).

        A hole (None or NaN) is unknown, and filled with a value, not with "missing" again; a text goes on from where it ends.
        A series goes on as far as what is given along its axis, or to a length; one that is missing, or empty, is drawn whole.
        Columns the model does not have stay as they are; those it has and the data has not are drawn.

        Args:
            data: anything `read` takes.
            n: completions of every row.
            seed: of the draws.
            length: of texts in windows and of series, as of `Query.sample`.

        Raises:
            UserError: a condition of the model is missing that no factor declares.
        """
        self._check_fitted()
        whole = completed(self.joint, source := read(data, learned=self.cells), n, whole_seed(seed), length)
        dtypes = {**source.dtypes, **self.facts.get("dtypes", {})}
        if n == 1:
            return Columns({name: values[0] for name, values in whole.items()}, 1, dtypes)
        return Columns(whole, 2, dtypes)

    def unfillable(self, data: Any) -> list[str]:
        """The columns whose holes `complete` cannot fill, a line each: those the model lacks, or never had a value to learn."""
        return unfillable(self.joint, read(data, learned=self.cells))

    def encode(self, data: Any, *, draws: int | None = None, seed: int | None = 0) -> Columns:
        """The latent of every row, (rows,) a dimension: columns `x.z1`, `x.z2`, ... of each factor that has one, and `z.z1`,
        ... of a latent z that has a posterior.

        Args:
            data: anything `read` takes.
            draws: of q(z | row), (draws, rows) a dimension; its mean when left out.

        Raises:
            UserError: no family of the model has a representation, or a parent's column is not in the data.
        """
        self._check_fitted()
        return latents(self.joint, read(data, learned=self.cells), draws, whole_seed(seed))

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
        return compress(on_processor(self.joint), rows, fingerprint(self.joint), batch=batch, span=span, verify=verify)

    def decompress(self, content: bytes | Compressed) -> Columns:
        """The rows that `compress` of the same model made bytes of.

        Raises:
            UserError: these are not such bytes, or the rows would not be those that were compressed.
        """
        content = content.content if isinstance(content, Compressed) else content
        return decompress(on_processor(self.joint), content, fingerprint(self.joint))

    def _check_fitted(self) -> None:
        if not self.facts.get("fitted", True):
            raise UserError(f"{self}: has not learned anything yet; call fit(data) first")

    def _source(self, data: Any, columns: Mapping[str, Any]) -> Source:
        if data is not None and columns:
            raise UserError("expected data, or columns by keyword, got both")
        columns = spelled(columns, list(self.joint.columns))
        check_known(columns, list(self.joint.columns), "columns")
        plain = data is None or itemised(data, self.cells)
        source = items(self.joint, columns if data is None else data) if plain else read(data, learned=self.cells)
        absent = [name for name in self.joint.columns if name not in source.names and name not in self.joint.latents]
        if absent and any(name not in self.joint.columns for name in source.names):  # a slip of the pen
            raise UserError(f"data: no column {absent[0]!r}, which {self} has; there are {', '.join(source.names)}; rename it, "
                            "or pass the columns to score by keyword")
        return source
