"""MNIST by a field: p(image | label) learned in five CPU-minutes, and how many of its digits a judge names rightly.

    python benchmarks/mnist_fields.py            # about ten minutes on one core; appends to RESULTS.md
    python benchmarks/mnist_fields.py --quick    # prints only

Images are raw (0 ... 255), data $GIVEN_DATA/images/mnist.npz. The judge is the vote of the three nearest of 20,000 training
images; its own rate on test images is recorded. 300 draws, 30 a digit, unguided and with guidance 1.5.
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
from sklearn.neighbors import KNeighborsClassifier

import given
from given.distributions import Guidance
from given.families import Dequantised, FlowMatching
from given.nn import PatchTransformer, UNet
from given.solve import DPMSolver

NETS = {"UNet": partial(UNet, width=24, factors=(1, 2, 2)), "PatchTransformer": partial(PatchTransformer, patch=7, width=128)}


def main() -> None:
    """Learn, draw, judge, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--print", action="store_true", help="record nothing")
    parser.add_argument("--net", choices=list(NETS), default="PatchTransformer")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = np.load(Path(os.environ.get("GIVEN_DATA", "../shared/data")) / "images" / "mnist.npz")
    train = given.read(image=data["x_train"], label=data["y_train"])
    family = partial(Dequantised, family=partial(FlowMatching, net=NETS[asked.net], width=64))
    model = given.model("p(image | label)", train, families={"image": family}, seed=0)
    began = time.process_time()
    fit = model.fit(train, held_out=0, cpu_seconds=20 if asked.quick else asked.seconds, batch=asked.batch, lr=asked.lr,
                    bfloat16=True, patience=None, seed=0)
    spent = time.process_time() - began
    judge = KNeighborsClassifier(3).fit(data["x_train"][:20_000].reshape(20_000, -1), data["y_train"][:20_000])
    own = judge.score(data["x_test"][:2_000].reshape(2_000, -1), data["y_test"][:2_000])
    label = np.repeat(np.arange(10), 30)
    rows = [["guidance", "named rightly", "CPU-s to draw 300"]]
    for weight in (1.0, 1.5):
        began = time.process_time()
        how = DPMSolver(20) if weight == 1 else Guidance(weight) | DPMSolver(20)
        drawn = model.given(label=label).sample(1, seed=0, how=how)["image"]
        cost = time.process_time() - began
        rows.append([f"{weight}", f"{judge.score(drawn.reshape(len(label), -1), label):.3f}", f"{cost:.0f}"])
    print(rows, f"{spent:.0f} CPU-s", fit.steps, "steps, judge", own, flush=True)
    if not (asked.quick or asked.print):
        append("mnist_fields", {"judged": rows}, {"net": asked.net, "CPU-s": f"{spent:.0f}", "steps": f"{fit.steps:,}",
                                                  "the judge on test images": f"{own:.3f}", "threads": "1"})


if __name__ == "__main__":
    main()
