"""Speak: p(sound | text), sounds of what is to be said. Any folder of sounds with what is said in each.

The sound is a picture of its loudness, frames by bands of pitch, of which the lowest frequencies of a cosine transform are
kept, as in a small photograph; these are drawn by a field along a path (flow matching) that reads the words. How long a sound
lasts is drawn with it, as the silence after its end. Phases that fit give the samples (Griffin-Lim). The text is dropped now
and then, so that draws can be guided, as they are by 2 unless asked otherwise. Draws of the texts of held-out sounds are judged
by a logistic regression on mean frames that learned from the held-out sounds: *heard rightly* is the share in which it hears
what was asked for. Beside it stand what is heard in each fifth of the held-out sounds by one that learned from the others, and
the trivial baseline, independent normal numbers of the mean and deviation of each text.

Samples themselves are learned as levels, sample by sample (`wave`): a WaveNet says how far a sample is from where least squares
on those before expect it. That is a density, in bits a sample, and speech where there is far more time to learn.

Source: Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2022 / https://arxiv.org/abs/2210.02747
Mehta, Tu, Beskow, Szekely, Henter, Matcha-TTS: a fast TTS architecture with conditional flow matching, 2023 /
https://arxiv.org/abs/2309.03199
van den Oord et al., WaveNet: a generative model for raw audio, 2016 / https://arxiv.org/abs/1609.03499
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from given.codecs import LogMel, MuLaw, Series, Text
from given.conditional import quoted
from given.distributions import Guidance
from given.families import FlowMatching
from given.nn import AdaptiveMLP, Convolutions
from given.solve import DPMSolver
from given.sources import Source
from given.variables import Entries, UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.sounds import Listener, Sounds, codecs_of, names_of, rate_of_data, sounds_and_text
from given.ways import way

__all__ = ["GUIDANCE", "TRAINING", "baselines", "bits", "measure", "model", "read", "speak", "wave"]

TRAINING: Mapping[str, Any] = {"batch": 64, "lr": 2e-3, "patience": None, "held_out": 0}
GUIDANCE = 2.0  # what the text weighs
_ROWS, _FEW, _STEPS = 500, 20, 16  # held-out sounds that draws stand beside, at least; steps of the equation


def read(data: Source | str | os.PathLike[str], target: str | None = None) -> Source:
    """Sounds, each with what is said.

    Args:
        data: a folder of sounds, or its rows.
        target: the column of what is said; by default `text`, or the only one of text.

    Raises:
        UserError: there are none such.
    """
    return sounds_and_text("speak", data, target)


def model(data: Source, *, seed: int = 0, width: int = 384, seconds: float | None = None) -> Model:
    """A model of frames, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width: of the layers.
        seconds: that a sound lasts at most; by default as the longest learned from.
    """
    sound, text = names_of(data)
    family = partial(FlowMatching, net=partial(AdaptiveMLP, width=width), width=64, known=0.0,
                     readers={text: Convolutions(layers=2, halve=0, role="pooled")})
    return model_of(f"p({quoted(sound)} | {quoted(text)})", data, codecs=codecs_of(data, seconds, coarse=True),
                    families={sound: family}, seed=seed)


def wave(data: Source, *, seed: int = 0, window: int = 2048) -> Model:
    """A model of samples as 256 levels, by the family of such series; nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        window: of samples that are learned from together.
    """
    sound, text = names_of(data)
    return model_of(f"p({quoted(sound)} | {quoted(text)})", data, seed=seed, codecs={
        **codecs_of(data), sound: Series(MuLaw(), window=window)})


def speak(model: Model, text: str, n: int = 1, *, guidance: float | None = None, length: int | None = None,
          seed: int = 0) -> list[np.ndarray]:
    """n sounds of a text, of samples (any length,).

    Args:
        model: of sounds given text.
        text: to be said.
        n: how many draws.
        guidance: how much the text weighs, of frames; 1 as learned, by default 2.
        length: in samples, of a model of these; by default a window.
        seed: of the draws.

    Raises:
        UserError: another model, or a word that was not learned.
    """
    sound, said = _columns(model)
    frames = isinstance(model.joint.columns[sound].codec, LogMel)
    if frames and length is not None:
        raise UserError(f"{way('length=', '--length ')}{length}: {model} draws how long a sound is; leave it out")
    if not frames and guidance is not None:
        raise UserError(f"{way('guidance=', '--guidance ')}{guidance:g}: is of models of frames; leave it out")
    how = Guidance(guidance or GUIDANCE) | DPMSolver(_STEPS) if frames else None
    drawn = model.given({said: [text]}).sample(n, seed=seed, how=how, length=length)[sound]
    return [np.asarray(each) for each in drawn[:, 0]]


def bits(model: Model, data: Source) -> float:
    """Bits a sample, of levels, of a model of `wave`: those of all samples by how many there are."""
    sound, _ = names_of(data)
    codec = model.joint.columns[sound].codec
    assert isinstance(codec, Series)
    total, n = 0.0, 0
    for rows in data.batches(64):
        values = np.concatenate([*rows[sound]])
        volume = float(codec.of.log_volume(codec.of.encode(values)).sum())
        total += volume - float(model.log_prob(rows).sum())
        n += len(values)
    return total / n / math.log(2)


def measure(model: Model, test: Source) -> dict[str, float | str]:
    """How rightly draws of the texts of held-out sounds are heard, or why nothing is known of it."""
    sound, text = names_of(test)
    rows = next(test.batches(_ROWS))
    how = Guidance(GUIDANCE) | DPMSolver(_STEPS)
    drawn = model.given({text: rows[text]}).sample(1, seed=0, how=how)[sound][0]
    return _judged(test, [*drawn])


def baselines(train: Source, test: Source) -> dict[str, dict[str, float | str]]:
    """Independent normal numbers of the mean and deviation of each text, and the held-out sounds themselves."""
    sound, text = names_of(train)
    known, rows = next(train.batches(1 << 60)), next(test.batches(_ROWS))
    codec = LogMel(rate_of_data(train))
    codec.learn(known[sound])
    x, rng = codec.encode(known[sound]).tensor.numpy(), np.random.default_rng(0)
    there = {value: x[known[text] == value] for value in {*known[text].tolist()}}
    of = [there.get(value, x) for value in rows[text].tolist()]
    drawn = np.stack([each.mean(0) + each.std(0) * rng.standard_normal(x.shape[1:]) for each in of])
    sounds = codec.decode(Entries(torch.from_numpy(drawn)))
    return {"independent normal numbers": _judged(test, sounds), "the held-out sounds": _judged(test)}


def _judged(test: Source, sounds: Sounds | None = None) -> dict[str, float | str]:
    """How rightly sounds of the texts of held-out ones are heard, or these themselves; why not, where they are too few."""
    rows, (sound, text), rate = next(test.batches(_ROWS)), names_of(test), rate_of_data(test)
    said = rows[text].tolist()
    texts = len({*said})
    if rows.n < _FEW or texts < 2:
        return {"heard rightly": f"unknown: who hears learns from held-out sounds, got {rows.n}, of {texts} "
                                 f"text{'s' * (texts != 1)}, expected at least {_FEW}, of 2; hold out more, "
                                 f"{way('as split(data, 0.5, 0)', 'as by --held-out 0.5')}, or record more"}
    found = (Listener.heard_by_others(rows[sound], said, rate) if sounds is None else
             Listener(rows[sound], said, rate).heard(sounds))
    return {"heard rightly": float((found == np.array(said)).mean())}


def _columns(model: Model) -> tuple[str, str]:
    """The columns of sounds and of text of a model.

    Raises:
        UserError: it is of others.
    """
    (factor, *more) = model.joint.declared
    codecs = [factor.x.codec, *(v.codec for v in factor.parents)]
    said = isinstance(codecs[0], LogMel) or (isinstance(codecs[0], Series) and isinstance(codecs[0].of, MuLaw))
    if more or not said or len(codecs) != 2 or not isinstance(codecs[1], Text):
        raise UserError(f"is a model {model}; expected one of sounds given text, as learned by given fit ... --task speak")
    return factor.x.name, factor.parents[0].name
