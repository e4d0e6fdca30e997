"""Translate: p(target | source), texts that say the same in two languages.

Two parallel files, line i of one the translation of line i of the other, or a table of two columns; byte-pair pieces of either
language, a transformer whose every layer asks the source's tokens, and a beam. `log_prob` is that of one way to cut the target
into pieces, so at most that of the text.

Its trivial baselines are the source itself, and the source translated word by word in its own order by an IBM model 1,

    p(target | source) = prod_j 1 / (L + 1) sum_i t(target_j | source_i),    source_0 the empty word,

learned by EM. The metric is BLEU (sacrebleu), of plain text.

Source: Vaswani et al., Attention is all you need, 2017 / https://arxiv.org/abs/1706.03762
Brown et al., The mathematics of statistical machine translation, 1993 / https://aclanthology.org/J93-2003
Post, A call for clarity in reporting BLEU scores, 2018 / https://arxiv.org/abs/1804.08771
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.codecs import Text
from given.codecs.text import check_printable
from given.families import Autoregressive
from given.infer import Beam
from given.nn import Context, Transformer
from given.nn.attention import CrossAttentionLayer
from given.sources import Columns, File, Source
from given.sources import read as read_table
from given.sources.stream import not_utf8
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "WordByWord", "attention", "baselines", "bleu", "measure", "model", "picture", "read", "translate"]

TRAINING: Mapping[str, Any] = {"batch": 64, "lr": 4e-3, "muon": True, "patience": None}
_PIECES, _MOST_PIECES, _ROOM = 4000, 256, 80
_AT_ONCE = 64  # sentences
_COMMON = 100  # words by which a language is told


def read(*paths: str | os.PathLike[str]) -> Columns:
    """Pairs as the columns source and target.

    Args:
        paths: two files of a text a line (.gz too), that of the source first; or one table of two columns.

    Raises:
        UserError: files of different length, a line that is empty in one of them, a table of other columns.
    """
    if len(paths) == 1:
        table = next(read_table(paths[0]).batches(1 << 60))
        names = ("source", "target") if {"source", "target"} <= set(table.names) else table.names
        if len(names) != 2:
            raise UserError(f"{paths[0]}: expected two columns, source and target, got {', '.join(names)}; or pass two files")
        sides = [["" if v is None or v != v else str(v) for v in table[name].tolist()] for name in names]
        where = (names[0], names[1])
    elif len(paths) == 2:
        sides, where = [_lines(path) for path in paths], (str(paths[0]), str(paths[1]))
    else:
        raise UserError(f"translate: expected two files, or a table of two columns, got {len(paths)} files")
    if len(sides[0]) != len(sides[1]):
        raise UserError(f"{where[0]} has {len(sides[0]):,} lines, {where[1]} {len(sides[1]):,}; expected line i of one to be "
                        "the translation of line i of the other")
    pairs = list[tuple[str, str]]()
    for i, pair in enumerate(zip(*sides, strict=True)):
        there = [bool(side.strip()) for side in pair]
        if any(there) and not all(there):
            raise UserError(f"{where[there.index(False)]}, line {i + 1}: is empty, and its translation is not; expected a text "
                            "in both; remove the pair")
        pairs += [pair] if all(there) else []
    if not pairs:
        raise UserError(f"{', '.join(where)}: expected pairs of texts, got none")
    return Columns({name: np.array(side) for name, side in zip(("source", "target"), zip(*pairs, strict=True), strict=True)})


def _lines(path: str | os.PathLike[str]) -> list[str]:
    with File.at(os.fspath(path)).open() as file:
        raw = file.read().removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        line = raw[:error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: {not_utf8(raw[error.start])}") from None


def model(data: Source, *, seed: int = 0, pieces: int = _PIECES, width: int = 256, layers: int = 2,
          dropout: float = 0.1) -> Model:
    """A translator of pairs, nothing of it learned yet but its pieces.

    Args:
        data: the columns source and target.
        seed: of the initial weights.
        pieces: how many of either language.
        width, layers, dropout: of the transformer, and of the layers that read the source.
    """
    family = partial(Autoregressive, net=partial(Transformer, width=width, layers=layers, dropout=dropout),
                     context=partial(Context, layers=layers, dropout=dropout))
    codecs = {name: Text("pieces", size=pieces, window=_MOST_PIECES, longest=_ROOM) for name in ("source", "target")}
    made = model_of("p(target | source)", data, codecs=codecs, families={"target": family}, seed=seed)
    made.facts["common"] = {name: _common(_column(data, name)) for name in ("source", "target")}
    return made


def translate(model: Model, source: Sequence[str], *, beam: int = 5, alpha: float = 1.0) -> list[str]:
    """The most probable translations that a beam finds; nothing of nothing.

    Args:
        model: what `model` made, and has learned.
        source: texts.
        beam: its width; 1 takes the most probable piece each time.
        alpha: how much longer texts are favoured, see `Beam`.

    Raises:
        UserError: a text longer than those learned from, a control character in one, or texts in the language translated to.
    """
    for i, text in enumerate(source):
        check_printable(text, f"translate: text {i + 1}", besides="\t")
    _check_language(model, source)
    order = [i for i in sorted(range(len(source)), key=lambda i: len(source[i])) if source[i].strip()]
    found = [""] * len(source)
    for start in range(0, len(order), _AT_ONCE):
        some = order[start:start + _AT_ONCE]
        drawn = model.given(source=[source[i] for i in some]).sample(1, how=Beam(beam, alpha))["target"][0]
        for i, text in zip(some, drawn.tolist(), strict=True):
            found[i] = text
    return found


@torch.no_grad()
def attention(model: Model, source: str, target: str) -> tuple[list[str], list[str], np.ndarray]:
    """The pieces of a text and of its translation, and how much each of the latter takes of each of the former in the last
    layer that asks them: (T, M), the ends among them, each row of which sums to one."""
    factor, kept = model.joint.declared[0], list[Tensor]()
    asking = [part for part in factor.modules() if isinstance(part, CrossAttentionLayer)][-1]
    entries = {name: v.encode({name: np.array([text])}) for (name, v), text in zip(
        model.joint.columns.items(), (target, source), strict=True)}
    hook = asking.register_forward_hook(lambda part, args, _: kept.append(part.weights(*args)))
    try:
        factor(model.joint.y(factor, entries, 1)).log_prob(model.joint.x(factor, entries))
    finally:
        hook.remove()
    pieces = []
    for name in ("source", "target"):
        x, codec = entries[name], model.joint.columns[name].codec
        assert isinstance(codec, Text)
        spelled = [*(piece.decode(errors="replace") for piece in codec.spelled()), "end"]
        pieces.append([spelled[v] for v in x.tensor[0][x.valid[0]].tolist()])  # type: ignore[index]
    return pieces[0], pieces[1], kept[-1][0, :len(pieces[1]), :len(pieces[0])].cpu().numpy()


def picture(model: Model, source: str, target: str, size: int = 24) -> str:
    """`attention` drawn, as SVG: a row for each piece of the translation, a column for each of the source, the darker the
    more."""
    left, right, weights = attention(model, source, target)
    room = 8 * max(map(len, (*left, *right))) + 12
    width, height = room + size * len(left), room + size * len(right)
    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="13">', f'<rect width="{width}" height="{height}" fill="white"/>']
    for i, piece in enumerate(left):  # upwards
        x, y = room + size * i + size // 2 + 4, room - 6
        drawn.append(f'<text x="{x}" y="{y}" transform="rotate(-90 {x} {y})">{escape(piece.strip())}</text>')
    for j, piece in enumerate(right):
        drawn.append(f'<text x="{room - 6}" y="{room + size * j + 16}" text-anchor="end">{escape(piece.strip())}</text>')
        drawn += [f'<rect x="{room + size * i}" y="{room + size * j}" width="{size}" height="{size}" '
                  f'fill-opacity="{float(weights[j, i]):.3f}"/>' for i in range(len(left))]
    return "\n".join([*drawn, "</svg>", ""])


def bleu(said: Sequence[str], truth: Sequence[str]) -> float:
    """BLEU of texts against one translation each, 0 to 100."""
    try:
        import sacrebleu
    except ImportError:
        raise UserError("BLEU needs the package sacrebleu; pip install 'given[text]'") from None
    return float(sacrebleu.corpus_bleu(list(said), [list(truth)]).score)


def measure(model: Model, test: Source) -> dict[str, float]:
    """BLEU of a model's translations, and nats a character of the true ones."""
    said = translate(model, _column(test, "source"))
    return {"BLEU": bleu(said, _column(test, "target")), "nats/character": model.score(test).nats_per_character().value}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """BLEU of the source as it stands, and word by word."""
    source, truth = _column(test, "source"), _column(test, "target")
    words = WordByWord().fit(_column(train, "source"), _column(train, "target"))
    return {"a copy of the source": {"BLEU": bleu(source, truth)},
            "word by word": {"BLEU": bleu([words.translate(text) for text in source], truth)}}


class WordByWord:
    """An IBM model 1 that translates every word by the one it most probably stands for, in the source's order; a word never
    seen stands for itself.

    Args:
        rounds: of EM.
    """

    def __init__(self, rounds: int = 10) -> None:
        self.rounds = rounds
        self.best = dict[str, str]()

    def fit(self, source: Sequence[str], target: Sequence[str]) -> WordByWord:
        """Learn from pairs; returns itself."""
        words: list[dict[str, int]] = [{"": 0}, {}]
        a, b, at = list[int](), list[int](), list[int]()  # a pair of words a cell, and which target word of which text
        n = 0
        for pair in zip(source, target, strict=True):
            left, right = ([side.setdefault(word, len(side)) for word in _words(text)]
                           for side, text in zip(words, pair, strict=True))
            for word in right:
                a += [0, *left]
                b += [word] * (len(left) + 1)
                at += [n] * (len(left) + 1)
                n += 1
        place, V = np.array(at), len(words[1])
        pairs, cell = np.unique(np.array(a) * V + np.array(b), return_inverse=True)
        of = pairs // V
        t = np.ones(len(pairs))
        for _ in range(self.rounds):
            each = t[cell]
            each /= np.bincount(place, each, minlength=n)[place]
            count = np.bincount(cell, each, minlength=len(pairs))
            t = count / np.bincount(of, count)[of]
        names = [list(side) for side in words]
        rank = np.lexsort((-t, of))
        first = rank[np.unique(of[rank], return_index=True)[1]]
        self.best = {names[0][i]: names[1][j] for i, j in zip((pairs[first] // V).tolist(), (pairs[first] % V).tolist(),
                                                             strict=True) if i}
        return self

    def translate(self, text: str) -> str:
        """Of one text."""
        said = " ".join(self.best.get(word, word) for word in _words(text))
        return re.sub(r" ([.,;:!?%)\]])", r"\1", said)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:['’-]\w+)*|[^\w\s]", text)


def _common(texts: Sequence[str]) -> list[str]:
    """The words met most."""
    return [word for word, _ in Counter(word for text in texts for word in _words(text.lower())).most_common(_COMMON)]


def _check_language(model: Model, source: Sequence[str]) -> None:
    """Raise where texts hold more of the target's own common words than of the source's."""
    common = model.facts.get("common")
    if not common:
        return
    own, other = (set(common[a]) - set(common[b]) for a, b in (("source", "target"), ("target", "source")))
    met = [word for text in source for word in _words(text.lower())]
    wrong = Counter(word for word in met if word in other)
    if sum(wrong.values()) > max(4, 2 * sum(word in own for word in met)):
        words = ", ".join(repr(word) for word, _ in wrong.most_common(3))
        raise UserError(f"source: holds {words}, common words of the language that {model} translates to; expected the other, "
                        "or are the two files swapped?")


def _column(data: Source, name: str) -> list[str]:
    return [str(text) for batch in data.runs() for text in batch[name]]
