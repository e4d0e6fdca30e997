"""Caption, ask, converse: p(a text | a picture), p(answer | picture, question) and p(reply | picture, dialogue).

The family is autoregressive over words: a transformer whose every layer attends to what convolutions make of the picture, and
to the words that are asked, so that the first layers may find what a question is about, and later ones look there. Where the
data has a column `things`, a set of what there is in a picture, the formula is a product, p(things | picture) p(answer |
things, picture, question): which things there are is learned from far more than one word says of them, and what is said, from
few things in place of many pixels. Any table with a column of pictures of one size and columns of text; columns of the names
above are taken, or else the only one of its kind. What is said is the most probable word after another. The metric is how often
that is the text that was held out, and what each row costs; the trivial baselines are the most frequent text and that of the
training picture that is nearest, and, where something is asked, what the question alone says: the same family without the
picture.

Source: Vinyals, Toshev, Bengio, Erhan, Show and tell, 2014 / https://arxiv.org/abs/1411.4555
Antol et al., VQA: visual question answering, 2015 / https://arxiv.org/abs/1505.00468
Das et al., Visual dialog, 2016 / https://arxiv.org/abs/1611.08669
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Image, Set, Text
from given.conditional import quoted
from given.families import Autoregressive
from given.infer import TopK
from given.nn import Convolutions, Items, Reader, Transformer
from given.sources import Columns, Source
from given.variables import Codec, UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.pictures import nearest_pictures, roles, sets_called, sets_of, words

__all__ = ["ASK", "CAPTION", "CONVERSE", "ToText"]

_ROWS = 500  # held-out rows that are judged


@dataclass(frozen=True)
class ToText:
    """A task p(text | picture, ...).

    Attributes:
        text: what its column is called where there are several of text.
        asked: what the column of the text that is given is called, or nothing.
        through: a column of sets that stands between, where the data has it.
        sees: whether the text is given the picture beside what stands between.
        TRAINING: options of `Model.fit`.
    """

    text: str
    asked: str = ""
    through: str = "things"
    sees: bool = True
    TRAINING: Mapping[str, Any] = field(default_factory=lambda: {"batch": 64, "lr": 1e-3, "patience": None})

    def names(self, data: Source) -> list[str]:
        """The columns of the text, the picture, and of what is asked."""
        return roles(data, {self.text: Text, "picture": Image, **({self.asked: Text} if self.asked else {})})

    def read(self, data: Source) -> Source:
        """The columns that it needs.

        Raises:
            UserError: there are none such.
        """
        return data.only([*self.names(data), *sets_called(data, self.through)])

    def model(self, data: Source, *, seed: int = 0, width: int = 96, layers: int = 3, blind: bool = False) -> Model:
        """A model of the texts, nothing of it learned yet.

        Args:
            data: of `read`.
            seed: of the initial weights.
            width, layers: of the transformers.
            blind: whether it reads what is asked alone.

        Raises:
            UserError: nothing is asked, and it is to be blind.
        """
        if blind and not self.asked:
            raise UserError(f"{self.text}: blind=True reads what is asked alone, and nothing is; leave it out")
        text, picture, *asked = self.names(data)
        net = partial(Transformer, width=width, layers=layers, dropout=0.0)
        codecs: dict[str, Codec] = {text: Text("words"), **{name: Text("words", unseen="error") for name in asked}}
        readers: dict[str, Reader] = {name: words for name in asked}
        families, first, y = dict[str, Any](), "", asked
        if not blind:
            y, readers[picture] = [picture, *asked], Convolutions(layers=2)
            for name in sets_called(data, self.through):
                families[name] = sets_of(picture)
                codecs[name], first = Set(), f"p({quoted(name)} | {quoted(picture)}) "
                readers[picture] = Convolutions(role="pooled")  # one vector: few things would be lost among its cells
                readers[name] = Items(layers=2, pairs=True)
                y = [name, *[picture] * self.sees, *asked]
        families[text] = partial(Autoregressive, net=net, readers={name: readers[name] for name in y})
        return model_of(f"{first}p({quoted(text)} | {', '.join(map(quoted, y))})", data, codecs=codecs, families=families,
                        seed=seed)

    def said(self, model: Model, rows: Columns, *, seed: int = 0) -> np.ndarray:
        """(rows,) the most probable word after another."""
        *first, factor = model.joint.declared
        drawn = {name for between in first for name in between.x.columns}
        y = {v.name: rows[v.name] for each in (*first, factor) for v in each.parents if v.name not in drawn}
        return np.asarray(model.given(y).sample(seed=seed, how=TopK(1))[factor.x.name]).reshape(rows.n)

    def measure(self, model: Model, test: Source) -> dict[str, float]:
        """How often what is said is what was held out, and the nats of a row."""
        rows = next(test.batches(_ROWS))
        factor = model.joint.declared[-1]
        right = self.said(model, rows) == np.array([" ".join(t.split()) for t in rows[factor.x.name]])
        return {"right": float(right.mean()), "nats a row": -float(model.log_prob(rows).mean())}

    def baselines(self, train: Source, test: Source) -> dict[str, dict[str, float]]:
        """The most frequent text, and that of the nearest picture."""
        text, picture, *_ = self.names(train)
        rows, known = next(test.batches(_ROWS)), next(train.batches(1 << 12))
        constant = Counter(known[text].tolist()).most_common(1)[0][0]
        near = known[text][nearest_pictures(rows[picture], known[picture])]
        return {"most frequent": {"right": float((rows[text] == constant).mean())},
                "of the nearest picture": {"right": float((rows[text] == near).mean())}}


CAPTION = ToText("caption", sees=False, TRAINING={"batch": 32, "lr": 2e-3, "patience": None})
ASK = ToText("answer", "question")
CONVERSE = ToText("reply", "dialogue", sees=False)
