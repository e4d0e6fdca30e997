"""Exported: a learned text model as a folder that transformers and engines that serve its models load.

A transformer with rotary positions and gated units is a Llama, weight by weight:

- rotary: our pairs of channels are (2i, 2i + 1), Llama's (i, i + K/2): rows of queries and keys change places;
- the token of step t is the symbol before it: Llama's, with "none" as the symbol that begins a text. Where a text has an end,
  which is never read, beginning and end are one symbol, as in GPT-2; a text in windows has one more symbol, which is never
  to be drawn (`suppress_tokens` says so, and its logit is 0);
- what is added to every layer where y is empty is a constant: before the first layer it is part of the symbols' vectors, before
  a later one the bias of the feedforward before it (`mlp_bias`).

A vector a place and the bias of a logit have no counterpart: such a model is refused, and built without them it is exported.

Source: Touvron et al., LLaMA: open and efficient foundation language models, 2023 / https://arxiv.org/abs/2302.13971
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from given.codecs import Text
from given.conditional import Conditional
from given.distributions import CategoricalHead
from given.families import Autoregressive, PretrainedLM
from given.joint import Joint
from given.nn import Embedding, Rotary, SwiGLU, Transformer
from given.tokenizers import tokenizers
from given.train.checkpoint import replace_folder
from given.variables import Finite, Observed, UserError

__all__ = ["EXPORTED_FILES", "export_joint"]

_NONE = 1 << 31  # the number of no symbol
EXPORTED_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@torch.no_grad()
def export_joint(path: str | os.PathLike[str], joint: Joint) -> None:
    """Write a joint of one text as a folder of transformers, whole or not at all.

    Raises:
        UserError: a part has no counterpart there, and what to learn with instead.
    """
    factors = joint.declared
    factor = factors[0]
    codec = factor.x.codec
    if len(factors) > 1 or not isinstance(codec, Text) or not isinstance(factor.x.space, Finite):
        raise UserError(f"export: expected a model of one text, p(text), got {joint}")
    tokenizer = codec.as_tokenizer()
    if isinstance(factor, PretrainedLM):
        config, weights = json.loads(factor.arguments["config"]), factor.net.model.state_dict()
    else:
        if wrong := next(_wrong(factor), None):
            part, way = wrong
            raise UserError(f"export: {factor}: {part} has no counterpart in Llama; learn with {way}")
        config, weights = _llama(factor)
        _begin(tokenizer, config, factor)
    tokens = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
              if isinstance(config.get(name), int)}
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
            "model_max_length": factor.x.space.dimensions}
    for name in ("bos_token", "eos_token", "pad_token"):
        if (token := tokenizer.id_to_token(tokens.get(f"{name}_id", _NONE))) is not None:
            said[name] = token
    if isinstance(factor, Autoregressive) and "eos_token_id" not in tokens:
        tokens["suppress_tokens"] = [tokens["bos_token_id"]]
    packed = save({k: v.detach().contiguous().clone() for k, v in weights.items()}, {"format": "pt"})
    content = (_json(config), _json(tokens), packed, tokenizer.to_str(pretty=True).encode(), _json(said))
    replace_folder(path, dict(zip(EXPORTED_FILES, content, strict=True)))


def _json(said: dict[str, Any]) -> bytes:
    return (json.dumps(said, indent=1) + "\n").encode()


def _wrong(factor: Any) -> Iterator[tuple[str, str]]:
    """The parts that are not Llama's, and what to learn with instead, the first that is wrong first."""
    if not isinstance(factor, Autoregressive):
        yield type(factor).__name__, "families={...: partial(Autoregressive, ...)}, as docs/pretrained.md shows"
        return
    net: Any = factor.net
    embed: Any = factor.embed
    if factor.parents:
        yield f"its condition {factor.parents[0].name}", "p(text) alone"
    if factor.any_order or not torch.equal(factor.steps, torch.arange(len(factor.steps))):
        yield "its order", "order=Raster()"
    if not isinstance(net, Transformer):
        yield f"net={type(net).__name__}", "net=partial(Transformer, positions=Rotary, feedforward=SwiGLU)"
        return
    if not isinstance(net.positions, Rotary):
        yield f"positions={type(net.positions).__name__}", "partial(Transformer, positions=Rotary)"
    layer: Any = net.layers[0]
    if not isinstance(layer.more, SwiGLU):
        yield f"feedforward={type(layer.more).__name__}", "partial(Transformer, feedforward=SwiGLU)"
    if net.window is not None:
        yield f"window={net.window}", "window=None"
    if not isinstance(embed, Embedding) or not isinstance(embed.near[0], nn.Identity):
        yield "its embedding of entries further back", "embed=partial(Embedding, offsets=0, places=False)"
    elif isinstance(embed.place, nn.Parameter):
        yield "the embedding's vector a place", "embed=partial(Embedding, offsets=0, places=False)"
    head: Any = factor.heads[0]
    if not isinstance(head, CategoricalHead):
        yield f"head={type(head).__name__}", "head=partial(CategoricalHead, bias=False)"
    elif head.logits.bias is not None:
        yield "the bias of the head's logits", "head=partial(CategoricalHead, bias=False)"


def _llama(factor: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and weights (outputs, inputs)."""
    net, space, table = factor.net, factor.x.space, factor.embed.values[0].weight
    first: Any = net.layers[0]
    H, G, K, C = first.attend.heads, first.attend.key_heads, first.attend.size, net.width
    pooled = factor.context.condition(Observed(n=1)).pooled
    added = [layer.condition(pooled)[0] for layer in net.layers]
    symbols, head = table[: space.size].clone(), factor.heads[0].logits.weight.T
    begin = space.size if space.end is None else space.end
    if space.end is None:
        symbols, head = torch.cat([symbols, table[-1:]]), torch.cat([head, head.new_zeros(1, C)])
    else:
        symbols[begin] = table[-1]
    biased = any(bool((a != 0).any()) for a in added[1:])
    weights = {"model.embed_tokens.weight": symbols + added[0], "model.norm.weight": net.norm.weight, "lm_head.weight": head}
    for i, layer in enumerate(net.layers):
        q, k, v = layer.attend.qkv.weight.T.split([H * K, G * K, G * K])
        gate, value = layer.more.up.weight.T.chunk(2)
        mine = {"input_layernorm.weight": layer.read.weight, "post_attention_layernorm.weight": layer.read_more.weight,
                "self_attn.q_proj.weight": _halves(q, K), "self_attn.k_proj.weight": _halves(k, K),
                "self_attn.v_proj.weight": v, "self_attn.o_proj.weight": layer.attend.out.weight.T,
                "mlp.gate_proj.weight": gate, "mlp.up_proj.weight": value, "mlp.down_proj.weight": layer.more.down.weight.T}
        if biased:
            mine |= {"mlp.gate_proj.bias": gate.new_zeros(len(gate)), "mlp.up_proj.bias": gate.new_zeros(len(gate)),
                     "mlp.down_proj.bias": added[i + 1] if i + 1 < len(added) else added[0].new_zeros(C)}
        weights |= {f"model.layers.{i}.{name}": w for name, w in mine.items()}
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": len(symbols), "hidden_size": C,
        "intermediate_size": first.more.down.weight.shape[0], "num_hidden_layers": len(net.layers), "num_attention_heads": H,
        "num_key_value_heads": G, "head_dim": K, "hidden_act": "silu", "max_position_embeddings": space.dimensions,
        "rms_norm_eps": net.norm.epsilon, "rope_theta": 10000.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "attention_bias": False, "mlp_bias": biased, "attention_dropout": 0.0, "tie_word_embeddings": False,
        "bos_token_id": begin, "eos_token_id": space.end, "torch_dtype": "float32", "dtype": "float32",
    }
    return config, weights


def _halves(rows: Tensor, K: int) -> Tensor:
    """(heads K, C): of every head the first of each pair of channels, then the second."""
    return rows.unflatten(0, (-1, K // 2, 2)).transpose(1, 2).flatten(0, 2)


def _begin(tokenizer: Any, config: Mapping[str, Any], factor: Conditional) -> None:
    """Let a tokenizer put the symbol that begins a text first."""
    begin = config["bos_token_id"]
    if tokenizer.id_to_token(begin) is None:
        name = "<|begin|>" if config["eos_token_id"] is None else "<|end|>"
        tokenizer.add_special_tokens([name])
        if tokenizer.token_to_id(name) != begin:
            raise UserError(f"export: {factor}: its vocabulary has a symbol {name!r} already, or gaps; take another tokenizer")
    name = tokenizer.id_to_token(begin)
    tokenizer.post_processor = tokenizers().processors.TemplateProcessing(single=f"{name} $A", special_tokens=[(name, begin)])
