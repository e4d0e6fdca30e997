"""Referee: does what judges models keep its level, find what is there, and keep to its time?

    python benchmarks/referee.py            # some ten minutes on one core; appends to RESULTS.md
    python benchmarks/referee.py --quick    # prints only, a tenth of the pairs and seeds

Pairs of sets of rows: of one normal distribution, which a test at 5 % should reject in 5 %, and of two a shift of .2 standard
deviations apart in one column. Planted models: copies of digits learned from, pixels by themselves, and the truth of four
numbers. And every family of digits by `given.compare`, .2 minutes to learn each, one seed.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from record import append

import given
from given.evaluate import classifier_two_sample, mmd, wilson_interval
from given.families import Empirical, Gaussian, Independent

TESTS = {"classifier": classifier_two_sample, "MMD": mmd}


def rejected(test, pairs: int, n: int, D: int, shift: float = 0.0) -> list[str]:
    """The share of pairs that are told apart at 5 %, with its interval, and CPU seconds."""
    began, count = time.process_time(), 0
    for i in range(pairs):
        x, y = (np.random.default_rng(2 * i + k).normal(size=(n, D)) for k in (0, 1))
        y[:, 0] += shift
        count += test(x, y, seed=i, permutations=99).p_value <= 0.05
    low, high = wilson_interval(count, pairs)
    return [str(pairs), f"{n} x {D}", f"{shift:g}", f"{count / pairs:.2%}", f"{low:.1%} to {high:.1%}",
            f"{time.process_time() - began:.0f}"]


def correlated(seed: int, n: int = 400) -> dict[str, np.ndarray]:
    """Four numbers that go together."""
    x = np.random.default_rng(seed).normal(size=(n, 4))
    x[:, 1:] = 0.9 * x[:, :1] + 0.3 * x[:, 1:]
    return {name: x[:, i] for i, name in enumerate("abcd")}


def planted(seeds: int) -> list[list[str]]:
    """How often each planted model is called what it is."""
    digits, found = given.read("digits"), {"memorises": 0, "underfits": 0, "fits": 0}
    for seed in range(seeds):
        board = given.compare(digits, "image | label", families={"memorises": Empirical, "underfits": Independent},
                              minutes=0.02, seeds=1, seed=seed)
        truth = given.compare(correlated(seed), families={"fits": Gaussian}, minutes=0.02, seeds=1, seed=seed)
        for name in found:
            entrant = {**truth.entrants, **board.entrants}[name]
            found[name] += entrant.assessment.diagnosis.verdict == name
    what = {"memorises": "digits learned from, drawn again", "underfits": "pixels by themselves given the label",
            "fits": "the truth of four numbers"}
    return [["planted", "to be called", "called so"], *([what[k], k, f"{v} of {seeds}"] for k, v in found.items())]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    head = ["test", "pairs", "rows x columns of each", "shift", "rejected at 5 %", "95 % interval", "CPU-s"]
    rows = [[name, *rejected(test, 400 // (10 if quick else 1), *size)] for size in ((100, 3), (200, 1))
            for name, test in TESTS.items()]
    rows += [[name, *rejected(test, 40 // (4 if quick else 1), 1000, 1, 0.2)] for name, test in TESTS.items()]
    tables = {"Level and power": [head, *rows], "Planted models": planted(2 if quick else 20)}
    wall, cpu = time.perf_counter(), time.process_time()
    board = given.compare("digits", "image | label", minutes=0.02 if quick else 0.2, seeds=1)
    spent = f"{time.perf_counter() - wall:.0f} s of wall time and {time.process_time() - cpu:.0f} CPU-s in all"
    tables[f"All families of digits, .2 minutes each, {spent}"] = board.rows()
    for title, table in tables.items():
        print(title, *map(" | ".join, table), sep="\n", flush=True)
    if not quick:
        append("referee", tables, {"seeds": "from 0", "threads": str(torch.get_num_threads())})


if __name__ == "__main__":
    main()
