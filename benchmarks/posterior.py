"""Half of a 16-dimensional Gaussian given the other half, by a field that learned random masks.

    python benchmarks/posterior.py            # 280 CPU-s of learning on one core; appends to RESULTS.md
    python benchmarks/posterior.py --quick    # prints only

A covariance with eigenvalues from 1 to .05 and random axes, scaled to unit variances. Of each of 20 random masks of eight
known entries, given a random draw of those, 20,000 draws of the others: how far their mean is from the truth, in conditional
standard deviations (root mean square over entries, and the largest), and their covariance, in relative Frobenius norm.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
import torch
from record import append

import given
from given.codecs import IdentityCodec
from given.families import Diffusion, FlowMatching
from given.nn import MLP, FlatField, PatchTransformer
from given.solve import Heun
from given.variables import Axis, Entries, Observed, Real

D, MASKS, DRAWS = 16, 20, 20_000
NETS = {"MLP": partial(FlatField, net=partial(MLP, hidden=(256, 256, 256)), waves=0),
        "PatchTransformer": partial(PatchTransformer, patch=1, width=32, layers=3)}


def covariance() -> np.ndarray:
    """(D, D) with ones on its diagonal."""
    rng = np.random.default_rng(5)
    axes, _ = np.linalg.qr(rng.normal(size=(D, D)))
    whole = axes @ np.diag(np.geomspace(1, 0.05, D)) @ axes.T
    scale = np.sqrt(np.diag(whole))
    return whole / scale / scale[:, None]


def conditioned(C: np.ndarray, known: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the rest given entries `known`."""
    gain = np.linalg.solve(C[np.ix_(known, known)], C[np.ix_(known, ~known)]).T
    return gain @ value[known], C[np.ix_(~known, ~known)] - gain @ C[np.ix_(known, ~known)]


def errors(factor, C: np.ndarray) -> np.ndarray:
    """(MASKS, 3): of the mean, root mean square and largest, and of the covariance."""
    rng, found = np.random.default_rng(7), []
    for mask in range(MASKS):
        known = rng.permutation(np.arange(D) < D // 2)
        value = rng.multivariate_normal(np.zeros(D), C)
        mean, cov = conditioned(C, known, value)
        evidence = Entries(torch.tensor(value)[None].float(), torch.tensor(known)[None])
        posterior = Heun(32)(factor(Observed(n=1)).condition(evidence))
        drawn = posterior.sample((DRAWS,), seed=mask).tensor[:, 0].numpy()[:, ~known]
        off = (drawn.mean(0) - mean) / np.sqrt(np.diag(cov))
        found.append([np.sqrt((off**2).mean()), np.abs(off).max(),
                      np.linalg.norm(np.cov(drawn.T) - cov) / np.linalg.norm(cov)])
    return np.array(found)


def main() -> None:
    """Learn, ask, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--net", choices=list(NETS), default="MLP")
    parser.add_argument("--family", choices=["FlowMatching", "Diffusion"], default="FlowMatching")
    parser.add_argument("--seconds", type=float, default=280)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--lr", type=float, default=6e-3)
    parser.add_argument("--print", action="store_true", help="record nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    C = covariance()
    x = np.random.default_rng(0).multivariate_normal(np.zeros(D), C, 400_000).astype(np.float32)
    space = Real(axes=(Axis("entry", D),))
    family = partial({"FlowMatching": FlowMatching, "Diffusion": Diffusion}[asked.family], net=NETS[asked.net], known=0.95)
    model = given.model("x", given.read(x=x), codecs={"x": IdentityCodec(space)}, families={"x": family}, seed=0)
    began = time.process_time()
    fit = model.fit(given.read(x=x), held_out=0, cpu_seconds=10 if asked.quick else asked.seconds, batch=asked.batch,
                    lr=asked.lr, decay=0.0, bfloat16=True, patience=None, seed=0)
    spent = time.process_time() - began
    found = errors(next(iter(model.joint)), C)
    rows = [["of 20 masks", "mean, r.m.s. in s.d.", "mean, largest entry", "covariance, relative"]]
    rows += [[name, *(f"{v:.3f}" for v in of(found, 0))] for name, of in (("mean", np.mean), ("largest", np.max))]
    print(rows, f"{spent:.0f} CPU-s", fit.steps, "steps", flush=True)
    if not (asked.quick or asked.print):
        append("posterior", {"errors": rows}, {"family": asked.family, "net": asked.net, "CPU-s": f"{spent:.0f}",
                                               "steps": f"{fit.steps:,}", "seed": "0", "threads": "1"})


if __name__ == "__main__":
    main()
