"""Classics: mixtures, components, factors and kernels of reals beside scikit-learn's, and imputation.

    python benchmarks/classics.py            # some minutes of CPU on one core; appends to RESULTS.md
    python benchmarks/classics.py --quick    # prints only, fewer rows and one seed

speed: CPU seconds of a fit from arrays in memory, ours through `Model.fit` with codecs, scikit-learn's alone, both from all
rows; nats of 10,000 rows that neither saw, ours minus scikit-learn's, with the standard error of the paired differences.
kernels: of one bandwidth, 1,000 rows scored, beside brute force. start: EM of both from the same means, weights and
covariances, as many steps each. ppca: the likelihood of probabilistic PCA beside its closed form. imputation: 30 % of the cells
are missing at random from standardised columns; the root mean squared error at those cells, and how many of them intervals of
90 % cover. The number of components and of factors is chosen by held-out likelihood (`select`); the ridge is a hundredth of a
column's variance.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append
from sklearn import datasets, decomposition, mixture, neighbors
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

import given
from given import select
from given.codecs import IdentityCodec, Number
from given.conditional import teach
from given.families import PCA, FactorAnalysis, GaussianMixture, KernelDensity, ProbabilisticPCA
from given.variables import Axis, Entries, Observed, Real, Variable

D, K = 20, 10
_H, _KERNELS = 0.3, 5_000  # bandwidth, and rows that have a kernel
_STEPS, _RIDGE = 50, 1e-3  # of EM from one start


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
    model.fit(data, held_out=0, seed=seed, progress=False, minutes=5)
    return model


def bare(family, x):
    """A family of a real vector that has learned rows (n, D), whose NaN are unseen, without codecs; and the rows."""
    f, value = family(Variable("x", IdentityCodec(Real(axes=(Axis("entry", x.shape[1]),))))), torch.from_numpy(x)
    rows = Entries(value.nan_to_num(), ~value.isnan())
    teach(f, [(rows, Observed(n=len(x)), torch.ones(len(x), dtype=torch.float64))])
    return f, rows


PAIRS = {
    "GaussianMixture, 10, full": (partial(GaussianMixture, components=K),
                                  lambda seed: mixture.GaussianMixture(K, random_state=seed)),
    "FactorAnalysis, 5": (partial(FactorAnalysis, factors=5), lambda seed: decomposition.FactorAnalysis(5)),
    "PCA, 5": (partial(PCA, components=5), lambda seed: decomposition.PCA(5)),
}


def speed(rows: int, seeds: int):
    """Every seed, and then the means of a family, of its differences with their standard errors over seeds."""
    table = [["model", "rows", "seed", "ours, nats", "scikit-learn, nats", "difference", "± s.e.", "ours, CPU-s",
              "scikit-learn, CPU-s", "ratio"]]
    ours(mixed(0, 100), PAIRS["PCA, 5"][0], 0)  # what is imported by the first fit belongs to none

    def add(name, n, seed, its_time, our_time, mine=None, its=None):
        nats = ["-"] * 4
        if mine is not None:
            apart = mine - its
            nats = [f"{mine.mean():.4f}", f"{its.mean():.4f}", f"{apart.mean():+.4f}", f"{apart.std() / len(apart)**0.5:.4f}"]
        table.append([name, f"{n:,}", str(seed), *nats, f"{our_time:.3f}", f"{its_time:.3f}", f"{our_time / its_time:.2f}"])
        print(*table[-1], flush=True)

    for name, (family, peer) in PAIRS.items():
        for n in (10_000, rows) if name.startswith("Gaussian") and rows > 10_000 else (rows,):
            for seed in range(seeds):
                x = mixed(seed, n + 10_000)
                theirs, its_time = timed(lambda: peer(seed).fit(x[:n]))  # noqa: B023
                model, our_time = timed(lambda: ours(x[:n], family, seed))  # noqa: B023
                scores = () if name.startswith("PCA") else (model.log_prob(x=x[n:]), theirs.score_samples(x[n:]))
                add(name, n, seed, its_time, our_time, *scores)
    return [*table, *means(table)]


def kernels(seeds: int):
    """Kernel densities of one bandwidth: seconds, and the largest error of log p of a row, from brute force."""
    table = [["columns", "seed", "ours, nats off", "scikit-learn, nats off", "ours, CPU-s", "scikit-learn, CPU-s", "ratio"]]
    for seed in range(seeds):
        x = mixed(seed, _KERNELS + 1_000)
        x = (x - x[:_KERNELS].mean(0)) / x[:_KERNELS].std(0)
        at = Entries(torch.from_numpy(x[_KERNELS:]))
        mine, our_time = timed(lambda: bare(partial(KernelDensity, bandwidth=_H), x[:_KERNELS])[0](  # noqa: B023
            Observed(n=len(at))).log_prob(at).numpy())  # noqa: B023
        its, its_time = timed(lambda: neighbors.KernelDensity(bandwidth=_H).fit(
            x[:_KERNELS]).score_samples(x[_KERNELS:]))  # noqa: B023
        exact = np.concatenate([brute_force(x[:_KERNELS], some) for some in np.array_split(x[_KERNELS:], 20)])
        off = [f"{np.abs(found - exact).max():.1e}" for found in (mine, its)]
        table.append([str(D), str(seed), *off, f"{our_time:.3f}", f"{its_time:.3f}", f"{our_time / its_time:.2f}"])
        print(*table[-1], flush=True)
    return table


def brute_force(kept, at):
    """log p (m,) of rows at (m, D) by a kernel about every row kept (n, D)."""
    each = -0.5 * (((at[:, None] - kept) / _H) ** 2).sum(-1) - D * (math.log(_H) + 0.5 * math.log(2 * math.pi))
    return np.logaddexp.reduce(each, 1) - math.log(len(kept))


def means(table):
    """The mean of every model over its seeds, with the standard error of the mean difference over them."""
    found = []
    for name, n in dict.fromkeys((row[0], row[1]) for row in table[1:]):
        mine = [row for row in table[1:] if row[:2] == [name, n]]
        apart = np.array([float(row[5]) for row in mine if row[5] != "-"])
        error = f"{apart.std(ddof=1) / len(apart)**0.5:.4f}" if len(apart) > 1 else "-"
        seconds = [float(np.mean([float(row[i]) for row in mine])) for i in (7, 8)]
        found.append([name, n, "mean", "-", "-", f"{apart.mean():+.4f}" if len(apart) else "-", error,
                      *(f"{s:.3f}" for s in seconds), f"{seconds[0] / seconds[1]:.2f}"])
    return found


def adult():
    """The numeric columns of Adult's training rows, of the folder GIVEN_DATA."""
    with (Path(os.environ["GIVEN_DATA"]) / "tables" / "adult-train.csv").open(newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    number = [i for i, cell in enumerate(rows[0]) if cell.strip().isdigit()]
    return np.array([[float(row[i]) for i in number] for row in rows])


def tables_of_reals():
    found = {"digits": datasets.load_digits().data, "breast_cancer": datasets.load_breast_cancer().data}
    if "GIVEN_DATA" in os.environ:
        found["Adult, numbers"] = adult()
    for name, x in found.items():
        x = x[:, x.std(0) > 0]
        found[name] = (x - x.mean(0)) / x.std(0)
    return found


def same_start(components: int = 5):
    """Steps of EM of both from k-means' centres and the covariance of all rows."""
    table = [["data", "rows", "columns", "ours, nats", "scikit-learn, nats", "difference"]]
    for name, x in tables_of_reals().items():
        from sklearn.cluster import KMeans

        centres = KMeans(components, n_init=1, random_state=0).fit(x).cluster_centers_
        spread = np.cov(x.T, bias=True) + _RIDGE * np.eye(x.shape[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            peer = mixture.GaussianMixture(
                components, max_iter=_STEPS, tol=0.0, reg_covar=_RIDGE, weights_init=np.full(components, 1 / components),
                means_init=centres, precisions_init=np.tile(np.linalg.inv(spread), (components, 1, 1))).fit(x)
        model = GaussianMixture(Variable("x", IdentityCodec(Real(axes=(Axis("entry", x.shape[1]),)))), components=components,
                                ridge=_RIDGE)
        model.means[0], model.covariances[0] = torch.from_numpy(centres), torch.from_numpy(spread)
        rows = Entries(torch.from_numpy(x))
        batch = rows, torch.zeros(len(x), dtype=torch.int64), torch.ones(len(x), dtype=torch.float64)
        for _ in range(_STEPS):
            model._maximise(model._expect([batch])[0], [0])
        mine, its = float(model(Observed(n=len(x))).log_prob(rows).mean()), peer.score(x)
        table.append([name, f"{len(x):,}", str(x.shape[1]), f"{mine:.6f}", f"{its:.6f}", f"{mine - its:+.1e}"])
        print(*table[-1], flush=True)
    return table


def closed_form():
    """The mean log-likelihood of probabilistic PCA, beside that of its maximum by the eigenvalues of the covariance."""
    table = [["data", "factors", "ours, nats", "closed form, nats", "difference"]]
    for name, x in list(tables_of_reals().items())[:2]:
        for factors in (2, 10):
            model, rows = bare(partial(ProbabilisticPCA, factors=factors), x)
            mine = float(model(Observed(n=len(x))).log_prob(rows).mean())
            values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
            left = values[factors:].mean()
            log_det = np.log(values[:factors]).sum() + (len(values) - factors) * math.log(left)
            exact = -0.5 * (len(values) * (1 + math.log(2 * math.pi)) + log_det)
            table.append([name, str(factors), f"{mine:.6f}", f"{exact:.6f}", f"{mine - exact:+.1e}"])
            print(*table[-1], flush=True)
    return table


IMPUTERS = {
    "GaussianMixture": partial(GaussianMixture, components=select(1, 8), ridge=1e-2, restarts=1, tolerance=1e-2, seed=0),
    "FactorAnalysis": partial(FactorAnalysis, factors=select(1, 20), tolerance=1e-2),
}


def imputed(seeds: int):
    table = [["data", "seed", "model", "chosen", "RMSE", "RMSE, IterativeImputer", "RMSE, mean", "90 % intervals cover",
              "CPU-s"]]
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
                (error, cover, chosen), seconds = timed(lambda: impute(family, x, holes, missing))  # noqa: B023
                table.append([name, str(seed), kind, f"{chosen:.0f}", f"{error:.4f}", f"{theirs:.4f}", f"{plain:.4f}",
                              f"{100 * cover:.1f} %", f"{seconds:.0f}"])
                print(*table[-1], flush=True)
    return table


def impute(family, x, holes, missing, draws: int = 200):
    """The error of the mean of the missing cells, how many of them the 5 % to 95 % quantiles of draws cover, and the number
    chosen."""
    f, rows = bare(family, holes)
    law = f(Observed(n=len(x))).condition(rows)
    drawn = law.sample((draws,), seed=0).tensor.numpy()
    low, high = np.quantile(drawn, [0.05, 0.95], 0)
    cover = ((low <= x) & (x <= high))[missing].mean()
    error = float(np.sqrt(np.mean((law.mean().tensor.numpy() - x)[missing] ** 2)))
    return error, float(cover), max(f.curve, key=lambda each: each[1])[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    seeds = 1 if quick else 3
    tables = {"start": same_start(), "ppca": closed_form(), "speed": speed(10_000 if quick else 100_000, seeds),
              "kernels": kernels(seeds), "imputation": imputed(seeds)}
    if not quick:
        append("classics", tables, {"given": given.__version__, "threads": "1"})
