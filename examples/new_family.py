"""A family of your own, in the file that uses it, held to the public distributions."""

import torch

from given import Conditional, Variable, distributions
from given.codecs import IdentityCodec
from given.testing import FAMILY_LAWS, prepared
from given.variables import Real


class Laplace(Conditional):
    """log p(x | y) = -|x - m| / s - log 2 s, in the entries' units; learned by its own likelihood."""

    def __init__(self, x, parents=()):
        super().__init__(x, parents)
        self.place, self.log_scale = (torch.nn.Parameter(torch.zeros(())) for _ in range(2))

    def forward(self, y):
        return distributions.Torch(torch.distributions.Laplace(self.place.expand(y.n), self.log_scale.exp()), self.x.space)


for distribution in FAMILY_LAWS.values():
    distribution(prepared(Laplace(Variable("x", IdentityCodec(Real())))))
print("obeys", len(FAMILY_LAWS), "distributions")
