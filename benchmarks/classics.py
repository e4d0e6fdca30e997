"""Classics: mixtures, components and factors of reals beside scikit-learn's, and imputation.

    python benchmarks/classics.py            # some minutes on one core; appends to RESULTS.md
    python benchmarks/classics.py --quick    # prints only, a tenth of the rows

CPU seconds of a fit from arrays in memory, ours through `Model.fit` with codecs and held-out rows, scikit-learn's alone; nats
of 10,000 rows that neither saw. Imputation: 30 % of the cells are missing at random from standardised columns; the root mean
squared error at those cells, and how many of them intervals of 90 % cover.
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import partial

import numpy as np
import torch
from record import append
from sklearn import datasets, decomposition, mixture
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

import given
from given.codecs import IdentityCodec, Number
from given.families import PCA, FactorAnalysis, GaussianMixture
from given.variables import Axis, Real

D, K = 20, 10


def mixed(seed: int, n: int):
    """Rows (n, 20) of a mixture of ten normals that overlap."""
    rng = np.random.default_rng(seed)
    share, centre = rng.dirichlet(np.full(K, 5.0)), rng.normal(size=(K, D))
    turn, k = rng.normal(size=(K, D, D)) / D**0.5, rng.choice(K, n, p=share)
    return centre[k] + np.einsum("nij,nj->ni", turn[k], rng.normal(size=(n, D))) + 0.3 * rng.normal(size=(n, D))


def timed(work):
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def ours(x, family, seed):
    data = given.read(x=x)
    model = given.model("p(x)", data, codecs={"x": Number()}, families={"x": family}, seed=seed)
    model.fit(data, seed=seed, progress=False, minutes=5)
    return model


PAIRS = {
    "GaussianMixture, 10, full": (partial(GaussianMixture, components=K),
                                  lambda seed: mixture.GaussianMixture(K, random_state=seed)),
    "FactorAnalysis, 5": (partial(FactorAnalysis, factors=5), lambda seed: decomposition.FactorAnalysis(5)),
    "PCA, 5": (partial(PCA, components=5), lambda seed: decomposition.PCA(5)),
}


def speed(rows: int, seeds: int):
    table = [["model", "seed", "ours, nats", "scikit-learn, nats", "ours, CPU-s", "scikit-learn, CPU-s", "ratio"]]
    for name, (family, peer) in PAIRS.items():
        for seed in range(seeds):
            x = mixed(seed, rows + 10_000)
            train, held = x[:rows], x[rows:]
            theirs, their_time = timed(lambda: peer(seed).fit(train))  # noqa: B023
            model, our_time = timed(lambda: ours(train, family, seed))  # noqa: B023
            nats = ["-", "-"]
            if not name.startswith("PCA"):
                nats = [f"{model.log_prob(x=held).mean():.4f}", f"{theirs.score(held):.4f}"]
            table.append([name, str(seed), *nats, f"{our_time:.2f}", f"{their_time:.2f}", f"{our_time / their_time:.2f}"])
            print(*table[-1], flush=True)
    return table


IMPUTERS = {"GaussianMixture, 2": partial(GaussianMixture, components=2, ridge=1e-2, seed=0),
            "FactorAnalysis, 12 or 5": lambda x: FactorAnalysis(
                x, factors=12 if x.space.dimensions > 20 else 5, tolerance=1e-4)}


def imputed(seeds: int):
    table = [["data", "seed", "model", "RMSE", "RMSE, IterativeImputer", "RMSE, mean", "90 % intervals cover"]]
    for name, load in (("breast_cancer", datasets.load_breast_cancer), ("diabetes", datasets.load_diabetes)):
        x = load().data
        x = (x - x.mean(0)) / x.std(0)
        for seed in range(seeds):
            missing = np.random.default_rng(seed).random(x.shape) < 0.3
            holes = np.where(missing, np.nan, x)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                filled = IterativeImputer(random_state=0, max_iter=20).fit_transform(holes)
            theirs = np.sqrt(np.mean((filled - x)[missing] ** 2))
            plain = np.sqrt(np.mean((np.nanmean(holes, 0) - x)[missing] ** 2))
            for kind, family in IMPUTERS.items():
                error, cover = impute(family, x, holes, missing)
                table.append([name, str(seed), kind, f"{error:.4f}", f"{theirs:.4f}", f"{plain:.4f}", f"{100 * cover:.1f} %"])
                print(*table[-1], flush=True)
    return table


def impute(family, x, holes, missing, draws: int = 200):
    """The error of the mean of the missing cells, and how many of them the 5 % to 95 % quantiles of draws cover."""
    from given.conditional import teach
    from given.variables import Entries, Observed, Variable

    f = family(Variable("x", IdentityCodec(Real(axes=(Axis("entry", x.shape[1]),)))))
    value = torch.from_numpy(holes)
    rows, y = Entries(value.nan_to_num(), ~value.isnan()), Observed(n=len(x))
    teach(f, [(rows, y, torch.ones(len(x), dtype=torch.float64))])
    law = f(y).condition(rows)
    drawn = law.sample((draws,), seed=0).tensor.numpy()
    low, high = np.quantile(drawn, [0.05, 0.95], 0)
    cover = ((low <= x) & (x <= high))[missing].mean()
    return float(np.sqrt(np.mean((law.mean().tensor.numpy() - x)[missing] ** 2))), float(cover)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    tables = {"imputation": imputed(1 if quick else 3), "speed": speed(10_000 if quick else 100_000, 1 if quick else 3)}
    if not quick:
        append("classics", tables, {"given": given.__version__})
