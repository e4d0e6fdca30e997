"""Batches: columns in, encoded batches out; which row is held out; in which order an epoch goes.

Everything is a function of a seed and of a row's number, so that a data set in memory and the same one streamed from disk
are split alike, and an epoch can be taken up in its middle.

Items longer than their window become pieces, a row each; all columns on the axis are cut alike. What learns by gradient sees
windows cut anew every epoch, shuffled and scored whole; what is counted, and every score, goes through pieces in order, each
entry once, given what stands before.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import Noise
from given.joint import Joint
from given.lessons import Batch, Deadline
from given.sources import Columns, Source
from given.variables import Cut, Pieces, UserError, Variable

__all__ = ["Batches", "EncodedBatch", "FactorBatches", "Split", "encoded"]

_BATCHES = 32  # whose rows are sorted by length


@dataclass(frozen=True)
class EncodedBatch:
    """A batch as the joint takes it.

    Attributes:
        entries: column -> entries of n rows; `Pieces` where `rows` has still to take some.
        n: how many.
        weight: (n,) float64.
        first: the number of the first row in the whole pass.
        item: (n,) int64, the item of each row, counted over the whole pass: its own number unless items are in pieces.
        cut: the columns whose items are in pieces.
        share: (n,) float64, one over the number of pieces of the row's item: its weight in the item's other columns.
        new: column -> (n,) how many new values each row holds, where they are allowed.
    """

    entries: dict[str, Any]
    n: int
    weight: Tensor
    first: int
    item: Tensor
    cut: frozenset[str]
    share: Tensor
    new: dict[str, Tensor] = field(default_factory=dict)

    def rows(self, index: Tensor, first: int) -> EncodedBatch:
        """Some of the rows, as the rows `first` ... of a pass."""
        entries = {name: e.rows(index) for name, e in self.entries.items()}
        new = {name: n[index] for name, n in self.new.items()}
        return EncodedBatch(entries, len(index), self.weight[index], first, self.item[index], self.cut, self.share[index], new)

    def to(self, device: torch.device) -> EncodedBatch:
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        entries = {name: e.to(device) for name, e in self.entries.items()}
        return replace(self, entries=entries, weight=self.weight.to(device), share=self.share.to(device))

    def borne(self, factor: Conditional) -> Tensor:
        """(n,) float64: each row's weight in a factor of its item, 1 of one whose items are in pieces."""
        whole = self.cut and self.cut.isdisjoint(factor.x.columns)
        return self.share if whole else torch.ones_like(self.share)

    def total(self, joint: Joint, terms: Mapping[str, Tensor]) -> Tensor:
        """(n,) float64: terms of factors, by their printed names, summed."""
        if not self.cut:
            return torch.stack([t.double() for t in terms.values()]).sum(0)
        borne = {str(f): self.borne(f) for f in joint}
        return torch.stack([borne[name] * t.double() for name, t in terms.items()]).sum(0)


@dataclass(frozen=True)
class Split(Source):
    """The rows of a source that a seed puts in the held-out part, or those that it does not.

    Args:
        source: all rows.
        share: the held-out part.
        seed: of the split.
        held_out: which side this is.
    """

    source: Source
    share: float
    seed: int
    held_out: bool

    @staticmethod
    def hashes(seed: int, n: int, first: int = 0) -> np.ndarray:
        """(n,) a number in (0, 1) of every row from `first` on: those below the share are held out."""
        return Noise.of(seed, n, first_row=first).fold("held out").uniform().numpy()

    @property
    def names(self) -> tuple[str, ...]:
        return self.source.names

    def of_epoch(self, seed: int, number: int) -> Split:
        return replace(self, source=self.source.of_epoch(seed, number))

    def batches(self, size: int) -> Iterator[Columns]:
        first = 0
        for batch in self.source.batches(size):
            chosen = (self.hashes(self.seed, batch.n, first) < self.share) == self.held_out
            first += batch.n
            if chosen.any():
                yield batch.rows(chosen)


def encoded(joint: Joint, data: Source, size: int, weight: str | None = None, *, names: Sequence[str] | None = None,
            most: int | None = None, new: bool = False) -> Iterator[EncodedBatch]:
    """One pass in order, in batches of at most `size` rows.

    Args:
        joint, data: whose variables encode what.
        weight: the column of the rows' weights, if any.
        names: the columns to encode; all that are not latent when left out.
        most: of a batch's pieces, take so many at most, evenly spaced and weighted to stand for all.
        new: whether values that were not learned are counted, rather than an error.
    """
    item = first = 0
    for batch in data.batches(size):
        whole = _encode(joint, batch, item, weight, names=names, new=new)
        step = -(-whole.n // most) if most and whole.cut else 1
        for part in torch.arange(0, whole.n, step).split(size):
            some = whole.rows(part, first) if whole.cut else whole
            yield some if step == 1 else replace(some, weight=some.weight * step)
            first += len(part)
        item += batch.n


def _encode(joint: Joint, batch: Columns, first_row: int, weight: str | None, start: int | None = None,
            names: Sequence[str] | None = None, new: bool = False) -> EncodedBatch:
    names = [name for name in joint.columns if name not in joint.latents] if names is None else names
    absent = [name for name in names if name not in batch]
    if absent:
        raise UserError(f"{absent[0]}: no such column in the data; there are {', '.join(batch.names)}")
    counts = dict[str, Tensor]()
    if new:  # symbols that were not learned
        known = {name: _known(joint.columns[name], batch, first_row) for name in names}
        counts = {name: torch.from_numpy(some) for name, (_, some) in known.items()}
        batch = Columns({**batch, **{name: raw for name, (raw, _) in known.items()}})
    entries = dict[str, Any]()
    for name in names:
        if name in joint.windowed:
            continue
        if new:
            entries[name], some = joint.columns[name].encode_new(batch, first_row)
            counts[name] = torch.where(torch.from_numpy(some), 1, counts[name])
        else:
            entries[name] = joint.columns[name].encode(batch, first_row)
    _check_together(joint, {name: e.occupied.sum(1).numpy() for name, e in entries.items()
                            if joint.columns[name].codec.along is not None}, first_row)
    weights, cut = _weights(batch, weight, first_row), joint.windowed & set(names)
    if not cut:
        own = torch.ones(batch.n, dtype=torch.float64)
        return EncodedBatch(entries, batch.n, weights, first_row, first_row + torch.arange(batch.n), cut, own, counts)
    pieces, item = _pieces(joint, batch, first_row, start, sorted(cut))
    parts = {name: pieces[name] if name in cut else entries[name].rows(item) for name in names}
    share = 1 / torch.bincount(item, minlength=batch.n).double()
    return EncodedBatch(parts, len(item), weights[item], first_row, first_row + item, cut, share[item], _spread(counts, item))


def _known(variable: Variable, batch: Columns, first_row: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        return variable.codec.known(batch[variable.name])
    except UserError as error:
        raise error.at(variable.name, first_row) from None


def _check_together(joint: Joint, lengths: Mapping[str, np.ndarray], first_row: int) -> None:
    """Raise where columns that share an axis differ in their length in a row."""
    first = dict[str, str]()
    for name, each in lengths.items():
        axis = joint.columns[name].codec.along
        assert axis is not None
        one = first.setdefault(axis.name, name) if axis.name else name
        if len(apart := np.flatnonzero(each != lengths[one])):
            row = int(apart[0])
            raise UserError(f"has {each[row]:,} entries along {axis.name!r} where {one} has {lengths[one][row]:,}; expected "
                            "as many, since both share that axis", row).at(name, first_row)


def _pieces(joint: Joint, batch: Columns, first_row: int, start: int | None,
            names: Sequence[str]) -> tuple[dict[str, Pieces], Tensor]:
    """The windows of columns on one axis, cut alike, and each window's item.

    Raises:
        UserError: a row's items have different lengths, or none.
    """
    wholes = {name: joint.columns[name].entire(batch, first_row) for name in names}
    lengths, axis = wholes[names[0]].lengths, joint.axis
    assert axis is not None
    _check_together(joint, {name: whole.lengths for name, whole in wholes.items()}, first_row)
    try:
        plan = Cut(lengths, axis, start)
    except UserError as error:
        raise error.at(names[0], first_row) from None
    return {name: plan.pieces(whole) for name, whole in wholes.items()}, plan.item


def _spread(counts: Mapping[str, Tensor], item: Tensor) -> dict[str, Tensor]:
    """Counts of items, at the first piece of each."""
    first = torch.cat([torch.ones(1, dtype=torch.bool), item.diff() > 0])
    return {name: torch.where(first, n[item], 0) for name, n in counts.items()}


def _at_once(joint: Joint, size: int) -> int:
    """Rows of a batch of a pass in order, at least: some 65,536 entries, or more that are only read; 256 items in windows."""
    held = max(v.space.dimensions for v in joint.columns.values())
    return max(size, 256 if joint.windowed else min(4096, (1 << 16) // joint.dimensions, (1 << 22) // held))


def _weights(batch: Columns, weight: str | None, first_row: int) -> Tensor:
    if weight is None:
        return torch.ones(batch.n, dtype=torch.float64)
    values = batch[weight]
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise UserError(f"{weight}: expected one weight a row, got {values.dtype} of shape {values.shape}")
    values = values.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise UserError(f"{weight}, row {first_row + bad[0]}: got {values[bad[0]]}; expected a weight of 0 or more")
    return torch.from_numpy(values)


class Batches:
    """Shuffled batches of encoded rows, or of the windows of long texts, epoch by epoch.

    Args:
        joint: whose variables encode.
        data: the training rows.
        size: rows a batch; the last of an epoch may be smaller.
        seed: of the order.
        weight: the column of the rows' weights, if any.

    Attributes:
        length: batches an epoch, counted in one pass.
        mean_weight: of a row.
        deadline: of what is counted or solved from them.
    """

    def __init__(self, joint: Joint, data: Source, size: int, seed: int, weight: str | None = None) -> None:
        if not isinstance(size, int) or size < 1:
            raise UserError(f"batch={size!r}; expected a whole number of rows from 1")
        self.joint, self.data, self.size, self.seed, self.weight = joint, data, size, seed, weight
        self.deadline = Deadline()
        self.length, rows, total = 0, 0, 0.0
        self.long = bool(joint.windowed)
        for run in self._runs():
            total += float(_weights(run, weight, rows).sum())
            self.length += -(-(_encode(joint, run, rows, weight, 0).n if self.long else run.n) // size)
            rows += run.n
        if not total:
            what = "a row" if weight is None else f"a row with {weight} above 0"
            raise UserError(f"fit: expected at least {what} to learn from, got none")
        self.mean_weight = total / rows

    def _runs(self, epoch: int | None = None) -> Iterator[Columns]:
        """Rows that are shuffled together: all that are in memory, a run of a stream; as an epoch sees them, or as they are."""
        data = self.data if epoch is None else self.data.of_epoch(self.seed, epoch)
        return iter([data]) if isinstance(data, Columns) else data.runs(self.size)

    def epochs(self, number: int, skip: int = 0) -> Generator[tuple[int, EncodedBatch]]:
        """The number of an epoch and a batch of it, without an end, from an epoch whose first `skip` batches are left out.

        Raises:
            UserError: an epoch without a batch.
        """
        for current in itertools.count(number):
            made = skip
            for batch in self.epoch(current, skip):
                made += 1
                yield current, batch
            if not made:
                raise UserError("fit: expected at least one row to learn from, got none")
            skip = 0

    def epoch(self, number: int, skip: int = 0) -> Iterator[EncodedBatch]:
        """The batches of one epoch, the first `skip` of them left out."""
        rng = np.random.default_rng([self.seed, number])
        made, first = 0, 0
        for run in self._runs(number):
            cut = int(rng.integers(1 << 30)) if self.long else 0
            windows = _encode(self.joint, run, first, self.weight, cut) if self.long else None
            n = run.n if windows is None else windows.n
            order = rng.permutation(n)
            if windows is None and (lengths := self._lengths(run)) is not None:
                order = _alike(order, lengths, self.size, rng)
            for start in range(0, n, self.size):
                if made >= skip:
                    rows = order[start:start + self.size]
                    yield self._encode(run, rows, first) if windows is None else windows.rows(torch.from_numpy(rows), 0)
                made += 1
            first += run.n
            del run, windows  # before the next is read

    def _lengths(self, run: Columns) -> np.ndarray | None:
        """(n,) how long rows are, where some are longer than others."""
        each = [v.codec.lengths(run[name]) for name, v in self.joint.columns.items() if name in run and not v.codec.columns]
        known = [lengths for lengths in each if lengths is not None]
        return np.sum(known, 0) if known else None

    def _encode(self, run: Columns, rows: np.ndarray, first: int) -> EncodedBatch:
        try:
            return _encode(self.joint, run.rows(rows), 0, self.weight)
        except UserError:
            _encode(self.joint, run, first, self.weight)  # again in order, so that the message names the file's row
            raise

    def _encoded(self, rows: Columns, names: Sequence[str]) -> EncodedBatch:
        return _encode(self.joint, rows, 0, self.weight, names=names)

    def pass_for(self, factor: Conditional, shares: Sequence[Tensor] | None = None) -> FactorBatches:
        """Re-iterable batches of one factor, in the data's order; `shares` as of `FactorBatches`."""
        return FactorBatches(self.joint, self.data, self.size, self.weight, factor, shares=shares, seed=self.seed,
                             deadline=self.deadline)

    def in_order(self) -> Iterator[EncodedBatch]:
        """One pass in the data's order."""
        return encoded(self.joint, self.data, _at_once(self.joint, self.size), self.weight)


def _alike(order: np.ndarray, lengths: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A shuffled order of rows (n,) in which batches hold rows of about one length, which cost less padding: every run of
    batches sorted by length, then its batches shuffled."""
    n, found = len(order), list[np.ndarray]()
    for start in range(0, n, _BATCHES * size):
        some = order[start:start + _BATCHES * size]
        whole, rest = some[:len(some) // size * size], some[len(some) // size * size:]  # the epoch's smaller batch stays last
        batches = whole[lengths[whole].argsort(kind="stable")].reshape(-1, size)
        found += [batches[rng.permutation(len(batches))].reshape(-1), rest]
    return np.concatenate(found)


@dataclass(frozen=True)
class FactorBatches:
    """Re-iterable batches (x, y, weight) of one factor, in the data's order.

    Args:
        joint, data, size, weight: as of `Batches`.
        factor: of the joint.
        most: pieces of a batch of long texts, see `encoded`.
        shares: (n, K) a batch, where a latent is summed out: every row comes once for each of its K joint values, weighted by
            its share.
        seed, deadline: of the fit it belongs to: from which what is learned by passes starts, and at which it ends.
    """

    joint: Joint
    data: Source
    size: int
    weight: str | None
    factor: Conditional
    most: int | None = None
    shares: Sequence[Tensor] | None = None
    seed: int = 0
    deadline: Deadline | None = None

    def __iter__(self) -> Iterator[Batch]:
        joint = self.joint
        for i, batch in enumerate(encoded(joint, self.data, _at_once(joint, self.size), self.weight, most=self.most)):
            entries = batch.entries
            if joint.finders:
                noise = Noise.of(self.seed, batch.n, first_row=batch.first, device=joint.device)  # the same draws in every pass
                with torch.no_grad():
                    entries = joint.encoded(entries, batch.n, noise)[0]
            n, weight = batch.n, batch.weight * batch.borne(self.factor)
            if self.shares is not None:
                every, entries, row = joint.enumerated(entries, n)
                n, weight = n * every, weight[row] * self.shares[i].flatten()
            yield joint.x(self.factor, entries), joint.y(self.factor, entries, n), weight
