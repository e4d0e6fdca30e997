"""Predict: Adult's income from the other 14 columns, by trees of it alone and by the block that answers anything.

    GIVEN_DATA=... python benchmarks/predict.py            # about 10 CPU-minutes; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/predict.py --print    # prints only
    GIVEN_DATA=... python benchmarks/predict.py --blocks FOLDER    # keeps the blocks there, adult0.given, or measures those

10,000 rows of adult-train by seed, a tenth of which chooses between the two; adult-test once a seed. Peer: scikit-learn's
HistGradientBoostingClassifier of income alone, its defaults, categories as such.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from record import append
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from tables import adult

import given
from given.evaluate import reliability
from given.sources import Columns
from given.tasks import predict
from given.train import split


def block_of(train: Columns, seed: int, folder: str | None, seconds: float) -> tuple[given.Model, float]:
    """The default block of all columns, learned or as it was kept, and CPU-seconds."""
    place = None if folder is None else Path(folder) / f"adult{seed}.given"
    if place is not None and place.exists():
        model = given.load(place)
        return model, model.facts["fit"]["cpu_seconds"]
    model = given.model(train, seed=seed)
    done = model.fit(train, cpu_seconds=seconds, seed=seed, progress=False)
    if place is not None:
        model.save(place)
    return model, done.cpu_seconds


def peer(train: Columns, test: Columns, seed: int) -> np.ndarray:
    """(n,) the probability of more than 50K."""
    names = [name for name in train if name != "income"]
    levels = {name: {v: i for i, v in enumerate(dict.fromkeys(train[name].tolist()))} for name in names
              if train[name].dtype.kind in "OUS"}

    def table(rows: Columns) -> np.ndarray:
        return np.stack([np.array([levels[name].get(v, np.nan) for v in rows[name].tolist()]) if name in levels else
                         rows[name].astype(float) for name in names], 1)

    trees = HistGradientBoostingClassifier(categorical_features=[name in levels for name in names], random_state=seed)
    return trees.fit(table(train), train["income"] == ">50K").predict_proba(table(test))[:, 1]


def of_seed(seed: int, folder: str | None, seconds: float) -> dict[str, tuple[float, ...]]:
    everything, test = adult("train"), adult("test")
    train = everything.rows(np.random.default_rng(seed).permutation(everything.n)[:10_000])
    block, took = block_of(train, seed, folder, seconds)
    train, test = (next(predict.read(rows, target="income").batches(1 << 60)) for rows in (train, test))
    truth = test["income"] == ">50K"
    some, held = split(train, 0.1, seed)
    trees = predict.models(train, seed=seed)["BoostedTrees"]
    began = time.process_time()
    trees.fit(some, cpu_seconds=seconds, seed=seed, progress=False)
    chosen = predict.loss(trees, held)
    trees.fit(train, cpu_seconds=seconds, seed=seed, progress=False)
    found, cpu = {}, time.process_time() - began
    block.facts["target"] = "income"
    began = time.process_time()
    theirs = peer(train, test, seed)
    share = (train["income"] == ">50K").mean()
    p = {"income by itself": (np.full(test.n, share), 0.0, np.nan),
         "HistGradientBoostingClassifier": (theirs, time.process_time() - began, np.nan),
         "BoostedTrees, p(income | all others)": (predict.predict(trees, test)["p(>50K)"], cpu, -chosen),
         "any-order block": (predict.predict(block, test)["p(>50K)"], took, -predict.loss(block, held))}
    for name, (prob, seconds_, valid) in p.items():
        both = np.clip(np.stack([1 - prob, prob], 1), 1e-9, 1)
        off = reliability(both, truth.astype(int)).error
        found[name] = (roc_auc_score(truth, prob), log_loss(truth, both), off, valid, seconds_)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--print", action="store_true", help="write no record")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=100, help="CPU-seconds to learn one model")
    parser.add_argument("--blocks", metavar="FOLDER", help="of blocks learned before, or to keep")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    each = [of_seed(seed, asked.blocks, asked.seconds) for seed in range(asked.seeds)]
    lines = [["model", "ROC AUC of adult-test, by seed", "log loss", "calibration error", "log p of a tenth held out", "CPU-s"]]
    for name in each[0]:
        figures = [[one[name][k] for one in each] for k in range(5)]
        shown = [", ".join(f"{v:.4f}" for v in values if not np.isnan(v)) for values in figures[:4]]
        lines.append([name, *shown, f"{np.mean(figures[4]):.0f}"])
    for line in lines:
        print(*line, sep=" | ")
    if not asked.print:
        seeds = ", ".join(map(str, range(asked.seeds)))
        append("predict", {"adult": lines}, {"data": "Adult", "seeds": seeds, "threads": "1"})


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
