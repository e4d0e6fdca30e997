"""A family of your own, in the file that uses it, held to the public distributions."""

import torch

from given import Conditional, Variable, distributions
from given.codecs import IdentityCodec
from given.testing import check_family
from given.variables import Real


class Laplace(Conditional):
    """log p(x | y) = -|x - m| / s - log 2 s, in the entries' units; learned by its own likelihood."""

    def __init__(self, x, parents=()):
        super().__init__(x, parents)
        self.place, self.log_scale = (torch.nn.Parameter(torch.zeros(())) for _ in range(2))

    def forward(self, y):
        law = torch.distributions.Laplace(self.place.expand(y.n), self.log_scale.exp(), validate_args=False)
        return distributions.Torch(law, self.x.space)


verdicts = check_family(Laplace(Variable("x", IdentityCodec(Real()))))
for name, reason in verdicts.items():
    print(name, "is obeyed" if reason is None else f"does not apply: {reason}")
