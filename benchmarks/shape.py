"""Shape: voxels of brick parts given their title, p(voxels | title).

    python benchmarks/shape.py           # 30 CPU-seconds of one thread; appends to RESULTS.md, and draws the page's picture
    python benchmarks/shape.py --quick   # 20 trees and 60 titles; prints, and records nothing

Learned from the training part of $GIVEN_DATA/shape/ldraw32.npz, 16^3 voxels, and judged on its test part, whose parts have
other base numbers, titles and shapes than any learned. Intersection over union of surface voxels, mean over titles; a draw and
its baselines are given the title and nothing else. How sharp weights are, and how many trees, was chosen on a fifth of the
groups of the training part.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from record import ROOT, append

import given
from given.distributions import Distinct
from given.evaluate import picture, rendered
from given.sources import Columns
from given.tasks import shape

DATA = Path(os.environ.get("GIVEN_DATA", "data")) / "shape"
SHOWN = 7  # titles of the picture


def parts() -> tuple[Columns, Columns]:
    """Training and test rows."""
    raw = np.load(DATA / "ldraw32.npz")
    rows = shape.read(Columns({"voxels": raw["vox16"], "title": raw["title"]}))
    return rows.rows(raw["split"] == "train"), rows.rows(raw["split"] == "test")


def sheet(model: given.Model, train: Columns, test: Columns, path: Path) -> None:
    """Titles row by row: the true shape, that of the nearest title, three draws about different items."""
    some = test.rows(np.arange(5, test.n, test.n // SHOWN)[:SHOWN])
    titles = [str(title) for title in some["title"]]
    near = np.argsort(-given.nn.TextPairs([str(t) for t in train["title"]]).cosines(titles)[0], 1, kind="stable")[:, 0]
    drawn = shape.drawn(model, titles, 3, Distinct())
    rows = np.stack([some["voxels"], train["voxels"][near], *drawn], 1)
    pictures = np.stack([rendered(row, size=4) for row in rows])
    path.write_bytes(picture(pictures, levels=256, scale=1, gap=2, text="; ".join(titles)))
    print(*titles, sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 trees and 60 titles; print, and record nothing")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    train, test = parts()
    test = test.rows(slice(0, 60)) if asked.quick else test
    rows = [["what is given the title", "one", "best of 8"]]
    beside = shape.baselines(train, test)
    rows += [["mean of the class (first word)", f"{beside['mean of the class']['one']:.3f}", ""],
             ["nearest titles, words and pairs of words (TF-IDF)", f"{beside['nearest title']['one']:.3f}",
              f"{beside['eight nearest titles']['best']:.3f}"]]
    model = shape.model(train, seed=asked.seed, trees=20 if asked.quick else 120)
    before = time.process_time()
    model.fit(train, progress=False, seed=asked.seed, **shape.TRAINING)
    learned = time.process_time() - before
    own = shape.measure(model, test)
    rows += [["draws, independent", f"{own['one draw']:.3f}", f"{own['best of 8']:.3f}"],
             ["draws at a temperature of .5", f"{own['one draw, temperature .5']:.3f}", ""],
             ["draws without replacement", "", f"{own['best of 8, distinct']:.3f}"],
             ["CPU-s to learn", f"{learned:.0f}", ""]]
    score = model.score(test)
    rows.append(["nats a shape", f"{score}".split(" nats")[0], ""])
    print(*(" | ".join(row) for row in rows), f"{time.process_time() - began:.0f} CPU-s", sep="\n", flush=True)
    if not asked.quick:
        sheet(model, train, test, ROOT / "docs" / "pictures" / "shape.png")
        append("shape", {"shapes": rows}, {"seed": f"{asked.seed}"})


if __name__ == "__main__":
    main()
