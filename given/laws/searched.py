"""Searched: the most probable texts that a beam finds, in place of draws.

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

from given.laws.categorical import Categorical
from given.laws.law import Intractable, Kind, Law
from given.laws.noise import Noise
from given.laws.sequential import Sequential
from given.laws.steered import check_steps
from given.variables import Entries, UserError

__all__ = ["Searched"]


class Searched(Law):
    """The k best texts of every row as its k draws, the best first.

    Args:
        law: sequential, of symbols.
        width: how many beams a row has, and the most draws.
        alpha: how much longer texts are favoured; 0 not at all.
    """

    kind: Kind = "none"
    draws_together = closed = True

    def __init__(self, law: Sequential, width: int, alpha: float = 0.0) -> None:
        super().__init__(law.space, law.n)
        check_steps(law, "Beam")
        self.law, self.width, self.alpha, self.evidence = law, width, alpha, law.evidence

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
        law, B, W, D = self.law, self.n, self.width, len(self.law.order)
        row = torch.arange(B).repeat_interleave(W)  # the beams of a row lie together
        state = law.start().rows(row)
        log_p = torch.full((B, W), -torch.inf, dtype=torch.float64)
        log_p[:, 0] = 0.0
        length, over = torch.zeros(B, W, dtype=torch.float64), torch.zeros(B * W, dtype=torch.bool)
        valid = torch.zeros(B * W, D, dtype=torch.bool)
        known = value = None
        if law.evidence is not None:
            known, value = law.evidence.known[row], law.evidence.tensor[row]
        for entry in law.order.tolist():
            if bool(over.all()):
                break
            step = law.next(state)
            if not isinstance(step, Categorical):
                raise UserError(f"Beam: expected an entry among finitely many symbols, got {step.space}; leave Beam out")
            each = step.log_probs.masked_fill(log_p.view(-1, 1) == -torch.inf, -torch.inf)
            V = each.shape[-1]
            only = over if known is None else over | known[:, entry]
            told = torch.zeros(B * W) if value is None or known is None else torch.where(known[:, entry], value[:, entry], 0.0)
            told = told.masked_fill(over, 0.0).long()
            certain = torch.full_like(each, -torch.inf).scatter_(1, told[:, None], 0.0)
            each = torch.where(only[:, None], certain, each)
            length = length + (~only).view(B, W)
            total = (log_p[..., None] + each.view(B, W, V)).view(B, W * V)
            order = total / self._long(length).repeat_interleave(V, 1)
            best = order.topk(W, 1).indices if W * V > W else order.argsort(1, descending=True)
            log_p, beam = total.gather(1, best), best // V
            index = (torch.arange(B)[:, None] * W + beam).view(-1)
            length = length.gather(1, beam)
            if not torch.equal(index, torch.arange(B * W)):
                state, over, valid = state.rows(index), over[index], valid[index]
            valid[:, entry] = ~over
            state = law.advance(state, (best % V).view(-1).double().masked_fill(over, 0.0))
            over = over | law.over(state)
        scores, by = (log_p / self._long(length)).sort(dim=1, descending=True, stable=True)
        index = (torch.arange(B)[:, None] * W + by).T  # (W, B)
        return Entries(state.values[index], valid=valid[index]).shaped(self.space), scores.T

    def _long(self, length: Tensor) -> Tensor:
        return ((5 + length) / 6) ** self.alpha

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        raise Intractable("a search is no law, and what it finds has no probability of its own; score it without Beam")

    def condition(self, evidence: Entries) -> Searched:
        law = self.law.condition(evidence)
        assert isinstance(law, Sequential)
        return Searched(law, self.width, self.alpha)
