"""Scoring: log p of rows in raw units, a batch at a time; what was not learned scored with a kept mass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from given.codecs import BlockCodec
from given.distributions import How, Intractable, Kind, Noise, weakest
from given.evaluate import Score
from given.infer import Query
from given.joint import Joint
from given.sources import Columns, Source
from given.train import EncodedBatch, encoded
from given.variables import Codec, Entries, Finite, UserError, Variable
from given.verbs.checks import rows_at_once
from given.ways import way

__all__ = ["NEW", "readable", "score_of", "score_rows", "scored"]

NEW = -53 * math.log(2)  # log of the mass kept for a value that was not learned: what rounding takes from all others


def score_rows(joint: Joint, source: Source, seed: int, how: How | None = None) -> Score:
    """The score of all rows of a source, the windows of a long item summed; `seed` is of the noise of estimates, `how` of the
    distributions that are scored.

    Raises:
        UserError: there is no row, or a factor's parent is not given.
    """
    joint = joint if how is None else joint.by(how)
    scores, items, counts, pieces = list[Score](), list[Tensor](), list[Tensor](), False
    for score, batch in scored(joint, source, seed):
        scores.append(score)
        items.append(batch.item)
        counts.append(torch.stack([batch.entries[name].scored.reshape(batch.n, -1).sum(1)
                                   for name in score.columns]).sum(0))
        pieces |= bool(batch.cut)
    if not scores:
        raise UserError("data: expected at least one row, got none")
    if joint.how is not None:
        joint.how.check(str(joint))
    score = scores[0].joined(scores[1:])
    return _summed(score, torch.cat(items).numpy(), torch.cat(counts).numpy()) if pieces else score


class _Measured(Source):
    """A source that counts what some of its columns hold as they go by, in the units of text that people count in."""

    def __init__(self, source: Source, codecs: Mapping[str, Codec]) -> None:
        self.source, self.codecs, self.units = source, codecs, Counter[str]()

    @property
    def names(self) -> tuple[str, ...]:
        return self.source.names

    def batches(self, size: int) -> Iterator[Columns]:
        for batch in self.source.batches(size):
            for name, codec in self.codecs.items():
                self.units.update(codec.units(batch[name]))
            yield batch

    def taken(self) -> Counter[str]:
        """What went by since it was last taken."""
        found, self.units = self.units, Counter()
        return found


def _summed(score: Score, items: np.ndarray, counts: np.ndarray) -> Score:
    """Scores of pieces as those of their items; `counts` are the entries of every piece."""
    values, each = score.items, np.bincount(items, score.items)
    # How far pieces are from what their symbols cost on average.
    apart = values - values.sum() * counts / counts.sum()
    within = float(np.sqrt((apart**2).sum() * len(values) / (len(values) - 1))) if len(values) > 1 else math.nan
    new = {name: np.bincount(items, n).astype(np.int64) for name, n in score.new.items()}
    more = len(values) / len(each)
    return replace(score, items=each, new=new, dimensions=score.dimensions * more, within=within,
                   characters=score.characters * more, bytes=score.bytes * more)


def scored(joint: Joint, source: Source, seed: int) -> Iterator[tuple[Score, EncodedBatch]]:
    """Every batch with the score of its rows, which may be windows of items."""
    joint.eval()
    names = [name for name in joint.columns if name in source.names]
    asked = {name: joint.columns[name].codec for name in names if name not in joint.conditions}
    measured = _Measured(source, asked if all(codec.spelled() for codec in asked.values()) else {})
    for batch in encoded(joint, measured, rows_at_once(joint), names=names, new=True):
        entries = batch.entries
        factors = [f for f in joint if set(f.x.columns) & set(entries)]
        if not factors:
            raise UserError(f"score: nothing to score; pass a column left of a bar in {joint}")
        parents = dict.fromkeys(v.name for f in factors for v in f.parents if v.name not in joint.latents)
        for name in parents:
            if name not in entries:
                raise UserError(f"score: {name} is not given; log_prob is the log of the printed formula; pass {name}, or "
                                f"sum it out with {way('given(...).log_prob(...)', 'a model of their joint')}")
        x = {k: e for k, e in entries.items() if k not in joint.conditions}
        with torch.no_grad():
            log_p, kind = _log_p(joint, batch, seed)
        new = {name: counts for name, counts in batch.new.items() if bool(counts.any())}
        log_p = log_p + NEW * sum(new.values(), torch.zeros(()))
        score = score_of(joint, x, log_p, kind, tuple(name for name in parents if name not in x), batch)
        units = measured.taken()
        yield replace(score, new={name: counts.numpy() for name, counts in new.items()},
                      characters=units["characters"] / batch.n, bytes=units["bytes"] / batch.n), batch


def _log_p(joint: Joint, batch: EncodedBatch, seed: int) -> tuple[Tensor, Kind]:
    """log p of the rows of a batch in entries, (n,), and its kind. A new value is unknown and summed out; where that cannot
    be done, as in a net that reads in one order only, another stands there, read and not scored."""
    hidden = [name for name, e in batch.entries.items() if bool(batch.new[name].any()) and not e.complete]
    if not hidden:
        return _log_p_known(joint, batch, batch.entries, torch.arange(batch.n), seed)
    unseen = torch.stack([(~batch.entries[name].seen).reshape(batch.n, -1).any(1) & (batch.new[name] > 0)
                          for name in hidden])
    patterns, which = unseen.unique(dim=1, return_inverse=True)
    total, kinds = torch.zeros(batch.n, dtype=torch.float64), list[Kind]()
    for i, pattern in enumerate(patterns.unbind(1)):
        rows, gone = (which == i).nonzero()[:, 0], [name for name, new in zip(hidden, pattern.tolist(), strict=True) if new]
        entries = {name: e.rows(rows) for name, e in batch.entries.items()}
        total[rows], kind = _log_p_new(joint, batch, entries, gone, rows, seed)
        kinds.append(kind)
    return total, weakest(kinds)


def _log_p_new(joint: Joint, batch: EncodedBatch, entries: dict[str, Entries], gone: list[str], rows: Tensor,
               seed: int) -> tuple[Tensor, Kind]:
    """`_log_p` of rows whose columns `gone` hold new values."""
    conditions = {k: e for k, e in entries.items() if k in joint.conditions and k not in gone}
    x = {k: e for k, e in entries.items() if k not in joint.conditions and k not in gone}
    try:
        if not gone or batch.cut:
            return _log_p_known(joint, batch, entries, rows, seed)
        if not x:
            return torch.zeros(len(rows), dtype=torch.float64), "exact"
        return Query(joint, conditions, len(rows), first_row=batch.first + rows).log_prob(x, seed=seed)
    except UserError:
        if not gone:
            raise
    read = {name: e.read_only() if name in gone else e for name, e in entries.items()}
    return _log_p_known(joint, batch, read, rows, seed)


def _log_p_known(joint: Joint, batch: EncodedBatch, entries: Mapping[str, Entries], rows: Tensor,
                 seed: int) -> tuple[Tensor, Kind]:
    """log p of some rows of a batch, nothing of which is new."""
    try:
        return _log_p_of(joint, batch, entries, rows, seed)
    except Intractable as error:
        for name, e in entries.items():
            holed = (e.valid & ~e.seen).reshape(len(rows), -1).any(1) & e.scored.reshape(len(rows), -1).any(1)  # type: ignore[operator]
            if bool(holed.any()):
                row = int(batch.item[rows[holed.nonzero()[0]]])
                raise Intractable(f"{name}, row {row}: a value within it is missing; {error}") from None
        raise


def _log_p_of(joint: Joint, batch: EncodedBatch, entries: Mapping[str, Entries], rows: Tensor,
              seed: int) -> tuple[Tensor, Kind]:
    n = len(rows)
    lacking = joint.finders and any(not entries[name].complete for name in joint.summed if name in entries)
    if set(joint.summed) - set(entries) or lacking:
        conditions = {k: e for k, e in entries.items() if k in joint.conditions}
        x = {k: e for k, e in entries.items() if k not in conditions}
        return Query(joint, conditions, n, first_row=batch.first + rows).log_prob(x, seed=seed)
    noise, asked = Noise.of(seed, n, first_row=batch.first + rows), [f for f in joint if set(f.x.columns) & set(entries)]
    if any(not entries[name].complete for name in joint.summed):  # of some rows unknown: summed out
        log_p, kind = joint.log_joint(entries, n, noise)
        rest, other = joint.log_prob(entries, n, noise, [f for f in asked if not joint.touches_latent(f)])
        return log_p.logsumexp(1) + rest, weakest([kind, other])
    if joint.finders:
        return joint.bound(entries, n, noise)
    terms = [(f, *joint.log_prob(entries, n, noise, [f])) for f in asked]
    return (torch.stack([batch.borne(f)[rows] * term for f, term, _ in terms]).sum(0),
            weakest(kind for _, _, kind in terms))


def readable(joint: Joint, score: Score) -> Score:
    """A score of text alone in nats a character, of images alone in bits a dimension, any other as it is."""
    if score.characters:
        return score.nats_per_character()
    images = all(isinstance(s := joint.columns[name].space, Finite) and len(s.axes) > 1 for name in score.columns)
    return score.bits_per_dim() if images else score


def score_of(joint: Joint, x: Mapping[str, Entries], log_p: Tensor, kind: Kind, given: tuple[str, ...],
             batch: EncodedBatch | None = None) -> Score:
    """The score of columns x, in raw units; in a batch of windows those of columns that are not cut are shared among them."""
    variables, items = [joint.columns[name] for name in x], log_p
    for v in variables:
        volume = v.codec.log_volume(x[v.name])
        items = items + (volume if batch is None or not batch.cut or v.name in batch.cut else batch.share * volume)
    return Score(items.numpy(), kind, "nats/item", _measure(variables), given,
                 sum(int(e.scored.sum()) for e in x.values()) / len(items), tuple(x), adaptive=joint.adaptive(x))


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
