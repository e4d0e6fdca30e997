"""Expectation maximisation over finite latents, for families that are counted or solved.

E-step: the responsibility of every value h of the latents for every row, p(h | row), by enumeration. M-step: every factor with
a latent solves its lessons on the rows repeated for every h, weighted by responsibility. With families that maximise exactly
the likelihood never falls. It starts from the rows that are known to have one value, alone; where there are none, from K rows
far from one another, every row with the nearest of them.

Source: Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977
"""

from __future__ import annotations

import torch
from torch import Tensor

from given.conditional import teach
from given.distributions import Noise, kmeans_plus_plus
from given.joint import Joint
from given.train.batches import Batches, EncodedBatch
from given.variables import Finite

__all__ = ["expectation", "maximise_expectation"]


def maximise_expectation(batches: Batches, *, seed: int = 0, tolerance: float = 1e-4, most_passes: int = 200) -> list[float]:
    """Let every factor with a latent solve its lessons; returns the mean log-likelihood of a row before each step.

    Args:
        batches: the training data, whose joint has latents. No pass begins that its deadline does not allow.
        seed: of the rows it starts from.
        tolerance: stop when the mean log-likelihood rises by less.
        most_passes: over the data.
    """
    joint = batches.joint
    factors = [f for f in joint if joint.touches_latent(f)]
    shares, history = _start(batches, seed), list[float]()
    with torch.no_grad():
        for k in batches.deadline.within(range(most_passes)):
            for factor in factors:
                teach(factor, batches.pass_for(factor, shares), again=k > 0)  # what is chosen, is chosen once
            shares, likelihood = expectation(batches)
            history.append(likelihood)
            if len(history) > 1 and history[-1] - history[-2] < tolerance:
                break
    return history


@torch.no_grad()
def expectation(batches: Batches) -> tuple[list[Tensor], float]:
    """Responsibilities (n, K) of every batch, and the mean log-likelihood of a row."""
    shares, total, rows = list[Tensor](), 0.0, 0.0
    for batch in batches.in_order():
        log_p, _ = batches.joint.log_joint(batch.entries, batch.n)
        shares.append(log_p.softmax(1))
        total += float((batch.weight * log_p.logsumexp(1)).sum())
        rows += float(batch.weight.sum())
    return shares, total / rows


def _start(batches: Batches, seed: int) -> list[Tensor]:
    """One value of the latents a row: its own where that is known, and no other rows; where it never is, that of the nearest of
    K rows, drawn far from one another (k-means++)."""
    joint = batches.joint
    agree = [joint.agreeing(batch.entries, batch.n) for batch in batches.in_order()]
    known = [each & (each.sum(1, keepdim=True) == 1) for each in agree]
    if any(bool(each.any()) for each in known):
        return [each.double() for each in known]
    below = [f for f in joint if joint.touches_latent(f)]
    names = [name for f in below for name in f.x.columns if name not in joint.summed]
    each = [(_features(joint, batch, names), batch.weight) for batch in batches.in_order()]
    rows, weights = zip(*each, strict=True)
    K = joint.enumerated({}, 1)[0]
    held = torch.cat(rows)
    centres = held[kmeans_plus_plus(held, Noise.of(seed, 1).fold("start").uniform((), (K,))[0], torch.cat(weights))]
    return [torch.nn.functional.one_hot(torch.cdist(r, centres).argmin(1), K).double() for r in rows]


def _features(joint: Joint, batch: EncodedBatch, names: list[str]) -> Tensor:
    """Rows as vectors (n, F) whose distance means something: values, one of V for unordered symbols."""
    parts = []
    for name in names:
        space, x = joint.columns[name].space, batch.entries[name]
        if isinstance(space, Finite) and not space.ordered:
            parts.append(torch.nn.functional.one_hot(x.tensor.reshape(batch.n, -1), space.size).flatten(1).double())
        else:
            scale = max(space.size - 1, 1) / 2 if isinstance(space, Finite) else 1
            parts.append(torch.where(x.scored, x.tensor.double() / scale, 0.0).reshape(batch.n, -1))
    return torch.cat(parts, 1)
