"""Speculated: draws of a law, several entries at a time, from the guesses of a cheaper one. Exactly the law's own.

A guess x ~ q is kept with probability min(1, p(x) / q(x)), and else replaced by a draw from

    r(x) = max(p(x) - q(x), 0) / sum_x' max(p(x') - q(x'), 0),

so that q(x) min(1, p(x) / q(x)) + (1 - sum_x' min(p(x'), q(x'))) r(x) = p(x). Several guesses are read by the law in one pass;
those after the first that is replaced are made again. An entry is one function of those before it and of its own three random
numbers, whichever pass it falls in: neither the number of guesses nor the rows beside it move a draw.

Source: Leviathan, Kalman, Matias, Fast inference from transformers via speculative decoding, 2023 /
https://arxiv.org/abs/2211.17192
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from given.laws.categorical import Categorical
from given.laws.entrywise import Entrywise
from given.laws.law import Law
from given.laws.noise import Noise, choose
from given.laws.sequential import Sequential, State
from given.laws.steered import check_steps
from given.variables import Entries, UserError

__all__ = ["Speculated", "Tally"]


@dataclass
class Tally:
    """How many guesses were judged and how many of them kept, and how many passes the law took."""

    judged: int = 0
    kept: int = 0
    passes: int = 0


class Speculated(Law):
    """A sequential law, drawn from the guesses of another.

    Args:
        law: to draw from, of symbols.
        guess: of the same space and order, of as many rows or one; what it is not given before, it is given now.
        ahead: how many guesses are made at a time.
        tally: where they are counted.
    """

    draws_together = closed = True

    def __init__(self, law: Sequential, guess: Sequential, ahead: int, tally: Tally | None = None) -> None:
        super().__init__(law.space, law.n)
        check_steps(law, "Speculative")
        check_steps(guess, "Speculative: draft")
        if guess.space != law.space or not torch.equal(guess.order, law.order):
            raise UserError(f"Speculative: expected a draft of {law.space} in the same order, got one of {guess.space}")
        if guess.n not in (1, law.n):
            raise UserError(f"Speculative: expected a draft of {law.n} rows, or of one, got {guess.n}")
        if law.evidence is not None and guess.evidence is None:
            if guess.n != law.n:
                raise UserError("Speculative: expected a draft of as many rows where something is given")
            guess = guess.condition(Entries(law.evidence.tensor, law.evidence.known).shaped(law.space))  # type: ignore[assignment]
        self.law, self.guess, self.ahead, self.tally = law, guess, ahead, tally or Tally()
        self.kind, self.evidence = law.kind, law.evidence

    @torch.no_grad()
    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        law, order, D, draws = self.law, self.law.order.tolist(), len(self.law.order), torch.Size(shape).numel()
        N, row = draws * self.n, torch.arange(self.n).repeat(draws)
        own = noise.repeat(draws) if shape and len(noise.keys) == self.n else noise  # a stream of noise for every draw
        u, keep, again = (own.fold(k).uniform((), (D,)) for k in range(3))  # guess, whether to keep it, what instead
        state = law.start().rows(row)
        other = self.guess.start().rows(row if self.guess.n == self.n else torch.zeros_like(row))
        over, valid = torch.zeros(N, dtype=torch.bool), torch.zeros(N, D, dtype=torch.bool)
        known = torch.zeros(N, D, dtype=torch.bool) if law.evidence is None else law.evidence.known[row]
        value = torch.zeros(N, D) if law.evidence is None else law.evidence.tensor[row]
        t = 0
        while t < D and not bool(over.all()):
            steps = range(t, min(t + self.ahead, D))
            read = bool(known[:, order[t]].all())  # with the next guess
            if not read:
                guesses, q = self._guess(other, [order[s] for s in steps], u[:, t:], known, value)
                p = _probabilities(law.ahead(state, guesses[:, :-1]))
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
                entries = torch.where(kept | right, guesses, choose(rest, again[:, t:steps.stop]))
                drawn, kept = ~kept, kept | right
                n = min(len(steps), int(kept.all(0).long().cumprod(0).sum()) + 1)
                self.tally.judged += int(drawn[:, :n].sum())
                self.tally.kept += int((drawn & right)[:, :n].sum())
                steps = steps[:n]
            for i, s in enumerate(steps):
                entry = entries[:, i].double().masked_fill(over, 0.0)
                valid[:, order[s]] = ~over
                state, other = law.advance(state, entry), self.guess.advance(other, entry)
                over = over | law.over(state)
            state, t = law.back(state), steps.stop
        lead = (*shape, self.n, D)
        return Entries(state.values.reshape(lead), valid=valid.reshape(lead)).shaped(self.space)

    def _guess(self, state: State, entries: list[int], u: Tensor, known: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """The next symbols (N, k) as the draft guesses them, and its probabilities (N, k, V)."""
        guesses, laws = list[Tensor](), [self.guess.next(state)]  # what it reads here, it need not read again
        fork = state.rows(torch.arange(len(u)))
        for i, entry in enumerate(entries):
            if i:
                fork = self.guess.advance(fork, guesses[-1])
                laws.append(self.guess.next(fork))
            q = _probabilities(laws[-1:])[:, 0]
            guesses.append(torch.where(known[:, entry], value[:, entry].long(), choose(q, u[:, i])))
        return torch.stack(guesses, 1), _probabilities(laws)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return self.law.log_prob(x, seed=seed)

    def condition(self, evidence: Entries) -> Speculated:
        law = self.law.condition(evidence)
        assert isinstance(law, Sequential)
        return Speculated(law, self.guess, self.ahead, self.tally)


def _probabilities(laws: Sequence[Entrywise]) -> Tensor:
    """(N, k, V) of the laws of k entries."""
    for law in laws:
        if not isinstance(law, Categorical):
            raise UserError(f"Speculative: expected entries among finitely many symbols, got {law.space}; leave it out")
    return torch.stack([law.log_probs for law in laws if isinstance(law, Categorical)], 1).exp()
