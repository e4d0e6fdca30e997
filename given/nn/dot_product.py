"""Dot-product attention, as every net here computes it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["mixed"]


def mixed(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """What queries (B, H, s, K) take of values (B, G, S, K) by keys, in 32 bits at least: in 16 the gradient takes a processor
    twenty times as long."""
    with torch.autocast(q.device.type, enabled=False):
        q, k, v = (part.float() if part.dtype == torch.bfloat16 else part for part in (q, k, v))
        mask = mask if mask is None or mask.dtype == torch.bool else mask.to(q.dtype)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=k.shape[1] < q.shape[1])
