"""Gaps: values removed from the last fifth of a series, at random and in blocks, and filled.

    GIVEN_DATA=... R_DATASETS=... python benchmarks/gaps.py    # appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/gaps.py --quick    # prints only: monthly and daily series, one seed of masks

30 % of the last fifth are removed; all are learned from the first four fifths, ours of all of these or with 30 %
removed too. R_DATASETS has R's co2.csv and nottem.csv. Peers: a line between the ends of a gap, and the last value; a removed
value is normal around them with the
deviation that they have, on the first four fifths with values removed alike, at its distance from the nearest end, or the last.
Scores are of every removed value by itself, given all that is left: RMSE and nats in standard deviations, coverage of 90 %.
Differences are paired; their standard errors are over sixteen stretches of the fifth, of means over seeds of masks.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.codecs import Number, Series
from given.distributions import Bridge
from given.families import LinearAutoregressive
from given.variables import Entries

SHARE, SEEDS, FAR = 0.3, 3, 60
Scores = tuple[np.ndarray, np.ndarray, np.ndarray]  # squares, nats, whether covered; NaN where nothing was removed


def removed(shape: tuple[int, int], block: int, seed: int) -> np.ndarray:
    """(n, C) bool, the share of the values: single ones, or blocks of moments of a column."""
    rng, found = np.random.default_rng(seed), np.zeros(shape, dtype=bool)
    while found.mean() < SHARE:
        at = rng.integers(0, shape[0] - block + 1), rng.integers(shape[1])
        found[at[0]:at[0] + block, at[1]] = True
    return found


def line(y: np.ndarray, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a line between the ends of its gap has at every value (n,), and how far the nearest end is."""
    at, seen = np.arange(len(y)), np.flatnonzero(~gone)
    return np.interp(at, seen, y[seen]), np.abs(at[:, None] - seen).min(1)


def last(y: np.ndarray, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at, seen = np.arange(len(y)), np.flatnonzero(~gone)
    before = seen[np.maximum(np.searchsorted(seen, at, side="right") - 1, 0)]
    return y[before], np.abs(at - before)


def peer(fill, z: np.ndarray, split: int, masks: list[np.ndarray], block: int) -> Scores:
    parts = []
    for c in range(z.shape[1]):
        off, far = [], []
        for seed in range(8):
            gone = removed((split, z.shape[1]), block, 100 + seed)[:, c]
            mean, distance = fill(z[:split, c], gone)
            off.append((z[:split, c] - mean)[gone])
            far.append(distance[gone])
        off, far = np.concatenate(off), np.concatenate(far)
        deviation = np.array([np.sqrt(np.mean(off[np.abs(far - d) <= d // 4] ** 2)) if (np.abs(far - d) <= d // 4).sum() > 20
                              else np.nan for d in range(1, FAR)])
        deviation = np.interp(np.arange(FAR), 1 + np.flatnonzero(~np.isnan(deviation)), deviation[~np.isnan(deviation)])
        each = [fill(z[split:, c], gone[:, c]) for gone in masks]
        parts.append([(mean, deviation[np.minimum(distance, FAR - 1)]) for mean, distance in each])
    means = np.stack([np.stack([m for m, _ in part]) for part in parts], -1)[None]
    return scored(z[split:], means, np.stack([np.stack([s for _, s in part]) for part in parts], -1)[None], masks)


def scored(true: np.ndarray, mean: np.ndarray, deviation: np.ndarray, masks: list[np.ndarray]) -> Scores:
    """Of mixtures of K normals (K, masks, n, C)."""
    off = (true - mean) / deviation
    nats = np.logaddexp.reduce(-0.5 * off**2 - np.log(deviation) - 0.5 * math.log(2 * math.pi), 0) - math.log(len(off))
    below = torch.special.ndtr(torch.as_tensor(off)).mean(0).numpy()
    found = (true - mean.mean(0)) ** 2, nats, (np.abs(below - 0.5) < 0.45).astype(float)
    return tuple(np.where(np.stack(masks), each, np.nan) for each in found)  # type: ignore[return-value]


def ours(z: np.ndarray, split: int, masks: list[np.ndarray], holed: np.ndarray | None) -> tuple[Scores, str]:
    C, first = z.shape[1], z[:split].copy()
    if holed is not None:
        first[holed] = np.nan
    names = [f"c{c}" for c in range(C)]
    data = given.read(**{name: [first[:, c]] for c, name in enumerate(names)})
    left = ", ".join(names)
    model = given.model(f"p({left})", data, families={left: LinearAutoregressive},
                        codecs={name: Series(Number(missing="unknown")) for name in names})
    model.fit(data, held_out=0, progress=False)
    factor, part = next(iter(model.joint)), z[split:]
    codecs = [model.joint.columns[name].codec for name in names]
    W = min(codecs[0].space.axes[0].size, len(part))
    starts = sorted({*range(0, len(part) - W, max(1, W // 2)), len(part) - W})
    means, deviations = (np.zeros((16, len(masks), *part.shape)) for _ in range(2))
    for m, gone in enumerate(masks):
        for i, start in enumerate(starts):
            keep = slice(0 if i == 0 else start + W // 4, len(part))
            at = np.arange(start, start + W)
            seen = {name: (part[at, c], ~gone[at, c]) for c, name in enumerate(names)}
            evidence = {name: encoded(codec, *seen[name]) for name, codec in zip(names, codecs, strict=True)}
            law = model.joint.distribution(factor, {}, 1).condition(model.joint.x(factor, evidence))
            assert isinstance(law, Bridge)
            mean, deviation = law.each_entry
            size = law.space.dimensions // C
            for c, codec in enumerate(codecs):
                unit = codec.of.decode(Entries(torch.tensor([0.0, 1.0]).double()))
                scale, own = float(unit[1] - unit[0]), slice(c * size, c * size + W)
                k = slice(max(keep.start, start) - start, W)
                means[:, m, at[k], c] = (float(unit[0]) + scale * mean[:, 0, own].numpy())[:, k]
                deviations[:, m, at[k], c] = (scale * deviation[:, 0, own].numpy())[:, k]
    deviations = np.where(deviations > 0, deviations, 1.0)
    return scored(part, means, deviations, masks), f"{type(factor).__name__}, window {W}"


def encoded(codec: Series, values: np.ndarray, seen: np.ndarray) -> Entries:
    size = codec.space.axes[0].size
    x = codec.of.encode(values)
    full = torch.zeros(1, size, dtype=torch.float64)
    full[0, :len(values)] = x.tensor.double()
    there = torch.zeros(1, size, dtype=torch.bool)
    there[0, :len(values)] = torch.as_tensor(seen)
    return Entries(full, there)


def apart(a: np.ndarray, b: np.ndarray, stretches: int = 16) -> str:
    """The mean of a - b, and its standard error over stretches of time."""
    each = [np.nanmean(part) for part in np.array_split(a - b, stretches, axis=1) if not np.isnan(part).all()]
    return f"{np.nanmean(a - b):+.3f} ± {np.std(each, ddof=1) / math.sqrt(len(each)):.3f}"


def run(z: np.ndarray, block: int, seeds: int) -> list[list[str]]:
    split = int(0.8 * len(z))
    masks = [removed(z[split:].shape, block, seed) for seed in range(seeds)]
    rows: dict[str, partial] = {
        "a line between": partial(peer, line, z, split, masks, block),
        "the last value": partial(peer, last, z, split, masks, block),
        "ours": partial(ours, z, split, masks, None),
        "ours, learned of 70 %": partial(ours, z, split, masks, removed((split, z.shape[1]), block, 50))}
    found, lines = dict[str, Scores](), []
    for name, ask in rows.items():
        began, answer = time.process_time(), ask()
        (found[name], what) = answer if len(answer) == 2 else (answer, "")
        squares, nats, covered = found[name]
        gains = [apart(nats, found[peer_name][1]) if name != peer_name and name.startswith("ours") else ""
                 for peer_name in ("a line between", "the last value")]
        errors = [apart(squares, found[peer_name][0]) if name.startswith("ours") else "" for peer_name in list(rows)[:2]]
        lines.append([f"{name} ({what})" if what else name, f"{math.sqrt(np.nanmean(squares)):.3f}", f"{np.nanmean(nats):.3f}",
                      f"{100 * np.nanmean(covered):.1f}", *errors, *gains, f"{time.process_time() - began:.0f}"])
        print(*lines[-1], sep=" | ", flush=True)
    return [["filled by", "RMSE", "nats a value", "coverage of 90 %", "squares less the line's", "less the last value's",
             "nats less the line's", "less the last value's", "CPU-s"], *lines]


def series(quick: bool) -> dict[str, tuple[np.ndarray, int]]:
    folder = Path(os.environ["GIVEN_DATA"]) / "series"
    found = {}
    with (folder / "opsd_germany_daily.csv").open() as file:
        found["Germany's load, daily"] = np.array([[float(row["Consumption"])] for row in csv.DictReader(file)]), 14
    for name in ("co2", "nottem"):
        path = Path(os.environ.get("R_DATASETS", ".")) / f"{name}.csv"
        with path.open() as file:
            found[f"{name}, monthly"] = np.array([[float(row[name])] for row in csv.DictReader(file)]), 12
    if not quick:
        table = np.genfromtxt(folder / "ETTh1.csv", delimiter=",", names=True, usecols=range(1, 8))
        found["ETTh1, hourly, 7 columns"] = np.stack([table[name] for name in table.dtype.names], 1), 24
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    tables, seeds = {}, 1 if asked.quick else SEEDS
    for title, (y, block) in series(asked.quick).items():
        first = y[:int(0.8 * len(y))]
        z = (y - first.mean(0)) / first.std(0)
        for how, size in (("at random", 1), (f"in blocks of {block}", block)):
            print(title, how, flush=True)
            tables[f"{title}, removed {how}"] = run(z, size, seeds)
            if not asked.quick:
                append("gaps", {f"{title}, removed {how}": tables[f"{title}, removed {how}"]}, {
                    "seeds of masks": str(seeds), "threads": "1", "processor": "Intel Xeon, two shared cores"})


if __name__ == "__main__":
    main()
