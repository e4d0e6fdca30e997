"""Prior: probabilities of a condition that no factor declares, as they are passed to `given(..., prior=)`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.joint import Joint
from given.variables import Finite, UserError, shown
from given.verbs.checks import check_known

__all__ = ["log_prior"]


def log_prior(joint: Joint, name: str, prior: Any) -> Tensor:
    """(V,) log-probabilities of a condition.

    Args:
        prior: "uniform", or category -> probability.

    Raises:
        UserError: the column is no condition, or these are no probabilities of its categories.
    """
    check_known([name], list(joint.columns), "prior")
    variable = joint.columns[name]
    if name not in joint.conditions:
        raise UserError(f"prior: p({name}) is a factor of {joint}; a prior is for conditions that have none")
    if not isinstance(variable.space, Finite) or variable.space.axes:
        raise UserError(f"prior: expected a single finite entry, got {name}: {variable.space}")
    V = variable.space.size
    if isinstance(prior, str):
        if prior != "uniform":
            raise UserError(f"prior: {name}: expected 'uniform' or category -> probability, got {shown(prior)}")
        return torch.full((V,), -math.log(V), dtype=torch.float64)
    if not isinstance(prior, Mapping):
        raise UserError(f"prior: {name}: expected 'uniform' or category -> probability, got {type(prior).__name__}")
    symbols = variable.encode({name: np.array(list(prior))}).tensor
    p = torch.zeros(V, dtype=torch.float64)
    wrong = [v for v in prior.values() if not isinstance(v, int | float) or not v >= 0]
    if wrong:
        raise UserError(f"prior: {name}: expected probabilities of 0 or more, got {shown(wrong[0])}")
    p[symbols] = torch.tensor([float(v) for v in prior.values()], dtype=torch.float64)
    if not math.isclose(float(p.sum()), 1, abs_tol=1e-6):
        raise UserError(f"prior: {name}: expected probabilities that sum to 1, got a sum of {float(p.sum()):g}")
    return p.log()
