"""divergence: how far apart two distributions are, in closed form where it is known, else by Monte Carlo with its error.

    KL(p || q) = E_p[log p - log q]                 >= 0, and 0 where p = q
    cross-entropy H(p, q) = -E_p[log q] = H(p) + KL(p || q)
    JS(p, q)   = KL(p || m) / 2 + KL(q || m) / 2,   m = (p + q) / 2,   at most log 2
    W2(p, q)^2 = min over couplings of E |x - y|^2; sliced: the mean over directions of that of projections

Two surrogates are shown as what they are. A Gaussian's negative log-likelihood is squared error over 2 s^2 and a constant. A
GAN's critic reaches JS where it is the best one, log p / q, and stays below with any other, so its objective is a lower bound.

Optimal Transport for Applied Mathematicians (Santambrogio, 2015); Sliced and Radon Wasserstein Barycenters (Bonneel et al.,
2015), https://doi.org/10.1007/s10851-014-0506-3; Generative Adversarial Nets (Goodfellow et al., 2014),
https://arxiv.org/abs/1406.2661
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from given.variables import UserError

__all__ = ["Divergence", "categorical_js", "categorical_kl", "gan_objective", "jensen_shannon", "kl", "normal_entropy",
           "normal_kl", "normal_wasserstein2", "sliced_wasserstein2", "squared_error_and_constant", "wasserstein2"]

How = Literal["closed form", "Monte Carlo", "of inexact scores", "of draws", "lower bound"]
_PARTS = 5  # sets of draws, whose spread is the error
_COUPLED = 400  # draws a side of an exact coupling, whose cost is cubic
_DIRECTIONS = 100


@dataclass(frozen=True)
class Divergence:
    """A divergence and how it was come by.

    Attributes:
        value: in nats; a Wasserstein distance in the units of the columns.
        error: its standard error; 0 in closed form.
        how: `closed form`; `Monte Carlo`, unbiased; `of draws`, the distance of two finite sets, which is above 0 even where
            both are draws of one distribution; `of inexact scores`, where log p or log q is a bound or an estimate, and so
            without a sign of its own error; `lower bound`.
        same: of draws, the distance of two such sets of p alone: what 0 looks like.
    """

    value: float
    error: float
    how: How
    same: float = math.nan

    def __str__(self) -> str:
        error = f" ± {self.error:.2g}" if self.error else ""
        same = "" if math.isnan(self.same) else f"; {self.same:.4g} between draws of the first alone"
        return f"{self.value:.4g}{error} ({self.how}{same})"


def kl(log_p: np.ndarray, log_q: np.ndarray) -> Divergence:
    """KL(p || q) from log p and log q (n,) of draws of p; infinite where q cannot have what p has.

    Where both are exact the estimate is unbiased, and may fall below 0 by chance.
    """
    return _mean(log_p - log_q)


def jensen_shannon(log_p: np.ndarray, log_q: np.ndarray, other_log_p: np.ndarray, other_log_q: np.ndarray) -> Divergence:
    """JS(p, q) from log p and log q of draws of p, and of draws of q: from 0 to log 2 on average."""
    first = _mean(log_p - np.logaddexp(log_p, log_q) + math.log(2))
    second = _mean(other_log_q - np.logaddexp(other_log_p, other_log_q) + math.log(2))
    return Divergence((first.value + second.value) / 2, math.hypot(first.error, second.error) / 2, "Monte Carlo")


def gan_objective(real: np.ndarray, drawn: np.ndarray) -> Divergence:
    """What a critic's logits on rows and on draws say of JS: (E[log s(real)] + E[log(1 - s(drawn))] + log 4) / 2, s the
    logistic function. A lower bound, which the critic log p - log q reaches.
    """
    first, second = (_mean(-np.logaddexp(0, sign * logit)) for sign, logit in ((-1, real), (1, drawn)))
    value = (first.value + second.value + math.log(4)) / 2
    return Divergence(value, math.hypot(first.error, second.error) / 2, "lower bound")


def categorical_kl(log_p: np.ndarray, log_q: np.ndarray) -> Divergence:
    """KL of two categorical distributions (K,), in closed form.

    >>> print(categorical_kl(np.log([.5, .5]), np.log([.25, .75])))
    0.1438 (closed form)
    """
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):
        return Divergence(max(0.0, float(np.where(p > 0, p * (log_p - log_q), 0.0).sum())), 0.0, "closed form")


def categorical_js(log_p: np.ndarray, log_q: np.ndarray) -> Divergence:
    """JS of two categorical distributions (K,), in closed form."""
    middle = np.logaddexp(log_p, log_q) - math.log(2)
    return Divergence((categorical_kl(log_p, middle).value + categorical_kl(log_q, middle).value) / 2, 0.0, "closed form")


def normal_entropy(covariance: np.ndarray) -> float:
    """The entropy in nats of a normal distribution."""
    return 0.5 * len(covariance) * (1 + math.log(2 * math.pi)) + 0.5 * _log_det(covariance)


def normal_kl(mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray) -> Divergence:
    """KL of two normal distributions, in closed form. Means are (D,), covariances (D, D).

    >>> print(normal_kl(np.zeros(1), np.eye(1), np.ones(1), np.eye(1)))
    0.5 (closed form)
    """
    apart = other_mean - mean
    inverse = np.linalg.inv(other_covariance)
    value = 0.5 * (np.trace(inverse @ covariance) + apart @ inverse @ apart - len(mean)
                   + _log_det(other_covariance) - _log_det(covariance))
    return Divergence(max(0.0, float(value)), 0.0, "closed form")


def normal_wasserstein2(mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray,
                        other_covariance: np.ndarray) -> Divergence:
    """W2 of two normal distributions: |m - m'|^2 + tr(C + C' - 2 (C^1/2 C' C^1/2)^1/2), its root.

    >>> print(normal_wasserstein2(np.zeros(2), np.eye(2), np.array([3., 4.]), np.eye(2)))
    5 (closed form)
    """
    root = _root(covariance)
    across = _root(root @ other_covariance @ root)
    squared = ((mean - other_mean) ** 2).sum() + np.trace(covariance + other_covariance - 2 * across)
    return Divergence(math.sqrt(max(0.0, float(squared))), 0.0, "closed form")


def wasserstein2(x: np.ndarray, y: np.ndarray, again: np.ndarray | None = None) -> Divergence:
    """W2 of two sets of draws (n, D) and (m, D), by the best coupling of as many of each; the error is the spread over parts.

    `again` are other draws of the first, for what 0 looks like. Sets of finite size stand further apart than what they are
    drawn from, by some n^(-1/D).
    """
    from scipy.optimize import linear_sum_assignment

    def between(a: np.ndarray, b: np.ndarray) -> float:
        cost = ((a[:, None] - b) ** 2).sum(-1)
        return math.sqrt(float(cost[linear_sum_assignment(cost)].mean()))

    return _of_draws(between, x, y, again)


def sliced_wasserstein2(x: np.ndarray, y: np.ndarray, again: np.ndarray | None = None, *, seed: int = 0) -> Divergence:
    """The root of the mean over directions of the squared W2 of projections. Arguments as of `wasserstein2`."""
    directions = np.random.default_rng(seed).normal(size=(x.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)

    def between(a: np.ndarray, b: np.ndarray) -> float:
        return math.sqrt(float(((np.sort(a @ directions, 0) - np.sort(b @ directions, 0)) ** 2).mean()))

    return _of_draws(between, x, y, again)


def squared_error_and_constant(x: np.ndarray, mean: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, float]:
    """A Gaussian's negative log-likelihood (n,), the squared error over 2 s^2 (n,), and the constant between them.

    >>> nll, error, constant = squared_error_and_constant(np.array([[1.], [3.]]), np.zeros((2, 1)), 1.0)
    >>> (nll - error).round(4).tolist(), round(constant, 4)
    ([0.9189, 0.9189], 0.9189)
    """
    D = x.shape[1]
    white = (x - mean) / scale
    nll = -(-0.5 * white**2 - math.log(scale) - 0.5 * math.log(2 * math.pi)).sum(1)
    return nll, ((x - mean) ** 2).sum(1) / (2 * scale**2), D * (math.log(scale) + 0.5 * math.log(2 * math.pi))


def _of_draws(between: object, x: np.ndarray, y: np.ndarray, again: np.ndarray | None) -> Divergence:
    if x.shape[1:] != y.shape[1:]:
        raise UserError(f"wasserstein: expected draws of the same columns, got {x.shape[1]} and {y.shape[1]} numbers a row")
    n = min(len(x), len(y)) // _PARTS
    if n < 2:
        raise UserError(f"wasserstein: expected at least {2 * _PARTS} draws of each, got {len(x)} and {len(y)}")
    n = min(n, _COUPLED)
    parts = [slice(i * n, (i + 1) * n) for i in range(_PARTS)]
    found = [between(x[part], y[part]) for part in parts]  # type: ignore[operator]
    other = np.roll(x, len(x) // 2, 0) if again is None else again
    same = float(np.mean([between(x[part], other[part]) for part in parts]))  # type: ignore[operator]
    return Divergence(float(np.mean(found)), float(np.std(found, ddof=1) / math.sqrt(_PARTS)), "of draws", same)


def _mean(values: np.ndarray) -> Divergence:
    if not np.isfinite(values).all():
        return Divergence(float(values.mean()), math.nan, "Monte Carlo")
    return Divergence(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))), "Monte Carlo")


def _log_det(covariance: np.ndarray) -> float:
    return float(np.linalg.slogdet(covariance)[1])


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of a symmetric matrix that has no negative direction."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
