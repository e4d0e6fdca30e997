"""Binarised MNIST, all 10,000 test images: the exact log-likelihood of the best composition, beside counts.

    python benchmarks/mnist.py            # 25 minutes on one core; appends to RESULTS.md
    python benchmarks/mnist.py --quick    # two minutes, prints only
    python benchmarks/mnist.py --choose   # the test images stay out: the last 5,000 training images in their place

Images are one draw of Bernoulli(intensity / 255), numpy.random.default_rng(0), training images first, then test images; the
hash of the packed bits is recorded. The last 5,000 training images choose among the weights. The data are
$GIVEN_DATA/images/mnist.npz.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.families import Autoregressive, ChowLiuTree, Independent
from given.nn import MADE, Embedding

_HELD = 5_000

OURS = partial(Autoregressive, net=partial(MADE, width=32, hidden=(512,), numbers=2, features=8),
               embed=partial(Embedding, offsets=40))


def binarised(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """(60000, 28, 28) and (10000, 28, 28) uint8 of 0 and 1, and the hash of both."""
    data, rng = np.load(path), np.random.default_rng(0)
    train, test = ((rng.random(x.shape) < x / 255).astype(np.uint8) for x in (data["x_train"], data["x_test"]))
    return train, test, hashlib.sha256(np.packbits(train).tobytes() + np.packbits(test).tobytes()).hexdigest()[:16]


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--choose", action="store_true", help="score held-out images in place of test images; record nothing")
    parser.add_argument("--cpu-seconds", type=float, default=1150, help="of the net's learning (%(default)s)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, test, sha = binarised(Path(os.environ["GIVEN_DATA"]) / "images" / "mnist.npz")
    train, held = given.read(image=images[:-_HELD]), given.read(image=images[-_HELD:])
    test = held if asked.choose or asked.quick else given.read(image=test)
    rows = [["model", "nats an image", "± s.e.", "bits/dim", "kind", "measure", "CPU-s to fit", "CPU-s to score"]]
    for name, family, options in (
            ("independent pixels", Independent, {"held_out": 0}), ("Chow-Liu tree", ChowLiuTree, {"held_out": 0}),
            ("MADE joined to a causal window", OURS,
             {"held_out": held, "cpu_seconds": 60 if asked.quick else asked.cpu_seconds, "batch": 64, "lr": 4e-3,
              "bfloat16": True, "patience": None})):
        model, began = given.model("p(image)", train, families={"image": family}), time.process_time()
        fit = model.fit(train, **options)
        learned, began = time.process_time() - began, time.process_time()
        score = model.score(test)
        rows.append([f"{name}, {fit.steps:,} steps" if fit.steps else name, f"{-score.value:.2f}", f"{score.error:.2f}",
                     f"{-score.value / math.log(2) / 784:.4f}", score.kind, score.measure, f"{learned:.0f}",
                     f"{time.process_time() - began:.0f}"])
        print(rows[-1], f"held out {-fit.held_out if fit.held_out else math.nan:.2f}", flush=True)
    if not (asked.quick or asked.choose):
        append("mnist", {"nats": rows}, {"bits": f"sha256 {sha}", "test images": f"{test.n:,}", "threads": "1", "seed": "0",
                                         "given": "nothing", "bfloat16": "while learning"})


if __name__ == "__main__":
    main()
