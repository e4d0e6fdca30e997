"""Series: forecasts from rolling origins, hourly loads of a transformer and the load of a country.

    GIVEN_DATA=... python benchmarks/series.py           # some ten CPU-minutes; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/series.py --net     # and a net beside ridge, 300 CPU-seconds of learning, one seed
    GIVEN_DATA=... python benchmarks/series.py --quick   # prints only, every tenth origin; --print: prints only

ETTh1: 24 hours ahead of 7 columns, from every day of the last fifth. Germany: 28 days ahead, from every day of the last fifth.
Peers first: the value a season before, and ridge regression on lags of the column itself, a regression an hour ahead. Their
distributions are what they missed from all origins of the tenth before the last fifth, hour by hour and column by column, which
neither had learned from; then both learn from all before the last fifth. Lags and windows are chosen on that tenth, nothing on
the last fifth. Seeds are of the draws, and of the net; all else is solved.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.codecs import Number, Series
from given.evaluate import crps
from given.families import Autoregressive, LinearAutoregressive, SeasonalNaive
from given.nn import MinGRU

PATHS, SEEDS = 500, 3
LEVELS = np.arange(0.1, 0.95, 0.1)
Forecast = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Task:
    """A series (n, columns) to forecast `ahead` values, from every `every`-th moment of the last fifth; of ridge's lags and of
    our windows one is chosen."""

    title: str
    names: list[str]
    y: np.ndarray
    ahead: int
    every: int
    season: int
    lags: tuple[int, ...]
    windows: tuple[int, ...]

    def at(self, share: float) -> int:
        return int(share * len(self.y))

    def origins(self, first: float, last: float, every: int) -> np.ndarray:
        return np.arange(self.at(first), self.at(last) - self.ahead + 1, every)

    def after(self, origins: np.ndarray) -> np.ndarray:
        """(origins, ahead, columns)."""
        return self.y[origins[:, None] + np.arange(self.ahead)]


def ridge(task: Task, x: np.ndarray, lags: int, penalty: float = 10.0) -> Forecast:
    """(n, C) learned from -> forecasts (origins, ahead, C) of an array at origins."""
    mean, std, H = x.mean(0), x.std(0), task.ahead
    z = (x - mean) / std
    at = np.arange(lags, len(z) - H + 1)
    weights = []
    for c in range(z.shape[1]):
        X = np.concatenate([np.ones((len(at), 1)), z[at[:, None] - np.arange(1, lags + 1), c]], 1)
        weights.append(np.linalg.solve(X.T @ X + penalty * np.eye(lags + 1), X.T @ z[at[:, None] + np.arange(H), c]))

    def forecast(y: np.ndarray, origins: np.ndarray) -> np.ndarray:
        past = ((y - mean) / std)[origins[:, None] - np.arange(1, lags + 1)]
        found = [np.concatenate([np.ones((len(origins), 1)), past[..., c]], 1) @ weights[c] for c in range(y.shape[1])]
        return np.stack(found, -1) * std + mean

    return forecast


def naive(task: Task, x: np.ndarray) -> Forecast:
    """What was a season before."""
    return lambda y, origins: y[origins[:, None] + np.arange(task.ahead) % task.season - task.season]


def peer(task: Task, made: Callable[[np.ndarray], Forecast], first: float, last: float, origins: np.ndarray) -> np.ndarray:
    """Paths (n, origins, ahead, C): forecasts of what was learned up to `last`, beside what was missed from `first` on by what
    was learned up to there."""
    before = task.origins(first, last, 1)
    missed = task.after(before) - made(task.y[:task.at(first)])(task.y, before)
    some = np.linspace(0, len(before) - 1, min(len(before), 1000)).round().astype(int)
    return missed[some][:, None] + made(task.y[:task.at(last)])(task.y, origins)[None]


def learned(task: Task, family: Callable[..., given.conditional.Conditional], last: float, window: int,
            seed: int) -> given.Model:
    data = given.read(**{name: [task.y[:task.at(last), c]] for c, name in enumerate(task.names)})
    left = ", ".join(task.names)
    model = given.model(f"p({left})", data, families={left: family}, seed=seed,
                        codecs={name: Series(Number(), window=window) for name in task.names})
    model.fit(data, held_out=0, cpu_seconds=300, progress=False, seed=seed)
    return model


def drawn(task: Task, model: given.Model, origins: np.ndarray, window: int, seed: int, n: int = PATHS) -> np.ndarray:
    """(n, origins, ahead, C), some origins at a time."""
    parts = []
    for some in np.array_split(origins, max(1, len(origins) // 32)):
        past = {name: [task.y[max(0, o - window):o, c] for o in some] for c, name in enumerate(task.names)}
        found = model.forecast(past, task.ahead, n=n, seed=seed)
        parts.append(np.stack([found.paths[name] for name in task.names], -1))
    return np.concatenate(parts, 1)


def judged(task: Task, paths: np.ndarray, origins: np.ndarray, upto: float) -> dict[str, np.ndarray]:
    """Scores (origins,): weighted quantile loss, CRPS and energy score in standard deviations, coverage of 90 %, MASE."""
    true, y = task.after(origins), task.y[:task.at(upto)]
    scale, spread = np.abs(y[task.season:] - y[:-task.season]).mean(0), y.std(0)
    q, level = np.quantile(paths, LEVELS, axis=0), LEVELS[:, None, None, None]
    pinball = np.maximum(level * (true - q), (level - 1) * (true - q))
    loss = 2 * pinball.mean(0).sum(1) / np.abs(true).mean(0).sum(0)  # of an origin, as a share of all origins' mean
    n = len(paths)
    low, high = np.quantile(paths, [0.05, 0.95], axis=0)
    flat, aim = (paths / spread).reshape(n, len(true), -1), (true / spread).reshape(len(true), -1)
    half = n // 2
    apart = np.linalg.norm(flat[:half] - flat[half:2 * half], axis=-1).mean(0)
    energy = np.linalg.norm(flat - aim, axis=-1).mean(0) - 0.5 * apart
    return {"wQL": loss.mean(-1), "CRPS": (crps(true, paths) / spread).mean((1, 2)), "energy": energy,
            "cover 90 %": ((true >= low) & (true <= high)).mean((1, 2)),
            "MASE": (np.abs(np.median(paths, 0) - true) / scale).mean((1, 2))}


def error(differences: np.ndarray, overlap: int) -> float:
    """The standard error of a mean of values that go together over so many (Newey and West, 1987)."""
    off, n = differences - differences.mean(), len(differences)
    total = off @ off + 2 * sum((1 - k / overlap) * (off[k:] @ off[:-k]) for k in range(1, min(overlap, n)))
    return float(np.sqrt(max(total, 1e-30)) / n)


def run(task: Task, quick: bool, net: bool) -> list[list[str]]:
    origins = task.origins(0.8, 1.0, task.every * (10 if quick else 1))
    valid = task.origins(0.7, 0.8, task.every * 5)
    lags = min(task.lags, key=lambda p: judged(task, peer(task, partial(ridge, task, lags=p), 0.6, 0.7, valid), valid, 0.7)[
        "CRPS"].mean())

    def tried(window: int) -> float:
        model = learned(task, LinearAutoregressive, 0.7, window, 0)
        return float(judged(task, drawn(task, model, valid, window, 0, 100), valid, 0.7)["CRPS"].mean())

    window = task.windows[0] if len(task.windows) == 1 else min(task.windows, key=tried)
    linear = partial(LinearAutoregressive, across=None)
    plain, tails = partial(linear, sizes=False, components=1), partial(linear, sizes=False)
    beside = partial(Autoregressive, net=partial(MinGRU, width=64, layers=2), skip=LinearAutoregressive)
    rows: dict[str, Callable[[int], tuple[np.ndarray, given.Model | None]]] = {
        f"seasonal naive, {task.season}": lambda seed: (peer(task, partial(naive, task), 0.7, 0.8, origins), None),
        f"ridge, {lags} lags": lambda seed: (peer(task, partial(ridge, task, lags=lags), 0.7, 0.8, origins), None)}
    ours = {"SeasonalNaive": partial(SeasonalNaive, period=task.season), "autoregression by ridge, normal innovations": plain,
            "and a mixture of scales": tails, f"and sizes: LinearAutoregressive, window {window}": linear,
            **({"and a net beside it, 300 CPU-s": beside} if net else {})}

    def answered(family: Callable[..., given.conditional.Conditional], seed: int) -> tuple[np.ndarray, given.Model | None]:
        model = learned(task, family, 0.8, window, seed)
        return drawn(task, model, origins, window, seed), model

    rows |= {name: partial(answered, family) for name, family in ours.items()}
    found, lines = dict[str, dict[str, np.ndarray]](), []
    names = list(rows)
    for name, ask in rows.items():
        began, seeds, nats = time.process_time(), [], ""
        for seed in range(SEEDS if name in ours and family_is_solved(name) and not quick else 1):
            paths, model = ask(seed)
            seeds.append(judged(task, paths, origins, 0.8))
            if model is not None and not nats:
                rest = given.read(**{each: [task.y[task.at(0.8):, c]] for c, each in enumerate(task.names)})
                nats = f"{model.score(rest).items.sum() / (len(task.y) - task.at(0.8)):.3f}"
        found[name] = {key: np.mean([each[key] for each in seeds], 0) for key in seeds[0]}
        main = [each[name_of(task)].mean() for each in seeds]
        cells = [f"{each.mean():.4f}" for each in found[name].values()]
        cells[list(found[name]).index(name_of(task))] += f" ({min(main):.4f} to {max(main):.4f})" if len(main) > 1 else ""
        apart = [found[name][name_of(task)] - found[peer_name][name_of(task)] for peer_name in names[:2] if peer_name in found]
        paired = [f"{a.mean():+.4f} ± {error(a, -(-task.ahead // task.every) + 1):.4f}" if a.any() else "" for a in apart]
        lines.append([name, *cells, *(paired + ["", ""])[:2], nats, f"{(time.process_time() - began) / len(seeds):.0f}"])
        print(*lines[-1], sep=" | ", flush=True)
    less = [f"{name_of(task)} less {each.split(',')[0]}'s" for each in names[:2]]
    head = ["model", *found[names[0]], *less, "nats a moment", "CPU-s a seed"]
    return [head, *lines]


def family_is_solved(name: str) -> bool:
    return "net" not in name


def name_of(task: Task) -> str:
    return "wQL" if len(task.names) > 1 else "CRPS"


def tasks() -> list[Task]:
    folder = Path(os.environ["GIVEN_DATA"]) / "series"
    table = np.genfromtxt(folder / "ETTh1.csv", delimiter=",", names=True, usecols=range(1, 8))
    names = list(table.dtype.names)
    hourly = np.stack([table[name] for name in names], 1)
    with (folder / "opsd_germany_daily.csv").open() as file:
        load = np.array([[float(row["Consumption"])] for row in csv.DictReader(file)])
    return [Task("ETTh1, 24 hours ahead of 7 columns, every daily origin of the last fifth", names, hourly, 24, 24, 24,
                 (336,), (512, 1024)),
            Task("Germany's load, 28 days ahead, every daily origin of the last fifth", ["load"], load, 28, 1, 7,
                 (28, 56, 371), (256, 1024))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--net", action="store_true")
    parser.add_argument("--print", action="store_true", help="write no record")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    tables = {}
    for task in tasks():
        print(task.title, flush=True)
        tables[task.title] = run(task, asked.quick, asked.net)
    if not (asked.quick or asked.print):
        append("series", tables, {"seeds": str(SEEDS), "threads": "1", "paths": str(PATHS)})


if __name__ == "__main__":
    main()
