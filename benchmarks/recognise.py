"""Recognise: which of 20 characters of an unseen alphabet a drawing is of, by one example of each (Omniglot's one-shot runs).

    python benchmarks/recognise.py $GIVEN_DATA/images/omniglot           # 10 CPU-minutes of one thread; appends to RESULTS.md
    python benchmarks/recognise.py $GIVEN_DATA/images/omniglot --quick   # 20 CPU-seconds; prints, and records nothing

Learned from small1.npz, 136 characters of five alphabets by 20 drawers each; judged on the 20 official runs of all_runs.zip,
whose characters are others, of other drawers and ten other alphabets. Ours reads 28 x 28 pixels, averages of the original.
Baselines read the original 105 x 105, and 28 x 28 too. Net and rate were chosen by the characters of one alphabet of small1.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from record import append

from given.evaluate import OneShotEpisode, nearest_hausdorff, one_shot_error
from given.sources import Columns
from given.tasks import recognise
from given.verbs.pictures import nearest_pictures

SIDE = 28


def training(folder: Path) -> Columns:
    """Drawings, ink high, and the number of the character of each."""
    with np.load(folder / "small1.npz") as file:
        return Columns({"picture": smaller(file["images"] * np.uint8(255)), "label": file["character"]})


def runs(folder: Path) -> Iterator[OneShotEpisode]:
    """Of every official run the examples, and the test drawings of their characters in the same order: (20, 105, 105) both."""
    with zipfile.ZipFile(folder / "all_runs.zip") as file:
        for path in sorted(name for name in file.namelist() if name.endswith("class_labels.txt")):
            root = path.split("run")[0]
            pairs = [line.split() for line in file.read(path).decode().splitlines()]
            yield tuple(np.stack([_ink(file.read(root + pair[k])) for pair in pairs]) for k in (1, 0))


def _ink(png: bytes) -> np.ndarray:
    return np.where(np.asarray(Image.open(io.BytesIO(png)).convert("L")) > 127, 0, 255).astype(np.uint8)


def smaller(pictures: np.ndarray) -> np.ndarray:
    """(n, 28, 28), the mean of what a pixel covers."""
    return np.stack([np.asarray(Image.fromarray(x).resize((SIDE, SIDE), Image.Resampling.BOX)) for x in pictures])


def main() -> None:
    """Baselines, then ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with small1.npz and all_runs.zip")
    parser.add_argument("--seconds", type=float, default=600, help="CPU-seconds of learning (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 CPU-seconds; print, and record nothing")
    parser.add_argument("--save", help="where to save what was learned")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    large = list(runs(asked.folder))
    small = [(smaller(a), smaller(b)) for a, b in large]
    rows = [["what", "pixels", "error, one of 20", "standard error over runs", "CPU-s to learn"]]
    for name, found in (("nearest in pixels", lambda e, x: nearest_pictures(x, e)),
                        ("modified Hausdorff", nearest_hausdorff)):
        for side, each in ((105, large), (SIDE, small)):
            rows.append([name, f"{side} x {side}", *_judged(found, each), ""])
            print(" | ".join(rows[-1]), flush=True)
    data = training(asked.folder)
    model, began = recognise.model(data, seed=asked.seed), time.process_time()
    fit = model.fit(recognise.arranged(data), cpu_seconds=20.0 if asked.quick else asked.seconds, threads=1, seed=asked.seed,
                    progress=False, **recognise.TRAINING)
    if asked.save:
        model.save(asked.save)
    rows.append(["learned pairs", f"{SIDE} x {SIDE}", *_judged(partial(recognise.likeliest, model), small),
                 f"{fit.cpu_seconds:.0f}"])
    print(" | ".join(rows[-1]), f"{fit.steps} steps, {time.process_time() - began:.0f} CPU-s with judging", sep="\n")
    if not asked.quick:
        append("recognise", {"runs": rows}, {"seed": f"{asked.seed}", "steps": f"{fit.steps}"})


def _judged(found: object, each: list[OneShotEpisode]) -> list[str]:
    errors = [one_shot_error(found, iter([one])) for one in each]  # type: ignore[arg-type]
    return [f"{np.mean(errors):.4f}", f"{np.std(errors, ddof=1) / len(errors)**0.5:.4f}"]


if __name__ == "__main__":
    main()
