"""Linear: a matrix kept as (inputs, outputs), the way a single row reads it fastest; and the norm that nets use."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Linear", "RMSNorm"]


class Linear(nn.Module):
    """h W + b.

    One row times a matrix is bound by memory; kept (inputs, outputs) it is read at twice the rate of `torch.nn.Linear`'s.

    Args:
        inputs, outputs: widths.
        bias: whether there is a b.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound)) if bias else None

    def forward(self, h: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        if self.bias is None:
            return h @ self.weight
        return torch.addmm(self.bias, h.flatten(0, -2), self.weight).unflatten(0, h.shape[:-1])

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, bias={self.bias is not None}"


class RMSNorm(nn.Module):
    """h over the root of its mean square, times a weight a channel.

    Args:
        width: C.
        epsilon: added to the mean square.

    Source: Zhang, Sennrich, Root mean square layer normalization, 2019 / https://arxiv.org/abs/1910.07467
    """

    def __init__(self, width: int, *, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, h: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        h = h.to(self.weight.dtype)
        if not torch.is_grad_enabled():
            return (h * _scale(h, self.epsilon)).mul_(self.weight)
        return _Normed.apply(h, self.weight, self.epsilon)


def _scale(h: Tensor, epsilon: float) -> Tensor:
    return (torch.linalg.vecdot(h, h)[..., None] / h.shape[-1] + epsilon).rsqrt()


class _Normed(torch.autograd.Function):
    """The norm in few passes over memory; torch's own takes a dozen on a processor."""

    @staticmethod
    def forward(context: Any, h: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        scale = _scale(h, epsilon)
        x = h * scale
        context.save_for_backward(x, scale, weight)
        return x * weight

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, scale, weight = context.saved_tensors
        g = grads[0] * weight
        along = torch.linalg.vecdot(g, x)[..., None] / x.shape[-1]
        return torch.addcmul(g, x, along, value=-1) * scale, (grads[0] * x).flatten(0, -2).sum(0), None
