"""Hear: p(text | sound), what is said in a sound. Any folder of sounds of one language of words, with what is said in each.

Sounds are read as frames of loudness in bands of pitch, all sounds as loud, by convolutions that leave a token every 64 ms,
the same wherever it is. Each says a word or none, and all ways to come to a text in that order are summed over, so that one
model hears single words and strings of them. It learns from sounds that are varied anew in every epoch, as of other speakers
and microphones. What is heard is the most probable text that a beam finds. The metric is the share of texts that are right, and
the *word error*: words to be put in, left out or replaced, of all that were said. Trivial baselines are the most frequent text,
and where texts are few a logistic regression on mean frames.

Source: Graves, Fernandez, Gomez, Schmidhuber, Connectionist temporal classification, 2006 /
https://www.cs.toronto.edu/~graves/icml_2006.pdf
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import LogMel, Text
from given.conditional import quoted
from given.families import CTC
from given.nn import Convolutions
from given.sources import Source, Varied
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.sounds import Listener, Sounds, codecs_of, names_of, rate_of_data, sounds_and_text

__all__ = ["TRAINING", "arranged", "baselines", "heard", "measure", "model", "read", "sound_of", "word_error"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 3e-3, "patience": None}
_ROWS, _FEW = 1000, 100  # held-out rows that are judged; texts that are classes
_DYNAMIC = 50.0  # decibels from the loudest to silence


def read(data: Source | str | os.PathLike[str], target: str | None = None) -> Source:
    """Sounds, each with what is said.

    Args:
        data: a folder of sounds, or its rows.
        target: the column of what is said; by default `text`, or the only one of text.

    Raises:
        UserError: there are none such.
    """
    return sounds_and_text("hear", data, target)


def arranged(data: Source, seed: int = 0) -> Varied:
    """The rows with sounds that vary from epoch to epoch."""
    return Varied(data, names_of(data)[0])


def model(data: Source, *, seed: int = 0, width: int = 96, dropout: float = 0.1, seconds: float | None = None) -> Model:
    """A model of what is said, nothing of it learned yet; let it learn from `arranged(data)`.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width: of the convolutions.
        dropout: probability, while learning.
        seconds: that a sound lasts at most; by default as the longest learned from.
    """
    sound, text = names_of(data)
    family = partial(CTC, width=width, readers={sound: Convolutions(halve=2, places=False, dropout=dropout)})
    return model_of(f"p({quoted(text)} | {quoted(sound)})", data, codecs=codecs_of(data, seconds, dynamic=_DYNAMIC),
                    families={text: family}, seed=seed)


def sound_of(model: Model) -> str:
    """The column of sounds.

    Raises:
        UserError: a model of something else.
    """
    (factor, *more) = model.joint.declared
    codecs = [v.codec for v in (factor.x, *factor.parents)]
    if more or len(codecs) != 2 or not isinstance(codecs[0], Text) or not isinstance(codecs[1], LogMel):
        raise UserError(f"is a model {model}; expected one of text given a sound, as learned by given fit ... --task hear")
    return factor.parents[0].name


def heard(model: Model, sounds: Sounds) -> list[str]:
    """What is said in each sound (n,), the most probable text that a beam finds."""
    raw = np.empty(len(sounds), dtype=object)
    raw[:] = [np.asarray(sound) for sound in sounds]
    return [str(text) for text in model.given({sound_of(model): raw}).mode()[model.joint.declared[0].x.name]]


def word_error(true: Sequence[str], found: Sequence[str]) -> float:
    """Words to be put in, left out or replaced, of all that are true."""
    wrong = sum(_apart(a.split(), b.split()) for a, b in zip(true, found, strict=True))
    return wrong / max(1, sum(len(a.split()) for a in true))


def _apart(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's distance."""
    row = [*range(len(b) + 1)]
    for i, word in enumerate(a, 1):
        before, row = row, [i]
        for j, other in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]


def measure(model: Model, test: Source) -> dict[str, float]:
    """Of the texts heard in held-out sounds."""
    rows, (sound, text) = next(test.batches(_ROWS)), names_of(test)
    return _beside(rows[text].tolist(), heard(model, rows[sound]))


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The most frequent text; where texts are few, a logistic regression."""
    sound, text = names_of(train)
    known, rows = next(train.batches(1 << 60)), next(test.batches(_ROWS))
    frequent = Counter(known[text].tolist()).most_common(1)[0][0]
    found = {"most frequent": _beside(rows[text].tolist(), [frequent] * rows.n)}
    if 1 < len({*known[text].tolist()}) <= _FEW:
        listener = Listener(known[sound], known[text].tolist(), rate_of_data(train))
        found["logistic on mean frames"] = _beside(rows[text].tolist(), listener.heard(rows[sound]).tolist())
    return found


def _beside(true: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    right = float(np.mean([a.split() == b.split() for a, b in zip(true, found, strict=True)]))
    return {"right": right, "word error": word_error(true, found)}
