"""Health: C-MAPSS FD001, the life that is left of 100 engines after the last cycle seen of each, capped at 125 as theirs is.

    GIVEN_DATA=... python benchmarks/health.py          # about four CPU-minutes; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/health.py --print  # prints only; --picture docs/pictures/health.png: draws

Of the 100 engines that ran to failure a tenth is held out, whole, in every seed: it ends learning early and gives the
regressions what they miss. All read the same features. Nothing is chosen on the test engines: of seven settings of the task
tried, those with the least CRPS on 20 to 40 of the 100 engines, left out, were taken.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import append

import given
from given.codecs import Number
from given.families import BoostedTrees, Regression
from given.nn import MLP
from given.sources import Columns
from given.tasks import health
from given.train import split

SEEDS, CPU_SECONDS, CAP, DRAWS = (0, 1, 2), 10.0, 125, 1000
FOLDER = Path(os.environ.get("GIVEN_DATA", "../shared/data")) / "series"


def test_rows() -> tuple[Columns, np.ndarray]:
    """What is shown of every test engine at its last cycle, and the life it has left."""
    each = health.machines(FOLDER / "test_FD001.txt").values()
    last = [{name: values[-1:] for name, values in health.shown(sensors, CAP).items()} for sensors in each]
    true = np.minimum(CAP, np.loadtxt(FOLDER / "RUL_FD001.txt"))
    rows = {name: np.concatenate([row[name] for row in last]) for name in last[0]}
    return Columns({"unit": np.arange(len(true)), "life": true.astype(int), **rows}), true


def flat(rows: Any) -> np.ndarray:
    """(n, F) all features."""
    names = [name for name in rows if name not in ("unit", "life")]
    return np.concatenate([np.asarray(rows[name], float).reshape(rows.n, -1) for name in names], 1)


def trees(train: Columns, held: Columns, test: Columns, seed: int) -> np.ndarray:
    """Draws of boosted trees of least squares, and what they miss on held-out engines."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    found = HistGradientBoostingRegressor(learning_rate=0.05, max_iter=150, max_leaf_nodes=8, min_samples_leaf=60,
                                          random_state=seed)
    found.fit(flat(train), train["life"])
    missed = np.quantile(held["life"] - found.predict(flat(held)), (np.arange(DRAWS) + 0.5) / DRAWS)
    return (found.predict(flat(test)) + missed[:, None]).clip(0, CAP)


def ours(family: Any, train: Columns, held: Columns, test: Columns, seed: int, atoms: bool = True) -> np.ndarray:
    """Draws of p(life | what is shown) by a family."""
    names = [name for name in test if name not in ("unit", "life")]
    model = given.model(f"p(life | {', '.join(names)})", train, codecs={"life": Number(atoms=(float(CAP),) * atoms)},
                        families={"life": family}, seed=seed)
    model.fit(train, held_out=held, seed=seed, cpu_seconds=CPU_SECONDS, progress=False, **health.TRAINING)
    drawn = model.given({name: test[name] for name in names}).sample(DRAWS, seed=seed)["life"]
    return np.asarray(drawn, float).clip(0, CAP)


def run(seed: int) -> dict[str, tuple[dict[str, float], list[float], float]]:
    """Of every row its scores, the squared error of every engine, and the processor time."""
    train, held = split(health.read(FOLDER / "train_FD001.txt"), 0.1, seed, together="unit")
    test, true = test_rows()
    wide = partial(Regression, width=64)
    makers = {
        "boosted trees (scikit-learn)": trees,
        "linear, mixture and atom": partial(ours, partial(wide, net=partial(MLP, hidden=()))),
        "net, one normal": partial(ours, partial(wide, net=partial(MLP, hidden=(64,), dropout=0.3)), atoms=False),
        "**net, mixture and atom** (task `health`)": partial(ours, partial(wide, net=partial(MLP, hidden=(64,), dropout=0.3))),
        "BoostedTrees": partial(ours, BoostedTrees),
    }
    found = {}
    for name, scores in health.baselines(train, test).items():
        found[name] = (scores, [scores["RMSE"] ** 2] * len(true), 0.0)
    for name, made in makers.items():
        began = time.process_time()
        drawn = made(train, held, test, seed)
        found[name] = (health.judged(true, drawn), ((drawn.mean(0) - true) ** 2).tolist(), time.process_time() - began)
        print(seed, name, found[name][0], f"{found[name][2]:.0f} CPU-s", flush=True)
    return found


def table(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Means over seeds; 95 % of the RMSE by drawing engines anew, and of what it is below ridge's."""
    rows = [["given all that was shown", "RMSE, by seed", "RMSE, 95 % over engines", "CRPS", "in 90 %", "CPU-s"]]
    pick = np.random.default_rng(0).integers(0, 100, (2000, 100))
    for name in runs[0]:
        each = [one[name] for one in runs]
        squares = np.mean([squares for _, squares, _ in each], 0)[pick].mean(1)
        low, high = np.sqrt(np.quantile(squares, [0.025, 0.975]))
        moved = name not in ("mean life", "ridge")
        rows.append([name, " ".join(f"{scores['RMSE']:.2f}" for scores, _, _ in each), f"{low:.1f} to {high:.1f}" * moved,
                     *(f"{np.mean([scores[what] for scores, _, _ in each]):.3g}" for what in ("CRPS", "in 90 %")),
                     f"{np.mean([seconds for _, _, seconds in each]):.0f}" * moved])
    return rows


def damages() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The index of damage, learned from the first 50 engines: theirs and the other 50's, from the cycle on that has a past."""
    each = health.machines(FOLDER / "train_FD001.txt")
    learned, others = ({unit: x for unit, x in each.items() if (unit <= 50) == first} for first in (True, False))
    own, found = ([v[~np.isnan(v)] for v in health.damage(some, learned).values()] for some in (learned, others))
    return own, found


def healthy(v: np.ndarray) -> np.ndarray:
    """Of an index that begins after twenty cycles, that of the first 30 % of a life."""
    return v[:max(0, round(0.3 * (len(v) + 20)) - 20)]


def index() -> list[list[str]]:
    """How early the other 50 engines are warned of."""
    learned, found = damages()
    ranks = [np.corrcoef(np.arange(len(v)), v.argsort().argsort())[0, 1] for v in found]
    rows = [["alarm where it passes what a share of healthy cycles of the learned have", "false alarms, a healthy cycle",
             "engines warned", "cycles before failure, median (least)", "rank correlation with the cycle, mean (least)"]]
    early = np.concatenate([healthy(v) for v in learned])
    for share in (0.01, 0.001):
        bar = np.quantile(early, 1 - share)
        calm = [healthy(v) for v in found]
        late = [v[len(c):] for v, c in zip(found, calm, strict=True)]
        lead = [len(v) - int((v > bar).argmax()) for v in late if (v > bar).any()]
        rows.append([f"{share:.1%}", f"{np.mean(np.concatenate(calm) > bar):.2%}", f"{len(lead)} of {len(found)}",
                     f"{np.median(lead):.0f} ({min(lead)})", f"{np.mean(ranks):.3f} ({min(ranks):.2f})"])
    return rows


def picture(path: Path) -> None:
    """Eight engines' index against the cycles that are left, on a logarithmic scale above 1 nat, and the bar of 1 %."""
    from PIL import Image, ImageDraw

    learned, found = damages()
    bar, W, H, L, B, most = np.quantile(np.concatenate([healthy(v) for v in learned]), 0.99), 900, 420, 60, 40, 250
    image = Image.new("RGB", (W, H), "white")
    pen = ImageDraw.Draw(image)

    def at(left: float, nats: float) -> tuple[float, float]:
        up = np.arcsinh(np.clip(nats, -1, 300)) / np.arcsinh(300)
        return L + (W - L - 15) * (1 - left / most), H - B - (H - B - 15) * (up + 0.15) / 1.15

    for nats in (0, 1, 3, 10, 30, 100, 300):
        pen.line([at(most, nats), at(0, nats)], fill="#dddddd")
        pen.text((12, at(0, nats)[1] - 6), f"{nats} nats", fill="#333333")
    for left in range(0, most + 1, 50):
        pen.text((at(left, 0)[0] - 8, H - B + 8), f"{left}", fill="#333333")
    pen.text((W // 2 - 60, H - 16), "cycles before failure", fill="#333333")
    for x in range(L, W - 15, 12):
        pen.line([(x, at(0, bar)[1]), (x + 6, at(0, bar)[1])], fill="#cc3333", width=2)
    for v, colour in zip(found[::6], ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#17becf"),
                         strict=False):
        left = np.arange(len(v))[::-1]
        pen.line([at(a, b) for a, b in zip(left[20:], v[20:], strict=True) if a <= most], fill=colour, width=2)
    image.save(path)


def write(runs: list[dict[str, Any]], recorded: bool) -> None:
    """The tables, printed or recorded."""
    tables = {"remaining-life": table(runs), "damage": index()}
    if recorded:
        append("health", tables, {"data": "C-MAPSS FD001", "threads": "1", "seeds": " ".join(map(str, SEEDS)),
                                  "measure": "cycles, life capped at 125; intervals and CRPS of 1,000 draws"})
        return
    print("\n".join(" | ".join(row) for each in tables.values() for row in each))


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--print", action="store_true")
    parser.add_argument("--picture", type=Path, help="draw the index of some engines there, and nothing else")
    asked = parser.parse_args()
    if asked.picture:
        picture(asked.picture)
    else:
        write([run(seed) for seed in SEEDS], not asked.print)
