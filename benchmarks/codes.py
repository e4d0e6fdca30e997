"""Codes with few labels: logistic regression on codes of digits, learned without a label, against the same on the pixels.

    python benchmarks/codes.py            # some five CPU-minutes on one core; appends to RESULTS.md
    python benchmarks/codes.py --quick    # prints only

The codes of PCA, FactorAnalysis, Autoencoder and VAE are learned once, of all 1,797 digits of scikit-learn and no label. Each
draw of labels keeps 500 digits to test on, and of the others 2, 5 or 10 labels a class. The table is of draws 0 to 9; what is
set, of the codes and of the regression, is the best on draws 100 to 104, of the pixels too.
"""

from __future__ import annotations

import argparse
import itertools
import time
from functools import partial

import numpy as np
import torch
from record import append
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import given
from given.codecs import IdentityCodec, Image
from given.families import PCA, VAE, Autoencoder, FactorAnalysis
from given.variables import Axis, Real

LABELS = (2, 5, 10)
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)  # C of the regression, larger is weaker


def codes(name: str, size: int, steps: int) -> np.ndarray:
    """(1797, size) of all digits."""
    pixels = load_digits().data
    reals = pixels[:, pixels.std(0) > 0] / 8 - 1
    if name == "VAE":
        data, codec = {"x": pixels.reshape(-1, 8, 8).astype(np.uint8)}, Image()
    else:
        data, codec = {"x": reals}, IdentityCodec(Real(axes=(Axis("entry", reals.shape[1]),)))
    family = {"PCA": partial(PCA, components=size), "FactorAnalysis": partial(FactorAnalysis, factors=size),
              "Autoencoder": partial(Autoencoder, latent=size), "VAE": partial(VAE, latent=size)}[name]
    model = given.model("p(x)", data, codecs={"x": codec}, families={"x": family})
    model.fit(data, seed=0, progress=False, held_out=0, **({"steps": steps} if name in ("Autoencoder", "VAE") else {}))
    found = model.encode(data)
    return np.stack([found[f"x.z{k + 1}"] for k in range(size)], 1)


def accuracy(z: np.ndarray, y: np.ndarray, seed: int, labels: int, strength: float) -> float:
    """Of 500 digits, by so many labels a class."""
    order = np.random.default_rng(seed).permutation(len(z))
    train, test = order[:-500], order[-500:]
    some = np.concatenate([train[y[train] == k][:labels] for k in range(10)])
    model = LogisticRegression(C=strength, max_iter=3000, tol=1e-3).fit(z[some], y[some])
    return float((model.predict(z[test]) == y[test]).mean())


def main(quick: bool) -> None:
    torch.set_num_threads(1)
    pixels, y = load_digits(return_X_y=True)
    found, began = {"pixels": {"": pixels / 16}}, time.process_time()
    for name, size in itertools.product(("PCA", "FactorAnalysis", "Autoencoder", "VAE"), (8,) if quick else (8, 16, 32)):
        found.setdefault(name, {})[f"{size} numbers, "] = codes(name, size, 300 if quick else 3000)
        print(f"{name}, {size}: {time.process_time() - began:.0f} CPU-s", flush=True)
    table = [["labels a class", "inputs", "set on other draws", "accuracy", "± s.e.", "above the pixels, paired", "± s.e."]]
    tuning, draws = range(100, 102 if quick else 105), range(3 if quick else 10)
    for labels in LABELS:
        each: dict[str, np.ndarray] = {}
        for name, sizes in found.items():
            tried = {f"{size}{way}, C = {C:g}": (turned, C) for size, z in sizes.items() for C in STRENGTHS
                     for way, turned in (("as they are", z), ("standardised", StandardScaler().fit_transform(z)))}
            best = max(tried, key=lambda s: np.mean([accuracy(tried[s][0], y, seed, labels, tried[s][1]) for seed in tuning]))
            each[name] = np.array([accuracy(tried[best][0], y, seed, labels, tried[best][1]) for seed in draws])
            above = each[name] - each["pixels"]
            table.append([str(labels), name, best, f"{each[name].mean():.3f}", f"{_error(each[name]):.3f}",
                          *(["", ""] if name == "pixels" else [f"{above.mean():+.3f}", f"{_error(above):.3f}"])])
            print(table[-1], flush=True)
    if not quick:
        append("codes", {"Digits, logistic regression on codes": table},
               {"draws of labels": "10", "test": "500 digits a draw", "CPU-seconds": f"{time.process_time() - began:.0f}"})


def _error(each: np.ndarray) -> float:
    return float(each.std(ddof=1) / len(each) ** 0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    main(parser.parse_args().quick)
