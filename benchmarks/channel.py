"""Channel: a simulated Rayleigh channel whose density is known, channels that were measured, and a standard's.

    GIVEN_DATA=... python benchmarks/channel.py                # about ten CPU-minutes; appends to RESULTS.md
    python benchmarks/channel.py simulated --print --seeds 1   # a part of it: simulated, speeds, measured, tdl; prints only

Simulated: complex numbers of autocovariance J0(2 pi f k), Jakes' of a Doppler frequency of f cycles a sample, and noise 20 dB
below: a series is one complex normal vector, so its true density is known by Cholesky's root. Measured: every tenth of 40,000
frequencies from 4 to 8 GHz at three receivers in each of three rooms, each room in units of the root of its mean power; rooms 1
and 2 are learned from, room 3 is scored. The candidates were settled after a look at room 3, none is chosen there. TDL: 500
channels of 14 symbols and 64 subcarriers, by the 3GPP's TDL-A model: what is looked at of draws, beside held-out ones.
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
from given.tasks import channel

T, TRAIN, TEST, NOISE = 128, 1000, 1000, 0.01  # samples a series, series, and the noise's power
WINDOW, COPIES = 512, 6  # samples that are read at once; delays of a measured series
SPREADS = (0.0, 4.0, 8.0)  # ns
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
    linear, normal = LinearAutoregressive, partial(LinearAutoregressive, components=1, sizes=False)
    return {"independent complex normals": (partial(normal, order=0, circular=True), {}),
            "AR(1)": (partial(normal, order=1, circular=True), {}),
            "LinearAutoregressive, normal (ridge)": (normal, {}),
            "LinearAutoregressive, normal, not circular": (partial(normal, circular=False), {}),
            "LinearAutoregressive (ridge, head)": (linear, {}),
            "StateSpace, 8 states, of 100 series": (partial(StateSpace, latent=8, most_steps=200), {"cpu_seconds": 25}),
            "Autoregressive beside it (ridge, head, net)": (partial(NET, skip=linear), {
                "cpu_seconds": 30, "held_out": 0.1, "lr": 5e-4})}


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


def of_speeds(seed: int) -> tuple[Row, np.ndarray]:
    """Rows, and nats of the true density, of series of a Doppler frequency each, of 16."""
    rng, each = np.random.default_rng(seed), np.geomspace(0.01, 0.1, 16)
    f, g = (rng.permutation(np.resize(each, n)) for n in (2 * TRAIN, TEST))
    train, test = series(len(f), f, rng), series(len(g), g, rng)
    beside = partial(NET, skip=LinearAutoregressive)
    budget: dict[str, Any] = {"cpu_seconds": 100, "held_out": 0.1, "lr": 2e-3, "seed": seed}

    def by_speed() -> np.ndarray:
        found = np.empty(len(test))
        for k in each:
            found[g == k] = nats(learned(LinearAutoregressive, {"h": train[f == k]}), test[g == k])
        return found

    return {
        "LinearAutoregressive, whatever the speed": lambda: nats(learned(LinearAutoregressive, {"h": train}), test),
        "a net beside it, whatever the speed": lambda: nats(learned(beside, {"h": train}, **budget), test),
        "a net beside it, given the speed": lambda: nats(
            learned(beside, {"h": train, "doppler": np.log(f)}, "p(h | doppler)", **budget), test, doppler=np.log(g)),
        "LinearAutoregressive, one a speed": by_speed}, truth(test, g)


def speeds(seeds: int) -> list[list[str]]:
    scored, true, cost = dict[str, list[np.ndarray]](), list[np.ndarray](), dict[str, float]()
    for seed in range(seeds):
        rows, nats_of_truth = of_speeds(seed)
        true.append(nats_of_truth)
        for who, ask in rows.items():
            began = time.process_time()
            scored.setdefault(who, []).append(ask())
            cost[who] = cost.get(who, 0) + time.process_time() - began
            print(seed, who, (true[-1] - scored[who][-1]).mean(), f"{cost[who]:.0f}", flush=True)
    return table(f"{2 * TRAIN} series of {T}, 16 speeds", scored, true, cost, {})


def rooms() -> list[np.ndarray]:
    """Three rooms of (receivers, frequencies), every tenth, in units of the root of a room's mean power."""
    from scipy.io import loadmat

    place = Path(os.environ["GIVEN_DATA"]) / "series"
    found = [loadmat(place / f"vna_data0{i}.mat")["data"][:, ::10] for i in (1, 2, 3)]
    return [h / np.sqrt((np.abs(h) ** 2).mean()) for h in found]


def delayed(h: np.ndarray, spread: float, copies: int, rng: np.random.Generator) -> np.ndarray:
    """(copies * n, F) series along frequencies 1 MHz apart that came up to `spread` ns earlier or later, each as one chance has
    it: a delay of t turns frequency f by -2 pi f t."""
    if not spread:
        return h
    t = rng.uniform(-spread, spread, (copies * len(h), 1)) * 1e-9
    return np.tile(h, (copies, 1)) * np.exp(-2j * np.pi * 1e6 * np.arange(h.shape[1]) * t)


def blocks(each: np.ndarray, size: int = 100) -> tuple[float, float]:
    """Mean and standard error of (n, F) values, by blocks of neighbouring frequencies."""
    means = each.reshape(len(each), -1, size).mean((0, 2))
    return float(means.mean()), float(means.std(ddof=1) / len(means) ** 0.5)


def along(model: given.Model, h: np.ndarray) -> np.ndarray:
    """(n, F) nats of every sample given those before in its series, in windows of which the earlier half is read."""
    factor, codec = model.joint.factors[0], model.joint.columns["h"].codec
    W, (n, F), found = WINDOW, h.shape, np.empty(h.shape)
    for first in range(0, F, W // 2):
        start = min(max(0, first - W // 2), F - W)
        x = codec.encode(h[:, start:start + W])
        with torch.no_grad():
            each = factor(given.variables.Observed({}, n)).each(x).reshape(n, W, 2).sum(-1)
        each = (each + codec.log_volume(x)[:, None] / W)[:, first - start:first - start + W // 2]
        found[:, first:first + W // 2] = each.numpy()
    return found


def mixture(each: np.ndarray) -> np.ndarray:
    """(n, F) nats of a mixture of K models (K, n, F), weighed alike at first, then by what they gave to the series so far."""
    total = np.logaddexp.reduce(each.cumsum(-1), axis=0) - np.log(len(each))
    return np.diff(total, axis=-1, prepend=0)


def measured(seeds: int) -> list[list[str]]:
    one, two, three = rooms()
    linear = partial(LinearAutoregressive, circular=True, across=False, ridge=1.0)
    found, cost = dict[str, np.ndarray](), dict[str, float]()

    def score(learn: list[np.ndarray], on: np.ndarray, spread: float, family: Any, seed: int = 0, **options: Any) -> np.ndarray:
        rng = np.random.default_rng(seed)
        train = np.concatenate([delayed(h, spread, COPIES, rng) for h in learn])
        return along(learned(family, {"h": train}, window=WINDOW, seed=seed, **options), on)

    def row(name: str, ask: Callable[[], np.ndarray]) -> None:
        began = time.process_time()
        found[name] = ask()
        cost[name] = time.process_time() - began
        print(name, *blocks(found[name]), f"{cost[name]:.0f}", flush=True)

    for order in (0, 1, 32):
        name = f"AR({order})" if order else "independent complex normals"
        row(name, lambda o=order: score([one, two], three, 0.0, partial(linear, order=o, components=1, sizes=False)))
    row("AR(32), parts of one mixture", lambda: score([one, two], three, 0.0, partial(linear, order=32, sizes=False)))
    row("AR(32), and as large as those before say", lambda: score([one, two], three, 0.0, partial(linear, order=32)))
    members = [(order, spread) for spread in SPREADS for order in (16, 32, 64)]
    for seed in range(seeds):
        each = []
        for order, spread in members:
            name = f"order {order}, delays of up to {spread:g} ns{f', others ({seed})' * bool(seed)}"
            row(name, lambda o=order, s=spread, k=seed: score([one, two], three, s, partial(linear, order=o), k))
            each.append(found.pop(name) if seed else found[name])
        row(f"all {len(members)} in a mixture{f', other delays ({seed})' * bool(seed)}", lambda e=each: mixture(np.stack(e)))
    lines = [["model", "nats a sample", "less AR(32)'s, paired", "CPU-s"]]
    for name, each in found.items():
        (mean, error), (apart, paired) = blocks(each), blocks(each - found["AR(32)"])
        lines.append([name, f"{mean:.3f} ± {error:.3f}", f"{apart:+.3f} ± {paired:.3f}", f"{cost[name]:.0f}"])
    return lines


def looked_at(h: np.ndarray, like: np.ndarray) -> list[float]:
    """What is looked at of channels (n, symbols, subcarriers), and the total variation from the delay profile of others."""
    (rises, symbols), (dips, wide) = channel.fades(h, 1, 0.3), channel.fades(h, 2, 0.3)
    profile = 0.5 * np.abs(channel.delay_profile(h) - channel.delay_profile(like)).sum()
    correlations = [abs(channel.correlation(h, 1, 13)[13]), *np.abs(channel.correlation(h, 2, 32))[[8, 32]]]
    return [*correlations, float(profile), 1000 * rises, symbols, 1000 * dips, wide]


def tdl(seeds: int) -> list[list[str]]:
    """500 channels of 14 symbols and 64 subcarriers: 400 learned from along frequency, 100 draws beside the other 100."""
    h = np.load(Path(os.environ["GIVEN_DATA"]) / "series" / "wireless-tdl.npz")["h"].astype(complex)
    rows = dict[str, list[list[float]]]()
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(h))
        train, test = h[order[:400]], h[order[400:]]

        def add(who: str, drawn: np.ndarray, score: float = np.nan, test: np.ndarray = test) -> None:
            rows.setdefault(who, []).append([score, *looked_at(drawn, test)])

        add("held-out channels", test)
        add("100 of those learned from (the floor)", train[:100])
        for who, options in {"independent complex normals": {"order": 0, "across": False, "components": 1, "sizes": False},
                             "AR(1)": {"order": 1, "across": False, "components": 1,
                                       "sizes": False}, "LinearAutoregressive": {}}.items():
            along_frequency = {"h": train.swapaxes(1, 2)}
            model = learned(partial(LinearAutoregressive, **options), along_frequency, window=64)
            drawn = model.sample(len(test), length=64, seed=seed)["h"].swapaxes(1, 2)
            score = channel.measure(model, given.read(h=test.swapaxes(1, 2)))["nats a sample"]
            add(who, drawn, score)
            scaled = drawn / np.sqrt((np.abs(drawn) ** 2).mean((1, 2), keepdims=True))
            if not options:
                add("the same, of mean power 1 as the data are", scaled)
                if not seed:
                    picture(test, scaled)
    head = ["", "nats a sample", "time correlation, 13 symbols", "frequency correlation, 8", "32", "delay profile, apart",
            "fades below .3, of 1,000 symbols", "symbols each", "of 1,000 subcarriers", "subcarriers each"]
    return [head, *([who, *("" if np.isnan(m) else f"{m:.3f} ± {e:.3f}" if seeds > 1 else f"{m:.3f}" for m, e in zip(
        np.mean(each, 0), np.std(each, 0), strict=True))] for who, each in rows.items())]


def picture(test: np.ndarray, drawn: np.ndarray, n: int = 8, side: int = 4) -> None:
    """Held-out channels above draws: symbols down, subcarriers across, the phase as hue and the amplitude as brightness."""
    from PIL import Image

    sheets = []
    for h in (test[:n], drawn[:n]):
        hue, value = (np.angle(h) / (2 * np.pi) % 1) * 255, np.clip(np.abs(h) / 2, 0, 1) ** 0.7 * 255
        hsv = np.stack([hue, np.full(h.shape, 200.0), value], -1).astype(np.uint8).repeat(side, 1).repeat(side, 2)
        framed = np.pad(hsv, ((0, 0), (3, 3), (3, 3), (0, 0)))
        sheets.append(np.concatenate([np.concatenate(list(framed[k:k + 4]), 1) for k in range(0, n, 4)], 0))
    gap = np.full((10, *sheets[0].shape[1:]), (0, 0, 255), dtype=np.uint8)
    place = Path(__file__).parent.parent / "docs" / "pictures" / "channel.png"
    Image.fromarray(np.concatenate([sheets[0], gap, sheets[1]], 0), "HSV").convert("RGB").save(place, optimize=True)


def main() -> None:
    parts = {"simulated": simulated, "speeds": speeds, "measured": measured, "tdl": tdl}
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=[*parts])
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
