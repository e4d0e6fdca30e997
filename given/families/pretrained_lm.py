"""PretrainedLM: a language model of the package transformers, as one conditional more.

    p(x | y) = prod_t p(x_t | l, y, x_0, ..., x_{t-1})

A causal model (GPT-2, Llama) reads the lead l, then what the parents hold, then the symbols before the next; one with an
encoder (T5, BART) encodes l and the parents and decodes x after its own start symbol. The lead is what the model's tokenizer
puts before a text, its beginning symbol as a rule, so that the first symbol of x has a probability too: without it there would
be nothing to read before x. `log_prob` is exact, of the symbols that the codec cut the text into, and
the distribution is that of `Autoregressive`: a chain with a cache, here the model's own keys and values. Numbers of the model's
table beyond x's symbols, which pad it, are left out and the rest normalised. Learned on by maximum likelihood, without dropout.

Weights come from a folder of safetensors, never from a pickle and never from the network; of an architecture that transformers
itself knows by `model_type`, so that no code comes with them. A saved model holds configuration and weights.

Source: Radford et al., Language models are unsupervised multitask learners, 2019
Raffel et al., Exploring the limits of transfer learning with a unified text-to-text transformer, 2020 /
https://arxiv.org/abs/1910.10683
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.nn import Condition, LanguageModel, PreviousToken
from given.tokenizers import read_tokenizer
from given.variables import Axis, Finite, Observed, UserError, Variable

__all__ = ["PretrainedLM"]


class PretrainedLM(Conditional):
    """A language model.

    Args:
        x: a sequence of the model's symbols, such as a text of the codec `Text(tokenizer=path)`.
        parents: sequences of the same symbols, read one after another before x, or by the encoder. Of an unseen one nothing
            is read.
        path: the folder with config.json and *.safetensors.
        config: JSON of an architecture instead, to learn from scratch; what a path holds is kept as that.
        lead: numbers of the symbols before everything else; by default those the folder's tokenizer puts before a text, and
            for a causal model else its beginning symbol, or its end.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, path: str | os.PathLike[str] | None = None,
                 config: str | None = None, lead: Sequence[int] | None = None) -> None:
        super().__init__(x, parents)
        if (path is None) == (config is None):
            raise UserError(f"{self}: expected path=, the folder of a model, or config=, an architecture's JSON to learn from "
                            "scratch")
        try:
            model, found = _read(path) if path is not None else _built(json.loads(config or ""), "config")
            settings = model.config
            if lead is None:
                lead = _lead(path, settings) if path is not None else _begins(settings)
        except UserError as error:
            raise error.at(str(self)) from None
        except ValueError as error:
            raise UserError(f"{self}: config={config!r}; expected JSON ({error})") from None
        self.lead, self.encodes = tuple(int(v) for v in lead), bool(settings.is_encoder_decoder)
        start = settings.decoder_start_token_id if self.encodes else None
        self._check(settings, start)
        self.net = LanguageModel(model, start, x.space.size)  # type: ignore[attr-defined]
        self.embed, self.head = PreviousToken(x.space), _Logits(x.space)
        self.ends = settings.eos_token_id if isinstance(settings.eos_token_id, int) else None
        self.steps: Tensor
        self.register_buffer("steps", torch.arange(x.space.dimensions), persistent=False)
        self.arguments = {**{k: v for k, v in self.arguments.items() if k != "path"}, "config": found, "lead": self.lead}

    def _check(self, settings: Any, start: int | None) -> None:
        """Raise `UserError` unless the variables are sequences of the model's symbols that it has places for."""
        V = settings.get_text_config().vocab_size
        for v in (self.x, *self.parents):
            if not isinstance(v.space, Finite) or len(v.space.axes) != 1:
                raise UserError(f"{self}: expected texts of the model's symbols, got {v.name}: {v.space}; pass "
                                "Text(tokenizer=path) as their codec")
            if v.space.size > V:
                raise UserError(f"{self}: {v.name} has {v.space.size} symbols, its end among them, the model knows {V}; use "
                                "the model's own tokenizer, Text(tokenizer=path), one that says which symbol ends a text")
        if self.encodes and not self.parents:
            raise UserError(f"{self}: the model has an encoder, which reads parents, and there are none; declare one, as in "
                            "p(target | source)")
        if self.encodes and start is None:
            raise UserError(f"{self}: config.json names no decoder_start_token_id; add the symbol its decoder begins with")
        if not self.encodes and not self.lead:
            raise UserError(f"{self}: config.json names neither a beginning nor an end symbol; pass lead=, the symbols read "
                            "before a text")
        D, before = self.x.space.dimensions, len(self.lead) + sum(v.space.dimensions for v in self.parents)
        most = getattr(settings.get_text_config(), "max_position_embeddings", None)
        reads = max(D, before) if self.encodes else D + before - 1
        if most is not None and reads > most:
            raise UserError(f"{self}: its texts take up to {reads} places, the model has {most}; pass "
                            f"Text(tokenizer=..., window=...) of fewer")

    def forward(self, y: Observed) -> distributions.Chain:
        ids, there = self._before(y)
        return distributions.Chain(self.x.space, self.steps, self.embed, self.net, nn.ModuleList([self.head]),
                          Condition(torch.zeros(y.n, 0), tokens=ids, there=there))

    def _before(self, y: Observed) -> tuple[Tensor, Tensor]:
        """(B, P) what is read before x, and which of it is no padding: last for an encoder, else first."""
        ids = [torch.tensor(self.lead, dtype=torch.int64).expand(y.n, -1)]
        there = [torch.ones(y.n, len(self.lead), dtype=torch.bool)]
        for v in self.parents:
            e = y[v.name]
            ids.append(e.tensor)
            # A text that a causal model goes on from is not over.
            there.append(e.readable if self.encodes else e.readable & (e.tensor != v.space.end))  # type: ignore[attr-defined]
        symbols, told = torch.cat(ids, 1), torch.cat(there, 1)
        if self.encodes:  # of nothing, it reads an end
            symbols, told = (torch.cat([part, more], 1) for part, more in (
                (symbols, torch.full((y.n, 1), self.ends or 0)), (told, ~told.any(1, keepdim=True))))
        order = (told ^ self.encodes).long().argsort(dim=1, stable=True)
        symbols, told = symbols.gather(1, order), told.gather(1, order)
        P = int(told.sum(1).max()) if y.n else 1
        kept = slice(0, P) if self.encodes else slice(told.shape[1] - P, None)
        symbols, told = symbols[:, kept], told[:, kept]
        return torch.where(told, symbols, 0), told


class _Logits(nn.Module):
    """Logits (B, *grid, V) as the distribution of entries."""

    def __init__(self, space: Any) -> None:
        super().__init__()
        self.space = space

    def forward(self, logits: Tensor) -> distributions.Categorical:
        shape = logits.shape[1:-1]
        space = self.space if shape == self.space.shape else replace(
            self.space, axes=tuple(Axis("group", size) for size in shape))
        return distributions.Categorical(logits, space)


def _read(path: str | os.PathLike[str]) -> tuple[Any, str]:
    """A folder's model in float32, and its configuration as JSON."""
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{path}: no such folder; expected one with config.json and *.safetensors (nothing is downloaded "
                        "unasked: given.pretrained(name, download=True) does)")
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: config.json is missing; expected a folder that save_pretrained of transformers wrote")
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder}/config.json: cannot be read ({error}); save it again") from None
    config = _config(said, f"{folder}/config.json")
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(f.name for kind in ("*.bin", "*.pt", "*.pth", "*.ckpt") for f in folder.glob(kind))
        raise UserError(f"{folder}: {pickled[0]} is a pickle, which can run any code, and there are no safetensors; have "
                        "someone you trust save it as safetensors" if pickled else
                        f"{folder}: no *.safetensors; expected the weights")
    with _quiet():
        try:
            model, info = _kind(config).from_pretrained(
                folder, config=config, dtype=torch.float32, local_files_only=True, use_safetensors=True,
                trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True)
        except Exception as error:  # whatever a foreign file makes of it
            raise UserError(f"{folder}: cannot be read ({' '.join(str(error).split())[:160]}); save it again") from None
    # What is missing would be filled at random.
    other = [f"{name[0] if isinstance(name, tuple) else name} has another size than config.json says"
             for name in sorted(info["mismatched_keys"])]
    if wrong := other + [f"its weights lack {name}" for name in sorted(info["missing_keys"])]:
        raise UserError(f"{folder}: {wrong[0]}; expected a whole {type(model).__name__}; save it again")
    return model, _said(model.config)


def _built(said: Any, where: str) -> tuple[Any, str]:
    """A model of a configuration, its weights at random."""
    config = _config(said, where)
    with _quiet():
        model = _kind(config).from_config(config, dtype=torch.float32)
    return model, _said(model.config)


def _config(said: Any, where: str) -> Any:
    """A configuration of an architecture that transformers knows by its `model_type`."""
    if not isinstance(said, dict) or not isinstance(said.get("model_type"), str):
        raise UserError(f"{where}: names no model_type; expected the configuration of a model of transformers")
    if "auto_map" in said:
        raise UserError(f"{where}: asks for code of its own (auto_map), and none is run that comes with a model; expected an "
                        "architecture that transformers has")
    if "quantization_config" in said:
        raise UserError(f"{where}: is quantised; expected weights in 16 or 32 bits")
    known = _transformers().CONFIG_MAPPING
    if said["model_type"] not in known:
        raise UserError(f"{where}: model_type {said['model_type']!r} is unknown to this version of transformers; use a "
                        "newer one")
    try:
        return known[said["model_type"]].from_dict(_plain(said))
    except Exception as error:  # each architecture checks its own
        raise UserError(f"{where}: is no configuration ({' '.join(str(error).split())[:160]})") from None


def _plain(said: Any) -> Any:
    """Without what says how to compute, such as `attn_implementation`: it may name kernels to fetch, and is not the model's."""
    if not isinstance(said, dict):
        return said
    return {k: _plain(v) for k, v in said.items() if not k.startswith("_") and "implementation" not in k and k != "use_kernels"}


def _kind(config: Any) -> Any:
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


def _said(config: Any) -> str:
    """A configuration as JSON, without where it was found."""
    said = json.loads(config.to_json_string(use_diff=True))
    return json.dumps({"model_type": config.model_type, **{k: v for k, v in said.items() if not k.startswith("_")}})


def _lead(path: str | os.PathLike[str], config: Any) -> tuple[int, ...]:
    """What a folder's tokenizer puts before a text; without one, or nothing, that of the configuration."""
    if (Path(path) / "tokenizer.json").is_file():
        encoding = read_tokenizer(path)[0].encode("a")
        special = encoding.special_tokens_mask
        if before := tuple(encoding.ids[: special.index(0)] if 0 in special else ()):
            return before
    return _begins(config)


def _begins(config: Any) -> tuple[int, ...]:
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
def _quiet() -> Iterator[None]:
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
