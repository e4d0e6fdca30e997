"""Dialogues of two speakers, as rows of a reply and what was said before it.

A row is a reply of one speaker, by default the second to speak, and what was said before it, as much as fits; what the one who
replies said is marked. A table of questions and answers is dialogues of two turns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from given.sources.columns import Columns
from given.sources.read import read
from given.sources.stream import File
from given.variables import UserError

__all__ = ["OWN", "SO_FAR", "dialogues", "so_far"]

OWN = "< "  # before what the speaker whose replies are learned said before
SO_FAR = 240  # characters of what was said before, at most
_TURNS, _SPEAKER, _SAID = ("turns", "messages"), ("speaker", "role"), ("utterance", "content", "text")


def dialogues(path: str | os.PathLike[str], *, speaker: str | None = None, split: str | None = None) -> Columns:
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
        return _pairs(path)
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
                said.append(OWN + text if who == speaker else text)
    if not rows:
        which = f" of the split {split!r}" if split is not None else ""
        raise UserError(f"{path}: expected dialogues{which} in which {speaker or 'a second speaker'} replies, got none")
    dialogue, reply, number_of = zip(*rows, strict=True)
    return Columns({"dialogue": np.array(dialogue), "reply": np.array(reply), "number": np.array(number_of)})


def _pairs(path: str | os.PathLike[str]) -> Columns:
    """Pairs of a table as dialogues."""
    table = next(read(path).batches(1 << 60))
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


def so_far(said: Sequence[str], most: int = SO_FAR) -> str:
    """The last turns that fit, at least the end of the last."""
    kept, size = list[str](), 0
    for text in reversed(said):
        size += len(text) + 1
        if kept and size > most:
            break
        kept.append(text if len(text) <= most else text[-most:])
    return "\n".join(reversed(kept))
