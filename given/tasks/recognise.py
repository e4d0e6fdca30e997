"""Recognise: which of some classes a picture is of, of each of which one example is at hand. The classes may all be new.

Learned from pictures of other classes, by telling the picture of a pair of one label from those of others (InfoNCE): one net
reads both, `families.Contrastive`, symmetric. Its score is what one picture tells of the other, log p(x, y) / p(x) p(y), so
that of classes of equal prior, by Bayes' rule,

    p(class k | picture) = mean_i exp s(example_ki, picture) / sum over classes of the same.

Pairs are drawn anew in every epoch, moved by chance, and turned together, what is turned being of a class of its own. Whole
labels are held out. The metric is how often another class than the true one of 20 comes first; the trivial baselines are the
class whose example is nearest in pixels, and by the modified Hausdorff distance of what is ink.

Source: Koch, Zemel, Salakhutdinov, Siamese neural networks for one-shot image recognition, 2015
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from given.codecs import Image, Label
from given.evaluate import nearest_hausdorff, one_shot_episodes, one_shot_error
from given.families import Contrastive, Independent
from given.nn import Pyramid
from given.sources import Columns, Pairs, Source
from given.variables import Observed, UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.holes import present
from given.verbs.pictures import nearest_pictures, roles
from given.ways import way

__all__ = ["TRAINING", "arranged", "baselines", "likeliest", "measure", "model", "read", "which"]

TRAINING: Mapping[str, Any] = {"batch": 64, "lr": 3e-3, "patience": None, "held_out": 0}
_AT_ONCE = 256  # pictures


def read(data: Source) -> Columns:
    """The columns `picture` and `label`.

    Raises:
        UserError: there are none such, or a picture has no label.
    """
    names = roles(data, {"picture": Image, "label": Label})
    rows = next(data.only(names).batches(1 << 60))
    if not (there := present(rows[names[1]])).all():
        raise UserError(f"{names[1]}, row {int((~there).argmax())}: is missing; expected the class of every picture; leave the "
                        "row out")
    return Columns({"picture": rows[names[0]], "label": rows[names[1]]})


def arranged(data: Columns, seed: int = 0) -> Pairs:
    """The rows as what is learned from: pairs of one label, others in every epoch."""
    return Pairs(data["picture"], data["label"])


def model(data: Columns, *, seed: int = 0, width: int = 32, size: int = 128) -> Model:
    """A model of pairs of pictures, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width: of the convolutions, at half the resolution.
        size: of the vectors compared.
    """
    codec = Image()
    codec.learn(data["picture"])
    family = partial(Contrastive, base=Independent, symmetric=True, width=size, draws=64,
                     readers={"example": Pyramid(width=width)})
    return model_of("p(example | picture)", arranged(data), codecs={"example": codec, "picture": codec},
                    families={"example": family}, seed=seed)


@torch.no_grad()
def which(model: Model, examples: Mapping[Any, Any], pictures: Any) -> dict[Any, np.ndarray]:
    """The probability of every class for each of n pictures: class -> (n,), which sum to one.

    Args:
        model: that has learned.
        examples: class -> its example (height, width[, 3]), or several. No class need be one learned from.
        pictures: (n, height, width[, 3]), or one.

    Raises:
        UserError: a class without an example, or pictures of another size than learned from.
    """
    factor, = model.joint.eval().declared
    if not isinstance(factor, Contrastive) or not factor.symmetric:
        raise UserError(f"recognise: {model} compares no pairs; expected a model of given fit ... --task recognise")
    shape = factor.x.space.shape
    each = {name: _pictures(f"the example of {name!r}", some, shape) for name, some in examples.items()}
    if none := [name for name, some in each.items() if not len(some)]:
        raise UserError(f"recognise: class {none[0]!r} has no example; expected one or more, or leave the class out")
    if not each:
        raise UserError("recognise: expected examples of classes to choose among, got none")
    e, row = factor.x.encode({"example": np.concatenate([*each.values()])}), 0
    x = factor.parents[0].encode({"picture": _pictures("pictures", pictures, shape)})
    told = torch.cat([factor.pmi(e, Observed({"picture": x.rows(some)}, len(some)))
                      for some in torch.arange(len(x)).split(_AT_ONCE)] or [torch.zeros(len(e), 0).double()], 1)
    scores = list[torch.Tensor]()
    for some in each.values():
        scores.append(told[row:row + len(some)].logsumexp(0) - np.log(len(some)))
        row += len(some)
    p = torch.stack(scores).softmax(0).numpy()
    return dict(zip(each, p, strict=True))


def _pictures(what: str, some: Any, shape: tuple[int, ...]) -> np.ndarray:
    """(n, *shape), of several or one."""
    found = np.asarray(some)
    found = found[None] if found.shape == shape else found
    if found.size and found.shape[1:] != shape:
        size = way(f"given.read(..., size={shape[:2]})", f"--size {shape[0]}x{shape[1]}")
        raise UserError(f"recognise: {what}: got {' x '.join(map(str, found.shape))}; expected {' x '.join(map(str, shape))}, "
                        f"as learned from; " + (f"read them by {size}" if found.ndim == len(shape) + 1 else
                                                "and grey or in colour alike"))
    return found


def likeliest(model: Model, examples: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """(n,) the numbers of the likeliest of k examples."""
    return np.stack([*which(model, dict(enumerate(examples)), pictures).values()]).argmax(0)


def measure(model: Model, test: Columns) -> dict[str, float]:
    """Of the likeliest classes of held-out pictures, one example each."""
    return {f"error, one of {_ways(test)}": one_shot_error(partial(likeliest, model), one_shot_episodes(test))}


def baselines(train: Columns, test: Columns) -> dict[str, dict[str, float]]:
    """The nearest in pixels, and by what is ink."""
    what = f"error, one of {_ways(test)}"
    return {"nearest in pixels": {what: one_shot_error(lambda e, x: nearest_pictures(x, e), one_shot_episodes(test))},
            "modified Hausdorff": {what: one_shot_error(nearest_hausdorff, one_shot_episodes(test))}}


def _ways(test: Columns) -> int:
    return len(next(one_shot_episodes(test, 1))[0])
