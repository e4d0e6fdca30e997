"""Dot-product attention, as every net here computes it.

    softmax(q k^T / sqrt(K) + mask) v

Source: Vaswani et al., Attention is all you need, 2017 / https://arxiv.org/abs/1706.03762
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from given.nn.precision import in_sixteen_bits

__all__ = ["attention"]

_SHORT = 256  # keys up to which the gradient of the fused form costs a processor several times that of the plain one


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """What queries take of values by keys, (B, H, s, K), in 32 bits at least: in 16 the gradient takes a processor twenty times
    as long.

    Args:
        q: (B, H, s, K).
        k, v: (B, G, S, K), G a divisor of H.
        mask: bool, or what is added to the scores, of a shape that broadcasts to (B, H, s, S).
        causal: whether query t sees keys 0 ... t alone.
    """
    with in_sixteen_bits(q.device, enabled=False):
        q, k, v = (part.float() if part.dtype == torch.bfloat16 else part for part in (q, k, v))
        mask = mask if mask is None or mask.dtype == torch.bool else mask.to(q.dtype)
        if not (torch.is_grad_enabled() and q.requires_grad and k.shape[2] <= _SHORT and q.device.type == "cpu"):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=k.shape[1] < q.shape[1])
        if k.shape[1] < q.shape[1]:
            k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], 1) for part in (k, v))
        scores = (q * q.shape[-1] ** -0.5) @ k.mT
        if causal:
            mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        return scores.softmax(-1) @ v
