"""Autoencoder: x through a narrow code and back. Deterministic: it encodes, decodes, and has no density.

    z = f(x, y),    x^ = g(z, y),    f and g minimise E |x - x^|^2

With f and g linear, the span of x^ is that of the first K principal components. What is unseen of x enters f as 0, beside which
entries are seen, and no error is counted there. A draw decodes z ~ N(m, S), the mean and covariance of the codes of the data:
nothing makes codes fill that normal distribution, so most draws are no data. `VAE` is the same pair with a density, made so
that they are.

Source: Rumelhart, Hinton, Williams, Learning internal representations by error propagation, 1986
Bourlard, Kamp, Auto-association by multilayer perceptrons and singular value decomposition, 1988 /
https://doi.org/10.1007/BF00332918
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.distributions import Moments, Noise
from given.lessons import Batch, Lesson, Solve
from given.nn import MLP, Context
from given.nn.context import Readers
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

__all__ = ["Autoencoder"]

_RIDGE = 1e-9  # of the codes' mean variance, so that codes on a plane have a normal distribution


class Autoencoder(Conditional):
    """An encoder and a decoder.

    Args:
        x: real, or a block of real columns.
        parents: of any space, read by both.
        latent: K, the numbers of a code.
        encoder, decoder: build nets from numbers of inputs and outputs.
        width: C of the contexts.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.

    Attributes:
        center: m (K,) float64, the mean code of the data.
        covariance: S (K, K) float64, of the codes.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, latent: int = 2,
                 encoder: Callable[..., nn.Module] = MLP, decoder: Callable[..., nn.Module] = MLP, width: int = 16,
                 readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "Autoencoder")
        D = x.space.dimensions
        if latent < 1:
            raise UserError(f"Autoencoder {x.name}: latent={latent}; expected at least 1")
        self.z = Real(axes=(Axis("latent", latent),))
        self.contexts = nn.ModuleList(Context(self.parents, width, readers=readers) for _ in range(2))
        self.encoder, self.decoder = encoder(2 * D + width, latent), decoder(latent + width, D)
        self.center: Tensor
        self.covariance: Tensor
        self.register_buffer("center", torch.zeros(latent, dtype=torch.float64))
        self.register_buffer("covariance", torch.eye(latent, dtype=torch.float64))

    def forward(self, y: Observed) -> distributions.Distribution:
        c, root = self.contexts[1](y), torch.linalg.cholesky_ex(self.covariance)[0]
        law = distributions.Implicit(lambda z, rows: self._decoded(self.center + z.double() @ root.T, c[rows]), y.n,
                                     len(self.center), distributions.Flattened.real(self.x.space), y.device)
        return distributions.Flattened.of(law, self.x.space)

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        return self.reconstruction_error(x, y)

    def lessons(self) -> list[Lesson]:
        """It descends on the error; the codes of the data are measured afterwards."""
        return [*super().lessons(), Solve(self._measure, stage=1)]

    @property
    def judged(self) -> bool:
        """No: it has no density."""
        return False

    def _measure(self, batches: Iterable[Batch]) -> None:
        moments = Moments(1, 1, len(self.center))
        for x, y, weight in batches:
            zero, one = torch.zeros(y.n, dtype=torch.int64), torch.ones(y.n, 1, dtype=torch.float64)
            with torch.no_grad():
                moments.add(zero, one, Entries(self._encoded(x, y).double()), weight, self.latent(y))
        try:
            mean, covariance = moments.regression(0)
        except UserError:
            raise UserError(f"{self}: no row of weight above 0 to learn from; expected at least one") from None
        ridge = _RIDGE * covariance.diagonal().mean().clamp(min=1e-30)
        self.center.copy_(mean[0])
        self.covariance.copy_(covariance + ridge * torch.eye(len(covariance), dtype=torch.float64))

    def latent(self, y: Observed) -> distributions.Normal:
        """N(m, S), of the codes of the data: (B, K)."""
        return distributions.Normal(self.center.expand(y.n, -1), self.covariance.expand(y.n, -1, -1), self.z)

    def encode(self, x: Entries, y: Observed | None = None) -> distributions.Point:
        """z, (B, K), as the point it is."""
        return distributions.Point(self._encoded(x, y), self.z)

    def decode(self, z: Entries, y: Observed | None = None) -> Entries:
        """x^: (B, *grid)."""
        y = Observed(n=len(z), device=z.device) if y is None else y
        return Entries(self._decoded(z.tensor, self.contexts[1](y))).shaped(self.x.space)

    def reconstruction_error(self, x: Entries, y: Observed | None = None) -> Tensor:
        """|x - x^|^2 over what is seen of x: (B,), in the entries' units squared."""
        flat, back = x.flat(self.x.space), self.decode(self.encode(x, y).mean(), y).flat(self.x.space)
        return torch.where(flat.scored, (flat.tensor - back.tensor) ** 2, 0.0).sum(1)

    def _encoded(self, x: Entries, y: Observed | None) -> Tensor:
        y = Observed(n=len(x), device=x.device) if y is None else y
        flat = x.flat(self.x.space)
        value = torch.where(flat.scored, flat.tensor, 0.0)
        return self.encoder(torch.cat([value.float(), flat.scored.float(), self.contexts[0](y)], 1))

    def _decoded(self, z: Tensor, c: Tensor) -> Tensor:
        return self.decoder(torch.cat([z.float(), c], 1))
