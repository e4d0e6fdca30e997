"""GAN: noise through a net, learned against a second net that classifies drawn and real. There is no density.

    x = g(z, y),  z ~ N(0, I)
    critic:     E softplus(-d(x, y)) + E softplus(d(g(z, y), y)) + r/2 E |grad_x d(x, y)|^2
    generator:  E softplus(-d(g(z, y), y))

Two descend in turn: the generator minimises the non-saturating loss, the critic the logistic one with a penalty on its
gradient at the data, without which the game need not settle. The distribution draws; it scores nothing.

Source: Goodfellow et al., Generative adversarial nets, 2014 / https://arxiv.org/abs/1406.2661
Mescheder, Geiger, Nowozin, Which training methods for GANs do actually converge?, 2018 / https://arxiv.org/abs/1801.04406
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional
from given.distributions import Noise
from given.lessons import Descend, Lesson
from given.nn import MLP, Context
from given.nn.context import Readers
from given.variables import Entries, Observed, UserError, Variable

__all__ = ["GAN"]


class GAN(Conditional):
    """A generator and its critic.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        latent: dimensions of z.
        generator, critic: build nets from numbers of inputs and outputs.
        penalty: r, on the critic's gradient at the data.
        critic_steps: the critic's steps for one of the generator's.
        width: C of the contexts.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, latent: int = 8,
                 generator: Callable[..., nn.Module] = MLP, critic: Callable[..., nn.Module] = MLP,
                 penalty: float = 1.0, critic_steps: int = 1, width: int = 16, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "GAN")
        D = x.space.dimensions
        self.latent, self.penalty, self.critic_steps = latent, penalty, critic_steps
        self.contexts = nn.ModuleList(Context(self.parents, width, readers=readers) for _ in range(2))
        self.generator, self.critic = generator(latent + width, D), critic(D + width, 1)

    def forward(self, y: Observed) -> distributions.Distribution:
        c = self.contexts[0](y)
        distribution = distributions.Implicit(lambda z, rows: self.generator(torch.cat([z, c[rows]], 1)), y.n, self.latent,
                            distributions.Flattened.real(self.x.space), y.device)
        return distributions.Flattened.of(distribution, self.x.space)

    def lessons(self) -> list[Lesson]:
        sides = [("critic", self.critic, 1, self._teach, self.critic_steps), ("generator", self.generator, 0, self._fool, 1)]
        # Momentum makes the two circle one another.
        return [Descend([*net.parameters(), *self.contexts[i].parameters()], loss, name, steps, (0.0, 0.99), selects=False)
                for name, net, i, loss, steps in sides]

    def _draw(self, y: Observed, seed: int | Noise) -> Tensor:
        z = Noise.of(seed, y.n, device=y.device).fold("latent").normal((), (self.latent,)).float()
        return self.generator(torch.cat([z, self.contexts[0](y)], 1))

    def _judge(self, x: Tensor, y: Observed) -> Tensor:
        return self.critic(torch.cat([x, self.contexts[1](y)], 1))[:, 0]

    def _teach(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        if not x.complete:
            raise UserError(f"{self.x.name}: GAN learns from whole items, got unseen entries; use GaussianMixture")
        real = x.flat(self.x.space).tensor.float().requires_grad_(True)
        drawn = self._draw(y, seed).detach()
        with torch.enable_grad():
            verdict = self._judge(real, y)
            slope = torch.autograd.grad(verdict.sum(), real, create_graph=True)[0]
        return F.softplus(-verdict) + F.softplus(self._judge(drawn, y)) + self.penalty / 2 * slope.square().sum(1)

    def _fool(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        return F.softplus(-self._judge(self._draw(y, seed), y))
