"""VQVAE: p(x | code), and the encoder that finds a code for x.

    code_j(x) = argmin_k |e_j(x) - b_k|,    p(x | code) = prod_d p(x_d | h_d(b_code))

with b a book of K vectors, e the encoder, h the decoder. The loss is -log p(x | code(x)), its gradient carried straight through
the choice of code, plus |e - b|^2, which draws book and encoder together (by `commitment` for the encoder). In a product
p(code) p(x | code) with code latent, the autoencoder learns first and p(code) then learns the codes of the data. The product's
`log_prob` takes one code of all: log p(code(x)) + log p(x | code(x)) <= log p(x), a bound.

Source: van den Oord, Vinyals, Kavukcuoglu, Neural discrete representation learning, 2017 / https://arxiv.org/abs/1711.00937
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.distributions import Noise, kmeans_plus_plus
from given.lessons import Batch, Lesson, Solve
from given.nn import MLP
from given.variables import Entries, Finite, Observed, Product, UserError, Variable

__all__ = ["VQVAE"]


class VQVAE(Conditional):
    """A decoder of codes, and its encoder.

    Args:
        x: symbols or reals on a grid.
        parents: the code alone: symbols on a grid of one axis.
        encoder, decoder: build nets from numbers of inputs and outputs.
        head: builds the distribution of an entry from space and width; as of Autoregressive.
        width: of a vector in the book, and of the features of an entry.
        commitment: how much the encoder is drawn to the book.
    """

    def __init__(self, x: Variable, parents: Variable, *, encoder: Callable[..., nn.Module] = MLP,
                 decoder: Callable[..., nn.Module] = MLP, head: Callable[..., nn.Module] | None = None, width: int = 8,
                 commitment: float = 0.25) -> None:
        super().__init__(x, parents)
        code = self.parents[0].space if len(self.parents) == 1 else None
        if not isinstance(code, Finite) or len(code.axes) != 1 or isinstance(x.space, Product):
            raise UserError(f"{self}: VQVAE expects x on a grid and one parent, a code of symbols along one axis; write "
                            f"p(code) p({x.name} | code) with latents={{'code': IdentityCodec(Finite(64, axes=(Axis('place', "
                            "4),)))}, or use VAE")
        self.width, self.commitment, self.places = width, commitment, code.dimensions
        self.book = nn.Parameter(torch.randn(code.size, width))
        D = x.space.dimensions
        self.encoder = encoder(D, self.places * width)
        self.decoder = decoder(self.places * width, D * width)
        self.head = (head or distributions.default_head(x.space))(x.space, width)

    def forward(self, y: Observed) -> distributions.Distribution:
        code = y[self.parents[0].name]
        if not code.complete:
            raise UserError(f"{self.parents[0].name}: VQVAE decodes whole codes, got unseen entries")
        return self._decoded(self.book[code.tensor])

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        e = self._features(x)
        b = self.book[self._nearest(e)]
        through = e + (b - e).detach()
        drawn = ((e.detach() - b) ** 2).sum((1, 2)) + self.commitment * ((e - b.detach()) ** 2).sum((1, 2))
        return -self._decoded(through).log_prob(x) + drawn

    def lessons(self) -> list[Lesson]:
        return [Solve(self._start, again=False), *super().lessons()]

    def _start(self, batches: Iterable[Batch]) -> None:
        """The book starts at what the encoder makes of rows far from one another (k-means++): else one code takes all."""
        with torch.no_grad():
            first = list(itertools.islice(batches, 4))
            rows = torch.cat([self._features(x) for x, _, _ in first]).transpose(0, 1).flatten(0, 1)
            weight = torch.cat([w for _, _, w in first]).repeat(self.places)
            self.book.copy_(rows[kmeans_plus_plus(rows, Noise.of(0, 1).fold("book").uniform((), (len(self.book),))[0], weight)])

    def encode(self, x: Entries, y: Observed) -> distributions.Point:
        """The code of x, (B, places), as the point it is."""
        return distributions.Point(self._nearest(self._features(x)), self.parents[0].space)

    def decode(self, z: Entries, y: Observed) -> Entries:
        """The mode of p(x | code): (B, *grid)."""
        return self._decoded(self.book[z.tensor]).mode()

    def _features(self, x: Entries) -> Tensor:
        if not x.complete:
            raise UserError(f"{self.x.name}: VQVAE encodes whole items, got unseen entries")
        flat = x.flat(self.x.space).tensor.float()
        if isinstance(self.x.space, Finite):
            flat = flat * (2 / max(self.x.space.size - 1, 1)) - 1
        return self.encoder(flat).reshape(len(flat), self.places, self.width)

    def _nearest(self, e: Tensor) -> Tensor:
        return torch.cdist(e.detach(), self.book.detach().expand(len(e), -1, -1)).argmin(-1)

    def _decoded(self, vectors: Tensor) -> distributions.Distribution:
        h = self.decoder(vectors.flatten(1))
        return self.head(h.reshape(len(vectors), *self.x.space.shape, self.width))
