"""SpeculativeSampling: draws of a distribution, several entries at a time, from the guesses of a cheaper one. Exactly the
distribution's own.

A guess x ~ q is kept with probability min(1, p(x) / q(x)), and else replaced by a draw from

    r(x) = max(p(x) - q(x), 0) / sum_x' max(p(x') - q(x'), 0),

so that q(x) min(1, p(x) / q(x)) + (1 - sum_x' min(p(x'), q(x'))) r(x) = p(x). Several guesses are read by the distribution in
one pass; those after the first that is replaced are made again. An entry is one function of those before it and of its own
three random
numbers, whichever pass it falls in: neither the number of guesses nor the rows beside it move a draw.

Source: Leviathan, Kalman, Matias, Fast inference from transformers via speculative decoding, 2023 /
https://arxiv.org/abs/2211.17192
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from given.distributions.categorical import Categorical
from given.distributions.distribution import Distribution
from given.distributions.factorized import Factorized
from given.distributions.noise import Noise, inverse_cdf_sample
from given.distributions.sequential import Sequential, State
from given.distributions.stepwise_transform import check_one_at_a_time
from given.variables import Entries, UserError

__all__ = ["AcceptanceStats", "SpeculativeSampling"]


@dataclass
class AcceptanceStats:
    """How many guesses were judged and how many of them kept, and how many passes the distribution took."""

    judged: int = 0
    kept: int = 0
    passes: int = 0


class SpeculativeSampling(Distribution):
    """A sequential distribution, drawn from the guesses of another.

    Args:
        distribution: to draw from, of symbols.
        guess: of the same space and order, of as many rows or one; what it is not given before, it is given now.
        ahead: how many guesses are made at a time.
        tally: where they are counted.
    """

    draws_together = closed = True

    def __init__(self, distribution: Sequential, guess: Sequential, ahead: int, tally: AcceptanceStats | None = None) -> None:
        super().__init__(distribution.space, distribution.n)
        check_one_at_a_time(distribution, "Speculative")
        check_one_at_a_time(guess, "Speculative: draft")
        if guess.space != distribution.space or not torch.equal(guess.order, distribution.order):
            raise UserError(f"Speculative: expected a draft of {distribution.space} in the same order, "
                            f"got one of {guess.space}")
        if guess.n not in (1, distribution.n):
            raise UserError(f"Speculative: expected a draft of {distribution.n} rows, or of one, got {guess.n}")
        if distribution.evidence is not None and guess.evidence is None:
            if guess.n != distribution.n:
                raise UserError("Speculative: expected a draft of as many rows where something is given")
            known = Entries(distribution.evidence.tensor, distribution.evidence.scored).shaped(distribution.space)
            guess = guess.condition(known)  # type: ignore[assignment]
        self.distribution, self.guess, self.ahead, self.tally = distribution, guess, ahead, tally or AcceptanceStats()
        self.kind, self.evidence = distribution.kind, distribution.evidence

    @torch.no_grad()
    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        distribution, draws = self.distribution, torch.Size(shape).numel()
        order, D = distribution.order.tolist(), len(distribution.order)
        N, row = draws * self.n, torch.arange(self.n).repeat(draws)
        own = noise.repeat(draws) if shape and len(noise.keys) == self.n else noise  # a stream of noise for every draw
        u, keep, again = (own.fold(k).uniform((), (D,)) for k in range(3))  # guess, whether to keep it, what instead
        state = distribution.start().rows(row)
        other = self.guess.start().rows(row if self.guess.n == self.n else torch.zeros_like(row))
        over, valid = torch.zeros(N, dtype=torch.bool), torch.zeros(N, D, dtype=torch.bool)
        known = torch.zeros(N, D, dtype=torch.bool) if distribution.evidence is None else distribution.evidence.scored[row]
        value = torch.zeros(N, D) if distribution.evidence is None else distribution.evidence.tensor[row]
        t = 0
        while t < D and not bool(over.all()):
            steps = range(t, min(t + self.ahead, D))
            read = bool(known[:, order[t]].all())  # with the next guess
            if not read:
                guesses, q = self._guess(other, [order[s] for s in steps], u[:, t:], known, value)
                p = _probabilities(distribution.ahead(state, guesses[:, :-1]))
                self.tally.passes += 1
            else:
                steps, guesses = range(t, t + 1), value[:, order[t], None].long()
            entries = guesses
            if not read:
                kept = known[:, [order[s] for s in steps]] | over[:, None]
                at = [each.gather(-1, guesses[..., None])[..., 0] for each in (p, q)]
                right = keep[:, t:steps.stop] * at[1] < at[0]
                rest = (p - q).clamp(min=0)
                # Where nothing is left, p is q to rounding and every guess is right.
                rest = torch.where(rest.sum(-1, keepdim=True) > 0, rest, p)
                entries = torch.where(kept | right, guesses, inverse_cdf_sample(rest, again[:, t:steps.stop]))
                drawn, kept = ~kept, kept | right
                n = min(len(steps), int(kept.all(0).long().cumprod(0).sum()) + 1)
                self.tally.judged += int(drawn[:, :n].sum())
                self.tally.kept += int((drawn & right)[:, :n].sum())
                steps = steps[:n]
            for i, s in enumerate(steps):
                entry = entries[:, i].double().masked_fill(over, 0.0)
                valid[:, order[s]] = ~over
                state, other = distribution.advance(state, entry), self.guess.advance(other, entry)
                over = over | distribution.over(state)
            state, t = distribution.back(state), steps.stop
        lead = (*shape, self.n, D)
        return Entries(state.values.reshape(lead), valid=valid.reshape(lead)).shaped(self.space)

    def _guess(self, state: State, entries: list[int], u: Tensor, known: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """The next symbols (N, k) as the draft guesses them, and its probabilities (N, k, V)."""
        guesses, distributions = list[Tensor](), [self.guess.next(state)]  # what it reads here, it need not read again
        fork = state.rows(torch.arange(len(u)))
        for i, entry in enumerate(entries):
            if i:
                fork = self.guess.advance(fork, guesses[-1])
                distributions.append(self.guess.next(fork))
            q = _probabilities(distributions[-1:])[:, 0]
            guesses.append(torch.where(known[:, entry], value[:, entry].long(), inverse_cdf_sample(q, u[:, i])))
        return torch.stack(guesses, 1), _probabilities(distributions)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return self.distribution.log_prob(x, seed=seed)

    def condition(self, evidence: Entries) -> SpeculativeSampling:
        distribution = self.distribution.condition(evidence)
        assert isinstance(distribution, Sequential)
        return SpeculativeSampling(distribution, self.guess, self.ahead, self.tally)


def _probabilities(distributions: Sequence[Factorized]) -> Tensor:
    """(N, k, V) of the distributions of k entries."""
    for distribution in distributions:
        if not isinstance(distribution, Categorical):
            raise UserError("Speculative: expected entries among finitely many symbols, "
                            f"got {distribution.space}; leave it out")
    return torch.stack([distribution.log_probs for distribution in distributions if isinstance(distribution, Categorical)],
                       1).exp()
