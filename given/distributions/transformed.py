"""Transformed: standard normal noise through an invertible map. Exact by the change of variables.

    x = f^-1(z),  z ~ N(0, I),    log p(x) = log N(f(x)) + log |det df/dx|
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from given.distributions.distribution import Intractable, Kind
from given.distributions.implicit import Implicit
from given.distributions.noise import Noise
from given.variables import Entries, Real

__all__ = ["Transformed"]


class Transformed(Implicit):
    """The distribution of f^-1(z).

    Args:
        transform: of the first B rows in hand: a function of y's rows, so that it can be repeated for draws. Called with the
            rows' numbers (N,), it returns an object with `inv(z)` and `call_and_ladj(x) -> f(x), log |det df/dx|`.
        n: B.
        space: a real vector of D entries.
        device: where the transform is.
    """

    kind: Kind = "exact"

    def __init__(self, transform: Any, n: int, space: Real, device: torch.device | str = "cpu") -> None:
        super().__init__(lambda z, rows: transform(rows).inv(z), n, space.dimensions, space, device)
        self.transform = transform

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        lead = x.tensor.shape[:-1]
        if not x.plain:
            if x.hidden:
                return torch.zeros(lead, dtype=torch.float64, device=self.device)
            raise Intractable("a flow scores whole items only; Gaussian, GaussianMixture and FactorAnalysis score any part")
        flat = x.tensor.reshape(-1, x.tensor.shape[-1]).float()
        z, ladj = self.transform(torch.arange(self.n, device=self.device).repeat(len(flat) // self.n)).call_and_ladj(flat)
        z = z.double()
        return (-0.5 * (z**2).sum(-1) - z.shape[-1] / 2 * math.log(2 * math.pi) + ladj.double()).reshape(lead)
