"""Text to image, draw, restyle, edit: p(picture | caption), p(picture | map), p(picture in a style | picture, style) and
p(picture after | picture before, what is to be changed).

The family is a field along a path: convolutions down to few places, which attend to the words of a text, and up again; what
is given as a picture or a map is read at every pixel. Any table of pictures of one size, with columns of the names above or
the only ones of their kind. What is given is dropped now and then, so that draws can be guided. Where a map is given, in half
of the rows a part of the picture is known while learning, so that what is not edited can stay.

The metric is the root mean squared error of a draw, as a share of the levels; the trivial baselines are the mean picture, the
picture that was given, where one was, and that of the training row whose given columns are nearest.

Source: Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2022 / https://arxiv.org/abs/2210.02747
Brooks, Holynski, Efros, InstructPix2Pix, 2022 / https://arxiv.org/abs/2211.09800
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, ClassVar

import numpy as np

from given.codecs import Image, Label, LabelMap, Set, Text
from given.conditional import Conditional, quoted
from given.distributions import Guidance, How
from given.families import Autoregressive, Dequantised, FlowMatching, Unordered
from given.infer import TopK, part
from given.nn import Context, Items, Painted, Reader, Transformer, UNet
from given.solve import DPMSolver
from given.sources import Columns, Source
from given.variables import Codec, UserError, shown
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.pictures import box_fields, far_from_changes, roles, sets_called, sets_of, words

__all__ = ["DRAW", "EDIT", "RESTYLE", "TEXT_TO_IMAGE", "ToPicture"]

_ROWS = 200  # held-out rows that are judged
_STEPS = 16
_WORDS: Mapping[str, Any] = {"batch": 64, "lr": 1e-3}  # of what is bound to words, which fewer rows a step do not show
_MARGIN = 4  # pixels around boxes that change, for shadows
_LEVELS = 255


@dataclass(frozen=True)
class ToPicture:
    """A task p(picture | ...).

    Attributes:
        picture: what its column is called where there are several of pictures.
        given: what is given -> the codec that it is read by.
        known: how often a part of the picture is known while learning.
        guidance: what is given weighs, in draws.
        through: columns of boxes that are drawn first, in this order, where the data has them all, each with what it is given;
            the picture is given them, and of its own columns those that are no text: a text says what there is and how it
            stands, or is to, and where it stands says what the picture is. A product learns both sooner than one net.
        apart: of what stands between, its share of the budget and options of `Model.fit` of its own.
    """

    picture: str
    given: Mapping[str, type[Codec]]
    known: float = 0.0
    guidance: float = 1.0
    through: Mapping[str, Sequence[str]] = field(default_factory=dict)
    apart: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    TRAINING: ClassVar[Mapping[str, Any]] = {"batch": 16, "lr": 3e-3, "patience": None, "held_out": 0}

    def names(self, data: Source) -> list[str]:
        """The columns of the picture, and of what is given."""
        return roles(data, {self.picture: Image, **self.given})

    def read(self, data: Source) -> Source:
        """The columns that it needs.

        Raises:
            UserError: there are none such.
        """
        return data.only([*self.names(data), *self._between(data)])

    def _between(self, data: Source) -> list[str]:
        """The columns of boxes that are drawn first."""
        found = [name for each in self.through for name in sets_called(data, each)]
        return found if len(found) == len(self.through) else []

    def parts(self, model: Model) -> Mapping[str, Mapping[str, Any]]:
        """How what stands between learns, if anything does."""
        return self.apart if len(model.joint.declared) > 1 else {}

    def model(self, data: Source, *, seed: int = 0, width: int = 64) -> Model:
        """A model of the pictures, nothing of it learned yet.

        Args:
            data: of `read`.
            seed: of the initial weights.
            width: of the convolutions, and of the vector of a word.
        """
        picture, *given = self.names(data)
        between, called = self._between(data), dict(zip(self.given, given, strict=True))
        kinds: dict[type[Codec], Codec] = {Text: Text("words", unseen="error"), LabelMap: LabelMap()}
        codecs = {called[name]: kinds[kind] for name, kind in self.given.items() if kind in kinds}
        readers: dict[str, Reader] = {called[name]: words for name, kind in self.given.items() if kind is Text}
        families, factors = dict[str, Any](), list[str]()
        for name in between:
            y = [called.get(each, each) for each in self.through[name]]
            families[name], factors = boxes_family(y, readers, 2 * width), [*factors, _factor(name, y)]
            codecs[name], readers[name] = boxes_of(data, picture, name)
        y = [called[name] for name, kind in self.given.items() if not (between and kind is Text)] + between
        flow = partial(FlowMatching, net=partial(UNet, width=width, factors=(1, 2, 2), patch=2), width=width, known=self.known,
                       context=partial(Context, sums_tokens=True), readers={k: v for k, v in readers.items() if k in y})
        families[picture] = partial(Dequantised, family=flow)
        return model_of(" ".join([*factors, _factor(picture, y)]), data, codecs=codecs, families=families, seed=seed)

    def drawn(self, model: Model, rows: Columns, *, weight: float | None = None, seed: int = 0) -> np.ndarray:
        """(rows, height, width, channels) a draw for every row: first of what stands between, if anything does, the most
        probable of it where it is an edit. What is far from boxes that an edit changes stays as it was.

        Args:
            model: of pictures.
            rows: with the columns that are given.
            weight: of what is given, in place of the task's.
            seed: of the draws.
        """
        *first, factor = model.joint.declared
        drawn = {between.x.name for between in first}
        y: dict[str, Any] = {v.name: rows[v.name] for each in (*first, factor) for v in each.parents if v.name not in drawn}
        for between in first:
            asked = Model(between).given({v.name: y[v.name] for v in between.parents})
            found = asked.sample(seed=seed, how=TopK(1) if len(first) > 1 else None)
            y[between.x.name] = np.asarray(found[between.x.name]).reshape(rows.n)
        shape, known = factor.x.space.shape, {v.name: y[v.name] for v in factor.parents}
        if len(first) > 1:
            before, after = (y[between.x.name] for between in first)
            seen = far_from_changes(before, after, (shape[0], shape[1]), _MARGIN)
            base = next(v.name for v in factor.parents if v.space.shape == shape)
            known[factor.x.name] = part(y[base], seen=np.broadcast_to(seen[..., None], y[base].shape))
        found = Model(factor).given(known).sample(seed=seed, how=self.how(self.guidance if weight is None else weight))
        return np.asarray(found[factor.x.name]).reshape(rows.n, *shape)

    def how(self, weight: float) -> How:
        """How draws are made in which what is given has a weight."""
        steps: list[How] = [Guidance(weight)] * (weight != 1) + [DPMSolver(_STEPS)]
        return reduce(operator.or_, steps)

    def edited(self, model: Model, picture: np.ndarray, before: np.ndarray, after: np.ndarray, *, margin: int = 3, n: int = 1,
               seed: int = 0) -> np.ndarray:
        """Draws (n, height, width, channels) of a picture whose map was edited; what is not near the edit stays as it is.

        Args:
            model: of pictures given their maps.
            picture: (height, width, channels).
            before, after: (height, width) its map, and as it was edited.
            margin: pixels around what was edited that are drawn anew, for shadows and edges.
            n, seed: of the draws.

        Raises:
            UserError: maps that are equal, or of another size.
        """
        if before.shape != after.shape or before.shape != picture.shape[:2]:
            raise UserError(f"map: got {before.shape} and {after.shape}; expected {picture.shape[:2]}, as the picture")
        changed = before != after
        if not changed.any():
            raise UserError("map: nothing was edited; expected a map that differs")
        near = changed.copy()
        for axis in (0, 1):
            padded = np.pad(near, [(margin, margin) if a == axis else (0, 0) for a in (0, 1)])
            near = np.lib.stride_tricks.sliding_window_view(padded, 2 * margin + 1, axis).any(-1)
        (factor,) = model.joint.declared
        seen = np.broadcast_to(~near[..., None], picture.shape)
        y = {factor.parents[0].name: after, factor.x.name: part(picture, seen=seen)}
        return np.asarray(model.given(y).sample(n, seed=seed, how=DPMSolver(_STEPS))[factor.x.name])

    def measure(self, model: Model, test: Source) -> dict[str, float]:
        """The error of a draw, as a share of the levels."""
        rows = next(test.batches(_ROWS))
        return {"error": _error(rows[model.joint.declared[-1].x.name], self.drawn(model, rows))}

    def baselines(self, train: Source, test: Source) -> dict[str, dict[str, float]]:
        """The mean picture; the picture that was given; the picture of the row whose given column is nearest."""
        picture, *given = self.names(train)
        rows, known = next(test.batches(_ROWS)), next(train.batches(1 << 12))
        mean = known[picture].astype(np.float64).mean(0, keepdims=True)
        found = {"mean picture": {"error": _error(rows[picture], mean)}}
        for name, kind in zip(given, self.given.values(), strict=True):
            if kind is Image:
                found["the picture given"] = {"error": _error(rows[picture], rows[name])}
        near = nearest_rows(rows, known, dict(zip(given, self.given.values(), strict=True)))
        return found | {"of the nearest row": {"error": _error(rows[picture], known[picture][near])}}


def boxes_family(given: Sequence[str], readers: Mapping[str, Reader], width: int) -> Callable[..., Conditional]:
    """The family of boxes given a picture, or texts and other boxes.

    Args:
        given: the columns of what is given.
        readers: of columns of text by name.
        width: of the transformer.
    """
    if len(given) == 1 and given[0] not in readers:
        return sets_of(given[0])
    net = partial(Transformer, width=width, layers=3, dropout=0.0)
    own = {name: Items(pairs=True) if isinstance(readers[name], Painted) else readers[name] for name in given}
    return partial(Unordered, sorted=True, family=partial(Autoregressive, net=net, readers=own))


def _factor(name: str, y: Sequence[str]) -> str:
    return f"p({quoted(name)} | {', '.join(map(quoted, y))})"


def boxes_of(data: Source, picture: str, boxes: str) -> tuple[Set, Painted]:
    """How boxes, in pixels, are read as sets from left to right, and laid over the places of a picture.

    Raises:
        UserError: the column holds no boxes.
    """
    first = next(data.batches(256))
    height, width = first[picture].shape[1:3]
    if (names := box_fields(first[boxes])) is None:
        raise UserError(f"{boxes}: expected boxes, as [[name, left, top, right, bottom], ...], got {shown(first[boxes][0])}; "
                        "rename the column where it is of something else")
    what, *edges = names
    ranges = {name: (0, size) for name, size in zip(edges, (width, height) * 2, strict=True)}
    return (Set(names, ranges=ranges, order=[*edges[:2], what, *edges[2:]]),
            Painted((-(-height // 2), -(-width // 2)), ((1, 4), (0, 3)), role="aligned"))


def nearest_rows(rows: Columns, known: Columns, kinds: Mapping[str, type[Codec]]) -> np.ndarray:
    """(rows,) which known row is nearest: by the cosine of weighted words and pairs of words (TF-IDF) of texts, by equal
    labels, by the share of the pixels of maps that agree, or by the mean squared level of pictures, summed over the columns.

    Args:
        rows, known: with these columns.
        kinds: column -> the codec that it is read by.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    near = np.zeros((rows.n, known.n), dtype=np.float32)
    for name, kind in kinds.items():
        a, b = rows[name], known[name]
        if kind in (Image, LabelMap):
            a, b = (x.reshape(len(x), -1) for x in (a, b))
            near += np.stack([(row == b).mean(1) if kind is LabelMap else -((row.astype(np.float32) - b) ** 2).mean(1)
                              / _LEVELS**2 for row in a])
        elif kind is Label:
            near += a[:, None] == b
        else:
            words = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2))
            weights = words.fit_transform(b.tolist())
            near += (words.transform(a.tolist()) @ weights.T).toarray()
    found: np.ndarray = near.argmax(1)
    return found


def _error(true: np.ndarray, drawn: np.ndarray) -> float:
    return float(((true.astype(np.float64) - drawn) ** 2).mean() ** 0.5 / _LEVELS)


TEXT_TO_IMAGE = ToPicture("picture", {"caption": Text}, guidance=1.5, through={"boxes": ("caption",)},
                          apart={"boxes": {"share": 0.45, **_WORDS}})
DRAW = ToPicture("picture", {"map": LabelMap}, known=0.5)
RESTYLE = ToPicture("styled", {"picture": Image, "style": Label})
EDIT = ToPicture("edited", {"picture": Image, "edit": Text}, known=0.5,
                 through={"boxes": ("picture",), "edited_boxes": ("boxes", "edit")},
                 apart={"boxes": {"share": 0.3, "batch": 32, "lr": 2e-3}, "edited_boxes": {"share": 0.4, **_WORDS}})
