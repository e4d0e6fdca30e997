"""Muon: a matrix moves by its momentum made orthogonal, so that all its directions learn at one rate.

    M <- .95 M + .05 G,   U V^T of the singular value decomposition of .05 G + .95 M,   W <- W - lr .2 sqrt(max(m, n)) U V^T

The factor makes a step as large as one of AdamW, so both share a learning rate. U V^T is approached by rounds of a polynomial
in products of matrices, which takes every singular value to within some .3 of one.

Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024 / https://kellerjordan.github.io/posts/muon/
Liu et al., Muon is scalable for LLM training, 2025 / https://arxiv.org/abs/2502.16982 (the factor)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Muon", "orthogonal"]

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # x -> a x + b x^3 + c x^5
_ROUNDS = 5
_MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """The optimiser of matrices between features; AdamW serves embeddings, heads and vectors.

    Args:
        params: matrices.
        lr: that of AdamW.
        weight_decay: of the matrices, times lr a step.
        bfloat16: whether the products of the polynomial are of 16 bits.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float, bfloat16: bool = False) -> None:
        self.kind = torch.bfloat16 if bfloat16 else torch.float32
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - _MOMENTUM)
                way = orthogonal(weight.grad.lerp(state["momentum"], _MOMENTUM).to(self.kind))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(way.to(weight.dtype), alpha=-0.2 * max(weight.shape) ** 0.5 * group["lr"])


def orthogonal(g: Tensor) -> Tensor:
    """The matrix (m, n) of g's singular vectors whose singular values are near one; nothing of nothing."""
    a, b, c = _POLYNOMIAL
    x = g.T if len(g) > g.shape[1] else g
    x = x / (x.norm() + 1e-20)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if len(g) > g.shape[1] else x
