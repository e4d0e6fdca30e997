"""Tables: Adult, of mixed columns; breast_cancer and diabetes, of reals.

    GIVEN_DATA=... python benchmarks/tables.py            # about 15 minutes on one core; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/tables.py --quick    # prints only

Adult (tables/adult-train.csv and adult-test.csv below GIVEN_DATA): 10,000 rows by defaults, in nats a row above independent
columns through the same codecs, paired over test rows, and the wall time of questions. The two of reals: 70 % to learn
from, standardised by it, every column a plain density; against scikit-learn's GaussianMixture and zuko's flows, tuned or
stopped on a validation part of the 70 %.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.codecs import Number
from given.families import Independent
from given.variables import UserError

ADULT = ("age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain "
         "capital-loss hours-per-week native-country income").split()
SPLITS = range(10, 20)  # others than those the default was chosen on


def adult(part: str):
    """The official train or test part as columns; ? is missing."""
    folder = os.environ.get("GIVEN_DATA")
    if not folder:
        raise UserError("GIVEN_DATA: expected the folder that holds tables/adult-train.csv")
    with (Path(folder) / "tables" / f"adult-{part}.csv").open(newline="") as file:
        rows = [row for row in csv.reader(file, skipinitialspace=True) if len(row) == len(ADULT)]
    columns = {}
    for name, cells in zip(ADULT, zip(*rows, strict=True), strict=True):
        cells = [None if c == "?" else c.rstrip(".") for c in cells]
        columns[name] = [int(c) for c in cells] if all(c is not None and c.isdecimal() for c in cells) else cells
    return given.read(columns)


def mixed(seconds: float, seeds: int, rows: int = 10_000):
    """Adult: the margin over independent columns, and how long questions take."""
    everything, test = adult("train"), adult("test")
    table = [["seed", "independent, nats/row", "ours", "ours above it", "± s.e.", "CPU-s to fit", "steps",
              "given(age=30), 1,000 rows, s", 'given(income=">50K"), s', ">50K at 30: drawn", "counted"]]
    for seed in range(seeds):
        train = everything.rows(np.random.default_rng(seed).permutation(everything.n)[:rows])
        model = given.model(train, seed=seed)
        if not seed:
            print("\n".join(model.notes), model, sep="\n", flush=True)
        block = next(iter(model.joint)).x
        baseline = given.Model(Independent(block))
        baseline.fit(train, held_out=0)
        began = time.process_time()
        fit = model.fit(train, cpu_seconds=seconds, seed=seed)
        cpu = time.process_time() - began
        ours, theirs = model.log_prob(test), baseline.log_prob(test)
        d, took, rich = ours - theirs, [], ""
        for question in ({"age": 30}, {"income": ">50K"}):
            began = time.perf_counter()
            drawn = model.given(question).sample(1000, seed=seed)
            took.append(f"{time.perf_counter() - began:.2f}")
            rich = f"{np.mean(drawn['income'] == '>50K'):.3f}" if "age" in question else rich
        counted = np.mean(everything["income"][everything["age"] == 30] == ">50K")
        table.append([str(seed), f"{theirs.mean():.3f}", f"{ours.mean():.3f}", f"{d.mean():.3f}",
                      f"{d.std(ddof=1) / len(d) ** 0.5:.3f}", f"{cpu:.0f}", f"{fit.steps:,}", *took, rich, f"{counted:.3f}"])
        print(table[-1], flush=True)
    return table


def tuned_mixture(train, valid, seed):
    """scikit-learn's GaussianMixture, tuned on validation rows, then learned from both."""
    from sklearn.mixture import GaussianMixture

    best, choice = -np.inf, {}
    for kind in ("full", "tied", "diag"):
        for K in (1, 2, 3, 4, 6, 8, 12):
            for ridge in (1e-4, 1e-3, 1e-2, 1e-1):
                options = {"n_components": K, "covariance_type": kind, "reg_covar": ridge, "random_state": seed}
                score = GaussianMixture(**options).fit(train).score(valid)
                if score > best:
                    best, choice = score, options
    found = GaussianMixture(**choice).fit(np.concatenate([train, valid]))
    return found.score_samples


def zuko_flow(kind):
    """A flow of zuko's, its weights those best on validation rows."""
    def learn(train, valid, seed):
        import zuko

        torch.manual_seed(seed)
        a, b = (torch.tensor(rows, dtype=torch.float32) for rows in (train, valid))
        flow = getattr(zuko.flows, kind)(a.shape[1], transforms=3, hidden_features=(64, 64))
        optimiser = torch.optim.AdamW(flow.parameters(), lr=1e-3, weight_decay=1e-3)
        best, kept, since = -np.inf, None, 0
        for _ in range(400):
            for rows in torch.randperm(len(a)).split(64):
                optimiser.zero_grad()
                (-flow().log_prob(a[rows] + 0.05 * torch.randn(len(rows), a.shape[1]))).mean().backward()
                torch.nn.utils.clip_grad_norm_(flow.parameters(), 5)
                optimiser.step()
            with torch.no_grad():
                score = float(flow().log_prob(b).mean())
            since += 1
            if score > best:
                best, kept, since = score, {k: v.clone() for k, v in flow.state_dict().items()}, 0
            if since > 20:
                break
        flow.load_state_dict(kept)
        return lambda rows: flow().log_prob(torch.tensor(rows, dtype=torch.float32)).detach().numpy()

    return learn


def ours(train, valid, seed):
    """By defaults, from all rows."""
    def columns(rows):
        return {f"c{i}": rows[:, i] for i in range(rows.shape[1])}

    both = columns(np.concatenate([train, valid]))
    model = given.model(None, both, codecs={name: Number(whole=False) for name in both}, seed=seed)
    model.fit(both, seed=seed)
    return lambda rows: model.log_prob(columns(rows))


def reals(splits):
    """breast_cancer and diabetes: nats a row of the test part, standardised by the training part."""
    from sklearn.datasets import load_breast_cancer, load_diabetes

    table = [["data", "model", "mean nats/row", "± s.e. over splits", "mean of medians", "ours above it, paired", "splits",
              "CPU-s a split"]]
    rivals = {"ours by default": ours, "scikit-learn GaussianMixture, tuned": tuned_mixture, "zuko MAF": zuko_flow("MAF"),
              "zuko NSF": zuko_flow("NSF")}
    for name, data in (("breast_cancer", load_breast_cancer().data), ("diabetes", load_diabetes(scaled=False).data)):
        first: list[float] = []
        for who, learn in rivals.items():
            means, medians, began = [], [], time.process_time()
            some = splits if "zuko" not in who else splits[:3]  # slow
            for seed in some:
                order = np.random.default_rng(seed).permutation(len(data))
                cut = round(0.7 * len(data))
                mean, scale = data[order[:cut]].mean(0), data[order[:cut]].std(0)
                train, test = ((data[rows] - mean) / scale for rows in (order[:cut], order[cut:]))
                kept = round(0.85 * cut)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    scores = learn(train[:kept], train[kept:], seed)(test)
                means.append(float(scores.mean()))
                medians.append(float(np.median(scores)))
            first = first or means
            d = np.subtract(first[:len(means)], means)
            table.append([name, who, f"{np.mean(means):.2f}", f"{_error(means):.2f}", f"{np.mean(medians):.2f}",
                          f"{d.mean():+.2f} ± {_error(d):.2f}" if means is not first else "-", str(len(means)),
                          f"{(time.process_time() - began) / len(means):.1f}"])
            print(table[-1], flush=True)
    return table


def _error(values) -> float:
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--only", choices=("mixed", "reals"), help="one half; print, and record nothing")
    parser.add_argument("--seconds", type=float, default=180, help="CPU-seconds a fit of Adult")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    made = {}
    if arguments.only != "reals":
        made["adult"] = mixed(10, 1) if arguments.quick else mixed(arguments.seconds, 3)
    if arguments.only != "mixed":
        made["reals"] = reals(SPLITS[:2] if arguments.quick else SPLITS)
    if not arguments.quick and not arguments.only:
        append("tables", made, {"seeds": "0 to 2; splits 10 to 19", "threads": "1"})


if __name__ == "__main__":
    main()
