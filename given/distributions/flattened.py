"""Flattened: the entries of a real grid, or of a block of real columns, end to end: a distribution of one real vector serves
all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from torch import Tensor

from given.distributions.distribution import Distribution, How, Kind
from given.distributions.noise import Noise
from given.variables import Axis, Entries, Finite, Product, Real, Space, UserError, Variable
from given.ways import way

__all__ = ["Flattened"]

_NAMED = 3  # columns in a message


class Flattened(Distribution):
    """A distribution of a real grid or block, by way of a distribution of its entries in one row.

    Args:
        distribution: over `Flattened.real(space)`.
        space: the grid or block.
    """

    def __init__(self, distribution: Distribution, space: Space) -> None:
        super().__init__(space, distribution.n, distribution.device)
        self.distribution = distribution
        self.kind, self.adaptive = distribution.kind, distribution.adaptive

    @property
    def kind_of_part(self) -> Kind:
        return self.distribution.kind_of_part

    @staticmethod
    def of(distribution: Distribution, space: Space) -> Distribution:
        """A distribution of real vectors (B, D) as one of a real space, or of a block of them, with D entries."""
        return distribution if distribution.space == space else Flattened(distribution, space)

    @staticmethod
    def check_real(v: Variable, who: str) -> None:
        """Raise `UserError` unless every entry of a variable is real."""
        for name, space in v.space.columns if isinstance(v.space, Product) else ((v.name, v.space),):
            if isinstance(space, Finite) and space.ordered and space.axes:
                use = "use " + way(f"Dequantised(family={who})", f"--family '{v.name}=Dequantised(family={who})'")
            elif not space.axes:
                number = way(f"codecs={{{name!r}: Number()}}", f"--as {name}=number")
                use = f"if its values are numbers pass {number}; else use Autoregressive or Independent"
            else:
                use = "use Autoregressive or Independent"
            if not isinstance(space, Real):
                raise UserError(f"{who}: expected real numbers, got {name}: {space}; {use}")
        Flattened.check_no_atoms(v, who)

    @staticmethod
    def check_no_atoms(v: Variable, who: str) -> None:
        """Raise `UserError` where an entry of a variable has atoms, naming codecs that have none: to them a hole is unknown."""
        codecs = v.codec.codecs if v.codec.columns else {v.name: v.codec}  # type: ignore[attr-defined]
        spaces = v.space.columns if isinstance(v.space, Product) else ((v.name, v.space),)
        each = {name: codecs[name] for name, space in spaces if isinstance(space, Real) and space.atoms}
        if not each:
            return
        plain = {name: codec.without_atoms for name, codec in list(each.items())[:_NAMED]}
        more = ", ..." if len(each) > _NAMED else ""
        python = ", ".join(f"{name!r}: {codec}" for name, codec in plain.items())
        shell = " ".join("--as " + shlex.quote(f"{name}={codec}".replace("'", '"')) for name, codec in plain.items())
        raise UserError(f"{who}: {', '.join(plain)}{more}: has atoms, values that recur or are missing and have a mass of "
                        f"their own, where {who} has a density; use Autoregressive or Independent, or learn without: "
                        f"{way(f'codecs={{{python}{more}}}', shell + more.replace(',', ''))}")

    @staticmethod
    def real(space: Space) -> Real:
        """The real vector that holds a space's entries."""
        return Real(axes=(Axis("entry", space.dimensions),))

    def _by(self, how: How) -> Flattened:
        return Flattened(self.distribution._by(how), self.space)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        return self.distribution.sample(shape, seed=noise).shaped(self.space)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        return self.distribution.log_prob(x.flat(self.space), seed=seed)

    def condition(self, evidence: Entries) -> Flattened:
        return Flattened(self.distribution.condition(evidence.flat(self.space)), self.space)

    def cdf(self, x: Entries) -> Tensor:
        return self.distribution.cdf(x.flat(self.space))

    def mean(self) -> Entries:
        """The mean: (B, ...) a column."""
        return self.distribution.mean().shaped(self.space)

    def deviation(self) -> Entries:
        """The standard deviation: (B, ...) a column."""
        return self.distribution.deviation().shaped(self.space)

    def mode(self) -> Entries:
        """The mode: (B, ...) a column."""
        return self.distribution.mode().shaped(self.space)
