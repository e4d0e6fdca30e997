"""GAN: noise through a net, learned against a second net that compares drawn and real. There is no density.

    x = g(z, y),  z ~ N(0, I),    both with the same y:
    critic:     E softplus(-(d(x, y) - d(g(z, y), y))) + r/2 E[|grad d(x, y)|^2 + |grad d(g(z, y), y)|^2]
    generator:  E softplus(-(d(g(z, y), y) - d(x, y)))

Two descend in turn, on a relativistic loss: the critic says of a pair which of them is real, so that a generator that draws
one mode alone loses against the rows of all others. The penalties on the critic's gradient, at data and at draws, let the game
settle; with those at the data alone it need not. Pictures of 16 x 16 and more are made and read by convolutions. The
distribution draws; it scores nothing.

Source: Goodfellow et al., Generative adversarial nets, 2014 / https://arxiv.org/abs/1406.2661
Mescheder, Geiger, Nowozin, Which training methods for GANs do actually converge?, 2018 / https://arxiv.org/abs/1801.04406
Huang, Gokaslan, Kuleshov, Tompkin, The GAN is dead; long live the GAN!, 2024 / https://arxiv.org/abs/2501.05441
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
from given.nn import MLP, Context, ConvolutionalDecoder, ConvolutionalEncoder, built_decoder, built_encoder, convolves
from given.nn.context import Readers
from given.variables import Entries, Observed, Real, UserError, Variable

__all__ = ["GAN"]


class GAN(Conditional):
    """A generator and its critic.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        latent: dimensions of z; by default 64 of pictures of 16 x 16 and more, else 8.
        generator: a `ConvolutionalDecoder` or a partial of one, or a net of (inputs, outputs).
        critic: a `ConvolutionalEncoder` or a partial of one, or a net of (inputs, outputs).
        penalty: r, on the critic's gradient at data and at draws.
        critic_steps: the critic's steps for one of the generator's.
        width: C of the contexts.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, latent: int | None = None,
                 generator: Callable[..., nn.Module] | None = None, critic: Callable[..., nn.Module] | None = None,
                 penalty: float = 1.0, critic_steps: int = 1, width: int = 16, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "GAN")
        grid = x.space if isinstance(x.space, Real) and x.space.axes else distributions.Flattened.real(x.space)
        large = convolves(grid)
        self.latent = (64 if large else 8) if latent is None else latent
        self.penalty, self.critic_steps = penalty, critic_steps
        self.contexts = nn.ModuleList(Context(self.parents, width, readers=readers) for _ in range(2))
        self.generator = built_decoder(generator or (ConvolutionalDecoder if large else MLP), grid, self.latent + width, 1)
        self.critic = built_encoder(critic or (ConvolutionalEncoder if large else MLP), grid, 1, width, 1)

    def forward(self, y: Observed) -> distributions.Distribution:
        c = self.contexts[0](y)
        distribution = distributions.Implicit(lambda z, rows: self._made(z, c[rows]).flatten(1), y.n, self.latent,
                                              distributions.Flattened.real(self.x.space), y.device)
        return distributions.Flattened.of(distribution, self.x.space)

    def lessons(self) -> list[Lesson]:
        sides = [("critic", self.critic, 1, self._teach, self.critic_steps), ("generator", self.generator, 0, self._fool, 1)]
        # Momentum makes the two circle one another.
        return [Descend([*net.parameters(), *self.contexts[i].parameters()], loss, name, steps, (0.0, 0.99), selects=False)
                for name, net, i, loss, steps in sides]

    def _made(self, z: Tensor, c: Tensor) -> Tensor:
        """(N, *grid, 1)."""
        return self.generator(torch.cat([z, c], 1)).float()

    def _pair(self, x: Entries, y: Observed, seed: int | Noise) -> tuple[Tensor, Tensor]:
        """Of every row what is real and what is drawn, (B, *grid, 1) each."""
        if not x.complete:
            raise UserError(f"{self.x.name}: GAN learns from whole items, got unseen entries; use GaussianMixture")
        z = Noise.of(seed, y.n, device=y.device).fold("latent").normal((), (self.latent,)).float()
        drawn = self._made(z, self.contexts[0](y))
        return x.flat(self.x.space).tensor.float().reshape(drawn.shape), drawn

    def _judge(self, x: Tensor, c: Tensor) -> Tensor:
        return self.critic(x, c)[:, 0].float()

    def _teach(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        with torch.no_grad():
            pair = self._pair(x, y, seed)
        both, c = torch.cat(pair).requires_grad_(True), self.contexts[1](y)
        with torch.enable_grad():
            verdict = self._judge(both, torch.cat([c, c]))
            slope = torch.autograd.grad(verdict.sum(), both, create_graph=True)[0]
        real, drawn = verdict.chunk(2)
        steep = sum(part.square().flatten(1).sum(1) for part in slope.chunk(2))
        return F.softplus(drawn - real) + self.penalty / 2 * steep

    def _fool(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        real, drawn = self._pair(x, y, seed)
        c = self.contexts[1](y)
        with torch.no_grad():
            standard = self._judge(real, c)
        return F.softplus(standard - self._judge(drawn, c))
