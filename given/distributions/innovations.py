"""Innovations: what is learned of what a linear chain leaves, in passes over re-iterable batches.

How the channels' innovations go together, the mixtures of scales that they are of, and how large they are by how large those
before were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from given.distributions.ladder import Ladder, Lagged
from given.distributions.spread import Spread

__all__ = ["changes", "correlated", "deviations", "fifths", "foretold", "measured", "missed", "period_of",
           "second_moments", "turned"]

_FLOOR, _LEAST = 1e-8, 1e-4  # of a variance, and of a scale, so that what never varies has a density
_LOGS = torch.linspace(-12.0, 8.0, 801, dtype=torch.float64)  # of how large innovations are, by which they are counted
_SHRUNK = 10.0  # ridge of the regression of sizes, in places
_FEW = 8  # places that tell nothing
_CLEAR = 2.0  # nats by which sizes must be foretold better
_PEAK = 0.2  # of an autocorrelation that is a season's
_AHEAD = 24  # steps to come
_PLACES = 512  # of a batch, from which it is gone on


def measured(ladder: Ladder, batches: Iterable[Lagged], components: int, unit: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Logits and scales (orders, C, components) of a ladder's innovations, of re-iterable batches, in one pass. Where channels
    share a component, `unit` (orders, C) is their deviations, in which those of a group are of one size."""
    (O, C), g = ladder.within.shape[:2], ladder.group
    unit = ladder.within.new_ones(O, C) if unit is None else unit
    counts = ladder.within.new_zeros(O, C // g, len(_LOGS))
    for k, n, w in _left(ladder, batches):
        counts[k] += _counted((n / unit[k]).unflatten(-1, (-1, g)).square().sum(-1).sqrt() if g > 1 else n, w)
    logits, scales = (each.repeat_interleave(g, 1) for each in _scales(counts, components, g))
    scales = (scales * unit[..., None]).clamp(min=_LEAST)
    for k in range(1, O):
        if float(counts[k, 0].sum()) <= _FEW:  # what innovations of a lower order are
            logits[k], scales[k] = logits[k - 1], scales[k - 1]
    return logits, scales


def _left(ladder: Ladder, batches: Iterable[Lagged]) -> Iterator[tuple[int, Tensor, Tensor]]:
    """An order's number, innovations (n, C) in units of their sizes, and weights (n,), a part at a time."""
    for batch in batches:
        for k, (order, start) in enumerate(zip(ladder.orders, ladder.starts, strict=True)):
            if ladder.spread is not None and k == len(ladder.orders) - 1:
                n = ladder.innovations(batch.series, batch.covariates)
                mine = batch.run > start
                yield k, (n / ladder.sizes(n))[mine], batch.weight[:, None].expand(mine.shape)[mine]
                continue
            for z, x, w in batch.places(order):
                e = x - z @ ladder.weights[k]
                yield k, e - e @ ladder.within[k].mT, w


def second_moments(batches: Iterable[Lagged], orders: Sequence[int], head: int, channels: int) -> tuple[list[Tensor], Tensor]:
    """For every order the second moments (3, size, size) of [regressors, values], and how many there are (orders, 3): of
    places that are scored elsewhere, of those scored, and of those among the last fifth of a batch that are.

    Args:
        head: how many regressors are no values before.
    """
    found, total = list[Tensor](), torch.zeros(len(orders), 3, dtype=torch.float64)
    for batch in batches:
        if not found:
            sizes, total = [head + (order + 1) * channels for order in orders], total.to(batch.series)
            found = [batch.series.new_zeros(3, size, size) for size in sizes]
        for k, order in enumerate(orders):
            usable = batch.run > order
            for i, part in enumerate((usable & ~batch.scored, *fifths(usable & batch.scored))):
                for z, x, w in batch.places(order, part):
                    both = torch.cat([z, x], 1)
                    found[k][i].addmm_(both.mT, both * w[:, None])
                    total[k, i] += w.sum()
    return found, total


def turned(M: Tensor, head: int) -> Tensor:
    """Second moments of [constants, series] as of the same complex series in all four quarter turns, i^k (a + b i), whose
    regression is one of complex numbers.

    Args:
        M: (head + 2 n, head + 2 n), of so many constants, and of n pairs.
        head: how many.
    """
    at = torch.arange(len(M) - head, device=M.device)
    sign = (2.0 * (at % 2) - 1).to(M)  # (a, b) becomes (-b, a)
    pairs, found = M[head:, head:], torch.zeros_like(M)
    found[:head, :head] = M[:head, :head]
    found[head:, head:] = (pairs + sign[:, None] * pairs[at ^ 1][:, at ^ 1] * sign) / 2
    return found


def correlated(covariance: Tensor) -> Tensor:
    """V (C, C) of what earlier innovations say of later ones, e = V e + n with n uncorrelated, of the covariance of e."""
    C, eye = len(covariance), torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    root = torch.linalg.cholesky(covariance + _FLOOR * (1 + covariance.diagonal().max()) * eye)
    unit = root / root.diagonal()  # e = unit n
    return (eye - torch.linalg.solve_triangular(unit, eye, upper=False)).tril(-1).reshape(C, C)


def deviations(V: Tensor, covariance: Tensor) -> Tensor:
    """(C,) standard deviations of the n of e = V e + n, of the covariance of e (C, C)."""
    own = torch.eye(len(V), dtype=V.dtype, device=V.device) - V
    return (own @ covariance @ own.mT).diagonal().clamp(min=_FLOOR).sqrt()


def _counted(innovations: Tensor, weight: Tensor) -> Tensor:
    """How many innovations (n, C) are how large, by weight (n,): (C, sizes)."""
    n, C = innovations.shape
    size = torch.bucketize(innovations.abs().clamp(min=1e-12).log(), _LOGS[1:-1].to(innovations.device))
    number = size + len(_LOGS) * torch.arange(C, device=innovations.device)
    found = innovations.new_zeros(C * len(_LOGS))
    return found.index_add(0, number.flatten(), weight[:, None].expand(n, C).flatten()).reshape(C, len(_LOGS))


def _scales(counts: Tensor, components: int, group: int, passes: int = 100,
            imagined: float = 10.0) -> tuple[Tensor, Tensor]:
    """Logits and scales (..., components) of mixtures of round normals around 0 of so many entries as a group has, by EM on how
    many are how long (..., sizes), beside so many imagined ones of a normal of their variance; of a standard one where there
    are none."""
    middle = (_LOGS + (_LOGS[1] - _LOGS[0]) / 2).exp().to(counts.device)
    total = counts.sum(-1, keepdim=True)
    square = (counts * middle**2).sum(-1, keepdim=True) / (group * total.clamp(min=1e-9))
    deviation = torch.where(total > 0, square.sqrt(), 1.0)
    z = middle / deviation.clamp(min=_LEAST)
    normal = z**group * (-0.5 * z**2).exp()
    counts = counts + imagined * normal / normal.sum(-1, keepdim=True)
    start = torch.zeros(1) if components == 1 else torch.linspace(-1.0, 1.0, components)
    scales = start.to(counts).exp() * deviation.clamp(min=_LEAST)
    weights = torch.full_like(scales, 1 / components)
    for _ in range(passes):
        log_p = (weights.log() - group * scales.log())[..., None, :] - 0.5 * (middle[:, None] / scales[..., None, :])**2
        share = log_p.softmax(-1) * counts[..., None]
        each = share.sum(-2).clamp(min=1e-9)
        weights = each / each.sum(-1, keepdim=True)
        scales = ((share * (middle**2)[:, None]).sum(-2) / (group * each)).sqrt().clamp(min=_LEAST)
    return weights.log(), scales


def foretold(ladder: Ladder, most: int, batches: Iterable[Lagged]) -> tuple[Spread, int]:
    """How large innovations are by `most` of those before, and the period by which sizes recur, 1 for none: closed form, in
    three passes. Weights are zero for a channel where they do not foretell the sizes of the last fifth better than the average.
    """
    C = ladder.within.shape[-1]
    (total, each), n = ladder.within.new_zeros(2, C), 0.0
    for batch in batches:
        w = (batch.weight[:, None] * (batch.run > ladder.starts[-1]))[..., None]
        innovations = ladder.innovations(batch.series, batch.covariates)
        total += (innovations**2 * w).sum((0, 1))
        each += (innovations.abs() * w).sum((0, 1))
        n += float(w.sum())
    unit, average = (total / max(n, 1e-9)).sqrt().clamp(min=1e-6), each / max(n, 1e-9)

    def sizes() -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches:
            off = (ladder.innovations(batch.series, batch.covariates).abs() - average) / unit
            yield off * (batch.run > ladder.starts[-1])[..., None], batch.weight

    period = period_of(changes(batches), most)  # what recurs in the values does so in sizes, where this is harder to see
    period = period if period > 1 else period_of(sizes(), most)
    spread = Spread.of(period, most, total.new_zeros(C, Spread.width(most)), unit)
    first, P = max(ladder.starts[-1], spread.reach), 1 + spread.weights.shape[1]
    M, counts = total.new_zeros(2, C, P, P), total.new_zeros(2)
    for batch in batches:
        usable = (batch.run > first) & batch.scored
        if not bool(usable.any()):
            continue
        innovations = ladder.innovations(batch.series, batch.covariates)
        z = spread.features(spread.totals(innovations), first, usable.shape[1])
        both = torch.cat([z, spread.log_sizes(innovations)[:, first:, :, None]], -1)
        for late, mine in enumerate(fifths(usable)):
            each, w = both[mine[:, first:]], batch.weight[:, None].expand(mine.shape)[mine]
            M[late] += torch.einsum("ncp,ncq->cpq", each * w[:, None, None], each)
            counts[late] += w.sum()
    return (replace(spread, weights=_regressed(M, counts)) if float(counts.min()) > _FEW else spread), period


def missed(weights: Sequence[Tensor], orders: Sequence[int], batches: Iterable[Lagged]) -> Tensor:
    """What regressions miss over several steps to come, from places of the last fifth: the mean logarithm of the mean
    square, over steps and columns."""
    most, C = max(orders), weights[0].shape[1]
    total = torch.zeros(len(weights), _AHEAD, C, dtype=torch.float64, device=weights[0].device)
    for batch in batches:
        length = batch.series.shape[1]
        ahead = max(1, min(_AHEAD, length // 4))
        far = batch.run.roll(-ahead, 1)  # at the last step to come
        usable = (far > most + ahead) & batch.scored
        usable[:, length - ahead:] = False
        row, place = fifths(usable)[1].nonzero(as_tuple=True)
        some = torch.linspace(0, len(row) - 1, min(len(row), _PLACES)).round().long()
        row, place = row[some], place[some]
        for i, (W, order) in enumerate(zip(weights, orders, strict=True)):
            past = batch.series[row[:, None], place[:, None] - torch.arange(order, device=row.device)]
            for step in range(ahead):
                u = batch.covariates[row, place + step + 1]
                expected = torch.cat([past.new_ones(len(row), 1), u, past.flatten(1)], 1) @ W
                off = batch.series[row, place + step + 1] - expected
                total[i, step] += (off**2 * batch.weight[row, None]).sum(0)
                past = torch.cat([expected[:, None], past[:, :-1]], 1) if order else past
    return total.clamp(min=1e-30).log().mean((1, 2))


def fifths(usable: Tensor) -> tuple[Tensor, Tensor]:
    """Usable places (B, T) but for the last fifth of them, and that."""
    number = usable.flatten().cumsum(0).reshape(usable.shape)
    late = number > 0.8 * number.max()
    return usable & ~late, usable & late


def _regressed(M: Tensor, n: Tensor) -> Tensor:
    """V (C, 1 + F) of moments (early and late, C, 2 + F, 2 + F) of [features, log size] and how many they are of; zero for
    columns whose late sizes it does not foretell."""
    def solved(moments: Tensor) -> Tensor:
        P = moments.shape[-1] - 1
        penalty = torch.full((P,), _SHRUNK, dtype=M.dtype, device=M.device)
        penalty[0] = 1e-9
        return torch.linalg.solve(moments[:, :P, :P] + penalty.diag(), moments[:, :P, P:])[..., 0]

    def left(moments: Tensor, V: Tensor) -> Tensor:
        whole = torch.cat([-V, torch.ones_like(V[:, :1])], 1)
        return torch.einsum("cp,cpq,cq->c", whole, moments, whole).clamp(min=1e-30)

    early, late = M
    constant = torch.zeros_like(early[:, 0, :-1])
    constant[:, 0] = early[:, 0, -1] / n[0]
    clear = 0.5 * n[1] * (left(late, constant) / left(late, solved(early))).log() > _CLEAR
    return torch.where(clear[:, None], solved(M.sum(0)), 0.0)


def changes(batches: Iterable[Lagged]) -> Iterator[tuple[Tensor, Tensor]]:
    """From value to value (B, T - 1, C), 0 where one is unknown, and the weights (B,)."""
    return ((batch.series.diff(dim=1) * (batch.run > 1)[:, 1:, None], batch.weight) for batch in batches)


def period_of(batches: Iterable[tuple[Tensor, Tensor]], most: int) -> int:
    """The period of values around 0 (B, T, C) by weight (B,): the least lag whose autocorrelation is a peak of nearly the
    highest; 1 where there is none below `most`."""
    products, length = torch.zeros(0, dtype=torch.float64), 0
    for values, weight in batches:
        length = values.shape[1]
        if not length:
            return 1
        power = torch.fft.rfft(values, n=2 * length, dim=1).abs() ** 2
        lags = torch.fft.irfft(power, dim=1)[:, :min(most, length // 2) + 1].sum(-1)
        products = (lags * weight[:, None]).sum(0).cpu() + (products if len(products) else 0.0)
    if not len(products):
        return 1
    far = torch.arange(len(products))
    share = (products / products[0].clamp(min=1e-300) * length / (length - far)).tolist()  # fewer pairs lie far apart
    peaks = [lag for lag in range(2, len(share) - 1) if share[lag] > max(_PEAK, share[lag - 1], share[lag + 1])]
    return next((lag for lag in peaks if share[lag] >= 0.9 * max(share[p] for p in peaks)), 1)
