"""WeightedLevels: the levels of a discretised mixture, each weighted by a logit of its own.

    p(v) = m(v) exp(a_v) / sum_u m(u) exp(a_u)
"""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from given.distributions.categorical import Categorical
from given.distributions.discretized_logistic_mixture import DiscretizedLogisticMixture
from given.distributions.factorized import Factorized
from given.distributions.noise import inverse_cdf_sample
from given.variables import Entries, Finite

__all__ = ["WeightedLevels"]


class WeightedLevels(Factorized):
    """Independent entries. They are scored by log m(v), however far out, and drawn by m(v), which takes an eighth of the time.

    Args:
        mixture: m, of B rows.
        weights: (B, *grid, V), a.
        space: of the levels.
    """

    def __init__(self, mixture: DiscretizedLogisticMixture, weights: Tensor, space: Finite) -> None:
        super().__init__(space, mixture.n, mixture.device)
        self.mixture, self.weights, self.levels = mixture, weights, space

    @cached_property
    def _whole(self) -> Categorical:
        return Categorical(self.mixture.log_probs + self.weights, self.levels)

    @property
    def log_probs(self) -> Tensor:
        """log p of every level at every entry: (B, *grid, V) float64."""
        return self._whole.log_probs

    def each(self, values: Tensor) -> Tensor:
        return self._whole.each(values.long())

    def pick(self, u: Tensor) -> Tensor:
        weights = self.weights.double()
        return inverse_cdf_sample((weights - weights.amax(-1, keepdim=True)).exp_().mul_(self.mixture.cells), u)

    def mode(self) -> Entries:
        """The most probable level of every entry: (B, *grid)."""
        return self._kept(self._whole.logits.argmax(-1))
