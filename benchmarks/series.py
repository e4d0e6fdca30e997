"""Series: rolling origins on ETTh1, 24 hours ahead of 7 columns, from every day of the last fifth.

    GIVEN_DATA=... python benchmarks/series.py          # about ten CPU-minutes; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/series.py --quick  # prints only, every tenth origin; --print: prints only

Peers first: the value a day before, and ridge regression on 336 lags of the column itself, a regression an hour ahead. Their
paths are their forecasts beside what they missed, hour by hour and column by column, from origins of the tenth before the last
fifth, which neither had learned from; then both learn from all before the last fifth. Nothing is chosen on the last fifth.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.codecs import Number, Series
from given.families import LinearAutoregressive, SeasonalNaive

LAGS, H, PATHS = 336, 24, 100
LEVELS = np.arange(0.1, 0.95, 0.1)
Forecast = Callable[[np.ndarray, np.ndarray], np.ndarray]


def ridge(x: np.ndarray, penalty: float = 10.0) -> Forecast:
    """(n, 7) learned from -> forecasts (origins, 24, 7) of an array at origins."""
    mean, std = x.mean(0), x.std(0)
    z = (x - mean) / std
    at = np.arange(LAGS, len(z) - H + 1)
    weights = []
    for c in range(z.shape[1]):
        X = np.concatenate([np.ones((len(at), 1)), z[at[:, None] - np.arange(1, LAGS + 1), c]], 1)
        weights.append(np.linalg.solve(X.T @ X + penalty * np.eye(LAGS + 1), X.T @ z[at[:, None] + np.arange(H), c]))

    def ahead(y: np.ndarray, origins: np.ndarray) -> np.ndarray:
        past = ((y - mean) / std)[origins[:, None] - np.arange(1, LAGS + 1)]
        found = [np.concatenate([np.ones((len(origins), 1)), past[..., c]], 1) @ weights[c] for c in range(y.shape[1])]
        return np.stack(found, -1) * std + mean

    return ahead


def naive(x: np.ndarray) -> Forecast:
    """What was a day before."""
    return lambda y, origins: y[origins[:, None] - H + np.arange(H)]


def peer(made: Callable[[np.ndarray], Forecast], y: np.ndarray, train: int, test: int, origins: np.ndarray) -> np.ndarray:
    """Paths (n, origins, 24, 7)."""
    before = np.arange(train, test - H + 1)
    missed = y[before[:, None] + np.arange(H)] - made(y[:train])(y, before)
    some = missed[np.linspace(0, len(missed) - 1, PATHS).round().astype(int)]
    return some[:, None] + made(y[:test])(y, origins)[None]


def ours(family: Callable[..., given.conditional.Conditional], names: list[str], y: np.ndarray, test: int,
         origins: np.ndarray, window: int = 512) -> tuple[np.ndarray, str]:
    """Paths (n, origins, 24, 7), and nats an hour of all of the last fifth."""
    data = given.read(**{name: [y[:test, c]] for c, name in enumerate(names)})
    model = given.model(f"p({', '.join(names)})", data, families={", ".join(names): family},
                        codecs={name: Series(Number(), window=window) for name in names})
    model.fit(data, held_out=0, cpu_seconds=300, progress=False)
    found = model.forecast({name: [y[max(0, o - window):o, c] for o in origins] for c, name in enumerate(names)}, H, n=PATHS)
    nats = model.score(given.read(**{name: [y[test:, c]] for c, name in enumerate(names)})).items.sum() / (len(y) - test)
    return np.stack([found.paths[name] for name in names], -1), f"{nats:.3f}"


def judged(paths: np.ndarray, true: np.ndarray, scale: np.ndarray, spread: np.ndarray) -> dict[str, np.ndarray]:
    """Scores (origins,): weighted quantile loss, CRPS and energy score in standard deviations, coverage of 90 %, MASE."""
    q = np.quantile(paths, LEVELS, axis=0)
    level = LEVELS[:, None, None, None]
    pinball = np.maximum(level * (true - q), (level - 1) * (true - q))
    loss = 2 * pinball.mean(0).sum(1) / np.abs(true).mean(0).sum(0)  # of an origin, as a share of all origins' mean
    z, t = paths / spread, true / spread
    ranked = np.sort(z, 0)
    n = len(z)
    pairs = (ranked * (2 * np.arange(1, n + 1) - n - 1)[:, None, None, None]).sum(0) / (n * (n - 1))
    crps = (np.abs(z - t).mean(0) - pairs).mean((1, 2))
    flat, aim = z.reshape(n, len(t), -1), t.reshape(len(t), -1)
    half = n // 2
    apart = np.linalg.norm(flat[:half] - flat[half:2 * half], axis=-1).mean(0)
    energy = np.linalg.norm(flat - aim, axis=-1).mean(0) - 0.5 * apart
    low, high = np.quantile(paths, [0.05, 0.95], axis=0)
    return {"wQL": loss.mean(-1), "CRPS": crps, "energy": energy, "cover 90 %": ((true >= low) & (true <= high)).mean((1, 2)),
            "MASE": (np.abs(np.median(paths, 0) - true) / scale).mean((1, 2))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--print", action="store_true", help="write no record")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    file = Path(os.environ["GIVEN_DATA"]) / "series" / "ETTh1.csv"
    table = np.genfromtxt(file, delimiter=",", names=True, usecols=range(1, 8))
    names = list(table.dtype.names)
    y = np.stack([table[name] for name in names], 1)
    test, train = int(0.8 * len(y)), int(0.7 * len(y))
    origins = np.arange(test, len(y) - H + 1, H)[::10 if asked.quick else 1]
    true = y[origins[:, None] + np.arange(H)]
    scale = np.abs(y[H:test] - y[:test - H]).mean(0)
    rows: dict[str, Callable[[], tuple[np.ndarray, str]]] = {
        "seasonal naive": lambda: (peer(naive, y, train, test, origins), ""),
        "ridge, 336 lags": lambda: (peer(ridge, y, train, test, origins), ""),
        "SeasonalNaive(period=24)": lambda: ours(partial(SeasonalNaive, period=24), names, y, test, origins),
        "LinearAutoregressive": lambda: ours(LinearAutoregressive, names, y, test, origins)}
    found, lines = dict[str, dict[str, np.ndarray]](), []
    for name, ask in rows.items():
        began = time.process_time()
        paths, nats = ask()
        found[name] = judged(paths, true, scale, y[:test].std(0))
        means = [f"{each.mean():.4f}" for each in found[name].values()]
        apart = found[name]["wQL"] - found["ridge, 336 lags"]["wQL"] if "ridge, 336 lags" in found else None
        paired = "" if apart is None else f"{apart.mean():+.4f} ± {apart.std(ddof=1) / len(apart) ** 0.5:.4f}"
        lines.append([name, *means, paired, nats, f"{time.process_time() - began:.0f}"])
        print(*lines[-1], sep=" | ", flush=True)
    if not (asked.quick or asked.print):
        head = ["model", *found["seasonal naive"], "wQL less ridge's, paired", "nats an hour", "CPU-s"]
        title = f"ETTh1, {H} hours ahead, {len(origins)} daily origins of the last fifth"
        append("series", {title: [head, *lines]}, {"seed": "0", "threads": "1", "paths": str(PATHS)})


if __name__ == "__main__":
    main()
