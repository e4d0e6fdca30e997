"""OnHost: a sequential distribution whose tables the host looks up, for rows on another device."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from given.distributions.categorical import Categorical
from given.distributions.distribution import Distribution
from given.distributions.sequential import Sequential, State
from given.variables import Entries

__all__ = ["OnHost"]


@dataclass(frozen=True)
class _Kept:
    """The state of the distribution on the host."""

    state: State

    def rows(self, index: Tensor) -> _Kept:
        return _Kept(self.state.rows(index.cpu()))


class OnHost(Sequential):
    """The same distribution, read and written on a device.

    Args:
        distribution: of symbols, on the host.
        device: where the rows are.
    """

    def __init__(self, distribution: Sequential, device: torch.device) -> None:
        super().__init__(distribution.space, distribution.n, distribution.entries, device)
        self.distribution, self.kind = distribution, distribution.kind

    def each(self, x: Entries) -> Tensor:
        return self.distribution.each(x.to("cpu")).to(self.device)

    def all_log_probs(self, x: Entries) -> Iterator[Tensor]:
        return (log_p.to(self.device) for log_p in self.distribution.all_log_probs(x.to("cpu")))

    def condition(self, evidence: Entries) -> Distribution:
        inner, distribution = self.distribution.condition(evidence.to("cpu")), copy.copy(self)
        assert isinstance(inner, Sequential)
        distribution.distribution, distribution.evidence = inner, self._known(evidence)
        return distribution

    def start(self) -> State:
        inner = self.distribution.start()
        return State(inner.t, inner.values.to(self.device), None, _Kept(inner))

    def next(self, state: State) -> Categorical:
        return Categorical(self.distribution.next(state.cache.state).log_probs.to(self.device))

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, self.entries[state.t]] = entries.double()
        return replace(state, t=state.t + 1, cache=_Kept(self.distribution.advance(state.cache.state, entries.cpu())))

    def after(self, state: State) -> OnHost:
        return OnHost(self.distribution.after(state.cache.state), self.device)
