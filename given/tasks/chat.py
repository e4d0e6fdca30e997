"""Chat: p(reply | dialogue so far), learned from dialogues of two speakers, see `sources.dialogues`. Only replies are scored.

A model as small as one learned here speaks of the tasks of its dialogues, in their words: it is no partner for open
conversation and knows nothing. The metric is nats a character of replies; the trivial baseline is a trigram of pieces, which
does not see the dialogue. Candidates are ranked by log p(reply | dialogue) - log p(reply), with p(reply) counted; to choose
replies rather than write them, the task answer-by-rank learns better and sooner.

Source: Li et al., A diversity-promoting objective function for neural conversation models, 2016 / https://arxiv.org/abs/1510.03055
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Text
from given.codecs.text import check_printable
from given.distributions import How
from given.families import Autoregressive, NGram
from given.nn import Context, Transformer
from given.sources import OWN, SO_FAR, Source, dialogues, so_far
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["LIMITS", "TRAINING", "baselines", "measure", "model", "prior", "rank", "read", "reply"]

TRAINING: Mapping[str, Any] = {"batch": 64, "lr": 4e-3, "muon": True, "patience": None}
LIMITS = "a model learned here does the tasks of its dialogues, in their words; it is no partner for open conversation"
_PIECES, _MOST_PIECES = 3000, 256
_ROOM = {"dialogue": 120, "reply": 160}

read = dialogues


def model(data: Source, *, seed: int = 0, pieces: int = _PIECES, width: int = 192, layers: int = 2,
          dropout: float = 0.1) -> Model:
    """A model of replies, nothing of it learned yet but its pieces; arguments as of a translator."""
    family = partial(Autoregressive, net=partial(Transformer, width=width, layers=layers, dropout=dropout),
                     context=partial(Context, layers=layers, dropout=dropout))
    codecs = {name: Text("pieces", size=pieces, window=_MOST_PIECES, longest=room) for name, room in _ROOM.items()}
    return model_of("p(reply | dialogue)", data, codecs=codecs, families={"reply": family}, seed=seed)


def prior(model: Model, data: Source, order: int = 3) -> Model:
    """p(reply), counted over the model's pieces: what `rank` sets its scores beside."""
    counted = Model(NGram(model.joint.columns["reply"], order=order))
    counted.fit(data, held_out=0)
    return counted


def reply(model: Model, said: Sequence[str], *, seed: int = 0, how: How | None = None) -> Iterator[str]:
    """A reply as it is drawn.

    Args:
        model: of replies.
        said: by turns, the other's first and last.
        seed, how: of the draw.

    Raises:
        UserError: a turn with control characters.
    """
    if not said or not said[-1].strip():
        raise UserError("chat: expected something to reply to, got nothing")
    for turn in said:
        check_printable(turn, "chat")
    turns = [OWN + text if (len(said) - i) % 2 == 0 else text for i, text in enumerate(said)]
    codec, most = model.joint.columns["dialogue"].codec, SO_FAR
    while most:  # rare characters take several pieces
        try:
            codec.encode(np.array([so_far(turns, most)]))
            break
        except UserError:
            most //= 2
    return model.given(dialogue=so_far(turns, most)).stream(seed=seed, how=how)


def rank(model: Model, dialogue: Sequence[str], replies: Sequence[Sequence[str]], prior: Model) -> np.ndarray:
    """What each dialogue tells of each reply, log p(reply | dialogue) - log p(reply): (n, k).

    Args:
        model: of replies.
        dialogue: n.
        replies: k for each.
        prior: p(reply), see `prior`.
    """
    k = len(replies[0])
    flat = np.array([text for each in replies for text in each])
    value = model.log_prob(dialogue=np.repeat(np.array(dialogue), k), reply=flat) - prior.log_prob(reply=flat)
    return value.reshape(-1, k)


def measure(model: Model, test: Source) -> dict[str, float]:
    """Nats a character of replies."""
    return {"nats/character": model.score(test).nats_per_character().value}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """A trigram of replies."""
    codec = Text("pieces", size=_PIECES, window=_MOST_PIECES, longest=_ROOM["reply"])
    counted = model_of("p(reply)", train, codecs={"reply": codec}, families={"reply": partial(NGram, order=3)})
    counted.fit(train, held_out=0)
    return {"trigram, the dialogue unseen": {"nats/character": counted.score(test).nats_per_character().value}}
