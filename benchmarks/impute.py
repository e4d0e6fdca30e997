"""Impute: three cells in ten of held-out rows hidden at random, filled by p(missing | seen), scikit-learn, mean and mode.

    GIVEN_DATA=... python benchmarks/impute.py            # about 20 CPU-minutes; appends to RESULTS.md; --print: prints only
    GIVEN_DATA=... python benchmarks/impute.py --blocks FOLDER    # Adult's blocks of benchmarks/predict.py

Adult: 10,000 rows of adult-train by seed, 200 of adult-test (--rows). breast_cancer: 70 % to learn from by seed, the rest to
test on.
Peer: IterativeImputer (BayesianRidge) of numbers and of indicators of categories, of which the largest is taken.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
import torch
from predict import block_of
from record import append
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from tables import adult

import given
from given.sources import Columns
from given.tasks import impute
from given.verbs.holes import present

NUMBERS = "iuf"


def peer(train: Columns, test: Columns, gone: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """What IterativeImputer puts into what is hidden: column -> (rows,)."""
    words = {name: [v for v in dict.fromkeys(train[name].tolist()) if v is not None] for name in gone
             if train[name].dtype.kind not in NUMBERS}

    def table(rows: Columns, off: dict[str, np.ndarray] | None) -> np.ndarray:
        parts = []
        for name in gone:
            values = rows[name].astype(float)[:, None] if name not in words else np.array(
                [[float(v == word) if v is not None else np.nan for word in words[name]] for v in rows[name].tolist()])
            parts.append(values if off is None else np.where(off[name][:, None], np.nan, values))
        return np.concatenate(parts, 1)

    x = table(train, None)
    mean, scale = np.nanmean(x, 0), np.where(np.nanstd(x, 0) > 0, np.nanstd(x, 0), 1)
    filler = IterativeImputer(random_state=seed).fit((x - mean) / scale)
    filled = filler.transform((table(test, gone) - mean) / scale) * scale + mean
    found, at = {}, 0
    for name in gone:
        width = len(words[name]) if name in words else 1
        part, at = filled[:, at:at + width], at + width
        found[name] = np.array([words[name][k] for k in part.argmax(1)], dtype=object) if name in words else part[:, 0]
    return found


def plain(train: Columns, test: Columns, names: list[str]) -> dict[str, np.ndarray]:
    """Means and modes."""
    return {name: np.full(test.n, train[name].astype(float).mean()) if train[name].dtype.kind in NUMBERS else
            np.full(test.n, Counter(v for v in train[name].tolist() if v is not None).most_common(1)[0][0], dtype=object)
            for name in names}


def ours(model: given.Model, test: Columns, gone: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Means of draws, and most frequent ones."""
    holed = Columns({name: np.where(gone[name], None, test[name].astype(object)) for name in gone})
    drawn = model.complete(holed, n=100, seed=seed)
    return {name: drawn[name].astype(float).mean(0) if test[name].dtype.kind in NUMBERS else
            np.array([Counter(each).most_common(1)[0][0] for each in drawn[name].T.tolist()], dtype=object) for name in gone}


def errors(found: dict[str, np.ndarray], train: Columns, test: Columns,
           gone: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of every hidden number its squared error, in variances of what was learned from, and of every category whether it is
    right; in the same order for all."""
    squares, right = [np.zeros(0)], [np.zeros(0)]
    for name, off in gone.items():
        if test[name].dtype.kind in NUMBERS:
            squares.append(((found[name] - test[name].astype(float))[off] / train[name].astype(float).std()) ** 2)
        else:
            right.append((found[name][off] == test[name][off]).astype(float))
    return np.concatenate(squares), np.concatenate(right)


def of_seed(data: str, seed: int, folder: str | None, seconds: float, rows: int) -> tuple[dict, dict]:
    """Errors of every way, and what is said of ours and of independent columns."""
    rng = np.random.default_rng(seed)
    if data == "adult":
        everything, test = adult("train"), adult("test")
        train = everything.rows(rng.permutation(everything.n)[:10_000])
        test = test.rows(rng.permutation(test.n)[:rows])
        model, _ = block_of(train, seed, folder, seconds)
    else:
        whole = next(given.read("breast_cancer").batches(1 << 60))
        order = rng.permutation(whole.n)
        train, test = whole.rows(order[:400]), whole.rows(order[400:])
        model = impute.model(train, seed=seed)
        model.fit(train, cpu_seconds=seconds, seed=seed, progress=False)
    names = [name for name in model.joint.columns if name in test]
    gone = impute.hidden(test, names, seed)
    gone = {name: off & present(test[name]) for name, off in gone.items()}
    ways = {"mean, mode": plain(train, test, names), "IterativeImputer": peer(train, test, gone, seed), "task impute":
            ours(model, test, gone, seed)}
    _, independent = model.baseline(train)
    said = {who: impute.judged(each, test, gone) for who, each in (("mean, mode", independent), ("task impute", model))}
    return {who: errors(each, train, test, gone) for who, each in ways.items()}, said


def table(data: str, seeds: int, folder: str | None, seconds: float, rows: int) -> list[list[str]]:
    each = [of_seed(data, seed, folder, seconds, rows) for seed in range(seeds)]
    lines = [["way", "RMSE/sd of numbers, by seed", "squared error less ours", "accuracy of categories, by seed", "less ours",
              "log p/cell, nats", "in intervals of 90 %"]]
    for who in each[0][0]:
        squares, right = ([one[0][who][k] for one in each] for k in range(2))
        less = [_paired([one[0][who][k] - one[0]["task impute"][k] for one in each]) for k in range(2)]
        own = [one[1][who] for one in each if who in one[1]]
        rmse, accuracy = [np.sqrt(v.mean()) for v in squares], [v.mean() for v in right if len(v)]
        nats, covered = ([one[what].mean() for one in own] for what in ("log p", "covered"))
        lines.append([who, _by_seed(rmse), less[0], _by_seed(accuracy), less[1], _by_seed(nats), _by_seed(covered)])
    return lines


def _by_seed(values: list[float]) -> str:
    return ", ".join(f"{v:.3f}" for v in values)


def _paired(parts: list[np.ndarray]) -> str:
    off = np.concatenate(parts)
    return f"{off.mean():+.4f} ± {off.std(ddof=1) / len(off) ** 0.5:.4f}" if len(off) and off.any() else ""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--print", action="store_true", help="write no record")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", choices=["adult", "breast_cancer"])
    parser.add_argument("--rows", type=int, default=200, help="of adult-test")
    parser.add_argument("--seconds", type=float, default=100, help="CPU-seconds to learn one model")
    parser.add_argument("--blocks", metavar="FOLDER", help="of blocks learned before, or to keep")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    tables = {data: table(data, asked.seeds, asked.blocks, asked.seconds, asked.rows) for data in ("breast_cancer", "adult")
              if asked.data in (None, data)}
    for line in (line for lines in tables.values() for line in lines):
        print(*line, sep=" | ")
    if not asked.print:
        seeds = ", ".join(map(str, range(asked.seeds)))
        append("impute", tables, {"data": "Adult, breast_cancer", "seeds": seeds, "threads": "1"})


if __name__ == "__main__":
    main()
