"""Scenes: boxes found in pictures, p(boxes | picture), and things with their intervals, p(things | picture).

    python benchmarks/detect.py           # 20 CPU-minutes of one thread; appends to RESULTS.md
    python benchmarks/detect.py --quick   # 20 CPU-seconds each and 50 pictures; prints, and records nothing

Learned from scenes rendered on the spot, others in every epoch; judged on 500 scenes of another seed (intervals on 200), and on
500 whose relations of colour, shape and place were never seen. Intervals are from the 5th to the 95th percentile of a thing's
place and radius over 200 draws of sets, of the things of its shape and colour, a number drawn evenly from its bin.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
import torch
from record import append

import given
from given.sources import Columns, Scenes
from given.tasks import detect

NAMES = ("shape", "colour", "x", "y", "radius", "texture")
DRAWS, BINS = 200, 512  # with 128 bins, of a quarter of a pixel, intervals could not be as narrow as what is known


def boxes(budget: dict[str, float], seed: int, n: int, save: str | None) -> list[list[str]]:
    """Mean IoU and right counts, beside trivial baselines."""
    data, columns = Scenes(4096), ("picture", "boxes")
    tests = {"seen": Scenes(n, seed=1000).only(columns), "unseen": Scenes(n, seed=1000, unseen=True).only(columns)}
    rows = [["what", "mean IoU", "right counts", "mean IoU, unseen", "right counts, unseen", "nats/picture", "CPU-s to learn"]]
    data = data.only(columns)
    found = {what: detect.baselines(data, test) for what, test in tests.items()}
    for name in found["seen"]:
        rows.append([name, *(f"{v:.3f}" for what in tests for v in found[what][name].values()), "", ""])
    model = detect.model(data, seed=seed)
    fit = model.fit(data, **budget, bfloat16=True, threads=1, seed=seed, progress=False, **detect.TRAINING)
    if save:
        model.save(f"{save}-boxes")
    own = [f"{v:.3f}" for test in tests.values() for v in detect.measure(model, test).values()]
    score = model.score(next(tests["seen"].batches(n)))
    rows.append(["likeliest symbols", *own, f"{score}".split(" nats")[0], f"{fit.cpu_seconds:.0f}"])
    return rows


def things(budget: dict[str, float], seed: int, n: int, save: str | None) -> list[list[str]]:
    """How rightly things are named, and how often their numbers lie in their intervals."""
    data, columns = Scenes(4096), ("picture", "things")
    test = next(Scenes(n, seed=1000).only(columns).batches(n))
    some = Columns({k: v[:200] for k, v in test.items()})
    model = detect.model(data.only(columns), seed=seed, of="things", bins=BINS)
    fit = model.fit(data, **budget, bfloat16=True, threads=1, seed=seed, progress=False, **detect.TRAINING)
    if save:
        model.save(f"{save}-things")
    likeliest = [[*row] for row in model.given(picture=test["picture"]).mode()["things"]]
    pairs = [(a, b) for true, row in zip(test["things"], likeliest, strict=True) for a, b in _nearest(true, row)]
    right = [np.mean([b is not None and a[i] == b[i] for a, b in pairs]) for i in (0, 1, 5)]
    both = np.mean([b is not None and a[:2] == tuple(b[:2]) for a, b in pairs])
    apart = [np.mean([abs(a[i] - b[i]) for a, b in pairs if b is not None]) for i in (2, 3, 4)]
    count = np.mean([len(a) == len(b) for a, b in zip(test["things"], likeliest, strict=True)])
    covered, width, absent = _intervals(model, some)
    return [["of the likeliest symbols", "share"], ["right counts", f"{count:.3f}"], ["shape and colour right", f"{both:.3f}"],
            *([f"{name} right", f"{share:.3f}"] for name, share in zip(("shape", "colour", "texture"), right, strict=True)),
            *([f"{name}: mean error, pixels", f"{error:.3f}"] for name, error in zip("x y radius".split(), apart, strict=True)),
            *([f"{name} in its 90 % interval, of {w:.2f} pixels on average", f"{share:.3f}"]
              for name, share, w in zip("x y radius".split(), covered, width, strict=True)),
            ["things of no draw, left out of intervals", f"{absent:.3f}"], ["CPU-s to learn", f"{fit.cpu_seconds:.0f}"]]


def _nearest(true: list[tuple], row: list[list]) -> list[tuple[tuple, list | None]]:
    """Every true thing with that found whose centre is nearest, each at most once; None where none is left."""
    pairs = sorted((np.hypot(a[2] - b[2], a[3] - b[3]), i, j) for i, a in enumerate(true) for j, b in enumerate(row))
    mine, its = dict[int, int](), set[int]()
    for _, i, j in pairs:
        if i not in mine and j not in its:
            mine[i] = j
            its.add(j)
    return [(a, row[mine[i]] if i in mine else None) for i, a in enumerate(true)]


def _intervals(model: given.Model, rows: Columns) -> tuple[np.ndarray, np.ndarray, float]:
    """Of x, y and radius the share within their intervals, and how wide these are; and of how many things there is no draw."""
    codec, rng = model.joint.columns["things"].codec, np.random.default_rng(0)
    bins = np.array([f.width for f in codec.fields[2:5]])
    drawn = model.given(picture=rows["picture"]).sample(DRAWS, seed=0)["things"]
    inside, wide, absent = [], [], 0
    for r, true in enumerate(rows["things"]):
        of = defaultdict(list)
        for items in drawn[:, r]:
            for item in items:
                of[item[0], item[1]].append(item[2:5])
        for thing in true:
            if len(of[thing[:2]]) < DRAWS // 10:
                absent += 1
                continue
            values = np.array(of[thing[:2]]) + (rng.random((len(of[thing[:2]]), 3)) - 0.5) * bins
            low, high = np.quantile(values, (0.05, 0.95), axis=0)
            inside.append((low <= thing[2:5]) & (np.array(thing[2:5]) <= high))
            wide.append(high - low)
    return np.mean(inside, 0), np.mean(wide, 0), absent / (absent + len(inside))


def main() -> None:
    """Both questions, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["boxes", "things"], help="of boxes, things")
    parser.add_argument("--seconds", type=float, default=600, help="CPU-seconds of learning each (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 CPU-seconds and 50 pictures; print, and record nothing")
    parser.add_argument("--minutes", type=float, help="of learning each, at most")
    parser.add_argument("--save", help="where to save what was learned, with the name of the question behind it")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name, measure in (("boxes", boxes), ("things", things)):
        if name in asked.what:
            began = time.process_time()
            budget = {"cpu_seconds": 20.0 if asked.quick else asked.seconds}
            budget |= {"minutes": asked.minutes} if asked.minutes else {}
            rows = measure(budget, asked.seed, 50 if asked.quick else 500, asked.save)
            print(*(" | ".join(row) for row in rows), f"{time.process_time() - began:.0f} CPU-s", sep="\n", flush=True)
            if not asked.quick:
                append(f"detect_{name}", {name: rows}, {"seed": f"{asked.seed}"})


if __name__ == "__main__":
    main()
