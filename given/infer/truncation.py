"""Truncation: ways to draw that sharpen, cut or reweigh the distribution of the next symbol.

They compose, `TopK(40) | Temperature(0.8)` cuts first, and each is a distribution that can be scored:
`distribution.by(TopP(0.9)).log_prob(x)`. Symbols that are no sequence, a label's, are drawn so too.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from given.distributions import Categorical, Empirical, Factorized, LogitsProcessor, StepContext
from given.variables import Finite, UserError, shown

__all__ = ["MinP", "RepetitionPenalty", "Temperature", "TopK", "TopP"]


class _Pointwise(LogitsProcessor):
    """A map of the distribution of any symbol, whatever stands before it."""

    concerns = "symbols: those of texts, labels, levels"
    one_by_one = False

    def __call__(self, distribution: Any) -> Any:
        if isinstance(distribution, Categorical):
            return distribution._but(logits=self.cut(distribution.log_probs))
        if isinstance(distribution, Factorized) and isinstance(distribution.space, Finite):
            return Categorical(self.cut(distribution.log_probs), distribution.space)._but(evidence=distribution.evidence)
        if isinstance(distribution, Empirical):  # of which item it is, and of every symbol about it
            return distribution._but(log_weights=self.cut(distribution.log_weights).log_softmax(-1),
                                     log_kernel=self.cut(distribution.log_kernel).log_softmax(-1))
        return super().__call__(distribution)

    def steer(self, log_p: Tensor, place: StepContext) -> Tensor:
        return self.cut(log_p)

    @abc.abstractmethod
    def cut(self, log_p: Tensor) -> Tensor:
        """log p (..., V) float64 -> what to draw from."""


@dataclass(frozen=True)
class Temperature(_Pointwise):
    """p(x)^(1 / t), normalised: below 1 sharper, above 1 flatter. At 0 the most probable symbol is certain, the first of
    equals: draws are greedy."""

    t: float

    def __post_init__(self) -> None:
        _check("Temperature", self.t, 0 <= self.t < math.inf if _real(self.t) else False, "a number from 0")

    def cut(self, log_p: Tensor) -> Tensor:
        if self.t == 0:
            return torch.full_like(log_p, -torch.inf).scatter_(-1, log_p.argmax(-1, keepdim=True), 0.0)
        return (log_p - log_p.amax(-1, keepdim=True)) / self.t


@dataclass(frozen=True)
class TopK(_Pointwise):
    """Only the k most probable symbols, the first of equals; all where there are no more than k.

    Source: Fan, Lewis, Dauphin, Hierarchical neural story generation, 2018 / https://arxiv.org/abs/1805.04833
    """

    k: int

    def __post_init__(self) -> None:
        _check("TopK", self.k, isinstance(self.k, int) and self.k >= 1, "a whole number from 1")

    def cut(self, log_p: Tensor) -> Tensor:
        if self.k >= log_p.shape[-1]:
            return log_p
        dropped = log_p.argsort(dim=-1, descending=True, stable=True)[..., self.k:]
        return log_p.scatter(-1, dropped, -torch.inf)


@dataclass(frozen=True)
class TopP(_Pointwise):
    """Only the fewest most probable symbols that together have probability p or more.

    Source: Holtzman, Buys, Du, Forbes, Choi, The curious case of neural text degeneration, 2019 /
    https://arxiv.org/abs/1904.09751
    """

    p: float

    def __post_init__(self) -> None:
        _check("TopP", self.p, 0 < self.p <= 1 if _real(self.p) else False, "a probability above 0")

    def cut(self, log_p: Tensor) -> Tensor:
        if self.p == 1:
            return log_p
        falling, order = log_p.sort(dim=-1, descending=True, stable=True)
        p = falling.exp()
        before = p.cumsum(-1) - p
        # What rounding adds to a sum of many does not make one symbol more.
        return log_p.scatter(-1, order, falling.masked_fill(before >= self.p - 1e-12, -torch.inf))


@dataclass(frozen=True)
class MinP(_Pointwise):
    """Only symbols at least p times as probable as the most probable one.

    Source: Nguyen et al., Turning up the heat: min-p sampling for creative and coherent LLM outputs, 2024 /
    https://arxiv.org/abs/2407.01082
    """

    p: float

    def __post_init__(self) -> None:
        _check("MinP", self.p, 0 <= self.p <= 1 if _real(self.p) else False, "a share from 0 to 1")

    def cut(self, log_p: Tensor) -> Tensor:
        if self.p == 0:
            return log_p
        return log_p.masked_fill(log_p < log_p.amax(-1, keepdim=True) + math.log(self.p), -torch.inf)


@dataclass(frozen=True)
class RepetitionPenalty(LogitsProcessor):
    """log p times a strength, for symbols among the last entries, what was given among them: above 1 they come less often.

    Args:
        strength: above 0; 1 changes nothing.
        window: how many entries back it looks; as far as the distribution reads when left out.

    Source: Keskar, McCann, Varshney, Xiong, Socher, CTRL: a conditional transformer language model, 2019 /
    https://arxiv.org/abs/1909.05858 (there of logits, which only are told up to a constant; here of log-probabilities)
    """

    strength: float
    window: int | None = None

    def __post_init__(self) -> None:
        _check("RepetitionPenalty", self.strength, 0 < self.strength < math.inf if _real(self.strength) else False,
               "a number above 0")
        _check("RepetitionPenalty: window", self.window, self.window is None or (
            isinstance(self.window, int) and self.window >= 1), "a whole number from 1")

    def steer(self, log_p: Tensor, place: StepContext) -> Tensor:
        first = 0 if self.window is None else max(0, place.t - self.window)
        last = place.values[:, place.distribution.order[first:place.t]].long()
        there = torch.zeros_like(log_p, dtype=torch.bool).scatter_(1, last, True)
        return torch.where(there, log_p * self.strength, log_p)


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check(name: str, got: Any, right: bool, expected: str) -> None:
    if not right:
        raise UserError(f"{name}: expected {expected}, got {shown(got)}")
