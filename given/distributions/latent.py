"""Latent: a distribution with something unseen behind it, bounded by an approximate posterior.

    log p(x) >= E_q[log p(x | z) + log p(z) - log q(z | x)]

`log_prob` takes K draws of z from q and is the logarithm of the mean importance weight, a bound that tightens with K:

    log p(x) >= E log 1/K sum_k w_k,    w_k = p(x | z_k) p(z_k) / q(z_k | x)

Source: Burda, Grosse, Salakhutdinov, Importance weighted autoencoders, 2015 / https://arxiv.org/abs/1509.00519
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, How, Intractable, weakest
from given.distributions.noise import Noise
from given.solve import Watched
from given.variables import Entries, UserError, shown
from given.ways import way

__all__ = ["ImportanceWeighted", "Latent", "Weighed"]

_PART = 16  # draws of a row, of noise of their own
_AT_ONCE = 1 << 17  # numbers of x explained at once, but for those of one part


@dataclass(frozen=True)
class Weighed:
    """How many draws of what is found a bound weighs.

    Args:
        samples: K.
    """

    samples: int


@dataclass(frozen=True, repr=False)
class ImportanceWeighted(How):
    """Score by K importance-weighted draws of what is not seen; a bound that tightens with K.

    Args:
        draws: K.
    """

    draws: int
    concerns = "a VAE, or latents that a posterior finds"

    def __post_init__(self) -> None:
        if not isinstance(self.draws, int) or self.draws < 1:
            raise UserError(f"ImportanceWeighted: draws={shown(self.draws)}; expected a whole number from 1")

    def __repr__(self) -> str:
        return way(f"ImportanceWeighted({self.draws})", f"--draws {self.draws}")

    def __call__(self, distribution: Any) -> Any:
        if isinstance(distribution, Weighed):
            return Weighed(self.draws)
        return distribution._but(samples=self.draws) if isinstance(distribution, Latent) else distribution


class Latent(Distribution):
    """p(x) = int p(x | z) p(z) dz.

    Args:
        prior: p(z), of B rows.
        likelihood: entries of z (N rows), and which of the B rows each belongs to (N,) -> the distribution p(x | z) of N rows.
        posterior: entries of x (N rows), the same -> the distribution q(z | x) of N rows.
        samples: K, of a score.
    """

    def __init__(self, prior: Distribution, likelihood: Callable[[Entries, Tensor], Distribution],
                 posterior: Callable[[Entries, Tensor], Distribution],
                 samples: int = 16) -> None:
        rows = torch.arange(prior.n, device=prior.device)
        self.likelihood, self.posterior, self.prior, self.samples = likelihood, posterior, prior, samples
        with torch.no_grad():  # one row says what is explained
            explained = likelihood(prior.sample().map(lambda t: t[:1]), rows[:1])
        super().__init__(explained.space, prior.n, prior.device)
        self.adaptive, self.kind = explained.adaptive, weakest(["bound", prior.kind, explained.kind])

    def _by(self, how: How) -> Latent:
        with torch.no_grad():  # what it concerns is known before anything is drawn
            self.likelihood(self.prior.sample(), torch.arange(self.n, device=self.device))._by(how)
        made = self._but(prior=self.prior._by(how), likelihood=lambda z, rows: self.likelihood(z, rows)._by(how))
        return how(made) if isinstance(how, How | Watched) else made

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws = torch.Size(shape).numel()
        z = self.prior.sample((draws,), seed=noise.fold("latent")).map(lambda t: t.flatten(0, 1))
        # One stream of noise for every draw of every row.
        rows = torch.arange(self.n, device=self.device).repeat(draws)
        x = self.likelihood(z, rows).sample(seed=noise.fold("entries").repeat(draws))
        return x.map(lambda t: t.reshape(*shape, self.n, *t.shape[1:]))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return self.importance(x, self.samples, seed=seed)[0]

    def importance(self, x: Entries, samples: int, *, seed: int | Noise = 0) -> tuple[Tensor, Tensor]:
        """The bound from K draws a row, and their effective number (sum w)^2 / sum w^2: (*shape, B) each.

        Args:
            x: (*shape, B, *grid), unseen entries marginalised where the likelihood does so exactly.
            samples: K.
            seed: of the draws from q.
        """
        noise, weighed = Noise.of(seed, self.n, device=self.device), self._weighed(x)
        parts = [(min(_PART, samples - first), noise.fold(first) if first else noise) for first in range(0, samples, _PART)]
        size = max(1, _AT_ONCE // (_PART * max(1, x.flat(self.space).tensor.numel())))
        found = [weighed(parts[first:first + size]) for first in range(0, len(parts), size)]
        log_w = torch.cat([likelihood + latent for likelihood, latent in found])
        effective = (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()
        return log_w.logsumexp(0) - math.log(samples), effective

    def elbo(self, x: Entries, warmth: float = 1.0, *, seed: int | Noise = 0) -> Tensor:
        """(*shape, B) log p(x | z) + warmth (log p(z) - log q(z | x)) of one draw from q."""
        likelihood, latent = self._weighed(x)([(1, Noise.of(seed, self.n, device=self.device))])
        return (likelihood + warmth * latent)[0]

    def _weighed(self, x: Entries) -> Callable[[Sequence[tuple[int, Noise]]], tuple[Tensor, Tensor]]:
        """Draws z from q, which is worked out once: parts of so many draws by noise of their own, K in all ->
        (K, *shape, B) each: log p(x | z), and log p(z) - log q(z | x)."""
        lead = x.flat(self.space).tensor.shape[:-1]
        flat = x.map(lambda t: t.reshape(-1, *t.shape[len(lead):]))
        if flat.hidden:
            return lambda parts: (torch.zeros(sum(k for k, _ in parts), *lead, dtype=torch.float64, device=self.device),) * 2
        N = len(flat)
        row = torch.arange(self.n, device=self.device).repeat(N // self.n)
        q = self.posterior(flat, row)

        def weighed(parts: Sequence[tuple[int, Noise]]) -> tuple[Tensor, Tensor]:
            K, noises = sum(k for k, _ in parts), [own.repeat(N // self.n) for _, own in parts]
            z = [q.sample((k,), seed=noise) for (k, _), noise in zip(parts, noises, strict=True)]
            below = _scores(q, z, [noise.fold("posterior") for noise in noises])
            prior = _scores(self.prior, [each.map(lambda t: t.reshape(-1, self.n, *t.shape[2:])) for each in z],
                            [own.fold("prior") for _, own in parts]).reshape(K, N)
            entries = [noise.fold("entries").repeat(k).keys for (k, _), noise in zip(parts, noises, strict=True)]
            distribution = self.likelihood(Entries.cat(z).map(lambda t: t.flatten(0, 1)), row.repeat(K))
            likelihood = distribution.log_prob(flat.map(lambda t: t.repeat(K, *[1] * (t.dim() - 1))),
                                               seed=Noise(torch.cat(entries))).reshape(K, N)
            return likelihood.reshape(K, *lead), (prior - below).reshape(K, *lead)

        return weighed

    def condition(self, evidence: Entries) -> Distribution:
        raise Intractable("a latent distribution of this kind has no closed-form conditional; FactorAnalysis and "
                          "GaussianMixture have")


def _scores(distribution: Distribution, parts: Sequence[Entries], noises: Sequence[Noise]) -> Tensor:
    """log p of parts of draws, one after the other: at once where it reads no noise."""
    if distribution.kind == "exact":
        return distribution.log_prob(Entries.cat(parts))
    return torch.cat([distribution.log_prob(z, seed=noise) for z, noise in zip(parts, noises, strict=True)])
