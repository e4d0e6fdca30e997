"""Answers: what queries take of values by their keys.

    softmax(q k^T / sqrt(K) + seen) v

Source: Vaswani et al., Attention is all you need, 2017 / https://arxiv.org/abs/1706.03762
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["attend"]

_SHORT = 256  # steps up to which the gradient of the fused form costs several times that of the plain one


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """(B, H, s, K).

    Args:
        q: (B, H, s, K).
        k, v: (B, G, S, K), G a divisor of H.
        seen: bool, or what is added to the scores, of a shape that broadcasts to (B, H, s, S).
        causal: whether query t sees keys 0 ... t alone.
    """
    if not (torch.is_grad_enabled() and q.requires_grad and k.shape[2] <= _SHORT and q.device.type == "cpu"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=causal, enable_gqa=k.shape[1] < q.shape[1])
    if k.shape[1] < q.shape[1]:
        k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if causal:
        seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    if seen is not None:
        scores = scores.masked_fill(~seen, -torch.inf) if seen.dtype == torch.bool else scores + seen
    return scores.softmax(-1) @ v
