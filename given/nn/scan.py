"""Scan: a linear recurrence over steps, all steps at once.

    h_t = a_t h_{t-1} + b_t

Steps are cut into blocks; the blocks advance side by side, then one carry a block, then every step takes its block's carry:
of T steps some 2 sqrt(T) follow one another. The gradient is the same recurrence backwards.

Source: Blelloch, Prefix sums and their applications, 1990 / https://www.cs.cmu.edu/~guyb/papers/Ble93.pdf
Martin, Cundy, Parallelizing linear recurrent neural nets over sequence length, 2018 / https://arxiv.org/abs/1709.04057
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["scan"]


def scan(a: Tensor, b: Tensor, start: Tensor) -> Tensor:
    """(B, T, C) factors and terms, (B, C) the state before -> (B, T, C) the states, in 32 bits at least."""
    if a.shape[1] == 1:
        return torch.addcmul(b.to(start), a.to(start), start[:, None])
    return _Scan.apply(a, b, start)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, a: Tensor, b: Tensor, start: Tensor) -> Tensor:
        h = _states(a, b, start)
        context.save_for_backward(a, h, start)
        return h

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        a, h, start = context.saved_tensors
        # d_t = g_t + a_{t+1} d_{t+1}
        after = F.pad(a[:, 1:], (0, 0, 0, 1))
        d = _states(after.flip(1), grads[0].flip(1), torch.zeros_like(start)).flip(1)
        before = torch.cat([start[:, None], h[:, :-1]], 1)
        return d * before, d, d[:, 0] * a[:, 0]


def _states(a: Tensor, b: Tensor, start: Tensor) -> Tensor:
    B, T, C = a.shape
    block = max(1, math.isqrt(T))
    pad = -T % block
    # (steps in a block, blocks, B, C)
    factor, term = (F.pad(part.float() if part.dtype == torch.bfloat16 else part, (0, 0, 0, pad)).view(B, -1, block, C).permute(
        2, 1, 0, 3).contiguous() for part in (a, b))
    for i in range(1, block):
        term[i].addcmul_(factor[i], term[i - 1])
        factor[i].mul_(factor[i - 1])
    carry = start.to(term)
    carries = torch.empty_like(term[0])
    for j in range(term.shape[1]):
        carries[j] = carry
        carry = torch.addcmul(term[-1, j], factor[-1, j], carry)
    term.addcmul_(factor, carries)
    return term.permute(2, 1, 0, 3).reshape(B, -1, C)[:, :T]
