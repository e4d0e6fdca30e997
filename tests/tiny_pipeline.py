"""The files of words of a tiny pipeline from text to image: letters are its symbols, pictures 8 x 8 in colour."""

import json

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SYMBOLS = [*_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), "<|startoftext|>", "<|endoftext|>"]
_END = len(_SYMBOLS) - 1

INDEX = {"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False, "image_encoder": [None, None],
         "feature_extractor": [None, None], "safety_checker": [None, None], "scheduler": ["diffusers", "DDIMScheduler"],
         "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
         "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
PARTS = {
    "model_index.json": INDEX,
    "scheduler/scheduler_config.json": {"_class_name": "DDIMScheduler", "steps_offset": 1, "clip_sample": False},
    "text_encoder/config.json": {
        "model_type": "clip_text_model", "vocab_size": len(_SYMBOLS), "hidden_size": 8, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 8, "bos_token_id": _END - 1,
        "eos_token_id": _END, "pad_token_id": _END},
    "tokenizer/tokenizer_config.json": {"model_max_length": 8, "tokenizer_class": "CLIPTokenizer"},
    "tokenizer/vocab.json": {symbol: i for i, symbol in enumerate(_SYMBOLS)},
    "unet/config.json": {
        "sample_size": 4, "block_out_channels": [8], "layers_per_block": 1, "down_block_types": ["CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D"], "mid_block_type": None, "cross_attention_dim": 8, "attention_head_dim": 8,
        "norm_num_groups": 4},
    "vae/config.json": {
        "block_out_channels": [4, 4], "down_block_types": ["DownEncoderBlock2D"] * 2, "layers_per_block": 1,
        "up_block_types": ["UpDecoderBlock2D"] * 2, "norm_num_groups": 4, "latent_channels": 4, "sample_size": 8},
}


def files(**changes):
    """As `PretrainedDiffusion(files=)` takes them; what of the index changes by keyword."""
    words = {name: json.dumps(said | (changes if said is INDEX else {})) for name, said in PARTS.items()}
    return json.dumps({**words, "tokenizer/merges.txt": "#version: 0.2\n"})
