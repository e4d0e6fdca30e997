"""Checkpoints: models of other packages, read from their folders as models of one factor."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from given.codecs import Image, Text
from given.families import PretrainedDiffusion, PretrainedLM
from given.formula import parse
from given.nn import size_of_pipeline
from given.sources.download import downloaded
from given.variables import UserError, Variable
from given.verbs.models import Model

__all__ = ["pretrained"]

_CAPTION = 512  # bytes, at most


def pretrained(path: str | os.PathLike[str], formula: str | None = None, *, window: int = 256, download: bool = False) -> Model:
    """A language model of the package transformers (extra `pretrained`), ready to be asked or to learn on; or a pipeline from
    text to image of the package diffusers (extra `diffusion`), ready to draw from.

    Args:
        path: its folder, with config.json, *.safetensors and tokenizer.json, or with model_index.json; with download=True the
            name of a public language model.
        formula: one factor whose names are texts, such as "p(answer | question)", "p(text)" by default; a model with an encoder
            needs a parent. Of a pipeline a picture given a text, "p(image | caption)" by default.
        window: the most symbols of each text.
        download: fetch it over the network, unless it was before; nothing is fetched otherwise.

    Raises:
        UserError: there is no such folder, or one with pickled weights, with code of its own, without a tokenizer.
    """
    drawing = os.path.isfile(os.path.join(path, "model_index.json"))
    terms = parse(formula or ("p(image | caption)" if drawing else "p(text)"))
    if len(terms) > 1 or len(terms[0].left) > 1:
        raise UserError(f"pretrained: expected one factor of one text, as p(text) or p(answer | question), got {formula!r}")
    names = (*terms[0].left, *terms[0].parents)
    if drawing:
        return Model(_pipeline(path, names))
    folder = downloaded(os.fspath(path)) if download and not os.path.isdir(path) else path
    texts = [Variable(name, Text(tokenizer=folder, window=window)) for name in names]
    return Model(PretrainedLM(texts[0], texts[1:], path=folder))


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
