"""Keyboard: p(next word | text so far), what a keyboard proposes while somebody types.

Words, marks and line ends are symbols; counts of three in a row, both of what was learned from and of what was typed before,
and a net, mixed by how sure each is. Only words and marks are proposed; a line end is read, and neither proposed nor judged; a
word that was never learned is judged as missed.

Its trivial baseline is a trigram that backs off to shorter pasts. Metrics are how often the next word is the first of the
proposals, or among three, and which share of keys three proposals save: a word of L letters and the blank after it cost L + 1
keys, or those typed until it is proposed and one to take it.

Source: Trnka, McCoy, Evaluating word prediction: framing keystroke savings, 2008 / https://aclanthology.org/P08-2066
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.codecs import Text
from given.codecs.text import check_printable
from given.distributions import Sequential
from given.families import Autoregressive, Ensemble, NGram
from given.nn import MinGRU
from given.sources import Source
from given.sources import read as read_data
from given.tokenizers import Words, words_of
from given.variables import Entries, Observed, UserError, Variable, last_window
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "measure", "model", "next_words", "read"]

TRAINING: Mapping[str, Any] = {"batch": 2, "lr": 2e-3, "patience": None}
_WORDS, _WINDOW = 20_000, 512
_PROPOSED = 3
_OWN = 20  # how many words of one's own the counts in advance weigh
_ROWS = 8  # windows at once


def read(*paths: str | os.PathLike[str]) -> Source:
    """Texts: a file, a folder of them, or the sample shakespeare."""
    if len(paths) != 1:
        raise UserError(f"keyboard: expected one file or folder of text, got {len(paths)}")
    data = read_data(paths[0])
    if data.names != ("text",):
        raise UserError(f"{paths[0]}: expected text, got columns {', '.join(data.names)}")
    return data


def model(data: Source, *, seed: int = 0, words: int = _WORDS, order: int = 3, width: int = 192, layers: int = 2,
          dropout: float = 0.3) -> Model:
    """A model of words, nothing of it learned yet but which there are.

    Args:
        data: the column text.
        seed: of the initial weights.
        words: how many at most.
        order: of the counts.
        width, layers, dropout: of the net.
    """
    net = partial(Autoregressive, net=partial(MinGRU, width=width, layers=layers, dropout=dropout))
    family = partial(Ensemble, families=(partial(NGram, order=order, adaptive=_OWN), net))
    codec = Text("words", size=words, window=_WINDOW, stride=_WINDOW // 2)
    return model_of("p(text)", data, codecs={"text": codec}, families={"text": family}, seed=seed)


@torch.no_grad()
def next_words(model: Model, text: str, n: int = _PROPOSED) -> list[tuple[str, float]]:
    """The n most probable next words, and their probabilities; of a text that ends amid a word, words that begin so.

    Raises:
        UserError: a control character in the text, or no word begins so.
    """
    check_printable(text, "keyboard")
    variable, names = model.joint.columns["text"], _names(model.joint.columns["text"])
    match = re.search(r"[\w'’]+$", text)
    begun = match[0] if match else ""
    before = text[: len(text) - len(begun)]
    codec = variable.codec
    assert isinstance(codec, Text)
    D = variable.space.dimensions
    x = last_window(codec.tokenizer.encode(before, 0), D)
    at = int(x.readable.sum())
    device = model.joint.device
    x = x.to(device)
    distribution = model.joint.declared[0](Observed(n=1, device=device)).condition(x)
    assert isinstance(distribution, Sequential) and at < D
    state = distribution.start()
    for symbol in x.tensor[:, :at].unbind(1):
        state = distribution.advance(state, symbol)
    p = distribution.next(state).log_probs[0].exp().cpu()
    fits = torch.tensor([name.startswith(begun) for name in names] + [False] * (len(p) - len(names)))
    p = torch.where(fits & _proposed(variable, len(p)), p, 0.0)
    if not bool(p.any()):
        raise UserError(f"keyboard: no word that was learned begins with {begun!r}")
    best = (p / p.sum()).topk(min(n, int((p > 0).sum())))
    return [(names[i], float(v)) for v, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]


def measure(model: Model, test: Source) -> dict[str, float]:
    """Shares of words and marks that are proposed first, or among three, and of keys that are saved."""
    variable = model.joint.columns["text"]
    names, first, among, keys, spared, n = _names(variable), 0, 0, 0, 0, 0
    letters = _letters(names)
    texts = (str(text) for batch in test.runs() for text in batch["text"])
    typed_words = (word for text in texts for word in words_of(text) if word != "\n")
    for log_p, symbols in _distributions(model, variable, test):
        log_p = torch.where(_proposed(variable, log_p.shape[-1]), log_p, -torch.inf)
        mine = log_p.gather(-1, symbols[:, None])
        above = log_p > mine
        better = above.sum(-1)
        better[symbols == 0] = len(names)  # a word that was never learned
        first, among, n = first + int((better < 1).sum()), among + int((better < _PROPOSED).sum()), n + len(symbols)
        for row, (symbol, count) in enumerate(zip(symbols.tolist(), better.tolist(), strict=True)):
            length = len(next(typed_words))
            keys += length + 1
            if not symbol:
                continue
            if count < _PROPOSED:
                typed = 0
            else:  # until fewer than three better words begin alike
                rivals = letters[above[row, :len(names)].numpy()]
                alike = np.minimum((rivals == letters[symbol]).cumprod(1).sum(1), length)
                typed = int(np.sort(alike)[::-1][_PROPOSED - 1]) + 1
            spared += max(0, length - typed)
    return {"first": first / n, "among three": among / n, "keys saved": spared / keys}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """A trigram of words, counted."""
    codec = Text("words", size=_WORDS, window=_WINDOW, stride=_WINDOW // 2)
    counted = model_of("p(text)", train, codecs={"text": codec}, families={"text": partial(NGram, order=3)})
    counted.fit(train, held_out=0)
    return {"trigram": measure(counted, test)}


@torch.no_grad()
def _distributions(model: Model, variable: Variable, test: Source) -> Iterator[tuple[Tensor, Tensor]]:
    """log p of every symbol (N, V) at words and marks, and which stood there (N,), some at a time."""
    factor = model.joint.declared[0]
    line = _names(variable).index("\n") if "\n" in _names(variable) else -1
    model.joint.eval()
    for batch in test.batches(1 << 60):
        pieces = variable.pieces(batch)
        x = variable.encode(batch) if pieces is None else pieces.x
        V = variable.space.size  # type: ignore[attr-defined]
        for start in range(0, len(x), _ROWS):
            rows: Entries = x.rows(slice(start, start + _ROWS))
            distribution = factor(Observed(n=len(rows), device=model.joint.device))
            assert isinstance(distribution, Sequential)
            blocks = distribution.all_log_probs(rows.to(distribution.device))
            for block, some in zip(blocks, distribution.blocks(len(rows)), strict=True):
                symbols = rows.tensor[some]
                judged = rows.scored[some] & (symbols != line) & (symbols < min(V, len(_names(variable))))
                yield block.cpu()[judged], symbols[judged]


def _names(variable: Variable) -> list[str]:
    codec = variable.codec
    assert isinstance(codec, Text) and isinstance(codec.tokenizer, Words)
    return codec.tokenizer.words


def _proposed(variable: Variable, V: int) -> Tensor:
    """(V,) which symbols are words or marks."""
    names = _names(variable)
    return torch.tensor([i > 0 and name != "\n" for i, name in enumerate(names)] + [False] * (V - len(names)))


def _letters(names: list[str]) -> np.ndarray:
    """(V, longest) code points, 0 after a word's end, which no letter is."""
    return np.array([name + "\0" for name in names]).view(np.uint32).reshape(len(names), -1)
