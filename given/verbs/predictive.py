"""Predictive: the distribution of some columns given what is observed, whole: bound once, asked often."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch

from given.distributions import How, Intractable, Kind
from given.infer import Within
from given.infer.summary import DRAWS, quantiles
from given.sources import Columns
from given.variables import Finite, UserError

__all__ = ["Predictive"]


class Predictive:
    """Made by `Query.distribution` and `Model.distribution`.

    Args:
        query: a `Query`, which has what is observed.
        names: the columns.

    Attributes:
        names: the columns.
    """

    def __init__(self, query: Any, names: tuple[str, ...]) -> None:
        self.query, self.names = query, names

    def sample(self, n: int = 1, *, seed: int | None = 0, how: How | None = None) -> Columns:
        """Draws of the columns, (n, ...) or (n, items, ...); as of `Query.sample`."""
        evidence = self.query._evidence
        everything = set(self.names) >= {k for k in self.query.joint.columns if not (k in evidence and evidence[k].complete)}
        found = self.query.sample(n, columns=None if everything else self.names, seed=seed, how=how)
        return Columns({name: found[name] for name in self.names}, found.axes, found.dtypes)

    def log_prob(self, values: Any = None, /, *, seed: int | None = 0, **columns: Any) -> np.ndarray:
        """log p of values in nats and raw units: (n,) float64, of kind `kind`. Of one column they may come without its name."""
        if values is not None and not hasattr(values, "keys") and len(self.names) == 1:
            values = {self.names[0]: values}
        return self.query.log_prob(values, seed=seed, **columns)

    def mean(self, *, seed: int | None = 0) -> Any:
        """The mean of the one column, or of each; as of `Query.mean`."""
        return self._each(lambda name: self.query.mean(name, seed=seed))

    def quantile(self, levels: Any, /, *, seed: int | None = 0) -> Any:
        """Quantiles of the one column, or of each; as of `Query.quantile`."""
        return self._each(lambda name: self.query.quantile(name, levels, seed=seed))

    def interval(self, level: float = 0.9, /, *, seed: int | None = 0) -> Any:
        """The central interval of the one column, or of each; as of `Query.interval`."""
        return self._each(lambda name: self.query.interval(name, level, seed=seed))

    def mode(self, *, seed: int | None = 0) -> Any:
        """The mode of the one column, or of each by itself; as of `Query.mode`."""
        return self._each(lambda name: self.query.mode(name, seed=seed))

    def probabilities(self) -> Columns:
        """Of one finite column, as of `Query.probabilities`."""
        if len(self.names) != 1:
            raise UserError(f"probabilities: expected one column, got {', '.join(self.names)}; ask distribution(name)")
        return self.query.probabilities(self.names[0])

    def _each(self, ask: Any) -> Any:
        return ask(self.names[0]) if len(self.names) == 1 else {name: ask(name) for name in self.names}

    @cached_property
    def kind(self) -> Kind:
        """Of `log_prob`: exact, bound, estimate or none."""
        drawn = self.sample(1)
        return self.query.score(dict(drawn) if self.query._single else {k: v[0] for k, v in drawn.items()}).kind

    @cached_property
    def draws(self) -> int | None:
        """How many draws quantiles are taken from, each a draw of the very distribution; None where they are closed forms."""
        return DRAWS if any(self._by_draws(name) for name in self.names) else None

    @torch.no_grad()
    def _by_draws(self, name: str) -> bool:
        variable, (_, query) = self.query.joint.columns[name], next(self.query._parts(self.query.n))
        try:
            quantiles(variable, np.array([0.5])).exact(query)
        except Intractable:
            return True
        except UserError:  # no numbers
            return not isinstance(variable.space, Finite) or variable.space.dimensions > 1
        return False

    @cached_property
    @torch.no_grad()
    def effective(self) -> np.ndarray | None:
        """(items,) how many independent draws `log_prob` is worth where it is a mean of weighted ones; None elsewhere."""
        each = [query.effective if isinstance(query, Within) else None for _, query in self.query._parts(self.query.n)]
        return None if any(e is None for e in each) else torch.cat(each).numpy()  # type: ignore[arg-type]

    def __repr__(self) -> str:
        effective = self.effective
        worth = "" if effective is None else f" by weighted draws worth {effective.min():.0f}"
        draws = "closed form" if self.draws is None else f"{self.draws:,} draws"
        return f"p({', '.join(self.names)} | what is given): log_prob {self.kind}{worth}; quantiles by {draws}"
