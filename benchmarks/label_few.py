"""Few labels: p(label) p(image | label) of digits, two labels a class, the other rows without; against the same model of the
labelled rows alone, and classifiers of scikit-learn of these.

    python benchmarks/label_few.py            # half an hour on one core; appends to RESULTS.md
    python benchmarks/label_few.py --quick    # prints only

Each draw of labels splits the 1,797 digits of scikit-learn into 1,297 to learn from and 500 to test on. The table is of draws
0 to 9.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from record import append
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import given
from given.codecs import Label, Number
from given.families import Categorical, Gaussian

# On draws 100 to 104, of shrinkage .1, .3, .6 and 1, 10, 50 pooled rows: the best for all rows, and for the labelled alone.
FAMILIES = {
    "Gaussian, shrinkage .1, 1 pooled row": partial(Gaussian, pooled=1.0, shrinkage=0.1),
    "Gaussian, shrinkage .6, 10 pooled rows": partial(Gaussian, pooled=10.0, shrinkage=0.6),
}


def draw(seed: int, labels: int):
    """Rows to learn from, their labels where known, the same rows' labels, and rows to test on with theirs."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[:-500], order[-500:]
    known = np.full(len(train), None, dtype=object)
    for k in range(10):
        for row in np.flatnonzero(y[train] == k)[:labels]:
            known[row] = int(k)
    return X[train], known, X[test], y[test]


def accuracy(family, X, labels, test, truth) -> float:
    data = {"image": X, "label": labels}
    model = given.model("p(label) p(image | label)", data, codecs={"image": Number(), "label": Label(missing="unknown")},
                        families={"label": Categorical, "image": family})
    model.fit(data, held_out=0, cpu_seconds=300, progress=False)  # not by wall time, of cores that others share
    return float((model.given(image=test).mode()["label"] == truth).mean())


def main(quick: bool) -> None:
    table = [["labels a class", "learned from", "model", "accuracy", "± s.e.", "above logistic regression, paired",
              "above the best Gaussian of the labelled alone, paired"]]
    for labels in (2, 5):
        found: dict[tuple[str, str], list[float]] = {}
        for seed in range(3 if quick else 10):
            X, known, test, truth = draw(seed, labels)
            some = np.array([k is not None for k in known])
            y = known[some].astype(int)
            for name, model in (("logistic regression", LogisticRegression(max_iter=2000)),
                                ("nearest neighbour", KNeighborsClassifier(1))):
                right = model.fit(X[some], y).predict(test) == truth
                found.setdefault((name, "labelled rows"), []).append(float(right.mean()))
            for name, family in FAMILIES.items():
                for rows, which in (("labelled rows", some), ("all rows", np.ones(len(X), dtype=bool))):
                    found.setdefault((name, rows), []).append(accuracy(family, X[which], known[which], test, truth))
            print(labels, seed, {k: round(v[-1], 3) for k, v in found.items()}, flush=True)
        for (name, rows), each in found.items():
            line = [str(labels), rows, name, f"{np.mean(each):.3f}", f"{np.std(each, ddof=1) / len(each) ** 0.5:.3f}"]
            for alone in ("logistic regression", list(FAMILIES)[1]):  # the best of the labelled alone on the other draws
                apart = np.array(each) - np.array(found[alone, "labelled rows"])
                line += [f"{apart.mean():+.3f} ± {apart.std(ddof=1) / len(each) ** 0.5:.3f}"]
            table.append(line)
            print(table[-1], flush=True)
    if not quick:
        append("label_few", {"Digits, few labels": table}, {"draws of labels": "10", "test": "500 digits a draw"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    main(parser.parse_args().quick)
