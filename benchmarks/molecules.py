"""Molecules: p(SMILES), p(SMILES | logP) and scaffolds on QM9, and solubility with intervals on ESOL.

    GIVEN_DATA=... python benchmarks/molecules.py           # 22 CPU-minutes of one thread; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/molecules.py --quick   # 10 CPU-seconds of learning each; prints, and records nothing

QM9 (Ramakrishnan et al. 2014), 132,040 SMILES: 5,000 chosen at random are held out, and 2,500 draws are judged beside them, as
are 2,500 molecules learned from: so far off are properties of as many true ones. No grammar constrains a draw. ESOL (Delaney
2004), 1,128 measured solubilities, in five folds, given descriptors by RDKit or those of Delaney's table; 90 % intervals.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.codecs import Number, Text
from given.evaluate import molecule_figures
from given.families import BoostedTrees, NGram
from given.sources import PROPERTIES, Columns, molecule_properties, read_smiles
from given.tasks import molecules, predict

DRAWS, HELD = 2500, 5000
SCAFFOLDS = ("c1cc[nH]c1", "C1CC1*", "*c1ccoc1", "O=C1CCC1*", "*C1OC1*", "C1CC2CC12")
LOGP = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def data_at(name: str) -> str:
    return str(Path(os.environ.get("GIVEN_DATA", "data")) / "molecules" / name)


def parted(rows: Columns, seed: int, quick: bool) -> tuple[Columns, Columns]:
    order = np.random.default_rng(seed).permutation(rows.n)
    held = 500 if quick else HELD
    return rows.rows(order[held:held + 5000] if quick else order[held:]), rows.rows(order[:held])


def learned(train: Columns, a: argparse.Namespace, budget: float, name: str) -> tuple[given.Model, float]:
    """The task's model, and the CPU-seconds it took."""
    model = molecules.model(train, seed=a.seed)
    fit = model.fit(molecules.arranged(train), cpu_seconds=budget, threads=1, seed=a.seed, progress=False,
                    **{"held_out": 0, **molecules.TRAINING})
    model.facts["task"] = "molecules"
    if a.save:
        model.save(f"{a.save}-{name}.given")
    return model, fit.cpu_seconds


def draws(model: given.Model, cpu: float, train: Columns, test: Columns, n: int, seed: int) -> list[list[str]]:
    """Shares and distances of draws: of data, of a 6-gram, and of a model."""
    known, rng = set(train["smiles"].tolist()), np.random.default_rng(seed)
    counted = given.model("p(smiles)", train.only(["smiles"]), families={"smiles": partial(NGram, order=6)})
    counted.fit(train.only(["smiles"]), held_out=0, progress=False)
    each = {"as many learned from": (rng.choice(train["smiles"], n).tolist(), ""),
            "6-gram": (counted.sample(n, seed=1)["smiles"].tolist(), ""),
            str(model).replace("|", "\\|"): (model.sample(n, seed=1)["smiles"].tolist(), f"{cpu:.0f}")}
    rows = [["draws of"]]
    for name, (drawn, cost) in each.items():
        scores = molecule_figures(drawn, test["smiles"].tolist(), known)
        rows.append([name, *(f"{v:.3f}" for v in scores.values()), cost])
    rows[0] += [*scores, "CPU-s to learn"]
    return rows


def unconditional(a: argparse.Namespace, budget: float, n: int) -> dict[str, list[list[str]]]:
    """p(smiles)"""
    train, test = parted(molecules.read(data_at("qm9.smi.gz")), a.seed, a.quick)
    model, cpu = learned(train, a, budget, "qm9")
    return {"qm9": draws(model, cpu, train, test, n, a.seed), "scaffolds": scaffolds(model, 50 if a.quick else 200)}


def scaffolds(model: given.Model, n: int, **observed: float) -> list[list[str]]:
    """Which draws are molecules, and have the scaffold."""
    from rdkit import Chem

    rows = [["scaffold", "valid", "of these with the scaffold", "different", "some"]]
    for scaffold in SCAFFOLDS:
        found = [text for text in molecules.complete(model, scaffold, n, seed=1, **observed) if text is not None]
        pattern = Chem.DeleteSubstructs(read_smiles(scaffold), Chem.MolFromSmarts("[#0]"))
        has = [read_smiles(text).HasSubstructMatch(Chem.MolFromSmarts(Chem.MolToSmarts(pattern))) for text in found]
        rows.append([f"`{scaffold}`", f"{len(found) / n:.3f}", f"{np.mean(has) if has else 0:.3f}", f"{len(set(found))}",
                     ", ".join(f"`{text}`" for text in dict.fromkeys(found[:3]))])
    return rows


def conditional(a: argparse.Namespace, budget: float, n: int) -> dict[str, list[list[str]]]:
    """What draws have of what is asked, of held-out values and of single ones."""
    train, test = parted(molecules.read(data_at("qm9.smi.gz"), property="logp"), a.seed, a.quick)
    model, cpu = learned(train, a, budget, "qm9-logp")
    wanted, found = molecules.asked(model, test["logp"][:n], seed=1)
    there = np.isfinite(found)
    other = np.random.default_rng(0).permutation(train["logp"])[:len(wanted)]
    rows = [["molecules of", "r of logp asked and logp of the draw", "mean distance"],
            ["data at random", f"{np.corrcoef(wanted, other)[0, 1]:.3f}", f"{np.abs(other - wanted).mean():.3f}"],
            ["p(smiles \\| logp)", f"{np.corrcoef(wanted[there], found[there])[0, 1]:.3f}",
             f"{np.abs(wanted - found)[there].mean():.3f}"]]
    values = [["logp asked", "valid", "mean of draws", "standard deviation"]]
    for value in LOGP:
        many = model.given(logp=value).sample(200, seed=1)["smiles"].reshape(-1).tolist()
        has = molecule_properties(many, ["logp"])["logp"]
        has = has[np.isfinite(has)]
        values.append([f"{value:g}", f"{len(has) / len(many):.3f}", f"{has.mean():.2f}", f"{has.std():.2f}"])
    return {"draws": draws(model, cpu, train, test, n, a.seed), "logp": rows, "asked": values,
            "scaffolds": scaffolds(model, 50 if a.quick else 200, logp=0.5)}


def solubility(seed: int, quick: bool) -> dict[str, list[list[str]]]:
    """ESOL in five folds: error, coverage and width of 90 % intervals, log p."""
    raw = next(given.read(data_at("esol.csv")).batches(1 << 60))
    target, own = next(k for k in raw if k.startswith("measured")), next(k for k in raw if k.startswith("ESOL"))
    truth, rdkit = raw[target].astype(float), molecule_properties(raw["smiles"].tolist())
    theirs = {k: v for k, v in raw.items() if v.dtype.kind in "iuf" and k not in (target, own)}
    mine = {name: rdkit[name] for name in PROPERTIES}
    table = Columns({**mine, "solubility": truth})
    smiles = Columns({"smiles": rdkit["smiles"], "solubility": truth})
    fold = np.random.default_rng(seed).permutation(raw.n) % 5
    found: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for k in range(1 if quick else 5):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        spread = truth[train].std()
        add(found, "mean of all", truth[test], np.full(len(test), truth[train].mean()), spread)
        error = (truth - raw[own])[train].std()
        add(found, "Delaney's own column", truth[test], raw[own][test], error)
        for name, columns in (("his descriptors", theirs), ("RDKit's", mine)):
            matrix = np.column_stack([np.ones(raw.n), *columns.values()])
            weights, *_ = np.linalg.lstsq(matrix[train], truth[train], rcond=None)
            rest = truth[train] - matrix[train] @ weights
            spread = np.sqrt((rest**2).sum() / (len(train) - matrix.shape[1]))
            add(found, f"least squares on {name}", truth[test], matrix[test] @ weights, spread)
        for name, (model, x) in models(table, smiles, train, seed).items():
            model.facts["target"] = "solubility"
            model.fit(x.rows(train), cpu_seconds=4, threads=1, seed=seed, progress=False, **predict.TRAINING)
            rows = x.rows(test)
            said = predict.predict(model, rows, seed=seed)
            add(found, name, truth[test], said["solubility"], low=said["low"], high=said["high"],
                log_p=np.full(len(test), -predict.loss(model, rows)))
    lines = [["p(solubility given descriptors)", "RMSE", "in 90 % interval", "mean width", "log p"]]
    for name, parts in found.items():
        true, mean, low, high, log_p = (np.concatenate(each) for each in zip(*parts, strict=True))
        lines.append([name, f"{np.sqrt(((true - mean)**2).mean()):.3f}", f"{((low <= true) & (true <= high)).mean():.3f}",
                      f"{(high - low).mean():.2f}", f"{log_p.mean():.3f}"])
    return {"esol": lines}


def models(table: Columns, smiles: Columns, train: np.ndarray, seed: int) -> dict[str, tuple[given.Model, Columns]]:
    """What is learned, each with the rows it reads."""
    names = [name for name in table if name != "solubility"]
    numbers: dict = {name: Number() for name in names}  # counts too: a molecule may have more rings than any learned from
    codec = Text(alphabet="".join(sorted(set("".join(smiles["smiles"])))))
    trees = given.model(f"p(solubility | {', '.join(names)})", table.rows(train), codecs=numbers,
                        families={"solubility": BoostedTrees}, seed=seed)
    text = given.model("p(solubility | smiles)", smiles.rows(train), codecs={"smiles": codec}, seed=seed)
    return {"BoostedTrees on RDKit's": (trees, table), "Regression on the SMILES alone": (text, smiles)}


def add(found: dict, name: str, truth: np.ndarray, mean: np.ndarray, spread: float = 1.0, low: np.ndarray | None = None,
        high: np.ndarray | None = None, log_p: np.ndarray | None = None) -> None:
    """A fold's predictions; without an interval that of a normal distribution of one spread."""
    low, high = (mean - 1.645 * spread, mean + 1.645 * spread) if low is None or high is None else (low, high)
    if log_p is None:
        log_p = -0.5 * ((truth - mean) / spread) ** 2 - np.log(spread * np.sqrt(2 * np.pi))
    found.setdefault(name, []).append((truth, mean, low, high, log_p))


def sheet(saved: str, path: str) -> None:
    """Draws by what was saved: any, of three values of logp, and of two scaffolds; a row each."""
    from rdkit.Chem import Draw

    asked = given.load(f"{saved}-qm9-logp.given")
    rows = {"any": asked.sample(20, seed=5)["smiles"].tolist()}
    rows |= {f"logp = {v:g}": asked.given(logp=v).sample(20, seed=5)["smiles"].reshape(-1).tolist() for v in (-1.0, 1.0, 3.0)}
    rows |= {scaffold: molecules.complete(asked, scaffold, 20, seed=5, logp=0.5) for scaffold in ("c1cc[nH]c1", "*C1OC1*")}
    legends, found = [], []
    for name, drawn in rows.items():
        some = [one for text in dict.fromkeys(drawn) if (one := read_smiles(text)) is not None][:6]
        found += some
        legends += [name, *[""] * (len(some) - 1)]
    Draw.MolsToGridImage(found, molsPerRow=6, subImgSize=(150, 110), legends=legends).save(path)


def main() -> None:
    """All, or some of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["logp", "esol", "qm9"], help="of logp, esol, qm9")
    parser.add_argument("--seconds", type=float, default=600, help="CPU-seconds of learning on QM9, each (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="5,000 molecules and 10 CPU-seconds; print, and record nothing")
    parser.add_argument("--save", help="where to save what was learned, with the name of the question behind it")
    parser.add_argument("--sheet", metavar="PNG", help="draw molecules by what --save has saved, and measure nothing")
    a = parser.parse_args()
    if a.sheet:
        return sheet(a.save, a.sheet)
    torch.set_num_threads(1)
    n, seconds = (200, 10.0) if a.quick else (DRAWS, a.seconds)
    parts = {"qm9": lambda: unconditional(a, seconds, n), "logp": lambda: conditional(a, seconds, n),
             "esol": lambda: solubility(a.seed, a.quick)}
    for name in a.what:
        began = time.process_time()
        tables = parts[name]()
        for rows in tables.values():
            print(*(" | ".join(row) for row in rows), sep="\n", flush=True)
        print(f"{time.process_time() - began:.0f} CPU-s", flush=True)
        if not a.quick:
            append(f"molecules_{name}", tables, {"seed": f"{a.seed}"})


if __name__ == "__main__":
    main()
