"""Score: a mean log-likelihood and what kind of number it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from given.distributions import Kind, weakest
from given.variables import UserError

__all__ = ["Score", "weighted_mean", "wilson_interval"]


@dataclass(frozen=True)
class Score:
    """The mean over items of log p, and what it means.

    Attributes:
        items: (n,) float64, log p of every item, in `unit`.
        kind: `exact`, a lower `bound`, or an `estimate`.
        unit: `nats/item`, or after conversion `bits/dim`, `nats/character` or `bits/byte`.
        measure: what the density is relative to; `counting`, or `length in raw units`.
        conditioned_on: the columns right of the bar.
        dimensions: seen entries an item, on average, for conversion.
        columns: what was scored.
        weights: (n,) how much every item counts; None where all count alike.
        new: column -> (n,) how many values of each item were not learned, where any was.
        adaptive: whether the model learned of an item while it scored it: a distribution too, but of whole items read in order.
        within: the standard error of a single item that is a text in pieces, by its pieces taken as independent.
        characters, bytes: of an item's raw text and of its UTF-8, on average, where nothing but text was scored; else 0.
    """

    items: np.ndarray
    kind: Kind
    unit: str
    measure: str
    conditioned_on: tuple[str, ...] = ()
    dimensions: float = 1
    columns: tuple[str, ...] = ()
    characters: float = 0
    bytes: float = 0
    within: float = math.nan
    adaptive: bool = False
    new: Mapping[str, np.ndarray] = field(default_factory=dict)
    weights: np.ndarray | None = None

    @property
    def value(self) -> float:
        """The mean over items; minus infinity where an item has probability zero."""
        return weighted_mean(self.items, self.weights)[0]

    @property
    def error(self) -> float:
        """The standard error of the mean over items, of a single text over its pieces; nan where it has none."""
        if len(self.items) == 1:
            return self.within
        return weighted_mean(self.items, self.weights)[1]

    @property
    def covered(self) -> float:
        """The share of items with probability above zero."""
        return float(np.isfinite(self.items).mean())

    def bits_per_dim(self) -> Score:
        """The same as bits an entry, lower is better: -log2 p / D.

        Raises:
            UserError: the unit is not nats/item.
        """
        return self._by(self.dimensions * math.log(2), "bits/dim")

    def nats_per_character(self) -> Score:
        """The same as nats a character of the raw text, lower is better: -log p / characters.

        Raises:
            UserError: the unit is not nats/item, or something else than text was scored.
        """
        return self._by(self.characters, "nats/character")

    def bits_per_byte(self) -> Score:
        """The same as bits a byte of the text's UTF-8, lower is better. Raises as `nats_per_character`."""
        return self._by(self.bytes * math.log(2), "bits/byte")

    def _by(self, amount: float, unit: str) -> Score:
        if self.unit != "nats/item":
            raise UserError(f"score: expected nats/item to convert, got {self.unit}")
        if not amount:
            raise UserError(f"score: {unit} is of text alone, got a score of {', '.join(self.columns)}; use bits_per_dim()")
        return replace(self, items=-self.items / amount, unit=unit, within=self.within / amount)

    def joined(self, others: Sequence[Score]) -> Score:
        """One score of the items of all, in order."""
        parts = [self, *others]
        items = np.concatenate([part.items for part in parts])
        mean = {what: sum(getattr(part, what) * len(part.items) for part in parts) / len(items)
                for what in ("dimensions", "characters", "bytes")}
        names = dict.fromkeys(name for part in parts for name in part.new)
        new = {name: np.concatenate([part.new.get(name, np.zeros(len(part.items), dtype=np.int64)) for part in parts])
               for name in names}
        weights = None if self.weights is None else np.concatenate([part.weights for part in parts])
        kind = weakest(part.kind for part in parts)
        return replace(self, items=items, weights=weights, new=new, kind=kind, within=math.nan, **mean)

    @property
    def nature(self) -> str:
        """The kind, and whether it is adaptive."""
        return f"{self.kind}, adaptive" if self.adaptive else self.kind

    def __str__(self) -> str:
        error = "" if math.isnan(self.error) else f" ± {self.error:.4f}"
        covered = "" if self.covered == 1 else f" ({self.covered:.1%} of items covered)"
        given = f", given {', '.join(self.conditioned_on)}" if self.conditioned_on else ""
        return f"{self.value:.4f}{error} {self.unit}{covered} ({self.nature}; {self.measure}{given}; n = {len(self.items):,})"

    __repr__ = __str__


def weighted_mean(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """The mean of values (n,), each weighted if there are weights (n,), and its standard error; nan where it has none.

    >>> weighted_mean(np.array([1.0, 3.0, 100.0]), np.array([1.0, 1.0, 0.0]))[0]
    2.0
    """
    n = len(values)
    if weights is None:
        some = n > 1 and bool(np.isfinite(values).all())
        return float(values.mean()), float(values.std(ddof=1) / math.sqrt(n)) if some else math.nan
    kept = weights > 0  # what counts for nothing may be impossible
    values, weights = values[kept], weights[kept] / max(float(weights.sum()), 1e-300)
    n, mean = len(values), float((weights * values).sum()) if len(values) else math.nan
    if n < 2 or not math.isfinite(mean):
        return mean, math.nan
    return mean, float(np.sqrt((weights**2 * (values - mean) ** 2).sum() * n / (n - 1)))


def wilson_interval(successes: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source: Wilson, Probable inference, the distribution of succession, and statistical inference, 1927 /
    https://doi.org/10.1080/01621459.1927.10502953

    >>> low, high = wilson_interval(354, 360)
    >>> round(low, 3), round(high, 3)
    (0.964, 0.992)
    """
    z, p = 1.959964, successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half
