"""BeamSearched: the most probable texts that a beam finds, in place of draws.

    score(x) = log p(x) / ((5 + |x|) / 6)^alpha

|x| counts the entries that were drawn, the end too. Beams that are over stay among the others by their score. With a width of
all prefixes there are, the search is exhaustive.

Source: Lowerre, The Harpy speech recognition system, 1976
Wu et al., Google's neural machine translation system, 2016 / https://arxiv.org/abs/1609.08144 (the normalisation)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.noise import Noise
from given.distributions.sequential import LOOKS, Sequential
from given.distributions.stepwise_transform import check_one_at_a_time
from given.variables import Entries, Finite, UserError

__all__ = ["BeamSearched"]


class BeamSearched(Distribution):
    """The k best texts of every row as its k draws, the best first.

    Args:
        distribution: sequential, of symbols.
        width: how many beams a row has, and the most draws.
        alpha: how much longer texts are favoured; 0 not at all.
    """

    kind: Kind = "none"
    draws_together = closed = True

    def __init__(self, distribution: Sequential, width: int, alpha: float = 0.0) -> None:
        super().__init__(distribution.space, distribution.n, distribution.device)
        check_one_at_a_time(distribution, "Beam")
        self.distribution, self.width, self.alpha, self.evidence = distribution, width, alpha, distribution.evidence

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        k = torch.Size(shape).numel()
        if k > self.width:
            raise UserError(f"Beam: {k} draws of {self.width} beams; expected at most {self.width}; widen the beam")
        found, scores = self.search()
        if bool((scores[:k] == -torch.inf).any()):
            most = int((scores > -torch.inf).sum(0).min())
            raise UserError(f"Beam: {k} draws; expected at most {most}, for there are no more texts")
        return found.map(lambda t: t[:k].reshape(*shape, *t.shape[1:]))

    @torch.no_grad()
    def search(self) -> tuple[Entries, Tensor]:
        """The texts (width, B, *grid), the best first, and their scores (width, B); minus infinity where there is no text."""
        distribution, B, W, D = self.distribution, self.n, self.width, len(self.distribution.order)
        at, first = self.device, torch.arange(B, device=self.device)[:, None] * W  # the beams of a row lie together
        row = torch.arange(B * W, device=at) // W
        state = distribution.start().rows(row)
        log_p = torch.full((B, W), -torch.inf, dtype=torch.float64, device=at)
        log_p[:, 0] = 0.0
        length, over = torch.zeros_like(log_p), torch.zeros(B * W, dtype=torch.bool, device=at)
        valid = torch.zeros(B * W, D, dtype=torch.bool, device=at)
        known = value = None
        if distribution.evidence is not None:
            known, value = distribution.evidence.scored[row], distribution.evidence.tensor[row]
        for t, entry in enumerate(distribution.entries):
            if (at.type == "cpu" or t % LOOKS == 0) and bool(over.all()):
                break
            step = distribution.next(state)
            if not isinstance(step.space, Finite):
                raise UserError(f"Beam: expected an entry among finitely many symbols, got {step.space}; leave Beam out")
            each = step.log_probs.masked_fill(log_p.view(-1, 1) == -torch.inf, -torch.inf)
            V = each.shape[-1]
            only = over if known is None else over | known[:, entry]
            told = torch.zeros_like(over, dtype=torch.int64)
            if value is not None and known is not None:
                told = torch.where(known[:, entry] & ~over, value[:, entry], 0.0).long()
            certain = torch.full_like(each, -torch.inf).scatter_(1, told[:, None], 0.0)
            each = torch.where(only[:, None], certain, each)
            length = length + (~only).view(B, W)
            total = (log_p[..., None] + each.view(B, W, V)).view(B, W * V)
            order = total / self._long(length).repeat_interleave(V, 1)
            best = order.topk(W, 1).indices if W * V > W else order.argsort(1, descending=True)
            log_p, beam = total.gather(1, best), best // V
            index = (first + beam).view(-1)
            length = length.gather(1, beam)
            if at.type != "cpu" or not torch.equal(index, torch.arange(B * W)):
                state, over, valid = state.rows(index), over[index], valid[index]
            valid[:, entry] = ~over
            state = distribution.advance(state, (best % V).view(-1).double().masked_fill(over, 0.0))
            over = over | distribution.over(state)
        scores, by = (log_p / self._long(length)).sort(dim=1, descending=True, stable=True)
        index = (first + by).T  # (W, B)
        return Entries(state.values[index], valid=valid[index]).shaped(self.space), scores.T

    def _long(self, length: Tensor) -> Tensor:
        return ((5 + length) / 6) ** self.alpha

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        raise Intractable("a search is no distribution, and what it finds has no probability of its own; score it without Beam")

    def condition(self, evidence: Entries) -> BeamSearched:
        distribution = self.distribution.condition(evidence)
        assert isinstance(distribution, Sequential)
        return BeamSearched(distribution, self.width, self.alpha)
