"""Traffic: arrivals that excite one another, whose likelihood is known, and connections of a network, for the marks alone.

    python benchmarks/traffic.py simulated                       # some 3 CPU-minutes; appends to RESULTS.md; --net 0: without
    GIVEN_DATA=... python benchmarks/traffic.py connections      # about 4 CPU-minutes; --print: prints only

Simulated: three marks, two memories, by thinning (Lewis, Shedler, 1979), 12,000 arrivals to learn from and 12,000 held out, of
which the true log-likelihood is a recursion written here. Connections: NSL-KDD, learned from normal rows of the train part
alone; how many classes is chosen by normal rows held out, and the test part is scored by what each seed chose, and by each
number for comparison. Bytes, counts and durations are read as log(1 + x), all numbers on a line.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.codecs import Label, Number
from given.families import Independent
from given.sources import Columns
from given.tasks import traffic
from given.verbs.reasons import cells

BASE = np.array([0.20, 0.10, 0.05])
CHILDREN = np.array([[[0.30, 0.10, 0.00], [0.05, 0.20, 0.10], [0.20, 0.00, 0.10]],
                     [[0.05, 0.05, 0.05], [0.10, 0.00, 0.10], [0.00, 0.20, 0.00]]])
RATE = np.array([4.0, 0.3])
RUNS, LENGTH = 60, 200


def simulated(runs: int, rng: np.random.Generator) -> Columns:
    """Runs of arrivals from rest, by thinning."""
    found: dict[str, list[np.ndarray]] = {"wait": [], "mark": []}
    for _ in range(runs):
        wait, mark, excited, passed = list[float](), list[int](), np.zeros((2, 3)), 0.0
        while len(wait) < LENGTH:
            bound = BASE.sum() + excited.sum()
            step = rng.exponential(1 / bound)
            passed, excited = passed + step, excited * np.exp(-RATE * step)[:, None]
            now = BASE + excited.sum(0)
            if (u := rng.random() * bound) < now.sum():
                mark.append(int((u > now.cumsum()).sum()))
                wait.append(passed)
                excited, passed = excited + RATE[:, None] * CHILDREN[:, mark[-1]], 0.0
        found["wait"].append(np.array(wait))
        found["mark"].append(np.array(["scan", "request", "reply"])[mark])
    return Columns({name: np.array(each + [None], dtype=object)[:-1] for name, each in found.items()})


def truth(data: Columns) -> np.ndarray:
    """log p of every run: (runs,) nats, by the process that drew it."""
    symbols, found = ["scan", "request", "reply"], []
    for wait, mark in zip(data["wait"], data["mark"], strict=True):
        excited, total = np.zeros((2, 3)), 0.0
        for w, m in zip(wait, map(symbols.index, mark), strict=True):
            fade = np.exp(-RATE * w)[:, None]
            total -= BASE.sum() * w + (excited * (1 - fade) / RATE[:, None]).sum()
            excited = fade * excited
            total += np.log((BASE + excited.sum(0))[m])
            excited = excited + RATE[:, None] * CHILDREN[:, m]
        found.append(total)
    return np.array(found)


def of_simulated(seed: int, net: int) -> dict[str, tuple[np.ndarray, float]]:
    """Nats an arrival of every held-out run (runs,), of baselines in all, and CPU-seconds, of one seed."""
    rng = np.random.default_rng(seed)
    train, test = simulated(RUNS, rng), simulated(RUNS, rng)
    true = truth(test) / LENGTH
    found = {name: (np.full(len(true), each["nats an arrival"]), 0.0) for name, each in traffic.baselines(train, test).items()}
    rows: dict[str, Callable[[], given.Model]] = {
        f"Hawkes, {n} {'memory' if n == 1 else 'memories'}": partial(traffic.model, train, seed=seed, memories=n)
        for n in (1, 2, 3)}
    if net:
        rows[f"Autoregressive, {net} CPU-s"] = lambda: traffic.models(train, seed=seed)["Autoregressive"]
    for name, make in rows.items():
        began = time.process_time()
        model = make()
        held = 0.1 if name.startswith("Autoregressive") else 0  # which say when a net is best
        model.fit(train, seed=seed, cpu_seconds=net or 60, progress=False, **{**traffic.TRAINING, "held_out": held})
        seconds = time.process_time() - began
        found[name] = traffic.nats(model, test), seconds
    return {**found, "the truth": (true, 0.0)}


def simulated_table(seeds: int, net: int) -> list[list[str]]:
    each = [of_simulated(seed, net) for seed in range(seeds)]
    lines = [["model", "nats an arrival, by seed", "less the truth's, paired over runs of all seeds", "CPU-s"]]
    for name in each[0]:
        off = np.concatenate([one[name][0] - one["the truth"][0] for one in each])
        seconds = np.mean([one[name][1] for one in each])
        lines.append([name, ", ".join(f"{one[name][0].mean():.4f}" for one in each), "" if name == "the truth" else
                      f"{off.mean():+.4f}{f' ± {off.std(ddof=1) / len(off) ** 0.5:.4f}' if seconds else ''}",
                      f"{seconds:.0f}" if seconds else ""])
    return lines


COLUMNS = """duration protocol_type service flag src_bytes dst_bytes land wrong_fragment urgent hot num_failed_logins logged_in
num_compromised root_shell su_attempted num_root num_file_creations num_shells num_access_files num_outbound_cmds is_host_login
is_guest_login count srv_count serror_rate srv_serror_rate rerror_rate srv_rerror_rate same_srv_rate diff_srv_rate
srv_diff_host_rate dst_host_count dst_host_srv_count dst_host_same_srv_rate dst_host_diff_srv_rate dst_host_same_src_port_rate
dst_host_srv_diff_host_rate dst_host_serror_rate dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate
label""".split()
WORDS = ("protocol_type", "service", "flag", "label")
LONG_TAILED = ("duration", "src_bytes", "dst_bytes", "hot", "num_compromised", "num_root", "num_file_creations", "count",
               "srv_count")
CLASSES = (1, 4, 8)


def connections(part: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns of a part, and whether each row is an attack."""
    path = Path(os.environ["GIVEN_DATA"]) / "tables" / f"nslkdd-{part}.txt"
    cells = np.array([line.split(",")[:len(COLUMNS)] for line in path.read_text().split()])
    found: dict[str, np.ndarray] = {name: cells[:, k] for k, name in enumerate(COLUMNS)}
    found = {name: v if name in WORDS else v.astype(float) for name, v in found.items()}
    found |= {name: np.log1p(found[name]) for name in LONG_TAILED}
    return found, found.pop("label") != "normal"


def classes(K: int, normal: dict[str, np.ndarray], seed: int) -> given.Model:
    """K classes of connections, in each of which columns are independent: words counted, numbers normal."""
    names = ", ".join(normal)
    codecs = {name: Label(rare=5, unseen="other") if name in WORDS else Number(whole=False) for name in normal}
    if K == 1:
        return given.model(f"p({names})", normal, codecs=codecs, families={names: Independent}, seed=seed)
    return given.model(f"p(z) p({names} | z)", normal, codecs=codecs, families={names: Independent},
                       latents={"z": Label(range(K))}, seed=seed)


def of_connections(seed: int) -> dict[str, tuple[float, float, float]]:
    """Mean log p of held-out normal rows, ROC AUC of the test part and CPU-seconds, by the number of classes, of one seed."""
    (train, bad), (test, attack) = connections("train20"), connections("test")
    normal = {name: v[~bad] for name, v in train.items() if len(np.unique(v[~bad])) > 1}
    test = {name: test[name] for name in normal}
    order, found = np.random.default_rng(seed).permutation(int((~bad).sum())), {}
    some, held = ({name: v[i] for name, v in normal.items()} for i in (order[len(order) // 10:], order[:len(order) // 10]))
    plain = given.model(f"p({', '.join(normal)})", some, families={", ".join(normal): Independent})
    models = {"independent columns, inferred codecs": plain} | {_named(K): classes(K, some, seed) for K in CLASSES}
    for name, model in models.items():
        began = time.process_time()
        model.fit(some, held_out=0, progress=False, seed=seed, cpu_seconds=60)
        seconds = time.process_time() - began
        found[name] = (float(model.score(held).value), _auc(model, test, attack), seconds)
    return found


def connections_table(seeds: int) -> list[list[str]]:
    each = [of_connections(seed) for seed in range(seeds)]
    lines = [["model", "ROC AUC of the test part, by seed", "log p of held-out normal rows, by seed", "CPU-s to learn"]]
    for name in each[0]:
        nats, auc, seconds = zip(*(one[name] for one in each), strict=True)
        lines.append([name, ", ".join(f"{v:.4f}" for v in auc), ", ".join(f"{v:.1f}" for v in nats), f"{np.mean(seconds):.0f}"])
    normal = [_named(K) for K in CLASSES]
    best = [max(normal, key=lambda name, one=one: one[name][0]) for one in each]
    chosen = [one[name][1] for one, name in zip(each, best, strict=True)]
    return [*lines, ["chosen by held-out normal rows", ", ".join(f"{v:.4f}" for v in chosen), "; ".join(best), ""]]


def _named(K: int) -> str:
    return f"{K} {'class' if K == 1 else 'classes'}, normal numbers"


def reasons() -> list[list[str]]:
    """The columns that are unlikeliest given all others, of test rows spread over the thousand of the least score."""
    (train, bad), (test, attack) = connections("train20"), connections("test")
    normal = {name: v[~bad] for name, v in train.items() if len(np.unique(v[~bad])) > 1}
    model = classes(4, normal, 0)
    model.fit(normal, held_out=0, progress=False, cpu_seconds=30)
    score = np.asarray(model.score({name: test[name] for name in normal}).items)
    some = np.argsort(score)[::250][:5]
    each = cells(model, Columns({name: test[name][some] for name in normal}))
    lines = [["row of the test part", "log p, nats", "an attack", "unlikeliest given the rest: column, value, nats"]]
    for i, row in enumerate(some):
        worst = sorted(each, key=lambda name, i=i: each[name][i])[:3]
        lines.append([str(row), f"{score[row]:,.0f}", "yes" if attack[row] else "no", "; ".join(
            f"{name} {test[name][row] if name in WORDS else format(float(test[name][row]), '.3g')}, {each[name][i]:,.0f}"
            for name in worst)])
    return lines


def _auc(model: given.Model, test: dict[str, np.ndarray], attack: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(attack, -np.nan_to_num(model.score(test).items, neginf=-1e300)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["simulated", "connections"])
    parser.add_argument("--print", action="store_true", help="write no record")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--net", type=int, default=40, help="CPU-seconds of the net beside")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.part == "simulated":
        tables = {"simulated": simulated_table(asked.seeds, asked.net)}
    else:
        tables = {"connections": connections_table(asked.seeds), "reasons": reasons()}
    for line in (line for table in tables.values() for line in table):
        print(*line, sep=" | ")
    if not asked.print:
        append(f"traffic_{asked.part}", tables, {"seeds": ", ".join(map(str, range(asked.seeds))), "threads": "1"})


if __name__ == "__main__":
    main()
