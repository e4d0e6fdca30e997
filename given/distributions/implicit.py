"""Implicit: noise through a map. It draws, and has no density."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, Intractable, Kind
from given.distributions.noise import Noise
from given.variables import Entries, Real

__all__ = ["Implicit"]


class Implicit(Distribution):
    """The distribution of g(z), z standard normal.

    Args:
        generator: z (N, latent), and which of the B rows each belongs to (N,) -> (N, D).
        n: B.
        latent: dimensions of z.
        space: a real vector of D entries.
        device: where the generator is.
    """

    kind: Kind = "none"

    def __init__(self, generator: Callable[[Tensor, Tensor], Tensor], n: int, latent: int, space: Real,
                 device: torch.device | str = "cpu") -> None:
        super().__init__(space, n, device)
        self.generator, self.latent = generator, latent

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws = torch.Size(shape).numel()
        z = noise.normal(shape, (self.latent,)).reshape(-1, self.latent).float()
        with torch.no_grad():
            x = self.generator(z, torch.arange(self.n, device=self.device).repeat(draws)).double()
        return Entries(x.reshape(*shape, self.n, *self.space.shape))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        raise Intractable("what draws through a map alone has no density; SplineFlow and GaussianMixture have an exact one, "
                          "VAE a bound, FlowMatching an estimate")
