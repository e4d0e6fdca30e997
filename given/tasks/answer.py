"""Answer by rank: which of some replies is the true one, given the dialogue so far, or which answer is that to a question.

Rows are those of `sources.dialogues`. What is learned is what a dialogue tells of a reply, log p(reply | dialogue) -
log p(reply): `families.Contrastive` on counted replies, both read as bags of pieces and pairs of pieces. The trivial baseline
is the cosine of weighted words (TF-IDF); the metric is how often the true one of ten comes first, nine of them drawn from other
dialogues.

Source: Henderson et al., A repository of conversational datasets, 2019 / https://arxiv.org/abs/1904.06472 (one of N)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Text
from given.families import Contrastive, NGram
from given.sources import Source, dialogues
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "candidates", "measure", "model", "rank", "ranked_first", "read", "words_in_common"]

TRAINING: Mapping[str, Any] = {"batch": 256, "lr": 3e-3, "patience": None}
_PIECES, _ROOM = 3000, 256

read = dialogues


def model(data: Source, *, seed: int = 0, pieces: int = _PIECES, width: int = 128) -> Model:
    """A model that chooses replies, nothing of it learned yet but its pieces.

    Args:
        data: the columns dialogue and reply.
        seed: of the initial weights.
        pieces: how many, the same of dialogues and replies.
        width: of the vectors compared.
    """
    codec = Text("pieces", size=pieces, window=_ROOM, longest=_ROOM)
    family = partial(Contrastive, base=partial(NGram, order=3), width=width, shared=True)
    codecs = {"dialogue": codec, "reply": codec}
    return model_of("p(reply | dialogue)", data, codecs=codecs, families={"reply": family}, seed=seed)


def rank(model: Model, dialogue: Sequence[str], replies: Sequence[Sequence[str]]) -> np.ndarray:
    """What each dialogue tells of each reply: (n, k) nats.

    Args:
        model: what `model` made, and has learned.
        dialogue: n.
        replies: k for each.
    """
    k = len(replies[0])
    flat = np.array([text for each in replies for text in each])
    told = model.log_prob(dialogue=np.repeat(np.array(dialogue), k), reply=flat)
    return (told - Model(model.joint.declared[0].marginal).log_prob(reply=flat)).reshape(-1, k)  # type: ignore[arg-type]


def measure(model: Model, test: Source, n: int = 1000) -> dict[str, float]:
    """How often the true reply of ten comes first."""
    return {"one of ten": ranked_first(rank(model, *candidates(test, n)))}


def baselines(train: Source, test: Source, n: int = 1000) -> dict[str, dict[str, float]]:
    """By the words that reply and dialogue share."""
    return {"words in common (TF-IDF)": {"one of ten": ranked_first(words_in_common(train, *candidates(test, n)))}}


def candidates(test: Source, n: int = 1000, others: int = 9, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """n dialogues drawn from a source, and for each its true reply and others, from other dialogues."""
    rows = next(test.batches(1 << 60))
    rng = np.random.default_rng(seed)
    number, said = rows["number"], rows["reply"]
    if len(np.unique(number)) < 2:
        raise UserError("expected two dialogues or more to draw other replies from, got one")
    chosen, replies = np.sort(rng.permutation(rows.n)[:n]), list[list[str]]()
    for row in chosen:
        odd = list[str]()
        while len(odd) < others:
            other = int(rng.integers(rows.n))
            if number[other] != number[row]:
                odd.append(str(said[other]))
        replies.append([str(said[row]), *odd])
    return [str(text) for text in rows["dialogue"][chosen]], replies


def ranked_first(value: np.ndarray) -> float:
    """How often the first of every row (n, k) is its best; a tie of m counts 1 / m."""
    best = value.max(1, keepdims=True)
    return float(((value[:, :1] == best)[:, 0] / (value == best).sum(1)).mean())


def words_in_common(train: Source, dialogue: list[str], replies: list[list[str]]) -> np.ndarray:
    """(n, k) the cosine of the words of dialogues and replies, weighted by how rare they are in `train` (TF-IDF)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True)
    words.fit([str(t) for batch in train.runs() for name in ("dialogue", "reply") for t in batch[name]])
    asked, told = words.transform(dialogue), words.transform([text for each in replies for text in each])
    k = len(replies[0])
    return np.array([(told[i * k:(i + 1) * k] @ asked[i].T).toarray()[:, 0] for i in range(len(dialogue))])
