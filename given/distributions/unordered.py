"""Unordered: a distribution of sets, by way of one of their items in an order.

A set of n items is drawn in any of its orders, so its probability is the sum of theirs:

    p(set) = 1 / (m_1! m_2! ...) sum_o p(o of the items),   o over all n! orders, m_i how often items are alike.

Where n is at most `exact`, `log_prob` is this sum. Beyond, it is the order of the entries themselves and n! times the mean over
orders drawn at random, that one counting nothing where it is drawn again, `draws` orders in all: an unbiased estimate of p,
whose log is on average below log p, a bound.

Source: Vinyals, Bengio, Kudlur, Order matters: sequence to sequence for sets, 2015 / https://arxiv.org/abs/1511.06391
Burda, Grosse, Salakhutdinov, Importance weighted autoencoders, 2015 / https://arxiv.org/abs/1509.00519 (the bound)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from given.distributions.beam_searched import BeamSearched
from given.distributions.distribution import Distribution, How, Intractable, Kind, weakest
from given.distributions.noise import Noise
from given.distributions.sequential import Sequential
from given.variables import Entries, Finite, counted, in_order, log_repeats, most_items, reordered

__all__ = ["Unordered"]

_AT_ONCE = 1 << 12  # rows in an order


class Unordered(Distribution):
    """Sets, by way of a distribution of rows whose items stand in an order.

    Args:
        distribution: over B rows of a space of items, an axis with a pattern.
        rows: some of the rows, by their numbers -> their distribution.
        exact: up to how many items all orders are summed.
        draws: how many orders there are of more.
    """

    def __init__(self, distribution: Distribution, rows: Callable[[Tensor], Distribution], *, exact: int = 6,
                 draws: int = 720) -> None:
        super().__init__(distribution.space, distribution.n, distribution.device)
        assert isinstance(distribution.space, Finite)
        self.items, self.most = distribution.space, most_items(distribution.space)
        self.distribution, self.rows, self.exact, self.draws = distribution, rows, exact, draws
        self.draws_together, self.closed = distribution.draws_together, distribution.closed
        self.kind = self._kind(self.most)

    def _kind(self, most: int) -> Kind:
        return weakest([self.distribution.kind, "exact" if most <= self.exact else "bound"])

    def kind_of(self, x: Entries) -> Kind:
        return self._kind(int(counted(x, self.items).max()) if x.tensor.numel() else 0)

    def _by(self, how: How) -> Unordered:
        inner, rows = self.distribution._by(how), self.rows
        if inner is self.distribution:
            return self
        return Unordered(inner, lambda index: rows(index)._by(how), exact=self.exact, draws=self.draws)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return in_order(self.distribution.sample(shape, seed=noise), self.items)

    def mode(self) -> Entries:
        """The items of the most probable symbol after symbol, as a beam of one finds them: (B, D)."""
        if not isinstance(self.distribution, Sequential):
            raise Intractable("its mode has no closed form; use sample")
        return in_order(BeamSearched(self.distribution, 1).sample(), self.items)

    def condition(self, evidence: Entries) -> Distribution:
        raise Intractable("a set is given whole or not at all; keep the draws that have some items by sample(where=)")

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        seen = x.scored.any(-1)
        if not bool((x.scored | ~x.valid | ~seen[..., None]).all()):  # type: ignore[operator]
            raise Intractable("part of a set cannot be scored; pass all of its items")
        lead = x.tensor.shape[:-1]
        x = x.map(lambda t: t.reshape(-1, t.shape[-1]))
        count, row = counted(x, self.items), torch.arange(self.n, device=self.device).repeat(len(x) // self.n)
        found = torch.zeros(len(x), dtype=torch.float64, device=self.device)
        count = torch.where(seen.reshape(-1), count, -1)
        for n in sorted({*count.tolist()} - {-1}):
            size = max(1, _AT_ONCE // min(math.factorial(n), self.draws))
            for index in (count == n).nonzero()[:, 0].split(size):
                sets = x.rows(index)
                orders = list(self._orders(n, index, Noise.of(seed, self.n, device=self.device)))
                law = self.rows(row[index])
                each = torch.cat([law.log_prob(_moved(sets, some, self.items)) for some in orders])
                found = found.index_copy(0, index, _summed(each, orders, n))
        return torch.where(count < 0, 0.0, found - log_repeats(x, self.items)).reshape(lead)

    def _orders(self, n: int, index: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Orders (some, 1 or rows, n) of n items, that of the entries first: all, or so many at random."""
        if n <= self.exact or math.factorial(n) <= self.draws:
            every = torch.tensor([*itertools.permutations(range(n))], dtype=torch.int64, device=self.device)
            yield from every.view(len(every), 1, n).split(max(1, _AT_ONCE // len(index)))
            return
        yield torch.arange(n, device=self.device).view(1, 1, n)
        turns = noise.fold("orders").uniform((self.draws - 1,), (n,))[:, index % self.n].argsort(-1)
        yield from turns.split(max(1, _AT_ONCE // len(index)))


def _moved(x: Entries, orders: Tensor, space: Finite) -> Entries:
    """Rows (B, D) in orders (some, 1 or B, n) of their n items: (some, B, D)."""
    rest = torch.arange(orders.shape[-1], most_items(space), device=orders.device)
    orders = torch.cat([orders, rest.expand(*orders.shape[:-1], -1)], -1).expand(-1, len(x), -1)
    return reordered(x.map(lambda t: t.expand(len(orders), *t.shape)), orders, space)


def _summed(each: Tensor, orders: Sequence[Tensor], n: int) -> Tensor:
    """log p (some, B) of orders (some, 1 or B, n), the first that of the entries -> of all n! orders together: (B,)."""
    if math.factorial(n) == len(each):
        return each.logsumexp(0)
    again = torch.cat([(some == torch.arange(n, device=each.device)).all(-1) for some in orders[1:]])
    others = each[1:].masked_fill(again, -torch.inf).logsumexp(0) + math.log(math.factorial(n) / len(again))
    return torch.logaddexp(each[0], others)
