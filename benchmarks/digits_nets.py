"""Handwritten digits given their label, one autoregressive net beside another, 88 CPU-seconds of learning each.

    python benchmarks/digits_nets.py            # 14 minutes on one core; appends to RESULTS.md
    python benchmarks/digits_nets.py --choose   # one seed, the 216 validation images in place of the 360; records nothing

Split 1,221 / 216 / 360 by numpy.random.default_rng(0).permutation(1797), as benchmarks/digits.py. Bits/dim under counting,
exact, given the label; lower is better. The last row averages the probabilities of two nets, item by item: a mixture, and
scored as one.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial

import numpy as np
import torch
from record import append

import given
from given.app.demo import digits
from given.families import Autoregressive, Independent
from given.nn import MADE, Embedding, GatedPixelCNN, Transformer

NETS = {
    "Transformer": (partial(Autoregressive, net=Transformer), {}),
    "GatedPixelCNN": (partial(Autoregressive, net=partial(GatedPixelCNN, dropout=0.3)), {}),
    "MADE": (partial(Autoregressive, net=partial(MADE, width=48, hidden=(512, 512), numbers=4, features=12, dropout=0.3),
                     embed=partial(Embedding, offsets=12)), {"lr": 3e-3}),
}


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choose", action="store_true", help="one seed, scored on the validation images; record nothing")
    parser.add_argument("--only", choices=tuple(NETS), action="append", help="some of the nets; record nothing")
    parser.add_argument("--cpu-seconds", type=float, default=88, help="of learning, each (%(default)s)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    train, valid, test = digits()
    test, seeds = (valid, (0,)) if asked.choose else (test, (0, 1, 2))
    everything, items, cpu = given.read("digits"), dict[str, list[np.ndarray]](), dict[str, list[float]]()
    for name in asked.only or ("independent pixels", *NETS):
        family, options = NETS.get(name, (Independent, {"held_out": 0}))
        for seed in seeds:
            model = given.model("p(image | label)", everything, families={"image": family}, seed=seed)
            began = time.process_time()
            told = {"held_out": valid, "cpu_seconds": asked.cpu_seconds, "seed": seed, "patience": None, **options}
            fit = model.fit(train, **told)
            cpu.setdefault(name, []).append(time.process_time() - began)
            items.setdefault(name, []).append(model.score(test).bits_per_dim().items)
            print(f"{name}, seed {seed}: {items[name][-1].mean():.4f} bits/dim, {fit.steps:,} steps", flush=True)
    if {"Transformer", "GatedPixelCNN"} <= set(items):
        pairs = zip(items["Transformer"], items["GatedPixelCNN"], strict=True)
        unit = 64 * math.log(2)
        both = [-np.logaddexp(-a * unit, -b * unit) / unit + 1 / 64 for a, b in pairs]
        items["Transformer and GatedPixelCNN, averaged"] = both
    rows = [["net", "bits/dim", "± s.e. over images", "seeds", "given", "kind", "CPU-s to fit"]]
    for name, each in items.items():
        mean, error = np.mean(each, 0), float(np.mean(each, 0).std(ddof=1) / math.sqrt(test.n))
        rows.append([name, f"{mean.mean():.3f}", f"{error:.3f}", ", ".join(f"{e.mean():.3f}" for e in each), "label", "exact",
                     f"{np.mean(cpu[name]):.1f}" if name in cpu else "-"])
    print(*rows, sep="\n", flush=True)
    if not (asked.choose or asked.only):
        append("digits_nets", {"nets": rows}, {"seeds": ", ".join(map(str, seeds)), "threads": "1"})


if __name__ == "__main__":
    main()
