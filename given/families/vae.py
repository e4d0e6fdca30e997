"""VAE: a latent z explains x; built of three conditionals.

    p(x | y) = int p(x | z, y) p(z | y) dz,    log p(x | y) >= E_q[log p(x | z, y) + log p(z | y) - log q(z | x, y)]

By default p(z | y) = N(0, I), and likelihood and approximate posterior have independent entries, computed by a net: normal for
reals, a mixture of logistics for ordered levels, one logit a symbol for others, each column of a block its own. Of pictures of
16 x 16 and more z has 32 dimensions and the nets are convolutions, else 8 and layers of units. All three may be families of
your choice; the draws of q must carry gradients (Regression's do).

Learning raises the bound with one draw. In the first fifth of it, log p(z | y) - log q(z | x, y) has a weight that grows from 0
to 1: at full weight a z that explains nothing yet is given up at once, and stays so in about a third of seeds. What selects the
best weights is the bound. `log_prob` is that of K importance-weighted draws; the distribution's `importance` gives it with the
effective number of draws, at any K. `encode` is q, `decode` the mode of the likelihood.

With `beta`, z's own terms weigh so much in the end, and in what selects the best weights: above 1 each number of z has to earn
its nats more dearly, which favours numbers that are independent of one another. The score stays the bound, of a model that was
learned by another loss.

A prior may learn afterwards (`afterwards=FlowMatching`): likelihood and posterior learn first, with the one before it, and p(z)
then learns draws of q, by whatever it learns by. Where its density is an estimate, so is the score.


Source: Kingma, Welling, Auto-encoding variational Bayes, 2013 / https://arxiv.org/abs/1312.6114
Sonderby, Raiko, Maaloe, Sonderby, Winther, Ladder variational autoencoders, 2016 / https://arxiv.org/abs/1602.02282
Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner, beta-VAE, 2017 / https://openreview.net/forum?id=Sy2fzU9gl
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from given import distributions
from given.codecs import IdentityCodec
from given.conditional import Conditional
from given.distributions import Noise
from given.lessons import Descend, Lesson, Solve, Weigh
from given.nn import MLP, Context, ConvolutionalDecoder, Pyramid, convolves, keep_size
from given.nn.context import Readers, check_readers
from given.nn.readers.reader import Pooled
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

__all__ = ["VAE"]

_FEATURES = 8  # of a place of a picture


class VAE(Conditional):
    """A variational autoencoder.

    Args:
        x: whatever the likelihood takes: by default any space, a block too.
        parents: y, read by all three.
        prior: family of p(z | y); by default standard normal, whatever y is.
        afterwards: family of p(z | y) that takes the prior's place, once it has learned draws of the posterior.
        likelihood: family of p(x | z, y); by default independent entries, by a net; of a picture of reals by convolutions, with
            one scale for all.
        posterior: family of q(z | x, y); by default normal with independent entries, by a net.
        latent: how many dimensions z has; by default 32 of pictures of 16 x 16 and more, else 8.
        samples: K, of a score.
        warm_up: the share of learning in which z's own terms gain their weight; 0 for full weight from the start.
        beta: the weight of z's own terms, from above 0; 1 learns the bound.
        readers: of x and of parents by name, in the default likelihood and posterior.

    Raises:
        UserError: a part that learns by anything but the gradient of its likelihood; less than one dimension or draw; no
            positive weight.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 prior: Callable[..., Conditional] | None = None, likelihood: Callable[..., Conditional] | None = None,
                 posterior: Callable[..., Conditional] | None = None,
                 afterwards: Callable[..., Conditional] | None = None, latent: int | None = None, samples: int = 16,
                 warm_up: float = 0.2, beta: float = 1.0, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        latent = (32 if convolves(x.space) else 8) if latent is None else latent
        if latent < 1 or samples < 1:
            raise UserError(f"VAE {x.name}: latent={latent}, samples={samples}; expected at least 1")
        if not 0 <= warm_up < 1:
            raise UserError(f"VAE {x.name}: warm_up={warm_up}; expected a share from 0 to below 1")
        if not 0 < beta < math.inf:
            raise UserError(f"VAE {x.name}: beta={beta}; expected a weight above 0, such as 4")
        check_readers(readers, (x, *self.parents))
        self.z = Variable(f"latent of {x.name}", IdentityCodec(Real(axes=(Axis("latent", latent),))))
        self.samples, self.warm_up, self.beta, self.warmth = samples, warm_up, beta, 1.0
        self.prior = (prior or _StandardNormal)(self.z, self.parents)
        self.afterwards = None if afterwards is None else afterwards(self.z, self.parents)
        large = convolves(x.space)
        by_net, whole = partial(_ByNet, width=128 if large else 32), {x.name: Pyramid()} if large else {}
        self.likelihood = (likelihood or partial(by_net, readers=readers))(x, (self.z, *self.parents))
        self.posterior = (posterior or partial(by_net, readers=whole | dict(readers or {})))(self.z, (x, *self.parents))
        if not self.likelihood.judged:
            raise UserError(f"{self}: VAE expects a likelihood with a density, got {type(self.likelihood).__name__}; use "
                            "Regression or Autoregressive")
        if not self.posterior.judged or not any(isinstance(lesson, Descend) for lesson in self.posterior.lessons()):
            raise UserError(f"{self}: VAE expects a posterior that learns by a likelihood's gradient, got "
                            f"{type(self.posterior).__name__}; use Regression")

    def forward(self, y: Observed) -> distributions.Latent:
        return self._under(self.afterwards or self.prior, y)

    def _under(self, prior: Conditional, y: Observed) -> distributions.Latent:
        return distributions.Latent(prior(y), lambda z, rows: self.likelihood(self._with(self.z, z, y.rows(rows))),
                           lambda x, rows: self.posterior(self._with(self.x, x, y.rows(rows))), self.samples)

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        return -self._under(self.prior, y).elbo(x, self.beta * (self.warmth if self.training else 1.0), seed=seed)

    def lessons(self) -> list[Lesson]:
        """The likelihood solves and weighs on draws of the posterior, anew every epoch: a pass of counts costs no more than one
        of gradients, and is never staler than the posterior's last pass. All that descends, descends on the bound. A prior
        stands as it is built but for what descends: standard normal for a Gaussian. What learns afterwards learns draws of the
        posterior, anew every step."""
        counted = [lesson.mapped(self._drawn) for lesson in self.likelihood.lessons() if not isinstance(lesson, Descend)]
        solves = [replace(lesson, again=False, every_epoch=True) for lesson in counted if isinstance(lesson, Solve)]
        bound = [p for part in (self.prior, self.likelihood, self.posterior) for p in part.parameters() if p.requires_grad]
        descents = [Descend(bound, self.loss, progress=self._warm)] if bound else []
        later = [lesson.later(1).mapped(self._coded) for lesson in (self.afterwards.lessons() if self.afterwards else ())]
        return [*solves, *descents, *(lesson for lesson in counted if isinstance(lesson, Weigh)), *later]

    def _warm(self, spent: float) -> None:
        """At a share of learning."""
        self.warmth = min(1.0, spent / self.warm_up) if self.warm_up else 1.0

    def _coded(self, x: Entries, y: Observed, noise: Noise) -> tuple[Entries, Observed]:
        """What the prior that learns afterwards sees: a draw of q(z | x, y)."""
        return self._drawn(x, y, noise)[1][self.z.name], y

    def _drawn(self, x: Entries, y: Observed, noise: Noise) -> tuple[Entries, Observed]:
        """What the likelihood sees: x and a draw of q(z | x, y) beside y."""
        with torch.no_grad():
            z = self.posterior(self._with(self.x, x, y)).sample(seed=noise.fold("posterior"))
        return x, self._with(self.z, z, y)

    def latent(self, y: Observed) -> distributions.Distribution:
        """p(z | y), of (B, K): of the prior that learned last."""
        return (self.afterwards or self.prior)(y)

    def encode(self, x: Entries, y: Observed) -> distributions.Distribution:
        """q(z | x, y), of (B, K)."""
        return self.posterior(self._with(self.x, x, y))

    def decode(self, z: Entries, y: Observed) -> Entries:
        """The mode of p(x | z, y): (B, *grid)."""
        return self.likelihood(self._with(self.z, z, y)).mode()

    @staticmethod
    def _with(v: Variable, e: Entries, y: Observed) -> Observed:
        return Observed({v.name: e, **y}, y.n, y.device)


class _StandardNormal(Conditional):
    """N(0, I), whatever y is: the default prior."""

    def forward(self, y: Observed) -> distributions.Torch:
        zero = torch.zeros(y.n, *self.x.space.shape, device=y.device)
        return distributions.Torch(torch.distributions.Normal(zero, torch.ones_like(zero), validate_args=False), self.x.space)


class _ByNet(Conditional):
    """Independent entries, computed from y by a net: the default likelihood and posterior."""

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, width: int,
                 readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        mine = {v.name for v in self.parents}
        self.context = Context(self.parents, width, readers={k: r for k, r in (readers or {}).items() if k in mine})
        if convolves(x.space):
            # A scale for every entry learns the noise of a still one, and z is left unused.
            self.head = distributions.FactorizedHead(x.space, _FEATURES, homoscedastic=isinstance(x.space, Real))
            self.net: nn.Module = ConvolutionalDecoder(x.space, width, self.head.inputs // x.space.dimensions)
        else:
            self.head = distributions.FactorizedHead(x.space, width)
            self.net = MLP(width, self.head.inputs)
            keep_size(self.net)
        keep_size(*(part for part in self.context.parts.values() if isinstance(part, Pooled) and part.mean is None))

    def forward(self, y: Observed) -> distributions.Distribution:
        return self.head(self.net(self.context(y)).flatten(1))
