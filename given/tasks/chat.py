"""Chat: p(reply | dialogue so far), learned from dialogues of two speakers; and which of some replies is the true one.

A row is a reply of one speaker, by default the second to speak, and what was said before it, as much as fits; what the one who
replies said is marked. A table of questions and answers is dialogues of two turns. Only replies are scored. A model as small as
one learned here speaks of the tasks of its dialogues, in their words: it is no partner for open conversation and knows nothing.

Candidates are ranked by what the dialogue tells of a reply, log p(reply | dialogue) - log p(reply), with p(reply) counted. The
trivial baseline ranks by the cosine of weighted words (TF-IDF) of reply and dialogue; the metric is how often the true one of
ten comes first, nine of them drawn from other dialogues.

Source: Henderson et al., A repository of conversational datasets, 2019 / https://arxiv.org/abs/1904.06472 (one of N)
Li et al., A diversity-promoting objective function for neural conversation models, 2016 / https://arxiv.org/abs/1510.03055
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Text
from given.families import Autoregressive, NGram
from given.laws import How
from given.nn import Context, Transformer
from given.sources import Columns, File, Source
from given.sources import read as read_table
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["LIMITS", "TRAINING", "baselines", "candidates", "measure", "model", "prior", "rank", "read", "reply", "so_far"]

TRAINING: Mapping[str, Any] = {"batch": 64, "lr": 4e-3, "muon": True, "patience": None}
LIMITS = "a model learned here does the tasks of its dialogues, in their words; it is no partner for open conversation"
_PIECES, _MOST_PIECES = 3000, 256
_ROOM = {"dialogue": 120, "reply": 160}
_SO_FAR = 240  # characters of what was said before, at most
_OWN = "< "  # before what the speaker whose replies are learned said before
_TURNS, _SPEAKER, _SAID = ("turns", "messages"), ("speaker", "role"), ("utterance", "content", "text")


def read(path: str | os.PathLike[str], *, speaker: str | None = None, split: str | None = None) -> Columns:
    """Replies as the columns dialogue (what was said before), reply and number (of the dialogue).

    Args:
        path: a .jsonl file (.gz too), a dialogue a line: {"turns": [{"speaker": ..., "utterance": ...}, ...]}, or "messages" of
            "role" and "content"; or a table of two columns, what is said and what is replied.
        speaker: whose replies; by default whoever speaks second in the first dialogue.
        split: only dialogues whose "split" is this.

    Raises:
        UserError: the line that is not such a dialogue, or nobody replies.
    """
    if not os.fspath(path).removesuffix(".gz").endswith((".jsonl", ".json")):
        return _answers(path)
    rows = list[tuple[str, str, int]]()
    with File.at(os.fspath(path)).open() as file:
        for number, line in enumerate(file):
            if not line.strip():
                continue
            turns, of = _turns(line, f"{path}, line {number + 1}")
            if split is not None and of != split:
                continue
            if speaker is None and len({who for who, _ in turns}) > 1:
                speaker = next(who for who, _ in turns if who != turns[0][0])
            said = list[str]()
            for who, text in turns:
                if who == speaker and said and text.strip():
                    rows.append((so_far(said), text, number))
                said.append(_OWN + text if who == speaker else text)
    if not rows:
        which = f" of the split {split!r}" if split is not None else ""
        raise UserError(f"{path}: expected dialogues{which} in which {speaker or 'a second speaker'} replies, got none")
    dialogue, reply, number_of = zip(*rows, strict=True)
    return Columns({"dialogue": np.array(dialogue), "reply": np.array(reply), "number": np.array(number_of)})


def _answers(path: str | os.PathLike[str]) -> Columns:
    """Pairs of a table as dialogues."""
    table = next(read_table(path).batches(1 << 60))
    if len(table.names) != 2:
        raise UserError(f"{path}: expected dialogues as .jsonl, or a table of two columns, what is said and what is replied; "
                        f"got {', '.join(table.names)}")
    said, reply = (["" if v is None or v != v else str(v) for v in table[name].tolist()] for name in table.names)
    for row, pair in enumerate(zip(said, reply, strict=True)):
        if not all(text.strip() for text in pair):
            raise UserError(f"{path}, row {row}: holds nothing in one of {', '.join(table.names)}; expected a text in both; "
                            "remove it")
    return Columns({"dialogue": np.array([so_far([text]) for text in said]), "reply": np.array(reply),
                    "number": np.arange(table.n)})


def _turns(line: bytes, where: str) -> tuple[list[tuple[str, str]], Any]:
    """Who said what, and the split."""
    try:
        found = json.loads(line)
        turns = next(found[key] for key in _TURNS if key in found)
        said = [(str(next(t[k] for k in _SPEAKER if k in t)), str(next(t[k] for k in _SAID if k in t))) for t in turns]
        return said, found.get("split")
    except (ValueError, TypeError, KeyError, StopIteration, AttributeError):
        raise UserError(f'{where}: expected a dialogue as {{"turns": [{{"speaker": "a", "utterance": "hello"}}, ...]}}, got '
                        f"{line[:60].decode(errors='replace').strip()}...") from None


def so_far(said: Sequence[str], most: int = _SO_FAR) -> str:
    """The last turns that fit, at least the end of the last."""
    kept, size = list[str](), 0
    for text in reversed(said):
        size += len(text) + 1
        if kept and size > most:
            break
        kept.append(text if len(text) <= most else text[-most:])
    return "\n".join(reversed(kept))


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
        odd = next((c for c in turn if not c.isprintable() and c not in "\n\t"), None)
        if odd is not None:
            raise UserError(f"chat: a control character {odd!r} at {turn.index(odd)}; leave it out")
    turns = [_OWN + text if (len(said) - i) % 2 == 0 else text for i, text in enumerate(said)]
    codec, most = model.joint.columns["dialogue"].codec, _SO_FAR
    while most:  # rare characters take several pieces
        try:
            codec.encode(np.array([so_far(turns, most)]))
            break
        except UserError:
            most //= 2
    return model.given(dialogue=so_far(turns, most)).stream(seed=seed, how=how)


def rank(model: Model, dialogue: Sequence[str], replies: Sequence[Sequence[str]], prior: Model | None = None) -> np.ndarray:
    """What each reply is worth after each dialogue: (n, k), log p(reply | dialogue), less log p(reply) where there is a prior.

    Args:
        model: of replies.
        dialogue: n.
        replies: k for each.
        prior: p(reply), see `prior`.
    """
    k = len(replies[0])
    flat = [text for each in replies for text in each]
    value = model.log_prob(dialogue=np.repeat(np.array(dialogue), k), reply=np.array(flat))
    if prior is not None:
        value = value - prior.log_prob(reply=np.array(flat))
    return value.reshape(-1, k)


def candidates(test: Source, n: int = 1000, others: int = 9, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """n dialogues drawn from a source, and for each its true reply and others, from other dialogues."""
    rows = next(test.batches(1 << 60))
    rng = np.random.default_rng(seed)
    number, said = rows["number"], rows["reply"]
    if len(np.unique(number)) < 2:
        raise UserError("chat: expected two dialogues or more to draw other replies from, got one")
    chosen, replies = np.sort(rng.permutation(rows.n)[:n]), list[list[str]]()
    for row in chosen:
        odd = list[str]()
        while len(odd) < others:
            other = int(rng.integers(rows.n))
            if number[other] != number[row]:
                odd.append(str(said[other]))
        replies.append([str(said[row]), *odd])
    return [str(text) for text in rows["dialogue"][chosen]], replies


def measure(model: Model, test: Source, prior: Model | None = None, n: int = 1000) -> dict[str, float]:
    """How often the true reply of ten comes first, and nats a character of replies."""
    dialogue, replies = candidates(test, n)
    return {"one of ten": _first(rank(model, dialogue, replies, prior)),
            "nats/character": model.score(test).nats_per_character().value}


def baselines(train: Source, test: Source, n: int = 1000) -> dict[str, dict[str, float]]:
    """By the words that reply and dialogue share, weighted by how rare they are in what was learned from."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True)
    words.fit([str(t) for batch in train.batches(1 << 16) for name in ("dialogue", "reply") for t in batch[name]])
    dialogue, replies = candidates(test, n)
    asked, told = words.transform(dialogue), words.transform([text for each in replies for text in each])
    k = len(replies[0])
    value = np.array([(told[i * k:(i + 1) * k] @ asked[i].T).toarray()[:, 0] for i in range(len(dialogue))])
    return {"words in common (TF-IDF)": {"one of ten": _first(value)}}


def _first(value: np.ndarray) -> float:
    """How often the first of every row (n, k) is its best; a tie of m counts 1 / m."""
    best = value.max(1, keepdims=True)
    return float(((value[:, :1] == best)[:, 0] / (value == best).sum(1)).mean())
