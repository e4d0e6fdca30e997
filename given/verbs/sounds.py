"""sounds: what tasks of sounds share: which columns they are of, and one who hears what is said, by the means of frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from given.codecs import LogMel, Text
from given.sources import Columns, Source, joined, rate_of, read
from given.variables import Codec, UserError
from given.verbs.models import Model
from given.verbs.pictures import roles
from given.ways import way

__all__ = ["Listener", "Sounds", "codecs_of", "frames_of", "names_of", "rate_learned", "rate_of_data", "sounds_and_text"]

Sounds = Sequence[np.ndarray] | np.ndarray  # (n,) items of samples
_DETAIL = 24, 14  # of a coarse picture: of a second, waves of 85 ms and longer
_PARTS = 3  # of a sound, whose mean frames are heard


def sounds_and_text(task: str, data: Source | str | os.PathLike[str], target: str | None = None) -> Columns:
    """The columns of sounds and of what is said, as text.

    Args:
        task: who asks.
        data: rows, or where they are.
        target: the column of what is said; by default `text`, or the only one of text.

    Raises:
        UserError: there are none such, or several.
    """
    rows = data if isinstance(data, Source) else read(data)
    sounds = [name for name in rows.names if rate_of(rows.dtypes.get(name))]
    if len(sounds) != 1:
        raise UserError(f"{task}: expected one column of sounds, as of a folder of WAVs, got {', '.join(sounds) or 'none'} "
                        f"among {', '.join(rows.names)}")
    if target is not None and target not in rows.names:
        raise UserError(f"{task}: {way('target=', '--target ')}{target}: no such column; there are {', '.join(rows.names)}")
    if target is None:
        try:
            (target,) = roles(rows.only([n for n in rows.names if n not in sounds]), {"text": Text})
        except UserError as error:
            raise UserError(f"{task}: {error}, or name it by {way('target=', '--target')}") from None
    whole = joined([*rows.only([sounds[0], target]).runs()])
    said = np.array([str(value) for value in whole[target].tolist()])
    return Columns({sounds[0]: whole[sounds[0]], target: said}, dtypes={sounds[0]: rows.dtypes[sounds[0]]})


def names_of(data: Source) -> tuple[str, str]:
    """The columns of sounds and of text, of data that `sounds_and_text` made."""
    sound = next(name for name in data.names if rate_of(data.dtypes.get(name)))
    return sound, next(name for name in data.names if name != sound)


def codecs_of(data: Source, seconds: float | None = None, coarse: bool = False,
              dynamic: float | None = None) -> dict[str, Codec]:
    """Sounds as frames, all as loud where they are `dynamic`, or as coarse pictures of frames; and text as words."""
    sound, text = names_of(data)
    if coarse:
        rate = rate_of_data(data)
        seconds = seconds or max(len(samples) for rows in data.batches(1 << 12) for samples in rows[sound]) / rate
        frames = LogMel(rate, seconds=seconds).frames
        return {**codecs_of(data), sound: LogMel(rate, seconds=seconds, detail=(min(_DETAIL[0], frames), _DETAIL[1]))}
    words = max(len(value.split()) for rows in data.batches(1 << 12) for value in rows[text].tolist())
    return {sound: LogMel(rate_of_data(data), seconds=seconds, dynamic=dynamic),
            text: Text("words", unseen="error", longest=2 * words)}


def rate_of_data(data: Source) -> int:
    """Samples a second of its column of sounds."""
    return rate_of(data.dtypes[names_of(data)[0]]) or 1


def rate_learned(model: Model, name: str) -> int:
    """Samples a second of a model's column of sounds.

    Raises:
        UserError: it is none.
    """
    rate = rate_of(model.facts.get("dtypes", {}).get(name))
    if rate is None:
        raise UserError(f"{name}: is no column of sounds in {model}")
    return rate


def frames_of(sounds: Sounds, rate: int) -> list[np.ndarray]:
    """(frames, bands) of each sound, in decibels."""
    most = max(map(len, sounds)) / rate
    codec = LogMel(rate, seconds=most)
    raw = np.empty(len(sounds), dtype=object)
    raw[:] = [np.asarray(sound) for sound in sounds]
    codec.learn(raw)
    level = codec.decibels(codec.encode(raw))
    return [each[:codec.length(len(sound))] for each, sound in zip(level, sounds, strict=True)]


class Listener:
    """Logistic regression of what is said on the mean frames of a sound and of each third of it: fast, and often right.

    Args:
        sounds: to learn from, (n,) items of samples.
        text: what is said in each, few different ones.
        rate: samples a second.
    """

    def __init__(self, sounds: Sounds, text: Sequence[str], rate: int) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.rate = rate
        self.model: Any = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
        self.model.fit(self._features(sounds), [*text])

    def heard(self, sounds: Sounds) -> np.ndarray:
        """(n,) what is said."""
        return np.asarray(self.model.predict(self._features(sounds)))

    @classmethod
    def heard_by_others(cls, sounds: Sounds, text: Sequence[str], rate: int, folds: int = 5) -> np.ndarray:
        """(n,) what is said in each sound, by listeners who learned from the other folds."""
        found, fold = np.empty(len(sounds), dtype=object), np.random.default_rng(0).permutation(len(sounds)) % folds
        for k in range(folds):
            others, mine = ([i for i, own in enumerate((fold == k).tolist()) if own == held] for held in (False, True))
            found[mine] = cls([sounds[i] for i in others], [text[i] for i in others], rate).heard([sounds[i] for i in mine])
        return found

    def _features(self, sounds: Sounds) -> np.ndarray:
        each = frames_of(sounds, self.rate)
        return np.stack([np.concatenate([frames.mean(0), *(part.mean(0) for part in np.array_split(
            np.resize(frames, (max(_PARTS, len(frames)), frames.shape[1])), _PARTS))]) for frames in each])
