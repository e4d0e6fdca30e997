"""KernelDensity: a kernel about every stored item, of reals and symbols alike.

    p(x) = sum_i w_i prod_d k_d(x_d | c_id)

k is normal about a real, and a row of a table about a symbol. Conditioning on seen entries weighs the items anew,
w_i <- w_i prod_{d seen} k_d(x_d | c_id), and is exact, as every marginal is. Distances are sums of squared differences, without
the cancellation of x^2 - 2 x c + c^2, in blocks.

Source: Parzen, On estimation of a probability density function and mode, 1962 / https://doi.org/10.1214/aoms/1177704472
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from given.distributions.distribution import Distribution
from given.distributions.flattened import Flattened
from given.distributions.noise import Noise, inverse_cdf_sample
from given.variables import Entries, Finite, Observed, Space, UserError, Variable

__all__ = ["KernelDensity", "Kernels", "stored"]

_AT_ONCE = 1 << 22  # numbers in a block


@dataclass(frozen=True)
class Kernels:
    """Stored items and the widths of their kernels.

    Attributes:
        space: real and finite entries; no atoms, no modelled length.
        centres: (N, D) float64, symbols as numbers; NaN where an item has a hole, whose kernel is broad.
        widths: (D,) float64: standard deviations of reals, the probability that a symbol is drawn anew.
        mean, deviation: (D,) of the broad kernel of a real.
        tables: entry -> (V + 1, V), row v the log distribution of a symbol whose stored value is v; the last is the broad one.
    """

    space: Space
    centres: Tensor
    widths: Tensor
    mean: Tensor
    deviation: Tensor
    tables: dict[int, Tensor]

    @staticmethod
    def check(x: Variable, who: str, bandwidth: float | None, anew: float | None) -> None:
        """Raise `UserError` unless kernels of these widths may stand about items of x."""
        for name, part in x.space.parts:
            if part.end is not None:
                raise UserError(f"{who}: {name or x.name}: has an end of its own; use Empirical, or Autoregressive")
        Flattened.check_no_atoms(x, who)
        if bandwidth is not None and not bandwidth > 0:
            raise UserError(f"{who} {x.name}: bandwidth={bandwidth}; expected a number above 0")
        if anew is not None and not 0 < anew < 1:
            raise UserError(f"{who} {x.name}: anew={anew}; expected a number between 0 and 1")

    @staticmethod
    def about(space: Space, items: Tensor, weights: Tensor, h: float, a: float) -> Kernels:
        """Kernels about items (N, D) of weights (N,): of reals h times their standard deviation wide; symbols are drawn anew
        with probability a."""
        seen, value = ~items.isnan(), items.nan_to_num()
        amount = weights[:, None] * seen
        count = amount.sum(0).clamp(min=1e-300)
        mean = (amount * value).sum(0) / count
        deviation = ((amount * torch.where(seen, value - mean, 0.0) ** 2).sum(0) / count).sqrt()
        deviation = torch.where(deviation > 1e-12 * mean.abs(), deviation, 1.0)  # a constant has the width of a unit
        sizes = [part.size if isinstance(part, Finite) else 0 for _, part in space.parts for _ in range(part.dimensions)]
        tables = {d: _table(items[:, d], weights, V, a) for d, V in enumerate(sizes) if V}
        return Kernels(space, items, h * deviation, mean, deviation, tables)

    @property
    def reals(self) -> list[int]:
        """The numbers of the real entries."""
        return [d for d in range(self.centres.shape[1]) if d not in self.tables]

    def log_prob(self, x: Tensor, scored: Tensor) -> Tensor:
        """log prod_d k_d(x_d | c_id) over the scored entries: (B, D) -> (B, N) float64."""
        rows = max(1, _AT_ONCE // max(1, self.centres.numel()))
        return torch.cat([self._block(a, b) for a, b in zip(x.split(rows), scored.split(rows), strict=True)])

    def _block(self, x: Tensor, scored: Tensor) -> Tensor:
        reals = self.reals
        total = self._normal(x[:, reals], scored[:, reals], reals)
        for d, table in self.tables.items():
            stored = torch.where(self.centres[:, d].isnan(), len(table) - 1, self.centres[:, d].nan_to_num()).long()
            each = table.T[torch.where(scored[:, d], x[:, d], 0.0).long()][:, stored]
            total = torch.where(scored[:, d, None], total + each, total)
        return total

    def _normal(self, x: Tensor, scored: Tensor, reals: list[int]) -> Tensor:
        centre, mean, width = self.centres[:, reals], self.mean[reals], self.widths[reals]
        x, item = torch.where(scored, x - mean, 0.0), (centre - mean).nan_to_num()
        hole = centre.isnan()
        if bool(scored.all()) and not bool(hole.any()):
            z = torch.cdist(x / width, item / width, compute_mode="donot_use_mm_for_euclid_dist")
            return -0.5 * z**2 - (width.log() + 0.5 * math.log(2 * math.pi)).sum()
        wide = torch.where(hole, self.deviation[reals], width)
        each = -0.5 * ((x[:, None] - item) / wide) ** 2 - wide.log() - 0.5 * math.log(2 * math.pi)
        return torch.where(scored[:, None], each, 0.0).sum(-1)

    def pick(self, item: Tensor, u: Tensor) -> Tensor:
        """Values (..., D) about the items (...,) that numbers u (..., D) in (0, 1) pick."""
        centre = self.centres[item]
        hole = centre.isnan()
        wide = torch.where(hole, self.deviation, self.widths)
        values = torch.where(hole, self.mean, centre) + wide * torch.special.ndtri(u)
        for d, table in self.tables.items():
            stored = torch.where(hole[..., d], len(table) - 1, centre[..., d].nan_to_num()).long()
            values[..., d] = inverse_cdf_sample(table.exp()[stored], u[..., d]).double()
        return values


def _table(item: Tensor, weights: Tensor, V: int, a: float) -> Tensor:
    """(V + 1, V) the log distribution of a symbol by the stored one; the last row by none, of how often each is stored."""
    counts = torch.full((V,), 1 / V, dtype=torch.float64, device=item.device)
    counts.index_add_(0, item.nan_to_num().long(), torch.where(item.isnan(), 0.0, weights))
    eye = torch.eye(V, dtype=torch.float64, device=item.device)
    return torch.cat([(1 - a) * eye + a / V, counts[None] / counts.sum()]).log()


def stored(batches: Iterable[tuple[Entries, Observed, Tensor]], space: Space, beside: Callable[[Observed], Tensor],
           who: str) -> tuple[Tensor, Tensor]:
    """Rows (N, F + D) of F numbers `beside` x and its entries, NaN where there is none, each once, and their weights (N,).

    Raises:
        UserError: no row of weight above 0 has an entry that is known.
    """
    rows, amounts = list[Tensor](), list[Tensor]()
    for x, y, weight in batches:
        flat = x.flat(space)
        some = (weight > 0) & flat.scored.any(1)
        rows.append(torch.cat([beside(y), torch.where(flat.scored, flat.tensor, torch.nan)], 1)[some])
        amounts.append(weight.double()[some])
    if not rows or not len(whole := torch.cat(rows)):
        raise UserError(f"{who}: no row of weight above 0 with an entry that is known; expected at least one")
    # NaN is no equal of itself: rows are told apart by bits.
    bits, index = (whole + 0.0).view(torch.int64).unique(dim=0, return_inverse=True)
    return bits.view(torch.float64), torch.zeros(len(bits), dtype=torch.float64).index_add_(0, index, torch.cat(amounts))


class KernelDensity(Distribution):
    """A weighted mixture of kernels.

    Args:
        log_weights: (B, N), normalised or not; a row where all are -inf has no items, and nothing is possible there.
        kernels: about N items.
    """

    def __init__(self, log_weights: Tensor, kernels: Kernels) -> None:
        super().__init__(kernels.space, len(log_weights), log_weights.device)
        total = log_weights.double().logsumexp(-1, keepdim=True)
        self.log_weights = torch.where(total == -torch.inf, -torch.inf, log_weights.double() - total)
        self.kernels = kernels

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        empty = (self.log_weights == -torch.inf).all(-1)
        if bool(empty.any()):
            raise UserError("no stored item agrees with what is given; give KernelDensity a larger bandwidth",
                            int(empty.nonzero()[0]))
        item = inverse_cdf_sample(self.log_weights.exp(), noise.fold("item").uniform(shape))
        values = self.kernels.pick(item, noise.fold("entry").uniform(shape, (self.space.dimensions,)))
        return self._filled(values)

    def _filled(self, values: Tensor) -> Entries:
        known = self._known
        return Entries(values if known is None else torch.where(known.scored, known.tensor, values)).shaped(self.space)

    @property
    def _known(self) -> Entries | None:
        return None if self.evidence is None else self.evidence.flat(self.space)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        flat = x.flat(self.space)
        scored = flat.scored if self._known is None else flat.scored & ~self._known.scored
        lead = scored.shape[:-1]
        value, mask = flat.tensor.flatten(0, -2), scored.flatten(0, -2)
        rows = max(1, _AT_ONCE // max(1, self.log_weights.shape[1]))
        weights = torch.arange(self.n, device=self.device).repeat(len(value) // max(1, self.n))
        each = [(self.log_weights[i] + self.kernels.log_prob(v, m)).logsumexp(-1)
                for v, m, i in zip(value.split(rows), mask.split(rows), weights.split(rows), strict=True)]
        return torch.cat(each).reshape(lead)

    def condition(self, evidence: Entries) -> KernelDensity:
        flat = evidence.flat(self.space)
        scored = flat.scored if self._known is None else flat.scored & ~self._known.scored
        weights = self.log_weights + self.kernels.log_prob(flat.tensor, scored)
        whole = flat if self._known is None else self._known.or_else(flat)
        return KernelDensity(weights, self.kernels)._but(evidence=whole.shaped(self.space))

    def mean(self) -> Entries:
        """The mean of reals; `Intractable` among symbols."""
        if any(isinstance(part, Finite) for _, part in self.space.parts):
            return super().mean()
        centres = torch.where(self.kernels.centres.isnan(), self.kernels.mean, self.kernels.centres)
        return self._filled(self.log_weights.exp() @ centres)

    def cdf(self, x: Entries) -> Tensor:
        flat = x.flat(self.space)
        scored = flat.scored if self._known is None else flat.scored & ~self._known.scored
        at = scored.long().argmax(-1)
        value = flat.tensor.gather(-1, at[..., None])
        centre, hole = self.kernels.centres.T[at], self.kernels.centres.T[at].isnan()
        wide = torch.where(hole, self.kernels.deviation[at][..., None], self.kernels.widths[at][..., None])
        middle = torch.where(hole, self.kernels.mean[at][..., None], centre)
        return (self.log_weights.exp() * torch.special.ndtr((value - middle) / wide)).sum(-1)
