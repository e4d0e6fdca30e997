"""Three densities of the plane whose truth is known: eight Gaussians, two moons, a checkerboard.

    python benchmarks/toys.py            # about 20 minutes on one core; appends to RESULTS.md
    python benchmarks/toys.py --quick    # prints only
    python benchmarks/toys.py --only FlowMatching Diffusion

Every family learns 20,000 draws for 60 CPU-seconds, its weights chosen on 2,000 more, by three seeds of data and training; then
the Kullback-Leibler divergence from the truth is the mean over 3,000 fresh draws of log p_true(x) - log p(x), paired.
What solves an equation is asked at two numbers of steps, and Diffusion for its bound too.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
import torch
from record import append

import given
from given.families import Diffusion, FlowMatching, GaussianMixture, SplineFlow
from given.nn import MLP
from given.solve import Heun
from given.variables import Entries, Observed

ARC = (np.arange(2000) + 0.5) / 2000 * np.pi
EIGHT = 2 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], 1)
MOONS = np.concatenate([np.stack([np.cos(ARC), np.sin(ARC)], 1), np.stack([1 - np.cos(ARC), 0.5 - np.sin(ARC)], 1)])


def around(centres: np.ndarray, scale: float):
    """A sampler and the log-density of normal noise around evenly chosen centres."""
    def draw(n, rng):
        return centres[rng.integers(0, len(centres), n)] + rng.normal(0, scale, (n, 2))

    def log_p(x):
        parts = (((part[:, None] - centres) ** 2).sum(-1) for part in np.array_split(x, 20))
        each = [np.logaddexp.reduce(-d / (2 * scale**2), 1) for d in parts]
        return np.concatenate(each) - np.log(len(centres) * 2 * np.pi * scale**2)

    return draw, log_p


def checkerboard():
    """Eight unit squares of [-2, 2]^2, evenly."""
    def draw(n, rng):
        x = rng.random(n) * 4 - 2
        return np.stack([x, rng.random(n) + np.floor(x) % 2 + 2 * rng.integers(0, 2, n) - 2], 1)

    def log_p(x):
        inside = (np.abs(x) < 2).all(1) & ((np.floor(x[:, 0]) + np.floor(x[:, 1])) % 2 == 0)
        return np.where(inside, -np.log(8), -np.inf)

    return draw, log_p


TOYS = {"eight Gaussians": around(EIGHT, 0.2), "two moons": around(MOONS, 0.1), "checkerboard": checkerboard()}
WIDE = {"net": partial(MLP, hidden=(192, 192, 192)), "known": 0}  # planes are asked whole
FAMILIES = {"GaussianMixture of 8": partial(GaussianMixture, components=8), "SplineFlow": SplineFlow,
            "FlowMatching": partial(FlowMatching, **WIDE), "Diffusion": partial(Diffusion, **WIDE)}
ALONG_PATHS = ("FlowMatching", "Diffusion")  # whose losses are noisy, so that a batch is larger


def scores(model, x, name):
    """log p of rows by what it was computed with: nothing more, or two numbers of steps."""
    if name not in ALONG_PATHS:
        return {"exact": model.log_prob(x=x)}
    factor, variable = next(iter(model.joint)), model.joint.columns["x"]
    entries: Entries = variable.encode({"x": x})
    distribution, volume = factor(Observed(n=len(x))), variable.codec.log_volume(entries)
    found = {f"estimate, Heun({n})": Heun(n)(distribution).log_prob(entries) for n in (32, 64)}
    if distribution.kind == "bound":
        with torch.no_grad():
            found["bound"] = torch.stack([distribution.log_prob(entries, seed=seed) for seed in range(4)]).mean(0)
    return {kind: (score.detach() + volume).numpy() for kind, score in found.items()}


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--only", nargs="+", choices=list(FAMILIES), default=list(FAMILIES), help="these families")
    parser.add_argument("--densities", nargs="+", choices=list(TOYS), default=list(TOYS), help="these densities")
    asked = parser.parse_args()
    quick = asked.quick
    torch.set_num_threads(1)
    rows = [["density", "family", "KL from the truth, nats, mean", "each seed", "± s.e. over draws", "kind", "CPU-s", "steps"]]
    for toy in asked.densities:
        draw, truth = TOYS[toy]
        test = draw(3_000, np.random.default_rng(11))
        for name in asked.only:
            family = FAMILIES[name]
            found: dict[str, list[np.ndarray]] = {}
            cpu, steps = [], []
            for seed in range(1 if quick else 3):
                train, valid = (draw(n, np.random.default_rng([seed, part])) for part, n in enumerate((20_000, 2_000)))
                model = given.model("x", given.read(x=train), families={"x": family}, seed=seed)
                began = time.process_time()
                fit = model.fit(given.read(x=train), held_out=given.read(x=valid), cpu_seconds=3 if quick else 56,
                                batch=2048 if name in ALONG_PATHS else 512, bfloat16=name in ALONG_PATHS,
                                lr=5e-3, decay=0.0, patience=None, seed=seed)
                cpu.append(time.process_time() - began)
                steps.append(fit.steps)
                for kind, log_p in scores(model, test, name).items():
                    found.setdefault(kind, []).append(truth(test) - log_p)
            for kind, each in found.items():
                means = [d.mean() for d in each]
                error = np.mean(each, 0).std(ddof=1) / len(test) ** 0.5
                rows.append([toy, name, f"{np.mean(means):.4f}", ", ".join(f"{m:.3f}" for m in means), f"{error:.4f}", kind,
                             f"{np.mean(cpu):.0f}", f"{np.mean(steps):,.0f}"])
                print(rows[-1], flush=True)
    if not quick:
        append("toys", {"divergence": rows}, {"seeds": "0, 1, 2", "threads": "1"})


if __name__ == "__main__":
    main()
