"""Distribution: p(x | y) with y bound, over B rows of entries. It knows no raw data.

A distribution is a value: it samples, scores, and where it can conditions itself on part of its entries.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor

from given.distributions.noise import Noise
from given.solve import How, Watched
from given.variables import Entries, Space, UserError

__all__ = ["Distribution", "How", "Intractable", "Kind", "weakest"]

Kind = Literal["exact", "bound", "estimate", "none"]
_STRENGTH: tuple[Kind, ...] = ("exact", "bound", "estimate", "none")


class Intractable(UserError):
    """A question this distribution has no answer to; the message names the way out."""


def weakest(kinds: Iterable[Kind]) -> Kind:
    """The kind of a product: that of its weakest factor.

    >>> weakest(["exact", "bound"])
    'bound'
    """
    return max(kinds, key=_STRENGTH.index, default="exact")


class Distribution(abc.ABC):
    """A distribution over B rows of entries of a space.

    Attributes:
        space: of the entries.
        n: B, the number of rows.
        device: where its tensors are, and what it draws.
        kind: what `log_prob` returns: the `exact` value, a lower `bound`, an `estimate` (of a value or of a bound), or
            `none`.
        adaptive: whether scoring an item also learns from it.
        evidence: entries already known, or None: returned by draws and not scored.
        draws_together: whether one call that draws a row several times is cheaper than several calls. Such a distribution
            also takes a noise stream for every draw: (draws * B,) keys.
    """

    kind: Kind = "exact"
    adaptive = False
    evidence: Entries | None = None
    draws_together = False
    sized = False  # whether it is of items of a length that was asked for
    closed = False  # whether it draws by a search, which a way to draw cannot change

    @property
    def kind_of_part(self) -> Kind:
        """What `log_prob` returns where some entries are unseen."""
        return self.kind

    def kind_of(self, x: Entries) -> Kind:
        """What `log_prob` returns of these entries."""
        return self.kind if x.complete else self.kind_of_part

    def __init__(self, space: Space, n: int, device: torch.device | str = "cpu") -> None:
        self.space = space
        self.n = n
        self.device = torch.device(device)

    def sample(self, shape: Sequence[int] = (), *, seed: int | Noise = 0, how: How | None = None) -> Entries:
        """Draws, (*shape, B, *grid), everything seen.

        Args:
            shape: leading shape of independent draws.
            seed: a whole number, or the rows' own `Noise`.
            how: a map from distribution to distribution: short for `by(how).sample(shape, seed=seed)`.
        """
        if how is not None:
            return self.by(how).sample(shape, seed=seed)
        own = self.draws_together and isinstance(seed, Noise)
        return self.draw(shape, seed.to(self.device) if own else Noise.of(seed, self.n, device=self.device))  # type: ignore[union-attr]

    def by(self, how: How) -> Distribution:
        """The distribution that is drawn from by `how`, to draw from or to score.

        Raises:
            UserError: `how`, or a part of it, concerns neither this distribution nor any that it is made of.
        """
        if isinstance(how, Watched) or not isinstance(how, How):
            return self._by(how)
        watched = Watched(how)
        distribution = self._by(watched)
        watched.check(str(self.space))
        return distribution

    def _by(self, how: How) -> Distribution:
        """`by`, whatever it concerns. A distribution made of others hands it on to them."""
        return how(self)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        """`sample` from the rows' own noise."""
        raise NotImplementedError(f"{type(self).__name__} has neither sample nor draw")

    @abc.abstractmethod
    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        """log p of the entries that are seen and valid, the others marginalised: (*shape, B) float64 nats.

        Args:
            x: (*shape, B, *grid).
            seed: of the noise where the kind is not `exact`; ignored where it is.

        Raises:
            Intractable: these entries cannot be marginalised; the error names a family that can.
        """

    def condition(self, evidence: Entries) -> Distribution:
        """The distribution of the unseen entries given the seen ones, on the same grid.

        Its draws return the seen entries untouched, and its `log_prob` scores only what was unseen.

        Raises:
            Intractable: this distribution cannot; the error names those that can.
        """
        raise Intractable(f"{type(self).__name__} cannot condition on part of its entries; "
                          "Gaussian, Independent, Empirical and Autoregressive (on what comes first in its order) can")

    def of_length(self, entries: int) -> Distribution:
        """The distribution of items with so many entries along their first axis, where it is one of items of any length."""
        return self

    def asking(self, columns: Collection[str]) -> Distribution:
        """The distribution to draw from where only some columns of a block are asked: an order that is free puts the others
        last, and
        leaves them out."""
        return self

    def mode(self) -> Entries:
        """The most probable value: (B, *grid). Raises `Intractable` where it has no closed form."""
        raise Intractable("its mode has no closed form; use sample, or mode of fewer columns")

    def mean(self) -> Entries:
        """(B, *grid). Raises `Intractable` where it has no closed form."""
        raise Intractable("its mean has no closed form; average draws of sample")

    def deviation(self) -> Entries:
        """The standard deviation of every entry: (B, *grid). Raises `Intractable` where it has no closed form."""
        raise Intractable("its standard deviation has no closed form; take that of draws of sample")

    def cdf(self, x: Entries) -> Tensor:
        """P(entry <= x) of the one real entry a row that is known in x, and not by evidence: (*shape, B) float64.

        Raises:
            Intractable: it has no closed form.
        """
        raise Intractable("its distribution function has no closed form; take the quantiles of draws")

    def _scored(self, x: Entries) -> Tensor:
        """Where entries are known, and not by evidence (not for a product)."""
        return x.scored if self.evidence is None else x.scored & ~self.evidence.scored

    def _but(self, **changes: Any) -> Self:
        """The same distribution with other attributes."""
        distribution = copy.copy(self)
        vars(distribution).update(changes)
        return distribution

    def _and(self, evidence: Entries) -> Entries:
        """What is known already, and more."""
        return evidence if self.evidence is None else self.evidence.or_else(evidence)

    def _kept(self, values: Tensor) -> Entries:
        """The values, with the evidence in its place, and padding after the first end where there is one."""
        e, space = self.evidence, self.space
        values = values if e is None else torch.where(e.scored, e.tensor.to(values), values)
        if not space.may_end:
            return Entries(values)
        ends = torch.eq(values, space.end).long()  # type: ignore[arg-type]
        valid = ends.cumsum(-1) == ends
        return Entries(values.masked_fill(~valid, 0), valid=valid)
