"""Policy: p(the next actions | what is observed), learned from episodes of somebody who knows how.

Any data of episodes, a row each: an archive of arrays with a row a step and `episode_ends`, or a table with a row a step whose
episode `by=` names. Columns whose name begins with `action` are what is done; all others that change in an episode are what is
observed: numbers, vectors, pictures. Of every step is learned what was done in the next 16, given what was observed in it, so
that what people do in several ways is drawn whole, one way or another, and not their mean. The family is Diffusion, of what a
linear regression on those observations that actions are near leaves over.

`acting` makes of a model what `given.evaluate.rollouts` asks at every turn. The metric on held-out episodes is how far actions
are from those that were done, a share of their standard deviation, and says little of how well a policy acts; rewards of a
world do. The trivial baselines are the actions of the step whose observation is nearest, and the mean of all.

Source: Chi, Feng, Du, Xu, Cousineau, Burchfiel, Song, Diffusion policy: visuomotor policy learning via action diffusion, 2023 /
https://arxiv.org/abs/2303.04137
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Image, Number, Series
from given.conditional import quoted
from given.distributions import Cosine
from given.families import Diffusion, Gaussian, Regression, Residual
from given.nn import MLP, Flat, FlatField, Pyramid
from given.solve import DPMSolver
from given.sources import Columns, Source, chunks, end_to_end, in_order, items, joined, ragged, spelled_parts, unflawed
from given.variables import UserError, shown
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "acting", "baselines", "measure", "model", "nearest", "read"]

TRAINING: Mapping[str, Any] = {"batch": 256, "lr": 3e-3, "patience": None}
_ROWS, _NEAR = 500, 1 << 15  # steps that are judged; that the nearest is looked for in
_SOLVER = DPMSolver(16)
_CHOSEN = "action"

Observe = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]


def read(data: Source, *, observe: Observe | None = None, history: int = 1, ahead: int = 16, skip_bad: bool = False) -> Columns:
    """A row a step: `action` (rows, ahead, numbers), every observation (rows, history, ...), and `episode`. Observations of
    single numbers are one, `state`. A column that counts the steps of every episode orders them, and is not observed.

    Args:
        data: a row an episode.
        observe: what a policy is shown of observations, name -> (steps, ...); by default these.
        history: how many of the last observations; of more than the present one what is done next is learned from what was done
            before, which is surer of what somebody does than of what should be done, and acts worse.
        ahead: how many actions.
        skip_bad: leave bad episodes out; `skipped` says which and why.

    Raises:
        UserError: no episodes, no column of actions, an episode of one step, or numbers that are missing.
    """
    rows, clock = joined(list(data.batches(1 << 16))), getattr(data, "clock", None)
    times = "" if clock is None else clock.name  # which have ordered the rows
    lists = {name: values for name, values in rows.items() if ragged(values) and name != times}
    acts = [name for name in lists if name.startswith(_CHOSEN)]
    if not acts or len(acts) == len(lists):
        raise UserError(f"policy: expected episodes, with columns action... and others that are observed, got "
                        f"{', '.join(data.names)}; give an archive with episode_ends, or name the episode of every row by --by")
    whole = unflawed(Columns(lists), () if clock is None or clock.by is None else rows[clock.by].tolist(), skip_bad)
    ordered, counters = (whole, [times]) if times else in_order(whole, [name for name in lists if name not in acts])
    told = [f"{name}: left out of what is observed: it says in which order the steps of an episode stand" for name in counters]
    lengths, wide = [len(item) for item in ordered[acts[0]]], dict[str, np.ndarray]()
    for name, values in ordered.items():
        flat = end_to_end(values)[0]
        if flat.dtype.kind in "biuf":
            wide[name] = flat if flat.ndim > 1 else flat[:, None]
            continue
        said = f"expected numbers of every step, got {shown(flat.flat[0])}"
        if name in acts:
            raise UserError(f"{name}: {said}; write what is done as numbers")
        told.append(f"{name}: left out of what is observed: {said}; write it as numbers to have it observed")
    single = [name for name, values in wide.items() if name not in acts and values.shape[1:] == (1,)]
    seen = {name: values for name, values in wide.items() if name not in [*acts, *single]}
    if single:
        seen = {"state": np.concatenate([wide[name] for name in single], 1), **seen}
    if not seen:
        raise UserError(f"policy: expected columns that are observed beside {', '.join(acts)}, got none ({'; '.join(told)})")
    observed = dict(seen if observe is None else observe(seen))
    steps = {_CHOSEN: np.concatenate([wide[name] for name in acts], 1).astype(np.float64), **observed}
    found = chunks(Columns({name: items(values, lengths) for name, values in steps.items()}), [_CHOSEN], steps=ahead,
                   history=history)
    held = {"state": spelled_parts(single)} if single and observe is None else {}
    told += [f"state: holds {', '.join(single)}, in this order"] * len(held)
    cut = Columns({**_beside({name: found[name] for name in observed}), _CHOSEN: found[_CHOSEN], "episode": found["episode"]},
                  dtypes=held)
    cut.skipped, cut.about = whole.skipped, "\n".join(told)
    return cut


def model(data: Source, *, seed: int = 0, width: int = 320, layers: int = 3, context: int = 64, near: Sequence[str] = (),
          mean: bool = False) -> Model:
    """A model of actions, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width: of its layers.
        layers: how many.
        context: how many numbers observations become.
        near: observations that actions are near, such as where the hand is: what is learned is how far from a linear regression
            on these.
        mean: whether it is of each number by itself, whose mean is what regression does.
    """
    first, names = next(data.batches(1)), [name for name in data.names if name not in (_CHOSEN, "episode")]
    pictures = [name for name in names if _is_picture(first[name])]
    readers = {name: Pyramid() if name in pictures else Flat() for name in names}
    codecs: dict[str, Any] = {name: Image() if name in pictures else Number() for name in names}
    net: Any = partial(MLP, hidden=(width,) * layers)
    family: Any = partial(Regression, net=net)
    if not mean:
        field = partial(FlatField, net=net, waves=0, normed=True)
        family = partial(Diffusion, net=field, path=Cosine(), drop=0.0, known=0.0, solver=_SOLVER)
    family = partial(family, width=context, readers=readers)
    family = partial(Residual, base=Gaussian, family=family, regressors=list(near))
    codecs[_CHOSEN] = Series(Number(), length="fixed", window=first[_CHOSEN].shape[1])
    found = model_of(f"p({_CHOSEN} | {', '.join(map(quoted, names))})", data, codecs=codecs, families={_CHOSEN: family},
                     seed=seed)
    found.facts["notes"] += data.about.splitlines() if isinstance(data, Columns) else []
    return found


def acting(model: Model, *, mean: bool = False) -> Callable[[Mapping[str, np.ndarray], int], np.ndarray]:
    """What maps observations, name -> (n, history, ...), and a seed to actions (n, ahead, numbers): a draw, or the mean.

    Raises:
        UserError: where it is asked, observations that were not learned from.
    """
    (factor,) = model.joint.declared
    names = [v.name for v in factor.parents]

    def act(past: Mapping[str, np.ndarray], seed: int) -> np.ndarray:
        if absent := [name for name in names if name not in past]:
            raise UserError(f"policy: {absent[0]} is not observed; got {', '.join(past)}; expected what was learned from")
        known = model.given(_beside({name: past[name] for name in names}))
        found = known.mean() if mean else known.sample(seed=seed)
        return np.asarray(found[_CHOSEN]).reshape(len(past[names[0]]), *factor.x.space.shape)

    return act


def nearest(data: Source, weights: Mapping[str, np.ndarray] | None = None) -> Callable[..., np.ndarray]:
    """What does as was done in the step whose present observation is nearest, each number divided by its standard deviation.

    Args:
        data: of `read`, of vectors alone.
        weights: what numbers are divided by in place of it, name -> (numbers,).
    """
    known = next(data.batches(_NEAR))
    names = [name for name in known if name not in (_CHOSEN, "episode")]
    each = {name: (known[name] if _is_picture(known[name]) else known[name][:, -1]).reshape(known.n, -1).astype(np.float32)
            for name in names}
    by = {name: (each[name].std(0) + 1e-9 if weights is None else weights[name]) for name in names}
    at = np.concatenate([each[name] / by[name] for name in names], 1)

    def act(past: Mapping[str, np.ndarray], seed: int = 0) -> np.ndarray:
        past = _beside({name: past[name] for name in names})
        here = np.concatenate([(past[name] if _is_picture(past[name]) else past[name][:, -1]).reshape(len(past[name]), -1)
                               .astype(np.float32) / by[name] for name in names], 1)
        found: np.ndarray = known[_CHOSEN][((at**2).sum(1) - 2 * here @ at.T).argmin(1)]
        return found

    return act


def measure(model: Model, test: Source) -> dict[str, float]:
    """How far drawn actions are from those that were done."""
    rows = next(test.batches(_ROWS))
    return _far(rows, acting(model)(rows, 0))


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The actions of the nearest step, and the mean of all."""
    rows = next(test.batches(_ROWS))
    mean = next(train.batches(_NEAR))[_CHOSEN].mean(0)
    near = nearest(train)(rows)
    return {"of the nearest step": _far(rows, near), "mean": _far(rows, np.broadcast_to(mean, near.shape))}


def _far(rows: Columns, actions: np.ndarray) -> dict[str, float]:
    true = rows[_CHOSEN]
    deviation = true.std((0, 1))
    return {"off": float((np.sqrt(((actions - true) ** 2).mean((0, 1))) / np.where(deviation > 0, deviation, 1.0)).mean())}


def _is_picture(values: np.ndarray) -> bool:
    """(n, history, height, width[, channels]) of levels, or as `_beside` has laid them."""
    return values.dtype == np.uint8 and values.ndim >= 4


def _beside(seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pictures (n, history, height, width[, channels]) as channels of one, (n, height, width, channels); all else as it is."""
    found = dict(seen)
    for name, values in seen.items():
        if _is_picture(values) and values.ndim == 5:
            found[name] = np.moveaxis(values, 1, -2).reshape(len(values), *values.shape[2:4], -1)
    return found
