"""What the folders of tiny models of pictures and texts hold beside weights: words are their symbols, pictures 4 x 4."""

import json

WORDS = ("0", "1", "2", "a", "cat", "dog", "fox", "on", "mat", "red")
END, BEGIN, OTHER = 0, 1, 2
_SYMBOLS = ("[end]", "[begin]", "[other]", *WORDS)
V = len(_SYMBOLS)
PIXELS = json.dumps({"do_resize": True, "size": {"height": 4, "width": 4}, "resample": 2, "image_mean": [0.5, 0.4, 0.6],
                     "image_std": [0.5, 0.4, 0.5]})
_SIDE = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
_LOOKS = {**_SIDE, "image_size": 4, "patch_size": 2}


def captions(symbols=V, **changes):
    """The configuration of a model from a picture to a text; what changes of the decoder by keyword."""
    decoder = {"model_type": "gpt2", "vocab_size": symbols, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 16,
               "is_decoder": True, "add_cross_attention": True, "bos_token_id": BEGIN, "eos_token_id": END}
    return json.dumps({"model_type": "vision-encoder-decoder", "decoder_start_token_id": BEGIN, "encoder": {"model_type": "vit",
                       **_LOOKS}, "decoder": decoder | changes})


def matches(kind="clip"):
    """The configuration of a model of how well texts and pictures go together."""
    text = {**_SIDE, "vocab_size": V, "max_position_embeddings": 6, "bos_token_id": BEGIN, "eos_token_id": END,
            "pad_token_id": OTHER, "projection_size": 8}
    return json.dumps({"model_type": kind, "projection_dim": 4, "text_config": text, "vision_config": _LOOKS})


def words(ends=True):
    """tokenizer.json: a word a symbol, with an end where it puts one."""
    special = [{"id": i, "content": _SYMBOLS[i], "special": True, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False} for i in (END, BEGIN, OTHER)]
    after = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {
        "id": "[end]", "type_id": 0}}], "pair": [], "special_tokens": {"[end]": {"id": "[end]", "ids": [END],
                                                                                "tokens": ["[end]"]}}}
    return json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
                       "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": after if ends else None, "decoder": None,
                       "model": {"type": "WordLevel", "vocab": {s: i for i, s in enumerate(_SYMBOLS)}, "unk_token": "[other]"}})
