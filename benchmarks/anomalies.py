"""Anomalies: NSL-KDD, learned from the normal rows of the train part alone, the test part ranked by -log p.

    GIVEN_DATA=... python benchmarks/anomalies.py            # about 3 CPU-minutes; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/anomalies.py --print    # prints only

Of the 13,449 normal rows of train20 nine tenths are learned from, by seed, and the rest set the threshold; label and difficulty
are left out. The form of the model was chosen once, on rows held out and the attacks of train20; the test part is scored once
a seed. Peers read the same rows: numbers as the task reads them, amounts by log(1 + x), all standardised, words as indicators.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from record import append
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from traffic import COLUMNS, WORDS

import given
from given.scales import varies_by_shares
from given.tasks import anomalies

RATES = (0.01, 0.05)


def connections(part: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns of a part as they are, and whether each row is an attack."""
    path = Path(os.environ["GIVEN_DATA"]) / "tables" / f"nslkdd-{part}.txt"
    cells = np.array([line.split(",")[:len(COLUMNS)] for line in path.read_text().split()])
    found: dict[str, np.ndarray] = {name: cells[:, k] for k, name in enumerate(COLUMNS)}
    found = {name: v if name in WORDS else v.astype(float) for name, v in found.items()}
    return found, found.pop("label") != "normal"


def peers(some: dict, test: dict, seed: int) -> dict[str, np.ndarray]:
    """Scores of the test rows by scikit-learn, the higher the stranger."""
    numbers = [name for name in some if name not in WORDS]
    by_shares = {name for name in numbers if varies_by_shares(some[name])}

    def table(rows: dict) -> np.ndarray:
        plain = [np.log1p(rows[name]) if name in by_shares else rows[name] for name in numbers]
        return np.stack(plain + [(rows[name] == word).astype(float) for name in some if name in WORDS
                                 for word in np.unique(some[name])], 1)

    x, at = table(some), table(test)
    scale = np.where(x.std(0) > 0, x.std(0), 1)
    x, at = ((each - x.mean(0)) / scale for each in (x, at))
    found = {}
    forest = IsolationForest(n_estimators=200, random_state=seed)
    mixture = GaussianMixture(8, reg_covar=1e-2, random_state=seed)
    for name, score in {"IsolationForest, 200 trees": lambda: -forest.fit(x).score_samples(at),
                        "PCA, 10 components, squared error": lambda: _missed(PCA(10).fit(x), at),
                        "GaussianMixture, 8 components": lambda: -mixture.fit(x).score_samples(at)}.items():
        began = time.process_time()
        found[name] = score(), time.process_time() - began
    return found


def _missed(pca: PCA, at: np.ndarray) -> np.ndarray:
    return ((at - pca.inverse_transform(pca.transform(at))) ** 2).sum(1)


def of_seed(seed: int) -> tuple[dict, dict, list[list[str]]]:
    (train, bad), (test, attack) = connections("train20"), connections("test")
    normal = {name: v[~bad] for name, v in train.items()}
    order = np.random.default_rng(seed).permutation(int((~bad).sum()))
    some, held = ({name: v[i] for name, v in normal.items()} for i in (order[len(order) // 10:], order[:len(order) // 10]))
    found, data = {}, given.read(some)
    model = anomalies.model(data, seed=seed)
    _, plain = model.baseline(data)
    found["independent columns"] = -plain.score(test).items, 0.0
    began = time.process_time()
    model.fit(data, held_out=0, seed=seed, cpu_seconds=120, progress=False)
    cpu = time.process_time() - began
    model.facts |= {"task": "anomalies", **anomalies.kept(model, given.read(held))}
    found["task anomalies"] = -model.score(test).items, cpu
    every = found | peers(some, test, seed)
    aucs = {name: (roc_auc_score(attack, score), seconds) for name, (score, seconds) in every.items()}
    alarms = {}
    for rate in RATES:
        judge = anomalies.Watch(model, rate).alarms
        flagged = judge.p_values(found["task anomalies"][0]) <= rate
        fresh = -model.score({name: v[bad] for name, v in train.items()}).items
        alarms[rate] = (judge.at_most, flagged[~attack].mean(), flagged[attack].mean(), (judge.p_values(fresh) <= rate).mean())
    rows = np.argsort(-found["task anomalies"][0])[::500][:6]
    judged = anomalies.Watch(model).judge(given.read({name: v[rows] for name, v in test.items()}))
    said = [[str(row), f"{judged['score'][i]:,.0f}", "yes" if attack[row] else "no", judged["why"][i]]
            for i, row in enumerate(rows)]
    return aucs, alarms, said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--print", action="store_true", help="write no record")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    each = [of_seed(seed) for seed in range(asked.seeds)]
    ranked = [["model", "ROC AUC of the test part, by seed", "CPU-s"]]
    ranked += [[name, ", ".join(f"{aucs[name][0]:.4f}" for aucs, *_ in each),
                f"{np.mean([aucs[name][1] for aucs, *_ in each]):.0f}"] for name in each[0][0]]
    alarms = [["rate asked", "at most, with 95 % confidence", "normal rows of the test part flagged", "its attacks flagged",
               "attacks of the train part flagged"]]
    alarms += [[f"{rate:.0%}", *(", ".join(f"{one[1][rate][k]:.1%}" for one in each) for k in range(4))] for rate in RATES]
    reasons = [["row of the test part", "-log p, nats", "an attack", "why"], *each[0][2]]
    tables = {"nslkdd": ranked, "alarms": alarms, "reasons": reasons}
    for line in (line for table in tables.values() for line in table):
        print(*line, sep=" | ")
    if not asked.print:
        seeds = ", ".join(map(str, range(asked.seeds)))
        append("anomalies", tables, {"data": "NSL-KDD train20, test", "seeds": seeds, "threads": "1"})


if __name__ == "__main__":
    main()
