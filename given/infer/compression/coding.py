"""Coding: symbols as bits, by any distribution that says what comes next, in as many bits as it finds them improbable.

    bits(x | y) = -sum_t log2 p(x_t | x_<t, y)  to some thousandths, and back again, without loss

Last bits differ between a pass over all entries and one step by step, and between float32 on one processor and another; so
there is one path, `coded`, which writer and reader walk alike: the same steps, the same rows side by side, in float64 on one
thread.

Texts in windows are cut into lanes that are coded side by side, and move on by a stride a window, with what they had before as
context. A lane begins without one: some tens of bits are what walking together costs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import (
    Categorical,
    DiscretizedLogisticMixture,
    Distribution,
    Factorized,
    ProductDistribution,
    Sequential,
    SideBySide,
    State,
    Table,
)
from given.infer.compression.range_coder import Coder
from given.joint import Joint
from given.variables import Entries, Finite, Observed, UserError

__all__ = ["alike", "check_distribution", "coded", "coded_text"]

_LANES = 512  # coded side by side


@contextmanager
def alike(joint: Joint) -> Iterator[Joint]:
    """A joint whose distributions are the same numbers whenever they are asked: in float64, on one thread, without dropout."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            yield copy.deepcopy(joint, {id(v): v for v in joint.columns.values()}).double().eval()
    finally:
        torch.set_num_threads(threads)


def check_distribution(distribution: Distribution, who: str) -> None:
    """Raise `UserError` unless a distribution is one that codes."""
    parts = distribution.distributions.values() if isinstance(distribution, ProductDistribution) else [distribution]
    for part in parts:
        if part.kind != "exact" or not isinstance(part, Sequential | Categorical | DiscretizedLogisticMixture):
            got = type(part).__name__ + (f", whose log p is of kind {part.kind}" if part.kind != "exact" else "")
            raise UserError(f"{who}: expected an exact distribution of one entry after another, to code by, got {got}; use "
                            "Autoregressive, NGram, Ensemble of these, Independent or Categorical")


def coded(distribution: Distribution, x: Entries | None, coder: Coder, there: Entries | None = None) -> Entries:
    """x (B, *grid) through a coder; a reader is told None.

    Args:
        there: entries that are valid where there are any, where that is known and does not follow from x.
    """
    if isinstance(distribution, ProductDistribution):
        columns = {} if x is None else x.columns
        places = {} if there is None else there.columns
        return Entries.block({name: coded(each, columns.get(name), coder, places.get(name))
                              for name, each in distribution.distributions.items()})
    D = distribution.space.dimensions
    told = torch.zeros(distribution.n, D, dtype=torch.int64) if x is None else x.flat(distribution.space).tensor.long()
    mask = None if there is None else there.flat(distribution.space).readable
    if isinstance(distribution, Sequential):
        state, valid = steps(distribution, told, coder, mask)
        return Entries(state.values, valid=valid).shaped(distribution.space)
    if isinstance(distribution.space, Finite) and distribution.space.may_end:
        return _until_end(distribution, distribution.space, told, coder)
    on = torch.ones(distribution.n, D, dtype=torch.bool) if mask is None else mask
    return Entries(_coded(distribution, told, on, coder).double(), valid=mask).shaped(distribution.space)


def _until_end(distribution: Distribution, space: Finite, told: Tensor, coder: Coder) -> Entries:
    """Independent symbols (B, D) through a coder, place by place, each row up to its end."""
    assert isinstance(distribution, Factorized)
    p, found = distribution.log_probs.exp(), torch.zeros_like(told)
    valid, over = torch.zeros(told.shape, dtype=torch.bool), torch.zeros(len(told), dtype=torch.bool)
    for place in range(told.shape[1]):
        on = valid[:, place] = ~over
        if bool(over.all()):
            break
        found[on, place] = _checked(coder, p[on, place], told[on, place])
        over = over | (found[:, place] == space.end)
    return Entries(found, valid=valid)


def steps(distribution: Sequential, told: Tensor, coder: Coder, there: Tensor | None = None,
          first: int = 0) -> tuple[State, Tensor]:
    """Entries of B rows step by step: the state after the last, and where there are any, (B, D).

    Args:
        told: (B, D) int64, those that a writer writes, and those before `first` which both know.
        there: (B, D) which to code, where that does not follow from the entries.
        first: how many are known.
    """
    state, over = distribution.start(), torch.zeros(distribution.n, dtype=torch.bool)
    while state.t < first:
        state = distribution.advance(state, told[:, distribution.entries[state.t]].double())
    last = len(distribution.order) if there is None else int(there[:, distribution.order].any(0).nonzero()[-1]) + 1
    valid = torch.zeros(told.shape, dtype=torch.bool)
    while state.t < last and not bool(over.all()):
        group = distribution.order[state.t:distribution.ends[state.t]]
        on = (~over[:, None]).expand(-1, len(group)) if there is None else there[:, group]
        found = _coded(distribution.next(state), told[:, group], on, coder)
        valid[:, group] = on
        state = distribution.advance(state, (found if len(group) > 1 else found[:, 0]).double())
        if distribution.may_end:
            over = over | distribution.over(state)
    return state, valid


def coded_text(factor: Conditional, y: Observed, texts: Sequence[Tensor] | None, lengths: Sequence[int], span: int,
               coder: Coder) -> list[Tensor]:
    """Texts longer than their window through a coder: their symbols (length,) int64, one text a row of y.

    Args:
        texts: their symbols; None for a reader.
        lengths: how many each has.
        span: the most of a lane.
    """
    cut = [(item, start) for item, L in enumerate(lengths) for start in _starts(L, span)]
    ends = [*(start for _, start in cut[1:]), 0]
    size = np.array([(end if end > start else lengths[item]) - start for (item, start), end in zip(cut, ends, strict=True)])
    found = [torch.zeros(L, dtype=torch.int64) for L in lengths]
    order = np.argsort(-size, kind="stable")  # those that end first stand last
    for some in np.split(order, range(_LANES, len(order), _LANES)):
        told = torch.zeros(len(some), int(size[some[0]]), dtype=torch.int64)
        for row, k in enumerate(some.tolist()):
            item, start = cut[k]
            if texts is not None:
                told[row, :size[k]] = texts[item][start:start + size[k]]
        own = y.rows(torch.tensor([cut[k][0] for k in some.tolist()]))
        begins = torch.tensor([cut[k][1] == 0 for k in some.tolist()])
        _lanes(factor, own, told, torch.from_numpy(size[some]), begins, coder)
        for row, k in enumerate(some.tolist()):
            item, start = cut[k]
            found[item][start:start + size[k]] = told[row, :size[k]]
    return found


def _starts(length: int, span: int) -> list[int]:
    """Where the lanes of a text begin: all of about one length."""
    lanes = -(-length // span)
    return [length * k // lanes for k in range(lanes)]


def _lanes(factor: Conditional, y: Observed, told: Tensor, size: Tensor, begins: Tensor, coder: Coder) -> None:
    """Lanes (N, L), the longest first, through a coder; what a reader reads is written into `told`.

    Args:
        size: (N,) of each.
        begins: (N,) whether it is a text's beginning.
    """
    (axis,) = factor.x.space.axes
    W, stride = axis.size, axis.stride or axis.size
    base = first = 0
    before: State | None = None
    while base + first < told.shape[1]:
        rows = torch.arange(int((size > base + first).sum()))
        window = torch.zeros(len(rows), W, dtype=torch.int64)
        window[:, :told.shape[1] - base] = told[:len(rows), base:base + W]
        place = torch.arange(W)
        read = (place < first).expand(len(rows), -1)
        context = read | ((place == 0) & (~begins[rows, None] | (base > 0)))
        distribution = factor(y.rows(rows)).condition(Entries(window, seen=read, context=context))
        if not isinstance(distribution, Sequential) or distribution.entries != place.tolist():
            raise UserError(f"{factor}: a text longer than its window is coded from its beginning on, symbol by symbol; use "
                            "NGram, or Autoregressive in the order Raster()")
        if before is not None:
            distribution = distribution.after(before if len(before.values) == len(rows) else before.rows(rows))
        there = (place >= first) & (place + base < size[rows, None])
        before, _ = steps(distribution, window, coder, there, first)
        told[:len(rows), base:base + W] = torch.where(there, before.values.long(), window)[:, :told.shape[1] - base]
        base, first = base + stride, W - stride


def _coded(distribution: Distribution, told: Tensor, on: Tensor, coder: Coder) -> Tensor:
    """Symbols (B, G) int64 of a distribution of B rows through a coder, where `on` (B, G); 0 elsewhere."""
    found = torch.zeros(on.shape, dtype=torch.int64)
    if isinstance(distribution, DiscretizedLogisticMixture):
        # Most pixels are the ground: only of the others are all levels worked out.
        lowest = distribution.lowest.reshape(on.shape)[on]
        above = _checked(coder, torch.stack([lowest, 1 - lowest], 1), (told[on] > 0).long()) > 0
        on = on.masked_scatter(on, above)
        if bool(above.any()):
            p = distribution.of(on.reshape(distribution.logits.shape[:-1])).probs
            p[:, 0], p[:, 1:] = 0, p[:, 1:] + 1e-300  # all there is, should the ground have been certain
            found[on] = _checked(coder, p / p.sum(1, keepdim=True), told[on])
        return found
    if isinstance(distribution, SideBySide):
        return _coded_blocks(distribution, told, on, coder)
    assert isinstance(distribution, Factorized), f"{type(distribution).__name__} is no distribution of symbols"
    p = distribution.log_probs.exp().reshape(*on.shape, -1)
    found[on] = _checked(coder, p[on], told[on])
    return found


def _coded_blocks(distribution: SideBySide, told: Tensor, on: Tensor, coder: Coder) -> Tensor:
    """`_coded`, each block as one symbol."""
    table, whole = distribution.inner, on.unflatten(1, (distribution.count, -1)).all(-1).flatten()
    assert isinstance(table, Table), f"{type(table).__name__} is no distribution of symbols"
    symbols = (told.reshape(table.n, -1) * table.place).sum(-1)
    found = _checked(coder, table.log_p.exp()[whole], symbols[whole])
    return torch.zeros_like(told).reshape(table.n, -1).index_put((whole,), table.values[found]).reshape(told.shape)


def _checked(coder: Coder, p: Tensor, symbols: Tensor) -> Tensor:
    if bool(p.isnan().any()):
        raise UserError("coding: a probability is not a number; the weights are broken, learn them again")
    return coder.code(p, symbols)
