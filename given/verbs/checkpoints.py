"""Checkpoints: models of other packages, read from their folders as models of one factor."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from given.codecs import Image, Label, Text
from given.conditional import Conditional
from given.families import PretrainedCaptioner, PretrainedContrastive, PretrainedDiffusion, PretrainedLM
from given.formula import parse
from given.nn import size_of_pipeline
from given.nn.checkpoint import kind_of, side_of
from given.sources.download import downloaded
from given.variables import UserError, Variable
from given.verbs.models import Model

__all__ = ["pretrained"]

_CAPTION = 512  # bytes, at most
_FORMULAS = {"pipeline": "p(image | caption)", "captioner": "p(caption | picture)", "matcher": "p(text | picture)"}


def pretrained(path: str | os.PathLike[str], formula: str | None = None, *, window: int = 256,
               candidates: Sequence[str] | None = None, download: bool = False) -> Model:
    """A model of the package transformers (extra `pretrained`), ready to be asked or to learn on: of language, of captions of
    pictures, or of which text goes with a picture; or a pipeline from text to image of the package diffusers (extra
    `diffusion`), ready to draw from.

    Args:
        path: its folder, with config.json, *.safetensors and tokenizer.json, or with model_index.json; with download=True the
            name of a public language model.
        formula: one factor whose names are texts, such as "p(answer | question)", "p(text)" by default; a model with an encoder
            needs a parent. Of captions, "p(caption | picture)" by default; of which text goes with a picture, "p(text |
            picture)"; of a pipeline, "p(image | caption)".
        window: the most symbols of each text.
        candidates: the texts that may go with a picture, of a model that chooses among texts; `rank` takes others.
        download: fetch it over the network, unless it was before; nothing is fetched otherwise.

    Raises:
        UserError: there is no such folder, or one with pickled weights, with code of its own, without a tokenizer.
    """
    folder = downloaded(os.fspath(path)) if download and not os.path.isdir(path) else path
    kind = "pipeline" if os.path.isfile(os.path.join(folder, "model_index.json")) else kind_of(folder)
    terms = parse(formula or _FORMULAS.get(kind, "p(text)"))
    if (candidates is not None) != (kind == "matcher"):
        raise UserError(f"pretrained: candidates={candidates!r}; expected texts of a model that chooses among texts given a "
                        "picture, and none of others")
    if len(terms) > 1 or len(terms[0].left) > 1:
        raise UserError(f"pretrained: expected one factor of one text, as p(text) or p(answer | question), got {formula!r}")
    names = (*terms[0].left, *terms[0].parents)
    if kind != "language":
        if kind != "pipeline" and len(names) != 2:
            raise UserError(f"pretrained: expected a text given a picture, {_FORMULAS[kind]}, got {formula!r}")
        return Model(_pipeline(folder, names) if kind == "pipeline" else _captioner(folder, names, window)
                     if kind == "captioner" else _matcher(folder, names, candidates or ()))
    texts = [Variable(name, Text(tokenizer=folder, window=window)) for name in names]
    return Model(PretrainedLM(texts[0], texts[1:], path=folder))


def _captioner(path: str | os.PathLike[str], names: Sequence[str], window: int) -> Conditional:
    """Captions of pictures of the size that an encoder reads."""
    return PretrainedCaptioner(Variable(names[0], Text(tokenizer=path, window=window)), _picture(path, names[1]), path=path)


def _matcher(path: str | os.PathLike[str], names: Sequence[str], candidates: Sequence[str]) -> Conditional:
    return PretrainedContrastive(Variable(names[0], Label(candidates)), _picture(path, names[1]), path=path)


def _picture(path: str | os.PathLike[str], name: str) -> Variable:
    return Variable(name, Image(*side_of(path), channels=3, levels=256))


def _pipeline(path: str | os.PathLike[str], names: Sequence[str]) -> PretrainedDiffusion:
    """Pictures of the size that a pipeline was made for, given captions in bytes."""
    size = size_of_pipeline(path)
    if size is None:
        raise UserError(f"{path}: does not say how large its pictures are; pass PretrainedDiffusion(Variable({names[0]!r}, "
                        "Image(height, width, channels=3, levels=256)), ..., path=)")
    captions = [Variable(name, Text("bytes", window=_CAPTION, longest=_CAPTION)) for name in names[1:]]
    for v in captions:
        v.codec.learn(np.array([" "]))
    return PretrainedDiffusion(Variable(names[0], Image(*size, channels=3, levels=256)), captions, path=path)
