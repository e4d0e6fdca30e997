"""pictures: what tasks of pictures share: which data they are, and a field that draws them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Image, Label, LabelMap, Set, Text, infer_table
from given.conditional import Conditional, quoted
from given.families import Autoregressive, Dequantised, FlowMatching, Unordered
from given.nn import Convolutions, Tokens, Transformer, UNet
from given.sources import Source, holds_sets, read
from given.variables import Codec, UserError
from given.verbs.building import model
from given.verbs.models import Model

__all__ = ["EDGES", "FEW", "box_fields", "entries_of", "far_from_changes", "field", "iou", "labelled_pictures",
           "lonely_label", "nearest_pictures", "phrases", "picture_model", "picture_names", "roles", "sets_called", "sets_of",
           "words"]

phrases = Convolutions(layers=2, halve=0)  # of texts: a word is read with those beside it, which say of what it is
words = Tokens(layers=2, dropout=0.0)  # of texts: words attend to one another, and so say of what they are
_CALLED = {Image: "pictures", Label: "labels", LabelMap: "maps of classes", Set: "sets", Text: "text"}
EDGES = ("left", "top", "right", "bottom")  # of a box, in pixels
_SAME = 0.75  # overlap of two boxes that are one
FEW = 256  # entries, up to which layers of units learn parts faster


def labelled_pictures(task: str, paths: Sequence[str | os.PathLike[str]], way: str) -> Source:
    """Pictures, with a label or without.

    Args:
        task: who asks.
        paths: of one folder, file or sample.
        way: what data of another kind is for.

    Raises:
        UserError: data of another kind.
    """
    if len(paths) != 1:
        raise UserError(f"{task}: expected one folder or file of pictures, got {len(paths)}")
    data = read(paths[0])
    codecs, _ = infer_table(data, {})
    kinds = [sum(isinstance(codec, kind) for codec in codecs.values()) for kind in (Image, Label)]
    if kinds[0] != 1 or sum(kinds) != len(codecs) or kinds[1] > 1:
        raise UserError(f"{paths[0]}: expected pictures, with a label or without, got columns {', '.join(data.names)}; {way}")
    return data


def picture_names(data: Source) -> tuple[str, list[str]]:
    """The column of pictures, and that of labels where there is one."""
    codecs, _ = infer_table(data, {})
    name = next(name for name, codec in codecs.items() if isinstance(codec, Image))
    return name, [other for other in codecs if other != name]


def lonely_label(data: Source) -> str | None:
    """The first label that one picture alone has, if any."""
    _, labels = picture_names(data)
    counts = Counter(value for rows in data.batches(1 << 12) for name in labels for value in rows[name].tolist())
    return next((str(value) for value, n in counts.items() if n == 1), None)


def picture_model(data: Source, family: Callable[..., Conditional], *, seed: int) -> Model:
    """p(picture) or p(picture | label), by a family of its levels; nothing of it learned yet."""
    name, labels = picture_names(data)
    formula = f"p({quoted(name)}{' | ' * bool(labels)}{''.join(map(quoted, labels))})"
    return model(formula, data, families={name: family}, seed=seed)


def field(data: Source, *, width: int, known: float) -> Callable[..., Conditional]:
    """A field of levels along a path: convolutions; where parts are known, layers of units for up to 256 entries.

    Args:
        data: pictures.
        width: of the vector that a label becomes.
        known: how often a part of a picture is known while learning.
    """
    few = entries_of(data) <= FEW
    net = None if few and known else partial(UNet, width=32 if few else 48, factors=(1, 2), patch=1 if few else 2)
    return partial(Dequantised, family=partial(FlowMatching, net=net, width=width, known=known))


def entries_of(data: Source) -> int:
    """How many numbers a picture has."""
    return int(np.prod(next(data.batches(1))[picture_names(data)[0]].shape[1:]))


def roles(data: Source, wanted: Mapping[str, type[Codec]]) -> list[str]:
    """The column of each role: that of its name, or else the only column of its kind that no other role has.

    Args:
        data: rows.
        wanted: role -> the codec that its column would be read by.

    Raises:
        UserError: there is none, or several.
    """
    found = {role: role for role in wanted if role in data.names}
    if len(found) < len(wanted):
        codecs, _ = infer_table(data, {})
        first = next(data.batches(64))
        for role in sorted(wanted, key=lambda role: wanted[role] is not LabelMap):  # pictures are what is no map
            fit = [name for name, codec in codecs.items() if name not in found.values() and _fits(
                wanted[role], codec, first[name])]
            if role not in found and len(fit) != 1:
                raise UserError(f"{role}: expected a column of this name, or one column of {_CALLED[wanted[role]]} that could "
                                f"be it, got {' and '.join(fit) or 'none'} among {', '.join(data.names)}; rename it")
            found.setdefault(role, fit[0] if fit else role)
    return [found[role] for role in wanted]


def sets_called(data: Source, name: str) -> list[str]:
    """The column of sets of a name, where the data has it."""
    return [name] if name in data.names and holds_sets(next(data.only([name]).batches(64))[name]) else []


def _fits(kind: type[Codec], codec: Codec, raw: np.ndarray) -> bool:
    """Whether a column may be read so: text that repeats is text, too, and whole numbers (B, height, width) may be classes."""
    if kind is Text:
        return isinstance(codec, Text) or (isinstance(codec, Label) and isinstance(raw[0], str))
    if kind is LabelMap:
        return isinstance(codec, Image) and raw.ndim == 3
    return isinstance(codec, kind)


def box_fields(rows: np.ndarray) -> list[str] | None:
    """The fields of boxes, what is in one and then its `EDGES`: "1" to "5" of lists in that order, the names of mappings by
    these names, whose order is free; None where rows (n,) hold no boxes.

    Args:
        rows: of lists of items, of which the first item decides.
    """
    if not holds_sets(rows):
        return None
    item = next(item for row in rows if row is not None for item in row)
    if isinstance(item, Mapping):
        whole = len(item) == 1 + len(EDGES) and {*EDGES} <= item.keys()
        return [*(name for name in item if name not in EDGES), *EDGES] if whole else None
    return [str(i) for i in range(1, 6)] if [isinstance(v, str) for v in item] == [True, False, False, False, False] else None


def nearest_pictures(pictures: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n,) the number of the nearest of known pictures (m, ...) to each of n (n, ...), by the sum of squares."""
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (pictures, known))
    found: np.ndarray = ((b**2).sum(1) - 2 * a @ b.T).argmin(1)
    return found


def far_from_changes(before: np.ndarray, after: np.ndarray, size: tuple[int, int], margin: float) -> np.ndarray:
    """(n, height, width) which pixels are far from every box that changed: that one of both has, and the other has not nearly.

    Args:
        before, after: (n,) lists of boxes, each a name, left, top, right and bottom, in pixels, or a mapping of these.
        size: height and width.
        margin: pixels beyond a box, for shadows.
    """
    y, x = np.ogrid[:size[0], :size[1]]
    far = np.ones((len(before), *size), dtype=bool)
    for row, both in enumerate(zip(before, after, strict=True)):
        first, second = ([_listed(box) for box in boxes] for boxes in both)
        for these, those in ((first, second), (second, first)):
            for box in these:
                if not any(box[0] == other[0] and iou(box, other) > _SAME for other in those):
                    left, top, right, bottom = np.array(box[1:]) + margin * np.array([-1, -1, 1, 1])
                    far[row] &= ~((x > left - 1) & (x < right) & (y > top - 1) & (y < bottom))
    return far


def _listed(box: Any) -> list[Any]:
    """A box, its edges last."""
    if not isinstance(box, Mapping):
        return list(box)
    return [*(box[name] for name in box if name not in EDGES), *(box[name] for name in EDGES)]


def iou(a: Sequence[Any], b: Sequence[Any]) -> float:
    """Intersection over union of two boxes (name, left, top, right, bottom)."""
    wide, high = (min(a[3 + i], b[3 + i]) - max(a[1 + i], b[1 + i]) for i in (0, 1))
    inside = max(0.0, wide) * max(0.0, high)
    areas = sum(max(0.0, x[3] - x[1]) * max(0.0, x[4] - x[2]) for x in (a, b))
    return inside / (areas - inside) if inside else 0.0


def sets_of(picture: str, *, width: int = 64, layers: int = 3) -> Callable[..., Conditional]:
    """The family of p(a set | a picture): item by item, by a transformer that attends to the cells of convolutions.

    Args:
        picture: the column.
        width, layers: of the transformer.
    """
    net = partial(Transformer, width=width, layers=layers, dropout=0.0)
    return partial(Unordered, family=partial(Autoregressive, net=net, readers={picture: Convolutions(layers=2)}))
