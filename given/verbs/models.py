"""Model: a joint with everything a user can do to it."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.codecs import Text, Time
from given.conditional import Conditional, Encodes
from given.distributions import How, Intractable, Kind, Noise, weakest
from given.evaluate import Comparison, Score, compare
from given.families import (
    Autoregressive,
    Independent,
    NGram,
)
from given.infer import Compressed, Rows, compress, decompress, prefix
from given.infer import Query as _Query
from given.joint import Joint
from given.sources import Columns, Source, read
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
    made_with,
    maximise_expectation,
    nested,
    save_joint,
    split,
)
from given.variables import Entries, Finite, Observed, UserError, shown
from given.verbs.checks import ENTRIES_AT_ONCE, check_known, count_rows, named, rows_at_once, spelled, whole_seed
from given.verbs.holes import any_cell, filled, kept_or_drawn, present, valueless
from given.verbs.query import Query
from given.verbs.scoring import score_of

__all__ = ["Model"]

_FEW_GAPS, _MOST_GAPS, _GAP_ENTRIES = 16, 256, 1 << 12  # rows and entries drawn to see how far orders are apart
_NEW = -53 * math.log(2)  # log of the mass kept for a value that was not learned: what rounding takes from all others
_ROWS = 1 << 12  # encoded or completed at once
_DRAWS = 100  # of a row, to fill its holes with values
_PIECES = 256  # of a long held-out text, enough to weigh families by
_FOR_THE_END = 0.08  # of a budget, for the score at its end
_FIRST = 32  # rows that are scored in any case
_ENOUGH = 256  # rows that may be, at least, if they decide
_WEIGHED = 512  # held-out rows that families are weighed by, at least
_COUNTED = 10_000  # rows that a baseline is counted from
_SMALL = 3_000_000  # parameters up to which a net loses by sharing its work among threads


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
        if count_rows(source) != fit["rows"] or valid is None:
            raise UserError(f"expected the {fit['rows']:,} rows {self} was fitted to, got {count_rows(source):,}; pass rows to "
                            "test it on, and those it learned from")
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
        seed, source, began = whole_seed(seed), read(data), (time.perf_counter(), time.process_time())
        share = isinstance(held_out, int | float)
        train, valid = split(source, held_out, seed, self.joint) if share else (source, read(held_out))
        if weight is not None:
            check_known([weight], source.names, "weight")
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
        self.facts["fit"] = {**asdict(done), "seed": seed, "batch": batch, "lr": lr, "rows": count_rows(source),
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
        joint, seed, names = self.joint, whole_seed(seed), [name for name in self.joint.columns if name in source.names]
        for batch in encoded(joint, source, rows_at_once(self.joint), names=names, new=True):
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
            score = score_of(joint, x, log_p, weakest([kind, "bound"]) if joint.encoders else kind,
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
        values = {**self._of_model(named(data, {})), **spelled(observed, names)}
        check_known(values, list(self.joint.columns), "observed")
        if prior is not None and not isinstance(prior, Mapping):
            raise UserError(f'prior: expected a mapping such as {{"label": "uniform"}}, got {shown(prior)}')
        return Query(self.joint, values, prior or {}, dtypes=self.facts.get("dtypes"))

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
            parts.append(self._completed(batch, n, whole_seed(seed), first))
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
        seen = {name: present(values) for name, values in rows.items()}
        texts = [name for name, v in self.joint.columns.items() if v.codec.item_axes < len(v.space.axes)]
        empty = [name for name, v in self.joint.columns.items() if valueless(v)]
        evidence = dict[str, Any]()
        for name in self.joint.columns.keys() & rows.keys():
            values, there, codec = rows[name], seen[name], self.joint.columns[name].codec
            if name in texts:
                evidence[name] = prefix(codec.known(np.array(["" if v is None else v for v in values.tolist()]))[0])
            elif there.any():
                evidence[name] = Rows(values if there.all() else np.where(there, values, values[there][0]), there)
        asked = Query(self.joint, evidence, {}, first)
        drawn = dict(asked.sample(n, seed=seed))
        for again in range(1, _DRAWS):  # until no cell is drawn as missing, or as what stands for rare categories
            bad = np.zeros((n, rows.n), dtype=bool)
            for name, values in drawn.items():
                if name not in texts and name not in empty:
                    bad |= ~filled(values) & (any_cell(~seen[name]) if name in rows else True)
            if not bad.any():
                break
            more = asked.sample(n, seed=seed + (again << 32))
            drawn = {k: np.where(bad.reshape(*bad.shape, *[1] * (v.ndim - 2)), more[k], v) for k, v in drawn.items()}
        for name, values in rows.items():  # what was there comes back as it was
            if name not in texts:
                drawn[name] = kept_or_drawn(values, seen[name], drawn.get(name), n)
        return drawn

    def unfillable(self, data: Any) -> list[str]:
        """The columns whose holes `complete` cannot fill, a line each: those the model lacks, or never had a value to learn."""
        holes = dict[str, int]()
        for batch in read(data).batches(1 << 16):
            for name, values in batch.items():
                if name not in self.joint.columns or valueless(self.joint.columns[name]):
                    holes[name] = holes.get(name, 0) + int((~present(values)).sum())
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
        columns = spelled(columns, list(self.joint.columns))
        check_known(columns, list(self.joint.columns), "columns")
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


def _default_batch(joint: Joint) -> int:
    """Rows a step: 32 of at most 65,536 entries, or as many texts in windows as hold 2,048 symbols."""
    windows = [f.x.space.shape[0] for f in joint if f.x.space.axes and f.x.space.axes[0].length == "given"]
    return max(1, 2048 // windows[0] if windows else min(32, ENTRIES_AT_ONCE // joint.dimensions))
