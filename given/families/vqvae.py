"""VQVAE: p(x | code), and the encoder that finds a code for x.

    code_j(x) = quantise(e_j(x)),    p(x | code) = prod_d p(x_d | h_d(vectors of code))

with e the encoder and h the decoder. The loss is -log p(x | code(x)), its gradient carried straight through the choice of code,
plus what the quantiser asks for: a `Book` of K vectors takes the nearest one, b, and adds |e - b|^2, which draws book and
encoder together; `FSQ` rounds numbers to levels and adds nothing. A picture of 16 x 16 and more whose code is a grid, halved
from its own, is encoded and decoded by convolutions. In a product p(code) p(x | code) with code latent, the autoencoder learns
first and p(code) then learns the codes of the data. The product's `log_prob` takes one code of all: log p(code(x)) + log p(x |
code(x)) <= log p(x), a bound.

Source: van den Oord, Vinyals, Kavukcuoglu, Neural discrete representation learning, 2017 / https://arxiv.org/abs/1711.00937
Mentzer, Minnen, Agustsson, Tschannen, Finite scalar quantization: VQ-VAE made simple, 2023 / https://arxiv.org/abs/2309.15505
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.distributions import Noise, kmeans_plus_plus
from given.lessons import Batch, Lesson, Solve
from given.nn import MLP, Book, ConvolutionalDecoder, ConvolutionalEncoder, Quantiser, built_decoder, built_encoder, convolves
from given.variables import Entries, Finite, Observed, Product, UserError, Variable

__all__ = ["VQVAE"]


class VQVAE(Conditional):
    """A decoder of codes, and its encoder.

    Args:
        x: symbols or reals on a grid.
        parents: the code alone: symbols on a grid.
        quantiser: builds what makes codes of vectors from the number of codes: `Book`, `FSQ` or a partial of one.
        encoder: a `ConvolutionalEncoder` or a partial of one, or a net of (inputs, outputs).
        decoder: a `ConvolutionalDecoder` or a partial of one, or a net of (inputs, outputs).
        head: builds the distribution of an entry from space and width; as of Autoregressive.
        width: of the features of an entry.
    """

    def __init__(self, x: Variable, parents: Variable, *, quantiser: Callable[..., Quantiser] = Book,
                 encoder: Callable[..., nn.Module] | None = None, decoder: Callable[..., nn.Module] | None = None,
                 head: Callable[..., nn.Module] | None = None, width: int = 8) -> None:
        super().__init__(x, parents)
        code = self.parents[0].space if len(self.parents) == 1 else None
        if not isinstance(code, Finite) or not code.axes or code.may_end or isinstance(x.space, Product):
            raise UserError(f"{self}: VQVAE expects x on a grid and one parent, a code of symbols on a grid; write "
                            f"p(code) p({x.name} | code) with latents={{'code': IdentityCodec(Finite(64, axes=(Axis('place', "
                            "4),)))}, or use VAE")
        large = convolves(x.space) and len(code.axes) == 2
        self.width, self.cells = width, code.shape
        self.quantiser = quantiser(code.size)
        W = self.quantiser.width
        self.encoder = built_encoder(encoder or (ConvolutionalEncoder if large else MLP), x.space, 1, 0, W, cells=self.cells)
        self.decoder = built_decoder(decoder or (ConvolutionalDecoder if large else MLP), x.space, W, width, cells=self.cells)
        self.head = (head or distributions.default_head(x.space))(x.space, width)

    def forward(self, y: Observed) -> distributions.Distribution:
        code = y[self.parents[0].name]
        if not code.complete:
            raise UserError(f"{self.parents[0].name}: VQVAE decodes whole codes, got unseen entries")
        return self._decoded(self._vectors(code))

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        through, drawn = self.quantiser(self._features(x))
        return -self._decoded(through).log_prob(x) + drawn

    def lessons(self) -> list[Lesson]:
        start: list[Lesson] = [Solve(self._start, again=False)] if isinstance(self.quantiser, Book) else []
        return [*start, *super().lessons()]

    def _start(self, batches: Iterable[Batch]) -> None:
        """The book starts at what the encoder makes of rows far from one another (k-means++): else one code takes all."""
        assert isinstance(self.quantiser, Book)
        book = self.quantiser.book
        with torch.no_grad():
            first = list(itertools.islice(batches, 4))
            rows = torch.cat([self._features(x) for x, _, _ in first]).transpose(0, 1).flatten(0, 1)
            weight = torch.cat([w for _, _, w in first]).repeat(math.prod(self.cells))
            book.copy_(rows[kmeans_plus_plus(rows, Noise.of(0, 1).fold("book").uniform((), (len(book),))[0], weight)])

    def encode(self, x: Entries, y: Observed) -> distributions.Point:
        """The code of x, (B, *cells), as the point it is."""
        codes = self.quantiser.codes(self._features(x))
        return distributions.Point(codes.reshape(len(codes), *self.cells), self.parents[0].space)

    def decode(self, z: Entries, y: Observed) -> Entries:
        """The mode of p(x | code): (B, *grid)."""
        return self._decoded(self._vectors(z)).mode()

    def _vectors(self, code: Entries) -> Tensor:
        return self.quantiser.vectors(code.tensor.flatten(1))

    def _features(self, x: Entries) -> Tensor:
        """(B, places, W)."""
        if not x.complete:
            raise UserError(f"{self.x.name}: VQVAE encodes whole items, got unseen entries")
        values = x.tensor.float()
        if isinstance(self.x.space, Finite):
            values = values * (2 / max(self.x.space.size - 1, 1)) - 1
        return self.encoder(values[..., None]).reshape(len(values), -1, self.quantiser.width)

    def _decoded(self, vectors: Tensor) -> distributions.Distribution:
        return self.head(self.decoder(vectors.reshape(len(vectors), *self.cells, -1)))
