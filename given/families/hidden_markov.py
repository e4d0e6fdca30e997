"""HiddenMarkov: a series whose moments depend on one another through a chain of K hidden states, by expectation maximisation.

    p(x) = sum_z  p(z_1) p(x_1 | z_1) prod_t p(z_t | z_t-1) p(x_t | z_t)

The numbers of a moment are normal given the state, with a covariance of their own or independent, its symbols categorical.
E-step: p(z_t | x) and p(z_t, z_t+1 | x) by the forward and the backward recursion, all items at once, and the expected moments
of what is not seen. M-step: counts and moments weighted by these. It maximises the likelihood and a little prior: every count
starts from `smoothing`, no variance falls below `floor`. This sum, in `likelihoods`, never falls.
`log_prob` is exact, and so are all marginals and conditionals. `encode` gives p(z_t | x), `likeliest` the Viterbi path.
A pass costs O(N T K (K + C R^2)), with a loop over T and the C channels alone.

Source: Baum, Petrie, Soules, Weiss, A maximization technique in the statistical analysis of Markov chains, 1970
Rabiner, A tutorial on hidden Markov models, 1989 / https://doi.org/10.1109/5.18626
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from given import distributions
from given.conditional import Conditional
from given.distributions import Emissions, Noise, Timeline
from given.distributions.hidden_markov import predicted, to_come
from given.lessons import Batch, Lesson, Solve, deadline_of, seed_of
from given.variables import Axis, Entries, Finite, Observed, UserError, Variable

__all__ = ["HiddenMarkov"]

_HALVE = 4  # passes after which the less likely half of the starts is dropped


class HiddenMarkov(Conditional):
    """A chain of hidden states.

    Args:
        x: a series of numbers, symbols or both: one column, or several on one axis.
        states: K.
        full: whether the numbers of a moment have a covariance in a state; else they are independent given it.
        floor: the least variance, in the entries' units squared.
        smoothing: what every count of a symbol, a first state or a transition starts from.
        tolerance: stop when the mean log-likelihood of an item rises by less.
        most_passes: over the data.
        restarts: starts, of which the likelier half goes on after every fourth pass.
        seed: of the starts; drawn with the initial weights when left out. They also change with the seed of a fit.

    Raises:
        UserError: it has parents, or x is no series.
    """

    def __init__(self, x: Variable, parents: tuple[()] = (), *, states: int = 4, full: bool = True, floor: float = 1e-4,
                 smoothing: float = 1e-2, tolerance: float = 1e-5, most_passes: int = 200, restarts: int = 4,
                 seed: int | None = None) -> None:
        super().__init__(x, parents)
        self.timeline = Timeline(x, "HiddenMarkov")
        distributions.Flattened.check_no_atoms(x, "HiddenMarkov")
        if self.parents:
            raise UserError(f"{self}: HiddenMarkov takes no parents; make them part of the block, or use Autoregressive")
        if states < 1 or restarts < 1:
            raise UserError(f"HiddenMarkov {x.name}: states={states}, restarts={restarts}; expected at least 1")
        seed = int(torch.randint(1 << 31, ())) if seed is None else seed
        self.arguments = {**self.arguments, "seed": seed}
        self.states, self.full, self.floor, self.smoothing, self.seed = states, full, floor, smoothing, seed
        self.tolerance, self.most_passes, self.restarts = tolerance, most_passes, restarts
        K, R = states, len(self.timeline.reals)
        sizes = [part.size for part in self.timeline.parts if isinstance(part, Finite)]
        self.tables = [f"table_{i}" for i in range(len(sizes))]
        for name, value in {"first": torch.full((K,), 1 / K), "transition": torch.full((K, K), 1 / K),
                            "means": torch.zeros(K, R), "covariances": torch.eye(R).repeat(K, 1, 1),
                            **{name: torch.full((K, V), 1 / V) for name, V in zip(self.tables, sizes, strict=True)}}.items():
            self.register_buffer(name, value.double())
        self.likelihoods: list[float] = []

    def forward(self, y: Observed) -> distributions.HiddenMarkov:
        now = dict(self.named_buffers())
        emissions = Emissions(self.timeline, now["means"], now["covariances"],
                              tuple(now[name].log() for name in self.tables))
        return distributions.HiddenMarkov(self.x.space, y.n, now["first"].log(), now["transition"].log(), emissions)

    def encode(self, x: Entries, y: Observed | None = None) -> distributions.Categorical:
        """p(z_t | what is seen of x), every moment by itself: B rows of T states."""
        p = self(Observed(n=len(x))).posterior(x)
        return distributions.Categorical(p.log(), Finite(self.states, axes=(Axis("moment", self.timeline.length),)))

    def likeliest(self, x: Entries) -> Tensor:
        """The likeliest path of states given what is seen of x, by Viterbi's recursion: (B, T) int64."""
        return self(Observed(n=len(x))).likeliest(x)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._climb)]

    def _climb(self, batches: Iterable[Batch]) -> None:
        deadline, self.likelihoods = deadline_of(batches), []
        starts = self._starts(batches)
        before = [-torch.inf] * len(starts)
        for k in deadline.within(range(self.most_passes)):
            sums = [_Sums() for _ in starts]
            for x, y, weight in batches:
                for start, each in zip(starts, sums, strict=True):
                    self._take(start)
                    self._expect(each, x, y, weight.double())
            now = [self._value(start, each) for start, each in zip(starts, sums, strict=True)]
            starts = [self._maximised(start, each) for start, each in zip(starts, sums, strict=True)]
            order = sorted(range(len(starts)), key=lambda i: -now[i])
            if k % _HALVE == _HALVE - 1:
                order = order[:-(-len(order) // 2)]
            best, rise = order[0], now[order[0]] - before[order[0]]
            starts, before = [starts[i] for i in order], [now[i] for i in order]
            self._take(starts[0])
            self.likelihoods.append(now[best])
            if len(starts) == 1 and rise < self.tolerance:
                return

    def _take(self, start: dict[str, Tensor]) -> None:
        for name, value in start.items():
            self.get_buffer(name).copy_(value)

    def _starts(self, batches: Iterable[Batch]) -> list[dict[str, Tensor]]:
        """States that stay, with means and symbols at random about those of all moments."""
        everything = _Sums()
        self._take(self._alike())
        for x, y, weight in batches:
            self._expect(everything, x, y, weight.double())
        if not everything.total > 0:
            raise UserError(f"{self}: no row of weight above 0 to learn from")
        whole, K = self._maximised(self._alike(), everything), self.states
        stay = 0.8 * torch.eye(K, dtype=torch.float64) + 0.2 / K
        starts, noise = list[dict[str, Tensor]](), Noise.of(self.seed, K).fold(seed_of(batches))
        for i in range(self.restarts if K > 1 else 1):
            own = noise.fold(i)
            start = {"first": torch.full((K,), 1 / K, dtype=torch.float64), "transition": stay}
            if self.timeline.reals:
                root = torch.linalg.cholesky(whole["covariances"][0])
                start["means"] = whole["means"] + own.normal((), (len(root),)) @ root.T
                start["covariances"] = whole["covariances"]
            for name in self.tables:
                p = whole[name] * (1 + own.fold(name).uniform((), (whole[name].shape[1],)))
                start[name] = p / p.sum(1, keepdim=True)
            starts.append(start)
        return starts if K > 1 else [whole]

    def _alike(self) -> dict[str, Tensor]:
        """All states alike: a standard normal vector, and even symbols."""
        found = {}
        for name, value in self.named_buffers():
            if name == "covariances":
                found[name] = torch.eye(value.shape[1], dtype=torch.float64).expand_as(value)
            else:
                found[name] = torch.zeros_like(value) if name == "means" else torch.full_like(value, 1 / value.shape[-1])
        return found

    def _expect(self, sums: _Sums, x: Entries, y: Observed, weight: Tensor) -> None:
        """Add what a batch is expected to have in every state."""
        chain, flat = self(y), x.flat(self.x.space)
        values = chain.moments(torch.where(flat.scored, flat.tensor, 0.0).double())
        seen, there = chain.moments(flat.scored), chain.moments(flat.valid).any(-1)
        _, e, (mean, covariance) = chain.emissions.each(values, seen)
        e = e.sum(2)
        now, later, amount = predicted(e, chain.log_first, chain.log_transition), to_come(e, chain.log_transition), weight
        p = (now + e + later).softmax(-1) * (there[..., None] * amount[:, None, None])
        pair = ((now + e)[:, :-1, :, None] + chain.log_transition + (e + later)[:, 1:, None])
        pair = pair.flatten(2).softmax(-1).reshape(pair.shape) * (there[:, 1:, None, None] * amount[:, None, None, None])
        likelihood = torch.where(there[..., None], now + e, now).logsumexp(-1).sum(1)
        sums.add(total=amount.sum(), likelihood=amount @ likelihood, first=p[:, 0].sum(0), transition=pair.sum((0, 1)))
        if self.timeline.reals:
            off = mean - self.means
            square = torch.einsum("ntk,ntkr,ntks->krs", p, off, off) + torch.einsum("ntk,ntkrs->krs", p, covariance)
            sums.add(counts=p.sum((0, 1)), means=torch.einsum("ntk,ntkr->kr", p, off), covariances=square)
        symbols = [c for c in range(self.timeline.channels) if c not in self.timeline.reals]
        for name, c in zip(self.tables, symbols, strict=True):
            own = torch.nn.functional.one_hot(values[..., c].long(), self.get_buffer(name).shape[1]).double()
            sums.add(**{name: torch.einsum("ntk,ntv->kv", p * seen[..., c, None], own)})

    def _maximised(self, start: dict[str, Tensor], sums: _Sums) -> dict[str, Tensor]:
        found = {}
        for name in ("first", "transition", *self.tables):
            count = sums.each[name] + self.smoothing
            found[name] = count / count.sum(-1, keepdim=True)
        if self.timeline.reals:
            count = sums.each["counts"].clamp(min=1e-300)
            off = sums.each["means"] / count[:, None]
            spread = sums.each["covariances"] / count[:, None, None] - off[:, :, None] * off[:, None, :]
            empty = sums.each["counts"] < 1e-9
            found["means"] = torch.where(empty[:, None], start["means"], start["means"] + off)
            found["covariances"] = torch.where(empty[:, None, None], start["covariances"], self._floored(spread))
        return found

    def _floored(self, spread: Tensor) -> Tensor:
        """The likeliest covariances (K, R, R) of the structure with no variance below the floor, in any direction."""
        if not self.full:
            return torch.diag_embed(spread.diagonal(dim1=1, dim2=2).clamp(min=self.floor))
        value, vector = torch.linalg.eigh((spread + spread.mT) / 2)
        return vector @ (value.clamp(min=self.floor)[..., None] * vector.mT)

    def _value(self, start: dict[str, Tensor], sums: _Sums) -> float:
        """The mean log-likelihood of an item and its share of the log prior."""
        prior = sum(float(start[name].log().sum()) for name in ("first", "transition", *self.tables))
        return (float(sums.each["likelihood"]) + self.smoothing * prior) / float(sums.each["total"])


@dataclass
class _Sums:
    """Sums over batches, by name."""

    def __post_init__(self) -> None:
        self.each: dict[str, Tensor] = {}

    def add(self, **terms: Tensor) -> None:
        for name, term in terms.items():
            self.each[name] = self.each[name] + term if name in self.each else term

    @property
    def total(self) -> float:
        """The summed weight of items; 0 without any."""
        return float(self.each.get("total", 0.0))
