"""Mixture: one of K distributions of the same entries, chosen at random.

    p(x) = sum_k w_k p_k(x),    p(x_u | x_s) = sum_k w_k p_k(x_s) / p(x_s)  p_k(x_u | x_s)

so a mixture marginalises and conditions wherever its parts do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, How, Kind, weakest
from given.distributions.noise import Noise, inverse_cdf_sample
from given.variables import Entries, UserError

__all__ = ["Mixture", "best_weights"]

_PASSES, _TOLERANCE = 300, 1e-7


class Mixture(Distribution):
    """A mixture.

    Args:
        log_weights: (B, K), normalised or not; a row where all are -inf is impossible under every part, and has no draws.
        parts: K distributions of B rows and of one space.
    """

    weighed = False  # whether evidence has weighed the parts, so that all may be impossible

    def __init__(self, log_weights: Tensor, parts: Sequence[Distribution]) -> None:
        super().__init__(parts[0].space, parts[0].n, parts[0].device)
        total = log_weights.double().logsumexp(-1, keepdim=True)
        self.log_weights = log_weights.double() - total.masked_fill(total == -torch.inf, 0.0)
        self.parts = list(parts)
        self.kind, self.adaptive = weakest(part.kind for part in parts), any(part.adaptive for part in parts)

    @property
    def kind_of_part(self) -> Kind:
        """That of its weakest part."""
        return weakest(part.kind_of_part for part in self.parts)

    def _by(self, how: How) -> Mixture:
        # Its parts are steered, and weigh what they did.
        return self._with([part._by(how) for part in self.parts])

    def asking(self, columns: Collection[str]) -> Mixture:
        return self._with([part.asking(columns) for part in self.parts])

    def _with(self, parts: Sequence[Distribution]) -> Mixture:
        mixture = Mixture(self.log_weights, parts)
        mixture.weighed = self.weighed
        return mixture

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        if self.weighed and bool((empty := (self.log_weights == -torch.inf).all(-1)).any()):
            raise UserError("what is given has probability zero under every part; give something else", int(empty.nonzero()[0]))
        chosen = inverse_cdf_sample(self.log_weights.exp(), noise.fold("part").uniform(shape))
        drawn = [part.sample(shape, seed=noise.fold(k)).flat(self.space) for k, part in enumerate(self.parts)]
        each = Entries.cat([x.map(lambda t: t[None]) for x in drawn])
        index = chosen[None, ..., None].expand(1, *each.tensor.shape[1:])
        return each.map(lambda t: t.gather(0, index)[0]).shaped(self.space)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return torch.logsumexp(self.joint_log_prob(x, seed=seed), -1)

    def joint_log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        """log w_k p_k(x) for every part: (*shape, B, K) float64."""
        return self.log_weights + self.each(x, seed=seed)

    def each(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        """log p_k(x) of every part: (*shape, B, K) float64."""
        noise = Noise.of(seed, self.n, device=self.device)
        return torch.stack([part.log_prob(x, seed=noise.fold(k)) for k, part in enumerate(self.parts)], -1)

    def condition(self, evidence: Entries) -> Mixture:
        mixture = Mixture(self.joint_log_prob(evidence), [part.condition(evidence) for part in self.parts])
        mixture.weighed = True
        return mixture

    def cdf(self, x: Entries) -> Tensor:
        return (self.log_weights.exp() * torch.stack([part.cdf(x) for part in self.parts], -1)).sum(-1)

    def mean(self) -> Entries:
        """The mean: (B, *grid)."""
        each = torch.stack([part.mean().flat(self.space).tensor for part in self.parts], -1)
        return Entries((self.log_weights.exp()[:, None] * each).sum(-1)).shaped(self.space)


def best_weights(log_p: Tensor, amount: Tensor) -> Tensor:
    """The weights (K,) float64 of a mixture under which rows are likeliest, by expectation maximisation from even ones.

    Args:
        log_p: (N, K) of every row under every part.
        amount: (N,) how much each row counts.

    Raises:
        UserError: no row of positive weight has a finite log p under any part.
    """
    most = log_p.amax(1)
    told = (most > -torch.inf) & (amount > 0)  # log p = -inf under every part fits any weights
    if not bool(told.any()):
        raise UserError("nothing to weigh its parts by: every row has weight 0, or probability 0 under each of them; let them "
                        "learn from more, or smooth them")
    p, amount = (log_p - most[:, None])[told].exp().double(), amount[told].double()
    weights = torch.full_like(p[0], 1 / p.shape[1])
    for _ in range(_PASSES):
        before, weights = weights, weights * ((amount / (p @ weights)) @ p) / amount.sum()
        if bool((weights - before).abs().max() < _TOLERANCE):
            break
    return weights
