"""Video: p(frames | frames), how clips go on; p(video | text); p(video | map), of as many maps as frames.

A video is drawn frame by frame (`Markov`), each by a field along a path that reads the last frames, and what is given, at
every pixel: convolutions down to few places, which attend to the words of a text, and up again. Of clips alone each row is cut
in two, and `next`, the frames of its second half, is learned given `past`, those before; columns of these names are taken as
they are. Beside a column of text, or of maps of as many frames (whole numbers), the whole of `video` is learned given it.

The metrics are of the mean of a few draws, the squared error as a share of that of the trivial baseline, which is the last
frame that is given, or else the mean video; and of single draws their sharpness, the mean difference of neighbouring pixels as
a share of the data's: a blurred draw has a small error, and a small sharpness.

Source: Srivastava, Mansimov, Salakhutdinov, Unsupervised learning of video representations using LSTMs, 2015 /
https://arxiv.org/abs/1502.04681
Ho et al., Video diffusion models, 2022 / https://arxiv.org/abs/2204.03458
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from given.codecs import LabelMap, Text, Video, infer
from given.conditional import Conditional, quoted
from given.evaluate import mean_squared_error, psnr, sharpness
from given.families import Change, Dequantised, DynamicFilter, FlowMatching, Markov, Regression, Residual
from given.nn import Context, ConvolutionalMap, Moved, Reader, UNet, UNetMap
from given.solve import Heun
from given.sources import VIDEOS, Columns, Source, joined
from given.sources import read as read_data
from given.variables import Codec, Entries, Observed, UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.pictures import phrases
from given.ways import way

__all__ = ["TRAINING", "baselines", "cut", "drawn", "expected", "loss", "measure", "model", "models", "parted", "read",
           "regression"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 2e-3, "patience": None, "held_out": 0}
_FRAMES, _SIDE = 16, 48  # of a row, and pixels along the longer side of a frame, of files of which nobody said
_ROWS, _DRAWS, _STEPS = 32, 4, 18  # held-out rows that are judged, by how many draws of how many steps
_ORDER = 4  # frames that are read, at most
_BLUR = 0.1
_FLOOR = 0.02  # the least scale of what moving leaves over, of levels in [-1, 1]
_TOP = 255
_FEW = 10  # rows, of which a tenth chooses


def read(path: str | os.PathLike[str], *, size: tuple[int, int] | None = None, frames: int | None = None,
         skip_bad: bool = False) -> Source:
    """Rows of video: `past` and `next`, or `video` beside what is given.

    Args:
        path: of files or folders that `given.read` takes, or of arrays with a column of video.
        size: height and width of a frame; of files by default in proportion, 48 pixels along the longer side at
            most, which must come to one size.
        frames: of a row, half of which is given; of files by default 16.
        skip_bad: leave bad clips out; `skipped` of what is returned says which and why.

    Raises:
        UserError: other data.
    """
    name = os.fspath(path)
    stored = os.path.isdir(name) or os.path.splitext(name)[1].lower() in VIDEOS
    if stored:
        data = read_data(name, size=size or _SIDE, frames=frames or _FRAMES, skip_bad=skip_bad)
    else:
        options: dict[str, Any] = {k: v for k, v in (("size", size), ("frames", frames)) if v is not None}
        data = read_data(name, **options, skip_bad=skip_bad)
    try:
        found = cut(data)
    except UserError as error:
        raise error.at(name) from None
    found.skipped = data.skipped
    return found


def cut(data: Source, past: int | None = None) -> Source:
    """Rows with a column of video alone as `past` and `next`, in memory; any others as they are.

    Args:
        data: with `past` and `next`, or one column of video.
        past: frames that are given; by default half of them.

    Raises:
        UserError: no column of video, or clips too short to be cut.
    """
    if {"past", "next"} <= {*data.names}:
        return data.only(["past", "next"])
    video, *given = _names(data)
    if given:
        return data.only([video, *given])
    clips = joined([*data.runs()])[video]
    first = clips.shape[1] // 2 if past is None else past
    if not 1 <= first < clips.shape[1]:
        raise UserError(f"{video}: {clips.shape[1]} frames; expected some that are given and some that follow")
    return Columns({"past": clips[:, :first], "next": clips[:, first:]})


def models(data: Source, *, seed: int = 0) -> dict[str, Model]:
    """Models of frames by name, of which held-out clips choose one: a field, and where clips go on, a regression, whose entries
    are independent: what moves little is learned soon by it, and what may move in several ways is blurred. Of clips too few to
    choose by, the regression."""
    if "past" not in data.names:
        return {"field": model(data, seed=seed)}
    found = {"regression": regression(data, seed=seed)}
    few = sum(rows.n for rows in data.batches(_FEW)) < _FEW
    return found if few else {"field": model(data, seed=seed), **found}


def model(data: Source, *, seed: int = 0, width: int = 48, order: int = _ORDER, blur: float = _BLUR) -> Model:
    """A model whose frames are drawn by a field, nothing of it learned yet.

    Args:
        data: of `read` or `cut`.
        seed: of the initial weights.
        width: of the convolutions at half the resolution.
        order: frames that are read before one, at most.
        blur: the largest standard deviation of the noise on them while learning, as a share of the levels.
    """
    given = _given(data)[1:]
    readers: dict[str, Reader] = {name: phrases for name in given if isinstance(_codecs(data).get(name), Text)}
    read = dict[str, Any](width=width // 2, readers=readers, context=partial(Context, sums_tokens=True))
    moved = partial(DynamicFilter, net=partial(UNetMap, width=width, factors=(1, 1)), floor=_FLOOR, **read)
    left = partial(FlowMatching, net=partial(UNet, width=width, factors=(1, 2, 2), patch=2), known=0.0,
                   solver=Heun(_STEPS), drop=0.0 if "past" in given else 0.1, **read)
    frame = partial(Residual, base=moved, family=left, shows=True, regressors=["last", *(n for n in given if n != "past")])
    return _model(data, partial(Dequantised, family=frame), seed, order, blur)


def regression(data: Source, *, seed: int = 0, width: int = 48, blocks: int = 3, order: int = _ORDER,
               blur: float = 0.0) -> Model:
    """A model of clips that go on, whose frames are independent levels given the last frames; nothing of it learned yet.

    Args:
        data: of `read` or `cut`, with `past` and `next`.
        seed: of the initial weights.
        width, blocks: of the convolutions.
        order, blur: as of `model`.
    """
    frame = partial(Regression, net=partial(ConvolutionalMap, width=width, blocks=blocks, patch=2, still=True), width=16,
                    readers={"last": Moved()})
    change = partial(Change, family=frame, scale=_usual_change(data))
    return _model(data, partial(Dequantised, family=change), seed, order, blur)


def _usual_change(data: Source) -> float:
    """The root mean square change from frame to frame, the median of all, of levels in [-1, 1]: a cut is no usual change."""
    rows = next(data.batches(1024))
    clips = np.concatenate([rows["past"], rows["next"]], 1).astype(np.float32)
    each = (np.diff(clips, axis=1) ** 2).mean(tuple(range(2, clips.ndim))) ** 0.5
    return max(1.0, float(np.median(each))) * 2 / _TOP


def _model(data: Source, frame: Callable[..., Conditional], seed: int, order: int, blur: float) -> Model:
    """A model of videos by a family of frames."""
    x, *given = _given(data)
    before = next(data.batches(1))["past" if "past" in given else x].shape[1]
    family = partial(Markov, family=frame, order=min(order, before), after="past" if "past" in given else None, steps=1,
                     blur=blur)
    return model_of(f"p({quoted(x)} | {', '.join(map(quoted, given))})", data, codecs=_codecs(data), families={x: family},
                    seed=seed)


def drawn(model: Model, rows: Columns, n: int = 1, *, seed: int = 0) -> np.ndarray:
    """(n, rows, frames, height, width[, 3]) draws for every row, given its other columns.

    Args:
        model: of video.
        rows: with the columns that are given.
        n, seed: of the draws.
    """
    (factor,) = model.joint.declared
    y = {v.name: rows[v.name] for v in factor.parents}
    return np.asarray(model.given(y).sample(n, seed=seed)[factor.x.name])


@torch.no_grad()
def expected(model: Model, past: np.ndarray, frames: int) -> np.ndarray:
    """(n, frames, height, width[, 3]) float64 how clips go on by a regression, each frame the mean given the means before.

    Args:
        model: of `regression`.
        past: (n, frames, height, width[, 3]) as many as it learned to read, or more.
        frames: how many.
    """
    (chain,) = model.joint.declared
    assert isinstance(chain, Markov)
    window, found = past[:, -chain.order:], list[np.ndarray]()
    for _ in range(frames):
        last = Entries(torch.from_numpy(np.ascontiguousarray(window)).long().movedim(1, -1))
        found.append(chain.inner(Observed({chain.last.name: last})).mean().tensor.numpy().clip(0, _TOP))
        window = np.concatenate([window[:, 1:], found[-1][:, None].round().astype(np.uint8)], 1)
    return np.stack(found, 1)


def loss(model: Model, held: Source) -> float:
    """Held-out loss by which a family is chosen: the squared error of the mean of a few draws."""
    rows = next(held.batches(_ROWS))
    return mean_squared_error(rows[model.joint.declared[0].x.name], drawn(model, rows, _DRAWS).mean(0))


def measure(model: Model, test: Source) -> dict[str, float]:
    """The error of the mean of a few draws, the baseline's 1, and the sharpness of single draws, the data's 1."""
    rows = next(test.batches(_ROWS))
    (factor,) = model.joint.declared
    found, true = drawn(model, rows, _DRAWS), rows[factor.x.name]
    error = mean_squared_error(true, found.mean(0)) / mean_squared_error(true, _usual(rows, true))
    return {"error": error, "sharpness": sharpness(found) / sharpness(true), "PSNR, dB": psnr(true, found.mean(0))}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """The last frame that is given, or else the mean video."""
    rows = next(test.batches(_ROWS))
    x = "next" if "past" in rows else _names(test)[0]
    true, name = rows[x], "last frame" if "past" in rows else "mean video"
    same = _usual(rows, true) if "past" in rows else next(train.batches(1 << 12))[x].astype(np.float64).mean(0)[None]
    return {name: {"error": mean_squared_error(true, same) / mean_squared_error(true, _usual(rows, true)),
                   "sharpness": sharpness(same) / sharpness(true), "PSNR, dB": psnr(true, same)}}


def parted(data: Columns, share: float) -> tuple[Columns, Columns | None]:
    """The first rows, and the last ones, which are held out: one at least.

    Raises:
        UserError: a single row.
    """
    if not share:
        return data, None
    held = max(1, round(data.n * share))
    if held >= data.n:
        raise UserError(f"fit: {data.n} row is too few to hold out {share:.0%}; pass {way('held_out=0', '--held-out 0')}, or "
                        f"fewer {way('frames=', '--frames')} a row")
    return data.rows(slice(0, data.n - held)), data.rows(slice(data.n - held, None))


def _usual(rows: Columns, true: np.ndarray) -> np.ndarray:
    """What the error is a share of."""
    return rows["past"][:, -1:] if "past" in rows else true.astype(np.float64).mean(0)[None]


def _names(data: Source) -> list[str]:
    """The column of video, and the others.

    Raises:
        UserError: there is none, or several.
    """
    first = next(data.batches(64))
    films = [name for name, raw in first.items() if raw.dtype.kind in "biu" and raw.ndim > 3 and isinstance(infer(raw), Video)]
    named = [name for name in films if name == "video"] or films
    if len(named) != 1:
        raise UserError(f"video: expected a column of this name, or one of video, (frames, height, width[, 3]); got "
                        f"{' and '.join(named) or 'none'} among {', '.join(data.names)}")
    return [named[0], *(name for name in data.names if name != named[0])]


def _given(data: Source) -> list[str]:
    """The column that is drawn, and those that are given."""
    return ["next", "past"] if {"past", "next"} <= {*data.names} else _names(data)


def _codecs(data: Source) -> dict[str, Codec]:
    """Of video; and of what is given beside, of text of several words, and of maps of as many frames."""
    x, *given = _given(data)
    video = [name for name in (x, "past") if name in data.names]
    top = max(int(rows[name].max()) for rows in data.batches(1024) for name in video)  # of both alike
    levels = top + 1 if top < 128 else _TOP + 1
    first, found = next(data.batches(64)), dict[str, Codec]({name: Video(levels=levels) for name in video})
    for name in given:
        raw = first[name]
        if raw.dtype.kind in "OU" and all(isinstance(v, str) for v in raw.tolist()) and any(" " in v for v in raw.tolist()):
            found[name] = Text("words", unseen="error")
        elif raw.ndim == 4 and name != "past":
            found[name] = LabelMap()
    return found
