"""Channel: a simulated Rayleigh channel whose density is known, and channels that were measured.

    GIVEN_DATA=... python benchmarks/channel.py                # about ten CPU-minutes; appends to RESULTS.md
    python benchmarks/channel.py simulated --print --seeds 1   # a part of it: simulated, speeds, measured; prints only

Simulated: complex numbers of autocovariance J0(2 pi f k), Jakes' of a Doppler frequency of f cycles a sample, and noise 20 dB
below: a series is one complex normal vector, so its true density is known by Cholesky's root. Measured: every tenth of 40,000
frequencies from 4 to 8 GHz at three receivers in each of three rooms, each room in units of the root of its mean power; rooms 1
and 2 are learned from, room 3 is scored; nothing is chosen on room 3.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import append

import given
from given.codecs import Complex, Number, Series
from given.families import Autoregressive, LinearAutoregressive, StateSpace
from given.nn import MinGRU

T, TRAIN, TEST, NOISE = 128, 1000, 1000, 0.01  # samples a series, series, and the noise's power
DOPPLER = 0.05  # cycles a sample
Row = dict[str, Callable[[], Any]]


def bessel(x: np.ndarray) -> np.ndarray:
    """J0, by the mean of cos(x sin u) over 2,000 angles u, which is exact to rounding for x below some 1,000."""
    u = (np.arange(2000) + 0.5) * np.pi / 2000
    return np.stack([np.cos(each * np.sin(u)).mean() for each in np.ravel(x)]).reshape(np.shape(x))


def root(doppler: float) -> np.ndarray:
    """Cholesky's root (T, T) of the covariance of a series."""
    c = bessel(2 * np.pi * doppler * np.arange(T))
    c[0] += NOISE
    return np.linalg.cholesky(c[np.abs(np.subtract.outer(np.arange(T), np.arange(T)))])


def series(n: int, doppler: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n, T) complex series, of one Doppler frequency or of one each."""
    e = rng.normal(size=(n, T, 2)) @ [0.5**0.5, 0.5**0.5 * 1j]
    roots = {f: root(f) for f in np.unique(doppler)}
    return np.stack([roots[f] @ row for f, row in zip(np.broadcast_to(doppler, n), e, strict=True)])


def truth(h: np.ndarray, doppler: float | np.ndarray) -> np.ndarray:
    """(n,) nats a sample of the true density."""
    roots = {f: root(f) for f in np.unique(doppler)}
    found = []
    for f, row in zip(np.broadcast_to(doppler, len(h)), h, strict=True):
        e = np.linalg.solve(roots[f], row)
        found.append(-np.log(np.pi) - 2 * np.log(np.diag(roots[f])).mean() - (np.abs(e) ** 2).mean())
    return np.array(found)


def learned(family: Callable[..., Any], train: dict[str, Any], formula: str = "p(h)", window: int = T,
            **options: Any) -> given.Model:
    data = given.read(**train)
    codecs = {"h": Series(Complex(), window=window), **({"doppler": Number()} if "doppler" in train else {})}
    model = given.model(formula, data, codecs={k: v for k, v in codecs.items() if k in train}, families={"h": family})
    model.fit(data, progress=False, **{"held_out": 0, **options})
    return model


def nats(model: given.Model, h: Any, **given_: Any) -> np.ndarray:
    """(n,) nats a sample."""
    return model.score({"h": h, **given_}).items / np.array([len(item) for item in h])


NET = partial(Autoregressive, net=partial(MinGRU, width=64, layers=2))


def rows_of_simulated() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    linear = LinearAutoregressive
    return {"independent complex normals": (partial(linear, order=0, components=1, circular=True), {}),
            "AR(1)": (partial(linear, order=1, components=1, circular=True), {}),
            "LinearAutoregressive, normal (ridge)": (partial(linear, components=1), {}),
            "LinearAutoregressive, both parts apart": (partial(linear, components=1, circular=False), {}),
            "LinearAutoregressive (ridge, head)": (linear, {}),
            "StateSpace, 4 states": (partial(StateSpace, latent=4), {"cpu_seconds": 60}),
            "Autoregressive beside it (ridge, head, net)": (partial(NET, skip=linear), {
                "cpu_seconds": 60, "held_out": 0.1, "learning_rate": 3e-4})}


def table(name: str, scored: dict[str, list[np.ndarray]], true: list[np.ndarray], cost: dict[str, float],
          said: dict[str, str]) -> list[list[str]]:
    """Means over seeds, and how far below the truth, with the standard error over all series."""
    lines = [[name, "nats a sample", "below the truth", "by seed", "CPU-s", ""]]
    for who, each in {**scored, "the truth": true}.items():
        apart = np.concatenate(true) - np.concatenate(each)
        seeds = ", ".join(f"{(t - e).mean():.4f}" for t, e in zip(true, each, strict=True))
        lines.append([who, f"{np.concatenate(each).mean():.4f}", f"{apart.mean():.4f} ± {apart.std() / len(apart)**0.5:.4f}",
                      seeds, f"{cost.get(who, 0) / len(true):.0f}", said.get(who, "")])
    return lines


def simulated(seeds: int) -> list[list[str]]:
    scored, true, cost, said = dict[str, list[np.ndarray]](), [], dict[str, float](), dict[str, str]()
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        train, test = series(TRAIN, DOPPLER, rng), series(TEST, DOPPLER, rng)
        true.append(truth(test, DOPPLER))
        for who, (family, options) in rows_of_simulated().items():
            began = time.process_time()
            some = train[:100] if getattr(family, "func", family) is StateSpace else train
            model = learned(family, {"h": some}, seed=seed, **options)
            scored.setdefault(who, []).append(nats(model, test))
            cost[who] = cost.get(who, 0) + time.process_time() - began
            factor = model.joint.factors[0]
            if isinstance(factor, LinearAutoregressive):
                order, ridge, _, circular = factor.get_buffer("chosen").tolist()
                said[who] = f"order {order:g}, ridge {ridge:g}{', circular' * bool(circular)}"
            print(seed, who, scored[who][-1].mean(), (true[-1] - scored[who][-1]).mean(), cost[who], said.get(who), flush=True)
    return table(f"{TRAIN} series of {T}", scored, true, cost, said)


def main() -> None:
    parts = {"simulated": simulated}
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[*parts, []])
    parser.add_argument("--print", action="store_true", help="write no record")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for part in asked.parts or parts:
        lines = parts[part](asked.seeds)
        print(*(" | ".join(line) for line in lines), sep="\n", flush=True)
        if not asked.print:
            append("channel", {part: lines}, {"seeds": str(asked.seeds), "threads": "1"})


if __name__ == "__main__":
    main()
