"""MNIST: the lower half of digits by a field that learned parts, judged; and the labels of what it draws, given the half alone.

    GIVEN_DATA=data python benchmarks/fill.py               # 20 CPU-minutes of the task fill; appends to RESULTS.md
    GIVEN_DATA=data python benchmarks/fill.py MAR-0.given   # a model of benchmarks/pictures.py in its place

One thread; it learns from the first 55,000 training images. Four draws of each of the first test images. Given half and label,
the judge is to name the label. Given the half alone (guided by 0, which reads no label), labels of draws stand beside a
classifier of upper halves: the log score of the true label under both, where a tenth of a draw of each label is added, and how
often each label is drawn over all.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pictures import LEARNED, the_judge
from record import append

import given
from given.distributions import Guidance
from given.infer import part
from given.solve import DPMSolver
from given.tasks import fill

DRAWS = 4


def classified(x: np.ndarray, y: np.ndarray, tops: np.ndarray) -> np.ndarray:
    """p(label | upper half) of tops (n, 14, 28), by a net that learned all training images: (n, 10)."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(392, 256), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(256, 10))
    optimiser, rng = torch.optim.AdamW(net.parameters(), 1e-3), torch.Generator().manual_seed(0)
    upper, label = torch.as_tensor(x[:, :14].reshape(-1, 392) / 255).float(), torch.as_tensor(y).long()
    for _ in range(6):
        for rows in torch.randperm(len(upper), generator=rng).split(256):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(upper[rows]), label[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        return net.eval()(torch.as_tensor(tops.reshape(-1, 392) / 255).float()).softmax(1).double().numpy()


def learned(files: Mapping[str, np.ndarray], asked: argparse.Namespace) -> given.Model:
    """The task's model of images given labels, saved."""
    data = given.read(image=files["x_train"][:LEARNED], label=files["y_train"][:LEARNED])
    model = fill.model(data, seed=asked.seed)
    print(model.fit(data, held_out=0, cpu_seconds=asked.seconds, bfloat16=True, threads=1, seed=asked.seed, progress=False,
                    **fill.TRAINING), flush=True)
    model.save(asked.folder / f"fill-{asked.seed}.given")
    return model


def main() -> None:
    """Both questions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="a saved one of images and labels, in place of learning")
    parser.add_argument("--seconds", type=float, default=1200, help="CPU-seconds of learning (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("build/pictures"), help="of the judge and what is learned "
                        "(%(default)s)")
    parser.add_argument("--images", type=int, default=250, help="test images, four draws each (%(default)s)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    files = np.load(Path(os.environ["GIVEN_DATA"]) / "images" / "mnist.npz")
    x, y = files["x_test"][:asked.images], files["y_test"][:asked.images].astype(int)
    asked.folder.mkdir(parents=True, exist_ok=True)
    judge = the_judge(asked.folder, {"train": files["x_train"], "train_label": files["y_train"],
                                     "held": files["x_train"][:0], "held_label": files["y_train"][:0]})
    model = given.load(asked.model) if asked.model else learned(files, asked)
    seen = np.broadcast_to(~fill.side_hidden("bottom", 28, 28), x.shape)
    rows = [["what", "figure"], ["the judge on these images, whole", f"{(judge(x)[1] == y).mean():.3f}"]]
    names = {}
    for way, how in (("label", DPMSolver(16)), ("alone", Guidance(0.0) | DPMSolver(16))):
        began = time.process_time()
        query = model.given(image=part(x, seen=seen), label=y)
        drawn = query.sample(DRAWS, seed=0, how=how)["image"]
        names[way] = judge(np.asarray(drawn).reshape(-1, 28, 28))[1].reshape(DRAWS, -1)
        print(way, (names[way] == y).mean(), time.process_time() - began, flush=True)
    rows.append(["given half and label: draws named rightly", f"{(names['label'] == y).mean():.3f}"])
    p = classified(files["x_train"], files["y_train"], x[:, :14])
    counts = (names["alone"][..., None] == np.arange(10)).sum(0)
    q = (counts + 0.1) / (DRAWS + 1)
    at = np.arange(len(y))
    rows += [["given the half alone: draws of the true label", f"{(names['alone'] == y).mean():.3f}"],
             ["the same that a classifier of halves expects", f"{p[at, y].mean():.3f}"],
             ["labels that its draws expect by the classifier", f"{p[at, names['alone']].mean():.3f}"],
             ["the same of labels drawn by the classifier itself", f"{(p**2).sum(1).mean():.3f}"],
             ["log score of the true label, draws counted", f"{np.log(q[at, y]).mean():.3f}"],
             ["log score of the true label, classifier", f"{np.log(p[at, y]).mean():.3f}"],
             ["frequency of labels over all, largest difference", f"{np.abs(counts.mean(0) / DRAWS - p.mean(0)).max():.3f}"]]
    for line in rows:
        print(line, flush=True)
    made = Path(asked.model).name if asked.model else f"of the task, {asked.seconds:g} CPU-s, seed {asked.seed}"
    append("fill", {"MNIST": rows}, {"threads": "1", "hidden": "lower half", "draws": f"{DRAWS} of {asked.images} test images",
                                     "model": made, "solver": "DPM-Solver, 16 evaluations"})


if __name__ == "__main__":
    main()
