"""Checkpoint: the folder of a model of the package transformers, of texts or of pictures and texts, read as a net.

Weights come from safetensors, never from a pickle and never from the network; of an architecture that transformers itself knows
by `model_type`, so that no code comes with them.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from given.tokenizers import read_tokenizer
from given.variables import UserError

__all__ = ["begins", "built_checkpoint", "captioner", "kind_of", "language_model", "lead_of", "matcher", "plain", "quiet",
           "read_checkpoint", "side_of", "words_of"]

_CAPTIONER, _MATCHERS = "vision-encoder-decoder", ("clip", "siglip")


def read_checkpoint(path: str | os.PathLike[str], kind: Callable[[Any], Any], unread: str = "") -> tuple[Any, str]:
    """A folder's model in float32, and its configuration as JSON.

    Args:
        path: the folder.
        kind: the class that builds the model of a configuration: `language_model`, `captioner` or `matcher`.
        unread: what the names of weights begin with that nothing reads, and that may be missing.

    Raises:
        UserError: no such folder, or not all of a model of the kind in it.
    """
    folder = Path(path)
    config = _config(_config_of(folder), f"{folder}/config.json")
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(f.name for kind in ("*.bin", "*.pt", "*.pth", "*.ckpt") for f in folder.glob(kind))
        raise UserError(f"{folder}: {pickled[0]} is a pickle, which can run any code, and there are no safetensors; have "
                        "someone you trust save it as safetensors" if pickled else
                        f"{folder}: no *.safetensors; expected the weights")
    with quiet():
        try:
            model, info = kind(config).from_pretrained(
                folder, config=config, dtype=torch.float32, local_files_only=True, use_safetensors=True,
                trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True)
        except Exception as error:  # whatever a foreign file makes of it
            raise UserError(f"{folder}: cannot be read ({' '.join(str(error).split())[:160]}); save it again") from None
    missing = sorted(name for name in info["missing_keys"] if not unread or not name.startswith(unread))
    # What is missing would be filled at random.
    other = [f"{name[0] if isinstance(name, tuple) else name} has another size than config.json says"
             for name in sorted(info["mismatched_keys"])]
    if wrong := other + [f"its weights lack {name}" for name in missing]:
        raise UserError(f"{folder}: {wrong[0]}; expected a whole {type(model).__name__}; save it again")
    return model, _said(model.config)


def kind_of(path: str | os.PathLike[str]) -> str:
    """What a folder's model is of, by its configuration: "captioner", "matcher", or else "language".

    Raises:
        UserError: no such folder, or one without a configuration.
    """
    said = _config_of(Path(path))
    found = said.get("model_type") if isinstance(said, dict) else None
    return "captioner" if found == _CAPTIONER else "matcher" if found in _MATCHERS else "language"


def side_of(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width of the pictures that a folder's encoder reads."""
    config = _config(_config_of(Path(path)), f"{path}/config.json")
    side = getattr(config.encoder if config.model_type == _CAPTIONER else config.vision_config, "image_size", None)
    found = (side, side) if isinstance(side, int) else tuple(side or ())
    if len(found) != 2:
        raise UserError(f"{path}/config.json: its encoder reads pictures of image_size={side!r}; expected height and width")
    return found


def _config_of(folder: Path) -> Any:
    """What a folder's config.json says.

    Raises:
        UserError: no such folder, or none that can be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected one with config.json and *.safetensors (nothing is downloaded "
                        "unasked: given.pretrained(name, download=True) does)")
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: config.json is missing; expected a folder that save_pretrained of transformers wrote")
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder}/config.json: cannot be read ({error}); save it again") from None


def built_checkpoint(config: str, kind: Callable[[Any], Any]) -> tuple[Any, str]:
    """A model of a configuration in JSON, its weights at random; and that configuration.

    Raises:
        UserError: no JSON, or not the configuration of a model of the kind.
    """
    try:
        said = json.loads(config)
    except ValueError as error:
        raise UserError(f"config={config!r}; expected JSON ({error})") from None
    found = _config(said, "config")
    with quiet():
        model = kind(found).from_config(found, dtype=torch.float32)
    return model, _said(model.config)


def words_of(path: str | os.PathLike[str], name: str) -> str:
    """A file of words of a folder.

    Raises:
        UserError: it is not there, or no text.
    """
    file = Path(path, name)
    if not file.is_file():
        raise UserError(f"{path}: {name} is missing; expected a folder that save_pretrained of transformers wrote, of the "
                        "model and of what prepares its data")
    try:
        return file.read_text(encoding="utf-8")
    except ValueError as error:
        raise UserError(f"{file}: cannot be read ({error}); save it again") from None


def _config(said: Any, where: str) -> Any:
    """A configuration of an architecture that transformers knows by its `model_type`."""
    if not isinstance(said, dict) or not isinstance(said.get("model_type"), str):
        raise UserError(f"{where}: names no model_type; expected the configuration of a model of transformers")
    if _names_code(said):
        raise UserError(f"{where}: asks for code of its own (auto_map), and none is run that comes with a model; expected an "
                        "architecture that transformers has")
    if "quantization_config" in said:
        raise UserError(f"{where}: is quantised; expected weights in 16 or 32 bits")
    known = _transformers().CONFIG_MAPPING
    if said["model_type"] not in known:
        raise UserError(f"{where}: model_type {said['model_type']!r} is unknown to this version of transformers; use a "
                        "newer one")
    try:
        return known[said["model_type"]].from_dict(plain(said))
    except Exception as error:  # each architecture checks its own
        raise UserError(f"{where}: is no configuration ({' '.join(str(error).split())[:160]})") from None


def _names_code(said: Any) -> bool:
    return isinstance(said, dict) and ("auto_map" in said or any(map(_names_code, said.values())))


def plain(said: Any) -> Any:
    """Without what says how to compute, such as `attn_implementation`: it may name kernels to fetch, and is not the model's."""
    if not isinstance(said, dict):
        return said
    return {k: plain(v) for k, v in said.items() if not k.startswith("_") and "implementation" not in k and k != "use_kernels"}


def language_model(config: Any) -> Any:
    """The class that builds the language model of a configuration: transformers' own mapping says which."""
    t = _transformers()
    if config.is_encoder_decoder:
        kinds, auto = t.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, t.AutoModelForSeq2SeqLM
    else:
        kinds, auto = t.MODEL_FOR_CAUSAL_LM_MAPPING, t.AutoModelForCausalLM
    layers = t.DynamicCache(config=config).layers if type(config) in kinds else ()
    if type(config) not in kinds or not all(isinstance(layer, t.cache_utils.DynamicLayer) and not isinstance(
            layer, getattr(t.cache_utils, "LinearAttentionCacheLayerMixin", ())) for layer in layers):
        raise UserError(f"model_type {config.model_type!r}: expected a language model, causal or with an encoder, that "
                        "remembers keys and values")
    return auto


def captioner(config: Any) -> Any:
    """The class that builds a model from a picture to a text."""
    t = _transformers()
    if config.model_type != _CAPTIONER:
        raise UserError(f"model_type {config.model_type!r}: expected {_CAPTIONER!r}, an encoder of pictures and a "
                        "decoder of texts")
    language = t.MODEL_FOR_CAUSAL_LM_MAPPING
    if type(config.decoder) not in language or type(config.encoder) not in t.MODEL_MAPPING:
        raise UserError(f"model_type {config.model_type!r}: expected a decoder of texts and an encoder of pictures, got "
                        f"{config.decoder.model_type!r} after {config.encoder.model_type!r}")
    return t.AutoModelForImageTextToText


def matcher(config: Any) -> Any:
    """The class that builds a model of how well pictures and texts go together."""
    if config.model_type not in _MATCHERS:
        raise UserError(f"model_type {config.model_type!r}: expected one of {', '.join(_MATCHERS)}, which say how well a text "
                        "goes with a picture")
    return _transformers().AutoModel


def _said(config: Any) -> str:
    """A configuration as JSON, without where it was found."""
    said = json.loads(config.to_json_string(use_diff=True))
    return json.dumps({"model_type": config.model_type, **{k: v for k, v in said.items() if not k.startswith("_")}})


def lead_of(path: str | os.PathLike[str], config: Any) -> tuple[int, ...]:
    """What a folder's tokenizer puts before a text; without one, or nothing, that of the configuration."""
    if (Path(path) / "tokenizer.json").is_file():
        encoding = read_tokenizer(path)[0].encode("a")
        special = encoding.special_tokens_mask
        if before := tuple(encoding.ids[: special.index(0)] if 0 in special else ()):
            return before
    return begins(config)


def begins(config: Any) -> tuple[int, ...]:
    """The beginning symbol of a causal model, or its end, which stands between texts where it learned."""
    found = [v for v in (config.bos_token_id, config.eos_token_id) if isinstance(v, int)]
    return () if config.is_encoder_decoder else tuple(found[:1])


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise UserError("a pretrained model needs the package transformers; pip install 'given[pretrained]'") from None
    return transformers


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without bars and remarks of transformers."""
    logging = _transformers().utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
